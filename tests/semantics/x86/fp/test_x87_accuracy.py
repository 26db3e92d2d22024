"""Elementary functions round to nearest what 256 bits of precision say."""

from collections.abc import Callable
from fractions import Fraction
from random import Random

import pytest

from tests.semantics.x86.fp import exact
from tests.semantics.x86.fp.host import Case
from tests.semantics.x86.fp.x87_check import MASKED, compiled, make
from worldswitch.metal.x86.fp import x87

COUNT = 300
LIMIT = Fraction(5001, 10000)
"""Units in the last place: nearest, but for what cannot be told from a half."""
PI_66 = Fraction(0x3243F6A8885A308D3, 1 << 64)


def number(random: Random, low: int, high: int) -> int:
    """A number whose magnitude is from 2**low to 2**high."""
    return make(
        random.getrandbits(1),
        0x3FFF + random.randrange(low, high),
        random.getrandbits(64) | 1 << 63,
    )


def circular(x: Fraction, turn: int) -> int:
    """The sine of x and `turn` quarter turns, by the processor's pi."""
    n = round(2 * x / PI_66)
    rest = exact.fixed(x - n * PI_66 / 2)
    quarter = (n + turn) & 3
    wave = exact.circular(rest, 1 - (quarter & 1))
    return -wave if quarter & 2 else wave


def ratio(y: Fraction, x: Fraction) -> int:
    """The angle of a point."""
    if abs(y) <= abs(x):
        angle = exact.arctangent(exact.fixed(y / x))
        return angle if x > 0 else angle + (exact.PI if y > 0 else -exact.PI)
    angle = exact.arctangent(exact.fixed(x / y))
    return (exact.PI // 2 if y > 0 else -exact.PI // 2) - angle


Reference = Callable[[Fraction, Fraction], int]
FUNCTIONS: dict[str, tuple[int, int, Reference]] = {
    "f80_2xm1": (
        -20, 0,
        lambda x, y: exact.exponential(exact.fixed(x) * exact.LN2 >> exact.POINT) - exact.UNIT,
    ),
    "f80_yl2x": (
        -40, 40,
        lambda x, y: int(exact.logarithm(abs(x)) * y / Fraction(exact.LN2, exact.UNIT)),
    ),
    "f80_yl2xp1": (
        -30, -2,
        lambda x, y: int(exact.logarithm(1 + x) * y / Fraction(exact.LN2, exact.UNIT)),
    ),
    "f80_sin": (-20, 40, lambda x, y: circular(x, 0)),
    "f80_cos": (-20, 40, lambda x, y: circular(x, 1)),
    "f80_tan": (
        -20, 40,
        lambda x, y: (circular(x, 0) << exact.POINT)
        // circular(x, 1),
    ),
    "f80_atan": (-20, 20, lambda x, y: ratio(y, x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementary_function_rounds_to_nearest(name: str) -> None:
    random = Random(5)
    low, high, reference = FUNCTIONS[name]
    cases = [Case(MASKED, number(random, low, high), number(random, -10, 10)) for _ in range(COUNT)]
    if name == "f80_yl2x":
        cases = [Case(MASKED, c.a & (1 << 79) - 1, c.b) for c in cases]
    for case, result in zip(cases, compiled().run(getattr(x87, name), cases), strict=True):
        wanted = reference(exact.value(case.a), exact.value(case.b))
        far = exact.units(result[0], wanted)
        assert far <= LIMIT, f"{case.a:020x} {case.b:020x}: {result[0]:020x} by {float(far)}"
