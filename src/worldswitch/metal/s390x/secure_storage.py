"""Which frames belong to protected guests: the native arrays, and the cipher for what leaves them.

ref: UV secure storage.
"""

import ctypes
import hashlib
import mmap
from typing import TYPE_CHECKING

from worldswitch.metal.interface import SecureStorageAccess
from worldswitch.metal.s390x.dat import SECURE_SHARED

if TYPE_CHECKING:
    from worldswitch.metal.s390x.processor import Complex

FRAME = 4096


def keystream(key: bytes, tweak: bytes) -> bytes:
    """4096 bytes that depend on both.

    IMPDEF: a stream of SHA-256 digests; the real cipher is AES-XTS.
    """
    return b"".join(
        hashlib.sha256(key + tweak + n.to_bytes(4, "big")).digest() for n in range(FRAME // 32)
    )


def crypt(page: bytes, key: bytes, tweak: bytes) -> bytes:
    """Encrypt or decrypt a page: the operation is its own inverse."""
    stream = keystream(key, tweak)
    return (int.from_bytes(page, "big") ^ int.from_bytes(stream, "big")).to_bytes(FRAME, "big")


class SecureStorage:
    """Owners and guest addresses of all frames, seen by all processors of a complex."""

    def __init__(self, complex: "Complex") -> None:
        self._complex = complex
        frames = complex.storage.frames
        self._maps = mmap.mmap(-1, frames * 2), mmap.mmap(-1, frames * 4)
        self._owner = (ctypes.c_uint16 * frames).from_buffer(self._maps[0])
        self._guest = (ctypes.c_uint32 * frames).from_buffer(self._maps[1])
        for processor in complex.processors:
            processor.raw.secure_owner = ctypes.addressof(self._owner)
            processor.raw.secure_guest = ctypes.addressof(self._guest)
            processor.call("purge_all")
        complex.storage.secure = self

    def owner(self, frame: int) -> int:
        """The configuration that owns a frame; 0 for none."""
        return self._owner[frame] & ~SECURE_SHARED

    def is_shared(self, frame: int) -> bool:
        """Whether the owner shares the frame with the host."""
        return bool(self._owner[frame] & SECURE_SHARED)

    def guest_frame(self, frame: int) -> int:
        """The guest frame that an owned frame holds."""
        return self._guest[frame]

    def set(self, frame: int, owner: int, guest_frame: int, shared: bool = False) -> None:
        """Give a frame to a configuration (0: to nobody), and drop translations to it."""
        self._owner[frame] = owner | (SECURE_SHARED if shared else 0)
        self._guest[frame] = guest_frame
        self._complex.processors[0].call("purge_frame", frame * FRAME)

    def check(self, address: int, size: int) -> None:
        """Raise SecureStorageAccess if the host may not touch a range."""
        for frame in range(address // FRAME, (address + max(size, 1) - 1) // FRAME + 1):
            if self.owner(frame) and not self.is_shared(frame):
                raise SecureStorageAccess(max(address, frame * FRAME))
