"""Offsets that instructions compute for themselves: strings, bit strings, tables.

In 64-bit mode such an access needs no more than the segment's base; elsewhere limit and rights
are checked here, and with alignment checking the alignment. ref: APM2 4.5, 4.12
"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.decode_bits import PREFIX_ADDRESS
from worldswitch.metal.x86.decode_text import address_mask
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.mode import MODE_ALIGN, MODE_CODE32, MODE_LONG
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.segment_checks import check_segment
from worldswitch.metal.x86.state import ES, FLAT, Cpu, Record


@typed(inline=True)
def offset_mask(cpu: Cpu, rec: Record) -> u64:
    """The mask of an offset of the instruction's address size: 16, 32 or 64 ones."""
    prefixed = rec.prefixes & PREFIX_ADDRESS != 0
    if cpu.mode & MODE_LONG != 0:
        if prefixed:
            return 0xFFFF_FFFF
        return 0xFFFF_FFFF_FFFF_FFFF
    if (cpu.mode & MODE_CODE32 != 0) == prefixed:
        return 0xFFFF
    return 0xFFFF_FFFF


@typed(inline=True)
def put_offset(cpu: Cpu, number: u64, value: u64, mask: u64) -> None:
    """Write as much of a general register as `offset_mask` says."""
    if mask == 0xFFFF:
        cpu.gr[number] = (cpu.gr[number] & ~mask) | (value & mask)
    else:
        cpu.gr[number] = value & mask


@typed(leaves=True, inline=True)
def place(cpu: Cpu, seg: u64, offset: u64, size: u64, write: bool) -> u64:
    """Linear address of an access of `size` bytes at an offset of a segment, checked."""
    if cpu.mode & (MODE_LONG | MODE_ALIGN) == MODE_LONG:
        return cpu.seg_base[seg] + offset
    return checked_place(cpu, seg, offset, size, write)


@typed(leaves=True, inline=False)
def checked_place(cpu: Cpu, seg: u64, offset: u64, size: u64, write: bool) -> u64:
    """`place` with a segment's checks, and the alignment's."""
    linear = cpu.seg_base[seg] + offset
    if cpu.mode & MODE_LONG == 0:
        check_segment(cpu, seg, offset, size, write)
        linear = linear & 0xFFFF_FFFF
    if cpu.mode & MODE_ALIGN != 0 and linear & (size - 1) != 0:
        # An address that is not canonical is #GP or #SS, which the access itself presents.
        if cpu.mode & MODE_LONG == 0 or canonical(cpu, linear):
            fault_with(cpu, Vector.AC, 0)
    return linear


@typed(inline=True)
def extra_segment(cpu: Cpu) -> u64:
    """The segment of a string instruction's destination: ES, whose base is 0 in 64-bit mode."""
    if cpu.mode & MODE_LONG != 0:
        return FLAT
    return ES


@typed(leaves=True, inline=False)
def displaced(cpu: Cpu, rec: Record, more: u64, size: u64, write: bool) -> u64:
    """Linear address `more` bytes behind the memory operand of an `address=False` instruction.

    size: bytes of the access, a power of two.
    """
    offset = cpu.gr[rec.base] + (cpu.gr[rec.index] << u64(rec.scale)) + u64(rec.disp) + more
    mask = address_mask(u64(rec.spare2 >> 8))
    return place(cpu, u64(rec.seg), offset & mask, size, write)
