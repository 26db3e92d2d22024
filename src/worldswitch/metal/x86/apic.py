"""The local APIC: registers, priorities, interprocessor interrupts, and its timer.

ref: APM2 16 Advanced Programmable Interrupt Controller (APIC)
"""

from worldswitch.arch.x86.apic import (
    LOWEST_VECTOR,
    VERSION,
    ApicBase,
    ApicRegister,
    DeliveryMode,
    Esr,
    Lvt,
    Shorthand,
    Svr,
)
from worldswitch.engine import clz, typed, u8, u32, u64
from worldswitch.metal.blocks import AddressPointer
from worldswitch.metal.x86.bus import BUS_EOI, BUS_IPI, bus_call
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.pending import (
    PENDING_EXTINT,
    PENDING_INIT,
    PENDING_NMI,
    PENDING_SMI,
    PENDING_STARTUP,
)
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.timers import NEVER, arm_timer, clock_now, tsc_now

XAPIC, X2APIC = 1, 2
LVT_CMCI, LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR = range(7)
LVT_WRITABLE = int(Lvt.M | Lvt.TMM | Lvt.TSC_DEADLINE | Lvt.TGM | Lvt.POLARITY) | 0x7FF
LVT_COUNT = 6
VERSION_VALUE = VERSION | (LVT_COUNT - 1) << 16 | 4
TIMER_MODE = int(Lvt.TMM | Lvt.TSC_DEADLINE)
LOGICAL = 1 << 11
ICR_WRITABLE = 0x000C_CFFF
BROADCAST = 0xFFFF_FFFF


@typed
def highest(a: u64, b: u64, c: u64, d: u64) -> u64:
    """The highest bit that is set in 256 bits, 0 if none is (vectors below 16 do not count)."""
    if d != 0:
        return 255 - clz(d)
    if c != 0:
        return 191 - clz(c)
    if b != 0:
        return 127 - clz(b)
    if a != 0:
        return 63 - clz(a)
    return 0


@typed
def serviced(cpu: Cpu) -> u64:
    """The highest vector in service, or 0."""
    return highest(cpu.apic_isr[0], cpu.apic_isr[1], cpu.apic_isr[2], cpu.apic_isr[3])


@typed
def processor_priority(cpu: Cpu) -> u64:
    """PPR. ref: APM2 16.6.4"""
    inservice = serviced(cpu)
    task = u64(cpu.apic_tpr)
    if task & 0xF0 >= inservice & 0xF0:
        return task
    return inservice & 0xF0


@typed(inline=False)
def apic_vector(cpu: Cpu) -> u64:
    """The vector that the processor is interrupted with now, or 0."""
    if cpu.apic_mode == 0:
        return 0
    vector = highest(cpu.apic_irr[0], cpu.apic_irr[1], cpu.apic_irr[2], cpu.apic_irr[3])
    if vector & 0xF0 > processor_priority(cpu) & 0xF0:
        return vector
    return 0


@typed(inline=False)
def acknowledge(cpu: Cpu, vector: u64) -> None:
    """The processor takes an interrupt: from IRR to ISR."""
    bit = u64(1) << (vector & 63)
    cpu.apic_irr[vector >> 6] = cpu.apic_irr[vector >> 6] & ~bit
    cpu.apic_isr[vector >> 6] = cpu.apic_isr[vector >> 6] | bit


@typed(inline=False)
def request(cpu: Cpu, vector: u64, level: bool) -> None:
    """A fixed interrupt arrives: it is accepted into IRR."""
    if cpu.apic_svr & Svr.ASE == 0:
        return
    if vector < LOWEST_VECTOR:
        report(cpu, Esr.RECEIVED_ILLEGAL_VECTOR)
        return
    bit = u64(1) << (vector & 63)
    at = vector >> 6
    cpu.apic_irr[at] = cpu.apic_irr[at] | bit
    if level:
        cpu.apic_tmr[at] = cpu.apic_tmr[at] | bit
    else:
        cpu.apic_tmr[at] = cpu.apic_tmr[at] & ~bit
    cpu.check = 1


