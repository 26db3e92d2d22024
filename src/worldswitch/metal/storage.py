"""Memory and the decoded code of what lies there: what the storage of all processors shares."""

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

FRAME = 4096


def mapped(size: int) -> tuple[mmap.mmap, int]:
    """Zeroed memory of at least `size` bytes and its host address; untouched pages cost nothing."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0)
    memory = mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=flags)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


class StorageBase:
    """One mapping of `end` bytes, which all processors of a machine share, and their code cache.

    code_cache: the architecture's `CodeCache`. arena: bytes for decoded code. free: `allocate`
    reserves below this address.
    """

    def __init__(self, end: int, code_cache: Any, arena: int, free: int) -> None:
        self.frames = end // FRAME
        # Accesses at the very end read a few bytes further than they use.
        self.memory, self.address = mapped(end + FRAME)
        self.view = memoryview(self.memory)[:end]
        self._code_map, self.code_map = mapped(self.frames * 8)
        self._code_view = memoryview(self._code_map).cast("Q")
        self._pages, pages = mapped(self.frames * 8)
        self._cache, self.code_cache = mapped(code_cache.size)
        self._arena, room = mapped(arena)
        self.cache = code_cache.raw_at(self.code_cache)
        self.cache.arena, self.cache.capacity = room, arena
        self.cache.pages, self.cache.frames = pages, self.frames
        self._next_free = free
        self.on_code_written: list[Callable[[int], None]] = []

    def written(self, address: int, size: int) -> None:
        """Drop the decoded code of a range that was changed through `view`."""
        for frame in range(address // FRAME, (address + max(size, 1) - 1) // FRAME + 1):
            if self._code_view[frame]:
                for drop in self.on_code_written:
                    drop(frame * FRAME)

    def allocate(self, size: int, alignment: int = FRAME) -> int:
        """Reserve memory from the top downwards; MemoryError if none is left."""
        start = (self._next_free - size) // alignment * alignment
        if start < 0:
            raise MemoryError(f"no room for {size} bytes of host memory")
        self._next_free = start
        return start
