"""Where the host's processor or the emulator departs from what we model.

Each row was settled by AMD's manual (APM): there either the other side is another vendor's, or
wrong. Where this project was wrong, the instruction was corrected and its case became a test.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import Outcome

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


DOMAIN = magnitude(0x3FFD_95F6_1998_0C43_36F7)
"""1 - sqrt(1/2)."""


def beyond_domain(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """FYL2XP1 of a number that is not between -(1 - sqrt(1/2)) and sqrt(2) - 1."""
    return magnitude(int.from_bytes(case.fx[32:42], "little")) >= DOMAIN


FAULT = frozenset({"vector", "error", "cr2", "rip", "rflags"})
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
]


def known(side: str, case: Case, ours: Outcome, theirs: Outcome) -> str | None:
    """The reason why a case may differ, None if there is none."""
    differing = ours.differing(theirs)
    for row in KNOWN:
        mine = row.side == side and (row.mnemonics is None or case.mnemonic in row.mnemonics)
        if mine and differing <= row.differs and row.when(case, ours, theirs):
            return row.reason
    return None
