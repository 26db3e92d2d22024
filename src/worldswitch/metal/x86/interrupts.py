"""What comes from outside: which pending event is taken next. ref: APM2 8.5 Priorities"""

from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.engine import typed, u8, u64
from worldswitch.metal.x86.apic import LVT_LINT0, acknowledge, apic_vector, poll_timer
from worldswitch.metal.x86.bus import BUS_ACKNOWLEDGE, bus_call
from worldswitch.metal.x86.exceptions import (
    EVENT_EXTERNAL,
    EVENT_NMI,
    deliver_debug,
    deliver_event,
)
from worldswitch.metal.x86.leave import vmexit
from worldswitch.metal.x86.pending import (
    PENDING_INIT,
    PENDING_INTR,
    PENDING_NMI,
    PENDING_STARTUP,
)
from worldswitch.metal.x86.reset import init_reset, startup
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.events import (
    physical_enabled,
    redirect_init,
    take_before,
    take_virtual_interrupt,
    take_virtual_nmi,
)
from worldswitch.metal.x86.timers import instructions

LVT_MASKED = 0x10000
EXTINT = 7


@typed(inline=True)
def in_shadow(cpu: Cpu) -> bool:
    """Whether the last instruction was STI or a load of SS, which delays interrupts by one."""
    return cpu.shadow_at == instructions(cpu) and cpu.shadow_at != 0


@typed
def external_enabled(cpu: Cpu) -> bool:
    """Whether INTR reaches the processor: directly, or as ExtINT through LINT0."""
    if cpu.apic_mode == 0 or cpu.apic_svr & 0x100 == 0:
        return True
    entry = cpu.apic_lvt[LVT_LINT0]
    return entry & LVT_MASKED == 0 and (entry >> 8) & 7 == EXTINT


@typed
def interrupt_waits(cpu: Cpu) -> bool:
    """Whether an interrupt of the local APIC or of the 8259 pair is pending."""
    if apic_vector(cpu) != 0:
        return True
    return cpu.pending & PENDING_INTR != 0 and external_enabled(cpu)


@typed(leaves=True, inline=False)
def take_debug(cpu: Cpu) -> bool:
    """While GIF is zero: a single step is taken, breakpoints are lost. ref: APM2 15.17"""
    cpu.dr6_pending = cpu.dr6_pending & ~u64(15)
    if cpu.dr6_pending == 0:
        return False
    deliver_debug(cpu)
    return True


@typed(leaves=True, inline=False)
def take_interrupt(cpu: Cpu) -> bool:
    """Deliver a maskable interrupt, which is enabled; False if there is none."""
    vector = apic_vector(cpu)
    if vector != 0:
        acknowledge(cpu, vector)
        cpu.halted = 0
        deliver_event(cpu, vector, u64(EVENT_EXTERNAL), False, 0)
        return True
    if cpu.pending & PENDING_INTR != 0 and external_enabled(cpu):
        cpu.halted = 0
        taken = u64(u8(bus_call(cpu, BUS_ACKNOWLEDGE, 0, 1, 0)))
        deliver_event(cpu, taken, u64(EVENT_EXTERNAL), False, 0)
        return True
    return False


@typed(leaves=True, inline=False)
def take_events(cpu: Cpu) -> bool:
    """Take the most urgent event that is pending and enabled; False if there is none."""
    poll_timer(cpu)
    guest = cpu.guest != 0
    if guest and take_before(cpu):
        return True
    if cpu.gif == 0:
        return take_debug(cpu)
    if redirect_init(cpu):
        return True
    pending = cpu.pending
    if pending & PENDING_INIT != 0:
        cpu.pending = pending & ~u64(PENDING_INIT)
        init_reset(cpu)
        return True
    if cpu.running == 0:
        if pending & PENDING_STARTUP != 0:
            cpu.pending = pending & ~u64(PENDING_STARTUP)
            startup(cpu)
            return True
        return False
    if cpu.dr6_pending != 0:
        deliver_debug(cpu)
        return True
    enabled = cpu.flags & Rflags.IF != 0
    if guest:
        enabled = physical_enabled(cpu)
        if enabled and cpu.intercepts[3] & Intercept1.INTR != 0 and interrupt_waits(cpu):
            vmexit(cpu, SvmExit.INTR, 0, 0)
    if in_shadow(cpu):
        cpu.check = 1
        return False
    if pending & PENDING_NMI != 0 and cpu.nmi_blocked == 0:
        cpu.pending = pending & ~u64(PENDING_NMI)
        cpu.nmi_blocked = 1
        cpu.halted = 0
        deliver_event(cpu, 2, u64(EVENT_NMI), False, 0)
        return True
    if guest and take_virtual_nmi(cpu):
        return True
    if enabled and take_interrupt(cpu):
        return True
    return guest and take_virtual_interrupt(cpu)
