"""Limits and rights of segments, outside of 64-bit mode. ref: APM2 4.12 Segment Limit Checks"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.mode import MODE_PROTECTED, MODE_V86
from worldswitch.metal.x86.state import SS, Cpu


@typed(leaves=True)
def refuse(cpu: Cpu, seg: u64) -> None:
    """#SS(0) for the stack segment, #GP(0) for others."""
    if seg == SS:
        fault_with(cpu, Vector.SS, 0)
    fault_with(cpu, Vector.GP, 0)


@typed
def within(cpu: Cpu, seg: u64, offset: u64, size: u64) -> bool:
    """Whether `size` bytes (0: an address only) at an offset are inside of a segment's limit."""
    attr = cpu.seg_attr[seg]
    limit = u64(cpu.seg_limit[seg])
    last = offset + size
    if size != 0:
        last = last - 1
    if attr & (SegAttr.TYPE_CODE | SegAttr.TYPE_E) == SegAttr.TYPE_E:
        top: u64 = 0xFFFF
        if attr & SegAttr.DB != 0:
            top = 0xFFFF_FFFF
        return offset > limit and last <= top
    return last <= limit


@typed(leaves=True, inline=False)
def check_segment(cpu: Cpu, seg: u64, offset: u64, size: u64, write: bool) -> None:
    """Check an access of `size` bytes (0: address only) at an offset of a segment."""
    attr = cpu.seg_attr[seg]
    if cpu.mode & (MODE_PROTECTED | MODE_V86) == MODE_PROTECTED:
        if attr & SegAttr.P == 0:
            refuse(cpu, seg)
        if attr & SegAttr.TYPE_CODE != 0:
            if write or attr & SegAttr.TYPE_W == 0:
                refuse(cpu, seg)
        elif write and attr & SegAttr.TYPE_W == 0:
            refuse(cpu, seg)
    if not within(cpu, seg, offset, size):
        refuse(cpu, seg)
