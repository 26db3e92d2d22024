"""Events of a guest: exceptions that are intercepted, and what an interrupted delivery reports.

ref: APM2 15.7.2 Intercepts During IDT Interrupt Delivery; APM2 15.12 Exception Intercepts
"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.svm_controls import (
    EVENT_ERROR_SHIFT,
    EVENT_TYPE_SHIFT,
    Event,
    EventType,
    Intercept1,
)
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.engine import Leave, typed, u64
from worldswitch.metal.x86.leave import LEAVE_SHUTDOWN, vmexit
from worldswitch.metal.x86.state import Cpu


@typed(leaves=True)
def intercept_exception(cpu: Cpu, vector: u64, error: u64) -> None:
    """#VMEXIT if an exception is intercepted; `error` is its error code, 0 without one.

    CR2 is as it was, DR6 and DR7 as the handler would see them.
    """
    if vector < 32 and (cpu.intercepts[2] >> vector) & 1 != 0:
        leave_with_exception(cpu, vector, error)


@typed(leaves=True, inline=False)
def leave_with_exception(cpu: Cpu, vector: u64, error: u64) -> None:
    """#VMEXIT(EXCP_vector)."""
    address: u64 = 0
    if vector == Vector.PF:
        address = cpu.fault_address
    vmexit(cpu, SvmExit.EXCP_DE + vector, error, address)


@typed
def note_event(cpu: Cpu, vector: u64, kind: u64, has_error: bool, error: u64) -> None:
    """An event is about to be delivered: what EXITINTINFO says if it cannot be."""
    shown = kind
    if kind > EventType.SOFTWARE:
        shown = EventType.EXCEPTION
    word = vector | (shown << EVENT_TYPE_SHIFT) | Event.V
    if has_error:
        word = word | Event.EV | (error << EVENT_ERROR_SHIFT)
    cpu.event_info = word


@typed(leaves=True, inline=False)
def triple_fault(cpu: Cpu) -> None:
    """Shutdown: #VMEXIT if it is intercepted. ref: APM2 15.14.3"""
    if cpu.intercepts[3] & Intercept1.SHUTDOWN != 0:
        cpu.event_info = 0
        vmexit(cpu, SvmExit.SHUTDOWN, 0, 0)
    cpu.leave = LEAVE_SHUTDOWN
    raise Leave
