"""The block, console and entropy devices."""

import struct
from pathlib import Path

import pytest

from tests.unit.machine.x86.virtio.driver import (
    BAR_DEVICE,
    INDIRECT,
    NEEDS_RESET,
    NEXT,
    VERSION_1,
    WRITE,
    Driver,
    board,
)
from worldswitch.machine.image import ImageError
from worldswitch.machine.x86.virtio.block import Block
from worldswitch.machine.x86.virtio.console import Console
from worldswitch.machine.x86.virtio.disk import Disk, FileDisk, MemoryDisk
from worldswitch.machine.x86.virtio.entropy import Entropy

READ, WRITE_OUT, FLUSH, GET_ID, DISCARD = 0, 1, 4, 8, 11
INDIRECT_FEATURE = 1 << 28
CONTENT = bytes(range(256)) * 16


class BlockDriver(Driver):
    """A disk of eight sectors, unless another is given, and requests to it."""

    def __init__(self, disk: Disk | None = None) -> None:
        ram, dma = board()
        super().__init__(ram, Block(dma, disk or MemoryDisk(CONTENT), "serial-1"))
        self.start()

    def request(
        self, kind: int, sector: int, data: bytes = b"", room: int = 0
    ) -> tuple[int, bytes]:
        """Outcome, and what was read."""
        header = struct.pack("<IIQ", kind, 0, sector)
        readable = [header] + [data] * bool(data)
        writable = [room] * bool(room) + [1]
        addresses = self.rings[0].add(readable, writable)
        self.notify()
        (used,) = self.rings[0].used()
        outcome = self.ram.read(addresses[-1], 1)[0]
        return outcome, self.ram.read(addresses[-2], room)[: used[1] - 1] if room else b""


def test_block_configuration_gives_capacity_and_limits() -> None:
    driver = BlockDriver()
    assert driver.get(BAR_DEVICE, 8) == 8
    assert (driver.get(BAR_DEVICE + 8, 4), driver.get(BAR_DEVICE + 12, 4)) == (128 << 10, 126)
    assert driver.get(BAR_DEVICE + 20, 4) == 512
    assert driver.features() & 0x266 == 0x246


def test_block_reads_sectors() -> None:
    driver = BlockDriver()
    assert driver.request(READ, 2, room=1024) == (0, CONTENT[1024:2048])
    assert driver.level


def test_block_writes_sectors_and_flushes() -> None:
    disk = MemoryDisk(CONTENT)
    driver = BlockDriver(disk)
    assert driver.request(WRITE_OUT, 7, b"x" * 512) == (0, b"")
    assert driver.request(FLUSH, 0) == (0, b"")
    assert disk.content == CONTENT[:3584] + b"x" * 512


def test_block_gives_its_identifier() -> None:
    outcome, text = BlockDriver().request(GET_ID, 0, room=20)
    assert (outcome, text.rstrip(b"\0")) == (0, b"serial-1")


@pytest.mark.parametrize(
    ("kind", "sector", "data", "room", "outcome"),
    [
        (READ, 8, b"", 512, 1),
        (READ, 7, b"", 1024, 1),
        (READ, 1 << 60, b"", 512, 1),
        (READ, 0, b"", 100, 1),
        (WRITE_OUT, 8, b"x" * 512, 0, 1),
        (WRITE_OUT, 0, b"x" * 100, 0, 1),
        (DISCARD, 0, b"x" * 16, 0, 2),
        (0xFFFF_FFFF, 0, b"", 0, 2),
    ],
)
def test_block_request_that_cannot_be_done_fails(
    kind: int, sector: int, data: bytes, room: int, outcome: int
) -> None:
    driver = BlockDriver()
    assert driver.request(kind, sector, data, room)[0] == outcome
    assert not driver.status & NEEDS_RESET


def test_block_read_only_disk_says_so_and_keeps_its_content() -> None:
    disk = MemoryDisk(CONTENT, read_only=True)
    driver = BlockDriver(disk)
    assert driver.features() & 0x20
    assert driver.request(WRITE_OUT, 0, b"x" * 512)[0] == 1
    assert disk.content == CONTENT


def test_block_request_in_an_indirect_table_with_odd_pieces() -> None:
    driver = BlockDriver()
    driver.start(VERSION_1 | INDIRECT_FEATURE)
    ring, ram = driver.rings[0], driver.ram
    header = struct.pack("<IIQ", READ, 0, 1)
    ram.write(0x8000, header)
    pieces = [(0x8000, 5, NEXT, 1), (0x8005, 11, NEXT, 2), (0x9000, 100, NEXT | WRITE, 3),
              (0x9100, 413, WRITE, 0)]  # fmt: skip
    for number, (address, size, flags, following) in enumerate(pieces):
        ram.write(0xA000 + 16 * number, struct.pack("<QIHH", address, size, flags, following))
    ring.set(0, 0xA000, 64, INDIRECT, 0)
    ring.offer(0)
    driver.notify()
    assert ring.used() == [(0, 513)]
    found = ram.read(0x9000, 100) + ram.read(0x9100, 413)
    assert found == CONTENT[512:1024] + b"\0"


