"""The I/O APIC by its data sheet, and the board's interrupt wiring."""

from dataclasses import dataclass, field

import pytest

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.machine.x86.bus import MemoryBus
from worldswitch.machine.x86.ioapic import IoApic
from worldswitch.machine.x86.lines import Lines, send_message
from worldswitch.machine.x86.pic import PicPair

BASE = 0xFEC0_0000
LEVEL, MASKED, REMOTE_IRR, LOGICAL = 1 << 15, 1 << 16, 1 << 14, 1 << 11

Message = tuple[int, bool, DeliveryMode, int, bool, bool]


@dataclass
class Messages:
    """Interrupt messages as they were delivered."""

    seen: list[Message] = field(default_factory=list[Message])

    def __call__(
        self,
        destination: int,
        logical: bool,
        mode: DeliveryMode,
        vector: int,
        level: bool,
        trigger_level: bool,
    ) -> None:
        self.seen.append((destination, logical, mode, vector, level, trigger_level))

    @property
    def vectors(self) -> list[int]:
        return [message[3] for message in self.seen]


class Board:
    """An I/O APIC on a bus."""

    def __init__(self) -> None:
        self.messages = Messages()
        self.ioapic = IoApic(self.messages)
        self.memory = MemoryBus()
        self.ioapic.attach(self.memory)

    def read(self, index: int) -> int:
        self.memory.write(BASE, 4, index)
        return self.memory.read(BASE + 0x10, 4)

    def write(self, index: int, value: int) -> None:
        self.memory.write(BASE, 4, index)
        self.memory.write(BASE + 0x10, 4, value)

    def entry(self, pin: int, value: int) -> None:
        self.write(0x11 + 2 * pin, value >> 32)
        self.write(0x10 + 2 * pin, value & 0xFFFF_FFFF)

    def pulse(self, pin: int) -> None:
        self.ioapic.set_irq(pin, True)
        self.ioapic.set_irq(pin, False)


def test_registers_after_reset() -> None:
    board = Board()
    assert board.read(1) == 0x0017_0020
    assert [board.read(0x10 + 2 * pin) for pin in range(24)] == [MASKED] * 24
    board.write(0, 0xFF00_0000)
    assert (board.read(0), board.read(2)) == (0x0F00_0000, 0x0F00_0000)
    assert board.memory.read(BASE, 4) == 2
    assert board.read(0x40) == 0
    board.write(0x40, 1)
    board.write(1, 0)


def test_entry_keeps_its_writable_bits() -> None:
    board = Board()
    board.entry(3, 0xFFFF_FFFF_FFFF_FFFF)
    assert board.read(0x16) == 0x0001_AFFF
    assert board.read(0x17) == 0xFF00_0000
    board.memory.write(BASE, 4, 0x16)
    board.memory.write(BASE + 0x10, 1, 0)
    assert board.read(0x16) == 0x0001_AFFF


def test_edge_is_delivered_once() -> None:
    board = Board()
    board.entry(4, 0x02 << 56 | LOGICAL | 1 << 8 | 0x31)
    board.ioapic.set_irq(4, True)
    board.ioapic.set_irq(4, True)
    assert board.messages.seen == [(2, True, DeliveryMode.LOWEST_PRIORITY, 0x31, True, False)]
    board.ioapic.set_irq(4, False)
    board.ioapic.set_irq(4, True)
    assert len(board.messages.seen) == 2


def test_edge_at_a_masked_entry_is_lost() -> None:
    board = Board()
    board.entry(4, MASKED | 0x31)
    board.pulse(4)
    board.entry(4, 0x31)
    assert board.messages.seen == []


def test_level_is_delivered_again_after_its_end() -> None:
    board = Board()
    board.entry(10, LEVEL | 0x41)
    board.ioapic.set_irq(10, True)
    assert board.messages.seen == [(0, False, DeliveryMode.FIXED, 0x41, True, True)]
    assert board.read(0x10 + 20) & REMOTE_IRR
    board.ioapic.eoi(0x40)
    assert len(board.messages.seen) == 1
    board.ioapic.eoi(0x41)
    assert len(board.messages.seen) == 2
    board.ioapic.set_irq(10, False)
    board.memory.write(BASE + 0x40, 4, 0x41)
    assert len(board.messages.seen) == 2
    assert not board.read(0x10 + 20) & REMOTE_IRR


def test_level_at_a_masked_entry_waits() -> None:
    board = Board()
    board.entry(10, MASKED | LEVEL | 0x41)
    board.ioapic.set_irq(10, True)
    assert board.messages.seen == []
    board.entry(10, LEVEL | 0x41)
    assert board.messages.vectors == [0x41]


def test_entry_made_edge_triggered_forgets_the_remote_irr() -> None:
    board = Board()
    board.entry(10, LEVEL | 0x41)
    board.ioapic.set_irq(10, True)
    board.entry(10, MASKED | 0x41)
    board.entry(10, MASKED | LEVEL | 0x41)
    assert not board.read(0x10 + 20) & REMOTE_IRR
    board.entry(10, LEVEL | 0x41)
    assert board.messages.vectors == [0x41, 0x41]


def test_end_of_a_shared_vector_serves_all_entries() -> None:
    board = Board()
    for pin in (10, 11):
        board.entry(pin, LEVEL | 0x41)
        board.ioapic.set_irq(pin, True)
    board.ioapic.eoi(0x41)
    assert board.messages.vectors == [0x41] * 4


def test_register_can_be_read_by_bytes() -> None:
    board = Board()
    board.memory.write(BASE, 4, 1)
    assert [board.memory.read(BASE + 0x10 + at, 1) for at in range(4)] == [0x20, 0, 0x17, 0]


def wired() -> tuple[PicPair, Board, Lines]:
    """Lines to both controllers."""
    board = Board()
    pic = PicPair(lambda level: None)
    lines = Lines(pic, board.ioapic)
    lines.reset()
    return pic, board, lines


def test_timer_is_wired_to_input_two_of_the_ioapic() -> None:
    pic, board, lines = wired()
    board.entry(2, 0x30)
    lines.source(0)(True)
    assert board.messages.vectors == [0x30]
    assert pic.master.lines == 1


def test_line_with_two_sources_is_asserted_while_one_asserts_it() -> None:
    pic, board, lines = wired()
    first, second = lines.source(11), lines.source(11)
    first(True)
    second(True)
    first(False)
    assert board.ioapic.lines == 1 << 11
    assert pic.slave.irr == 8
    second(False)
    assert (board.ioapic.lines, pic.slave.irr) == (0, 0)


def test_lines_reset_makes_sci_and_pci_level_triggered() -> None:
    pic, _, _ = wired()
    assert (pic.master.elcr, pic.slave.elcr) == (0x20, 0x0E)


@pytest.mark.parametrize(
    ("address", "data", "message"),
    [
        (0xFEE0_3000, 0x0041, (3, False, DeliveryMode.FIXED, 0x41, True, False)),
        (0xFEE0_F004, 0x8142, (15, True, DeliveryMode.LOWEST_PRIORITY, 0x42, True, True)),
    ],
)
def test_memory_write_of_a_device_becomes_a_message(
    address: int, data: int, message: Message
) -> None:
    messages = Messages()
    send_message(address, data, messages)
    assert messages.seen == [message]


def test_memory_write_elsewhere_is_no_message() -> None:
    messages = Messages()
    send_message(0x1000, 0x41, messages)
    send_message(0xFEF0_0000, 0x41, messages)
    assert messages.seen == []
