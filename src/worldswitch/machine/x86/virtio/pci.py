"""Virtio over PCI, without the legacy interface. ref: VIRTIO 1.2, 4.1."""

import struct
from collections.abc import Callable
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.msix import MsiX
from worldswitch.machine.x86.pci import Bar, BarKind, Identity, PciDevice
from worldswitch.machine.x86.virtio.device import VirtioDevice

VENDOR, FIRST_DEVICE, FIRST_SUBSYSTEM = 0x1AF4, 0x1040, 0x1100
VENDOR_CAPABILITY = 0x09
MSIX_BAR, REGISTERS_BAR = 1, 4
COMMON, ISR, DEVICE, NOTIFY, REGISTERS_SIZE = 0x0000, 0x1000, 0x2000, 0x3000, 0x4000
STRUCTURE = 0x1000
NOTIFY_MULTIPLIER = 4
NO_VECTOR = 0xFFFF


class Capability(IntEnum):
    """What a vendor capability points to."""

    COMMON = 1
    NOTIFY = 2
    ISR = 3
    DEVICE = 4
    PCI = 5


class Common(IntEnum):
    """Offsets in the common configuration."""

    DEVICE_FEATURE_SELECT = 0x00
    DEVICE_FEATURE = 0x04
    DRIVER_FEATURE_SELECT = 0x08
    DRIVER_FEATURE = 0x0C
    CONFIG_VECTOR = 0x10
    STATUS = 0x14
    QUEUE_SELECT = 0x16
    QUEUE_SIZE = 0x18
    QUEUE_VECTOR = 0x1A
    QUEUE_ENABLE = 0x1C
    QUEUE_DESCRIPTORS = 0x20
    QUEUE_DRIVER = 0x28
    QUEUE_DEVICE = 0x30


class Isr(IntFlag):
    """Why INTA is asserted."""

    QUEUE = 1
    CONFIGURATION = 2


