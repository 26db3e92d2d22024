"""Hardware task switches, outside of long mode. ref: APM2 12.2, 12.3 Hardware Task-Management"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0, Cr4, Dr6, Rflags
from worldswitch.arch.x86.segments import SystemType
from worldswitch.arch.x86.svm_exits import TaskSwitchInfo
from worldswitch.engine import Leave, typed, u8, u64
from worldswitch.metal.x86.access import check_store, system_linear, system_load, system_store
from worldswitch.metal.x86.code_segments import check_present
from worldswitch.metal.x86.control import load_pdptes
from worldswitch.metal.x86.flags import rflags, set_status
from worldswitch.metal.x86.frames import build_frame, commit_stack, enter_same_stack
from worldswitch.metal.x86.leave import LEAVE_FAULT, LEAVE_TASK, fault_with, general_protection
from worldswitch.metal.x86.mode import purge_space, update_mode
from worldswitch.metal.x86.segments import (
    BUSY,
    data_descriptor,
    error_of,
    is_code,
    is_conforming,
    level_of,
    limit_of,
    load_ldt,
    mark_accessed,
    present,
    put_code,
    put_null,
    put_real,
    put_segment,
    read_descriptor,
    set_busy,
    stack_descriptor,
    system_type,
)
from worldswitch.metal.x86.state import CS, DS, ES, GS, LDTR, SS, SYSTEM, TR, Cpu
from worldswitch.metal.x86.svm.intercepts import intercept_task_switch

TASK_JUMP = 0
TASK_CALL = 1
TASK_INTERRUPT = 2
TASK_RETURN = 3
"""What makes a task switch: JMP, CALL, an event through a task gate, IRET with NT."""

WIDE_TSS = 8
"""In the attributes: a 32-bit task-state segment."""
VALUES = 18
"""CR3, EIP, EFLAGS, eight general and six segment registers, LDTR; without CR3, FS and GS in the
16-bit form."""


@typed(leaves=True, inline=False)
def switch_to(cpu: Cpu, selector: u64, descriptor: u64, reason: u64) -> None:
    """JMP or CALL whose selector names a task gate or a task-state segment."""
    dpl = level_of(descriptor)
    kind = system_type(descriptor)
    gate = kind == SystemType.TASK_GATE
    task = kind & ~u64(10) == 1
    if not gate and not task:
        fault_with(cpu, Vector.GP, error_of(selector))
    if dpl < u64(cpu.cpl) or dpl < selector & 3:
        fault_with(cpu, Vector.GP, error_of(selector))
    if gate:
        check_present(cpu, selector, descriptor)
        task_switch(cpu, (descriptor >> 16) & 0xFFFF, reason, False, 0)
    else:
        task_switch(cpu, selector, reason, False, 0)


@typed(leaves=True, inline=False)
def task_return(cpu: Cpu) -> None:
    """IRET with NT: back to the task that the back link names."""
    selector = system_load(cpu, cpu.seg_base[TR], 2)
    task_switch(cpu, selector, u64(TASK_RETURN), False, 0)


@typed(leaves=True, inline=False)
def task_switch(cpu: Cpu, selector: u64, reason: u64, has_error: bool, error: u64) -> None:
    """Switch to the task of a TSS selector (TASK_*). `cpu.rip` is where the old task goes on.

    Exceptions that come after the new task's state is loaded belong to it (LEAVE_TASK).
    """
    descriptor = task_descriptor(cpu, selector, reason)
    intercept_task_switch(cpu, selector, switch_info(cpu, reason, has_error, error))
    leave_task(cpu, selector, descriptor, reason)
    try:
        enter_task(cpu, reason)
        if has_error:
            push_error(cpu, error)
    except Leave:
        if cpu.leave == LEAVE_FAULT:
            cpu.leave = LEAVE_TASK
        raise Leave
    update_mode(cpu)


@typed
def switch_info(cpu: Cpu, reason: u64, has_error: bool, error: u64) -> u64:
    """EXITINFO2 of an intercepted task switch. ref: APM2 15.14.1"""
    info = error & 0xFFFF_FFFF
    if reason == TASK_RETURN:
        info = info | TaskSwitchInfo.IRET
    elif reason == TASK_JUMP:
        info = info | TaskSwitchInfo.FAR_JMP
    if has_error:
        info = info | TaskSwitchInfo.HAS_ERROR_CODE
    if cpu.flags & Rflags.RF != 0:
        info = info | TaskSwitchInfo.RF
    return info


@typed(leaves=True, inline=False)
def task_descriptor(cpu: Cpu, selector: u64, reason: u64) -> u64:
    """The descriptor of the task that is switched to, checked."""
    vector: u8 = Vector.GP
    wanted: u64 = SystemType.TSS_AVAILABLE
    if reason == TASK_RETURN:
        vector = Vector.TS
        wanted = SystemType.TSS_BUSY
    wrong = error_of(selector)
    if selector & 4 != 0 or selector & 0xFFFC == 0:
        fault_with(cpu, vector, wrong)
    descriptor = read_descriptor(cpu, selector, vector)
    kind = system_type(descriptor)
    if kind | WIDE_TSS != wanted:
        fault_with(cpu, vector, wrong)
    if not present(descriptor):
        fault_with(cpu, Vector.NP, wrong)
    least: u64 = 0x2B
    if kind & WIDE_TSS != 0:
        least = 0x67
    if u64(limit_of(descriptor)) < least:
        fault_with(cpu, Vector.TS, wrong)
    return descriptor


@typed(leaves=True, inline=False)
def leave_task(cpu: Cpu, selector: u64, descriptor: u64, reason: u64) -> None:
    """Save the old task and make the new one current: TR, busy bits and the back link.

    The new task's values are read before anything changes; they are left in `cpu.frame`.
    """
    old = u64(cpu.seg_selector[TR])
    old_base = cpu.seg_base[TR]
    wide = cpu.seg_attr[TR] & WIDE_TSS != 0
    saved: u64 = 0x29
    if wide:
        saved = 0x5F
    if saved > u64(cpu.seg_limit[TR]):
        fault_with(cpu, Vector.TS, error_of(old))
    flags = rflags(cpu)
    if reason == TASK_RETURN:
        flags = flags & ~u64(Rflags.NT)
    check_store(cpu, cpu.ctx[SYSTEM], 8, system_linear(cpu, old_base), saved + 1)
    if reason != TASK_RETURN:
        set_busy(cpu, selector, True)
    put_segment(cpu, TR, selector, descriptor | BUSY)
    try:
        read_task(cpu)
        if reason == TASK_CALL or reason == TASK_INTERRUPT:
            system_store(cpu, cpu.seg_base[TR], 2, old)
            cpu.frame[2] = cpu.frame[2] | Rflags.NT
    except Leave:
        # UNMODELLED: the busy bit of a task whose task-state segment cannot be read stays set.
        put_segment(cpu, TR, old, read_descriptor(cpu, old, Vector.TS))
        raise Leave
    if reason == TASK_JUMP or reason == TASK_RETURN:
        set_busy(cpu, old, False)
    save_task(cpu, old_base, wide, flags)


@typed(leaves=True, inline=False)
def save_task(cpu: Cpu, base: u64, wide: bool, flags: u64) -> None:
    """Store the registers into the task-state segment that is left."""
    size: u64 = 2
    at = base + 0x0E
    last: u64 = DS
    if wide:
        size = 4
        at = base + 0x20
        last = GS
    system_store(cpu, at, size, cpu.rip)
    system_store(cpu, at + size, size, flags)
    n: u64 = 0
    while n < 8:
        system_store(cpu, at + (n + 2) * size, size, cpu.gr[n])
        n += 1
    n = ES
    while n <= last:
        system_store(cpu, at + (n + 10) * size, 2, u64(cpu.seg_selector[n]))
        n += 1


@typed(leaves=True, inline=False)
def read_task(cpu: Cpu) -> None:
    """Read the task-state segment of TR into `cpu.frame`: VALUES, then the word with T."""
    base = cpu.seg_base[TR]
    n: u64 = 0
    if cpu.seg_attr[TR] & WIDE_TSS != 0:
        while n <= VALUES:
            cpu.frame[n] = system_load(cpu, base + 0x1C + n * 4, 4)
            n += 1
        return
    cpu.frame[0] = 0
    while n < 14:
        cpu.frame[n + 1] = system_load(cpu, base + 0x0E + n * 2, 2)
        n += 1
    cpu.frame[15] = 0
    cpu.frame[16] = 0
    cpu.frame[17] = system_load(cpu, base + 0x2A, 2)
    cpu.frame[18] = 0


@typed(leaves=True, inline=False)
def load_address_space(cpu: Cpu, value: u64) -> None:
    """CR3 of the new task; the translations of the old one go, but for global ones."""
    if cpu.cr4 & Cr4.PAE != 0:
        load_pdptes(cpu, value)
    cpu.cr3 = value
    purge_space(cpu, cpu.asid, 0, False, False)


@typed(leaves=True, inline=False)
def enter_task(cpu: Cpu, reason: u64) -> None:
    """Load the registers from `cpu.frame`, then the segments with their checks."""
    wide = cpu.seg_attr[TR] & WIDE_TSS != 0
    cpu.cr0 = cpu.cr0 | Cr0.TS
    # Breakpoints that are enabled for the old task alone.
    cpu.dr[7] = cpu.dr[7] & ~u64(0x155)
    cpu.rip = cpu.frame[1]
    flags = cpu.frame[2]
    cpu.flags = (flags & 0x1F_7700) | 2
    set_status(cpu, flags)
    if wide:
        cpu.flags = cpu.flags | (flags & Rflags.ID)
    n: u64 = 0
    while n < 8:
        cpu.gr[n] = cpu.frame[n + 3]
        n += 1
    virtual = flags & Rflags.VM != 0
    cpu.cpl = 3
    if not virtual:
        cpu.cpl = u8(cpu.frame[11 + CS] & 3)
    n = ES
    while n <= GS:
        put_null(cpu, n, cpu.frame[11 + n] & 0xFFFF)
        n += 1
    put_null(cpu, LDTR, cpu.frame[17] & 0xFFFF)
    traps = cpu.frame[18] & 1 != 0
    update_mode(cpu)
    if wide and cpu.cr0 & Cr0.PG != 0:
        load_address_space(cpu, cpu.frame[0])
    if traps:
        cpu.dr6_pending = cpu.dr6_pending | Dr6.BT
    cpu.check = 1
    load_ldt(cpu, u64(cpu.seg_selector[LDTR]), Vector.TS)
    if virtual:
        n = ES
        while n <= GS:
            put_real(cpu, n, u64(cpu.seg_selector[n]))
            n += 1
    else:
        load_task_segments(cpu)
    update_mode(cpu)
    if cpu.rip > u64(cpu.seg_limit[CS]):
        general_protection(cpu)


@typed(leaves=True, inline=False)
def load_task_segments(cpu: Cpu) -> None:
    """The hidden parts of CS, SS and the data segments of the new task."""
    selector = u64(cpu.seg_selector[CS])
    wrong = error_of(selector)
    level = selector & 3
    if selector & 0xFFFC == 0:
        fault_with(cpu, Vector.TS, wrong)
    descriptor = read_descriptor(cpu, selector, Vector.TS)
    bad = not is_code(descriptor)
    if is_conforming(descriptor):
        bad = bad or level_of(descriptor) > level
    else:
        bad = bad or level_of(descriptor) != level
    if bad:
        fault_with(cpu, Vector.TS, wrong)
    check_present(cpu, selector, descriptor)
    put_code(cpu, selector, mark_accessed(cpu, selector, descriptor), level)
    stack = u64(cpu.seg_selector[SS])
    if stack & 0xFFFC == 0:
        fault_with(cpu, Vector.TS, error_of(stack))
    put_segment(cpu, SS, stack, stack_descriptor(cpu, stack, level, Vector.TS))
    n: u64 = ES
    while n <= GS:
        if n == ES or n >= DS:
            data = u64(cpu.seg_selector[n])
            if data & 0xFFFC != 0:
                put_segment(cpu, n, data, data_descriptor(cpu, data, Vector.TS))
        n += 1


@typed(leaves=True, inline=False)
def push_error(cpu: Cpu, error: u64) -> None:
    """Push the error code of an exception onto the new task's stack."""
    size: u64 = 2
    if cpu.seg_attr[TR] & WIDE_TSS != 0:
        size = 4
    pointer = enter_same_stack(cpu)
    cpu.frame[0] = error
    commit_stack(cpu, build_frame(cpu, pointer, 1, size, u64(cpu.cpl)))
