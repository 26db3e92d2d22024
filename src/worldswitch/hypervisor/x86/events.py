"""Events that a virtual CPU takes, and what two of them at once make."""

from dataclasses import dataclass

from worldswitch.arch.x86.exceptions import EXCEPTIONS, FaultClass, Vector
from worldswitch.arch.x86.svm_controls import (
    EVENT_ERROR_SHIFT,
    EVENT_TYPE_MASK,
    EVENT_TYPE_SHIFT,
    EVENT_VECTOR,
    Event,
    EventType,
    event,
)


@dataclass(frozen=True, slots=True)
class ExceptionEvent:
    """An exception that the guest is to take.

    error: the error code; None if the vector has none. address: CR2 of a page fault. dr6: bits to
    set in DR6 for a debug exception. restart: the instruction that it is about is executed again
    after it.
    """

    vector: int
    error: int | None = None
    address: int | None = None
    dr6: int = 0
    restart: bool = True


@dataclass(frozen=True, slots=True)
class NonMaskable:
    """An NMI."""


@dataclass(frozen=True, slots=True)
class Init:
    """INIT: the processor waits for a start-up IPI, or starts over if it is the first one."""


@dataclass(frozen=True, slots=True)
class Startup:
    """A start-up IPI: a processor that waits for one begins at page `vector`."""

    vector: int


@dataclass(frozen=True, slots=True)
class ExternalInterrupt:
    """The 8259 pair's INTR line, by way of a message or of LINT0: ask it for the vector."""


X86Event = ExceptionEvent | NonMaskable | Init | Startup | ExternalInterrupt


class GuestException(Exception):  # noqa: N818 - named after the architecture's exception
    """The guest's instruction causes an exception."""

    def __init__(self, event: ExceptionEvent) -> None:
        super().__init__(f"exception {event.vector}")
        self.event = event


def general_protection(error: int = 0) -> GuestException:
    """#GP."""
    return GuestException(ExceptionEvent(Vector.GP, error))


def stack_fault(error: int = 0) -> GuestException:
    """#SS."""
    return GuestException(ExceptionEvent(Vector.SS, error))


def undefined() -> GuestException:
    """#UD."""
    return GuestException(ExceptionEvent(Vector.UD))


def page_fault(address: int, error: int) -> GuestException:
    """#PF with the linear address that CR2 gets."""
    return GuestException(ExceptionEvent(Vector.PF, error, address))


class Shutdown(Exception):  # noqa: N818 - named after what the processor does
    """Two events together are a triple fault."""


DOUBLE_FAULT = event(EventType.EXCEPTION, Vector.DF, 0)


def event_info(exception: ExceptionEvent) -> int:
    """An exception in the form of EVENTINJ. ref: APM2 15.20."""
    return event(EventType.EXCEPTION, exception.vector, exception.error)


def is_exception(info: int) -> bool:
    """Whether an event in that form is an exception."""
    return (info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK == EventType.EXCEPTION


def fault_class(info: int) -> FaultClass:
    """How an event counts for double faults; interrupts are benign. ref: APM2 8.2.9."""
    if not is_exception(info):
        return FaultClass.BENIGN
    try:
        return EXCEPTIONS[Vector(info & EVENT_VECTOR)].fault_class
    except ValueError:
        return FaultClass.BENIGN


def combined(first: int, second: int) -> int:
    """The event of `second` coming while `first` is delivered, both in the form of EVENTINJ.

    Raises Shutdown if that is a triple fault. Events that are taken one after the other are the
    second one. ref: APM2 8.2.9 #DF Double-Fault Exception
    """
    was, now = fault_class(first), fault_class(second)
    if was is FaultClass.DOUBLE_FAULT:
        raise Shutdown
    if was is FaultClass.CONTRIBUTORY and now is FaultClass.CONTRIBUTORY:
        return DOUBLE_FAULT
    if was is FaultClass.PAGE_FAULT and now is not FaultClass.BENIGN:
        return DOUBLE_FAULT
    return second


def repeats_instruction(info: int) -> bool:
    """Whether the event came from an instruction that is executed again: INTn, INT3, INTO.

    The instruction pointer that is saved with such an event is still the instruction's, so that
    delivering the event by itself would return to the wrong place. ref: APM2 15.20
    """
    kind = (info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK
    if kind == EventType.SOFTWARE:
        return True
    return kind == EventType.EXCEPTION and info & EVENT_VECTOR in (Vector.BP, Vector.OF)


def describe(info: int) -> str:
    """An event in the form of EVENTINJ, for people."""
    kind = (info >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK
    name = EventType(kind).name.lower() if kind in list(EventType) else f"type {kind}"
    error = f" error {info >> EVENT_ERROR_SHIFT:#x}" if info & Event.EV else ""
    return f"{name} {info & EVENT_VECTOR}{error}"
