"""System-management mode: entry by SMI, the state-save area, and RSM. ref: APM2 10

UNMODELLED: protected SMRAM (the save area is ordinary memory), and restarting I/O instructions.
"""

from worldswitch.arch.x86.registers import Cr0, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import (
    Leave,
    peek_u8,
    peek_u16,
    peek_u32,
    peek_u64,
    poke_u8,
    poke_u16,
    poke_u32,
    poke_u64,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.x86.codecache import code_written
from worldswitch.metal.x86.control import CR0_DEFINED, load_pdptes, pae_paging
from worldswitch.metal.x86.flags import rflags, set_status
from worldswitch.metal.x86.leave import LEAVE_SHUTDOWN
from worldswitch.metal.x86.mode import PAGE, code_moved, purge_all, update_mode
from worldswitch.metal.x86.physical import is_memory, read_device, write_device
from worldswitch.metal.x86.state import CS, ES, GS, LDTR, SS, TR, Cpu

SAVE_AREA = 0xFE00
"""Of SMBASE: where the state-save area of 512 bytes begins."""
ENTRY = 0x8000
"""Of SMBASE: the handler's first instruction."""
REVISION = 0x0002_0064
"""The save area's format: SMBASE can be relocated."""
SMM_GDTR, SMM_IDTR = 0x60, 0x80
SMM_LDTR, SMM_TR = 0x70, 0x90
SMM_IO_RESTART, SMM_HALT_RESTART, SMM_NMI_MASK = 0xC8, 0xC9, 0xCA
SMM_EFER, SMM_REVISION, SMM_BASE = 0xD0, 0xFC, 0x100
SMM_CR4, SMM_CR3, SMM_CR0 = 0x148, 0x150, 0x158
SMM_DR7, SMM_DR6, SMM_RFLAGS, SMM_RIP = 0x160, 0x168, 0x170, 0x178
SMM_RAX = 0x1F8
"""Offsets in the save area; the general registers go down from RAX. ref: APM2 10.2.3"""
FLAT_DATA = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_A | SegAttr.G)
FLAT_CODE = int(
    SegAttr.P | SegAttr.S | SegAttr.TYPE_CODE | SegAttr.TYPE_W | SegAttr.TYPE_A | SegAttr.G
)


@typed(inline=False)
def put_saved(cpu: Cpu, offset: u64, size: u64, value: u64) -> None:
    """Store a field of the save area."""
    at = cpu.smbase + SAVE_AREA + offset
    if not is_memory(cpu, at):
        write_device(cpu, at, size, value)
        return
    if peek_u64(cpu.code_map + ((at & PAGE) >> 9)) != 0:
        code_written(cpu, at, size)
    host = cpu.ram + at
    if size == 8:
        poke_u64(host, value)
    elif size == 4:
        poke_u32(host, u32(value))
    elif size == 2:
        poke_u16(host, u16(value))
    else:
        poke_u8(host, u8(value))


@typed(inline=False)
def get_saved(cpu: Cpu, offset: u64, size: u64) -> u64:
    """Load a field of the save area."""
    at = cpu.smbase + SAVE_AREA + offset
    if not is_memory(cpu, at):
        return read_device(cpu, at, size)
    host = cpu.ram + at
    if size == 8:
        return peek_u64(host)
    if size == 4:
        return u64(peek_u32(host))
    if size == 2:
        return u64(peek_u16(host))
    return u64(peek_u8(host))


@typed(inline=False)
def save_segment(cpu: Cpu, offset: u64, number: u64) -> None:
    """Selector, attributes (as a descriptor's bits 55:40 have them), limit and base."""
    attr = u64(cpu.seg_attr[number])
    put_saved(cpu, offset, 2, u64(cpu.seg_selector[number]))
    put_saved(cpu, offset + 2, 2, (attr & 0xFF) | ((attr & 0xF00) << 4))
    put_saved(cpu, offset + 4, 4, u64(cpu.seg_limit[number]))
    put_saved(cpu, offset + 8, 8, cpu.seg_base[number])


@typed(inline=False)
def restore_segment(cpu: Cpu, offset: u64, number: u64) -> None:
    """The reverse."""
    attr = get_saved(cpu, offset + 2, 2)
    cpu.seg_selector[number] = u16(get_saved(cpu, offset, 2))
    cpu.seg_attr[number] = u16((attr & 0xFF) | ((attr >> 4) & 0xF00))
    cpu.seg_limit[number] = u32(get_saved(cpu, offset + 4, 4))
    cpu.seg_base[number] = get_saved(cpu, offset + 8, 8)


@typed(inline=False)
def save_state(cpu: Cpu) -> None:
    """Fill the save area."""
    n: u64 = ES
    while n <= GS:
        save_segment(cpu, n * 16, n)
        n += 1
    save_segment(cpu, SMM_LDTR, LDTR)
    save_segment(cpu, SMM_TR, TR)
    put_saved(cpu, SMM_GDTR + 4, 4, u64(cpu.gdtr_limit))
    put_saved(cpu, SMM_GDTR + 8, 8, cpu.gdtr_base)
    put_saved(cpu, SMM_IDTR + 4, 4, u64(cpu.idtr_limit))
    put_saved(cpu, SMM_IDTR + 8, 8, cpu.idtr_base)
    put_saved(cpu, SMM_IO_RESTART, 1, 0)
    put_saved(cpu, SMM_HALT_RESTART, 1, u64(cpu.halted))
    put_saved(cpu, SMM_NMI_MASK, 1, u64(cpu.nmi_blocked))
    put_saved(cpu, SMM_EFER, 8, cpu.efer)
    put_saved(cpu, SMM_REVISION, 4, REVISION)
    put_saved(cpu, SMM_BASE, 4, cpu.smbase)
    put_saved(cpu, SMM_CR4, 8, cpu.cr4)
    put_saved(cpu, SMM_CR3, 8, cpu.cr3)
    put_saved(cpu, SMM_CR0, 8, cpu.cr0)
    put_saved(cpu, SMM_DR7, 8, cpu.dr[7])
    put_saved(cpu, SMM_DR6, 8, cpu.dr[6])
    put_saved(cpu, SMM_RFLAGS, 8, rflags(cpu))
    put_saved(cpu, SMM_RIP, 8, cpu.rip)
    n = 0
    while n < 16:
        put_saved(cpu, SMM_RAX - n * 8, 8, cpu.gr[n])
        n += 1