class VirtioPci(PciDevice):
    """A virtio device in a PCI slot.

    message: takes the interrupts that go by MSI-X.
    """

    def __init__(self, device: VirtioDevice, message: Callable[[int, int], None]) -> None:
        kind = device.type
        super().__init__(
            Identity(VENDOR, FIRST_DEVICE + kind, device.class_code, 1, VENDOR,
                     FIRST_SUBSYSTEM + kind),
            pin=1,
        )  # fmt: skip
        self.device = device
        device.queue_used = self._queue_used
        device.config_changed = self._config_changed
        self.msix = MsiX(self, MSIX_BAR, len(device.queues) + 1, message)
        self.add_bar(Bar(REGISTERS_BAR, BarKind.MEMORY64, REGISTERS_SIZE, Registers(self)))
        multiplier = NOTIFY_MULTIPLIER.to_bytes(4, "little")
        for capability, offset, more in (
            (Capability.COMMON, COMMON, b""),
            (Capability.NOTIFY, NOTIFY, multiplier),
            (Capability.ISR, ISR, b""),
            (Capability.DEVICE, DEVICE, b""),
        ):
            content = struct.pack(
                "<BBBBxxII", 16 + len(more), capability, REGISTERS_BAR, 0, offset, STRUCTURE
            )
            self.add_capability(VENDOR_CAPABILITY, content + more)
        self._window = self.add_capability(
            VENDOR_CAPABILITY, struct.pack("<BBBBxxIII", 20, Capability.PCI, 0, 0, 0, 0, 0)
        )
        self.allow(self._window + 4, 1, 0xFF)
        self.allow(self._window + 8, 8, (1 << 64) - 1)
        self._clear()

    def _clear(self) -> None:
        self._isr = 0
        self._device_select = self._driver_select = self._queue_select = 0
        self._config_vector = NO_VECTOR

    def reset(self) -> None:
        """The board's reset."""
        self.device.reset()
        self.msix.reset()
        self._clear()
        super().reset()

    # --- interrupts --------------------------------------------------------------------------

    def _raise(self, cause: Isr, vector: int) -> None:
        if self.msix.enabled:
            self.msix.notify(vector)
        else:
            self._isr |= cause
            self.set_interrupt(True)

    def _queue_used(self, index: int) -> None:
        self._raise(Isr.QUEUE, self.device.queues[index].vector)

    def _config_changed(self) -> None:
        self._raise(Isr.CONFIGURATION, self._config_vector)

    def read_isr(self) -> int:
        """Why the interrupt came; reading ends it."""
        value, self._isr = self._isr, 0
        self.set_interrupt(False)
        return value

    # --- the common configuration ------------------------------------------------------------

    def common(self) -> bytes:
        """The common configuration as the driver reads it."""
        device, queues = self.device, self.device.queues
        selected = queues[self._queue_select] if self._queue_select < len(queues) else None
        words = [
            value >> 32 * select & 0xFFFF_FFFF if select < 2 else 0
            for value, select in (
                (device.offered, self._device_select),
                (device.accepted, self._driver_select),
            )
        ]
        head = struct.pack(
            "<IIIIHHBBH", self._device_select, words[0], self._driver_select, words[1],
            self._config_vector, len(queues), device.status, 0, self._queue_select,
        )  # fmt: skip
        if selected is None:
            return head.ljust(Common.QUEUE_VECTOR, b"\0") + b"\xff\xff" + bytes(0x24)
        return head + struct.pack(
            "<HHHHQQQII", selected.size, selected.vector, selected.enabled, self._queue_select,
            selected.descriptors, selected.driver, selected.device, 0, 0,
        )  # fmt: skip

    def write_common(self, offset: int, size: int, value: int) -> None:
        """The driver stores a field, in the width that the field has."""
        device = self.device
        match offset, size:
            case Common.DEVICE_FEATURE_SELECT, 4:
                self._device_select = value
            case Common.DRIVER_FEATURE_SELECT, 4:
                self._driver_select = value
            case Common.DRIVER_FEATURE, 4:
                device.accept(self._driver_select, value)
            case Common.CONFIG_VECTOR, 2:
                self._config_vector = self._vector(value)
            case Common.STATUS, 1:
                device.set_status(value)
                if value == 0:
                    self._clear()
                    self.set_interrupt(False)
            case Common.QUEUE_SELECT, 2:
                self._queue_select = value
            case _ if self._queue_select < len(device.queues):
                self._write_queue(offset, size, value)
            case _:
                pass

    def _vector(self, value: int) -> int:
        """A vector that the table has; others read back as none."""
        return value if value < self.msix.entries else NO_VECTOR

    def _write_queue(self, offset: int, size: int, value: int) -> None:
        queue = self.device.queues[self._queue_select]
        if (offset, size) == (Common.QUEUE_VECTOR, 2):
            queue.vector = self._vector(value)
        elif queue.enabled:
            return  # set up once; only a reset undoes it
        elif (offset, size) == (Common.QUEUE_SIZE, 2):
            queue.size = value
        elif (offset, size) == (Common.QUEUE_ENABLE, 2) and value == 1:
            self.device.enable_queue(self._queue_select)
        elif size == 4 and offset & 3 == 0:
            shift = 8 * (offset & 4)
            mask = 0xFFFF_FFFF << shift
            match offset & ~7:
                case Common.QUEUE_DESCRIPTORS:
                    queue.descriptors = queue.descriptors & ~mask | value << shift
                case Common.QUEUE_DRIVER:
                    queue.driver = queue.driver & ~mask | value << shift
                case Common.QUEUE_DEVICE:
                    queue.device = queue.device & ~mask | value << shift
                case _:
                    pass

    # --- the window in configuration space ---------------------------------------------------

    def _through_window(self, offset: int, size: int) -> Bar | None:
        """The BAR that an access to the window's data reaches."""
        data = self._window + 16
        if offset != data or self.config_value(self._window + 12, 4) != size:
            return None
        number = self.config[self._window + 4]
        at = self.config_value(self._window + 8, 4)
        for bar in self.bars:
            if bar.number == number and at % size == 0 and at + size <= bar.size:
                return bar
        return None

    def read_config(self, offset: int, size: int) -> int:
        """Configuration space; reading the window's data reads a BAR."""
        bar = self._through_window(offset, size)
        if bar is None:
            return super().read_config(offset, size)
        at = self.config_value(self._window + 8, 4)
        return bar.handler.read(at, size) & (1 << 8 * size) - 1

    def write_config(self, offset: int, size: int, value: int) -> None:
        """Configuration space; writing the window's data writes to a BAR."""
        bar = self._through_window(offset, size)
        if bar is None:
            super().write_config(offset, size, value)
        else:
            bar.handler.write(self.config_value(self._window + 8, 4), size, value)


class Registers:
    """The structures in the device's memory."""

    def __init__(self, transport: VirtioPci) -> None:
        self._transport = transport

    def read(self, offset: int, size: int) -> int:
        """A field of a structure."""
        structure, at = offset & ~(STRUCTURE - 1), offset & (STRUCTURE - 1)
        match structure:
            case 0x0000:
                image = self._transport.common()
            case 0x1000:
                return self._transport.read_isr() if at == 0 else 0
            case 0x2000:
                image = self._transport.device.config()
            case _:
                return 0
        return int.from_bytes(image[at : at + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Store a field, or notify a queue."""
        structure, at = offset & ~(STRUCTURE - 1), offset & (STRUCTURE - 1)
        match structure:
            case 0x0000:
                self._transport.write_common(at, size, value)
            case 0x2000:
                self._transport.device.write_config(at, value.to_bytes(size, "little"))
            case 0x3000:
                self._transport.device.notify(at // NOTIFY_MULTIPLIER)
            case _:
                pass
