"""The block device. ref: VIRTIO 1.2, 5.2."""

import struct
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.virtio.device import DeviceType, VirtioDevice
from worldswitch.machine.x86.virtio.disk import SECTOR, Disk
from worldswitch.machine.x86.virtio.queue import Chain, VirtqueueError

QUEUE_SIZE = 256
SEGMENT_SIZE, SEGMENTS = 128 << 10, 126
HEADER = 16
IDENTIFIER_SIZE = 20
CHUNK = 1 << 20


class Feature(IntFlag):
    """Features of block devices."""

    SIZE_MAX = 1 << 1
    SEG_MAX = 1 << 2
    READ_ONLY = 1 << 5
    BLOCK_SIZE = 1 << 6
    FLUSH = 1 << 9


class Request(IntEnum):
    """What a request wants."""

    READ = 0
    WRITE = 1
    FLUSH = 4
    GET_ID = 8


class Outcome(IntEnum):
    """The status byte of a request."""

    OK = 0
    ERROR = 1
    UNSUPPORTED = 2


class Block(VirtioDevice):
    """A disk. identifier: what GET_ID answers, up to 20 bytes."""

    type = DeviceType.BLOCK
    class_code = 0x01_0000

    def __init__(self, dma: Dma, disk: Disk, identifier: str = "worldswitch") -> None:
        features = Feature.SIZE_MAX | Feature.SEG_MAX | Feature.BLOCK_SIZE | Feature.FLUSH
        if disk.read_only:
            features |= Feature.READ_ONLY
        super().__init__(dma, [QUEUE_SIZE], int(features))
        self._disk = disk
        self._identifier = identifier.encode("ascii", "replace")[:IDENTIFIER_SIZE]

    def config(self) -> bytes:
        """Capacity in sectors, limits of segments, no geometry, block size."""
        capacity = self._disk.size // SECTOR
        return struct.pack("<QII4xI", capacity, SEGMENT_SIZE, SEGMENTS, SECTOR).ljust(64, b"\0")

    def process(self, index: int) -> None:
        """Serve the requests that wait, in order."""
        queue = self.queues[index]
        for chain in queue.chains():
            status = chain.reserve_last()
            outcome = self._serve(chain)
            self.dma.write(status, bytes([outcome]))
            chain.written += 1
            queue.complete(chain)
        self.signal(index)

    def _serve(self, chain: Chain) -> Outcome:
        header = chain.read(HEADER)
        if len(header) < HEADER:
            raise VirtqueueError("a request without a header")
        kind, _, sector = struct.unpack("<IIQ", header)
        try:
            match kind:
                case Request.READ:
                    return self._read(chain, sector * SECTOR)
                case Request.WRITE:
                    return self._write(chain, sector * SECTOR)
                case Request.FLUSH:
                    self._disk.flush()
                    return Outcome.OK
                case Request.GET_ID:
                    chain.write(self._identifier.ljust(IDENTIFIER_SIZE, b"\0"))
                    return Outcome.OK
                case _:
                    return Outcome.UNSUPPORTED
        except OSError:
            return Outcome.ERROR

    def _fits(self, offset: int, size: int) -> bool:
        return size % SECTOR == 0 and offset + size <= self._disk.size

    def _read(self, chain: Chain, offset: int) -> Outcome:
        size = chain.writable
        if not self._fits(offset, size):
            return Outcome.ERROR
        for at in range(offset, offset + size, CHUNK):
            chain.write(self._disk.read(at, min(CHUNK, offset + size - at)))
        return Outcome.OK

    def _write(self, chain: Chain, offset: int) -> Outcome:
        size = chain.readable
        if self._disk.read_only or not self._fits(offset, size):
            return Outcome.ERROR
        for at in range(offset, offset + size, CHUNK):
            self._disk.write(at, chain.read(min(CHUNK, offset + size - at)))
        return Outcome.OK
