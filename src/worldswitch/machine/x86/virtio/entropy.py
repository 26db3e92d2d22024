"""The entropy device. ref: VIRTIO 1.2, 5.4.

What it gives follows from its seed alone, so a run with virtual time repeats.
"""

import hashlib

from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.virtio.device import DeviceType, VirtioDevice

QUEUE_SIZE = 8
MOST = 4096
"""Bytes that one request gets; the rest of its buffer stays unused."""


class Entropy(VirtioDevice):
    """A source of random bytes: seed them from the host's own source where time is real."""

    type = DeviceType.ENTROPY
    class_code = 0x00_FF00

    def __init__(self, dma: Dma, seed: bytes = b"worldswitch") -> None:
        super().__init__(dma, [QUEUE_SIZE])
        self._seed = seed
        self._requests = 0

    def process(self, index: int) -> None:
        """Fill the buffers that wait."""
        queue = self.queues[index]
        for chain in queue.chains():
            self._requests += 1
            block = hashlib.shake_256(self._seed + self._requests.to_bytes(8, "little"))
            chain.write(block.digest(min(chain.writable, MOST)))
            queue.complete(chain)
        self.signal(index)
