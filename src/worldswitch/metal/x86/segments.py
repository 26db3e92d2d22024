"""Segment registers: descriptors, the checks of loading them, and their hidden parts.

A descriptor is its eight bytes as a number. Faults leave before anything has changed.
ref: APM2 4 Segmented Virtual Memory
"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr, SystemType
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.access import system_linear, system_load, system_store
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.mode import MODE_LONG, update_mode
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.state import CS, DS, ES, GS, LDTR, SS, TR, Cpu

V86_ATTR = int(
    SegAttr.P | SegAttr.DPL_LOW | SegAttr.DPL_HIGH | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A
)
"""Of every segment register in virtual-8086 mode."""
ACCESSED = 1 << 40
BUSY = 1 << 41
READABLE_CODE = int(SegAttr.TYPE_CODE | SegAttr.TYPE_W)
CONFORMING_CODE = int(SegAttr.TYPE_CODE | SegAttr.TYPE_E)


@typed
def protected(cpu: Cpu) -> bool:
    """Whether selectors name descriptors: protected mode, but not virtual-8086 mode."""
    return cpu.cr0 & Cr0.PE != 0 and cpu.flags & Rflags.VM == 0


@typed
def attributes(descriptor: u64) -> u16:
    """The attribute word (SegAttr) of a descriptor."""
    return u16(((descriptor >> 40) & 0xFF) | ((descriptor >> 44) & 0xF00))


@typed
def base_of(descriptor: u64) -> u64:
    """The 32-bit base address of a descriptor."""
    return ((descriptor >> 16) & 0xFF_FFFF) | ((descriptor >> 32) & 0xFF00_0000)


@typed
def limit_of(descriptor: u64) -> u32:
    """The limit in bytes, scaled if G is one."""
    limit = u32((descriptor & 0xFFFF) | ((descriptor >> 32) & 0xF_0000))
    if (descriptor >> 55) & 1 != 0:
        return (limit << 12) | 0xFFF
    return limit


@typed
def level_of(descriptor: u64) -> u64:
    """DPL."""
    return (descriptor >> 45) & 3


@typed
def present(descriptor: u64) -> bool:
    """P."""
    return (descriptor >> 47) & 1 != 0


@typed
def is_code(descriptor: u64) -> bool:
    """Whether it is of a code segment."""
    return (descriptor >> 43) & 3 == 3


@typed
def is_conforming(descriptor: u64) -> bool:
    """Whether a code segment is conforming."""
    return (descriptor >> 42) & 1 != 0


@typed
def is_writable_data(descriptor: u64) -> bool:
    """Whether it is of a data segment that may be written."""
    return (descriptor >> 43) & 3 == 2 and (descriptor >> 41) & 1 != 0


@typed
def system_type(descriptor: u64) -> u64:
    """The type of a system descriptor (SystemType); 16 and more for code and data."""
    return (descriptor >> 40) & 0x1F


@typed
def error_of(selector: u64) -> u32:
    """The error code that names a selector. ref: APM2 8.4.1"""
    return u32(selector & 0xFFFC)


@typed(leaves=True, inline=False)
def descriptor_address(cpu: Cpu, selector: u64, size: u64, vector: u8) -> u64:
    """Where the `size` bytes of a selector's descriptor are; `vector` if not in the table."""
    table = cpu.gdtr_base
    limit = u64(cpu.gdtr_limit)
    if selector & 4 != 0:
        if cpu.seg_attr[LDTR] & SegAttr.P == 0:
            fault_with(cpu, vector, error_of(selector))
        table = cpu.seg_base[LDTR]
        limit = u64(cpu.seg_limit[LDTR])
    offset = selector & 0xFFF8
    if offset + size - 1 > limit:
        fault_with(cpu, vector, error_of(selector))
    return system_linear(cpu, table + offset)


@typed(leaves=True, inline=False)
def read_descriptor(cpu: Cpu, selector: u64, vector: u8) -> u64:
    """The descriptor of a selector that is not null; `vector` (selector) beyond the table."""
    return system_load(cpu, descriptor_address(cpu, selector, 8, vector), 8)


@typed(leaves=True, inline=False)
def mark_accessed(cpu: Cpu, selector: u64, descriptor: u64) -> u64:
    """Set the accessed bit of a code or data descriptor in memory; the descriptor with it."""
    if descriptor & ACCESSED == 0:
        where = descriptor_address(cpu, selector, 8, Vector.GP)
        system_store(cpu, where + 5, 1, ((descriptor >> 40) & 0xFF) | 1)
    return descriptor | ACCESSED


