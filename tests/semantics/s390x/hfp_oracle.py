"""Hexadecimal floating point by Python's exact fractions, independently of the model.

A number is a `Number` of sign, characteristic and fraction digits in one integer; a format is the
count of its digits. ref: PoP chapter 18.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from worldswitch.arch.s390x.program import ProgramCode

SHORT, LONG, EXTENDED = 6, 14, 28
UNDERFLOW, SIGNIFICANCE = 1 << 41, 1 << 40


@dataclass(frozen=True)
class Number:
    """A number of `digits` digits as it stands in storage or registers."""

    sign: int
    characteristic: int
    fraction: int
    digits: int

    @property
    def value(self) -> Fraction:
        """The number that is meant."""
        magnitude = Fraction(self.fraction) * Fraction(16) ** (
            self.characteristic - 64 - self.digits
        )
        return -magnitude if self.sign else magnitude

    @property
    def words(self) -> tuple[int, ...]:
        """The registers' contents: one of 32 or 64 bits, or two."""
        if self.digits < EXTENDED:
            width = 4 * self.digits
            return ((self.sign << 7 | self.characteristic) << width | self.fraction,)
        low = self.characteristic - 14 & 127
        if self.fraction == self.characteristic == 0:
            low = 0
        top, rest = self.fraction >> 56, self.fraction & (1 << 56) - 1
        return (
            (self.sign << 7 | self.characteristic) << 56 | top,
            (self.sign << 7 | low) << 56 | rest,
        )

    @property
    def cc(self) -> int:
        """The condition code of a result."""
        return 0 if self.fraction == 0 else 1 if self.sign else 2


Result = tuple[Number, ProgramCode | None]


def zero(digits: int, sign: int = 0) -> Number:
    """True zero."""
    return Number(sign, 0, 0, digits)


def finished(sign: int, characteristic: int, fraction: int, digits: int, mask: int) -> Result:
    """A result with what its exponent causes."""
    number = Number(sign, characteristic & 127, fraction, digits)
    if characteristic > 127:
        return number, ProgramCode.HFP_EXPONENT_OVERFLOW
    if characteristic < 0:
        if mask & UNDERFLOW:
            return number, ProgramCode.HFP_EXPONENT_UNDERFLOW
        return zero(digits), None
    return number, None


def cut(value: Fraction, digits: int) -> tuple[int, int]:
    """Characteristic and fraction of a positive value, normalized, cut to so many digits."""
    power = 0
    while value >= Fraction(16) ** power:
        power += 1
    while value < Fraction(16) ** (power - 1):
        power -= 1
    return power + 64, math.floor(value * Fraction(16) ** (digits - power))


def nearest_cut(value: Fraction, digits: int, mask: int = 0) -> Result:
    """A value as a normalized number, cut."""
    if value == 0:
        return zero(digits), None
    characteristic, fraction = cut(abs(value), digits)
    return finished(int(value < 0), characteristic, fraction, digits, mask)


def guarded(a: Number, b: Number) -> tuple[int, int]:
    """Characteristic and signed fraction, with one guard digit, of a sum."""
    big, small = (a, b) if a.characteristic >= b.characteristic else (b, a)
    aligned = (small.fraction << 4) // 16 ** (big.characteristic - small.characteristic)
    total = (-1) ** big.sign * (big.fraction << 4) + (-1) ** small.sign * aligned
    return big.characteristic, total


def add(a: Number, b: Number, mask: int, normalizing: bool = True) -> Result:
    """ADD NORMALIZED or UNNORMALIZED."""
    digits = a.digits
    characteristic, total = guarded(a, b)
    sign, fraction = int(total < 0), abs(total)
    if fraction >= 16 ** (digits + 1):
        return finished(sign, characteristic + 1, fraction // 256, digits, mask)
    if not normalizing:
        fraction = fraction // 16 * 16
    if fraction == 0:
        if mask & SIGNIFICANCE:
            return Number(0, characteristic, 0, digits), ProgramCode.HFP_SIGNIFICANCE
        return zero(digits), None
    while normalizing and fraction < 16**digits:
        fraction *= 16
        characteristic -= 1
    return finished(sign, characteristic, fraction // 16, digits, mask)


def compare(a: Number, b: Number) -> int:
    """COMPARE's condition code."""
    _, total = guarded(a, Number(b.sign ^ 1, b.characteristic, b.fraction, b.digits))
    return 0 if total == 0 else 1 if total < 0 else 2


def round_to(a: Number, digits: int, mask: int) -> Result:
    """LOAD ROUNDED."""
    dropped = 16 ** (a.digits - digits)
    fraction = (a.fraction + dropped // 2) // dropped
    if fraction == 16**digits:
        return finished(a.sign, a.characteristic + 1, fraction // 16, digits, mask)
    return finished(a.sign, a.characteristic, fraction, digits, mask)


def halve(a: Number, mask: int) -> Result:
    """HALVE."""
    return nearest_cut(a.value / 2, a.digits, mask)


def square_root(a: Number) -> Number:
    """SQUARE ROOT of a number that is not negative."""
    if a.fraction == 0:
        return zero(a.digits)
    power = 0
    value = a.value
    while value >= Fraction(16) ** (2 * power):
        power += 1
    while value < Fraction(16) ** (2 * (power - 1)):
        power -= 1
    # The root with one more bit, cut, then rounded by that bit.
    scaled = value * Fraction(16) ** (2 * (a.digits - power)) * 4
    root = math.isqrt(math.floor(scaled)) + 1 >> 1
    return Number(0, power + 64, root, a.digits)


def rounded_integer(value: Fraction, method: int) -> int:
    """A value as an integer by an M3 rounding method."""
    if method in (0, 5):
        return math.trunc(value)
    if method == 6:
        return math.ceil(value)
    if method == 7:
        return math.floor(value)
    if method == 4:
        return round(value)
    return math.floor(abs(value) + Fraction(1, 2)) * (-1 if value < 0 else 1)


def to_fixed(a: Number, method: int, bits: int) -> tuple[int, int]:
    """CONVERT TO FIXED: the integer modulo 2**bits, and the condition code."""
    value = rounded_integer(a.value, method)
    least, greatest = -(1 << bits - 1), (1 << bits - 1) - 1
    cc = 3 if not least <= value <= greatest else a.cc
    return min(max(value, least), greatest) & ((1 << bits) - 1), cc
