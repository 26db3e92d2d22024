"""Physical memory: one mapping that all processors of a machine share."""

import ctypes
import mmap

from worldswitch.metal.x86.codecache import CodeCache

FRAME = 4096
ARENA = 64 << 20
"""Bytes for decoded code; untouched pages cost nothing."""
HOLE = 3 << 30
"""Memory below the devices' part of the first 4 GiB ends here at the latest."""
FOUR_GIB = 4 << 30


def _map(size: int) -> tuple[mmap.mmap, int]:
    """Zeroed memory of at least `size` bytes and its host address."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    memory = mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=flags)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


class Storage:
    """`size` bytes of memory, what of it lies above 4 GiB, and the decoded code of it all.

    `size` is rounded up to whole megabytes. Addresses are physical; those from `low` to 4 GiB
    belong to devices.
    """

    def __init__(self, size: int) -> None:
        self.size = -(-size // (1 << 20)) << 20
        self.low = min(self.size, HOLE)
        self.high = FOUR_GIB + self.size - self.low
        self.end = self.low if self.size == self.low else self.high
        self.frames = self.end // FRAME
        # Accesses at the very end read a few bytes further than they use.
        self.memory, self.address = _map(self.end + FRAME)
        self.view = memoryview(self.memory)[: self.end]
        self._code_map, self.code_map = _map(self.frames * 8)
        self._pages, pages = _map(self.frames * 8)
        self._cache, self.code_cache = _map(CodeCache.size)
        self._arena, arena = _map(ARENA)
        self.cache = CodeCache.raw_at(self.code_cache)
        self.cache.arena = arena
        self.cache.capacity = ARENA
        self.cache.pages = pages
        self.cache.frames = self.frames
        self._code_view = memoryview(self._code_map).cast("Q")
        self._next_free = self.low
        self.on_code_written: list[object] = []

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

    def written(self, address: int, size: int) -> None:
        """Drop the decoded code of a range that was changed through `view`."""
        for frame in range(address // FRAME, (address + max(size, 1) - 1) // FRAME + 1):
            if self._code_view[frame]:
                for drop in self.on_code_written:
                    drop(frame * FRAME)  # type: ignore[operator]

    def _check(self, address: int, size: int) -> None:
        if not self.contains(address, size):
            raise IndexError(f"{size} bytes at {address:#x} are not memory")

    def allocate(self, size: int, alignment: int = FRAME) -> int:
        """Reserve memory from the top downwards; MemoryError if none is left."""
        start = (self._next_free - size) // alignment * alignment
        if start < 0:
            raise MemoryError(f"no room for {size} bytes of host memory")
        self._next_free = start
        return start