@typed
def put_segment(cpu: Cpu, number: u64, selector: u64, descriptor: u64) -> None:
    """Load a segment register's visible and hidden parts, unchecked."""
    cpu.seg_selector[number] = u16(selector)
    cpu.seg_base[number] = base_of(descriptor)
    cpu.seg_limit[number] = limit_of(descriptor)
    cpu.seg_attr[number] = attributes(descriptor)


@typed
def put_null(cpu: Cpu, number: u64, selector: u64) -> None:
    """Load a null selector: nothing is reached through the segment register then.

    IMPDEF: base and limit become zero, as processors with null_sel_clr_base do it.
    """
    cpu.seg_selector[number] = u16(selector)
    cpu.seg_base[number] = 0
    cpu.seg_limit[number] = 0
    cpu.seg_attr[number] = 0


@typed
def put_null_stack(cpu: Cpu, selector: u64, level: u64) -> None:
    """SS becomes null at a privilege level, as 64-bit mode allows."""
    put_null(cpu, SS, selector)
    cpu.seg_attr[SS] = u16(level << 5)


@typed
def place_code(cpu: Cpu, selector: u64, base: u64, limit: u32, attr: u16) -> None:
    """Load CS and forget jump targets if they could be wrong; `update_mode` has to follow."""
    if cpu.seg_base[CS] != base or cpu.seg_limit[CS] != limit:
        cpu.jump_generation += 1
    cpu.seg_selector[CS] = u16(selector)
    cpu.seg_base[CS] = base
    cpu.seg_limit[CS] = limit
    cpu.seg_attr[CS] = attr


@typed
def put_code(cpu: Cpu, selector: u64, descriptor: u64, level: u64) -> None:
    """Load CS, unchecked, and set the privilege level; `update_mode` has to follow.

    A 64-bit code segment has no base.
    """
    base = base_of(descriptor)
    attr = attributes(descriptor)
    if cpu.efer & Efer.LMA != 0 and attr & SegAttr.L != 0:
        base = 0
    place_code(cpu, (selector & 0xFFFC) | level, base, limit_of(descriptor), attr)
    cpu.cpl = u8(level)


@typed
def put_real(cpu: Cpu, number: u64, selector: u64) -> None:
    """Load a segment register in real or virtual-8086 mode. ref: APM2 4.2.1, 4.2.2

    In real mode limit and attributes stay.
    """
    limit = cpu.seg_limit[number]
    attr = cpu.seg_attr[number]
    if cpu.flags & Rflags.VM != 0:
        limit = 0xFFFF
        attr = u16(V86_ATTR)
    if number == CS:
        place_code(cpu, selector, selector << 4, limit, attr)
        return
    cpu.seg_selector[number] = u16(selector)
    cpu.seg_base[number] = selector << 4
    cpu.seg_limit[number] = limit
    cpu.seg_attr[number] = attr


@typed(leaves=True, inline=False)
def load_data_segment(cpu: Cpu, number: u64, selector: u64) -> None:
    """Load ES, SS, DS, FS or GS as MOV does, with all checks. ref: APM2 4.5.1, APM3 3 MOV"""
    if not protected(cpu):
        put_real(cpu, number, selector)
    elif number == SS:
        load_stack_segment(cpu, selector)
    elif selector & 0xFFFC == 0:
        put_null(cpu, number, selector)
    else:
        put_segment(cpu, number, selector, data_descriptor(cpu, selector, Vector.GP))
    if cpu.mode & MODE_LONG == 0:
        update_mode(cpu)


@typed(leaves=True, inline=False)
def data_descriptor(cpu: Cpu, selector: u64, vector: u8) -> u64:
    """The descriptor for DS, ES, FS or GS, checked and marked accessed.

    vector: #GP, or #TS in a task switch; #NP if it is not present.
    """
    descriptor = read_descriptor(cpu, selector, vector)
    attr = attributes(descriptor)
    wrong = error_of(selector)
    if attr & SegAttr.S == 0 or attr & READABLE_CODE == SegAttr.TYPE_CODE:
        fault_with(cpu, vector, wrong)
    if attr & CONFORMING_CODE != CONFORMING_CODE:
        dpl = level_of(descriptor)
        if dpl < u64(cpu.cpl) or dpl < selector & 3:
            fault_with(cpu, vector, wrong)
    if attr & SegAttr.P == 0:
        fault_with(cpu, Vector.NP, wrong)
    return mark_accessed(cpu, selector, descriptor)


@typed(leaves=True)
def load_stack_segment(cpu: Cpu, selector: u64) -> None:
    """Load SS in protected mode at the present privilege level."""
    level = u64(cpu.cpl)
    if selector & 0xFFFC == 0:
        if cpu.mode & MODE_LONG == 0 or level == 3:
            fault_with(cpu, Vector.GP, 0)
        put_null_stack(cpu, selector, level)
        return
    put_segment(cpu, SS, selector, stack_descriptor(cpu, selector, level, Vector.GP))


