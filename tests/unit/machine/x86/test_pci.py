"""PCI configuration, base addresses, interrupts and MSI-X."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from worldswitch.machine.x86.bus import MemoryBus, PortBus
from worldswitch.machine.x86.msix import MsiX
from worldswitch.machine.x86.pci import (
    Bar,
    BarKind,
    Identity,
    PciBus,
    PciDevice,
    host_bridge,
)
from worldswitch.machine.x86.reset import ResetControl

COMMAND, STATUS, BAR0, LINE = 0x04, 0x06, 0x10, 0x3C
IO, MEMORY, INTX_DISABLE = 1, 2, 0x400


class Echo:
    """Registers that read as their offset."""

    def read(self, offset: int, size: int) -> int:
        return offset

    def write(self, offset: int, size: int, value: int) -> None:
        pass


class Board:
    """A bus with the host bridge and a device with each kind of BAR in slot 3."""

    def __init__(self) -> None:
        self.ports, self.memory = PortBus(), MemoryBus()
        self.resets: list[bool] = []
        self.levels: list[tuple[int, int, bool]] = []
        self.messages: list[tuple[int, int]] = []
        reset = ResetControl(lambda: self.resets.append(True))
        self.bus = PciBus(self.ports, self.memory, reset, self.route)
        self.bus.add(0, host_bridge())
        self.device = PciDevice(Identity(0x1234, 0x5678, 0x010203, 4, 0x1111, 0x2222), pin=1)
        self.device.add_bar(Bar(0, BarKind.PORTS, 32, Echo()))
        self.device.add_bar(Bar(2, BarKind.MEMORY32, 0x1000, Echo()))
        self.msix = MsiX(self.device, 3, 4, lambda *message: self.messages.append(message))
        self.device.add_bar(Bar(4, BarKind.MEMORY64, 0x4000, Echo()))
        self.bus.add(3, self.device)

    def route(self, slot: int, pin: int) -> Callable[[bool], None]:
        return lambda level: self.levels.append((slot, pin, level))

    def select(self, register: int, slot: int = 3) -> None:
        self.ports.write(0xCF8, 4, 1 << 31 | slot << 11 | register & 0xFC)

    def read(self, register: int, size: int = 4, slot: int = 3) -> int:
        self.select(register, slot)
        return self.ports.read(0xCFC + (register & 3), size)

    def write(self, register: int, size: int, value: int) -> None:
        self.select(register)
        self.ports.write(0xCFC + (register & 3), size, value)


def test_identity_is_read_in_any_width() -> None:
    board = Board()
    assert board.read(0) == 0x5678_1234
    assert board.read(2, 2) == 0x5678
    assert board.read(0x0B, 1) == 0x01
    assert board.read(8) == 0x0102_0304
    assert board.read(0x2C) == 0x2222_1111
    assert board.read(0x3D, 1) == 1
    assert board.read(0, slot=0) == 0x1237_8086


def test_absent_device_bus_and_function_read_all_ones() -> None:
    board = Board()
    assert board.read(0, slot=7) == 0xFFFF_FFFF
    for address in (0x8001_1800, 0x8000_1900, 0x0000_1800, 0x8100_1800):
        board.ports.write(0xCF8, 4, address)
        assert board.ports.read(0xCFC, 4) == 0xFFFF_FFFF
        board.ports.write(0xCFC, 4, 0)


def test_address_register_takes_whole_words_alone() -> None:
    board = Board()
    board.ports.write(0xCFB, 1, 1)
    board.ports.write(0xCF8, 4, 0xFFFF_FFFF)
    assert board.ports.read(0xCF8, 4) == 0x8FFF_FFFC
    assert board.ports.read(0xCF8, 2) == 0xFFFF


def test_reset_port_is_inside_the_address_register() -> None:
    board = Board()
    board.ports.write(0xCF9, 1, 2)
    assert board.ports.read(0xCF9, 1) == 2
    board.ports.write(0xCF9, 1, 6)
    assert board.resets == [True]


def test_read_only_registers_keep_their_value() -> None:
    board = Board()
    for register in (0, 8, 0x2C, 0x34):
        before = board.read(register)
        board.write(register, 4, ~before & 0xFFFF_FFFF)
        assert board.read(register) == before
    board.write(COMMAND, 4, 0xFFFF_FFFF)
    assert board.read(COMMAND) == 0x0010_0547


@pytest.mark.parametrize(
    ("register", "mask"),
    [
        (0x10, 0xFFFF_FFE1), (0x14, 0), (0x18, 0xFFFF_F000), (0x1C, 0xFFFF_F000),
        (0x20, 0xFFFF_C00C), (0x24, 0xFFFF_FFFF),
    ],
)  # fmt: skip
def test_bar_written_with_ones_tells_its_size(register: int, mask: int) -> None:
    board = Board()
    board.write(register, 4, 0xFFFF_FFFF)
    assert board.read(register) == mask


def test_bar_answers_where_it_is_put_when_decoding_is_on() -> None:
    board = Board()
    board.write(0x10, 4, 0xC000)
    assert board.ports.read(0xC004, 1) == 0xFF
    board.write(COMMAND, 2, IO)
    assert board.ports.read(0xC004, 1) == 4
    board.write(0x10, 4, 0xD000)
    assert board.ports.read(0xC004, 1) == 0xFF
    assert board.ports.read(0xD004, 1) == 4
    board.write(COMMAND, 2, MEMORY)
    assert board.ports.read(0xD004, 1) == 0xFF


def test_bar_of_64_bits_goes_above_four_gigabytes() -> None:
    board = Board()
    board.write(0x20, 4, 0x10_0000)
    board.write(0x24, 4, 0x20)
    board.write(COMMAND, 2, MEMORY)
    assert board.memory.read(0x20_0010_0008, 4) == 8


def test_bar_in_the_way_of_another_waits_until_it_is_gone() -> None:
    board = Board()
    board.write(COMMAND, 2, MEMORY)
    board.write(0x18, 4, 0xC000_0000)
    board.write(0x20, 4, 0xC000_0000)
    assert [region.name for region in board.memory] == ["BAR 2"]
    board.write(0x18, 4, 0xD000_0000)
    assert [region.name for region in board.memory] == ["BAR 4", "BAR 2"]


def test_bar_over_a_fixed_device_is_not_decoded() -> None:
    board = Board()
    board.ports.add(0x3F8, 8, Echo(), "serial port")
    board.write(0x10, 4, 0x3E0)
    board.write(COMMAND, 2, IO)
    assert len([region for region in board.ports if region.name == "BAR 0"]) == 0


@pytest.mark.parametrize("base", [0, 0xFFFF_FFFF, 0xFFFF_0000])
def test_bar_at_any_address_is_survived(base: int) -> None:
    board = Board()
    board.write(COMMAND, 2, IO | MEMORY)
    for register in range(0x10, 0x28, 4):
        board.write(register, 4, base)
    board.bus.reset()
    assert list(board.memory) == []


def test_firmware_places_and_enables_everything() -> None:
    board = Board()
    board.bus.assign(lambda slot, pin: 10 + slot + pin)
    assert board.read(COMMAND, 2) == IO | MEMORY
    assert board.read(LINE, 1) == 13
    assert board.read(0x10) == 0xC001
    assert board.read(0x20) == 0xC000_000C
    spans = sorted((region.base, region.end) for region in board.memory)
    assert len(spans) == 3
    assert spans[0][0] == 0xC000_0000
    assert all(first[1] <= then[0] for first, then in pairwise(spans))


def test_reset_takes_registers_off_the_buses() -> None:
    board = Board()
    board.bus.assign(lambda slot, pin: 10)
    board.bus.reset()
    assert list(board.memory) == []
    assert board.read(0x20) == 0xC
    assert board.read(COMMAND, 2) == 0


@pytest.mark.parametrize("slot", [0, 3, -1, 32])
def test_slot_taken_or_absent_is_refused(slot: int) -> None:
    with pytest.raises(ValueError, match="taken or does not exist"):
        Board().bus.add(slot, host_bridge())


def test_interrupt_line_follows_its_disable_bit() -> None:
    board = Board()
    board.levels.clear()
    board.device.set_interrupt(True)
    assert board.levels[-1] == (3, 0, True)
    assert board.read(STATUS, 2) & 8
    board.write(COMMAND, 2, INTX_DISABLE)
    assert board.levels[-1] == (3, 0, False)
    assert board.read(STATUS, 2) & 8
    board.write(COMMAND, 2, 0)
    assert board.levels[-1] == (3, 0, True)
    board.device.set_interrupt(False)
    assert not board.read(STATUS, 2) & 8


# --- MSI-X ----------------------------------------------------------------------------------------

CAPABILITY = 0x40
TABLE = 0xD000_0000


def with_table() -> Board:
    """A board whose device has its MSI-X table at TABLE."""
    board = Board()
    board.write(0x1C, 4, TABLE)
    board.write(COMMAND, 2, MEMORY)
    return board


def test_msix_capability_says_where_the_table_is() -> None:
    board = with_table()
    assert board.read(0x34, 1) == CAPABILITY
    assert board.read(CAPABILITY) == 0x0003_0011
    assert board.read(CAPABILITY + 4) == 3
    assert board.read(CAPABILITY + 8) == 0x803
    board.write(CAPABILITY, 4, 0xFFFF_FFFF)
    assert board.read(CAPABILITY) == 0xC003_0011


def test_msix_entry_sends_its_message() -> None:
    board = with_table()
    board.memory.write(TABLE + 16, 8, 0xFEE0_1000)
    board.memory.write(TABLE + 24, 4, 0x4041)
    board.memory.write(TABLE + 28, 4, 0)
    assert board.memory.read(TABLE + 16, 8) == 0xFEE0_1000
    board.msix.notify(1)
    assert board.messages == []
    board.write(CAPABILITY + 2, 2, 0x8000)
    board.msix.notify(1)
    assert board.messages == [(0xFEE0_1000, 0x4041)]


def test_msix_masked_entry_is_pending_until_it_is_unmasked() -> None:
    board = with_table()
    board.write(CAPABILITY + 2, 2, 0x8000)
    board.memory.write(TABLE + 32, 4, 0xFEE0_0000)
    board.msix.notify(2)
    assert board.messages == []
    assert board.memory.read(TABLE + 0x800, 8) == 4
    board.memory.write(TABLE + 44, 4, 0)
    assert board.messages == [(0xFEE0_0000, 0)]
    assert board.memory.read(TABLE + 0x800, 8) == 0


def test_msix_function_mask_holds_all_entries() -> None:
    board = with_table()
    board.memory.write(TABLE + 12, 4, 0)
    board.write(CAPABILITY + 2, 2, 0xC000)
    board.msix.notify(0)
    assert board.messages == []
    board.write(CAPABILITY + 2, 2, 0x8000)
    assert board.messages == [(0, 0)]


def test_msix_vector_without_an_entry_is_dropped() -> None:
    board = with_table()
    board.write(CAPABILITY + 2, 2, 0x8000)
    board.msix.notify(4)
    board.msix.notify(0xFFFF)
    assert board.messages == []
    assert board.memory.read(TABLE + 0x40, 4) == 0
    board.memory.write(TABLE + 0x40, 4, 1)
