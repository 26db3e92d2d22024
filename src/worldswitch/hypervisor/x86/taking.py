"""Events that a virtual CPU is to take: exceptions, NMIs, INIT and start-up IPIs, interrupts."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.x86.registers import Cr0
from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.x86.events import (
    ExceptionEvent,
    ExternalInterrupt,
    Init,
    NonMaskable,
    Shutdown,
    Startup,
    X86Event,
    combined,
    event_info,
)
from worldswitch.hypervisor.x86.guest_state import GuestState
from worldswitch.hypervisor.x86.lapic import LocalApic
from worldswitch.hypervisor.x86.state import CpuState

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vm import X86Vm

Completion = Callable[[int | None], Outcome]
"""Finishes an instruction with the machine's answer, or None if it gave none."""
PE = int(Cr0.PE)


class EventTaker(GuestState):
    """A virtual CPU's pending events."""

    vm: "X86Vm"
    lapic: LocalApic

    def __init__(self, vm: "X86Vm", address: int) -> None:
        super().__init__(vm, address)
        self.state = CpuState.WAIT_FOR_STARTUP
        self.completion: Completion | None = None
        """What is left to do of an instruction that waits for the machine's answer."""
        self.exception = 0
        """The exception that is to be taken next, in the form of EVENTINJ; 0: none."""
        self.int_info = 0
        """The event whose delivery was interrupted by the last exit; 0: none."""
        self.nmi_pending = False
        self.extint_pending = False
        """An external-interrupt message has arrived: the 8259 pair has the vector."""
        self.init_pending = False
        self.startup_pending: int | None = None
        self.work = True
        """Whether there may be something to inject, or to take back."""
        self.attention = True
        """Whether there is something to look at before the guest is entered."""
        self.untold = False
        """Whether the machine has not been told of a triple fault yet."""
        self.polls_pic = False
        """Whether the 8259 pair's INTR line gets through to this processor."""
        self.timer_moved = True
        """Whether the local APIC's timer was set."""

    def inject(self, event: X86Event) -> None:
        """Make an event pending for this virtual CPU."""
        if self.vm.sink is not None:
            self.trace("inject", event=str(event))
        if isinstance(event, ExceptionEvent):
            self._raise(event)
        else:
            self.signal(event)

    def _raise(self, event: ExceptionEvent) -> None:
        """An exception is to be taken before the next instruction."""
        self.statistics.count("inject_exception")
        if event.address is not None:
            self.cr2 = event.address
        if event.dr6:
            self.set_system("dr6", self.system("dr6") | event.dr6)
        info = event_info(event)
        if event.error is not None and not self.cr0 & PE:
            info = event_info(ExceptionEvent(event.vector))  # real mode has no error codes
        if event.restart:
            self.completion = None
        self.interrupt_shadow = False
        self.work = True
        if self.exception:
            try:
                info = combined(self.exception, info)
            except Shutdown:
                self.shut_down()
                return
        self.exception = info

    def signal(self, event: X86Event) -> None:
        """An NMI, INIT, start-up IPI or external interrupt arrives."""
        match event:
            case NonMaskable():
                self.nmi_pending = True
                self.work = True
            case ExternalInterrupt():
                self.extint_pending = True
                self.work = True
            case Init():
                self.init_pending = True
                self.startup_pending = None
            case Startup(vector=vector):
                if self.startup_pending is None:
                    self.startup_pending = vector
            case ExceptionEvent():
                self._raise(event)
        self.attention = True

    def interrupts_changed(self) -> None:
        """The local APIC has something else for the processor to take, or no longer has."""
        self.work = True

    def timer_changed(self) -> None:
        """The local APIC's timer expires at another time."""
        self.timer_moved = self.attention = True

    def call_attention(self) -> None:
        """Have the virtual CPU look at what the virtual machine wants before it goes on."""
        self.attention = True

    def entry_event(self) -> int:
        """What is to be taken first: the event that was interrupted, or an exception, or both.

        In the form of EVENTINJ, 0 if there is nothing. Raises Shutdown for a triple fault.
        """
        first, second = self.int_info, self.exception
        self.int_info = self.exception = 0
        if not second:
            return first
        return combined(first, second) if first else second

    def external_interrupt(self) -> bool:
        """Whether the 8259 pair has an interrupt for this processor."""
        pic = self.vm.pic
        if pic is None:
            return False
        if not pic.intr:
            self.extint_pending = False
            return False
        return self.extint_pending or self.lapic.accepts_extint

    def see_wiring(self) -> None:
        """Find out whether the INTR line has to be looked at before each entry."""
        pic = self.vm.pic
        self.polls_pic = pic is not None and (self.extint_pending or self.lapic.accepts_extint)

    def shut_down(self) -> None:
        """A triple fault: nothing but INIT or a reset goes on from here. The machine is told."""
        self.statistics.count("triple_fault")
        self.state = CpuState.SHUTDOWN
        self.attention = True
        self.untold = True
