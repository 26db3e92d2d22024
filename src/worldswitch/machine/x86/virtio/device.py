"""What all virtio devices have: status, features, queues. ref: VIRTIO 1.2, chapters 2 and 3."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.dma import Dma, DmaError
from worldswitch.machine.x86.virtio.queue import Virtqueue, VirtqueueError


class DeviceType(IntEnum):
    """Kinds of devices."""

    BLOCK = 2
    CONSOLE = 3
    ENTROPY = 4


class Status(IntFlag):
    """The device status."""

    ACKNOWLEDGE = 1
    DRIVER = 2
    DRIVER_OK = 4
    FEATURES_OK = 8
    NEEDS_RESET = 64
    FAILED = 128


class Feature(IntFlag):
    """Features of the rings and the transport."""

    INDIRECT = 1 << 28
    EVENT_INDEX = 1 << 29
    VERSION_1 = 1 << 32


COMMON_FEATURES = int(Feature.INDIRECT | Feature.EVENT_INDEX | Feature.VERSION_1)


class VirtioDevice(ABC):
    """A virtio device behind any transport.

    The transport sets `queue_used` and `config_changed`, which interrupt the driver.
    """

    type: DeviceType
    class_code: int
    """Of the PCI device (24 bits)."""

    def __init__(self, dma: Dma, queue_sizes: Sequence[int], features: int = 0) -> None:
        self.dma = dma
        self.offered = features | COMMON_FEATURES
        self.queues = [Virtqueue(dma, size) for size in queue_sizes]
        self.queue_used: Callable[[int], None] = lambda index: None
        self.config_changed: Callable[[], None] = lambda: None
        self.status = 0
        self.accepted = 0

    def reset(self) -> None:
        """The driver, or the board, starts over."""
        self.status = self.accepted = 0
        for queue in self.queues:
            queue.reset()

    # --- for the transport -------------------------------------------------------------------

    def accept(self, number: int, word: int) -> None:
        """The driver's choice of features 32 * number and up; taken only before FEATURES_OK."""
        if not self.status & Status.FEATURES_OK and number < 2:
            shift = 32 * number
            self.accepted = self.accepted & ~(0xFFFF_FFFF << shift) | word << shift

    def set_status(self, value: int) -> None:
        """The driver writes the status; 0 resets."""
        if value == 0:
            self.reset()
            return
        if value & ~self.status & Status.FEATURES_OK and (
            self.accepted & ~self.offered or not self.accepted & Feature.VERSION_1
        ):
            value &= ~int(Status.FEATURES_OK)
        # Bits stay set until a reset; the device's own bit is not the driver's to set.
        self.status |= value & ~int(Status.NEEDS_RESET) & 0xFF
        for queue in self.queues:
            queue.event_index = bool(self.accepted & Feature.EVENT_INDEX)
        if value & Status.DRIVER_OK and self.running:
            self._guarded(self.started)

    @property
    def running(self) -> bool:
        """Whether the driver is ready and nothing has gone wrong."""
        return self.status & (Status.DRIVER_OK | Status.NEEDS_RESET) == Status.DRIVER_OK

    def enable_queue(self, index: int) -> None:
        """The driver has set a queue up."""
        self._guarded(self.queues[index].enable)

    def notify(self, index: int) -> None:
        """The driver has made buffers of a queue available."""
        if index < len(self.queues) and self.running and self.queues[index].enabled:
            self._guarded(lambda: self.process(index))

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something with the guest's queues; if they make no sense, ask for a reset."""
        try:
            action()
        except (VirtqueueError, DmaError):
            self.status |= Status.NEEDS_RESET
            if self.status & Status.DRIVER_OK:
                self.config_changed()

    # --- for the devices ---------------------------------------------------------------------

    def signal(self, index: int) -> None:
        """Interrupt the driver if it wants to hear of what it got back."""
        if self.queues[index].wants_interrupt():
            self.queue_used(index)

    def run(self, action: Callable[[], None]) -> None:
        """Do something of the host's own accord, if the driver is ready."""
        if self.running:
            self._guarded(action)

    def started(self) -> None:
        """The driver is ready."""
        return

    @abstractmethod
    def process(self, index: int) -> None:
        """Serve the chains of a queue; raises VirtqueueError, DmaError."""

    def config(self) -> bytes:
        """The device's configuration space."""
        return b""

    def write_config(self, offset: int, data: bytes) -> None:
        """The driver stores in the configuration space; most devices have nothing to store."""
        return
