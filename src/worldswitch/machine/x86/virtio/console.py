"""The console device, with one port. ref: VIRTIO 1.2, 5.3."""

from collections.abc import Callable
from enum import IntFlag

from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.virtio.device import DeviceType, VirtioDevice

RECEIVE, TRANSMIT = 0, 1
QUEUE_SIZE = 64
CHUNK = 64 << 10
EMERGENCY = 8
"""Offset of the emergency-write register in the configuration space."""
CONFIG_SIZE = 12


class Feature(IntFlag):
    """Features of consoles."""

    EMERGENCY_WRITE = 1 << 2


class Console(VirtioDevice):
    """A terminal. output: takes what the guest writes."""

    type = DeviceType.CONSOLE
    class_code = 0x07_8000

    def __init__(self, dma: Dma, output: Callable[[bytes], None]) -> None:
        super().__init__(dma, [QUEUE_SIZE, QUEUE_SIZE], int(Feature.EMERGENCY_WRITE))
        self._output = output
        self.waiting = bytearray()
        """Input that the guest has given no buffers for yet."""

    def receive(self, data: bytes) -> None:
        """Somebody types."""
        self.waiting += data
        self.run(self._deliver)

    def started(self) -> None:
        """Deliver what was typed before the driver came."""
        self._deliver()

    def process(self, index: int) -> None:
        """Print what the guest has queued, or use its new buffers for input."""
        if index == RECEIVE:
            self._deliver()
            return
        queue = self.queues[index]
        for chain in queue.chains():
            while data := chain.read(CHUNK):
                self._output(data)
            queue.complete(chain)
        self.signal(index)

    def _deliver(self) -> None:
        queue = self.queues[RECEIVE]
        if not queue.enabled or not self.waiting:
            return
        for chain in queue.chains():
            if not self.waiting:
                queue.put_back()
                break
            size = chain.write(bytes(self.waiting[: min(chain.writable, CHUNK)]))
            del self.waiting[:size]
            queue.complete(chain)
        self.signal(RECEIVE)

    def config(self) -> bytes:
        """Sizes that are not offered, and the emergency-write register."""
        return bytes(CONFIG_SIZE)

    def write_config(self, offset: int, data: bytes) -> None:
        """Print the low byte of an emergency write."""
        if offset == EMERGENCY:
            self._output(data[:1])
