"""Queues that make no sense: the device asks for a reset, and does nothing else."""

import struct
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.machine.x86.memory import Ram
from tests.unit.machine.x86.virtio.driver import (
    DRIVER_OK,
    INDIRECT,
    NEEDS_RESET,
    NEXT,
    VERSION_1,
    WRITE,
    Descriptor,
    Driver,
    board,
)
from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.virtio.block import Block
from worldswitch.machine.x86.virtio.console import Console
from worldswitch.machine.x86.virtio.device import VirtioDevice
from worldswitch.machine.x86.virtio.disk import MemoryDisk
from worldswitch.machine.x86.virtio.entropy import Entropy

INDIRECT_FEATURE = 1 << 28
TABLE = 0x8000


def block(ram: Ram, dma: Dma) -> VirtioDevice:
    return Block(dma, MemoryDisk(bytes(1 << 20)))


def console(ram: Ram, dma: Dma) -> VirtioDevice:
    return Console(dma, lambda data: None)


def entropy(ram: Ram, dma: Dma) -> VirtioDevice:
    return Entropy(dma)


KINDS = [block, console, entropy]


def started(kind: object = block) -> Driver:
    """A running device of a kind."""
    assert callable(kind)
    ram, dma = board()
    driver = Driver(ram, kind(ram, dma))
    driver.start(VERSION_1 | INDIRECT_FEATURE)
    return driver


def table(driver: Driver, *descriptors: Descriptor) -> None:
    """Fill the indirect table."""
    for number, fields in enumerate(descriptors):
        driver.ram.write(TABLE + 16 * number, struct.pack("<QIHH", *fields))


def check_needs_reset(driver: Driver) -> None:
    """The device has given up, says so, and comes back with a reset."""
    assert driver.status & NEEDS_RESET
    assert driver.level
    assert driver.rings[0].used() == []
    driver.rings[0].add([bytes(16)], [512, 1])
    driver.notify()
    assert driver.rings[0].used() == []
    driver.start(VERSION_1 | INDIRECT_FEATURE)
    assert driver.status == 0xF
    driver.ram.write(driver.rings[0].driver, bytes(4))
    driver.ram.write(driver.rings[0].device, bytes(4))
    driver.rings[0].add([bytes(16)], [512, 1])
    driver.notify()
    assert driver.rings[0].used() == [(0, 513)]


@pytest.mark.parametrize(
    "descriptors",
    [
        [(0x4000, 16, NEXT, 0)],
        [(0x4000, 16, NEXT, 1), (0x5000, 16, NEXT | WRITE, 1)],
        [(0x4000, 16, NEXT, 1), (0x5000, 16, NEXT, 0)],
        [(0x4000, 16, NEXT, 8)],
        [(0x4000, 16, NEXT, 0xFFFF)],
        [(1 << 20, 16, 0, 0)],
        [((1 << 20) - 8, 16, 0, 0)],
        [((1 << 64) - 8, 16, 0, 0)],
        [(0, 0xFFFF_FFFF, 0, 0)],
        [(0x4000, 16, NEXT | WRITE, 1), (0x5000, 16, 0, 0)],
        [(0x4000, 16, 0, 0)],
        [(0x4000, 4, NEXT, 1), (0x5000, 1, WRITE, 0)],
        [(0x4000, 16, NEXT, 1), (0x5000, 0, WRITE, 0)],
        [(TABLE, 16, INDIRECT | NEXT, 1)],
        [(TABLE, 0, INDIRECT, 0)],
        [(TABLE, 17, INDIRECT, 0)],
        [(1 << 40, 16, INDIRECT, 0)],
        [(TABLE, 0xFFFF_FFF0, INDIRECT, 0)],
    ],
    ids=str,
)
def test_broken_chain_needs_a_reset(descriptors: list[Descriptor]) -> None:
    driver = started()
    for number, fields in enumerate(descriptors):
        driver.rings[0].set(number, *fields)
    driver.rings[0].offer(0)
    driver.notify()
    check_needs_reset(driver)


@pytest.mark.parametrize(
    "descriptors",
    [
        [(0x4000, 16, NEXT, 0)],
        [(0x4000, 16, NEXT, 2)],
        [(TABLE, 16, INDIRECT, 0)],
        [(0x4000, 16, NEXT, 1), (1 << 63, 1, WRITE, 0)],
    ],
    ids=str,
)
def test_broken_indirect_table_needs_a_reset(descriptors: list[Descriptor]) -> None:
    driver = started()
    table(driver, *descriptors)
    driver.rings[0].set(0, TABLE, 32, INDIRECT, 0)
    driver.rings[0].offer(0)
    driver.notify()
    check_needs_reset(driver)


