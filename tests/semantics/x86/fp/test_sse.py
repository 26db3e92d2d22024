"""SSE's arithmetic, comparisons and conversions are the processor's, with all flags."""

from dataclasses import dataclass
from random import Random

import pytest

from tests.semantics.x86.fp.host import Case
from tests.semantics.x86.fp.operands import BINARY16, BINARY32, BINARY64, Format, tuples
from tests.semantics.x86.fp.sse_check import (
    BINARY,
    COMPARE,
    FROM_REGISTER,
    TERNARY,
    TO_REGISTER,
    cases,
    check,
    one_line,
)
from worldswitch.metal.x86.fp import sse

FEW = 4000
MANY = 1_000_000
BATCH = 50_000


@dataclass(frozen=True)
class Operation:
    """A function, the instruction it stands for, and its operands."""

    function: str
    body: str
    form: Format
    operands: int
    bits: int
    immediate: int = 0
    integer: bool = False


def _of_format(form: Format, letter: str) -> list[Operation]:
    """The operations that both formats have."""
    out: list[Operation] = []
    bits = form.bits

    def add(name: str, template: str, operation: str, operands: int, width: int = bits,
            immediate: int = 0, register: str = "") -> None:  # fmt: skip
        body = one_line(template, operation, register)
        out.append(Operation(name, body, form, operands, width, immediate))

    for name in ("add", "sub", "mul", "div", "min", "max"):
        add(f"{name}{bits}", BINARY, f"{name}s{letter}", 2)
    add(f"sqrt{bits}", BINARY.replace("%xmm1, ", "%xmm0, "), f"sqrts{letter}", 1)
    for negate, name in enumerate(("vfmadd", "vfnmadd", "vfmsub", "vfnmsub")):
        for order in (132, 213, 231):
            # The digits are the operands a, b and c of a * b + c.
            places = str(order)
            body = TERNARY
            for digit, offset in zip(places, (16, 32, 48), strict=True):
                body = body.replace(f"AT{digit}", str(offset))
            add(f"fma{bits}", body, f"{name}{order}s{letter}", 3, immediate=negate)
    for name in ("comis", "ucomis"):
        add(f"{name}{bits}", COMPARE, f"{name}{letter}", 2)
    for predicate in range(32):
        compare = BINARY.replace("OP %xmm1,", f"vcmps{letter} ${predicate}, %xmm1, %xmm0,")
        add(f"cmp{bits}", compare, "", 2, immediate=predicate)
    for immediate in range(16):
        body = BINARY.replace("OP %xmm1,", f"rounds{letter} ${immediate}, %xmm0,")
        add(f"round{bits}", body, "", 1, immediate=immediate)
    for width, register in ((32, "%eax"), (64, "%rax")):
        for suffix, t in (("", ""), ("_truncated", "t")):
            name = f"f{bits}_to_i{width}{suffix}"
            add(name, TO_REGISTER, f"cvt{t}s{letter}2si", 1, width, register=register)
    return out


def _operations() -> list[Operation]:
    out: list[Operation] = []
    for form, letter in ((BINARY64, "d"), (BINARY32, "s")):
        out += _of_format(form, letter)
    out.append(Operation("f64_to_f32", one_line(BINARY, "cvtsd2ss"), BINARY64, 2, 32))
    out.append(Operation("f32_to_f64", one_line(BINARY, "cvtss2sd"), BINARY32, 2, 64))
    half = BINARY.replace("OP %xmm1,", "vcvtph2ps %xmm0,")
    out.append(Operation("f16_to_f32", one_line(half, ""), BINARY16, 1, 32))
    for immediate in range(8):
        half = BINARY.replace("OP %xmm1,", f"vcvtps2ph ${immediate}, %xmm0,")
        out.append(Operation("f32_to_f16", one_line(half, ""), BINARY32, 1, 16, immediate))
    for width, register, suffix in ((32, "%eax", "l"), (64, "%rax", "q")):
        for form, letter in ((BINARY64, "d"), (BINARY32, "s")):
            body = one_line(FROM_REGISTER, f"cvtsi2s{letter}{suffix}", register)
            name = f"i{width}_to_f{form.bits}"
            out.append(Operation(name, body, form, 1, form.bits, integer=True))
    return out


OPERATIONS = _operations()


def integers(random: Random, count: int) -> list[tuple[int, ...]]:
    """Integers of all lengths."""
    made: list[tuple[int, ...]] = []
    for _ in range(count):
        value = random.getrandbits(64) >> random.randrange(64) << random.choice((0, 0, 1, 11, 40))
        value += random.choice((0, 0, 1, -1))
        made.append(((value if random.getrandbits(1) else -value) & (1 << 64) - 1,))
    return made


def given(operation: Operation, random: Random, count: int) -> list[Case]:
    """Cases of an operation."""
    if operation.integer:
        operands = integers(random, count)
    else:
        operands = list(tuples(operation.form, random, count, operation.operands))
    if operation.function in ("f64_to_f32", "f32_to_f64"):
        operands = [(a, a) for a, *_ in operands]
    return cases(operands, random, immediate=operation.immediate)


def name_of(operation: Operation) -> str:
    """The name of a test's parameter."""
    return f"{operation.function}-{OPERATIONS.index(operation)}"


def run(operation: Operation, random: Random, count: int) -> None:
    """Check an operation on random operands."""
    function = getattr(sse, operation.function)
    check(function, operation.body, given(operation, random, count), operation.bits)


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_sse_function_on_corner_cases_matches_processor(operation: Operation) -> None:
    run(operation, Random(1), FEW)


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_sse_function_on_many_cases_matches_processor(operation: Operation) -> None:
    random = Random(2)
    for _ in range(MANY // BATCH):
        run(operation, random, BATCH)
