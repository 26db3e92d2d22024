"""What connects the local APICs of a guest: interprocessor interrupts and devices' messages."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.x86.apic import (
    DELIVERY_SHIFT,
    SHORTHAND_SHIFT,
    DeliveryMode,
    Icr,
    Shorthand,
)
from worldswitch.hypervisor.x86.events import (
    ExternalInterrupt,
    Init,
    NonMaskable,
    Startup,
    X86Event,
)

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.lapic_core import ApicCore

VECTOR = 0xFF
MODE = 0x7


def _nobody(_vector: int) -> None:
    """End of interrupt in a guest without an I/O APIC."""


class ApicBus:
    """The local APICs by number of virtual CPU."""

    def __init__(self) -> None:
        self.apics: list[ApicCore] = []
        self.on_eoi: Callable[[int], None] = _nobody
        """Called with the vector of each level-triggered interrupt that ends: the I/O APIC's."""

    def deliver(
        self,
        destination: int,
        logical: bool,
        mode: int,
        vector: int,
        level: bool = True,
        trigger: bool = False,
    ) -> bool:
        """A message of a device: whether any local APIC was meant.

        destination: 8 bits, or 32 for x2APICs. mode: a DeliveryMode. level: asserted, which for
        INIT alone makes a difference. trigger: level-triggered.
        """
        targets = [apic for apic in self.apics if apic.is_meant(destination, logical)]
        self._send(targets, mode, vector, level, trigger)
        return bool(targets)

    def ipi(self, source: "ApicCore", command: int, destination: int) -> None:
        """An interprocessor interrupt: the low half of the command register, and who it is for."""
        match Shorthand(command >> SHORTHAND_SHIFT & 3):
            case Shorthand.SELF:
                targets = [source]
            case Shorthand.ALL:
                targets = list(self.apics)
            case Shorthand.OTHERS:
                targets = [apic for apic in self.apics if apic is not source]
            case _:
                logical = bool(command & Icr.DM)
                targets = [apic for apic in self.apics if apic.is_meant(destination, logical)]
        mode = command >> DELIVERY_SHIFT & MODE
        level = bool(command & Icr.L) or not command & Icr.TGM
        # Interprocessor interrupts are edge-triggered whatever TGM says, but for INIT.
        self._send(targets, mode, command & VECTOR, level, False)

    def _send(
        self, targets: "list[ApicCore]", mode: int, vector: int, level: bool, trigger: bool
    ) -> None:
        match mode:
            case DeliveryMode.FIXED:
                for apic in targets:
                    apic.accept(vector, trigger)
            case DeliveryMode.LOWEST_PRIORITY:
                ready = [apic for apic in targets if apic.software_enabled]
                if ready:
                    min(ready, key=lambda apic: apic.processor_priority >> 4).accept(
                        vector, trigger
                    )
            case DeliveryMode.NMI:
                self._signal(targets, NonMaskable())
            case DeliveryMode.INIT:
                if level:
                    self._signal(targets, Init())
            case DeliveryMode.STARTUP:
                self._signal(targets, Startup(vector))
            case DeliveryMode.EXTINT:
                self._signal(targets, ExternalInterrupt())
            case _:
                # UNMODELLED: SMI and remote read, which nothing here answers.
                pass

    @staticmethod
    def _signal(targets: "list[ApicCore]", event: X86Event) -> None:
        for apic in targets:
            apic.signal(event)

    def end_of_interrupt(self, vector: int) -> None:
        """A local APIC has ended a level-triggered interrupt."""
        self.on_eoi(vector)
