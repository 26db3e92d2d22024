"""What is known of the emulator: where it crashes, and where it departs from the architecture.

Each row was settled by the Principles of Operation (SA22-7832), and in all of them the emulator is
the one that is wrong, or the architecture leaves the result open. Where this project was wrong, the
instruction was corrected and its case became a test
(tests/semantics/s390x/test_oracle_findings.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.semantics.oracle.layout import PSW_64, Case
from tests.semantics.oracle.outcome import Outcome
from tests.semantics.oracle.traits import BRANCHES

Rule = Callable[[Case, Outcome, Outcome], bool]
SPECIFICATION, ADDRESSING, DATA, FIXED_POINT_OVERFLOW = 6, 5, 7, 8
INTERRUPTED = frozenset({"ilc", "code", "address"})
REGISTERS = frozenset(f"r{n}" for n in range(16))
ACCESS_REGISTERS = frozenset(f"a{n}" for n in range(16))
FLOATS = frozenset(f"f{n}" for n in range(16))


@dataclass(frozen=True)
class Crash:
    """Instructions that end the emulator's process; they are not given to it."""

    mnemonics: frozenset[str]
    when: Callable[[Case], bool]
    reason: str


CRASHES = [
    Crash(
        frozenset({"RNSBG", "ROSBG", "RXSBG"}),
        lambda case: case.text[2] & 0x80 != 0,
        "the test-results control (T) ends its translator",
    ),
]


def crashes(case: Case) -> bool:
    """Whether the emulator is known to crash on a case."""
    return any(case.mnemonic in row.mnemonics and row.when(case) for row in CRASHES)


@dataclass(frozen=True)
class Known:
    """A kind of disagreement: where it occurs, and what may differ."""

    reason: str
    ref: str
    mnemonics: frozenset[str] | None
    """None: any."""
    when: Rule
    differs: frozenset[str]


def wide(case: Case) -> bool:
    """Whether the case runs in the 64-bit addressing mode."""
    return case.mask & PSW_64 == PSW_64


