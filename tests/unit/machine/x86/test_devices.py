"""All devices wired together, as firmware leaves them."""

from tests.unit.machine.x86.memory import Ram
from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.machine.x86.clock import ManualClock
from worldswitch.machine.x86.devices import Devices
from worldswitch.machine.x86.virtio.block import Block
from worldswitch.machine.x86.virtio.disk import MemoryDisk
from worldswitch.machine.x86.virtio.entropy import Entropy
from worldswitch.machine.x86.virtio.pci import VirtioPci

SIZE = 64 << 20


class Machine:
    """A board without processors."""

    def __init__(self) -> None:
        self.intr = False
        self.ends: list[str] = []
        self.messages: list[tuple[int, int]] = []
        self.clock = ManualClock()
        self.text = bytearray()
        self.dma = Ram(1 << 20).dma()
        self.devices = Devices(self, self.clock, self.dma, self.deliver, SIZE, 2, self.text.extend)

    def deliver(
        self,
        destination: int,
        logical: bool,
        mode: DeliveryMode,
        vector: int,
        level: bool,
        trigger_level: bool,
    ) -> None:
        self.messages.append((destination, vector))

    def set_intr(self, level: bool) -> None:
        self.intr = level

    def power_off(self) -> None:
        self.ends.append("off")

    def reset(self) -> None:
        self.ends.append("reset")

    def debug_exit(self, status: int) -> None:
        self.ends.append(f"exit {status}")

    def config(self, slot: int, register: int) -> int:
        self.devices.ports.write(0xCF8, 4, 1 << 31 | slot << 11 | register)
        return self.devices.ports.read(0xCFC, 4)


def test_firmware_has_placed_plugged_devices() -> None:
    machine = Machine()
    slots = [
        machine.devices.plug(Block(machine.dma, MemoryDisk(bytes(512)))),
        machine.devices.plug(Entropy(machine.dma)),
    ]
    assert slots == [1, 2]
    assert [machine.config(slot, 0) for slot in range(4)] == [
        0x1237_8086, 0x1042_1AF4, 0x1044_1AF4, 0xFFFF_FFFF,
    ]  # fmt: skip
    bases = [machine.config(slot, 0x20) & ~0xF for slot in slots]
    assert all(machine.devices.memory.find(base) is not None for base in bases)
    assert [machine.config(slot, 0x3C) & 0xFF for slot in slots] == [10, 11]


def test_firmware_has_filled_in_memory_sizes() -> None:
    ports = Machine().devices.ports
    ports.write(0x70, 1, 0x35)
    assert ports.read(0x71, 1) == (SIZE - (16 << 20)) >> 24


def test_reset_ports_and_power_off_reach_the_machine() -> None:
    machine = Machine()
    ports = machine.devices.ports
    ports.write(0xCF9, 1, 6)
    ports.write(0x64, 1, 0xFE)
    ports.write(0x92, 1, 1)
    ports.write(0x604, 2, 5 << 10 | 1 << 13)
    ports.write(0x501, 1, 3)
    assert machine.ends == ["reset", "reset", "reset", "off", "exit 7"]


def test_timer_interrupts_through_both_controllers() -> None:
    machine = Machine()
    devices = machine.devices
    for port, value in (
        (0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x43, 0x34), (0x40, 0), (0x40, 0x10),
    ):  # fmt: skip
        devices.ports.write(port, 1, value)
    devices.memory.write(0xFEC0_0000, 4, 0x14)
    devices.memory.write(0xFEC0_0010, 4, 0x31)
    machine.intr = False
    machine.messages.clear()
    devices.pic.acknowledge()
    event = devices.next_event()
    assert event is not None
    machine.clock.now = event
    devices.run_events()
    assert machine.messages == [(0, 0x31)]


def test_message_interrupt_of_a_plugged_device_reaches_the_processors() -> None:
    machine = Machine()
    slot = machine.devices.plug(Entropy(machine.dma))
    pci = machine.devices.pci.devices[slot]
    assert isinstance(pci, VirtioPci)
    table = next(bar.region for bar in pci.bars if bar.number == 1)
    assert table is not None
    for offset, value in ((0, 0xFEE0_3000), (8, 0x52), (12, 0)):
        machine.devices.memory.write(table.base + offset, 4, value)
    pci.write_config(0x42, 2, 0x8000)
    pci.msix.notify(0)
    assert machine.messages == [(3, 0x52)]
