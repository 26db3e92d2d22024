"""Virtual time: every instruction takes one tick of the time-stamp counter, a nanosecond."""

from worldswitch.engine import i64, typed, u64
from worldswitch.metal.x86.state import Cpu


@typed(inline=True)
def instructions(cpu: Cpu) -> u64:
    """Instructions executed so far (exact at block ends)."""
    return cpu.limit - u64(cpu.budget)


@typed
def tsc_now(cpu: Cpu) -> u64:
    """The time-stamp counter."""
    return instructions(cpu) + cpu.tsc_offset


@typed(inline=False)
def refill(cpu: Cpu) -> None:
    """A new budget: to the end of the slice, or to the APIC timer if that comes first."""
    now = instructions(cpu)
    cpu.budget = i64(cpu.slice_end - now)
    cpu.limit = cpu.slice_end
    arm_timer(cpu)


@typed(inline=False)
def arm_timer(cpu: Cpu) -> None:
    """End the budget no later than the APIC timer's expiry, after it was set."""
    ahead = i64(cpu.apic_timer_due - instructions(cpu))
    if cpu.apic_timer_due == 0xFFFF_FFFF_FFFF_FFFF:
        return
    if ahead < 1:
        ahead = 1
    if ahead < cpu.budget:
        cpu.limit = cpu.limit - u64(cpu.budget - ahead)
        cpu.budget = ahead
