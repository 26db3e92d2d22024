"""The firmware configuration device."""

import struct

import pytest

from tests.unit.machine.x86.memory import Ram
from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.fwcfg import FwCfg

ERROR, READ, SKIP, SELECT, WRITE = 1, 2, 4, 8, 16


class Board:
    """The device with a file, on a bus."""

    def __init__(self) -> None:
        self.ram = Ram()
        self.device = FwCfg(self.ram.dma(), ram_size=512 << 20, cpus=3)
        self.device.add_file("opt/b", b"second")
        self.device.add_file("opt/a", b"first")
        self.ports = PortBus()
        self.device.attach(self.ports)

    def item(self, key: int, size: int) -> bytes:
        self.ports.write(0x510, 2, key)
        return bytes(self.ports.read(0x511, 1) for _ in range(size))

    def dma(self, control: int, length: int, target: int, at: int = 0x100) -> int:
        self.ram.write(at, struct.pack(">IIQ", control, length, target))
        self.start(at)
        return int.from_bytes(self.ram.read(at, 4), "big")

    def start(self, address: int) -> None:
        for offset, half in ((0, address >> 32), (4, address & 0xFFFF_FFFF)):
            self.ports.write(0x514 + offset, 4, int.from_bytes(half.to_bytes(4, "big"), "little"))


def test_items_with_fixed_numbers() -> None:
    board = Board()
    assert board.item(0, 6) == b"QEMU\0\0"
    assert board.item(1, 4) == b"\x03\0\0\0"
    assert int.from_bytes(board.item(3, 8), "little") == 512 << 20
    assert board.item(5, 2) == board.item(0x0F, 2) == b"\x03\0"
    assert board.item(0x3000, 2) == b"\0\0"


def test_directory_lists_files_by_name() -> None:
    board = Board()
    count, *_ = struct.unpack(">I", board.item(0x19, 4))
    listing = [
        struct.unpack(">IHH56s", bytes(board.ports.read(0x511, 1) for _ in range(64)))
        for _ in range(count)
    ]
    files = {name.rstrip(b"\0"): board.item(key, size) for size, key, _, name in listing}
    assert files == {b"opt/a": b"first", b"opt/b": b"second"}
    assert [name.rstrip(b"\0") for *_, name in listing] == [b"opt/a", b"opt/b"]


def test_dma_register_reads_as_its_signature() -> None:
    ports = Board().ports
    text = ports.read(0x514, 4).to_bytes(4, "little") + ports.read(0x518, 4).to_bytes(4, "little")
    assert text == b"QEMU CFG"


def test_dma_selects_skips_and_reads() -> None:
    board = Board()
    assert board.dma(0x20 << 16 | SELECT | SKIP, 2, 0) == 0
    board.ram.write(0x200, b"\xee" * 8)
    assert board.dma(READ, 6, 0x200) == 0
    assert board.ram.read(0x200, 8) == b"rst\0\0\0\xee\xee"


@pytest.mark.parametrize(
    ("control", "length", "target"),
    [
        (READ, 8, 1 << 20),
        (READ, 0xFFFF_FFFF, 0),
        (READ, 1, (1 << 64) - 1),
        (SELECT | WRITE, 4, 0x200),
    ],
)
def test_dma_that_cannot_be_done_reports_an_error(control: int, length: int, target: int) -> None:
    assert Board().dma(control, length, target) == ERROR


@pytest.mark.parametrize("address", [(1 << 20) - 8, 1 << 40, (1 << 64) - 16])
def test_dma_request_outside_ram_is_dropped(address: int) -> None:
    board = Board()
    before = bytes(board.ram.data)
    board.start(address)
    assert bytes(board.ram.data) == before


def test_dma_of_all_ram_is_done() -> None:
    board = Board()
    assert board.dma(SELECT | READ, (1 << 20) - 0x1000, 0x1000) == 0
    assert board.ram.read(0x1000, 5) == b"QEMU\0"


def test_file_names_have_their_limit() -> None:
    with pytest.raises(ValueError, match="more than 55"):
        Board().device.add_file("x" * 56, b"")


def test_file_added_again_is_replaced_and_reset_selects_nothing() -> None:
    board = Board()
    board.device.add_file("opt/a", b"other")
    assert board.item(0x20, 5) == b"other"
    board.device.reset()
    assert board.ports.read(0x511, 1) == ord("Q")
