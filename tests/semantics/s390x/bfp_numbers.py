"""Operands for floating-point tests: boundary numbers, random ones, and FPC registers."""

from random import Random

from tests.semantics.s390x.bfp_oracle import MODES, Format


def boundaries(form: Format) -> list[int]:
    """Numbers at the edges of the format, of both signs."""
    fraction = form.precision - 1
    one = form.emax << fraction
    least_normal = 1 << fraction
    found = [
        0, 1, 2, 3, least_normal - 1, least_normal, least_normal + 1, least_normal << 1,
        one - 1, one, one + 1, one + (1 << fraction - 1), one + (1 << fraction),
        one + (3 << fraction - 1), one + (fraction << fraction), one + (fraction + 1 << fraction),
        form.infinity(0) - 2, form.infinity(0) - 1, form.infinity(0),
        form.nan, form.nan | 5, form.infinity(0) | 1, form.infinity(0) | 1 << fraction - 2,
    ]  # fmt: skip
    return [bits | sign << (form.bits - 1) for bits in found for sign in (0, 1)]


def significand(form: Format, random: Random) -> int:
    """Fraction bits: any, or with long runs of zeros or ones, which make ties and carries."""
    size = form.precision - 1
    kind = random.randrange(4)
    if kind == 0:
        return random.getrandbits(size)
    if kind == 1:
        return random.getrandbits(size) >> (keep := random.randrange(size)) << keep
    if kind == 2:
        return (1 << size) - 1 - random.getrandbits(1 + random.randrange(size))
    return random.getrandbits(2) << (size - 2) | random.getrandbits(2)


def number(form: Format, random: Random, near: int | None = None) -> int:
    """A number, with an exponent near `near`'s if given, else anywhere."""
    width = form.width
    field = random.getrandbits(width)
    if near is not None:
        around = near >> (form.precision - 1)
        reach = random.choice((1, 3, form.precision + 3))
        field = around + random.randint(-reach, reach)
    elif random.randrange(3) == 0:
        field = form.emax + random.randint(-form.precision - 3, form.precision + 3)
    elif random.randrange(4) == 0:
        field = random.choice((0, 1, 2, (1 << width) - 1, (1 << width) - 2))
    field &= (1 << width) - 1
    sign = random.getrandbits(1) << (form.bits - 1)
    return sign | field << (form.precision - 1) | significand(form, random)


def partner(form: Format, random: Random, a: int) -> int:
    """A second operand: in a relation to the first that matters, or any."""
    kind = random.randrange(5)
    magnitude = a & (1 << (form.bits - 1)) - 1
    if kind == 0:
        # With it the product is near the least normal number, or near the greatest.
        edge = random.choice((0, 2 * form.emax))
        field = edge + form.emax - (magnitude >> (form.precision - 1))
        return number(form, random, max(field, 0) << (form.precision - 1))
    if kind == 1:
        # With it the quotient is.
        field = (magnitude >> (form.precision - 1)) + random.choice((-1, 1)) * form.emax
        return number(form, random, max(field, 0) << (form.precision - 1))
    if kind in (2, 3):
        return number(form, random, magnitude)
    return number(form, random)


def control(random: Random, traps: bool = True) -> int:
    """An FPC register: often the plain one, else any rounding mode, masks and flags."""
    kind = random.randrange(4)
    if kind == 0:
        return random.choice((0, 0x0008_0000))
    fpc = random.choice(list(MODES))
    if kind >= 2 and traps:
        fpc |= random.getrandbits(5) << 27
    if kind == 3:
        fpc |= random.getrandbits(5) << 19
    return fpc
