"""A virtual CPU's state in the words that all facilities for x86 share."""

from dataclasses import dataclass
from enum import Enum, IntEnum

from worldswitch.arch.x86.registers import Cr0, Cr4, Efer
from worldswitch.arch.x86.segments import ATTR_DPL, ATTR_DPL_SHIFT, SegAttr

MASK16 = 0xFFFF
MASK32 = 0xFFFF_FFFF
MASK64 = 0xFFFF_FFFF_FFFF_FFFF


class Gr(IntEnum):
    """General registers by number."""

    RAX = 0
    RCX = 1
    RDX = 2
    RBX = 3
    RSP = 4
    RBP = 5
    RSI = 6
    RDI = 7
    R8 = 8
    R9 = 9
    R10 = 10
    R11 = 11
    R12 = 12
    R13 = 13
    R14 = 14
    R15 = 15


class CpuMode(Enum):
    """Operating modes. ref: APM2 1.3 Operating Modes."""

    REAL = "real"
    PROTECTED = "protected"
    COMPATIBILITY = "compatibility"
    LONG = "64-bit"


class PagingMode(Enum):
    """How linear addresses are translated. ref: APM2 5.1.1 Page-Translation Options."""

    FLAT = "no paging"
    LEGACY = "32-bit"
    PAE = "PAE"
    LONG = "4-level"
    LONG_5 = "5-level"


class CpuState(Enum):
    """Whether a virtual CPU executes. ref: APM2 14.1; APM2 16.5."""

    RUNNING = "running"
    HALTED = "halted"
    WAIT_FOR_STARTUP = "waits for a start-up IPI"
    SHUTDOWN = "shut down"


@dataclass(frozen=True, slots=True)
class SegmentState:
    """A segment register with its hidden part; of GDTR and IDTR, base and limit alone.

    attributes: as `worldswitch.arch.x86.segments.SegAttr` packs them.
    """

    selector: int = 0
    base: int = 0
    limit: int = 0
    attributes: int = 0

    @property
    def dpl(self) -> int:
        """Descriptor privilege level, 0 to 3."""
        return (self.attributes & ATTR_DPL) >> ATTR_DPL_SHIFT

    @property
    def present(self) -> bool:
        """Whether the segment can be used."""
        return bool(self.attributes & SegAttr.P)


SEGMENT_NAMES = ("es", "cs", "ss", "ds", "fs", "gs")
"""In the order of `worldswitch.arch.x86.segments.SegmentNumber`."""
DESCRIPTOR_NAMES = (*SEGMENT_NAMES, "ldtr", "tr", "gdtr", "idtr")


def paging_mode(cr0: int, cr4: int, efer: int) -> PagingMode:
    """The form of paging that control registers select. ref: APM2 5.1.1."""
    if not cr0 & Cr0.PG:
        return PagingMode.FLAT
    if not cr4 & Cr4.PAE:
        return PagingMode.LEGACY
    if not efer & Efer.LMA:
        return PagingMode.PAE
    return PagingMode.LONG_5 if cr4 & Cr4.LA57 else PagingMode.LONG
