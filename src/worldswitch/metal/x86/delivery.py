"""One event through the IDT, without a second thought: faults leave. ref: APM2 8.9"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Efer, Rflags
from worldswitch.arch.x86.segments import SystemType
from worldswitch.engine import typed, u32, u64
from worldswitch.metal.x86.access import system_load
from worldswitch.metal.x86.code_segments import gate_code
from worldswitch.metal.x86.flags import rflags
from worldswitch.metal.x86.frames import WIDE, build_frame
from worldswitch.metal.x86.gates import enter_long_stack
from worldswitch.metal.x86.leave import fault_with, general_protection
from worldswitch.metal.x86.legacy_delivery import deliver_legacy
from worldswitch.metal.x86.mode import update_mode
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.segments import (
    is_conforming,
    level_of,
    mark_accessed,
    put_code,
    put_null_stack,
    system_type,
)
from worldswitch.metal.x86.state import CS, RSP, SS, Cpu


@typed(leaves=True, inline=False)
def deliver(cpu: Cpu, vector: u64, software: bool, has_error: bool, error: u64) -> None:
    """Enter the handler of a vector; `cpu.rip` is the address to return to.

    software: an interrupt or exception that an INT instruction raises, which the gate's DPL has
    to allow.
    """
    if cpu.efer & Efer.LMA != 0:
        deliver_long(cpu, vector, software, has_error, error)
    else:
        deliver_legacy(cpu, vector, software, has_error, error)


@typed(leaves=True, inline=False)
def deliver_long(cpu: Cpu, vector: u64, software: bool, has_error: bool, error: u64) -> None:
    """Through a gate of long mode. ref: APM2 8.9"""
    wrong = u32(vector * 8 + 2)
    if vector * 16 + 15 > u64(cpu.idtr_limit):
        fault_with(cpu, Vector.GP, wrong)
    low = system_load(cpu, cpu.idtr_base + vector * 16, 8)
    high = system_load(cpu, cpu.idtr_base + vector * 16 + 8, 8)
    kind = system_type(low)
    if kind != SystemType.INTERRUPT_GATE and kind != SystemType.TRAP_GATE:
        fault_with(cpu, Vector.GP, wrong)
    if software and level_of(low) < u64(cpu.cpl):
        fault_with(cpu, Vector.GP, wrong)
    if (low >> 47) & 1 == 0:
        fault_with(cpu, Vector.NP, wrong)
    selector = (low >> 16) & 0xFFFF
    target = (low & 0xFFFF) | ((low >> 32) & 0xFFFF_0000) | (high << 32)
    descriptor = gate_code(cpu, selector)
    level = u64(cpu.cpl)
    if not is_conforming(descriptor):
        level = level_of(descriptor)
    inner = level != u64(cpu.cpl)
    ist = (low >> 32) & 7
    pointer = cpu.gr[RSP]
    cpu.entered_mask = WIDE
    if ist != 0:
        pointer = enter_long_stack(cpu, 28 + ist * 8)
    elif inner:
        pointer = enter_long_stack(cpu, 4 + level * 8)
    if not canonical(cpu, target):
        general_protection(cpu)
    cpu.frame[0] = u64(cpu.seg_selector[SS])
    cpu.frame[1] = cpu.gr[RSP]
    cpu.frame[2] = rflags(cpu)
    cpu.frame[3] = u64(cpu.seg_selector[CS])
    cpu.frame[4] = cpu.rip
    count: u64 = 5
    if has_error:
        cpu.frame[5] = error
        count = 6
    bottom = build_frame(cpu, pointer & 0xFFFF_FFFF_FFFF_FFF0, count, 8, level)
    marked = mark_accessed(cpu, selector, descriptor)
    cpu.gr[RSP] = bottom
    if inner:
        put_null_stack(cpu, level, level)
    put_code(cpu, selector, marked, level)
    cleared = u64(Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM)
    if kind == SystemType.INTERRUPT_GATE:
        cleared = cleared | Rflags.IF
    cpu.flags = cpu.flags & ~cleared
    cpu.rip = target
    update_mode(cpu)
