"""Call gates. ref: APM2 4.11.2 Control Transfers Through Gates; APM2 4.8.4"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.segments import SystemType
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.access import system_load
from worldswitch.metal.x86.code_segments import check_present, check_target, gate_code
from worldswitch.metal.x86.frames import (
    WIDE,
    build_frame,
    commit_stack,
    enter_level_stack,
    enter_same_stack,
    read_stack,
)
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.mode import update_mode
from worldswitch.metal.x86.segments import (
    descriptor_address,
    error_of,
    is_conforming,
    level_of,
    mark_accessed,
    put_code,
    put_null_stack,
    system_type,
)
from worldswitch.metal.x86.state import CS, RSP, SS, TR, Cpu


@typed(leaves=True, inline=False)
def enter_long_stack(cpu: Cpu, offset: u64) -> u64:
    """The frame goes onto the stack whose pointer is at `offset` of the 64-bit TSS.

    Returns the pointer. ref: APM2 12.2.5
    """
    if offset + 7 > u64(cpu.seg_limit[TR]):
        fault_with(cpu, Vector.TS, error_of(u64(cpu.seg_selector[TR])))
    cpu.entered_mask = WIDE
    return system_load(cpu, cpu.seg_base[TR] + offset, 8)


@typed(leaves=True, inline=False)
def through_call_gate(cpu: Cpu, selector: u64, gate: u64, call: bool) -> None:
    """JMP or CALL whose selector names a call gate. `cpu.rip` is the return address."""
    level = u64(cpu.cpl)
    dpl = (gate >> 45) & 3
    if dpl < level or dpl < selector & 3:
        fault_with(cpu, Vector.GP, error_of(selector))
    check_present(cpu, selector, gate)
    target = gate & 0xFFFF
    size: u64 = 2
    if system_type(gate) == SystemType.CALL_GATE:
        target = target | ((gate >> 32) & 0xFFFF_0000)
        size = 4
    long = cpu.efer & Efer.LMA != 0
    if long:
        size = 8
        where = descriptor_address(cpu, selector, 16, Vector.GP)
        upper = system_load(cpu, where + 8, 8)
        if (upper >> 40) & 0x1F != 0:
            fault_with(cpu, Vector.GP, error_of(selector))
        target = target | (upper << 32)
    code = (gate >> 16) & 0xFFFF
    descriptor = gate_code(cpu, code)
    inner = not is_conforming(descriptor) and level_of(descriptor) < level
    if not call and inner:
        fault_with(cpu, Vector.GP, error_of(code))
    check_target(cpu, descriptor, target)
    marked = mark_accessed(cpu, code, descriptor)
    if inner:
        call_inner(cpu, level_of(descriptor), (gate >> 32) & 31, size)
        level = level_of(descriptor)
    elif call:
        pointer = enter_same_stack(cpu)
        if long:
            cpu.entered_mask = WIDE
        cpu.frame[0] = u64(cpu.seg_selector[CS])
        cpu.frame[1] = cpu.rip
        commit_stack(cpu, build_frame(cpu, pointer, 2, size, level))
    put_code(cpu, code, marked, level)
    cpu.rip = target
    update_mode(cpu)


@typed(leaves=True, inline=False)
def call_inner(cpu: Cpu, level: u64, parameters: u64, size: u64) -> None:
    """Switch to the stack of an inner level: push SS, RSP, parameters, CS and RIP there."""
    cpu.frame[0] = u64(cpu.seg_selector[SS])
    cpu.frame[1] = cpu.gr[RSP]
    n: u64 = 2
    if size == 8:
        pointer = enter_long_stack(cpu, 4 + level * 8)
    else:
        pointer = enter_level_stack(cpu, level)
        while n < parameters + 2:
            cpu.frame[n] = read_stack(cpu, (parameters + 1 - n) * size, size)
            n += 1
    cpu.frame[n] = u64(cpu.seg_selector[CS])
    cpu.frame[n + 1] = cpu.rip
    bottom = build_frame(cpu, pointer, n + 2, size, level)
    if size == 8:
        put_null_stack(cpu, level, level)
        cpu.gr[RSP] = bottom
    else:
        commit_stack(cpu, bottom)
