"""Where the emulator departs from the architecture; in each row it is the one that is wrong."""

from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import GPRS, Outcome
from tests.semantics.x86.oracle.rules import (
    ANY,
    APPROXIMATIONS,
    EMULATOR,
    X87,
    XMM,
    Known,
    always,
    only_we,
    other_nan,
    same_fault,
)


def locked(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """A LOCK prefix where it is not allowed."""
    return ours["vector"] == 6 and 0xF0 in case.text[:5]


def misaligned(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """An operand of 16 bytes that is not aligned."""
    return (ours["vector"], ours["error"]) == (13, 0) and case.unit == "sse"


def other_undefined(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Only the other side presents #UD."""
    return (ours["vector"], theirs["vector"]) == (-1, 6)


def not_permitted(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Only we present #GP(0)."""
    return (ours["vector"], ours["error"]) == (13, 0) and theirs["vector"] != 13


def code_is_written(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """A store into the code segment, which only we refuse."""
    return case.narrow and 0x2E in case.text[:5] and not_permitted(case, ours, theirs)


def unchanged_word(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """A destination of 32 bits that the instruction leaves alone; the other side extends it."""
    pairs = zip(case.gprs, ours.values[:16], theirs.values[:16], strict=True)
    return all(a == b or (a == z and a & 0xFFFF_FFFF == b) for z, a, b in pairs)


def own_source(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Both operands are one register."""
    modrm = case.text[case.text.index(0x0F) + 3]
    return modrm >> 6 == 3 and (modrm >> 3 & 7) == modrm & 7


def drops_far(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """RET drops 8000h bytes or more."""
    return case.symbol.startswith("RET:C2") and case.text[-1] & 0x80 != 0


def high_mmx(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """MMX registers with REX bits, which do not count, in the maps 0F38 and 0F3A."""
    map38 = any(f":NP_0F_{m}_" in case.symbol for m in ("38", "3A"))
    return map38 and any(b >> 4 == 4 and b & 5 for b in case.text[: case.text.index(0x0F)])


def relative_shift(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """An operand relative to RIP, with an immediate behind it."""
    modrm = case.text[case.text.index(0x0F) + 2]
    return not case.narrow and modrm & 0xC7 == 5 and case.symbol.split(":")[1].endswith("Ic")


def denormals_are_zeros(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """MXCSR.DAZ or MXCSR.FZ is set."""
    return case.unit == "sse" and case.fx[24] & 0x40 | case.fx[25] & 0x80 != 0


ROWS = [
    Known(EMULATOR, "ignores a LOCK prefix", "APM3 1.2.5 Lock Prefix", None, locked, ANY),
    Known(
        EMULATOR,
        "does not have the encoding",
        "APM3 3 NOP, TEST; A.2 Opcode Maps",
        frozenset({"NOP", "TEST"}),
        other_undefined,
        ANY,
    ),
    Known(
        EMULATOR,
        "has done a part of the instruction when its access fails",
        "APM2 8.1.3 Exceptions",
        None,
        same_fault,
        ANY,
    ),
    Known(
        EMULATOR,
        "permits all ports, having no TSS",
        "APM2 12.2.4",
        frozenset({"IN", "OUT", "INS", "OUTS"}),
        not_permitted,
        ANY,
    ),
    Known(
        EMULATOR,
        "presents #UD, the model having no such instruction",
        "APM3 4 INVPCID",
        frozenset({"INVPCID"}),
        always,
        frozenset({"vector", "error"}),
    ),
    Known(
        EMULATOR,
        "stores into the code segment",
        "APM2 4.12",
        None,
        code_is_written,
        ANY,
    ),
    Known(
        EMULATOR,
        "extends a destination that stays as it is",
        "APM3 3 BSF, BSR, CMPXCHG",
        frozenset({"BSF", "BSR", "CMPXCHG"}),
        unchanged_word,
        frozenset(GPRS),
    ),
    Known(
        EMULATOR,
        "reads what it has just written",
        "APM4 PHADDW and its relatives",
        frozenset({"PHADDW", "PHADDD", "PHADDSW", "PHSUBW", "PHSUBD", "PHSUBSW"}),
        own_source,
        XMM | X87 | {"fsw", "ftw"},
    ),
    Known(
        EMULATOR,
        "takes the immediate as signed",
        "APM3 3 RET (Near)",
        frozenset({"RET"}),
        drops_far,
        frozenset({"rsp"}),
    ),
    Known(
        EMULATOR,
        "takes SPL instead of AH behind a REX prefix",
        "APM3 3 SAHF",
        frozenset({"SAHF", "LAHF"}),
        lambda case, ours, theirs: case.text[0] >> 4 == 4,
        frozenset({"rflags", "rsp", "rax"}),
    ),
    Known(
        EMULATOR,
        "does not check the alignment of operands of 16 bytes",
        "APM2 8.2.14",
        None,
        misaligned,
        ANY,
    ),
    Known(
        EMULATOR,
        "presents no #MF, no #AC and no #XM",
        "APM2 8.2.17, 8.2.18, 8.2.20",
        None,
        only_we(16, 17, 19),
        ANY,
    ),
    Known(
        EMULATOR,
        "ignores tags and stack faults, sets C1 at random, and computes with fewer bits: only the "
        "host is a witness for results of x87 instructions",
        "APM1 6.2.2, 6.2.4, 6.8",
        None,
        lambda case, ours, theirs: case.unit == "x87",
        X87 | {"fcw", "fsw", "ftw", "rflags", "window"},
    ),
    Known(
        EMULATOR,
        "does not look at all of an environment before it takes it",
        "APM5 FLDENV; APM2 8.2.15",
        frozenset({"FLDENV", "FRSTOR"}),
        only_we(14),
        ANY,
    ),
    Known(
        EMULATOR,
        "stores although an unmasked exception prevents it",
        "APM1 6.8.2, 6.8.3",
        None,
        lambda case, ours, theirs: case.unit == "x87" and ours["fsw"] & 0x80 != 0,
        ANY,
    ),
    Known(
        EMULATOR,
        "divides instead of approximating",
        "APM4 RCPPS, RSQRTPS",
        APPROXIMATIONS,
        always,
        XMM,
    ),
    Known(
        EMULATOR,
        "takes the NaN with the larger significand, as x87 instructions do",
        "APM1 4.8.3 QNaN Operands",
        None,
        other_nan,
        XMM,
    ),
    Known(
        EMULATOR,
        "knows little of DAZ and FZ",
        "APM1 4.2.2 MXCSR Register",
        None,
        denormals_are_zeros,
        XMM | {"rflags"},
    ),
    Known(
        EMULATOR,
        "presents #UD for reserved bits of the immediate",
        "APM4 CMPPD",
        frozenset({"CMPPD", "CMPPS", "CMPSD", "CMPSS"}),
        lambda case, ours, theirs: theirs["vector"] == 6 and case.text[-1] > 7,
        ANY,
    ),
    Known(
        EMULATOR,
        "compares strings wrongly beyond their ends",
        "APM4 PCMPESTRI",
        frozenset({"PCMPESTRI", "PCMPESTRM", "PCMPISTRI", "PCMPISTRM"}),
        always,
        XMM | {"rcx", "rflags"},
    ),
    Known(
        EMULATOR,
        "adds the products in another order, beginning with a zero",
        "APM4 DPPS, DPPD",
        frozenset({"DPPS", "DPPD"}),
        always,
        XMM,
    ),
    Known(
        EMULATOR,
        "takes the operands from the wrong registers, or sets CF the wrong way round",
        "APM3 3 BZHI, PDEP, BEXTR, RORX, BLSI",
        frozenset({"BZHI", "PDEP", "BEXTR", "RORX", "BLSI"}),
        always,
        frozenset(GPRS) | {"rflags"},
    ),
    Known(
        EMULATOR,
        "keeps reserved bits of the x87 control word",
        "APM5 FLDCW; APM1 6.2.3",
        frozenset({"FLDCW", "FXRSTOR", "FLDENV", "FRSTOR"}),
        always,
        frozenset({"fcw", "fsw"}),
    ),
    Known(
        EMULATOR,
        "stores ten bytes of a register and leaves six as they were",
        "APM2 11.5.5 FXSAVE and FXRSTOR Instructions",
        frozenset({"FXSAVE"}),
        always,
        frozenset({"window"}),
    ),
    Known(
        EMULATOR,
        "takes reserved bits of MXCSR",
        "APM5 FXRSTOR",
        frozenset({"FXRSTOR", "LDMXCSR"}),
        not_permitted,
        ANY,
    ),
    Known(
        EMULATOR,
        "does not look at the address",
        "APM3 3 CLFLUSH, CLWB",
        frozenset({"CLFLUSH", "CLFLUSHOPT", "CLWB"}),
        only_we(12, 13, 14),
        ANY,
    ),
    Known(
        EMULATOR,
        "reads more than the operand",
        "APM4 ROUNDSS, CVTPS2PD; APM5 PUNPCKLBW",
        None,
        lambda case, ours, theirs: case.unit in ("sse", "mmx") and theirs["vector"] == 14,
        ANY,
    ),
    Known(
        EMULATOR,
        "takes REX bits as a part of an MMX register's number, and changes something else",
        "APM3 1.2.7 REX Prefix",
        None,
        high_mmx,
        ANY,
    ),
    Known(
        EMULATOR,
        "sets the flags of zero minus the result",
        "APM3 3 NEG",
        frozenset({"NEG"}),
        lambda case, ours, theirs: 0xF0 in case.text[:3],
        frozenset({"rflags"}),
    ),
    Known(
        EMULATOR,
        "forgets the immediate when it adds RIP",
        "APM3 1.7.1 RIP-Relative Addressing; APM3 3 SHLD",
        frozenset({"SHLD", "SHRD"}),
        relative_shift,
        ANY,
    ),
]