@typed(inline=False)
def report(cpu: Cpu, error: u32) -> None:
    """An APIC error: into ESR with the next write to it, and LVT_ERROR's interrupt."""
    first = cpu.apic_esr_pending & error == 0
    cpu.apic_esr_pending = cpu.apic_esr_pending | error
    entry = cpu.apic_lvt[LVT_ERROR]
    if first and entry & Lvt.M == 0 and entry & 0xFF >= LOWEST_VECTOR:
        request(cpu, u64(entry) & 0xFF, False)


@typed(inline=False)
def signal(cpu: Cpu, mode: u64, vector: u64, level: bool) -> None:
    """A message of any delivery mode arrives at this processor."""
    if mode == DeliveryMode.FIXED or mode == DeliveryMode.LOWEST_PRIORITY:
        request(cpu, vector, level)
    elif mode == DeliveryMode.NMI:
        cpu.pending = cpu.pending | PENDING_NMI
    elif mode == DeliveryMode.SMI:
        cpu.pending = cpu.pending | PENDING_SMI
    elif mode == DeliveryMode.INIT:
        cpu.pending = cpu.pending | PENDING_INIT
    elif mode == DeliveryMode.STARTUP:
        if cpu.running == 0:
            cpu.startup_vector = u8(vector)
            cpu.pending = cpu.pending | PENDING_STARTUP
    elif mode == DeliveryMode.EXTINT:
        cpu.pending = cpu.pending | PENDING_EXTINT
    cpu.check = 1


@typed(inline=False)
def end_of_interrupt(cpu: Cpu) -> None:
    """EOI. A level-triggered interrupt is told to the I/O APIC."""
    vector = serviced(cpu)
    if vector == 0:
        return
    bit = u64(1) << (vector & 63)
    at = vector >> 6
    cpu.apic_isr[at] = cpu.apic_isr[at] & ~bit
    if cpu.apic_tmr[at] & bit != 0:
        bus_call(cpu, BUS_EOI, 0, 1, vector)
    cpu.check = 1


@typed
def logical_match(cpu: Cpu, destination: u64) -> bool:
    """Whether a logical destination is this processor. ref: APM2 16.6.1, 16.14"""
    if cpu.apic_mode == X2APIC:
        if destination == BROADCAST:
            return True
        own = x2apic_ldr(cpu)
        return own >> 16 == destination >> 16 and own & destination & 0xFFFF != 0
    own = u64(cpu.apic_ldr) >> 24
    if destination & 0xFF == 0xFF:
        return True
    if cpu.apic_dfr >> 28 == 0xF:
        return own & destination & 0xFF != 0
    return own >> 4 == (destination >> 4) & 15 and own & destination & 15 != 0


@typed
def x2apic_ldr(cpu: Cpu) -> u64:
    """The logical id that an x2APIC has by its APIC id."""
    return ((u64(cpu.apic_id) >> 4) << 16) | (u64(1) << (u64(cpu.apic_id) & 15))


@typed(inline=False)
def is_target(cpu: Cpu, destination: u64, logical: bool) -> bool:
    """Whether a message for a destination is for this processor."""
    if cpu.apic_mode == 0:
        return False
    if logical:
        return logical_match(cpu, destination)
    if cpu.apic_mode == X2APIC:
        return destination == BROADCAST or destination == u64(cpu.apic_id)
    return destination & 0xFF == 0xFF or destination == u64(cpu.apic_id)


@typed(inline=False)
def message(cpu: Cpu, destination: u64, icr: u64) -> None:
    """Deliver a message, from the I/O APIC or an MSI: bits as in ICR, destination apart."""
    mode = (icr >> 8) & 7
    level = icr & (1 << 15) != 0
    n: u64 = 0
    done = False
    while n < cpu.cpu_count and not done:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        if is_target(other, destination, icr & LOGICAL != 0):
            signal(other, mode, icr & 0xFF, level)
            done = mode == DeliveryMode.LOWEST_PRIORITY
        n += 1


