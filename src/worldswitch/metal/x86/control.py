"""Writes to control registers, with their checks and what they flush. ref: APM2 3.1, 5.5.2"""

from worldswitch.arch.x86.registers import CR3_NO_FLUSH, CR3_PCID, Cr0, Cr4, Efer
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import typed, u32, u64
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.mode import (
    MODE_LONG,
    current_pcid,
    purge_space,
    update_mode,
)
from worldswitch.metal.x86.paging import read_entry
from worldswitch.metal.x86.state import CS, Cpu

CR0_DEFINED = 0xE005_003F
CR0_FLUSHES = int(Cr0.PG | Cr0.WP | Cr0.PE)
CR4_FLUSHES = int(
    Cr4.PSE | Cr4.PAE | Cr4.PGE | Cr4.LA57 | Cr4.PCIDE | Cr4.SMEP | Cr4.SMAP | Cr4.PKE
)
PDPTE_RESERVED = 0xFFF0_0000_0000_01E6


@typed(leaves=True, inline=False)
def load_pdptes(cpu: Cpu, cr3: u64) -> None:
    """The four page-directory pointers of PAE paging. ref: APM2 5.2.2

    With nested paging they are read by each walk instead.
    """
    if cpu.nested != 0:
        return
    table = cr3 & 0xFFFF_FFE0
    n: u64 = 0
    while n < 4:
        entry = read_entry(cpu, table + n * 8, 8)
        if entry & 1 != 0 and entry & (PDPTE_RESERVED | ~cpu.physical_mask) != 0:
            general_protection(cpu)
        n += 1
    n = 0
    while n < 4:
        cpu.pdpte[n] = read_entry(cpu, table + n * 8, 8)
        n += 1


@typed
def pae_paging(cr0: u64, cr4: u64, efer: u64) -> bool:
    """Whether paging is on in its PAE form outside of long mode."""
    return cr0 & Cr0.PG != 0 and cr4 & Cr4.PAE != 0 and efer & Efer.LMA == 0


@typed(leaves=True, inline=False)
def write_cr0(cpu: Cpu, value: u64) -> None:
    """MOV to CR0, LMSW, CLTS. ref: APM2 3.1.1"""
    if value >> 32 != 0 or value & (Cr0.PG | Cr0.PE) == Cr0.PG:
        general_protection(cpu)
    if value & (Cr0.NW | Cr0.CD) == Cr0.NW:
        general_protection(cpu)
    new = (value & CR0_DEFINED) | Cr0.ET
    efer = cpu.efer
    if new & Cr0.WP == 0 and cpu.cr4 & Cr4.CET != 0:
        general_protection(cpu)
    if new & Cr0.PG != 0 and cpu.cr0 & Cr0.PG == 0:
        if efer & Efer.LME != 0:
            if cpu.cr4 & Cr4.PAE == 0 or cpu.seg_attr[CS] & SegAttr.L != 0:
                general_protection(cpu)
            efer = efer | Efer.LMA
        elif cpu.cr4 & Cr4.PAE != 0:
            load_pdptes(cpu, cpu.cr3)
    elif new & Cr0.PG == 0 and cpu.cr0 & Cr0.PG != 0:
        if cpu.mode & MODE_LONG != 0 or cpu.cr4 & Cr4.PCIDE != 0:
            general_protection(cpu)
        efer = efer & ~u64(Efer.LMA)
    changed = cpu.cr0 ^ new
    cpu.cr0 = new
    cpu.efer = efer
    if changed & CR0_FLUSHES != 0:
        purge_space(cpu, cpu.asid, 0, True, True)
    update_mode(cpu)


@typed(leaves=True, inline=False)
def write_cr3(cpu: Cpu, value: u64) -> None:
    """MOV to CR3: flushes what is not global. ref: APM2 3.1.2, 5.5.2"""
    new = value
    keep = False
    if cpu.mode & MODE_LONG == 0:
        new = value & 0xFFFF_FFFF
    elif cpu.cr4 & Cr4.PCIDE != 0:
        keep = value & CR3_NO_FLUSH != 0
        new = value & ~u64(CR3_NO_FLUSH)
    if cpu.efer & Efer.LMA != 0 and new & ~cpu.physical_mask != 0:
        general_protection(cpu)
    if pae_paging(cpu.cr0, cpu.cr4, cpu.efer):
        load_pdptes(cpu, new)
    cpu.cr3 = new
    if not keep:
        purge_space(cpu, cpu.asid, current_pcid(cpu), False, False)
    update_mode(cpu)


@typed(leaves=True, inline=False)
def write_cr4(cpu: Cpu, value: u64) -> None:
    """MOV to CR4. ref: APM2 3.1.3"""
    if value & ~cpu.cr4_mask != 0:
        general_protection(cpu)
    changed = cpu.cr4 ^ value
    if cpu.efer & Efer.LMA != 0:
        if value & Cr4.PAE == 0 or changed & Cr4.LA57 != 0:
            general_protection(cpu)
    elif value & Cr4.PCIDE != 0:
        general_protection(cpu)
    if changed & value & Cr4.PCIDE != 0 and cpu.cr3 & CR3_PCID != 0:
        general_protection(cpu)
    if value & Cr4.CET != 0 and cpu.cr0 & Cr0.WP == 0:
        general_protection(cpu)
    if changed & (Cr4.PAE | Cr4.PGE | Cr4.PSE) != 0 and pae_paging(cpu.cr0, value, cpu.efer):
        load_pdptes(cpu, cpu.cr3)
    cpu.cr4 = value
    if changed & CR4_FLUSHES != 0:
        purge_space(cpu, cpu.asid, 0, True, True)
    update_mode(cpu)


@typed(leaves=True, inline=False)
def write_efer(cpu: Cpu, value: u64) -> None:
    """WRMSR to EFER; LMA stays as it is. ref: APM2 3.1.7"""
    if value & ~cpu.efer_mask != 0:
        general_protection(cpu)
    changed = cpu.efer ^ value
    if changed & Efer.LME != 0 and cpu.cr0 & Cr0.PG != 0:
        general_protection(cpu)
    if value & Efer.SVME != 0 and cpu.vm_cr & VM_CR_SVMDIS != 0:
        general_protection(cpu)
    cpu.efer = (value & ~u64(Efer.LMA)) | (cpu.efer & Efer.LMA)
    if changed & Efer.NXE != 0:
        purge_space(cpu, cpu.asid, 0, True, True)
    update_mode(cpu)


VM_CR_SVMDIS = 16


@typed(leaves=True, inline=False)
def write_xcr0(cpu: Cpu, value: u64) -> None:
    """XSETBV. ref: APM2 11.5.2"""
    if value & 1 == 0 or value & ~cpu.xcr0_mask != 0 or value & 6 == 4:
        general_protection(cpu)
    cpu.xcr0 = value
    update_mode(cpu)


@typed
def machine_status(cpu: Cpu) -> u32:
    """What SMSW stores."""
    return u32(cpu.cr0)
