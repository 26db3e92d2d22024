"""Physical memory: one mapping that all processors of a machine share."""

from worldswitch.metal.storage import StorageBase
from worldswitch.metal.x86.codecache import CodeCache

ARENA = 64 << 20
"""Bytes for decoded code."""
HOLE = 3 << 30
"""Memory below the devices' part of the first 4 GiB ends here at the latest."""
FOUR_GIB = 4 << 30


class Storage(StorageBase):
    """`size` bytes of memory, what of it lies above 4 GiB, and the decoded code of it all.

    `size` is rounded up to whole megabytes. Addresses are physical; those from `low` to 4 GiB
    belong to devices.
    """

    def __init__(self, size: int) -> None:
        self.size = -(-size // (1 << 20)) << 20
        self.low = min(self.size, HOLE)
        self.high = FOUR_GIB + self.size - self.low
        self.end = self.low if self.size == self.low else self.high
        super().__init__(self.end, CodeCache, ARENA, self.low)

    def contains(self, address: int, size: int) -> bool:
        """Whether `size` bytes at a physical address are memory."""
        if address < 0 or size < 0:
            return False
        if address + size <= self.low:
            return True
        return address >= FOUR_GIB and address + size <= self.high and self.end == self.high

    def read(self, address: int, size: int) -> bytes:
        """Bytes at a physical address; IndexError for what is not memory."""
        self._check(address, size)
        return bytes(self.view[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        """Store bytes, and drop what was decoded from there; IndexError for no memory."""
        self._check(address, len(data))
        self.view[address : address + len(data)] = data
        self.written(address, len(data))

    def _check(self, address: int, size: int) -> None:
        if not self.contains(address, size):
            raise IndexError(f"{size} bytes at {address:#x} are not memory")
