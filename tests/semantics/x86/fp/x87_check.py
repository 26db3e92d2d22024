"""Compare the x87's typed functions with the processor."""

from collections.abc import Callable, Sequence
from functools import cache
from random import Random
from typing import Any

from tests.semantics.x86.fp import host
from tests.semantics.x86.fp.compiled import Compiled, in_python
from tests.semantics.x86.fp.host import Case, Result
from worldswitch.engine import Typed, i32, i64, typed, u16, u32, u64, u128
from worldswitch.metal.x86.fp import x87
from worldswitch.metal.x86.fp.x87 import (
    eflags_of,
    f80_add,
    f80_compare,
    f80_div,
    f80_mul,
    f80_of_i64,
    operand_f32,
    operand_f64,
    withheld,
)

MASKED = 0x37F
FLAGS = 0x3F
C1 = 0x200
UE = 0x10
CONDITIONS = 0x4500
ES = 0x80
DEFINED = 0x8000
PYTHON_CASES = 40

STATUS = "fnstsw %ax; fnclex; movzwl %ax, %eax; "
ON_STACK = "fldcw (%rdi); fldt 32(%rdi); fldt 16(%rdi); OP; " + STATUS
ONE_RESULT = ON_STACK + "fstpt (%rsi); movq %rax, 16(%rsi); fninit"
TWO_RESULTS = ON_STACK + "fstpt 16(%rsi); fstpt (%rsi); movq %rax, 32(%rsi); fninit"
TO_MEMORY = ON_STACK.replace("OP", "OP (%rsi)") + "movq %rax, 16(%rsi); fninit"
NO_RESULT = ON_STACK + "movq %rax, (%rsi); fninit"
TO_FLAGS = (
    "fldcw (%rdi); fldt 32(%rdi); fldt 16(%rdi); OP; pushfq; popq %rcx; andq $$0x45, %rcx; "
    "movq %rcx, (%rsi); " + STATUS + "movq %rax, 16(%rsi); fninit"
).replace("$$", "$")
WITH_MEMORY = ONE_RESULT.replace("fldt 32(%rdi); ", "").replace("OP", "OP 32(%rdi)")
FROM_MEMORY = (
    "fldcw (%rdi); fldt 32(%rdi); OP 16(%rdi); " + STATUS + "fstpt (%rsi); "
    "movq %rax, 16(%rsi); fninit"
)

LARGEST = 0x7FFF
SPECIAL = [
    (0, 0), (0, 1), (0, 1 << 62), (0, (1 << 63) - 1), (0, 1 << 63), (0, (1 << 64) - 1),
    (1, 1 << 63), (1, (1 << 63) + 1), (1, (1 << 64) - 1), (1, 1), (2, 1 << 63),
    (0x3FFE, (1 << 64) - 1), (0x3FFF, 1 << 63), (0x3FFF, (1 << 63) + 1), (0x3FFF, (1 << 64) - 1),
    (0x3FFF, 1 << 62), (0x4000, 3 << 62), (0x403D, 1 << 63), (0x403E, 1 << 63),
    (0x403E, (1 << 63) + 1), (0x7FFE, 1 << 63), (0x7FFE, (1 << 64) - 1), (LARGEST, 1 << 63),
    (LARGEST, 0), (LARGEST, 1), (LARGEST, (1 << 63) + 1), (LARGEST, (3 << 62) - 1),
    (LARGEST, 3 << 62), (LARGEST, (3 << 62) + 5), (LARGEST, (1 << 64) - 1), (LARGEST, 1 << 62),
]  # fmt: skip


def make(sign: int, field: int, significand: int) -> int:
    """A number of its parts."""
    return (sign << 15 | field) << 64 | significand


def corners() -> list[int]:
    """Numbers at the ends of all ranges, and the encodings that the processor refuses."""
    return [make(s, e, f) for e, f in SPECIAL for s in (0, 1)]


