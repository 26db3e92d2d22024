"""A driver for virtio devices, as far as tests need one."""

from collections.abc import Sequence

from tests.unit.machine.x86.memory import Ram
from worldswitch.machine.x86.bus import MemoryBus, PortBus
from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.pci import PciBus
from worldswitch.machine.x86.reset import ResetControl
from worldswitch.machine.x86.virtio.device import VirtioDevice
from worldswitch.machine.x86.virtio.pci import VirtioPci

SLOT = 4
BAR_COMMON, BAR_ISR, BAR_DEVICE, BAR_NOTIFY = 0x0000, 0x1000, 0x2000, 0x3000
VERSION_1, EVENT_INDEX = 1 << 32, 1 << 29
NEXT, WRITE, INDIRECT = 1, 2, 4
NEEDS_RESET, DRIVER_OK, FEATURES_OK = 0x40, 4, 8

Descriptor = tuple[int, int, int, int]
"""Address, size, flags, next."""


class Ring:
    """A split queue in guest memory. data: where its buffers are taken from."""

    def __init__(self, ram: Ram, base: int, size: int) -> None:
        self.ram, self.size = ram, size
        self.descriptors, self.driver, self.device = base, base + 0x1000, base + 0x2000
        self.data = base + 0x3000
        self.free = 0
        self.seen = 0

    def set(self, index: int, *descriptor: int) -> None:
        address, size, flags, following = descriptor
        raw = address.to_bytes(8, "little") + size.to_bytes(4, "little")
        raw += flags.to_bytes(2, "little") + following.to_bytes(2, "little")
        self.ram.write(self.descriptors + 16 * index, raw)

    def offer(self, head: int) -> None:
        """Make a chain available."""
        index = int.from_bytes(self.ram.read(self.driver + 2, 2), "little")
        slot = self.driver + 4 + 2 * (index % self.size)
        self.ram.write(slot, head.to_bytes(2, "little"))
        self.ram.write(self.driver + 2, ((index + 1) & 0xFFFF).to_bytes(2, "little"))

    def add(self, readable: Sequence[bytes], writable: Sequence[int]) -> list[int]:
        """Offer a chain; the addresses of its buffers."""
        addresses: list[int] = []
        sizes = [len(part) for part in readable] + list(writable)
        head = self.free
        for number, size in enumerate(sizes):
            address, self.data = self.data, self.data + size
            if number < len(readable):
                self.ram.write(address, readable[number])
            last = number == len(sizes) - 1
            flags = (WRITE if number >= len(readable) else 0) | (0 if last else NEXT)
            following = (self.free + 1) % self.size
            self.set(self.free, address, size, flags, following)
            self.free = following
            addresses.append(address)
        self.offer(head)
        return addresses

    def used(self) -> list[tuple[int, int]]:
        """Heads and lengths that the device has given back since the last call."""
        index = int.from_bytes(self.ram.read(self.device + 2, 2), "little")
        found: list[tuple[int, int]] = []
        while self.seen != index:
            raw = self.ram.read(self.device + 4 + 8 * (self.seen % self.size), 8)
            found.append((int.from_bytes(raw[:4], "little"), int.from_bytes(raw[4:], "little")))
            self.seen = (self.seen + 1) & 0xFFFF
        return found


class Driver:
    """A board with one virtio device, and what its driver does."""

    def __init__(self, ram: Ram, device: VirtioDevice) -> None:
        self.ram, self.device = ram, device
        self.ports, self.memory = PortBus(), MemoryBus()
        self.level = False
        self.messages: list[tuple[int, int]] = []
        reset = ResetControl(lambda: None)
        self.bus = PciBus(self.ports, self.memory, reset, lambda slot, pin: self._interrupt)
        self.pci = VirtioPci(device, lambda *message: self.messages.append(message))
        self.bus.add(SLOT, self.pci)
        self.bus.assign(lambda slot, pin: 10)
        bars = {bar.number: bar for bar in self.pci.bars}
        region, table = bars[4].region, bars[1].region
        assert region is not None
        assert table is not None
        self.base, self.table = region.base, table.base
        self.rings: list[Ring] = []

    def _interrupt(self, level: bool) -> None:
        self.level = level

    def config(self, register: int, size: int = 4) -> int:
        self.ports.write(0xCF8, 4, 1 << 31 | SLOT << 11 | register & 0xFC)
        return self.ports.read(0xCFC + (register & 3), size)

    def set_config(self, register: int, size: int, value: int) -> None:
        self.ports.write(0xCF8, 4, 1 << 31 | SLOT << 11 | register & 0xFC)
        self.ports.write(0xCFC + (register & 3), size, value)

    def get(self, offset: int, size: int) -> int:
        return self.memory.read(self.base + offset, size)

    def put(self, offset: int, size: int, value: int) -> None:
        self.memory.write(self.base + offset, size, value)

    @property
    def status(self) -> int:
        return self.get(0x14, 1)

    def features(self) -> int:
        """What the device offers."""
        words: list[int] = []
        for number in (0, 1):
            self.put(0x00, 4, number)
            words.append(self.get(0x04, 4))
        return words[0] | words[1] << 32

    def negotiate(self, wanted: int = VERSION_1) -> None:
        """Reset the device and choose features."""
        self.put(0x14, 1, 0)
        for value in (1, 3):
            self.put(0x14, 1, value)
        for number in (0, 1):
            self.put(0x08, 4, number)
            self.put(0x0C, 4, wanted >> 32 * number & 0xFFFF_FFFF)
        self.put(0x14, 1, 3 | FEATURES_OK)

    def queue(self, index: int, base: int, size: int) -> Ring:
        """Set a queue up."""
        ring = Ring(self.ram, base, size)
        self.put(0x16, 2, index)
        self.put(0x18, 2, size)
        for offset, address in (
            (0x20, ring.descriptors), (0x28, ring.driver), (0x30, ring.device),
        ):  # fmt: skip
            self.put(offset, 4, address & 0xFFFF_FFFF)
            self.put(offset + 4, 4, address >> 32)
        self.put(0x1C, 2, 1)
        return ring

    def start(self, features: int = VERSION_1, size: int = 8) -> None:
        """All the way to a device that runs, with queues of `size`."""
        self.negotiate(features)
        count = self.get(0x12, 2)
        self.rings = [self.queue(index, 0x1_0000 * (index + 1), size) for index in range(count)]
        self.put(0x14, 1, 3 | FEATURES_OK | DRIVER_OK)

    def notify(self, index: int = 0) -> None:
        """Tell the device of new chains."""
        self.memory.write(self.base + BAR_NOTIFY + 4 * index, 2, index)


def board(size: int = 1 << 20) -> tuple[Ram, Dma]:
    """Memory for a driver and its device."""
    ram = Ram(size)
    return ram, ram.dma()
