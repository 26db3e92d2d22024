"""Elementary functions in integers with 256 bits behind the point, as another opinion."""

from fractions import Fraction
from math import isqrt

POINT = 256
UNIT = 1 << POINT


def fixed(x: Fraction) -> int:
    """A number in fixed point."""
    return (x.numerator << POINT) // x.denominator


def exponential(x: int) -> int:
    """e to the power of a fixed-point number of small magnitude."""
    total, term, k = UNIT, UNIT, 1
    while term not in (0, -1):
        term = term * x // (k << POINT)
        total += term
        k += 1
    return total


def odd_powers(x: int, sign: int) -> int:
    """x + sign * x**3 / 3 + x**5 / 5 + sign * ...: artanh with sign 1, the arc tangent with -1."""
    total, power, k = x, x, 1
    square = x * x >> POINT
    while power not in (0, -1):
        power = sign * (power * square >> POINT)
        k += 2
        total += power // k
    return total


def logarithm(x: Fraction) -> int:
    """The natural logarithm of a positive number."""
    halvings = 0
    while x > Fraction(4, 3):
        x, halvings = x / 2, halvings + 1
    while x < Fraction(2, 3):
        x, halvings = x * 2, halvings - 1
    return 2 * odd_powers(fixed((x - 1) / (x + 1)), 1) + halvings * LN2


LN2 = 2 * odd_powers(UNIT // 3, 1)
PI = 4 * (4 * odd_powers(UNIT // 5, -1) - odd_powers(UNIT // 239, -1))


def circular(x: int, k: int) -> int:
    """The cosine (k = 0) or sine (k = 1) of a fixed-point number."""
    term = x if k else UNIT
    total = term
    square = x * x >> POINT
    while term not in (0, -1):
        term = -(term * square >> POINT) // ((k + 1) * (k + 2))
        k += 2
        total += term
    return total


def arctangent(x: int) -> int:
    """The arc tangent of a fixed-point number: by halving the angle four times."""
    for _ in range(4):
        root = isqrt(UNIT * UNIT + x * x)
        x = (x << POINT) // (UNIT + root)
    return odd_powers(x, -1) << 4


def value(number: int) -> Fraction:
    """What a normal x87 number is worth."""
    e = (number >> 64 & 0x7FFF) - 0x3FFF - 63
    magnitude = Fraction(number & (1 << 64) - 1) * Fraction(2) ** e
    return -magnitude if number >> 79 else magnitude


def units(got: int, wanted: int) -> Fraction:
    """How far an x87 number is from a fixed-point one, in its units in the last place."""
    e = (got >> 64 & 0x7FFF) - 0x3FFF - 63
    return abs(value(got) - Fraction(wanted, UNIT)) / Fraction(2) ** e
