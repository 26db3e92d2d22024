"""Events in real, virtual-8086 and 32-bit protected mode. ref: APM2 8.6, 8.7"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0, Rflags
from worldswitch.arch.x86.segments import SystemType
from worldswitch.engine import typed, u32, u64
from worldswitch.metal.x86.access import system_load
from worldswitch.metal.x86.code_segments import check_target, gate_code
from worldswitch.metal.x86.flags import rflags
from worldswitch.metal.x86.frames import (
    build_frame,
    commit_stack,
    enter_level_stack,
    enter_same_stack,
)
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.mode import update_mode
from worldswitch.metal.x86.segments import (
    error_of,
    is_conforming,
    level_of,
    mark_accessed,
    put_code,
    put_null,
    put_real,
    system_type,
)
from worldswitch.metal.x86.state import CS, DS, ES, FS, GS, RSP, SS, Cpu
from worldswitch.metal.x86.task_switch import TASK_INTERRUPT, task_switch

WIDE_GATE = 8
"""In a gate's type: a 32-bit one."""
TRAP = 1
"""In the type of an interrupt gate: a trap gate, which leaves IF as it is."""


@typed(leaves=True, inline=False)
def deliver_legacy(cpu: Cpu, vector: u64, software: bool, has_error: bool, error: u64) -> None:
    """Enter the handler of a vector outside of long mode."""
    if cpu.cr0 & Cr0.PE == 0:
        deliver_real(cpu, vector)
        return
    wrong = u32(vector * 8 + 2)
    if vector * 8 + 7 > u64(cpu.idtr_limit):
        fault_with(cpu, Vector.GP, wrong)
    gate = system_load(cpu, cpu.idtr_base + vector * 8, 8)
    kind = system_type(gate)
    interrupt = kind & ~u64(WIDE_GATE | TRAP) == SystemType.INTERRUPT_GATE16
    if kind != SystemType.TASK_GATE and not interrupt:
        fault_with(cpu, Vector.GP, wrong)
    if software and level_of(gate) < u64(cpu.cpl):
        fault_with(cpu, Vector.GP, wrong)
    if (gate >> 47) & 1 == 0:
        fault_with(cpu, Vector.NP, wrong)
    if interrupt:
        through_gate(cpu, gate, has_error, error)
    else:
        task_switch(cpu, (gate >> 16) & 0xFFFF, u64(TASK_INTERRUPT), has_error, error)


@typed(leaves=True, inline=False)
def deliver_real(cpu: Cpu, vector: u64) -> None:
    """Through the interrupt-vector table of real mode; error codes are not pushed."""
    if vector * 4 + 3 > u64(cpu.idtr_limit):
        fault_with(cpu, Vector.GP, u32(vector * 8 + 2))
    entry = system_load(cpu, cpu.idtr_base + vector * 4, 4)
    enter_real(cpu, entry, rflags(cpu), u64(Rflags.IF))


@typed(leaves=True, inline=False)
def enter_real(cpu: Cpu, entry: u64, image: u64, cleared: u64) -> None:
    """Enter a handler of real or virtual-8086 mode: push FLAGS, CS and IP, load CS:IP.

    image: of FLAGS; cleared: bits of RFLAGS beside TF, AC and RF.
    """
    pointer = enter_same_stack(cpu)
    cpu.frame[0] = image
    cpu.frame[1] = u64(cpu.seg_selector[CS])
    cpu.frame[2] = cpu.rip
    commit_stack(cpu, build_frame(cpu, pointer, 3, 2, u64(cpu.cpl)))
    cpu.flags = cpu.flags & ~(cleared | Rflags.TF | Rflags.AC | Rflags.RF)
    put_real(cpu, CS, (entry >> 16) & 0xFFFF)
    cpu.rip = entry & 0xFFFF
    update_mode(cpu)


@typed(leaves=True, inline=False)
def through_gate(cpu: Cpu, gate: u64, has_error: bool, error: u64) -> None:
    """Through an interrupt or trap gate of 32 or 16 bits, on this level or to an inner one."""
    selector = (gate >> 16) & 0xFFFF
    target = gate & 0xFFFF
    size: u64 = 2
    if system_type(gate) & WIDE_GATE != 0:
        target = target | ((gate >> 32) & 0xFFFF_0000)
        size = 4
    descriptor = gate_code(cpu, selector)
    level = u64(cpu.cpl)
    virtual = cpu.flags & Rflags.VM != 0
    if not is_conforming(descriptor):
        level = level_of(descriptor)
    if virtual and level != 0:
        fault_with(cpu, Vector.GP, error_of(selector))
    flags = rflags(cpu)
    n: u64 = 0
    if level != u64(cpu.cpl):
        pointer = enter_level_stack(cpu, level)
        if virtual:
            cpu.frame[0] = u64(cpu.seg_selector[GS])
            cpu.frame[1] = u64(cpu.seg_selector[FS])
            cpu.frame[2] = u64(cpu.seg_selector[DS])
            cpu.frame[3] = u64(cpu.seg_selector[ES])
            n = 4
        cpu.frame[n] = u64(cpu.seg_selector[SS])
        cpu.frame[n + 1] = cpu.gr[RSP]
        n += 2
    else:
        pointer = enter_same_stack(cpu)
    cpu.frame[n] = flags
    cpu.frame[n + 1] = u64(cpu.seg_selector[CS])
    cpu.frame[n + 2] = cpu.rip
    n += 3
    if has_error:
        cpu.frame[n] = error
        n += 1
    check_target(cpu, descriptor, target)
    bottom = build_frame(cpu, pointer, n, size, level)
    marked = mark_accessed(cpu, selector, descriptor)
    commit_stack(cpu, bottom)
    if virtual:
        put_null(cpu, GS, 0)
        put_null(cpu, FS, 0)
        put_null(cpu, DS, 0)
        put_null(cpu, ES, 0)
    cleared = u64(Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM)
    if system_type(gate) & TRAP == 0:
        cleared = cleared | Rflags.IF
    cpu.flags = cpu.flags & ~cleared
    put_code(cpu, selector, marked, level)
    cpu.rip = target
    update_mode(cpu)