def always(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The rows of instructions that the emulator has wrong throughout."""
    return True


def narrow(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """In the 24-bit and 31-bit addressing modes."""
    return not wide(case)


def interrupts(code: int) -> Rule:
    """Only we present the program interruption."""
    return lambda case, ours, theirs: ours["code"] == code and theirs["code"] != code


def both(code: int) -> Rule:
    """Both sides present the program interruption."""
    return lambda case, ours, theirs: ours["code"] == theirs["code"] == code


def low_halves_agree(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """In the 24-bit and 31-bit modes: registers differ only in what no address has."""
    kept = 0x00FF_FFFF if not case.mask & 1 << 31 else 0x7FFF_FFFF
    pairs = zip(ours.values[:16], theirs.values[:16], strict=True)
    return not wide(case) and all((a ^ b) & kept == 0 for a, b in pairs)


def odd_branch(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The branch address is odd."""
    return ours["code"] == SPECIFICATION and ours["address"] & 1 == 1


def wild_branch(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The emulator went on outside of what the addressing mode can address."""
    limit = 0x7FFF_FFFF if case.mask & 1 << 31 else 0xFF_FFFF
    return not wide(case) and theirs["address"] > limit


def immediate_above_7fff(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The immediate field's leftmost bit is one."""
    return case.text[2] & 0x80 != 0


def sparse_mask(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The mask of INSERT CHARACTERS UNDER MASK is not one run of ones."""
    return case.text[1] & 15 not in (1, 2, 3, 4, 6, 7, 8, 12, 14, 15)


def zero_mask(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """No byte is selected, and only we look at the operand's first byte nevertheless."""
    return case.text[1] & 15 == 0 and ours["code"] == ADDRESSING


def same_registers(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """R1 of CHECKSUM is one of the registers of the second operand."""
    return (case.text[3] >> 4) | 1 == (case.text[3] & 15) | 1


def overflow_to_zero(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Overflow whose result or minuend is zero."""
    return ours["cc"] >> 28 & 3 == 3


def some(text: str) -> frozenset[str]:
    """Mnemonics from a list."""
    return frozenset(text.split())


OVERFLOWS = some(
    "AR SR A S AH SH AY SY AHY SHY AGR SGR AGFR SGFR AG SG AGF SGF AGH AHI AGHI AFI AGFI ARK AGRK "
    "SRK SGRK AHIK AGHIK AIH AHHHR AHHLR SHHHR SHHLR LCR LPR LCGR LPGR LCGFR LPGFR SLA SLDA SLAK "
    "SLAG ASI AGSI LAA LAAG"
)
KNOWN = [
    Known(
        "presents no fixed-point-overflow interruption",
        "PoP 6 Fixed-Point-Overflow Exception",
        OVERFLOWS | {"EX", "EXRL"},
        interrupts(FIXED_POINT_OVERFLOW),
        INTERRUPTED | {"cc"},
    ),
    Known(
        "loses the overflow of an addition or subtraction around zero",
        "PoP 7 ADD, SUBTRACT",
        OVERFLOWS,
        overflow_to_zero,
        frozenset({"cc"}),
    ),
    Known(
        "takes the immediate field as signed",
        "PoP 7 COMPARE LOGICAL IMMEDIATE AND TRAP",
        some("CLFIT CLGIT"),
        immediate_above_7fff,
        INTERRUPTED | {"fpc"},
    ),
    Known(
        "changes the other half of the register, or the wrong bits of this one",
        "PoP 7 ROTATE THEN INSERT SELECTED BITS HIGH, LOW",
        some("RISBHG RISBLG"),
        always,
        REGISTERS,
    ),
    Known(
        "compares a word instead of the halfword",
        "PoP 7 COMPARE HALFWORD RELATIVE LONG",
        some("CHRL CGHRL"),
        always,
        frozenset({"cc"}),
    ),
    Known(
        "does not check alignment",
        "PoP 7 (relative-long operands), LOAD PAIR DISJOINT, COMPARE AND SWAP",
        some("CRL CGRL CGFRL CLRL CLGRL CLGFRL LRL LGRL LGFRL LLGFRL STRL STGRL"),
        interrupts(SPECIFICATION),
        INTERRUPTED | REGISTERS | {"cc", "window"},
    ),
    Known(
        "looks at the access before the alignment",
        "PoP 6 Multiple Program-Interruption Conditions",
        some("LPD LPDG"),
        interrupts(SPECIFICATION),
        INTERRUPTED,
    ),
    Known(
        "tells the target's length instead of EXECUTE's",
        "PoP 6 Instruction-Length Code",
        some("EX EXRL"),
        lambda case, ours, theirs: ours["code"] == theirs["code"] != 0,
        frozenset({"ilc", "address"}),
    ),
    Known(
        "clears or sets address bits that the mode leaves alone",
        "PoP 5 Address Generation; PoP 7 the instructions' notes on the addressing modes",
        None,
        low_halves_agree,
        REGISTERS,
    ),
    Known(
        "executes a halfword from the odd address",
        "PoP 6 Specification Exception",
        frozenset(BRANCHES),
        odd_branch,
        INTERRUPTED,
    ),
    Known(
        "does not cut the branch address to the mode's size",
        "PoP 5 Addressing Modes",
        frozenset(BRANCHES),
        wild_branch,
        INTERRUPTED,
    ),
    Known(
        "has no such instruction",
        "PoP Appendix B",
        some("BSM BASSM CPYA LZRF LZRG LLZRGF CVB CVBY CVBG CVDG LMD"),
        lambda case, ours, theirs: theirs["code"] == 1,
        INTERRUPTED | REGISTERS | ACCESS_REGISTERS | {"window", "psw", "psw2", "fpc", "cc"},
    ),
    Known(
        "takes the second operand from the low half",
        "PoP 7 LOAD HIGH ON CONDITION",
        some("LOCFHR"),
        always,
        REGISTERS,
    ),
    Known(
        "does not cut the third operand to 32 bits",
        "PoP 7 ADD HIGH, SUBTRACT HIGH",
        some("AHHLR SHHLR ALHHLR SLHHLR"),
        always,
        frozenset({"cc"}),
    ),
    Known(
        "stores zeros",
        "PoP 7 STORE MULTIPLE HIGH",
        some("STMH"),
        always,
        frozenset({"window"}),
    ),
    Known(
        "loses the leftmost inserted bit of some masks",
        "PoP 7 INSERT CHARACTERS UNDER MASK",
        some("ICM ICMY ICMH"),
        sparse_mask,
        frozenset({"cc"}),
    ),
    Known(
        "after an addressing exception (termination) registers and storage are open",
        "PoP 5 Types of Instruction Ending",
        None,
        both(ADDRESSING),
        REGISTERS | ACCESS_REGISTERS | FLOATS | {"window", "cc"},
    ),
    Known(
        "accepts invalid rounding modes",
        "PoP 9 SET BFP ROUNDING MODE",
        some("SRNMB"),
        interrupts(SPECIFICATION),
        INTERRUPTED | {"fpc"},
    ),
    Known(
        "fetches a byte again that the first of its digits has overwritten",
        "PoP 7 UNPACK",
        some("UNPK"),
        always,
        frozenset({"window"}),
    ),
    Known(
        "looks at the operand where the condition is not met, which the architecture leaves open",
        "PoP 7 LOAD ON CONDITION",
        some("LOC LOCG LOCFH"),
        lambda case, ours, theirs: theirs["code"] == ADDRESSING and ours["code"] == 0,
        INTERRUPTED | REGISTERS,
    ),
    Known(
        "does not look at the first byte when the mask is zero",
        "PoP 7 COMPARE LOGICAL CHARACTERS UNDER MASK",
        some("CLM CLMY CLMH ICM ICMY ICMH"),
        zero_mask,
        INTERRUPTED | {"cc"},
    ),
    Known(
        "the operands overlap destructively: the result is open",
        "PoP 7 MOVE LONG EXTENDED",
        some("MVCLE"),
        always,
        frozenset({"window"}),
    ),
    Known(
        "the registers of the operands overlap: the result is open",
        "PoP 7 CHECKSUM",
        some("CKSM"),
        same_registers,
        REGISTERS | INTERRUPTED | {"cc"},
    ),
    Known(
        "changes access register 1 instead of R1",
        "PoP 7 LOAD ADDRESS EXTENDED",
        some("LAE LAEY"),
        always,
        ACCESS_REGISTERS | REGISTERS,
    ),
    Known(
        "does not wrap addresses in the 24-bit and 31-bit modes",
        "PoP 5 Address Generation",
        some("CKSM TRE"),
        narrow,
        INTERRUPTED | REGISTERS | {"cc", "window"},
    ),
]


def known(case: Case, ours: Outcome, theirs: Outcome) -> str:
    """Why a difference was to be expected; empty if it was not."""
    differs = ours.differing(theirs)
    for row in KNOWN:
        if (
            (row.mnemonics is None or row.mnemonics & {case.mnemonic, case.executed})
            and differs <= row.differs
            and row.when(case, ours, theirs)
        ):
            return f"{row.reason} ({row.ref})"
    return ""
