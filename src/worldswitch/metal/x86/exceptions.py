"""Delivery of exceptions and interrupts through the IDT. ref: APM2 8.7, 8.9"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Rflags
from worldswitch.engine import Leave, typed, u8, u32, u64
from worldswitch.metal.x86.delivery import deliver
from worldswitch.metal.x86.leave import LEAVE_FAULT, LEAVE_TASK
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.delivery import intercept_exception, note_event, triple_fault

DELIVERING_NONE = 0
DELIVERING_BENIGN = 1
DELIVERING_CONTRIBUTORY = 2
DELIVERING_PAGE_FAULT = 3
DELIVERING_DOUBLE_FAULT = 4

EVENT_EXTERNAL = 0
"""An interrupt from outside."""
EVENT_NMI = 2
EVENT_EXCEPTION = 3
EVENT_SOFTWARE = 4
"""INT n."""
EVENT_SOFTWARE_EXCEPTION = 6
"""INT3 and INTO: exceptions that a gate has to allow, which EVENTINJ calls EVENT_EXCEPTION.

Kinds of events, the others as in EVENTINJ. ref: APM2 15.20"""

CONTRIBUTORY = 1 << 0 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 21


@typed
def class_of(vector: u64) -> u8:
    """DELIVERING_* of an exception. ref: APM2 8.2.9"""
    if vector == Vector.DF:
        return u8(DELIVERING_DOUBLE_FAULT)
    if vector == Vector.PF:
        return u8(DELIVERING_PAGE_FAULT)
    if vector < 32 and (u64(CONTRIBUTORY) >> vector) & 1 != 0:
        return u8(DELIVERING_CONTRIBUTORY)
    return u8(DELIVERING_BENIGN)


@typed(leaves=True, inline=False)
def deliver_event(cpu: Cpu, vector: u64, kind: u64, has_error: bool, error: u64) -> None:
    """Deliver an event; exceptions during its delivery are delivered instead, up to shutdown.

    For the kinds of software, `cpu.software_rip` is the instruction's, where its faults return to.
    Raises only to leave a guest, or for a shutdown.
    """
    now_vector = vector
    now_kind = kind
    now_has = has_error
    now_error = error
    first: u8 = DELIVERING_BENIGN
    if kind == EVENT_EXCEPTION:
        first = class_of(vector)
    cpu.delivering = first
    cpu.trap_armed = 0
    # What VMRUN injects is not intercepted, and CR2 is as the VMCB has it.
    injected = cpu.inject != 0
    cpu.inject = 0
    while True:
        software = now_kind == EVENT_SOFTWARE or now_kind == EVENT_SOFTWARE_EXCEPTION
        try:
            if not injected:
                before_delivery(cpu, now_vector, now_kind, now_error)
            note_event(cpu, now_vector, now_kind, now_has, now_error)
            deliver(cpu, now_vector, software, now_has, now_error)
            cpu.delivering = 0
            cpu.event_info = 0
            return
        except Leave:
            if (software or injected) and cpu.leave != LEAVE_TASK:
                cpu.rip = cpu.software_rip
            if cpu.leave == LEAVE_FAULT:
                if software:
                    cpu.flags = cpu.flags | Rflags.RF
            elif cpu.leave != LEAVE_TASK:
                raise Leave
        injected = False
        intercept_second(cpu, software)
        second = class_of(u64(cpu.vector))
        if cpu.delivering == DELIVERING_DOUBLE_FAULT:
            cpu.delivering = 0
            triple_fault(cpu)
        now_kind = EVENT_EXCEPTION
        now_vector = u64(cpu.vector)
        now_has = cpu.has_error != 0
        now_error = u64(cpu.error)
        contributory = cpu.delivering >= DELIVERING_CONTRIBUTORY
        worse = second == DELIVERING_CONTRIBUTORY
        if second == DELIVERING_PAGE_FAULT and cpu.delivering == DELIVERING_PAGE_FAULT:
            worse = True
        if contributory and worse:
            now_vector = u64(Vector.DF)
            now_has = True
            now_error = 0
            second = DELIVERING_DOUBLE_FAULT
        else:
            if now_has and now_vector != Vector.PF and not software:
                now_error = now_error | 1
        cpu.delivering = second


@typed(leaves=True, inline=False)
def intercept_second(cpu: Cpu, software: bool) -> None:
    """An exception in a delivery is intercepted for itself, before it makes a double fault.

    EXITINTINFO has the event that was being delivered. ref: APM2 15.7.2; APM2 15.12
    """
    error = u64(cpu.error)
    if cpu.has_error == 0:
        error = 0
    elif cpu.vector != Vector.PF and not software:
        error = error | 1
    intercept_exception(cpu, u64(cpu.vector), error)


@typed(leaves=True)
def before_delivery(cpu: Cpu, vector: u64, kind: u64, error: u64) -> None:
    """Before an exception is delivered: it may be intercepted; #PF writes CR2."""
    if kind == EVENT_EXCEPTION or kind == EVENT_SOFTWARE_EXCEPTION:
        intercept_exception(cpu, vector, error)
        if vector == Vector.PF:
            cpu.cr2 = cpu.fault_address


@typed(leaves=True, inline=False)
def deliver_exception(cpu: Cpu) -> None:
    """Deliver the exception that a `Leave` says (`vector`, `error`); `cpu.rip` is saved."""
    if cpu.leave == LEAVE_FAULT and cpu.vector != Vector.DB:
        # A fault's saved image has RF set, so that the instruction's breakpoint is not hit again.
        cpu.flags = cpu.flags | Rflags.RF
    deliver_event(
        cpu, u64(cpu.vector), u64(EVENT_EXCEPTION), cpu.has_error != 0, u64(cpu.error)
    )  # fmt: skip


@typed(leaves=True, inline=False)
def deliver_software(cpu: Cpu, vector: u64, kind: u64, start: u64) -> None:
    """The interrupt of an INT instruction at RIP `start`; `cpu.rip` is the next instruction's."""
    cpu.software_rip = start
    deliver_event(cpu, vector, kind, False, 0)


@typed(leaves=True, inline=False)
def deliver_debug(cpu: Cpu) -> None:
    """#DB for what `dr6_pending` says. ref: APM2 13.1.1"""
    cpu.dr[6] = (cpu.dr[6] & ~u64(15)) | cpu.dr6_pending
    cpu.dr6_pending = 0
    cpu.vector = Vector.DB
    cpu.has_error = 0
    cpu.error = u32(0)
    cpu.dr[7] = cpu.dr[7] & ~u64(1 << 13)
    deliver_event(cpu, u64(Vector.DB), u64(EVENT_EXCEPTION), False, 0)
