"""The board's interrupt wiring: ISA and PCI lines to both controllers, and messages of devices."""

from collections.abc import Callable

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.machine.x86.ioapic import TIMER_PIN, Deliver, IoApic
from worldswitch.machine.x86.pic import PicPair

SCI_IRQ = 9
PCI_IRQS = (5, 10, 11)
"""Inputs that the PCI interrupt lines are wired to, level-triggered like the SCI."""
LEVEL_IRQS = (*PCI_IRQS, SCI_IRQ)
MESSAGE_BASE = 0xFEE0_0000
MESSAGE_SIZE = 0x10_0000


class Lines:
    """Interrupt lines 0 to 15, each wired to the 8259 pair and to the I/O APIC.

    A line may have several sources; it is asserted while one of them asserts it.
    """

    def __init__(self, pic: PicPair, ioapic: IoApic) -> None:
        self._pic = pic
        self._ioapic = ioapic
        self._asserted: list[set[int]] = [set() for _ in range(16)]
        self._sources = 0

    def reset(self) -> None:
        """Let the 8259s take as level-triggered what is wired so, as firmware does."""
        for pic, first in ((self._pic.master, 0), (self._pic.slave, 8)):
            pic.set_elcr(sum(1 << irq - first for irq in LEVEL_IRQS if 0 <= irq - first < 8))

    def source(self, irq: int) -> Callable[[bool], None]:
        """A new source of a line: call it with the level."""
        number = self._sources
        self._sources += 1

        def set_level(level: bool) -> None:
            asserted = self._asserted[irq]
            before = bool(asserted)
            (asserted.add if level else asserted.discard)(number)
            if bool(asserted) != before:
                self._pic.set_irq(irq, level)
                self._ioapic.set_irq(TIMER_PIN if irq == 0 else irq, level)

        return set_level


def send_message(address: int, data: int, deliver: Deliver) -> None:
    """Deliver the interrupt that a device's memory write of `data` (32 bits) to `address` is.

    Writes outside the local APICs' range are no interrupts and are dropped. ref: APM2 16.8.
    """
    if not MESSAGE_BASE <= address < MESSAGE_BASE + MESSAGE_SIZE:
        return
    deliver(
        destination=address >> 12 & 0xFF,
        logical=bool(address & 4),
        mode=DeliveryMode(data >> 8 & 7),
        vector=data & 0xFF,
        level=True,
        trigger_level=bool(data & 1 << 15),
    )