def significand(random: Random) -> int:
    """A significand: any, short, or almost all ones."""
    how, f = random.randrange(6), random.getrandbits(64)
    if how == 0:
        f = f >> random.randrange(64) << random.randrange(64)
    elif how == 1:
        f = random.choice((1, 3, 5, 7)) << random.randrange(62)
    elif how == 2:
        f = ~(f >> random.randrange(64))
    elif how == 3:
        f = f >> 11 << 11 | random.choice((0, 0x400, 0x401, 0x3FF))
    elif how == 4:
        f = f >> 40 << 40 | random.choice((0, 1 << 39, (1 << 39) + 1, (1 << 39) - 1))
    return (f | 1 << 63) & (1 << 64) - 1


def number(random: Random, spread: int = 70) -> int:
    """Any number, mostly within 2**spread of 1."""
    how = random.randrange(16)
    if how == 0:
        return random.choice(corners())
    field = random.getrandbits(15)
    if how == 1:
        field = random.choice((0, 1, 2, 3, 60, 64, LARGEST, LARGEST - 1, LARGEST - 2))
    elif how < 12:
        field = 0x3FFF + random.randrange(-spread, spread + 1)
    return make(random.getrandbits(1), field, significand(random))


def near(random: Random, other: int) -> int:
    """A number that brings a sum, a product or a quotient with another near an end."""
    e = other >> 64 & LARGEST
    goal = random.choice((0, 1, LARGEST - 1, LARGEST, -60, 0x3FFF))
    field = random.choice((e, goal, goal + 0x3FFF - e, e - 0x3FFF + goal, e - goal))
    if field == e and random.random() < 0.2:
        return other ^ random.getrandbits(3) ^ random.getrandbits(1) << 79
    field = min(max(field + random.randrange(-3, 4), 0), LARGEST - (random.random() < 0.9))
    return make(random.getrandbits(1), field, significand(random))


def pairs(random: Random, count: int) -> list[tuple[int, int]]:
    """Two operands each."""
    ends, out = corners(), list[tuple[int, int]]()
    for i in range(count):
        if i < count // 4:
            out.append((random.choice(ends), random.choice(ends)))
            continue
        a = number(random)
        b = near(random, a) if random.random() < 0.6 else number(random)
        out.append((a, b))
    return out


def control(random: Random, masked: bool = False) -> int:
    """A control word; most have all exceptions masked."""
    word = MASKED if masked or random.random() < 0.7 else 0x340 | random.getrandbits(6)
    precision = random.choice((0x300, 0x300, 0x200, 0x000, 0x100))
    return word & ~0x300 | precision | random.getrandbits(2) << 10


@typed(inline=False)
def add_f32(a: u128, b: u32, control: u16) -> tuple[u128, u16]:
    """FADD m32."""
    return f80_add(a, operand_f32(b), control)


@typed(inline=False)
def divide_f64(a: u128, b: u64, control: u16) -> tuple[u128, u16]:
    """FDIV m64."""
    return f80_div(a, operand_f64(b), control)


@typed(inline=False)
def divide_f32_reversed(a: u128, b: u32, control: u16) -> tuple[u128, u16]:
    """FDIVR m32; without a result ST(0) stays."""
    result, status = f80_div(operand_f32(b), a, control)
    if withheld(status, control):
        return a, status
    return result, status


@typed(inline=False)
def compare_f64(a: u128, b: u64, control: u16) -> u16:
    """FCOM m64."""
    return f80_compare(a, operand_f64(b), False, control)


@typed(inline=False)
def multiply_i32(a: u128, b: u32, control: u16) -> tuple[u128, u16]:
    """FIMUL m32."""
    return f80_mul(a, f80_of_i64(u64(i64(i32(b)))), control)


@typed(inline=False)
def compare_to_flags(a: u128, b: u128, quiet: bool, control: u16) -> tuple[u64, u16]:
    """FCOMI and FUCOMI."""
    status = f80_compare(a, b, quiet, control)
    return eflags_of(status), status & ~u16(DEFINED)