@pytest.mark.parametrize("head", [8, 100, 0xFFFF])
def test_head_outside_the_table_needs_a_reset(head: int) -> None:
    driver = started()
    driver.rings[0].offer(head)
    driver.notify()
    check_needs_reset(driver)


@pytest.mark.parametrize("index", [9, 0x8000, 0xFFFF])
def test_index_ahead_of_the_ring_needs_a_reset(index: int) -> None:
    driver = started()
    driver.ram.write(driver.rings[0].driver + 2, index.to_bytes(2, "little"))
    driver.notify()
    check_needs_reset(driver)


def test_chain_of_many_large_buffers_is_refused_before_it_is_copied() -> None:
    ram, dma = board(32 << 20)
    driver = Driver(ram, block(ram, dma))
    driver.start()
    for number in range(7):
        driver.rings[0].set(number, 0x10_0000, 8 << 20, NEXT | WRITE, number + 1)
    driver.rings[0].offer(0)
    driver.notify()
    assert driver.status & NEEDS_RESET


def test_device_that_is_told_to_write_over_its_own_ring_ends() -> None:
    """A read request whose data becomes the driver's index: one notification stays one."""
    driver = started()
    disk = driver.device
    assert isinstance(disk, Block)
    ring = driver.rings[0]
    header = struct.pack("<IIQ", 0, 0, 0)
    driver.ram.write(0x4000, header)
    ring.set(0, 0x4000, 16, NEXT, 1)
    ring.set(1, ring.driver, 512, NEXT | WRITE, 2)
    ring.set(2, 0x5000, 1, WRITE, 0)
    for _ in range(8):
        ring.offer(0)
    driver.notify()
    index = int.from_bytes(driver.ram.read(ring.device + 2, 2), "little")
    assert index == 8


def random_descriptor(rng: Random) -> Descriptor:
    """Something between sensible and wild."""
    address = rng.choice([rng.randrange(1 << 20), rng.getrandbits(64), TABLE, 0x1_0000, 0x1_1000])
    size = rng.choice([0, 1, 16, 512, 4096, 1 << 20, 0xFFFF_FFFF, rng.getrandbits(12)])
    flags = rng.choice([0, NEXT, WRITE, NEXT | WRITE, INDIRECT, rng.getrandbits(16)])
    return address, size, flags, rng.choice([rng.randrange(8), rng.getrandbits(16)])


@settings(max_examples=150)
@given(seed=st.integers(0, 1 << 32), kind=st.sampled_from(KINDS))
def test_random_rings_are_survived(seed: int, kind: object) -> None:
    rng = Random(seed)
    driver = started(kind)
    if isinstance(driver.device, Console):
        driver.device.receive(b"typed" * 100)
    for _ in range(6):
        ring = rng.choice(driver.rings)
        for number in range(8):
            ring.set(number, *random_descriptor(rng))
        table(driver, *(random_descriptor(rng) for _ in range(8)))
        for _ in range(rng.randrange(1, 9)):
            ring.offer(rng.choice([rng.randrange(8), rng.getrandbits(16)]))
        for index in range(len(driver.rings)):
            driver.notify(index)
        if driver.status & NEEDS_RESET:
            driver.start(VERSION_1 | INDIRECT_FEATURE)
            for ring in driver.rings:
                driver.ram.write(ring.driver, bytes(4))


@settings(max_examples=150)
@given(seed=st.integers(0, 1 << 32), kind=st.sampled_from(KINDS))
def test_random_register_accesses_are_survived(seed: int, kind: object) -> None:
    rng = Random(seed)
    driver = started(kind)
    for _ in range(200):
        size = rng.choice([1, 2, 4, 8])
        offset = rng.choice([rng.randrange(0x40), rng.randrange(0x4000), 0x14, 0x1C, 0x3000])
        value = rng.choice([0, 1, 0xF, 0xFF, rng.getrandbits(64)]) & (1 << 8 * size) - 1
        match rng.randrange(4):
            case 0:
                driver.get(offset, size)
            case 1:
                driver.set_config(rng.randrange(256) & ~3, 4, value & 0xFFFF_FFFF)
                driver.config(rng.randrange(256) & ~3, 4)
            case _:
                driver.put(offset, size, value)
    driver.bus.reset()
    driver.bus.assign(lambda slot, pin: 10)
    driver.start()
    assert driver.status & DRIVER_OK
