"""Where the host's processor departs from what we model: it is another vendor's.

Each row was settled by AMD's manual (APM).
"""

import struct

from tests.semantics.x86.oracle.layout import Case
from tests.semantics.x86.oracle.outcome import Outcome
from tests.semantics.x86.oracle.rules import (
    ANY,
    APPROXIMATIONS,
    FAULT,
    HOST,
    X87,
    XMM,
    Known,
    differing_lanes,
    is_nan,
    other_nan,
    same_fault,
)
from tests.semantics.x86.oracle.traits import STRING
from tests.semantics.x86.oracle.undefined import MMX_TOO

C1, PE, UE, ES = 0x200, 0x20, 0x10, 0x8080
SIGNIFICANDS = 1 << 63
TRANSCENDENTAL = frozenset(
    {"FSIN", "FCOS", "FSINCOS", "FPTAN", "FPATAN", "FYL2X", "FYL2XP1", "F2XM1"}
)


def magnitude(number: int) -> int:
    """A number that grows by one from a magnitude of the x87 format to the next."""
    return (number >> 64 & 0x7FFF) * SIGNIFICANDS + (number & (SIGNIFICANDS - 1))


UNDERFLOW = magnitude(0x6000 << 64)
"""The scale of a result that an unmasked underflow gives: 2**24576. ref: APM1 6.8.2"""
DOMAIN = magnitude(0x3FFD_95F6_1998_0C43_36F7)
"""1 - sqrt(1/2)."""
SMALLEST = 0x0080_0000
"""The smallest normal number of 32 bits."""


