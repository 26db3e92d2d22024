"""Buses: which device answers at an address, for ports and for memory-mapped registers.

What nothing answers reads as all ones, and writes to it are lost; both are counted.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

PORTS = 1 << 16
PHYSICAL_ADDRESSES = 1 << 52


class Handler(Protocol):
    """Registers of a device. `offset` counts from the start of the region; values are unsigned."""

    def read(self, offset: int, size: int) -> int:
        """The value of `size` bytes at `offset`."""
        ...

    def write(self, offset: int, size: int, value: int) -> None:
        """Store the `size` low bytes of `value` at `offset`."""
        ...


class BusConflictError(Exception):
    """A region would overlap another, or leave the bus."""


@dataclass(frozen=True, eq=False)
class Region:
    """Addresses that one handler answers.

    width: bytes of the widest access that the handler takes; the bus cuts wider ones up, as the
    chip set does for an 8-bit device.
    """

    base: int
    size: int
    handler: Handler = field(repr=False)
    name: str
    width: int

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.base + self.size


class Bus:
    """A set of regions, none of which overlaps another."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lost_reads = 0
        """Accesses that nothing answered, in whole or in part."""
        self.lost_writes = 0
        self._bases: list[int] = []
        self._regions: list[Region] = []

    def __iter__(self) -> Iterator[Region]:
        return iter(self._regions)

    def add(self, base: int, size: int, handler: Handler, name: str, width: int = 4) -> Region:
        """Let `handler` answer `size` addresses from `base`; raises BusConflictError."""
        region = Region(base, size, handler, name, width)
        if size <= 0 or base < 0 or region.end > self.size:
            raise BusConflictError(f"{name} at {base:#x}, {size:#x} bytes, is not on the bus")
        at = bisect_right(self._bases, base)
        for other in self._regions[max(at - 1, 0) : at + 1]:
            if other.base < region.end and base < other.end:
                raise BusConflictError(
                    f"{name} at {base:#x} to {region.end - 1:#x} overlaps {other.name} "
                    f"at {other.base:#x} to {other.end - 1:#x}"
                )
        self._bases.insert(at, base)
        self._regions.insert(at, region)
        return region

    def remove(self, region: Region) -> None:
        """Take a region off the bus."""
        at = self._regions.index(region)
        del self._bases[at], self._regions[at]

    def find(self, address: int) -> Region | None:
        """The region that an address is in."""
        at = bisect_right(self._bases, address) - 1
        if at >= 0 and address < self._regions[at].end:
            return self._regions[at]
        return None

    def _pieces(self, address: int, size: int) -> Iterator[tuple[Region | None, int, int]]:
        """Cut an access up: the region, the first byte's number in the access, and the size."""
        done = 0
        while done < size:
            region = self.find(address + done)
            if region is None:
                yield None, done, 1
                done += 1
                continue
            room = min(size - done, region.width, region.end - (address + done))
            piece = 1 << (room.bit_length() - 1)
            yield region, done, piece
            done += piece

    def read(self, address: int, size: int) -> int:
        """The value of `size` bytes, little-endian; addresses that nothing answers give FF."""
        region = self.find(address)
        if region is not None and size <= region.width and address + size <= region.end:
            return region.handler.read(address - region.base, size) & ((1 << 8 * size) - 1)
        value, lost = 0, False
        for region, at, piece in self._pieces(address, size):
            if region is None:
                part, lost = 0xFF, True
            else:
                part = region.handler.read(address + at - region.base, piece)
            value |= (part & ((1 << 8 * piece) - 1)) << 8 * at
        self.lost_reads += lost
        return value

    def write(self, address: int, size: int, value: int) -> None:
        """Store `size` bytes, little-endian; what goes to nowhere is lost."""
        value &= (1 << 8 * size) - 1
        region = self.find(address)
        if region is not None and size <= region.width and address + size <= region.end:
            region.handler.write(address - region.base, size, value)
            return
        lost = False
        for region, at, piece in list(self._pieces(address, size)):
            if region is None:
                lost = True
                continue
            part = value >> 8 * at & ((1 << 8 * piece) - 1)
            region.handler.write(address + at - region.base, piece, part)
        self.lost_writes += lost


class PortBus(Bus):
    """The 65,536 I/O ports."""

    def __init__(self) -> None:
        super().__init__(PORTS)


class MemoryBus(Bus):
    """Guest-physical addresses of devices: where RAM is, the machine does not ask the bus."""

    def __init__(self) -> None:
        super().__init__(PHYSICAL_ADDRESSES)
