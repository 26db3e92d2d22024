"""The program-status word: mask bits, the short format, and what makes a PSW invalid."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import ControlBlock, at, bits, control_block, manual, u64

ADDRESS_24 = (1 << 24) - 1
ADDRESS_31 = (1 << 31) - 1
ADDRESS_64 = (1 << 64) - 1


@manual(ref="PoP 4 Program-Status-Word Format")
class PswMask(IntFlag):
    """Bits of the first doubleword of the PSW."""

    PER = 0x4000_0000_0000_0000
    DAT = 0x0400_0000_0000_0000
    IO = 0x0200_0000_0000_0000
    EXT = 0x0100_0000_0000_0000
    SHORT = 0x0008_0000_0000_0000  # bit 12: zero in the PSW, one in the short format
    MCHECK = 0x0004_0000_0000_0000
    WAIT = 0x0002_0000_0000_0000
    PROBLEM = 0x0001_0000_0000_0000
    RI = 0x0000_0080_0000_0000
    EA = 0x0000_0001_0000_0000
    BA = 0x0000_0000_8000_0000


KEY_MASK = 0x00F0_0000_0000_0000
KEY_SHIFT = 52
AS_MASK = 0x0000_C000_0000_0000
AS_SHIFT = 46
CC_MASK = 0x0000_3000_0000_0000
CC_SHIFT = 44
PROGRAM_MASK = 0x0000_0F00_0000_0000
PROGRAM_MASK_SHIFT = 40
INTERRUPTS = PswMask.IO | PswMask.EXT | PswMask.MCHECK

# Bits 0, 2-4, 12, 25-30 and 33-63, and bit 24 without runtime instrumentation.
UNASSIGNED = 0xB808_007E_7FFF_FFFF


@manual(ref="PoP 4 Program-Status-Word Format")
class ProgramMask(IntFlag):
    """PSW bits 20-23, as a four-bit number."""

    FIXED_POINT_OVERFLOW = 0x8
    DECIMAL_OVERFLOW = 0x4
    HFP_EXPONENT_UNDERFLOW = 0x2
    HFP_SIGNIFICANCE = 0x1


@manual(ref="PoP 3 Translation Modes")
class AddressSpace(IntEnum):
    """PSW bits 16-17: which address-space-control element translates, with DAT on."""

    PRIMARY = 0
    ACCESS_REGISTER = 1
    SECONDARY = 2
    HOME = 3


@control_block(size=16, byteorder="big", ref="PoP 4 Program-Status-Word Format")
class Psw(ControlBlock):
    """The 16-byte PSW as it stands in storage."""

    mask: u64 = at(0x0, ref="PoP 4 Program-Status-Word Format", names=PswMask)
    addr: u64 = at(0x8, ref="PoP 4 Program-Status-Word Format", doc="instruction address")
    key: u64 = bits("mask", 8, 11, ref="PoP 4 Program-Status-Word Format", doc="access key")
    address_space: u64 = bits("mask", 16, 17, ref="PoP 3 Translation Modes", names=AddressSpace)
    cc: u64 = bits("mask", 18, 19, ref="PoP 4 Program-Status-Word Format", doc="condition code")
    program_mask: u64 = bits(
        "mask", 20, 23, ref="PoP 4 Program-Status-Word Format", names=ProgramMask
    )


def early_error(mask: int, addr: int, *, runtime_instrumentation: bool = False) -> str | None:
    """Why a PSW causes an early specification exception, or None.

    These are the errors recognized when the PSW is loaded. ref: PoP 6, Early Exception Recognition.
    An odd instruction address is not among them: it is recognized on the first fetch.
    """
    wrong = mask & UNASSIGNED
    if not runtime_instrumentation:
        wrong |= mask & PswMask.RI
    if wrong:
        return f"unassigned PSW mask bits {wrong:#018x} are not zero"
    extended, basic = mask & PswMask.EA, mask & PswMask.BA
    if extended and not basic:
        return "extended addressing (bit 31) is one and basic addressing (bit 32) is zero"
    if not extended:
        limit = ADDRESS_31 if basic else ADDRESS_24
        if addr > limit:
            return f"address {addr:#x} does not fit in {limit.bit_length()} bits"
    return None


def is_valid(mask: int, addr: int, *, runtime_instrumentation: bool = False) -> bool:
    """Whether the PSW can be loaded and its first instruction fetched without a specification."""
    if addr & 1:
        return False
    return early_error(mask, addr, runtime_instrumentation=runtime_instrumentation) is None


def from_short(word: int) -> tuple[int, int] | None:
    """The mask and address of an 8-byte PSW, or None if its bit 12 is zero.

    LOAD PSW and IPL read this format: bits 0-32 are the mask with bit 12 inverted, bits 33-63 the
    address. ref: PoP 10, LOAD PSW.
    """
    if not word & PswMask.SHORT:
        return None
    mask = (word & ~ADDRESS_31 & ADDRESS_64) ^ PswMask.SHORT
    return mask, word & ADDRESS_31


def to_short(mask: int, addr: int) -> int:
    """The 8-byte form of a PSW whose address has at most 31 bits."""
    if addr > ADDRESS_31:
        raise ValueError(f"address {addr:#x} does not fit in a short PSW")
    return (mask & ~ADDRESS_31 & ADDRESS_64) | PswMask.SHORT | addr
