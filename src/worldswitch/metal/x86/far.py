"""Far JMP, CALL and RET. ref: APM2 4.11; APM3 3 CALL (Far), JMP (Far), RET (Far)

`cpu.rip` is the next instruction's. `size` is the operand size in bytes: 2, 4 or 8.
"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.segments import SystemType
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.code_segments import (
    check_jump,
    check_target,
    is_long,
    return_code,
)
from worldswitch.metal.x86.frames import (
    WIDE,
    build_frame,
    commit_stack,
    enter_same_stack,
    put_pointer,
    read_stack,
    width_of_stack,
)
from worldswitch.metal.x86.gates import through_call_gate
from worldswitch.metal.x86.leave import fault_with, general_protection
from worldswitch.metal.x86.mode import update_mode
from worldswitch.metal.x86.segments import (
    drop_inner_segments,
    error_of,
    mark_accessed,
    protected,
    put_code,
    put_null_stack,
    put_real,
    put_segment,
    read_descriptor,
    stack_descriptor,
    system_type,
)
from worldswitch.metal.x86.state import CS, RSP, SS, Cpu
from worldswitch.metal.x86.task_switch import TASK_CALL, TASK_JUMP, switch_to


@typed
def truncated(offset: u64, size: u64) -> u64:
    """As much of an offset as the operand size has."""
    if size == 2:
        return offset & 0xFFFF
    if size == 4:
        return offset & 0xFFFF_FFFF
    return offset


@typed(leaves=True, inline=False)
def push_return(cpu: Cpu, size: u64) -> u64:
    """Push CS and RIP onto the present stack, without moving its pointer, which is returned."""
    pointer = enter_same_stack(cpu)
    cpu.frame[0] = u64(cpu.seg_selector[CS])
    cpu.frame[1] = cpu.rip
    return build_frame(cpu, pointer, 2, size, u64(cpu.cpl))


@typed(leaves=True, inline=False)
def far_transfer(cpu: Cpu, selector: u64, offset: u64, size: u64, call: bool) -> None:
    """JMP or CALL to a far pointer: to code, through a call gate, or to another task."""
    target = truncated(offset, size)
    if not protected(cpu):
        if target > u64(cpu.seg_limit[CS]):
            general_protection(cpu)
        if call:
            commit_stack(cpu, push_return(cpu, size))
        put_real(cpu, CS, selector)
        cpu.rip = target
        update_mode(cpu)
        return
    if selector & 0xFFFC == 0:
        general_protection(cpu)
    descriptor = read_descriptor(cpu, selector, Vector.GP)
    kind = system_type(descriptor)
    if kind >= 16:
        check_jump(cpu, selector, descriptor)
        check_target(cpu, descriptor, target)
        marked = mark_accessed(cpu, selector, descriptor)
        if call:
            commit_stack(cpu, push_return(cpu, size))
        put_code(cpu, selector, marked, u64(cpu.cpl))
        cpu.rip = target
        update_mode(cpu)
    elif kind == SystemType.CALL_GATE:
        through_call_gate(cpu, selector, descriptor, call)
    elif cpu.efer & Efer.LMA != 0:
        fault_with(cpu, Vector.GP, error_of(selector))
    elif kind == SystemType.CALL_GATE16:
        through_call_gate(cpu, selector, descriptor, call)
    else:
        reason: u64 = TASK_JUMP
        if call:
            reason = TASK_CALL
        switch_to(cpu, selector, descriptor, reason)


@typed(leaves=True, inline=False)
def far_return(cpu: Cpu, size: u64, drop: u64) -> None:
    """RET far: back to this level or an outer one, with `drop` bytes of parameters."""
    target = read_stack(cpu, 0, size)
    selector = read_stack(cpu, size, size) & 0xFFFF
    if not protected(cpu):
        if target > u64(cpu.seg_limit[CS]):
            general_protection(cpu)
        put_pointer(cpu, cpu.stack_mask, cpu.gr[RSP] + size * 2 + drop)
        put_real(cpu, CS, selector)
        cpu.rip = target
        update_mode(cpu)
        return
    descriptor = return_code(cpu, selector)
    check_target(cpu, descriptor, target)
    level = selector & 3
    if level == u64(cpu.cpl):
        marked = mark_accessed(cpu, selector, descriptor)
        put_pointer(cpu, cpu.stack_mask, cpu.gr[RSP] + size * 2 + drop)
        put_code(cpu, selector, marked, level)
        cpu.rip = target
        update_mode(cpu)
        return
    pointer = read_stack(cpu, size * 2 + drop, size)
    stack = read_stack(cpu, size * 3 + drop, size) & 0xFFFF
    return_outer(cpu, selector, descriptor, stack, pointer)
    update_mode(cpu)
    put_pointer(cpu, cpu.stack_mask, cpu.gr[RSP] + drop)
    cpu.rip = target


@typed(leaves=True, inline=False)
def return_outer(
    cpu: Cpu, selector: u64, descriptor: u64, stack: u64, pointer: u64
) -> None:  # fmt: skip
    """Return to the level and stack that the frame names: load SS, RSP and CS.

    The data segments that the level may not use become null. `update_mode` has to follow.
    """
    level = selector & 3
    long = is_long(cpu, descriptor)
    if stack & 0xFFFC == 0:
        if not long or level == 3:
            general_protection(cpu)
        marked = mark_accessed(cpu, selector, descriptor)
        put_null_stack(cpu, stack, level)
    else:
        entered = stack_descriptor(cpu, stack, level, Vector.GP)
        marked = mark_accessed(cpu, selector, descriptor)
        put_segment(cpu, SS, stack, entered)
    if long:
        put_pointer(cpu, WIDE, pointer)
    else:
        put_pointer(cpu, width_of_stack(cpu, SS), pointer)
    outer = level > u64(cpu.cpl)
    put_code(cpu, selector, marked, level)
    if outer:
        drop_inner_segments(cpu)
