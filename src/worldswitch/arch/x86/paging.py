"""Page-table entries of every form of paging: bits, levels and reserved bits."""

from dataclasses import dataclass
from enum import IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="APM2 5.4.1 Field Definitions")
class Pte(IntFlag):
    """Bits that entries of several levels share. PS and PAT are the same bit at two levels."""

    P = 1 << 0
    RW = 1 << 1
    US = 1 << 2
    PWT = 1 << 3
    PCD = 1 << 4
    A = 1 << 5
    D = 1 << 6
    PS = 1 << 7
    G = 1 << 8
    AVL9 = 1 << 9
    AVL10 = 1 << 10
    AVL11 = 1 << 11
    NX = 1 << 63


PTE_PAT = 1 << 7
"""PAT in an entry that maps a 4-Kbyte page."""
LARGE_PAT = 1 << 12
"""PAT in an entry that maps a larger page."""
PKEY_SHIFT, PKEY_MASK = 59, 0xF
ADDRESS = 0x000F_FFFF_FFFF_F000
ADDRESS_32 = 0xFFFF_F000
ADDRESS_PSE = 0xFFC0_0000
PSE36_SHIFT, PSE36_MASK = 13, 0xFF
"""Bits 20:13 of a 4-Mbyte page's entry are bits 39:32 of its address."""
NESTED_ACCESS = Pte.US
"""The walk of nested tables counts every guest access as a user access. ref: APM2 15.25.5."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a walk: the index is ``bits`` wide from bit ``shift`` of the linear address.

    ``large`` says whether an entry with PS maps a page; ``reserved`` are the bits that must be zero
    in an entry that is present and points to a table, ``large_reserved`` in one that maps a page.
    """

    name: str
    shift: int
    bits: int
    large: bool = False
    reserved: int = 0
    large_reserved: int = 0

    @property
    def page_size(self) -> int:
        """Bytes that one entry of this level spans."""
        return 1 << self.shift

    def index(self, linear: int) -> int:
        """The number of a linear address's entry in its table."""
        return (linear >> self.shift) & ((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True)
class PagingForm:
    """A form of paging: its levels from the top, the bytes of an entry, and its reference."""

    name: str
    entry_size: int
    levels: tuple[Level, ...]
    ref: str

    @property
    def linear_bits(self) -> int:
        """The width of the linear addresses that the form translates."""
        return self.levels[0].shift + self.levels[0].bits


_PT = Level("PTE", 12, 9)
_PD = Level("PDE", 21, 9, True, large_reserved=0x1F_E000)
# Bit 8, which is G where an entry maps a page, must be zero in upper levels that do not.
_PDP = Level("PDPE", 30, 9, True, reserved=0x100, large_reserved=0x3FFF_E000)
_PML4 = Level("PML4E", 39, 9, reserved=0x180)
_PML5 = Level("PML5E", 48, 9, reserved=0x180)

LEGACY = PagingForm(
    "32-bit",
    4,
    (Level("PDE", 22, 10, True, large_reserved=1 << 21), Level("PTE", 12, 10)),
    ref="APM2 5.2.1 Normal (Non-PAE) Paging",
)
# Entries of the pointer table have no RW, US, A and D: those bits and NX must be zero.
PAE = PagingForm(
    "PAE",
    8,
    (Level("PDPE", 30, 2, reserved=(1 << 63) | 0x1E6), _PD, _PT),
    ref="APM2 5.2.2 PAE Paging",
)
LONG_4 = PagingForm("4-level", 8, (_PML4, _PDP, _PD, _PT), ref="APM2 5.3.2 Canonical Address Form")
LONG_5 = PagingForm(
    "5-level", 8, (_PML5, _PML4, _PDP, _PD, _PT), ref="APM2 5.3.2 Canonical Address Form"
)
FORMS = (LEGACY, PAE, LONG_4, LONG_5)


def reserved_address_bits(physical_bits: int, *, no_execute: bool, long_mode: bool) -> int:
    """Bits that must be zero in each eight-byte entry of a processor with so many address bits.

    In long mode bits 62:52 are software's; with PAE alone they are reserved. NX is reserved while
    EFER.NXE is 0. ref: APM2 5.4.
    """
    bits = ((1 << 52) - 1) & ~((1 << physical_bits) - 1)
    if not long_mode:
        bits |= 0x7FF << 52
    return bits if no_execute else bits | Pte.NX


def is_canonical(address: int, bits: int = 48) -> bool:
    """Whether the upper bits of a 64-bit address are copies of bit ``bits - 1``."""
    return address == canonical(address, bits)


def canonical(address: int, bits: int = 48) -> int:
    """An address with bit ``bits - 1`` copied to those above it, in 64 bits. ref: APM2 5.3.1."""
    low = address & ((1 << bits) - 1)
    sign = 1 << (bits - 1)
    return ((low ^ sign) - sign) & 0xFFFF_FFFF_FFFF_FFFF
