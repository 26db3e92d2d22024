"""The I/O APIC. ref: Intel 82093AA data sheet; version 20h has the EOI register."""

from enum import IntEnum, IntFlag
from typing import Protocol

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.machine.x86.bus import MemoryBus

IOAPIC_ADDRESS = 0xFEC0_0000
PAGE = 0x1000
ENTRIES = 24
VERSION = 0x20
TIMER_PIN = 2
"""Where IRQ 0 is wired to: input 0 is the 8259's."""


class Register(IntEnum):
    """Offsets in memory."""

    SELECT = 0x00
    WINDOW = 0x10
    EOI = 0x40


class Index(IntEnum):
    """What the window shows. Entries are two words each."""

    ID = 0
    VERSION = 1
    ARBITRATION = 2
    FIRST_ENTRY = 0x10


class Entry(IntFlag):
    """A redirection entry, beside the vector (7:0), the delivery mode (10:8) and 63:56."""

    LOGICAL = 1 << 11
    SEND_PENDING = 1 << 12
    ACTIVE_LOW = 1 << 13  # inputs are told as asserted or not, so polarity changes nothing
    REMOTE_IRR = 1 << 14
    LEVEL = 1 << 15
    MASKED = 1 << 16


WRITABLE = 0xFF00_0000_0001_AFFF
RESET_ENTRY = int(Entry.MASKED)
DESTINATION_SHIFT = 56


class Deliver(Protocol):
    """Where interrupt messages go: the local APICs.

    destination: an APIC ID, or a logical destination where `logical` is true. mode: a
    DeliveryMode. level: assert (always true of messages from devices). trigger_level: the
    interrupt is level-triggered, and its EOI is broadcast.
    """

    def __call__(
        self,
        *,
        destination: int,
        logical: bool,
        mode: DeliveryMode,
        vector: int,
        level: bool,
        trigger_level: bool,
    ) -> None: ...


class IoApic:
    """Twenty-four inputs, each with an entry that says what message it becomes."""

    def __init__(self, deliver: Deliver, identifier: int = 0) -> None:
        self._deliver = deliver
        self._initial_identifier = identifier
        self.lines = 0
        """Levels of the inputs."""
        self.reset()

    def attach(self, memory: MemoryBus) -> None:
        """Answer at the usual address."""
        memory.add(IOAPIC_ADDRESS, PAGE, self, "I/O APIC")

    def reset(self) -> None:
        """All entries masked; the inputs keep their levels."""
        self.entries = [RESET_ENTRY] * ENTRIES
        self.identifier = self._initial_identifier
        self._select = 0

    # --- inputs ------------------------------------------------------------------------------

    def set_irq(self, pin: int, level: bool) -> None:
        """The level of input 0 to 23. An edge at a masked entry is lost."""
        bit = 1 << pin
        rising = level and not self.lines & bit
        self.lines = self.lines | bit if level else self.lines & ~bit
        entry = self.entries[pin]
        if entry & Entry.LEVEL:
            self._serve_level(pin)
        elif rising and not entry & Entry.MASKED:
            self._send(entry)

    def _serve_level(self, pin: int) -> None:
        entry = self.entries[pin]
        if self.lines >> pin & 1 and not entry & (Entry.MASKED | Entry.REMOTE_IRR):
            self.entries[pin] |= Entry.REMOTE_IRR
            self._send(entry)

    def _send(self, entry: int) -> None:
        self._deliver(
            destination=entry >> DESTINATION_SHIFT,
            logical=bool(entry & Entry.LOGICAL),
            mode=DeliveryMode(entry >> 8 & 7),
            vector=entry & 0xFF,
            level=True,
            trigger_level=bool(entry & Entry.LEVEL),
        )

    def eoi(self, vector: int) -> None:
        """A local APIC ended a level-triggered interrupt with this vector."""
        ended = [
            pin
            for pin, entry in enumerate(self.entries)
            if entry & Entry.LEVEL and entry & Entry.REMOTE_IRR and entry & 0xFF == vector
        ]
        for pin in ended:
            self.entries[pin] &= ~int(Entry.REMOTE_IRR)
        for pin in ended:
            self._serve_level(pin)

    # --- registers ---------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """A register, or part of one."""
        word = self._read_word(offset & ~3)
        return word >> 8 * (offset & 3)

    def _read_word(self, offset: int) -> int:
        if offset == Register.SELECT:
            return self._select
        if offset != Register.WINDOW:
            return 0
        match self._select:
            case Index.ID | Index.ARBITRATION:
                return self.identifier << 24
            case Index.VERSION:
                return VERSION | ENTRIES - 1 << 16
            case _:
                pin, high = divmod(self._select - Index.FIRST_ENTRY, 2)
                if not 0 <= pin < ENTRIES:
                    return 0
                return self.entries[pin] >> 32 * high & 0xFFFF_FFFF

    def write(self, offset: int, size: int, value: int) -> None:
        """Store a register. The window takes whole words alone."""
        if offset == Register.SELECT:
            self._select = value & 0xFF
        elif offset == Register.EOI:
            self.eoi(value & 0xFF)
        elif offset == Register.WINDOW and size == 4:
            self._write_window(value)

    def _write_window(self, value: int) -> None:
        if self._select == Index.ID:
            self.identifier = value >> 24 & 0xF
        pin, high = divmod(self._select - Index.FIRST_ENTRY, 2)
        if not 0 <= pin < ENTRIES:
            return
        old = self.entries[pin]
        new = old & 0xFFFF_FFFF | value << 32 if high else old & ~0xFFFF_FFFF | value
        new = new & WRITABLE | old & Entry.REMOTE_IRR
        if not new & Entry.LEVEL:
            new &= ~int(Entry.REMOTE_IRR)
        self.entries[pin] = new
        if new & Entry.LEVEL:
            self._serve_level(pin)