MEMORY_OPERATIONS = [
    add_f32, divide_f64, divide_f32_reversed, compare_f64, multiply_i32, compare_to_flags,
]  # fmt: skip


@cache
def compiled() -> Compiled:
    """All functions of the x87 that round, and some uses of others, compiled once."""
    names = [n for n in x87.__all__ if n.startswith("f80_")]
    return Compiled([getattr(x87, n) for n in names] + MEMORY_OPERATIONS)


Judge = Callable[[Case, Result, Result], bool]


def neighbours(case: Case, result: Result, want: Result) -> bool:
    """Do both results differ by one unit in the last place, or not at all?"""
    return all(
        a >> 79 == b >> 79 and abs(order(a) - order(b)) <= 1
        for a, b in zip(result[:2], want[:2], strict=True)
        if a >> 64 and b >> 64
    )


def order(a: int) -> int:
    """A number that grows by one from a magnitude to the next."""
    return (a >> 64 & LARGEST) << 63 | a & (1 << 63) - 1


def visible(case: Case, status: int, host_status: int, ignored: int) -> tuple[int, int]:
    """Flags, ES, C1, and C0 C2 C3 if they are defined: the function's, and the processor's."""
    mask = FLAGS | ES | C1 | (CONDITIONS if status & DEFINED else 0)
    after = int(x87.status_after(u16(0), u16(status), u16(case.control)))
    return after & mask & ~ignored, host_status & mask & ~ignored


def differing(
    function: Typed[Any, Any], tried: Sequence[Case], got: Sequence[Result],
    wanted: Sequence[Result], results: int, bits: int,
    stored: bool, judge: Judge | None,
) -> list[str]:  # fmt: skip
    """Lines that show where a function and the processor differ."""
    bad: list[str] = []
    mask = (1 << bits) - 1
    has_status = len(getattr(function.returns, "__args__", (None,))) > results
    for case, result, want in zip(tried, got, wanted, strict=True):
        status = result[results] if has_status else want[results] & 0x7FFF
        ignored = 0 if judge is None else C1
        if judge is not None and {result[0] >> 64 & LARGEST, want[0] >> 64 & LARGEST} == {0, 1}:
            ignored |= UE | ES  # on both sides of the smallest normal number
        mine, theirs = visible(case, status, want[results], ignored)
        same = all((result[i] ^ want[i]) & mask == 0 for i in range(results))
        unwritten = stored and x87.withheld_store(u16(status), u16(case.control))
        if judge is not None and not same:
            same = judge(case, result, want)
        if not (same or unwritten) or mine != theirs:
            bad.append(
                f"{function.name} control {case.control:04x} a {case.a:020x} b {case.b:020x} "
                f"immediate {case.immediate}: {[f'{x & mask:020x}' for x in result[:results]]} "
                f"{mine:04x}, wanted {[f'{x & mask:020x}' for x in want[:results]]} {theirs:04x}"
            )
    return bad


def check(
    function: Typed[Any, Any], body: str, given: Sequence[Case], results: int = 1,
    bits: int = 80, stored: bool = False, judge: Judge | None = None,
) -> None:  # fmt: skip
    """The function's results and status are those of the instruction.

    stored: the result goes to memory, where an unmasked exception leaves nothing.
    judge: whether a differing result is good enough.
    """
    wanted = host.run(body, given)
    step = max(1, len(given) // PYTHON_CASES)
    few = given[::step]
    runs = (
        (given, compiled().run(function, given), wanted),
        (few, [in_python(function, c) for c in few], wanted[::step]),
    )
    for tried, got, expected in runs:
        bad = differing(function, tried, got, expected, results, bits, stored, judge)
        assert not bad, f"{len(bad)} of {len(tried)}\n" + "\n".join(bad[:8])
