"""Floating interruptions: pending for the guest, taken by the first CPU that enables them."""

from collections import deque

from worldswitch.hypervisor.sie.events import (
    CpService,
    FloatingEvent,
    IoEvent,
    MachineCheck,
    ServiceSignal,
)
from worldswitch.hypervisor.sie.interrupts import MCHK, Irq, bit, io_irq

SUBCLASSES = 8
EVENT_PENDING = 1
SCCB_ADDRESS = 0xFFFF_FFF8


class FloatingInterrupts:
    """The interrupt controller of a guest."""

    def __init__(self) -> None:
        self.bitmap = 0
        self.masked = 0
        """Kinds that wait for a notification of the Ultravisor."""
        self.service_parameter = 0
        self.services: deque[CpService] = deque()
        self.io: list[deque[IoEvent]] = [deque() for _ in range(SUBCLASSES)]
        self.machine_check = MachineCheck(0)

    def pending(self) -> bool:
        """Whether anything is pending."""
        return bool(self.deliverable_kinds())

    def deliverable_kinds(self) -> int:
        """The bitmap of pending kinds that are not held back."""
        return self.bitmap & ~self.masked

    def inject(self, event: FloatingEvent) -> None:
        """Make an event pending."""
        match event:
            case ServiceSignal(parameter=parameter):
                self._inject_service(parameter)
            case CpService():
                self.services.append(event)
                self.bitmap |= bit(Irq.CP_SERVICE)
            case IoEvent(subclass=subclass):
                self.io[subclass].append(event)
                self.bitmap |= bit(io_irq(subclass))
            case MachineCheck():
                old = self.machine_check
                self.machine_check = MachineCheck(
                    old.code | event.code, old.subclasses | event.subclasses
                )
                self.bitmap |= bit(Irq.MCHK_REPRESSIBLE)

    def _inject_service(self, parameter: int) -> None:
        """Of the control blocks that are done the first one is reported; events add up."""
        old = self.service_parameter
        if not old & SCCB_ADDRESS:
            old |= parameter & SCCB_ADDRESS
        self.service_parameter = old | parameter & EVENT_PENDING
        self.bitmap |= bit(Irq.SERVICE_SIGNAL)

    def take_service(self, protected: bool) -> int:
        """The service signal's parameter; a protected guest's next waits for its notification."""
        parameter, self.service_parameter = self.service_parameter, 0
        self.bitmap &= ~bit(Irq.SERVICE_SIGNAL)
        if protected:
            self.masked |= bit(Irq.SERVICE_SIGNAL)
        return parameter

    def hold_service_signals(self) -> None:
        """A protected guest's service signal waits for the notification that its call is over."""
        self.masked |= bit(Irq.SERVICE_SIGNAL)

    def notify_service(self, parameter: int) -> None:
        """The Ultravisor has seen a protected guest's service call end: deliver its signal now."""
        self.service_parameter |= parameter
        self.bitmap |= bit(Irq.SERVICE_SIGNAL)
        self.masked &= ~bit(Irq.SERVICE_SIGNAL)

    def take_cp_service(self) -> CpService:
        """The oldest control-program interruption."""
        event = self.services.popleft()
        if not self.services:
            self.bitmap &= ~bit(Irq.CP_SERVICE)
        return event

    def take_io(self, subclasses: int, subchannel: int | None = None) -> IoEvent | None:
        """The first I/O interruption of the enabled subclasses (0x80: subclass 0), or None.

        subchannel: only one of this subsystem-identification word.
        """
        for n, queue in enumerate(self.io):
            if not subclasses & 0x80 >> n:
                continue
            for event in queue:
                word = event.subchannel_id << 16 | event.subchannel_nr
                if subchannel is None or word == subchannel:
                    queue.remove(event)
                    if not queue:
                        self.bitmap &= ~bit(io_irq(n))
                    return event
        return None

    def put_back_io(self, event: IoEvent) -> None:
        """An interruption that was taken but not delivered is the first of its subclass again."""
        self.io[event.subclass].appendleft(event)
        self.bitmap |= bit(io_irq(event.subclass))

    def io_pending(self) -> int:
        """Subclasses with pending interruptions (0x80: subclass 0)."""
        return sum(0x80 >> n for n, queue in enumerate(self.io) if queue)

    def take_machine_check(self, subclasses: int) -> MachineCheck | None:
        """The floating machine check if control register 14 enables one of its subclasses."""
        event = self.machine_check
        if not self.bitmap & MCHK or not event.subclasses & subclasses:
            return None
        self.machine_check = MachineCheck(0)
        self.bitmap &= ~MCHK
        return event

    def clear_all(self) -> None:
        """Nothing is pending, as after a subsystem reset."""
        self.bitmap = self.masked = self.service_parameter = 0
        self.services.clear()
        for queue in self.io:
            queue.clear()
        self.machine_check = MachineCheck(0)
