"""MSI-X: interrupts as memory writes, one entry of a table each. ref: PCI 3.0, 6.8.2."""

from collections.abc import Callable

from worldswitch.machine.x86.pci import Bar, BarKind, PciDevice

CAPABILITY = 0x11
CONTROL = 2
"""Offset of the message control register in the capability."""
ENABLE, FUNCTION_MASK = 1 << 15, 1 << 14
ENTRY = 16
VECTOR_CONTROL = 12
MASKED = 1
PENDING_OFFSET = 0x800
BAR_SIZE = 0x1000
MOST_ENTRIES = PENDING_OFFSET // ENTRY


class MsiX:
    """The table, the pending bits and the capability of one device.

    message: takes the address (64 bits) and data (32 bits) of an interrupt.
    """

    def __init__(
        self, device: PciDevice, bar: int, entries: int, message: Callable[[int, int], None]
    ) -> None:
        self._device = device
        self._message = message
        self.entries = min(entries, MOST_ENTRIES)
        content = (self.entries - 1).to_bytes(2, "little")
        content += bar.to_bytes(4, "little") + (PENDING_OFFSET | bar).to_bytes(4, "little")
        self._at = device.add_capability(CAPABILITY, content)
        device.allow(self._at + CONTROL, 2, ENABLE | FUNCTION_MASK)
        device.add_bar(Bar(bar, BarKind.MEMORY32, BAR_SIZE, self))
        self.reset()
        device.watchers.append(self.unmasked)

    def reset(self) -> None:
        """All entries masked, none pending."""
        entry = bytes(VECTOR_CONTROL) + MASKED.to_bytes(4, "little")
        self._table = bytearray(entry * self.entries)
        self._pending = 0

    @property
    def _control(self) -> int:
        return self._device.config_value(self._at + CONTROL, 2)

    @property
    def enabled(self) -> bool:
        """Whether the device interrupts by messages, and no longer by INTA."""
        return bool(self._control & ENABLE)

    def _field(self, number: int, offset: int, size: int) -> int:
        at = ENTRY * number + offset
        return int.from_bytes(self._table[at : at + size], "little")

    def notify(self, number: int) -> None:
        """Interrupt by an entry, or note it as pending while it is masked."""
        if not self.enabled or not 0 <= number < self.entries:
            return
        if self._control & FUNCTION_MASK or self._field(number, VECTOR_CONTROL, 4) & MASKED:
            self._pending |= 1 << number
        else:
            self._pending &= ~(1 << number)
            self._message(self._field(number, 0, 8), self._field(number, 8, 4))

    def unmasked(self) -> None:
        """Something was unmasked: send what is pending and may go."""
        for number in range(self.entries):
            if self._pending >> number & 1:
                self.notify(number)

    def read(self, offset: int, size: int) -> int:
        """The table, or the pending bits."""
        if offset + size <= len(self._table):
            return int.from_bytes(self._table[offset : offset + size], "little")
        if PENDING_OFFSET <= offset < PENDING_OFFSET + MOST_ENTRIES // 8:
            return self._pending >> 8 * (offset - PENDING_OFFSET)
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Store in the table."""
        if offset + size <= len(self._table):
            self._table[offset : offset + size] = value.to_bytes(size, "little")
            self.unmasked()
