"""Where things are in the guest-physical address space of the PC, and its memory map.

RAM begins at 0; what does not fit below the PCI hole goes on at 4 GiB. The board has no ROM: what
firmware would leave in memory is put there before the first processor starts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

KIBIBYTE, MEBIBYTE, GIBIBYTE = 1 << 10, 1 << 20, 1 << 30
LOWEST_MEMORY = 2 * MEBIBYTE
BDA = 0x400
"""The BIOS data area, of 256 bytes."""
EBDA = 0x9_FC00
"""End of conventional memory: the last KiB is the firmware's."""
LEGACY_HOLE = 0xA_0000
"""The frame buffer's window. RAM lies behind it here, but no memory map offers it."""
FIRMWARE = 0xE_0000
"""Where the ACPI tables begin; the range that is searched for their pointer starts here."""
HIGH_MEMORY = 0x10_0000
PCI_HOLE = 0xC000_0000
"""End of RAM below 4 GiB at the most, and start of the window for PCI devices' memory."""
PCI_HOLE_END = 0xFEC0_0000
"""The I/O APIC; nothing of PCI is from here to 4 GiB."""
FOUR_GIB = 4 * GIBIBYTE
PCI_PORTS, PCI_PORTS_END = 0xC000, 0x1_0000
"""Ports that the firmware gives to PCI devices."""


class RangeType(IntEnum):
    """What a range of addresses is, in the numbers of the e820 map."""

    USABLE = 1
    RESERVED = 2
    ACPI = 3
    NVS = 4


@dataclass(frozen=True)
class Range:
    """A range of guest-physical addresses."""

    start: int
    size: int
    type: RangeType = RangeType.USABLE

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.start + self.size


def ram_ranges(size: int) -> list[Range]:
    """Where `size` bytes of RAM answer."""
    low = min(size, PCI_HOLE)
    found = [Range(0, low)]
    if size > low:
        found.append(Range(FOUR_GIB, size - low))
    return found


def memory_map(size: int) -> list[Range]:
    """The memory map that firmware reports for `size` bytes of RAM."""
    low, *high = ram_ranges(size)
    reserved = RangeType.RESERVED
    return [
        Range(0, EBDA),
        Range(EBDA, LEGACY_HOLE - EBDA, reserved),
        Range(FIRMWARE, HIGH_MEMORY - FIRMWARE, reserved),
        Range(HIGH_MEMORY, low.end - HIGH_MEMORY),
        Range(PCI_HOLE_END, FOUR_GIB - PCI_HOLE_END, reserved),
        *high,
    ]


def inside(ranges: Sequence[Range], address: int, size: int) -> bool:
    """Whether all of `size` bytes at `address` lie in one of the ranges."""
    return any(part.start <= address and address + size <= part.end for part in ranges)