@typed(inline=False)
def send(cpu: Cpu, icr: u64) -> None:
    """A write to ICR: an interprocessor interrupt. ref: APM2 16.5"""
    mode = (icr >> 8) & 7
    vector = icr & 0xFF
    if mode == DeliveryMode.INIT and icr & (1 << 14 | 1 << 15) == 1 << 15:
        # INIT level de-assert only sets arbitration ids.
        return
    if mode == DeliveryMode.FIXED and vector < LOWEST_VECTOR:
        report(cpu, Esr.SENT_ILLEGAL_VECTOR)
        return
    shorthand = (icr >> 18) & 3
    if shorthand == Shorthand.SELF:
        signal(cpu, mode, vector, False)
        return
    destination = icr >> 56
    if cpu.apic_mode == X2APIC:
        destination = icr >> 32
    n: u64 = 0
    done = False
    while n < cpu.cpu_count and not done:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        own = n == u64(cpu.apic_id)
        wanted = shorthand == Shorthand.ALL or (shorthand == Shorthand.OTHERS and not own)
        if shorthand == Shorthand.NONE:
            wanted = is_target(other, destination, icr & LOGICAL != 0)
        if wanted:
            signal(other, mode, vector, False)
            if not own:
                bus_call(cpu, BUS_IPI, n, 1, mode)
            done = mode == DeliveryMode.LOWEST_PRIORITY
        n += 1


# The timer.


@typed
def divisor(cpu: Cpu) -> u64:
    """By how much the bus clock, a gigahertz, is divided. ref: APM2 16.4.1"""
    code = (u64(cpu.apic_divide) & 3) | ((u64(cpu.apic_divide) >> 1) & 4)
    return u64(1) << ((code + 1) & 7)


@typed
def current_count(cpu: Cpu) -> u64:
    """The timer's current count."""
    if cpu.apic_initial == 0 or cpu.apic_timer_due == NEVER:
        return 0
    if cpu.apic_lvt[LVT_TIMER] & TIMER_MODE == Lvt.TSC_DEADLINE:
        return 0
    left = cpu.apic_timer_due - clock_now(cpu)
    if left >> 63 != 0:
        return 0
    return left // divisor(cpu)


@typed(inline=False)
def start_timer(cpu: Cpu, count: u64) -> None:
    """A write to the initial count; 0 stops the timer."""
    cpu.apic_initial = u32(count)
    cpu.apic_timer_due = NEVER
    if cpu.apic_lvt[LVT_TIMER] & TIMER_MODE == Lvt.TSC_DEADLINE or count == 0:
        return
    cpu.apic_timer_start = clock_now(cpu)
    cpu.apic_timer_due = cpu.apic_timer_start + count * divisor(cpu)
    arm_timer(cpu)


@typed(inline=False)
def arm_deadline(cpu: Cpu, value: u64) -> None:
    """A write to TSC_DEADLINE; 0 disarms. Without the deadline mode nothing happens."""
    if cpu.apic_mode == 0 or cpu.apic_lvt[LVT_TIMER] & TIMER_MODE != Lvt.TSC_DEADLINE:
        return
    cpu.apic_deadline = value
    cpu.apic_timer_due = NEVER
    if value != 0:
        cpu.apic_timer_due = value - cpu.tsc_offset
        if value <= tsc_now(cpu):
            cpu.apic_timer_due = clock_now(cpu)
            cpu.check = 1
        arm_timer(cpu)


