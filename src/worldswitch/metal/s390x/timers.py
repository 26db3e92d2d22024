"""The TOD clock as instructions see it. ref: PoP 4 TOD Clock."""

from worldswitch.engine import i64, typed, u64
from worldswitch.metal.s390x.state import Cpu

TOD_PER_INSTRUCTION = 4
"""TOD-clock units (2**-12 microseconds) that an instruction takes in virtual time."""


@typed
def tod_now(cpu: Cpu) -> u64:
    """Bits 0-63 of the TOD clock, with the epoch difference."""
    return cpu.tod_base + u64(cpu.limit - u64(cpu.budget)) * TOD_PER_INSTRUCTION + cpu.epoch


@typed(inline=True)
def instructions(cpu: Cpu) -> u64:
    """Instructions executed so far (exact at block ends)."""
    return cpu.limit - u64(cpu.budget)


@typed(inline=False)
def refill(cpu: Cpu) -> None:
    """A new budget: to the end of the slice, or to the next timer if that comes first."""
    now = instructions(cpu)
    cpu.budget = i64(cpu.slice_end - now)
    cpu.limit = cpu.slice_end
    arm_timers(cpu)


@typed(inline=False)
def arm_timers(cpu: Cpu) -> None:
    """End the budget no later than the clock comparator's or the CPU timer's next condition.

    After either was set: the budget was given with the earlier settings in view.
    """
    now = tod_now(cpu)
    ahead = cpu.clock_comparator - now
    timer = cpu.timer_deadline - (now - cpu.epoch)
    if cpu.clock_comparator < now or (i64(timer) >= 0 and timer < ahead):
        ahead = timer
    if i64(ahead) < 0:
        return
    left = i64(ahead // TOD_PER_INSTRUCTION) + 1
    if left < cpu.budget:
        cpu.limit = cpu.limit - u64(cpu.budget - left)
        cpu.budget = left
