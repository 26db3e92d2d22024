"""Absolute storage and its keys: one mapping that all processors of a machine share."""

from typing import TYPE_CHECKING

from worldswitch.metal.s390x.codecache import CodeCache
from worldswitch.metal.storage import FRAME, StorageBase, mapped

if TYPE_CHECKING:
    from worldswitch.metal.s390x.secure_storage import SecureStorage

ARENA = 48 << 20
"""Bytes for decoded code."""


class Storage(StorageBase):
    """`size` bytes of absolute storage, their keys, and the decoded code of what lies there.

    `size` is rounded up to whole megabytes.
    """

    def __init__(self, size: int) -> None:
        self.size = -(-size // (1 << 20)) << 20
        super().__init__(self.size, CodeCache, ARENA, self.size)
        self._keys, self.keys = mapped(self.frames)
        self._key_view = memoryview(self._keys)
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

    def _check(self, address: int, size: int) -> None:
        if address < 0 or size < 0 or address + size > self.size:
            raise IndexError(f"{size} bytes at {address:#x} are beyond {self.size:#x}")

    def get_key(self, address: int) -> int:
        """Storage key of a frame: ACC in bits 0-3, then F, R, C."""
        return self._key_view[address // FRAME]

    def set_key(self, address: int, key: int) -> None:
        """Set the storage key of a frame."""
        self._key_view[address // FRAME] = key & 0xFE
