"""Absolute storage and its keys: one mapping that all processors of a machine share."""

import ctypes
import mmap
from typing import TYPE_CHECKING

from worldswitch.metal.s390x.codecache import CodeCache

if TYPE_CHECKING:
    from worldswitch.metal.s390x.secure_storage import SecureStorage

FRAME = 4096
ARENA = 48 << 20
"""Bytes for decoded code; untouched pages cost nothing."""


def _map(size: int) -> tuple[mmap.mmap, int]:
    """Zeroed memory of at least `size` bytes and its host address."""
    memory = mmap.mmap(-1, max(size, mmap.PAGESIZE))
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))


class Storage:
    """`size` bytes of absolute storage, their keys, and the decoded code of what lies there.

    `size` is rounded up to whole megabytes.
    """

    def __init__(self, size: int) -> None:
        self.size = -(-size // (1 << 20)) << 20
        self.frames = self.size // FRAME
        self.memory, self.address = _map(self.size)
        self.view = memoryview(self.memory)
        self._keys, self.keys = _map(self.frames)
        self._code_map, self.code_map = _map(self.frames * 8)
        self._pages, pages = _map(self.frames * 8)
        self._cache, self.code_cache = _map(CodeCache.size)
        self._arena, arena = _map(ARENA)
        self.cache = CodeCache.raw_at(self.code_cache)
        self.cache.arena = arena
        self.cache.capacity = ARENA
        self.cache.pages = pages
        self.cache.frames = self.frames
        self._key_view = memoryview(self._keys)
        self._code_view = memoryview(self._code_map).cast("Q")
        self._next_free = self.size
        self.on_code_written: list[object] = []
        self.secure: SecureStorage | None = None
        """The owners of frames, once there are protected guests."""

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an absolute address; IndexError beyond the end.

        Raises SecureStorageAccess for a protected guest's frame.
        """
        self._check(address, size)
        if self.secure is not None:
            self.secure.check(address, size)
        return bytes(self.view[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        """Store bytes, and drop what was decoded from there; IndexError beyond the end.

        Raises SecureStorageAccess for a protected guest's frame.
        """
        self._check(address, len(data))
        if self.secure is not None:
            self.secure.check(address, len(data))
        self.put(address, data)

    def put(self, address: int, data: bytes) -> None:
        """Store bytes as the Ultravisor does, whoever owns the frames."""
        self.view[address : address + len(data)] = data
        self.written(address, len(data))

    def written(self, address: int, size: int) -> None:
        """Drop the decoded code of a range that was changed through `view`."""
        for frame in range(address // FRAME, (address + max(size, 1) - 1) // FRAME + 1):
            if self._code_view[frame]:
                for drop in self.on_code_written:
                    drop(frame * FRAME)  # type: ignore[operator]

    def _check(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.size:
            raise IndexError(f"{size} bytes at {address:#x} are beyond {self.size:#x}")

    def allocate(self, size: int, alignment: int = FRAME) -> int:
        """Reserve storage from the top downwards; MemoryError if none is left."""
        start = (self._next_free - size) // alignment * alignment
        if start < 0:
            raise MemoryError(f"no room for {size} bytes of host storage")
        self._next_free = start
        return start

    def get_key(self, address: int) -> int:
        """Storage key of a frame: ACC in bits 0-3, then F, R, C."""
        return self._key_view[address // FRAME]

    def set_key(self, address: int, key: int) -> None:
        """Set the storage key of a frame."""
        self._key_view[address // FRAME] = key & 0xFE
