"""Which device an access reaches, in which pieces."""

import pytest

from worldswitch.machine.x86.bus import BusConflictError, MemoryBus, PortBus


class Recorder:
    """A device that answers each byte with its own offset and remembers accesses."""

    def __init__(self) -> None:
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        self.reads.append((offset, size))
        return int.from_bytes(bytes(range(offset, offset + size)), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.writes.append((offset, size, value))


def test_read_nowhere_gives_all_ones_and_is_counted() -> None:
    bus = PortBus()
    assert [bus.read(0x80, size) for size in (1, 2, 4)] == [0xFF, 0xFFFF, 0xFFFF_FFFF]
    bus.write(0x80, 1, 5)
    assert (bus.lost_reads, bus.lost_writes) == (3, 1)


def test_access_inside_a_region_reaches_it_in_one() -> None:
    bus, device = PortBus(), Recorder()
    bus.add(0x100, 8, device, "device")
    assert bus.read(0x102, 4) == 0x0504_0302
    bus.write(0x104, 2, 0x1_2345)
    assert (device.reads, device.writes) == ([(2, 4)], [(4, 2, 0x2345)])


def test_access_wider_than_the_device_is_cut_up() -> None:
    bus, device = PortBus(), Recorder()
    bus.add(0x100, 8, device, "device", width=1)
    assert bus.read(0x100, 4) == 0x0302_0100
    assert device.reads == [(0, 1), (1, 1), (2, 1), (3, 1)]


def test_access_across_devices_reaches_both() -> None:
    bus, first, second = PortBus(), Recorder(), Recorder()
    bus.add(0x100, 2, first, "first")
    bus.add(0x102, 8, second, "second", width=1)
    assert bus.read(0x101, 4) == 0x02_01_00_01
    bus.write(0x100, 4, 0x4433_2211)
    assert first.writes == [(0, 2, 0x2211)]
    assert second.writes == [(0, 1, 0x33), (1, 1, 0x44)]
    assert bus.lost_reads == 0


def test_access_partly_nowhere_gives_ones_there() -> None:
    bus, device = MemoryBus(), Recorder()
    bus.add(0xFEC0_0000, 2, device, "device")
    assert bus.read(0xFEC0_0001, 8) == 0xFFFF_FFFF_FFFF_FF01
    bus.write(0xFEBF_FFFF, 2, 0xABCD)
    assert device.writes == [(0, 1, 0xAB)]
    assert (bus.lost_reads, bus.lost_writes) == (1, 1)


def test_access_at_the_last_port_does_not_wrap() -> None:
    bus, device = PortBus(), Recorder()
    bus.add(0, 1, device, "device")
    assert bus.read(0xFFFF, 2) == 0xFFFF
    assert device.reads == []


@pytest.mark.parametrize(("base", "size"), [(0xF8, 9), (0x107, 1), (0x100, 8), (0x90, 0x100)])
def test_overlapping_region_is_an_error_that_names_both(base: int, size: int) -> None:
    bus = PortBus()
    bus.add(0x100, 8, Recorder(), "first")
    with pytest.raises(BusConflictError, match=r"second .* overlaps first"):
        bus.add(base, size, Recorder(), "second")
    assert [region.name for region in bus] == ["first"]


@pytest.mark.parametrize(("base", "size"), [(-1, 4), (0xFFFF, 2), (0, 0)])
def test_region_off_the_bus_is_an_error(base: int, size: int) -> None:
    with pytest.raises(BusConflictError, match="not on the bus"):
        PortBus().add(base, size, Recorder(), "device")


def test_removed_region_leaves_room() -> None:
    bus = PortBus()
    bus.remove(bus.add(0x100, 8, Recorder(), "first"))
    bus.add(0x104, 8, Recorder(), "second")
    assert bus.find(0x100) is None
    assert bus.read(0x104, 1) == 0