@typed(inline=False)
def poll_timer(cpu: Cpu) -> None:
    """Raise the timer's interrupt if it is due; periodic timers go on."""
    if cpu.apic_timer_due == NEVER or clock_now(cpu) < cpu.apic_timer_due:
        return
    entry = cpu.apic_lvt[LVT_TIMER]
    if entry & TIMER_MODE == Lvt.TMM:
        period = u64(cpu.apic_initial) * divisor(cpu)
        behind = clock_now(cpu) - cpu.apic_timer_due
        cpu.apic_timer_due = cpu.apic_timer_due + period * (behind // period + 1)
    else:
        cpu.apic_timer_due = NEVER
        cpu.apic_deadline = 0
    if entry & Lvt.M == 0:
        request(cpu, u64(entry) & 0xFF, False)
    arm_timer(cpu)


# Registers.


@typed
def lvt_index(offset: u64) -> u64:
    """The number of an LVT register plus one, or 0."""
    if offset == ApicRegister.LVT_CMCI:
        return 0
    if offset >= ApicRegister.LVT_TIMER and offset <= ApicRegister.LVT_ERROR:
        return (offset - ApicRegister.LVT_TIMER) // 16 + LVT_TIMER + 1
    return 0


@typed
def bitmap_word(cpu: Cpu, offset: u64) -> u64:
    """32 bits of ISR, TMR or IRR."""
    word = (offset >> 4) & 7
    value: u64 = 0
    if offset < ApicRegister.TMR:
        value = cpu.apic_isr[word >> 1]
    elif offset < ApicRegister.IRR:
        value = cpu.apic_tmr[word >> 1]
    else:
        value = cpu.apic_irr[word >> 1]
    return (value >> ((word & 1) * 32)) & 0xFFFF_FFFF


@typed(inline=False)
def apic_read(cpu: Cpu, offset: u64) -> u64:
    """A register by its offset, 32 bits."""
    index = lvt_index(offset)
    if index != 0:
        return u64(cpu.apic_lvt[index - 1])
    if offset >= ApicRegister.ISR and offset < ApicRegister.ESR:
        return bitmap_word(cpu, offset)
    if offset == ApicRegister.ID:
        if cpu.apic_mode == X2APIC:
            return u64(cpu.apic_id)
        return u64(cpu.apic_id) << 24
    if offset == ApicRegister.VERSION:
        return VERSION_VALUE
    if offset == ApicRegister.TPR:
        return u64(cpu.apic_tpr)
    if offset == ApicRegister.PPR or offset == ApicRegister.APR:
        return processor_priority(cpu)
    if offset == ApicRegister.LDR:
        if cpu.apic_mode == X2APIC:
            return x2apic_ldr(cpu)
        return u64(cpu.apic_ldr)
    if offset == ApicRegister.DFR:
        return u64(cpu.apic_dfr)
    if offset == ApicRegister.SVR:
        return u64(cpu.apic_svr)
    if offset == ApicRegister.ESR:
        return u64(cpu.apic_esr)
    if offset == ApicRegister.ICR_LOW:
        return cpu.apic_icr & 0xFFFF_FFFF
    if offset == ApicRegister.ICR_HIGH:
        return cpu.apic_icr >> 32
    if offset == ApicRegister.TIMER_INITIAL_COUNT:
        return u64(cpu.apic_initial)
    if offset == ApicRegister.TIMER_CURRENT_COUNT:
        return current_count(cpu)
    if offset == ApicRegister.TIMER_DIVIDE:
        return u64(cpu.apic_divide)
    return 0


@typed(inline=False)
def apic_write(cpu: Cpu, offset: u64, value: u64) -> None:
    """Write a register by its offset, 32 bits."""
    index = lvt_index(offset)
    if index != 0:
        masked = u32(value) & LVT_WRITABLE
        if cpu.apic_svr & Svr.ASE == 0:
            masked = masked | Lvt.M
        changed = cpu.apic_lvt[index - 1] ^ masked
        cpu.apic_lvt[index - 1] = masked
        if index == LVT_TIMER + 1 and changed & TIMER_MODE != 0:
            cpu.apic_timer_due = NEVER
            cpu.apic_deadline = 0
    elif offset == ApicRegister.EOI:
        end_of_interrupt(cpu)
    elif offset == ApicRegister.TPR:
        cpu.apic_tpr = u32(value) & 0xFF
        cpu.check = 1
    elif offset == ApicRegister.ICR_LOW:
        low = value & ICR_WRITABLE
        cpu.apic_icr = (cpu.apic_icr & ~u64(0xFFFF_FFFF)) | low
        send(cpu, cpu.apic_icr)
    elif offset == ApicRegister.ICR_HIGH:
        cpu.apic_icr = (cpu.apic_icr & 0xFFFF_FFFF) | (value << 32)
    elif offset == ApicRegister.TIMER_INITIAL_COUNT:
        start_timer(cpu, value & 0xFFFF_FFFF)
    elif offset == ApicRegister.TIMER_DIVIDE:
        cpu.apic_divide = u32(value) & 11
    elif offset == ApicRegister.SVR:
        cpu.apic_svr = u32(value) & 0x3FF
        if value & Svr.ASE == 0:
            n: u64 = 0
            while n < 8:
                cpu.apic_lvt[n] = cpu.apic_lvt[n] | Lvt.M
                n += 1
    elif offset == ApicRegister.LDR:
        cpu.apic_ldr = u32(value) & 0xFF00_0000
    elif offset == ApicRegister.DFR:
        cpu.apic_dfr = u32(value) | 0x0FFF_FFFF
    elif offset == ApicRegister.ESR:
        cpu.apic_esr = cpu.apic_esr_pending
        cpu.apic_esr_pending = 0


@typed(leaves=True, inline=False)
def x2apic_read(cpu: Cpu, msr: u64) -> u64:
    """RDMSR of an x2APIC register; #GP(0) outside of x2APIC mode. ref: APM2 16.11"""
    if cpu.apic_mode != X2APIC:
        general_protection(cpu)
    offset = (msr & 0xFF) << 4
    if offset == ApicRegister.ICR_LOW:
        return cpu.apic_icr
    if offset == ApicRegister.DFR or offset == ApicRegister.ICR_HIGH:
        general_protection(cpu)
    if offset == ApicRegister.EOI or offset == ApicRegister.SELF_IPI:
        general_protection(cpu)
    return apic_read(cpu, offset)


@typed(leaves=True, inline=False)
def x2apic_write(cpu: Cpu, msr: u64, value: u64) -> None:
    """WRMSR of an x2APIC register."""
    if cpu.apic_mode != X2APIC:
        general_protection(cpu)
    offset = (msr & 0xFF) << 4
    if offset == ApicRegister.ICR_LOW:
        cpu.apic_icr = value & (0xFFFF_FFFF_0000_0000 | ICR_WRITABLE)
        send(cpu, cpu.apic_icr)
    elif offset == ApicRegister.SELF_IPI:
        request(cpu, value & 0xFF, False)
    elif (
        value >> 32 != 0
        or offset == ApicRegister.DFR
        or offset == ApicRegister.ICR_HIGH
        or offset == ApicRegister.ID
        or offset == ApicRegister.VERSION
        or ((offset == ApicRegister.EOI or offset == ApicRegister.ESR) and value != 0)
    ):
        general_protection(cpu)
    elif offset != ApicRegister.LDR:
        apic_write(cpu, offset, value)


@typed(leaves=True, inline=False)
def apic_base_written(cpu: Cpu, value: u64) -> None:
    """WRMSR to APIC_BASE. ref: APM2 16.3.1, 16.9"""
    if value & ~(cpu.physical_mask & ~u64(0xFFF) | 0xD00) != 0:
        general_protection(cpu)
    enabled = value & ApicBase.AE != 0
    extended = value & ApicBase.EXTD != 0
    if extended and not enabled:
        general_protection(cpu)
    if cpu.apic_mode == X2APIC and enabled and not extended:
        general_protection(cpu)
    if cpu.apic_mode == 0 and extended:
        general_protection(cpu)
    cpu.apic_base = (value & ~u64(0x100)) | (cpu.apic_base & 0x100)
    mode: u8 = 0
    if extended:
        mode = X2APIC
    elif enabled:
        mode = XAPIC
    if mode == 0:
        cpu.apic_timer_due = NEVER
    cpu.apic_mode = mode
