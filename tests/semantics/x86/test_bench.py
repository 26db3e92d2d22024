"""The bench itself: modes, ends of runs, exceptions."""

import pytest

from tests.semantics.x86.bench import CODE, DATA, MODES, STACK, ZF, Bench
from worldswitch.arch.x86.exceptions import Vector
from worldswitch.metal.x86.leave import Exit


@pytest.mark.parametrize("mode", MODES)
def test_run_addition_leaves_sum_and_flags(mode: str) -> None:
    """ADD AX, BX, or its wider relative."""
    bench = Bench(mode)
    result = bench.run("01 d8", rax=0x7FFF, rbx=0x8001)
    assert (result.rax, result.status & ZF) == ((0, ZF) if mode == "real16" else (0x10000, 0))
    assert (result.exit, result.exception, result.rip) == (Exit.HALT, None, CODE + 2)
    assert result.rsp == STACK


@pytest.mark.parametrize("cpl", [0, 3])
def test_run_undefined_opcode_tells_exception(cpl: int) -> None:
    """UD2 in 64-bit mode."""
    result = Bench("long64", cpl).run("89 c0 0f 0b", rcx=5)
    assert (result.exception, result.error) == (Vector.UD, None)
    assert (result.rip, result.rcx, result.rsp) == (CODE + 2, 5, STACK)


@pytest.mark.parametrize("cpl", [0, 3])
def test_run_no_page_tells_page_fault(cpl: int) -> None:
    """A load outside of the page tables."""
    result = Bench("long64", cpl).run("48 8b 03", rbx=1 << 40)
    assert (result.exception, result.error, result.cr2) == (Vector.PF, 4 if cpl else 0, 1 << 40)


def test_run_at_level_3_ends_at_halt() -> None:
    """HLT ends the run although it is privileged, and registers are as before it."""
    bench = Bench("long64", 3)
    result = bench.run("89 07", rax=0x12345678, rdi=DATA)
    assert (result.exception, result.rip, result.rsp) == (None, CODE + 2, STACK)
    assert bench.get(DATA, 4) == 0x12345678


def test_run_loop_ends_with_budget() -> None:
    """A branch to itself."""
    assert Bench().run("eb fe", limit=100).exit == Exit.BUDGET
