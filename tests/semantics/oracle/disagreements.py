"""Where the emulator departs from the architecture.

Each row was settled by the Principles of Operation (SA22-7832), and in all of them the emulator is
the one that is wrong, or the architecture leaves the result open. Where this project was wrong, the
instruction was corrected and its case became a test (tests/semantics/s390x/test_findings.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.semantics.oracle.layout import PSW_64, Case
from tests.semantics.oracle.outcome import Outcome
from tests.semantics.oracle.refused import some
from tests.semantics.oracle.traits import BRANCHES

Rule = Callable[[Case, Outcome, Outcome], bool]
SPECIFICATION, ADDRESSING, DATA, FIXED_POINT_OVERFLOW = 6, 5, 7, 8
INTERRUPTED = frozenset({"ilc", "code", "address"})
TARGET_OFFSET = 64
"""Where an EXECUTE's target stands in its slot."""
REGISTERS = frozenset(f"r{n}" for n in range(16))
ACCESS_REGISTERS = frozenset(f"a{n}" for n in range(16))
FLOATS = frozenset(f"f{n}" for n in range(16))


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
    return case.text[1] & 15 not in (1, 2, 3, 4, 6, 8, 12, 15)


def zero_mask(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """No byte is selected, and only we look at the operand's first byte nevertheless."""
    return case.text[1] & 15 == 0 and ours["code"] == ADDRESSING


def executed_without_base(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """EXECUTE of a storage-to-storage instruction, one of whose base fields is zero."""
    target = case.slot[TARGET_OFFSET:]
    return target[0] >> 4 == 0xD and (target[2] >> 4 == 0 or target[4] >> 4 == 0)


def strings_overlap(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Operands in register pairs may share bytes: a character may become four."""
    first, second = (case.text[3] >> 4, case.text[3] & 15)
    if case.mnemonic == "MVCLU":
        first, second = (case.text[1] >> 4, case.text[1] & 15)
    apart = abs((case.gprs[first] & 0xFF_FFFF) - (case.gprs[second] & 0xFF_FFFF))
    return apart < 4 * max(case.gprs[n | 1] & 0xFFFF for n in (first, second))


def padded_from_the_pairs(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The padding character comes from a register that a unit of operation advances.

    The case goes on after condition code 3, which the processor may present at any time: the
    character depends on where it did.
    """
    base, first, second = case.text[2] >> 4, case.text[1] >> 4, case.text[1] & 15
    return base != 0 and base in {first, first | 1, second, second | 1}


def table_overlaps(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """The translation table of TROT, 512 bytes from register 1, and the destination share bytes."""
    first = case.text[3] >> 4
    table, destination = (case.gprs[n] & 0xFF_FFFF for n in (1, first))
    return -2 * (case.gprs[first | 1] & 0xFFFF) < destination - table < 512


def unequal_before(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Only we look at the bytes after the first unequal one."""
    return ours["code"] == ADDRESSING and theirs["code"] == 0 and theirs["cc"] >> 28 & 3 != 0


def overlapping(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Two storage operands of an SS instruction share bytes; each is taken as 64 bytes long."""
    text, registers = case.text, case.gprs
    first, second = (
        ((text[at] & 15) << 8 | text[at + 1]) + (registers[text[at] >> 4] if text[at] >> 4 else 0)
        for at in (2, 4)
    )
    limit = 2**64 if wide(case) else 2**31 if case.mask & 1 << 31 else 2**24
    return (second - first) % limit < 64 or (first - second) % limit < 64


def overflow_to_zero(case: Case, ours: Outcome, theirs: Outcome) -> bool:
    """Overflow whose result or minuend is zero."""
    return ours["cc"] >> 28 & 3 == 3


OVERFLOWS = some(
    "AR SR A S AH SH AY SY AHY SHY AGR SGR AGFR SGFR AG SG AGF SGF AHI AGHI AFI AGFI ARK AGRK "
    "SRK SGRK AHIK AGHIK AIH AHHHR AHHLR SHHHR SHHLR LCR LPR LCGR LPGR LCGFR LPGFR SLA SLDA "
    "SLAK SLAG ASI AGSI LAA LAAG"
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
        "takes R2 = 0 as address and length zero",
        "PoP 7 CHECKSUM",
        some("CKSM"),
        lambda case, ours, theirs: case.text[3] & 15 == 0,
        REGISTERS,
    ),
    Known(
        "the operands overlap destructively: the result is open",
        "PoP 7 MOVE LONG UNICODE, CONVERT UTF-8 TO UTF-32, TRANSLATE ONE TO TWO",
        some("MVCLU TROT CU12 CU14 CU21 CU24 CU41 CU42"),
        strings_overlap,
        REGISTERS | {"cc", "window"},
    ),
    Known(
        "the padding character changes from unit to unit",
        "PoP 7 MOVE LONG EXTENDED, MOVE LONG UNICODE",
        some("MVCLE MVCLU"),
        padded_from_the_pairs,
        REGISTERS | {"window"},
    ),
    Known(
        "the destination overlaps the table: the result is open",
        "PoP 7 TRANSLATE ONE TO TWO",
        some("TROT"),
        table_overlaps,
        REGISTERS | {"cc", "window"},
    ),
    Known(
        "stops at the first unequal byte, after which access exceptions are left open",
        "PoP 7 COMPARE LOGICAL CHARACTERS UNDER MASK",
        some("CLM CLMY CLMH"),
        unequal_before,
        INTERRUPTED | {"cc"},
    ),
    Known(
        "the operands overlap: the result is open",
        "PoP 7 UNPACK ASCII, UNPACK UNICODE",
        some("UNPKA UNPKU"),
        overlapping,
        frozenset({"window"}),
    ),
    Known(
        "loses the leftmost digit",
        "PoP 7 PACK ASCII, PACK UNICODE",
        some("PKA PKU"),
        lambda case, ours, theirs: ours["code"] in (0, ADDRESSING),
        INTERRUPTED | {"window"},
    ),
    Known(
        "shifts by 32 bits to test an alignment of one byte",
        "PoP 7 COMPARE AND SWAP AND STORE",
        some("CSST"),
        lambda case, ours, theirs: case.gprs[0] >> 8 & 0xFF == 0 and theirs["code"] == 6,
        INTERRUPTED | REGISTERS | {"cc", "window"},
    ),
    Known(
        "puts the word into the left half of R3",
        "PoP 7 COMPARE AND SWAP AND STORE",
        some("CSST"),
        lambda case, ours, theirs: case.gprs[0] & 0xFF == 0,
        REGISTERS,
    ),
    Known(
        "accepts odd registers for pairs, of which the last is another register file's",
        "PoP 7 COMPARE DOUBLE AND SWAP",
        some("CDS CDSY CDSG"),
        interrupts(SPECIFICATION),
        INTERRUPTED | REGISTERS | FLOATS | {"cc", "window"},
    ),
    Known(
        "tells the length of another instruction",
        "PoP 6 Instruction-Length Code",
        some("CRT CGRT CLRT CLGRT CIT CGIT CLFIT CLGIT CLT CLGT"),
        both(DATA),
        frozenset({"ilc", "address"}),
    ),
    Known(
        "does not check the bits of register 0 that have to be zero",
        "PoP 7 COMPARE LOGICAL STRING, MOVE STRING, SEARCH STRING",
        some("CLST MVST SRST SRSTU"),
        interrupts(SPECIFICATION),
        INTERRUPTED | REGISTERS | {"cc", "window"},
    ),
    Known(
        "reads and writes other registers",
        "PoP 18 LOAD LENGTHENED",
        some("LDER"),
        always,
        FLOATS,
    ),
    Known(
        "does not tell that the overflow or underflow is inexact too",
        "PoP 6 Data-Exception Code; PoP 19 LOAD FPC AND SIGNAL",
        some("LFAS SFASR"),
        both(DATA),
        frozenset({"fpc"}),
    ),
    Known(
        "takes general register 0 as a base",
        "PoP 5 Address Generation",
        some("EX EXRL"),
        executed_without_base,
        INTERRUPTED | REGISTERS | {"cc", "window"},
    ),
    Known(
        "looks at the operand although the condition is not met, which is left open",
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
        "accepts lengths that are odd",
        "PoP 7 MOVE LONG UNICODE",
        some("MVCLU CLCLU"),
        interrupts(SPECIFICATION),
        INTERRUPTED | REGISTERS | {"cc", "window"},
    ),
    Known(
        "R2 was left at the last unit that ended with condition code 3",
        "PoP 7 MOVE STRING",
        some("MVST"),
        always,
        REGISTERS,
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
        some("TRE"),
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