def absent_register(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """MOV of a control or debug register that does not exist, at privilege level 3."""
    moves = any(f"0F_2{n}" in case.symbol for n in range(4))
    return moves and (ours["vector"], theirs["vector"]) == (13, 6)


def pushes_segment(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """PUSH of a segment register, not as a word."""
    segments = ("06", "0E", "16", "1E", "0F_A0", "0F_A8")
    parts = case.symbol.split(":")
    same = ours["vector"] == theirs["vector"] or ours["vector"] == 17
    return same and parts[1] in segments and parts[2] != "16"


def masked_out(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """No byte is selected, and only the other side looks at the operand."""
    return ours["vector"] < 0 and theirs["vector"] in (12, 13, 14)


def approximates(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Both results are within twice the relative error of 1.5 * 2**-12 of each other.

    Or one is the smallest normal number, and the other has underflowed to zero.
    """
    for pair in differing_lanes(ours, theirs, 32):
        a, b = struct.unpack("<2f", struct.pack("<2I", *pair))
        if {bits & 2**31 - 1 for bits in pair} == {0, SMALLEST} and (pair[0] ^ pair[1]) >> 31 == 0:
            continue
        if is_nan(pair[0], 32) or is_nan(pair[1], 32) or abs(a - b) > 2 * 1.5 * 2**-12 * abs(a):
            return False
    return True


def neighbours(ours: Outcome, theirs: Outcome, name: str) -> bool:
    """Results at most a unit apart; an unmasked underflow that only we find has scaled ours."""
    apart = magnitude(ours[name]) - magnitude(theirs[name])
    scaled = ours["fsw"] & ~theirs["fsw"] & UE != 0
    return abs(apart) <= 1 or (scaled and abs(apart - UNDERFLOW) <= 1)


def rounds_otherwise(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Results are the same or neighbours; so the last rounding may have another direction."""
    if (ours["fsw"] ^ theirs["fsw"]) & ~(C1 | PE | UE | ES):
        return False
    return all(
        ours[name] >> 79 == theirs[name] >> 79 and neighbours(ours, theirs, name)
        for name in ("st0", "st1")
    )


def stores_nothing(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """We refuse the operand of a store that an unmasked exception prevents."""
    refused = ours["vector"] == 17 or (case.narrow and ours["vector"] == 13)
    return refused and theirs["vector"] < 0 and theirs["fsw"] & ES != 0


def pending_first(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Both take a fault: we that of the operand, they the pending exception."""
    refused = ours["vector"] == 17 or (case.narrow and ours["vector"] == 13)
    unit = case.unit in ("x87", "mmx") or case.mnemonic in MMX_TOO
    return unit and refused and theirs["vector"] == 16


def beyond_domain(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """FYL2XP1 of a number that is not between -(1 - sqrt(1/2)) and sqrt(2) - 1."""
    return magnitude(int.from_bytes(case.fx[32:42], "little")) >= DOMAIN


UNALIGNED = frozenset(
    [
        "MOVDQU",
        "MOVUPS",
        "MOVUPD",
        "LDDQU",
        "PCMPESTRI",
        "PCMPESTRM",
        "PCMPISTRI",
        "PCMPISTRM",
        "FRSTOR",
        "FNSAVE",
        "FLDENV",
        "FNSTENV",
    ]
)
ROWS = [
    Known(
        HOST,
        "an MMX instruction whose store faults has set TOP to zero already",
        "APM2 11.3 x87 and MMX state; SDM 3 12.2",
        frozenset({"MOVD", "MOVQ", "MOVNTQ", "MASKMOVQ"}),
        same_fault,
        X87 | {"fsw", "ftw"},
    ),
    Known(
        HOST,
        "tells the address of the upper half of the operand that it writes in halves",
        "APM2 8.2.15: CR2 is the address that was not translated",
        frozenset({"MASKMOVDQU", "MASKMOVQ"}),
        same_fault,
        X87 | {"cr2", "error", "fsw", "ftw"},
    ),
    Known(
        HOST,
        "may look at an operand of which no byte is written",
        "SDM 2 MASKMOVDQU",
        frozenset({"MASKMOVDQU", "MASKMOVQ"}),
        masked_out,
        FAULT | X87 | {"fsw", "ftw"},
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
        "does not look at the operand of a store that an unmasked exception prevents",
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
        "compares the index with the lower bound before it reads the upper one",
        "APM3 3 BOUND",
        frozenset({"BOUND"}),
        lambda case, ours, theirs: ours["vector"] >= 12 and theirs["vector"] == 5,
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
        frozenset({"FNSTENV", "FNSAVE", "FXSAVE", "FXRSTOR", "FSTP", "FBSTP"}),
        same_fault,
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
        "leaves the bytes behind the pushed selector as they were, so is aligned as a word",
        "SDM 2 PUSH; APM3 3 PUSH",
        frozenset({"PUSH"}),
        pushes_segment,
        FAULT | {"window", "rsp"},
    ),
    Known(
        HOST,
        "has other tables: 12 bits are what is promised",
        "APM4 RCPPS, RSQRTPS",
        APPROXIMATIONS,
        approximates,
        XMM,
    ),
    Known(
        HOST,
        "has set TOP and the tags already when an SSE exception is found",
        "APM2 11.3 x87 and MMX state; SDM 3 12.2",
        frozenset(MMX_TOO),
        same_fault,
        X87 | {"fsw", "ftw"},
    ),
    Known(
        HOST,
        "adds products that are NaNs in another order",
        "APM4 DPPS, DPPD",
        frozenset({"DPPS", "DPPD"}),
        other_nan,
        XMM,
    ),
    Known(
        HOST,
        "does not check the alignment of operands of 16 bytes and more that need none",
        "APM2 8.2.18",
        None,
        lambda case, ours, theirs: ours["vector"] == 17 and case.mnemonic in UNALIGNED,
        ANY,
    ),
    Known(
        HOST,
        "checks the alignment of the whole operand, we that of each byte; and of the place below "
        "the frame, which is only tried",
        "APM2 8.2.18; APM3 3 ENTER",
        frozenset({"MASKMOVDQU", "MASKMOVQ", "ENTER"}),
        lambda case, ours, theirs: theirs["vector"] == 17,
        ANY,
    ),
    Known(
        HOST,
        "finds an address that is not canonical, or #AC, before the alignment that is #GP",
        "APM2 8.5.1 Priorities; APM3 3 CMPXCHG16B; APM5 FXSAVE",
        frozenset({"FXSAVE", "FXRSTOR", "CMPXCHG8B"}),
        lambda case, ours, theirs: {ours["vector"], theirs["vector"]} <= {12, 13, 17},
        FAULT,
    ),
    Known(
        HOST,
        "has another order of #GP, #PF and #AC",
        "APM2 8.5.1 Priorities",
        frozenset(STRING | {"FSTP", "FBSTP", "FBLD", "FRSTOR", "FNSAVE", "FLDENV", "FNSTENV"}),
        lambda case, ours, theirs: {ours["vector"], theirs["vector"]} <= {12, 13, 14, 17},
        FAULT,
    ),
    Known(
        HOST,
        "reads a word only, where the destination is one",
        "APM3 3 MOVSXD; SDM 2 MOVSXD",
        frozenset({"MOVSXD"}),
        lambda case, ours, theirs: ":16" in case.symbol,
        ANY,
    ),
    Known(
        HOST,
        "finds that there is no such segment register before it looks at the operand",
        "APM2 8.5.1 Priorities",
        frozenset({"MOV"}),
        lambda case, ours, theirs: ":8C_" in case.symbol and theirs["vector"] == 6,
        FAULT,
    ),
]
