"""Stack frames of far transfers: what they push and pop, on this stack or on another.

`cpu.frame` holds the values in the order in which they are pushed, and the segment slot ENTERED the
stack that they go to. Nothing is written unless everything can be.
"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import typed, u32, u64
from worldswitch.metal.x86.access import (
    check_store,
    level_context,
    load_sized,
    store_sized,
    system_load,
)
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.mode import PAGE
from worldswitch.metal.x86.segment_checks import within
from worldswitch.metal.x86.segments import error_of, put_segment, stack_descriptor
from worldswitch.metal.x86.stack import stack_address
from worldswitch.metal.x86.state import DATA, ENTERED, RSP, SS, TR, Cpu

WIDE = 0xFFFF_FFFF_FFFF_FFFF
"""The stack mask of 64-bit mode."""


@typed
def copy_segment(cpu: Cpu, to: u64, source: u64) -> None:
    """Copy a segment register with its hidden part."""
    cpu.seg_selector[to] = cpu.seg_selector[source]
    cpu.seg_base[to] = cpu.seg_base[source]
    cpu.seg_limit[to] = cpu.seg_limit[source]
    cpu.seg_attr[to] = cpu.seg_attr[source]


@typed
def width_of_stack(cpu: Cpu, seg: u64) -> u64:
    """The stack mask of a stack segment outside of 64-bit mode."""
    if cpu.seg_attr[seg] & SegAttr.DB != 0:
        return 0xFFFF_FFFF
    return 0xFFFF


@typed
def enter_same_stack(cpu: Cpu) -> u64:
    """The frame goes onto the present stack; returns its stack pointer."""
    copy_segment(cpu, ENTERED, SS)
    cpu.entered_mask = cpu.stack_mask
    return cpu.gr[RSP]


@typed(leaves=True, inline=False)
def enter_level_stack(cpu: Cpu, level: u64) -> u64:
    """The frame goes onto the stack that the task-state segment has for an inner level.

    Returns its stack pointer; for 32-bit and 16-bit task-state segments. ref: APM2 12.2.3
    """
    offset = 4 + level * 8
    size: u64 = 4
    if cpu.seg_attr[TR] & 8 == 0:
        offset = 2 + level * 4
        size = 2
    if offset + size + 1 > u64(cpu.seg_limit[TR]):
        fault_with(cpu, Vector.TS, error_of(u64(cpu.seg_selector[TR])))
    pointer = system_load(cpu, cpu.seg_base[TR] + offset, size)
    selector = system_load(cpu, cpu.seg_base[TR] + offset + size, 2)
    if selector & 0xFFFC == 0:
        fault_with(cpu, Vector.TS, 0)
    put_segment(cpu, ENTERED, selector, stack_descriptor(cpu, selector, level, Vector.TS))
    cpu.entered_mask = width_of_stack(cpu, ENTERED)
    return pointer


@typed(leaves=True, inline=False)
def build_frame(cpu: Cpu, pointer: u64, count: u64, size: u64, level: u64) -> u64:
    """Push `count` values of `size` bytes onto the stack in ENTERED, for a privilege level.

    Returns the stack pointer after that; `commit_stack` makes it and the segment current.
    """
    mask = cpu.entered_mask
    context = level_context(cpu, level)
    base = cpu.seg_base[ENTERED]
    at = pointer & mask
    if mask == WIDE:
        base = 0
        bottom = at - count * size
        if (bottom ^ (at - 1)) & PAGE != 0:
            check_store(cpu, context, SS, bottom, size)
            check_store(cpu, context, SS, at - size, size)
    else:
        wrong: u32 = 0
        if level != u64(cpu.cpl):
            wrong = error_of(u64(cpu.seg_selector[ENTERED]))
        n: u64 = 0
        while n < count:
            at = (at - size) & mask
            if not within(cpu, ENTERED, at, size):
                fault_with(cpu, Vector.SS, wrong)
            check_store(cpu, context, SS, (base + at) & 0xFFFF_FFFF, size)
            n += 1
        at = pointer & mask
    k: u64 = 0
    while k < count:
        at = (at - size) & mask
        where = base + at
        if mask != WIDE:
            where = where & 0xFFFF_FFFF
        store_sized(cpu, context, SS, where, size, cpu.frame[k])
        k += 1
    return at


@typed
def commit_stack(cpu: Cpu, pointer: u64) -> None:
    """The stack in ENTERED becomes the current one; `update_mode` has to follow."""
    copy_segment(cpu, SS, ENTERED)
    put_pointer(cpu, cpu.entered_mask, pointer)


@typed
def put_pointer(cpu: Cpu, mask: u64, pointer: u64) -> None:
    """Write the stack pointer of a stack of some width."""
    if mask == 0xFFFF:
        cpu.gr[RSP] = (cpu.gr[RSP] & ~u64(0xFFFF)) | (pointer & 0xFFFF)
    else:
        cpu.gr[RSP] = pointer & mask


@typed(leaves=True, inline=False)
def read_stack(cpu: Cpu, depth: u64, size: u64) -> u64:
    """The value `depth` bytes above the top of the stack; the stack pointer stays."""
    offset = (cpu.gr[RSP] + depth) & cpu.stack_mask
    return load_sized(cpu, cpu.ctx[DATA], SS, stack_address(cpu, offset, size, False), size)
