"""The x87's arithmetic and conversions are the processor's, with all flags and conditions."""

from dataclasses import dataclass
from random import Random

import pytest

from tests.semantics.x86.fp.host import Case
from tests.semantics.x86.fp.operands import BINARY32, BINARY64
from tests.semantics.x86.fp.x87_check import (
    FROM_MEMORY,
    MEMORY_OPERATIONS,
    NO_RESULT,
    ONE_RESULT,
    TO_FLAGS,
    TO_MEMORY,
    TWO_RESULTS,
    WITH_MEMORY,
    check,
    control,
    number,
    pairs,
    significand,
)
from worldswitch.metal.x86.fp import x87

FEW = 4000
MANY = 1_000_000
BATCH = 50_000


@dataclass(frozen=True)
class Operation:
    """A function, the instruction it stands for, and its operands."""

    function: str
    body: str
    operands: str = "pairs"
    results: int = 1
    bits: int = 80
    immediate: int = 0
    stored: bool = False


OPERATIONS = [
    *[
        Operation(f"f80_{name}", ONE_RESULT.replace("OP", f"f{name} %st(1), %st"))
        for name in ("add", "sub", "mul", "div")
    ],
    *[
        Operation(f"f80_{name}", ONE_RESULT.replace("OP", operation))
        for name, operation in (("sqrt", "fsqrt"), ("round", "frndint"), ("scale", "fscale"))
    ],
    Operation("f80_extract", TWO_RESULTS.replace("OP", "fxtract"), results=2, stored=True),
    Operation("f80_rem", ONE_RESULT.replace("OP", "fprem"), immediate=0),
    Operation("f80_rem", ONE_RESULT.replace("OP", "fprem1"), immediate=1),
    *[
        Operation(f"f80_of_{kind}", FROM_MEMORY.replace("OP", operation), kind, stored=True)
        for kind, operation in (("f32", "flds"), ("f64", "fldl"))
    ],
    *[
        Operation(f"f80_to_{kind}", TO_MEMORY.replace("OP", operation), "narrow", bits=bits,
                  immediate=immediate, stored=True)
        for kind, operation, bits, immediate in (
            ("f32", "fstps", 32, 0), ("f64", "fstpl", 64, 0), ("i16", "fistps", 16, 0),
            ("i32", "fistpl", 32, 0), ("i64", "fistpll", 64, 0), ("i16", "fisttps", 16, 1),
            ("i32", "fisttpl", 32, 1), ("i64", "fisttpll", 64, 1), ("bcd", "fbstp", 80, 0),
        )
    ],
    Operation("f80_compare", NO_RESULT.replace("OP", "fcom"), results=0, immediate=0),
    Operation("f80_compare", NO_RESULT.replace("OP", "fucom"), results=0, immediate=1),
    Operation("f80_examine", NO_RESULT.replace("OP", "fxam"), results=0),
    Operation("compare_to_flags", TO_FLAGS.replace("OP", "fcomi %st(1), %st"), immediate=0),
    Operation("compare_to_flags", TO_FLAGS.replace("OP", "fucomi %st(1), %st"), immediate=1),
    Operation("add_f32", WITH_MEMORY.replace("OP", "fadds"), "with f32"),
    Operation("divide_f64", WITH_MEMORY.replace("OP", "fdivl"), "with f64"),
    Operation("divide_f32_reversed", WITH_MEMORY.replace("OP", "fdivrs"), "with f32"),
    Operation("multiply_i32", WITH_MEMORY.replace("OP", "fimull"), "with f32"),
    Operation(
        "compare_f64",
        NO_RESULT.replace("fldt 32(%rdi); ", "").replace("OP", "fcoml 32(%rdi)"),
        "with f64", results=0,
    ),
    Operation("f80_of_i64", FROM_MEMORY.replace("OP", "fildll"), "f64"),
    Operation("f80_of_bcd", FROM_MEMORY.replace("OP", "fbld"), "bcd"),
    Operation("f80_abs", ONE_RESULT.replace("OP", "fabs")),
    Operation("f80_chs", ONE_RESULT.replace("OP", "fchs")),
    *[
        Operation("f80_constant", ONE_RESULT.replace("OP", operation), immediate=which)
        for which, operation in enumerate(
            ("fld1", "fldl2t", "fldl2e", "fldpi", "fldlg2", "fldln2", "fldz")
        )
    ],
]  # fmt: skip


def operands(kind: str, random: Random, count: int) -> list[tuple[int, int]]:
    """Operands that suit an operation."""
    if kind == "f32":
        return [(BINARY32.random(random), 0) for _ in range(count)]
    if kind == "f64":
        return [(BINARY64.random(random), 0) for _ in range(count)]
    if kind.startswith("with "):
        form = BINARY32 if kind.endswith("32") else BINARY64
        return [(a, form.random(random)) for a, _ in pairs(random, count)]
    if kind == "bcd":
        digits = [[random.randrange(10) for _ in range(18)] for _ in range(count)]
        signs = [random.choice((0, 0x80, 0x7F, 0xFF)) for _ in range(count)]
        numbers = [int("".join(map(str, d)), 16) for d in digits]
        return [
            (s << 72 | n >> 4 * random.randrange(18), 0)
            for s, n in zip(signs, numbers, strict=True)
        ]
    if kind == "narrow":
        limits = (0x3FFF + 127, 0x3FFF - 126, 0x3FFF - 149, 0x3FFF + 1023, 0x3FFF - 1022)
        made: list[tuple[int, int]] = []
        for _ in range(count):
            a = number(random)
            if random.random() < 0.3:
                field = random.choice(limits) + random.randrange(-3, 4)
                a = (random.getrandbits(1) << 15 | field) << 64 | significand(random)
            made.append((a, 0))
        return made
    return pairs(random, count)


def run(operation: Operation, random: Random, count: int) -> None:
    """Check an operation on random operands."""
    given = [
        Case(control(random), a, b, immediate=operation.immediate)
        for a, b in operands(operation.operands, random, count)
    ]
    own = {f.name: f for f in MEMORY_OPERATIONS}
    function = own.get(operation.function) or getattr(x87, operation.function)
    check(function, operation.body, given, operation.results, operation.bits, operation.stored)


def name_of(operation: Operation) -> str:
    """The name of a test's parameter."""
    return f"{operation.function}-{operation.immediate}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_x87_function_on_corner_cases_matches_processor(operation: Operation) -> None:
    run(operation, Random(1), FEW)


@pytest.mark.long
@pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)
def test_x87_function_on_many_cases_matches_processor(operation: Operation) -> None:
    random = Random(2)
    for _ in range(MANY // BATCH):
        run(operation, random, BATCH)
