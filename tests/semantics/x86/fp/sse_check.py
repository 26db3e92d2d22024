"""Compare SSE's typed functions with the processor."""

from collections.abc import Sequence
from functools import cache
from random import Random
from typing import Any

from tests.semantics.x86.fp import host
from tests.semantics.x86.fp.compiled import Compiled, in_python
from tests.semantics.x86.fp.host import Case
from worldswitch.engine import Typed
from worldswitch.metal.x86.fp import sse

FLAGS = 0x3F
MASKED = 0x1F80
PYTHON_CASES = 40

BINARY = """ldmxcsr (%rdi); movups 16(%rdi), %xmm0; movups 32(%rdi), %xmm1; OP %xmm1, %xmm0;
movups %xmm0, (%rsi); stmxcsr 16(%rsi)"""
TERNARY = """ldmxcsr (%rdi); movups AT1(%rdi), %xmm0; movups AT2(%rdi), %xmm1;
movups AT3(%rdi), %xmm2; OP %xmm2, %xmm1, %xmm0; movups %xmm0, (%rsi); stmxcsr 16(%rsi)"""
COMPARE = """ldmxcsr (%rdi); movups 16(%rdi), %xmm0; movups 32(%rdi), %xmm1; OP %xmm1, %xmm0;
pushfq; popq %rax; andq $0x45, %rax; movq %rax, (%rsi); stmxcsr 16(%rsi)"""
TO_REGISTER = """ldmxcsr (%rdi); movups 16(%rdi), %xmm0; OP %xmm0, REG; movq %rax, (%rsi);
stmxcsr 16(%rsi)"""
FROM_REGISTER = """ldmxcsr (%rdi); movq 16(%rdi), %rax; xorps %xmm0, %xmm0; OP REG, %xmm0;
movups %xmm0, (%rsi); stmxcsr 16(%rsi)"""


@cache
def compiled() -> Compiled:
    """All functions of SSE, compiled once."""
    return Compiled([getattr(sse, name) for name in sse.__all__ if name != "settle"])


def control(random: Random) -> int:
    """An MXCSR with all exceptions masked."""
    sticky = random.choice((0, 0x20, 0x20, 0x3F, random.getrandbits(6)))
    modes = random.choice((0, 0, 0x6000, 0x2000, 0x4000))
    return MASKED | sticky | modes | random.choice((0, 0, 0x8040, 0x40, 0x8000))


def cases(operands: Sequence[tuple[int, ...]], random: Random, **more: int) -> list[Case]:
    """Operands with controls."""
    return [Case(control(random), *numbers, **more) for numbers in operands]


def one_line(template: str, operation: str, register: str = "") -> str:
    """A body for the assembler."""
    return " ".join(template.replace("OP", operation).replace("REG", register).split())


def check(function: Typed[Any, Any], body: str, given: Sequence[Case], bits: int) -> None:
    """The function's results and sticky flags are those of the instruction."""
    mask = (1 << bits) - 1
    wanted = [(r[0] & mask, r[1] & FLAGS) for r in host.run(body, given)]
    flags = FLAGS if host.KNOWS_FLAGS else 0
    has_flags = len(getattr(function.returns, "__args__", ())) > 1
    runs = [(compiled().run(function, given), given, wanted)]
    step = max(1, len(given) // PYTHON_CASES)
    runs.append(([in_python(function, c) for c in given[::step]], given[::step], wanted[::step]))
    for results, tried, expected in runs:
        bad: list[str] = []
        for case, result, want in zip(tried, results, expected, strict=True):
            got_flags = result[1] | case.control & FLAGS if has_flags else want[1]
            if result[0] != want[0] or (got_flags ^ want[1]) & flags:
                bad.append(
                    f"{function.name} mxcsr {case.control:04x} a {case.a:x} b {case.b:x} "
                    f"c {case.c:x} immediate {case.immediate}: {result[0]:x} flags "
                    f"{got_flags:02x}, wanted {want[0]:x} flags {want[1]:02x}"
                )
        assert not bad, f"{len(bad)} of {len(tried)}\n" + "\n".join(bad[:8])
