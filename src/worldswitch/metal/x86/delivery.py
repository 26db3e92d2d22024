"""One event through the IDT, without a second thought: faults leave. ref: APM2 8.9"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.flags import rflags
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.legacy_delivery import deliver_legacy
from worldswitch.metal.x86.memory import system_load_u64, system_store_u64
from worldswitch.metal.x86.mode import update_mode
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.state import CS, FLAT, LDTR, RSP, SS, TR, Cpu

GATE_CALL = 0xC
GATE_INTERRUPT = 0xE
GATE_TRAP = 0xF


@typed(leaves=True, inline=False)
def deliver(cpu: Cpu, vector: u64, software: bool, has_error: bool, error: u64) -> None:
    """Enter the handler of a vector; `cpu.rip` is the address to return to."""
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
    where = cpu.idtr_base + vector * 16
    low = system_load_u64(cpu, FLAT, where)
    high = system_load_u64(cpu, FLAT, where + 8)
    kind = (low >> 40) & 0x1F
    if kind != GATE_INTERRUPT and kind != GATE_TRAP:
        fault_with(cpu, Vector.GP, wrong)
    if software and (low >> 45) & 3 < u64(cpu.cpl):
        fault_with(cpu, Vector.GP, wrong)
    if (low >> 47) & 1 == 0:
        fault_with(cpu, Vector.NP, wrong)
    selector = (low >> 16) & 0xFFFF
    target = (low & 0xFFFF) | ((low >> 32) & 0xFFFF_0000) | (high << 32)
    descriptor = code_descriptor(cpu, selector)
    dpl = (descriptor >> 45) & 3
    conforming = (descriptor >> 42) & 1 != 0
    level = u64(cpu.cpl)
    if not conforming:
        level = dpl
    if not canonical(cpu, target):
        fault_with(cpu, Vector.GP, 0)
    ist = (low >> 32) & 7
    stack = cpu.gr[RSP]
    if ist != 0:
        stack = tss_stack(cpu, 28 + ist * 8)
    elif level != u64(cpu.cpl):
        stack = tss_stack(cpu, 4 + level * 8)
    stack = stack & 0xFFFF_FFFF_FFFF_FFF0
    old_level = cpu.cpl
    frame = stack - 40
    if has_error:
        frame = frame - 8
    at = frame
    if has_error:
        system_store_u64(cpu, SS, at, error)
        at = at + 8
    flags = rflags(cpu)
    system_store_u64(cpu, SS, at + 32, u64(cpu.seg_selector[SS]))
    system_store_u64(cpu, SS, at + 24, cpu.gr[RSP])
    system_store_u64(cpu, SS, at + 16, flags)
    system_store_u64(cpu, SS, at + 8, u64(cpu.seg_selector[CS]))
    system_store_u64(cpu, SS, at, cpu.rip)
    cpu.gr[RSP] = frame
    if level != u64(old_level):
        cpu.seg_selector[SS] = u16(level)
        cpu.seg_attr[SS] = u16(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A) | u16(
            level << 5
        )
        cpu.seg_base[SS] = 0
        cpu.seg_limit[SS] = 0xFFFF_FFFF
    cpu.seg_selector[CS] = u16((selector & 0xFFFC) | level)
    cpu.seg_attr[CS] = u16(((descriptor >> 40) & 0xFF) | ((descriptor >> 44) & 0xF00))
    cpu.seg_base[CS] = 0
    cpu.seg_limit[CS] = 0xFFFF_FFFF
    cpu.cpl = u8(level)
    cleared = u64(Rflags.TF | Rflags.NT | Rflags.RF | Rflags.VM)
    if kind == GATE_INTERRUPT:
        cleared = cleared | Rflags.IF
    cpu.flags = cpu.flags & ~cleared
    cpu.rip = target
    update_mode(cpu)


@typed(leaves=True, inline=False)
def code_descriptor(cpu: Cpu, selector: u64) -> u64:
    """The descriptor of a gate's 64-bit code segment, checked."""
    wrong = u32(selector & 0xFFFC)
    if selector & 0xFFFC == 0:
        fault_with(cpu, Vector.GP, 0)
    table = cpu.gdtr_base
    limit = u64(cpu.gdtr_limit)
    if selector & 4 != 0:
        table = cpu.seg_base[LDTR]
        limit = u64(cpu.seg_limit[LDTR])
        if cpu.seg_attr[LDTR] & SegAttr.P == 0:
            fault_with(cpu, Vector.GP, wrong)
    if (selector | 7) > limit:
        fault_with(cpu, Vector.GP, wrong)
    descriptor = system_load_u64(cpu, FLAT, table + (selector & 0xFFF8))
    if (descriptor >> 43) & 3 != 3:
        fault_with(cpu, Vector.GP, wrong)
    if (descriptor >> 53) & 3 != 1 or (descriptor >> 45) & 3 > u64(cpu.cpl):
        fault_with(cpu, Vector.GP, wrong)
    if (descriptor >> 47) & 1 == 0:
        fault_with(cpu, Vector.NP, wrong)
    return descriptor


@typed(leaves=True, inline=False)
def tss_stack(cpu: Cpu, offset: u64) -> u64:
    """A stack pointer out of the 64-bit TSS. ref: APM2 12.2.5"""
    if offset + 7 > u64(cpu.seg_limit[TR]):
        fault_with(cpu, Vector.TS, u32(cpu.seg_selector[TR] & 0xFFFC))
    pointer = system_load_u64(cpu, FLAT, cpu.seg_base[TR] + offset)
    if not canonical(cpu, pointer):
        fault_with(cpu, Vector.SS, 0)
    return pointer
