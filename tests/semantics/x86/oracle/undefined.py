"""Flags, and a few results, that the manuals leave undefined: there the sides may differ.

ref: APM3 3, the table "rFLAGS Affected" of each instruction; SDM 1 Appendix A EFLAGS
Cross-Reference.
"""

from collections.abc import Callable

from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import PLACE, Outcome

CF, PF, AF, ZF, SF, OF = 1, 4, 0x10, 0x40, 0x80, 0x800
ALL = CF | PF | AF | ZF | SF | OF
RF = 1 << 16
SIGNIFICAND = 2**64 - 1
STACK_FAULT, PROTECTION, PAGE_FAULT = 12, 13, 14
MMX_TOO = {
    "MOVDQ2Q",
    "MOVQ2DQ",
    "CVTPI2PS",
    "CVTPI2PD",
    "CVTPS2PI",
    "CVTTPS2PI",
    "CVTPD2PI",
    "CVTTPD2PI",
}
X87 = slice(PLACE["fcw"], PLACE["st7"] + 1)
ALWAYS: dict[str, int] = {
    "AND": AF, "OR": AF, "XOR": AF, "TEST": AF, "ANDN": AF | PF,
    "MUL": SF | ZF | AF | PF, "IMUL": SF | ZF | AF | PF, "DIV": ALL, "IDIV": ALL,
    "BT": OF | SF | ZF | AF | PF, "BTS": OF | SF | ZF | AF | PF, "BTR": OF | SF | ZF | AF | PF,
    "BTC": OF | SF | ZF | AF | PF, "BSF": CF | OF | SF | AF | PF, "BSR": CF | OF | SF | AF | PF,
    "TZCNT": OF | SF | AF | PF, "LZCNT": OF | SF | AF | PF, "BEXTR": AF | SF | PF,
    "BLSI": AF | PF, "BLSMSK": AF | PF, "BLSR": AF | PF, "BZHI": AF | PF,
    "AAA": OF | SF | ZF | PF, "AAS": OF | SF | ZF | PF, "AAM": OF | AF | CF, "AAD": OF | AF | CF,
    "DAA": OF, "DAS": OF,
}  # fmt: skip
"""Flags that the instruction leaves undefined in any case."""
SHIFTS = {"SHL", "SAL", "SHR", "SAR"}
ROTATES = {"ROL", "ROR", "RCL", "RCR"}
DOUBLE = {"SHLD", "SHRD"}


def size_of(case: Case) -> int:
    """Operand size in bits of a case of a sized instruction, 8 if its symbol has none."""
    for part in case.symbol.split(":"):
        if part in ("16", "32", "64"):
            return int(part)
    return 8


def count_of(case: Case) -> int:
    """A shift's count, modulo what the operand size takes."""
    operand = case.symbol.split("_")[-1].split(":")[0].split(",")[-1]
    if operand == "1":
        count = 1
    elif operand == "CL":
        count = case.gprs[1]
    else:
        count = case.text[-1]
    return count & (63 if size_of(case) == 64 else 31)


def undefined_flags(case: Case) -> int:
    """The flags that are undefined after a case."""
    name = case.mnemonic
    if name in SHIFTS | ROTATES | DOUBLE:
        count, size = count_of(case), size_of(case)
        if count == 0:
            return 0
        if name in DOUBLE and count > size:
            return ALL
        flags = 0 if count == 1 else OF
        if name not in ROTATES:
            flags |= AF
        if name in ("SHL", "SAL", "SHR") and count >= size:
            flags |= CF
        return flags
    return ALWAYS.get(name, 0)


def settle(case: Case, ours: Outcome, theirs: Outcome) -> None:
    """Make equal what is undefined, unless one side only took an exception."""
    if ours["vector"] != theirs["vector"]:
        return
    flags = undefined_flags(case)
    if ours["vector"] >= 0 and case.mnemonic not in ("DIV", "IDIV"):
        flags = 0
    theirs["rflags"] = theirs["rflags"] & ~flags | ours["rflags"] & flags
    rule = RESULTS.get(case.mnemonic)
    if rule:
        rule(case, ours, theirs)


def overlook(case: Case, ours: Outcome, theirs: Outcome) -> None:
    """Make equal what the emulator does not model.

    It has no page tables, stores no flags, and leaves the exponents of MMX registers alone.
    """
    of_mmx = case.unit == "mmx" or case.mnemonic in MMX_TOO
    if of_mmx and mmx_registers(ours) == mmx_registers(theirs):
        theirs.values[X87] = ours.values[X87]
    if ours["vector"] < 0 or theirs["vector"] < 0:
        return
    theirs["rflags"] |= RF & ours["rflags"]
    if theirs["vector"] == PAGE_FAULT:
        if ours["vector"] in (STACK_FAULT, PROTECTION) and ours["error"] == 0:
            # It does not know of canonical addresses.
            theirs["vector"] = ours["vector"]
        theirs["error"], theirs["cr2"] = ours["error"], ours["cr2"]


def mmx_registers(outcome: Outcome) -> list[int]:
    """The MMX registers: significands in the order of their physical numbers."""
    top = outcome["fsw"] >> 11 & 7
    return [outcome[f"st{n - top & 7}"] & SIGNIFICAND for n in range(8)]


def _double_shift(case: Case, ours: Outcome, theirs: Outcome) -> None:
    """16-bit SHLD and SHRD by more than 16: the result is undefined."""
    if count_of(case) > size_of(case):
        theirs.values[:16] = ours.values[:16]
        theirs.window = ours.window


RESULTS: dict[str, Callable[[Case, Outcome, Outcome], None]] = {
    "SHLD": _double_shift,
    "SHRD": _double_shift,
}