class Failing(MemoryDisk):
    """A disk whose host has trouble."""

    def read(self, offset: int, size: int) -> bytes:
        raise OSError(5, "Input/output error")


def test_block_failing_host_file_is_an_error_of_the_request() -> None:
    driver = BlockDriver(Failing(CONTENT))
    assert driver.request(READ, 0, room=512)[0] == 1


def test_block_many_requests_run_around_the_ring() -> None:
    driver = BlockDriver()
    for number in range(50):
        driver.rings[0].data = driver.rings[0].descriptors + 0x3000
        sector = number % 8
        assert driver.request(READ, sector, room=512)[1] == CONTENT[512 * sector :][:512]


def test_file_disk_keeps_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(CONTENT)
    disk = FileDisk(path)
    driver = BlockDriver(disk)
    assert driver.request(WRITE_OUT, 1, b"y" * 512)[0] == 0
    assert driver.request(FLUSH, 0)[0] == 0
    assert driver.request(READ, 1, room=512)[1] == b"y" * 512
    disk.close()
    assert path.read_bytes() == CONTENT[:512] + b"y" * 512 + CONTENT[1024:]


def test_file_disk_cut_short_behind_its_back_reads_zeros(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    path.write_bytes(CONTENT)
    disk = FileDisk(path, read_only=True)
    with path.open("r+b") as file:
        file.truncate(100)
    assert disk.read(0, 512) == CONTENT[:100] + bytes(412)
    disk.close()


@pytest.mark.parametrize("size", [0, 511, 513])
def test_file_disk_of_no_whole_sectors_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk"
    path.write_bytes(bytes(size))
    with pytest.raises(ImageError, match="sectors"):
        FileDisk(path)


def test_file_disk_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        FileDisk(tmp_path / "absent")


def test_memory_disk_is_filled_up_to_a_sector() -> None:
    assert MemoryDisk(b"abc").content == b"abc".ljust(512, b"\0")


# --- console --------------------------------------------------------------------------------------


class ConsoleDriver(Driver):
    """A console and what was printed."""

    def __init__(self) -> None:
        ram, dma = board()
        self.printed = bytearray()
        self.console = Console(dma, self.printed.extend)
        super().__init__(ram, self.console)


def test_console_prints_what_is_transmitted() -> None:
    driver = ConsoleDriver()
    driver.start()
    driver.rings[1].add([b"hello ", b"world"], [])
    driver.rings[1].add([b"!"], [])
    driver.notify(1)
    assert driver.printed == b"hello world!"
    assert driver.rings[1].used() == [(0, 0), (2, 0)]


def test_console_input_waits_for_driver_and_buffers() -> None:
    driver = ConsoleDriver()
    driver.console.receive(b"abc")
    driver.start()
    assert driver.console.waiting == b"abc"
    (address,) = driver.rings[0].add([], [16])
    driver.notify(0)
    assert driver.rings[0].used() == [(0, 3)]
    assert driver.ram.read(address, 4) == b"abc\0"
    assert driver.level


def test_console_input_fills_several_buffers_and_leaves_the_rest() -> None:
    driver = ConsoleDriver()
    driver.start()
    addresses = [driver.rings[0].add([], [4])[0] for _ in range(3)]
    driver.notify(0)
    assert driver.rings[0].used() == []
    driver.console.receive(b"abcdef")
    assert driver.rings[0].used() == [(0, 4), (1, 2)]
    assert [driver.ram.read(address, 4) for address in addresses[:2]] == [b"abcd", b"ef\0\0"]
    driver.console.receive(b"gh")
    assert driver.rings[0].used() == [(2, 2)]
    driver.console.receive(b"ij")
    assert driver.console.waiting == b"ij"


def test_console_emergency_write_needs_no_driver() -> None:
    driver = ConsoleDriver()
    driver.put(BAR_DEVICE + 8, 4, ord("!"))
    assert driver.printed == b"!"


# --- entropy --------------------------------------------------------------------------------------


def random_bytes(seed: bytes) -> list[bytes]:
    """Three requests' worth."""
    ram, dma = board()
    driver = Driver(ram, Entropy(dma, seed))
    driver.start()
    found: list[bytes] = []
    for _ in range(3):
        (address,) = driver.rings[0].add([], [32])
        driver.notify()
        assert driver.rings[0].used()[0][1] == 32
        found.append(ram.read(address, 32))
    return found


def test_entropy_follows_from_its_seed() -> None:
    first = random_bytes(b"one")
    assert first == random_bytes(b"one")
    assert len({*first, *random_bytes(b"two")}) == 6


def test_entropy_gives_no_more_than_its_share() -> None:
    ram, dma = board()
    driver = Driver(ram, Entropy(dma))
    driver.start()
    driver.rings[0].set(0, 0x2_0000, 0x8_0000, WRITE, 0)
    driver.rings[0].offer(0)
    driver.notify()
    assert driver.rings[0].used() == [(0, 4096)]
