"""The watchdog of DIAGNOSE 288, as guests use it."""

import pytest

from worldswitch.machine.result import STATUS_CRASHED, Result
from worldswitch.machine.s390x.board import S390Board
from worldswitch.machine.s390x.build import Hypervisor, build
from worldswitch.machine.s390x.clock import TOD_PER_SECOND
from worldswitch.machine.s390x.watchdog import Watchdog, WatchdogFunction
from worldswitch.metal.s390x.assembler import assemble

SETUP = """
        larl %r1, program_new
        mvc 0x1d0(16,%r0), 0(%r1)
        lghi %r2, {function}
        lghi %r3, {seconds}
        lghi %r4, 0
        diag %r2, %r4, 0x288
        {then}
        .align 8
program_new: .quad 0x0002000180000000, 0x2006
done:   .quad 0x0002000180000000, 0x600D
sleep:  .quad 0x0102000180000000, 0x1000
"""
DONE = "larl %r1, done\n lpswe 0(%r1)"
WAIT = "larl %r1, sleep\n lpswe 0(%r1)"


def run(hypervisor: Hypervisor, **values: object) -> tuple[S390Board, Result]:
    machine = build(hypervisor, memory=4 << 20, engine="python")
    program = assemble(SETUP.format(**values), 0x1000)
    machine.memory.write(program.origin, program.text)
    machine.start(program.origin)
    return machine, machine.run(timeout=20)


@pytest.mark.parametrize("hypervisor", ["none", "sie"])
def test_watchdog_that_is_not_tended_ends_the_run(hypervisor: Hypervisor) -> None:
    machine, result = run(hypervisor, function=0, seconds=20, then=WAIT)
    assert result == Result(STATUS_CRASHED, "the guest did not tend its watchdog (DIAGNOSE 288)")
    assert machine.watchdog.expires is not None
    assert machine.watchdog.expires <= machine.time < machine.watchdog.expires + TOD_PER_SECOND


@pytest.mark.parametrize("hypervisor", ["none", "sie"])
def test_watchdog_beyond_the_clocks_range_does_not_stop_time(hypervisor: Hypervisor) -> None:
    assert run(hypervisor, function=0, seconds=-1, then=WAIT)[1].status == STATUS_CRASHED


@pytest.mark.parametrize("hypervisor", ["none", "sie"])
@pytest.mark.parametrize(
    ("function", "seconds", "psw"),
    [(0, 15, 0x600D), (0, 14, 0x2006), (1, 20, 0x2006), (3, 20, 0x2006)],
)
def test_watchdog_function_that_is_not_valid_is_a_specification_exception(
    hypervisor: Hypervisor, function: int, seconds: int, psw: int
) -> None:
    _, result = run(hypervisor, function=function, seconds=seconds, then=DONE)
    assert result.reason.endswith(f"{psw:016X}")


def test_watchdog_cancelled_never_expires() -> None:
    watchdog = Watchdog()
    assert watchdog.command(0, WatchdogFunction.INIT, 15, 0)
    assert watchdog.due(15 * TOD_PER_SECOND) and not watchdog.due(14 * TOD_PER_SECOND)
    assert watchdog.command(TOD_PER_SECOND, WatchdogFunction.CHANGE, 15, 0)
    assert not watchdog.due(15 * TOD_PER_SECOND)
    assert watchdog.command(0, WatchdogFunction.CANCEL, 0, 0)
    assert not watchdog.due(1 << 62)
    assert not watchdog.command(0, WatchdogFunction.CANCEL, 0, 0)
    assert not watchdog.command(0, WatchdogFunction.INIT, 20, 1)
