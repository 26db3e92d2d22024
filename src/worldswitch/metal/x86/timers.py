"""Virtual time: an instruction takes a nanosecond, which is one tick of the time-stamp counter."""

from worldswitch.engine import i64, typed, u64, u128
from worldswitch.metal.x86.state import Cpu

NEVER = 0xFFFF_FFFF_FFFF_FFFF
TSC_RATIO = 26
"""Index of the TSC ratio in `misc_msrs` (msrs.KEPT)."""


@typed(inline=True)
def instructions(cpu: Cpu) -> u64:
    """Instructions executed so far (exact at block ends)."""
    return cpu.limit - u64(cpu.budget)


@typed(inline=True)
def clock_now(cpu: Cpu) -> u64:
    """The machine's clock in nanoseconds."""
    return cpu.clock_base + instructions(cpu)


@typed
def tsc_now(cpu: Cpu) -> u64:
    """The time-stamp counter, without what a hypervisor adds for its guest."""
    return clock_now(cpu) + cpu.tsc_offset


@typed
def visible_tsc(cpu: Cpu, count: u64) -> u64:
    """A value of the counter as the program sees it: a guest's is scaled and offset.

    ref: APM2 15.30.5 TSC Ratio MSR
    """
    if cpu.scaled_tsc != 0:
        return u64((u128(count) * u128(cpu.misc_msrs[TSC_RATIO])) >> 32) + cpu.guest_tsc_offset
    return count + cpu.guest_tsc_offset


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
    if cpu.apic_timer_due == NEVER:
        return
    ahead = i64(cpu.apic_timer_due - clock_now(cpu))
    if ahead < 1:
        ahead = 1
    if ahead < cpu.budget:
        cpu.limit = cpu.limit - u64(cpu.budget - ahead)
        cpu.budget = ahead


@typed(inline=True)
def wait(cpu: Cpu, ticks: u64) -> None:
    """Let time pass within an instruction; the slice ends when it would have ended."""
    cpu.clock_base = cpu.clock_base + ticks
    if cpu.budget > i64(ticks):
        cpu.budget -= i64(ticks)
        cpu.limit = cpu.limit - ticks
        cpu.slice_end = cpu.slice_end - ticks


@typed(inline=False)
def spend(cpu: Cpu, ticks: u64) -> None:
    """Let time pass that no instruction takes: an access to a device waits for it.

    The slice ends so much sooner, for it is a span of time to those who gave it.
    """
    cpu.clock_base = cpu.clock_base + ticks
    now = instructions(cpu)
    left = i64(cpu.slice_end - now) - i64(ticks)
    if left < 0:
        left = 0
    cpu.slice_end = now + u64(left)
    if left < cpu.budget:
        cpu.limit = cpu.slice_end
        cpu.budget = left
    arm_timer(cpu)