@typed(leaves=True, inline=False)
def stack_descriptor(cpu: Cpu, selector: u64, level: u64, vector: u8) -> u64:
    """The descriptor of a stack segment for a privilege level, checked and marked accessed.

    vector: #GP, or #TS for a selector out of a task-state segment; #SS if it is not present.
    """
    descriptor = read_descriptor(cpu, selector, vector)
    wrong = error_of(selector)
    if selector & 3 != level or level_of(descriptor) != level:
        fault_with(cpu, vector, wrong)
    if not is_writable_data(descriptor):
        fault_with(cpu, vector, wrong)
    if not present(descriptor):
        fault_with(cpu, Vector.SS, wrong)
    return mark_accessed(cpu, selector, descriptor)


@typed(leaves=True, inline=False)
def upper_base(cpu: Cpu, selector: u64, vector: u8) -> u64:
    """The upper half of a system descriptor in long mode, whose reserved type has to be 0.

    #GP(selector) otherwise, and for a base that is not canonical. ref: APM2 4.8.3
    """
    where = descriptor_address(cpu, selector, 16, vector)
    low = system_load(cpu, where, 8)
    high = system_load(cpu, where + 8, 8)
    if (high >> 40) & 0x1F != 0 or not canonical(cpu, (high << 32) | base_of(low)):
        fault_with(cpu, vector, error_of(selector))
    return high << 32


@typed(leaves=True, inline=False)
def load_ldt(cpu: Cpu, selector: u64, vector: u8) -> None:
    """LLDT; vector: #GP, or #TS in a task switch. ref: APM3 4 LLDT"""
    if selector & 0xFFFC == 0:
        cpu.seg_selector[LDTR] = u16(selector)
        cpu.seg_attr[LDTR] = 0
        return
    wrong = error_of(selector)
    if selector & 4 != 0:
        fault_with(cpu, vector, wrong)
    descriptor = read_descriptor(cpu, selector, vector)
    if system_type(descriptor) != SystemType.LDT:
        fault_with(cpu, vector, wrong)
    upper: u64 = 0
    if cpu.efer & Efer.LMA != 0:
        upper = upper_base(cpu, selector, vector)
    if not present(descriptor):
        if vector == Vector.TS:
            fault_with(cpu, vector, wrong)
        fault_with(cpu, Vector.NP, wrong)
    put_segment(cpu, LDTR, selector, descriptor)
    cpu.seg_base[LDTR] = cpu.seg_base[LDTR] | upper


@typed(leaves=True, inline=False)
def load_task_register(cpu: Cpu, selector: u64) -> None:
    """LTR: the TSS becomes busy. ref: APM3 4 LTR"""
    wrong = error_of(selector)
    if selector & 0xFFFC == 0 or selector & 4 != 0:
        fault_with(cpu, Vector.GP, wrong)
    descriptor = read_descriptor(cpu, selector, Vector.GP)
    kind = system_type(descriptor)
    upper: u64 = 0
    if cpu.efer & Efer.LMA != 0:
        if kind != SystemType.TSS_AVAILABLE:
            fault_with(cpu, Vector.GP, wrong)
        upper = upper_base(cpu, selector, Vector.GP)
    elif kind != SystemType.TSS_AVAILABLE and kind != SystemType.TSS16_AVAILABLE:
        fault_with(cpu, Vector.GP, wrong)
    if not present(descriptor):
        fault_with(cpu, Vector.NP, wrong)
    set_busy(cpu, selector, True)
    put_segment(cpu, TR, selector, descriptor | BUSY)
    cpu.seg_base[TR] = cpu.seg_base[TR] | upper


@typed(leaves=True, inline=False)
def set_busy(cpu: Cpu, selector: u64, busy: bool) -> None:
    """Set or clear the busy bit of a TSS descriptor in memory."""
    where = descriptor_address(cpu, selector, 8, Vector.GP) + 5
    kind = system_load(cpu, where, 1) & ~u64(2)
    if busy:
        kind = kind | 2
    system_store(cpu, where, 1, kind)


@typed(inline=False)
def drop_inner_segments(cpu: Cpu) -> None:
    """After a return to an outer level: data segments that it may not use become null.

    ref: APM3 4 IRET
    """
    n: u64 = ES
    while n <= GS:
        if n == ES or n >= DS:
            attr = cpu.seg_attr[n]
            # A null FS or GS keeps the base that software gave it.
            if attr & SegAttr.P != 0 and cpu.seg_selector[n] & 0xFFFC != 0:
                if attr & CONFORMING_CODE != CONFORMING_CODE:
                    if u64(attr >> 5) & 3 < u64(cpu.cpl):
                        put_null(cpu, n, 0)
        n += 1
