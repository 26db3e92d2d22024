"""The x87's elementary functions are within a unit in the last place of the processor's."""

from dataclasses import dataclass
from random import Random

import pytest

from tests.semantics.x86.fp.host import Case
from tests.semantics.x86.fp.x87_check import (
    ONE_RESULT,
    TWO_RESULTS,
    check,
    control,
    corners,
    make,
    neighbours,
    number,
    pairs,
    significand,
)
from worldswitch.metal.x86.fp import x87

FEW = 2000
MANY = 1_000_000
BATCH = 50_000


UNDEFINED = {"f80_2xm1": 0x3FFF, "f80_yl2xp1": 0x3FFD}
"""Exponent fields of x from which on a result is undefined."""
NO_ONE = "fstp %st(0); fstpt (%rsi)"


@dataclass(frozen=True)
class Operation:
    """A function, the instruction it stands for, and its results."""

    function: str
    body: str
    results: int = 1
    both: bool = False
    """Both operands count."""


OPERATIONS = [
    Operation("f80_2xm1", ONE_RESULT.replace("OP", "f2xm1")),
    Operation("f80_sin", ONE_RESULT.replace("OP", "fsin")),
    Operation("f80_cos", ONE_RESULT.replace("OP", "fcos")),
    Operation("f80_sincos", TWO_RESULTS.replace("OP", "fsincos"), 2),
    Operation("f80_tan", ONE_RESULT.replace("OP", "fptan").replace("fstpt (%rsi)", NO_ONE)),
    Operation("f80_yl2x", ONE_RESULT.replace("OP", "fyl2x"), both=True),
    Operation("f80_yl2xp1", ONE_RESULT.replace("OP", "fyl2xp1"), both=True),
    Operation("f80_atan", ONE_RESULT.replace("OP", "fpatan"), both=True),
]


def angle(random: Random) -> int:
    """A number that is often near a multiple of pi / 4."""
    if random.random() < 0.5:
        return number(random)
    multiple = 0x3243F6A8885A308D3 * random.getrandbits(random.randrange(1, 60))
    shift = max(multiple.bit_length() - 64, 0)
    near = (multiple >> shift) + random.choice((0, 0, 1, -1, random.getrandbits(20)))
    zeros = 64 - near.bit_length()
    return make(random.getrandbits(1), 0x3FFF + 63 - 66 + shift - max(zeros, 0),
                (near << max(zeros, 0)) & (1 << 64) - 1 | 1 << 63)  # fmt: skip


def operands(operation: Operation, random: Random) -> tuple[int, int]:
    """Operands for which the result is defined."""
    limit = UNDEFINED.get(operation.function)
    if limit is not None:
        field = limit - 1 - random.randrange(random.choice((3, 20, 80)))
        x = make(random.getrandbits(1), field, significand(random))
        return (x if random.random() < 0.8 else number(random, 0)), number(random)
    if not operation.both:
        return angle(random), 0
    if operation.function == "f80_yl2x" and random.random() < 0.3:
        # Near one, where the logarithm is small.
        distance = random.getrandbits(random.randrange(1, 63))
        ones = (1 << 64) - 1 - distance
        x = make(0, 0x3FFF, 1 << 63 | distance) if random.getrandbits(1) else make(0, 0x3FFE, ones)
        return x, number(random)
    a, b = pairs(random, 5)[4]
    return a & (1 << 79) - 1 if operation.function == "f80_yl2x" else a, b


def run(operation: Operation, random: Random, count: int) -> None:
    """Check an operation on random operands."""
    given: list[Case] = []
    limit = UNDEFINED.get(operation.function, 0x8000)
    while len(given) < count:
        a, b = operands(operation, random)
        if a >> 64 & 0x7FFF < limit or a >> 64 & 0x7FFF == 0x7FFF:
            given.append(Case(control(random), a, b))
    function = getattr(x87, operation.function)
    pushes = operation.results > 1  # then it leaves nothing, without a result
    check(function, operation.body, given, operation.results, stored=pushes, judge=neighbours)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.function)
def test_elementary_function_is_within_one_unit_of_processor(operation: Operation) -> None:
    run(operation, Random(1), FEW)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.function)
def test_elementary_function_on_corner_cases_matches_processor(operation: Operation) -> None:
    random, limit = Random(2), UNDEFINED.get(operation.function, 0x8000)
    firsts = [a for a in corners() if a >> 64 & 0x7FFF < limit or a >> 64 & 0x7FFF == 0x7FFF]
    seconds = corners() if operation.both else [0]
    given = [Case(control(random, True), a, b) for a in firsts for b in seconds]
    function = getattr(x87, operation.function)
    check(function, operation.body, given, operation.results, judge=neighbours)


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.function)
def test_elementary_function_on_many_cases_is_within_one_unit(operation: Operation) -> None:
    random = Random(3)
    for _ in range(MANY // BATCH):
        run(operation, random, BATCH)
