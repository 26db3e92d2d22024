"""What comes from outside: which pending event is taken next. ref: APM2 8.5 Priorities"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr4, Rflags
from worldswitch.engine import typed, u8, u64
from worldswitch.metal.x86.apic import LVT_LINT0, acknowledge, apic_vector, poll_timer
from worldswitch.metal.x86.bus import BUS_ACKNOWLEDGE, bus_call
from worldswitch.metal.x86.exceptions import (
    EVENT_EXCEPTION,
    EVENT_EXTERNAL,
    EVENT_NMI,
    deliver_debug,
    deliver_event,
)
from worldswitch.metal.x86.mode import MODE_SINGLE, retag, update_mode
from worldswitch.metal.x86.pending import (
    PENDING_EXTINT,
    PENDING_INIT,
    PENDING_INTR,
    PENDING_MACHINE_CHECK,
    PENDING_NMI,
    PENDING_SMI,
    PENDING_STARTUP,
)
from worldswitch.metal.x86.reset import init_reset, startup
from worldswitch.metal.x86.single import in_shadow, in_stack_shadow
from worldswitch.metal.x86.smm import take_smi
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.delivery import triple_fault
from worldswitch.metal.x86.svm.events import (
    exit_for_physical,
    physical_enabled,
    redirect_init,
    take_before,
    take_virtual_interrupt,
    take_virtual_nmi,
    virtual_event,
)

LVT_MASKED = 0x10000
EXTINT = 7


@typed
def external_enabled(cpu: Cpu) -> bool:
    """Whether INTR reaches the processor: directly, or as ExtINT through LINT0."""
    if cpu.apic_mode == 0 or cpu.apic_svr & 0x100 == 0:
        return True
    entry = cpu.apic_lvt[LVT_LINT0]
    return entry & LVT_MASKED == 0 and (entry >> 8) & 7 == EXTINT


@typed
def external_waits(cpu: Cpu) -> bool:
    """Whether the 8259 pair is to be asked for a vector: by its line, or by a message."""
    if cpu.pending & PENDING_EXTINT != 0:
        return True
    return cpu.pending & PENDING_INTR != 0 and external_enabled(cpu)


@typed
def interrupt_waits(cpu: Cpu) -> bool:
    """Whether an interrupt of the local APIC or of the 8259 pair is pending."""
    if apic_vector(cpu) != 0:
        return True
    return external_waits(cpu)


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
    if external_waits(cpu):
        cpu.pending = cpu.pending & ~u64(PENDING_EXTINT)
        cpu.halted = 0
        taken = u64(u8(bus_call(cpu, BUS_ACKNOWLEDGE, 0, 1, 0)))
        deliver_event(cpu, taken, u64(EVENT_EXTERNAL), False, 0)
        return True
    return False


@typed
def shadow_step(cpu: Cpu) -> None:
    """Something waits for the end of an interrupt shadow: look again behind one instruction."""
    cpu.mode = cpu.mode | MODE_SINGLE
    retag(cpu)
    cpu.shadow_stepping = 1
    cpu.check = 1


@typed
def end_shadow_step(cpu: Cpu) -> None:
    """Behind that instruction: the mode is what it says again."""
    if cpu.shadow_stepping != 0:
        cpu.shadow_stepping = 0
        update_mode(cpu)


@typed(leaves=True, inline=False)
def take_reset(cpu: Cpu) -> bool:
    """INIT and start-up."""
    if redirect_init(cpu):
        return True
    if cpu.pending & PENDING_INIT != 0 and cpu.smm == 0:
        cpu.pending = cpu.pending & ~u64(PENDING_INIT)
        init_reset(cpu)
        return True
    if cpu.running == 0 and cpu.pending & PENDING_STARTUP != 0:
        cpu.pending = cpu.pending & ~u64(PENDING_STARTUP)
        startup(cpu)
        return True
    return False


@typed(leaves=True, inline=False)
def take_machine_check(cpu: Cpu) -> None:
    """#MC, or shutdown where it is not enabled. ref: APM2 8.2.19; APM2 9.3"""
    cpu.pending = cpu.pending & ~u64(PENDING_MACHINE_CHECK)
    cpu.halted = 0
    if cpu.cr4 & Cr4.MCE == 0:
        triple_fault(cpu)
    deliver_event(cpu, u64(Vector.MC), u64(EVENT_EXCEPTION), False, 0)


@typed(leaves=True, inline=False)
def take_events(cpu: Cpu) -> bool:
    """Take the most urgent event that is pending and enabled; False if there is none."""
    poll_timer(cpu)
    end_shadow_step(cpu)
    guest = cpu.guest != 0
    if guest and take_before(cpu):
        return True
    if cpu.gif == 0:
        return take_debug(cpu)
    if cpu.pending & PENDING_MACHINE_CHECK != 0 and cpu.running == 1:
        take_machine_check(cpu)
        return True
    if take_reset(cpu):
        return True
    if cpu.running == 0:
        return False
    if cpu.dr6_pending != 0 and not in_stack_shadow(cpu):
        deliver_debug(cpu)
        return True
    enabled = cpu.flags & Rflags.IF != 0
    waiting = cpu.pending != 0 or apic_vector(cpu) != 0
    if guest:
        enabled = physical_enabled(cpu)
        exit_for_physical(cpu, enabled and interrupt_waits(cpu))
        waiting = waiting or virtual_event(cpu)
    if in_shadow(cpu):
        if cpu.dr6_pending != 0 or waiting:
            shadow_step(cpu)
        return False
    # UNMODELLED: an SMI that is not intercepted in a guest: it waits for the guest's end.
    if cpu.pending & PENDING_SMI != 0 and cpu.smm == 0 and not guest:
        cpu.pending = cpu.pending & ~u64(PENDING_SMI)
        take_smi(cpu)
        return True
    if cpu.pending & PENDING_NMI != 0 and cpu.nmi_blocked == 0:
        cpu.pending = cpu.pending & ~u64(PENDING_NMI)
        cpu.nmi_blocked = 1
        cpu.halted = 0
        deliver_event(cpu, 2, u64(EVENT_NMI), False, 0)
        return True
    if guest and take_virtual_nmi(cpu):
        return True
    if enabled and take_interrupt(cpu):
        return True
    return guest and take_virtual_interrupt(cpu)
