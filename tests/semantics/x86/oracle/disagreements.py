"""Where the host's processor or the emulator departs from what we model.

Each row was settled by AMD's manual (APM): there either the other side is another vendor's, or
wrong. Where this project was wrong, the instruction was corrected and its case became a test.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import GPRS, NAMES, Outcome

Rule = Callable[[Case, Outcome, Outcome], bool]
HOST, EMULATOR = "host", "emulator"


@dataclass(frozen=True)
class Known:
    """A kind of disagreement: with whom, where it occurs, and what may differ."""

    side: str
    reason: str
    ref: str
    mnemonics: frozenset[str] | None
    """None: any."""
    when: Rule
    differs: frozenset[str]


def always(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The rows of instructions that the other side has different throughout."""
    return True


def store_faults(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Both take the same fault of a memory operand."""
    return ours["vector"] == theirs["vector"] >= 0


def absent_register(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """MOV of a control or debug register that does not exist, at privilege level 3."""
    moves = any(f"0F_2{n}" in case.symbol for n in range(4))
    return moves and (ours["vector"], theirs["vector"]) == (13, 6)


def pushes_segment(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """PUSH of a segment register, not as a word."""
    segments = ("06", "0E", "16", "1E", "0F_A0", "0F_A8")
    parts = case.symbol.split(":")
    return parts[1] in segments and parts[2] != "16"


def masked_out(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """No byte is selected, and only the other side looks at the operand."""
    return ours["vector"] < 0 and theirs["vector"] == 14


C1, PE, UE, ES = 0x200, 0x20, 0x10, 0x8080
SIGNIFICANDS = 1 << 63
TRANSCENDENTAL = frozenset(
    {"FSIN", "FCOS", "FSINCOS", "FPTAN", "FPATAN", "FYL2X", "FYL2XP1", "F2XM1"}
)


def magnitude(number: int) -> int:
    """A number that grows by one from a magnitude of the x87 format to the next."""
    return (number >> 64 & 0x7FFF) * SIGNIFICANDS + (number & (SIGNIFICANDS - 1))


def rounds_otherwise(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Results are the same or neighbours; so the last rounding may have another direction."""
    if (ours["fsw"] ^ theirs["fsw"]) & ~(C1 | PE | UE | ES):
        return False
    return all(
        ours[name] >> 79 == theirs[name] >> 79
        and abs(magnitude(ours[name]) - magnitude(theirs[name])) <= 1
        for name in ("st0", "st1")
    )


def stores_nothing(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """We refuse the segment of a store that an unmasked exception prevents."""
    return case.narrow and ours["vector"] == 13 and theirs["vector"] < 0 and theirs["fsw"] & ES != 0


def pending_first(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Both take a fault: we that of the operand's segment, they the pending exception."""
    return case.narrow and case.unit == "x87" and (ours["vector"], theirs["vector"]) == (13, 16)


DOMAIN = magnitude(0x3FFD_95F6_1998_0C43_36F7)
"""1 - sqrt(1/2)."""


def beyond_domain(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """FYL2XP1 of a number that is not between -(1 - sqrt(1/2)) and sqrt(2) - 1."""
    return magnitude(int.from_bytes(case.fx[32:42], "little")) >= DOMAIN


FAULT = frozenset({"vector", "error", "cr2", "rip", "rflags"})


def locked(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """A LOCK prefix where it is not allowed."""
    return ours["vector"] == 6 and 0xF0 in case.text[:5]


def misaligned(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """An operand of 16 bytes that is not aligned."""
    return (ours["vector"], ours["error"]) == (13, 0) and case.unit == "sse"


def other_undefined(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Only the other side presents #UD."""
    return (ours["vector"], theirs["vector"]) == (-1, 6)


def both_page_faults(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Both sides present #PF."""
    return ours["vector"] == theirs["vector"] == 14


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
    modrm = case.text[case.text.index(0x38, 1) + 2]
    return modrm >> 6 == 3 and (modrm >> 3 & 7) == modrm & 7


def drops_far(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """RET drops 8000h bytes or more."""
    return case.symbol.startswith("RET:C2") and case.text[-1] & 0x80 != 0


ANY = frozenset(NAMES) | {"window"}
XMM = frozenset({f"xmm{n}" for n in range(16)})
STACK = frozenset({f"st{n}" for n in range(8)})
KNOWN = [
    Known(
        HOST,
        "an MMX instruction whose store faults has set TOP to zero already",
        "APM2 11.3 x87 and MMX state; SDM 3 12.2",
        frozenset({"MOVD", "MOVQ", "MOVNTQ", "MASKMOVQ"}),
        store_faults,
        STACK | {"fsw", "ftw"},
    ),
    Known(
        HOST,
        "tells the address of the upper half of the operand that it writes in halves",
        "APM2 8.2.15: CR2 is the address that was not translated",
        frozenset({"MASKMOVDQU"}),
        store_faults,
        frozenset({"cr2"}),
    ),
    Known(
        HOST,
        "may look at an operand of which no byte is written",
        "SDM 2 MASKMOVDQU",
        frozenset({"MASKMOVDQU", "MASKMOVQ"}),
        masked_out,
        FAULT | STACK | {"fsw", "ftw"},
    ),
    Known(
        HOST,
        "rounds the last unit of a transcendental function otherwise",
        "APM1 6.4.6: accuracy of transcendental results",
        TRANSCENDENTAL,
        rounds_otherwise,
        frozenset({"fsw", "st0", "st1"}),
    ),
    Known(
        HOST,
        "does not look at the segment of a store that an unmasked exception prevents",
        "APM2 8.5.1 Priorities",
        frozenset({"FST", "FSTP", "FIST", "FISTP", "FISTTP", "FBSTP"}),
        stores_nothing,
        FAULT | {"fsw"},
    ),
    Known(
        HOST,
        "takes a pending x87 exception before the fault of an operand's segment",
        "APM2 8.5.1 Priorities",
        None,
        pending_first,
        FAULT,
    ),
    Known(
        HOST,
        "has another result where none is defined",
        "APM5 2 FYL2XP1",
        frozenset({"FYL2XP1"}),
        beyond_domain,
        frozenset({"fsw", "st0"}),
    ),
    Known(
        HOST,
        "tells the address of another of the words that it writes",
        "APM2 8.2.15: CR2 is the address that was not translated",
        frozenset({"FNSTENV", "FNSAVE", "FXSAVE", "FSTP", "FBSTP"}),
        store_faults,
        frozenset({"cr2"}),
    ),
    Known(
        HOST,
        "looks at the register's number before the privilege level",
        "APM2 8.5.1 Priorities",
        frozenset({"MOV"}),
        absent_register,
        frozenset({"vector", "error"}),
    ),
    Known(
        HOST,
        "leaves the bytes behind the pushed selector as they were",
        "SDM 2 PUSH; APM3 3 PUSH",
        frozenset({"PUSH"}),
        pushes_segment,
        frozenset({"window"}),
    ),
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
        both_page_faults,
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
        XMM | STACK,
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
]


def known(side: str, case: Case, ours: Outcome, theirs: Outcome) -> str | None:
    """The reason why a case may differ, None if there is none."""
    differing = ours.differing(theirs)
    for row in KNOWN:
        mine = row.side == side and (row.mnemonics is None or case.mnemonic in row.mnemonics)
        if mine and differing <= row.differs and row.when(case, ours, theirs):
            return row.reason
    return None
