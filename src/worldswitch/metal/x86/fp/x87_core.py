"""The double-extended format, and rounding to it. ref: APM1 6.3, 6.8

A number is a u128 with the 80 bits of a register at the right. Bit 80 marks an operand from memory
that was denormal there, though it is normal here.
"""

from worldswitch.engine import clz, i64, typed, u16, u64, u128
from worldswitch.metal.softfloat.parts import shift_right_jam
from worldswitch.metal.x86.fp.exceptions import (
    BEFORE,
    DE,
    FLAGS,
    IE,
    OE,
    PE,
    UE,
    overflows_to_infinity,
    rounds_up,
)

SF = 0x40
"""Stack fault."""
ES = 0x80
"""Exception summary: an unmasked exception is pending."""
C0 = 0x100
C1 = 0x200
C2 = 0x400
C3 = 0x4000
BUSY = 0x8000
DEFINED = 0x8000
"""In a status next to a result: the operation defines C0, C2 and C3."""
CONDITIONS = C0 | C2 | C3

# Classes, in an order by which operands are tested.
ZERO = 0
FINITE = 1
INFINITE = 2
QUIET = 3
SIGNALLING = 4
UNSUPPORTED = 5
"""Unnormals, pseudo-NaNs and pseudo-infinities: operands that the processor refuses."""

INTEGER_BIT = 1 << 63
QUIET_BIT = 1 << 62
SIGN = 1 << 79
MARK = 1 << 80
BIAS = 16383
LARGEST_FIELD = 0x7FFF
INFINITY = LARGEST_FIELD << 64 | INTEGER_BIT
INDEFINITE = SIGN | INFINITY | QUIET_BIT
"""The default NaN."""
ONE = BIAS << 64 | INTEGER_BIT
SCALE = 24576
"""What an unmasked overflow or underflow changes the exponent by. ref: APM1 6.8.2"""

EXTENDED_PRECISION = 0x300
"""Precision control for 64 bits."""


@typed(inline=True)
def significand_of(a: u128) -> u64:
    """The significand, with its integer bit."""
    return u64(a)


@typed(inline=True)
def field_of(a: u128) -> u64:
    """The biased exponent."""
    return u64(a >> 64) & LARGEST_FIELD


@typed(inline=True)
def sign_of(a: u128) -> u64:
    """1 if negative."""
    return u64(a >> 79) & 1


@typed(inline=True)
def make(sign: u64, field: u64, significand: u64) -> u128:
    """A number of its parts."""
    return (u128((sign << 15) | field) << 64) | u128(significand)


@typed(inline=False)
def classify(a: u128) -> u64:
    """ZERO, FINITE (denormal too), INFINITE, QUIET, SIGNALLING or UNSUPPORTED."""
    significand = u64(a)
    field = field_of(a)
    if field == 0:
        return u64(ZERO) if significand == 0 else u64(FINITE)
    if significand >> 63 == 0:
        return u64(UNSUPPORTED)
    if field != LARGEST_FIELD:
        return u64(FINITE)
    if significand << 1 == 0:
        return u64(INFINITE)
    return u64(QUIET) if significand & QUIET_BIT != 0 else u64(SIGNALLING)


@typed(inline=True)
def denormal_flag(a: u128) -> u16:
    """DE if it is a denormal or pseudo-denormal, or was denormal in memory."""
    if (field_of(a) == 0 and u64(a) != 0) or a & MARK != 0:
        return u16(DE)
    return u16(0)


@typed(inline=True)
def canonical(a: u128) -> u128:
    """The number with the exponent field 1 if it is a pseudo-denormal."""
    if field_of(a) == 0 and a & INTEGER_BIT != 0:
        return a | (u128(1) << 64)
    return a


@typed(inline=True)
def split(a: u128) -> tuple[i64, u128]:
    """Exponent and significand of a finite nonzero number, with the leading one in bit 127."""
    field = i64(field_of(a))
    if field == 0:
        field = i64(1)
    zeros = clz(u64(a))
    return field - BIAS - i64(zeros), u128(u64(a) << zeros) << 64


@typed(inline=True)
def rounding_of(control: u16) -> u64:
    """Rounding control."""
    return u64((control >> 10) & 3)


@typed(inline=True)
def dropped(control: u16) -> u64:
    """Bits right of the precision in a significand of 128 bits, by precision control."""
    precision = (control >> 8) & 3
    if precision == 0:
        return u64(128 - 24)
    return u64(128 - 53) if precision == 2 else u64(128 - 64)


@typed(inline=True)
def extended(control: u16) -> u16:
    """The control word with 64 bits of precision, for operations that do not look at it."""
    return control | EXTENDED_PRECISION