@typed(inline=False)
def take_smi(cpu: Cpu) -> None:
    """Enter system-management mode between two instructions. ref: APM2 10.3.1"""
    save_state(cpu)
    cpu.smm = 1
    cpu.halted = 0
    cpu.nmi_blocked = 1
    cpu.cr0 = cpu.cr0 & ~u64(Cr0.PE | Cr0.EM | Cr0.TS | Cr0.PG)
    cpu.cr4 = 0
    cpu.efer = 0
    cpu.dr[7] = 0x400
    cpu.flags = 2
    set_status(cpu, 0)
    n: u64 = ES
    while n <= GS:
        cpu.seg_selector[n] = 0
        cpu.seg_base[n] = 0
        cpu.seg_limit[n] = 0xFFFF_FFFF
        cpu.seg_attr[n] = u16(FLAT_DATA)
        n += 1
    cpu.seg_selector[CS] = u16(cpu.smbase >> 4)
    cpu.seg_base[CS] = cpu.smbase
    cpu.seg_attr[CS] = u16(FLAT_CODE)
    cpu.cpl = 0
    cpu.rip = ENTRY
    purge_all(cpu)
    code_moved(cpu)
    update_mode(cpu)


@typed
def savable(cpu: Cpu, cr0: u64, cr4: u64, efer: u64) -> bool:
    """Whether control registers of the save area can be loaded. ref: APM2 10.3.3"""
    if cr0 >> 32 != 0 or cr0 & ~u64(CR0_DEFINED) != 0 or cr4 & ~cpu.cr4_mask != 0:
        return False
    if cr0 & (Cr0.PG | Cr0.PE) == Cr0.PG or cr0 & (Cr0.NW | Cr0.CD) == Cr0.NW:
        return False
    if efer & ~(cpu.efer_mask | Efer.LMA) != 0:
        return False
    long = efer & Efer.LME != 0 and cr0 & Cr0.PG != 0
    if long and cr4 & (1 << 5) == 0:
        return False
    return long == (efer & Efer.LMA != 0)


@typed(leaves=True, inline=False)
def resume_from_smm(cpu: Cpu) -> None:
    """RSM in system-management mode: load the save area; a shutdown if it cannot be.

    A new SMBASE in the area is the one of the next SMI.
    """
    cr0 = get_saved(cpu, SMM_CR0, 8)
    cr4 = get_saved(cpu, SMM_CR4, 8)
    efer = get_saved(cpu, SMM_EFER, 8)
    if not savable(cpu, cr0, cr4, efer):
        cpu.leave = LEAVE_SHUTDOWN
        raise Leave
    n: u64 = 0
    while n < 16:
        cpu.gr[n] = get_saved(cpu, SMM_RAX - n * 8, 8)
        n += 1
    n = ES
    while n <= GS:
        restore_segment(cpu, n * 16, n)
        n += 1
    restore_segment(cpu, SMM_LDTR, LDTR)
    restore_segment(cpu, SMM_TR, TR)
    cpu.gdtr_limit = u16(get_saved(cpu, SMM_GDTR + 4, 4))
    cpu.gdtr_base = get_saved(cpu, SMM_GDTR + 8, 8)
    cpu.idtr_limit = u16(get_saved(cpu, SMM_IDTR + 4, 4))
    cpu.idtr_base = get_saved(cpu, SMM_IDTR + 8, 8)
    cpu.cr0 = cr0
    cpu.cr4 = cr4
    cpu.efer = efer
    cpu.cr3 = get_saved(cpu, SMM_CR3, 8)
    cpu.dr[6] = (get_saved(cpu, SMM_DR6, 8) & 0xE00F) | 0xFFFF_0FF0
    cpu.dr[7] = (get_saved(cpu, SMM_DR7, 8) & 0xFFFF_27FF) | 0x400
    image = get_saved(cpu, SMM_RFLAGS, 8)
    cpu.flags = (image & 0x3F_7700) | 2
    set_status(cpu, image)
    cpu.rip = get_saved(cpu, SMM_RIP, 8)
    cpu.cpl = u8((cpu.seg_attr[SS] >> 5) & 3)
    if cr0 & Cr0.PE == 0:
        cpu.cpl = 0
    elif cpu.flags & Rflags.VM != 0:
        cpu.cpl = 3
    if pae_paging(cr0, cr4, efer):
        load_pdptes(cpu, cpu.cr3)
    cpu.nmi_blocked = u8(get_saved(cpu, SMM_NMI_MASK, 1) & 1)
    cpu.halted = u8(get_saved(cpu, SMM_HALT_RESTART, 1) & 3)
    cpu.smbase = get_saved(cpu, SMM_BASE, 4)
    cpu.smm = 0
    cpu.trap_armed = 0
    cpu.check = 1
    purge_all(cpu)
    code_moved(cpu)
    update_mode(cpu)
