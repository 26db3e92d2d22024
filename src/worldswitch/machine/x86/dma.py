"""Guest memory as devices reach it: RAM, and nothing else."""

from collections.abc import Sequence
from typing import Protocol

from worldswitch.machine.x86.layout import Range, inside


class Memory(Protocol):
    """Guest-physical memory. Callers keep to addresses that are RAM."""

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes at `address`."""
        ...

    def write(self, address: int, data: bytes) -> None:
        """Store bytes at `address`."""
        ...


class DmaError(Exception):
    """A device was told to use memory that is not RAM."""


class Dma:
    """Checked access of devices to guest memory.

    ranges: where RAM is (`layout.ram_ranges`). An access has to lie in one of them.
    """

    def __init__(self, memory: Memory, ranges: Sequence[Range]) -> None:
        self._memory = memory
        self._ranges = tuple(ranges)

    def check(self, address: int, size: int) -> None:
        """Raise DmaError unless all of it is RAM."""
        if size < 0 or not inside(self._ranges, address, size):
            raise DmaError(f"{size:#x} bytes at {address:#x} are not in RAM")

    def read(self, address: int, size: int) -> bytes:
        """Bytes of RAM; raises DmaError."""
        self.check(address, size)
        return self._memory.read(address, size) if size else b""

    def write(self, address: int, data: bytes) -> None:
        """Store bytes in RAM; raises DmaError."""
        self.check(address, len(data))
        if data:
            self._memory.write(address, data)

    def read_int(self, address: int, size: int) -> int:
        """A little-endian number; raises DmaError."""
        return int.from_bytes(self.read(address, size), "little")

    def write_int(self, address: int, size: int, value: int) -> None:
        """Store a little-endian number; raises DmaError."""
        self.write(address, value.to_bytes(size, "little"))