@typed(inline=False)
def round_off(control: u16, sign: u64, m: u128, drop: u64) -> tuple[u128, bool, u16]:
    """A significand without its last `drop` bits, whether it carried out, and PE and C1."""
    unit = u128(1) << drop
    rest = m & (unit - 1)
    kept = m - rest
    if rest == 0:
        return kept, False, u16(0)
    if rounds_up(rounding_of(control), sign, kept & unit != 0, rest, unit >> 1):
        kept = kept + unit
        return kept, kept == 0, u16(PE | C1)
    return kept, False, u16(PE)


@typed(inline=False)
def deliver_huge(control: u16, sign: u64, e: i64, kept: u128, status: u16) -> tuple[u128, u16]:
    """The result of an overflow."""
    if control & OE == 0:
        field = e - SCALE + BIAS
        if field < LARGEST_FIELD:
            return make(sign, u64(field), u64(kept >> 64)), status | OE
        return make(sign, u64(LARGEST_FIELD), u64(INTEGER_BIT)), u16(OE | PE | C1)
    if overflows_to_infinity(rounding_of(control), sign):
        return make(sign, u64(LARGEST_FIELD), u64(INTEGER_BIT)), u16(OE | PE | C1)
    largest = ~u64(0) << (dropped(control) - 64)
    return make(sign, u64(LARGEST_FIELD - 1), largest), u16(OE | PE)


@typed(inline=False)
def deliver_tiny(control: u16, sign: u64, exponent: i64, m: u128) -> tuple[u128, u16]:
    """The masked result of an underflow."""
    jammed = shift_right_jam(m, u64(1 - BIAS - exponent))
    kept, _, status = round_off(control, sign, jammed, dropped(control))
    significand = u64(kept >> 64)
    if status != 0:
        status = status | UE
    # A carry into the integer bit makes the smallest normal number.
    return make(sign, significand >> 63, significand), status


@typed(inline=False)
def deliver(control: u16, sign: u64, exponent: i64, m: u128) -> tuple[u128, u16]:
    """Round a nonzero number as the control word says. Tininess is detected after rounding.

    The last bit of the significand stands for all ones to the right of it too.
    """
    kept, carried, status = round_off(control, sign, m, dropped(control))
    e = exponent
    if carried:
        kept = u128(1) << 127
        e += 1
    if e > BIAS:
        return deliver_huge(control, sign, e, kept, status)
    if e < 1 - BIAS:
        if control & UE != 0:
            return deliver_tiny(control, sign, exponent, m)
        field = e + SCALE + BIAS
        if field > 0:
            return make(sign, u64(field), u64(kept >> 64)), status | UE
        return make(sign, u64(0), u64(0)), status | (UE | PE)
    return make(sign, u64(e + BIAS), u64(kept >> 64)), status


@typed(inline=True)
def invalid() -> tuple[u128, u16]:
    """The result of an invalid operation."""
    return u128(INDEFINITE), u16(IE)


@typed(inline=False)
def nan_result(a: u128, b: u128) -> tuple[u128, u16]:
    """The result if one operand is a NaN or unsupported. ref: APM1 6.3.4

    Of two NaNs it is the quiet one if the other is signalling, else the one with the larger
    significand.
    """
    of_a = classify(a)
    of_b = classify(b)
    if of_a == UNSUPPORTED or of_b == UNSUPPORTED:
        return invalid()
    status = u16(of_a == SIGNALLING or of_b == SIGNALLING)
    chosen = a
    if of_a < QUIET:
        chosen = b
    elif of_b >= QUIET:
        if of_a != of_b:
            if of_a == SIGNALLING:
                chosen = b
        elif u64(a) < u64(b) or (u64(a) == u64(b) and sign_of(a) > sign_of(b)):
            chosen = b
    return (chosen & (MARK - 1)) | QUIET_BIT, status


@typed(inline=True)
def considered(control: u16, a: u128, result: u128, status: u16) -> tuple[u128, u16]:
    """The outcome, or the unchanged operand `a` and the exceptions that came before.

    With an unmasked invalid operation, denormal operand or division by zero nothing is computed.
    """
    if status & ~control & BEFORE != 0:
        return a & (MARK - 1), status & BEFORE
    return result, status


@typed(inline=True)
def withheld(status: u16, control: u16) -> bool:
    """An unmasked exception keeps the instruction from writing registers, and from popping."""
    return status & ~control & BEFORE != 0


@typed(inline=True)
def withheld_store(status: u16, control: u16) -> bool:
    """An unmasked exception keeps the instruction from storing, and from popping."""
    return status & ~control & (BEFORE | OE | UE) != 0


@typed(inline=False)
def status_after(before: u16, status: u16, control: u16) -> u16:
    """The status word after an operation."""
    word = (before & ~u16(C1)) | (status & (FLAGS | SF | C1))
    if status & DEFINED != 0:
        word = (word & ~u16(CONDITIONS)) | (status & CONDITIONS)
    if word & ~control & FLAGS != 0:
        word = word | (ES | BUSY)
    return word


@typed(inline=True)
def invalid_status(c1: bool) -> u16:
    """The status of a stack overflow (C1) or underflow."""
    return u16(IE | SF | C1) if c1 else u16(IE | SF)
