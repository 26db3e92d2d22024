"""MOV to and from CR and DR, CLTS, LMSW, SMSW, RDMSR, WRMSR, XGETBV, XSETBV. ref: APM3 4"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0, Cr4, Dr6
from worldswitch.engine import typed, u16, u64
from worldswitch.metal.x86.control import write_cr0, write_cr3, write_cr4, write_xcr0
from worldswitch.metal.x86.decode_bits import RECORD_LOCKED
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import fault, general_protection, undefined
from worldswitch.metal.x86.memory import load_u16, store_u16
from worldswitch.metal.x86.mode import MODE_LONG, purge_all, update_mode
from worldswitch.metal.x86.msrs import read_msr, write_msr
from worldswitch.metal.x86.operands import PUT, effective
from worldswitch.metal.x86.state import RAX, RCX, RDX, Cpu, Record
from worldswitch.metal.x86.state_area import in_use
from worldswitch.metal.x86.svm.intercepts import (
    NO_MOV,
    intercept_cr_read,
    intercept_cr_write,
    intercept_dr_read,
    intercept_dr_write,
    intercept_msr,
)
from worldswitch.metal.x86.svm.virtual import read_tpr, write_tpr

DR6_ONES = 0xFFFF_0FF0
DR6_WRITABLE = 0xE00F
DR7_ONES = 0x400
DR7_ZEROS = 0xD800


@typed(leaves=True, inline=False)
def read_cr(cpu: Cpu, number: u64) -> u64:
    """A control register; #UD for one that does not exist."""
    if number == 0:
        return cpu.cr0
    if number == 2:
        return cpu.cr2
    if number == 3:
        return cpu.cr3
    if number == 4:
        return cpu.cr4
    if number != 8:
        undefined(cpu)
    return read_tpr(cpu)


@typed(leaves=True, inline=False)
def write_cr(cpu: Cpu, number: u64, value: u64) -> None:
    """Write a control register."""
    if number == 0:
        write_cr0(cpu, value)
    elif number == 2:
        cpu.cr2 = value
    elif number == 3:
        write_cr3(cpu, value)
    elif number == 4:
        write_cr4(cpu, value)
    elif number == 8:
        if value > 15:
            general_protection(cpu)
        write_tpr(cpu, value)
    else:
        undefined(cpu)
    cpu.check = 1


@typed(leaves=True)
def check_cr(cpu: Cpu, number: u64) -> None:
    """#UD for a control register that does not exist."""
    if number > 8 or number == 1 or (number > 4 and number < 8):
        undefined(cpu)


@insn("MOV", "0F 20 /r", ref="APM3 4 MOV CRn", raw=True, cpl0=True, lock=True)
def mov_from_cr() -> Any:
    """Control register to general register."""

    @typed(leaves=True, inline=True)
    def mov_from_cr(cpu: Cpu, rec: Record) -> None:
        number = cr_number(rec)
        value = read_cr(cpu, number)
        intercept_cr_read(cpu, number, u64(rec.rm))
        cpu.gr[rec.rm] = narrow(cpu, value)

    return mov_from_cr


@insn("MOV", "0F 22 /r", ref="APM3 4 MOV CRn", raw=True, cpl0=True, control=True, lock=True)
def mov_to_cr() -> Any:
    """General register to control register."""

    @typed(leaves=True, inline=True)
    def mov_to_cr(cpu: Cpu, rec: Record) -> None:
        value = narrow(cpu, cpu.gr[rec.rm])
        check_cr(cpu, cr_number(rec))
        intercept_cr_write(cpu, cr_number(rec), u64(rec.rm), value)
        write_cr(cpu, cr_number(rec), value)

    return mov_to_cr


@insn("MOV", "0F 21 /r", ref="APM3 4 MOV DRn", raw=True, cpl0=True)
def mov_from_dr() -> Any:
    """Debug register to general register."""

    @typed(leaves=True, inline=True)
    def mov_from_dr(cpu: Cpu, rec: Record) -> None:
        number = dr_number(cpu, u64(rec.reg))
        intercept_dr_read(cpu, u64(rec.reg), u64(rec.rm))
        cpu.gr[rec.rm] = narrow(cpu, cpu.dr[number])

    return mov_from_dr


@insn("MOV", "0F 23 /r", ref="APM3 4 MOV DRn", raw=True, cpl0=True, control=True)  # fmt: skip
def mov_to_dr() -> Any:
    """General register to debug register."""

    @typed(leaves=True, inline=True)
    def mov_to_dr(cpu: Cpu, rec: Record) -> None:
        number = dr_number(cpu, u64(rec.reg))
        intercept_dr_write(cpu, u64(rec.reg), u64(rec.rm))
        write_dr(cpu, number, narrow(cpu, cpu.gr[rec.rm]))

    return mov_to_dr


@typed
def narrow(cpu: Cpu, value: u64) -> u64:
    """A value as wide as the mode's control registers."""
    if cpu.mode & MODE_LONG != 0:
        return value
    return value & 0xFFFF_FFFF


@typed
def cr_number(rec: Record) -> u64:
    """The control register; LOCK stands for the bit that is missing outside of 64-bit mode."""
    if rec.flags & RECORD_LOCKED != 0:
        return 8
    return u64(rec.reg)


@typed(leaves=True, inline=False)
def dr_number(cpu: Cpu, number: u64) -> u64:
    """The debug register: DR4 and DR5 are DR6 and DR7 unless CR4.DE; general detect.

    ref: APM2 13.1.1
    """
    if number > 7:
        undefined(cpu)
    if cpu.dr[7] & (1 << 13) != 0:
        cpu.dr[6] = cpu.dr[6] | Dr6.BD
        cpu.dr[7] = cpu.dr[7] & ~u64(1 << 13)
        fault(cpu, Vector.DB)
    if number == 4 or number == 5:
        if cpu.cr4 & Cr4.DE != 0:
            undefined(cpu)
        return number + 2
    return number


@typed(leaves=True, inline=False)
def write_dr(cpu: Cpu, number: u64, value: u64) -> None:
    """Write a debug register; the TLB may hold pages that are watched now."""
    if number >= 6 and value >> 32 != 0:
        general_protection(cpu)
    if number == 6:
        cpu.dr[6] = (value & DR6_WRITABLE) | DR6_ONES
    elif number == 7:
        cpu.dr[7] = (value & 0xFFFF_FFFF & ~u64(DR7_ZEROS)) | DR7_ONES
    else:
        cpu.dr[number] = value
    purge_all(cpu)
    update_mode(cpu)


@insn("CLTS", "0F 06", ref="APM3 4 CLTS", raw=True, cpl0=True, control=True)
def clts() -> Any:
    """Clear CR0.TS."""

    @typed(leaves=True, inline=True)
    def clts(cpu: Cpu, rec: Record) -> None:
        intercept_cr_write(cpu, 0, NO_MOV, cpu.cr0 & ~u64(Cr0.TS))
        cpu.cr0 = cpu.cr0 & ~u64(Cr0.TS)
        update_mode(cpu)

    return clts


@typed(leaves=True, inline=False)
def load_machine_status(cpu: Cpu, value: u64) -> None:
    """LMSW: PE can be set but not cleared."""
    new = (cpu.cr0 & ~u64(14)) | (value & 15)
    intercept_cr_write(cpu, 0, NO_MOV, new)
    write_cr0(cpu, new)


@insn("LMSW", "0F 01 /6 Ew", ref="APM3 4 LMSW", raw=True, cpl0=True, control=True)
def lmsw(w: Any, mod: str) -> Any:
    """Load the low four bits of CR0."""
    if mod == "reg":

        @typed(leaves=True, inline=True)
        def lmsw(cpu: Cpu, rec: Record) -> None:
            load_machine_status(cpu, cpu.gr[rec.rm])
    else:

        @typed(leaves=True, inline=True)
        def lmsw(cpu: Cpu, rec: Record) -> None:
            load_machine_status(cpu, u64(load_u16(cpu, rec.seg, effective(cpu, rec))))

    return lmsw


@typed(leaves=True)
def check_umip(cpu: Cpu) -> None:
    """SGDT, SIDT, SLDT, STR, SMSW are not for users with CR4.UMIP. ref: APM2 3.1.3"""
    if cpu.cr4 & Cr4.UMIP != 0 and cpu.cpl != 0:
        general_protection(cpu)


@insn("SMSW", "0F 01 /4 /R Rv", ref="APM3 4 SMSW", raw=True)
def smsw(w: Any) -> Any:
    """Store the low part of CR0 in a register."""
    put, u = PUT[w.bits], w.u

    @typed(leaves=True, inline=True)
    def smsw(cpu: Cpu, rec: Record) -> None:
        check_umip(cpu)
        intercept_cr_read(cpu, 0, NO_MOV)
        put(cpu, rec.rm, u(cpu.cr0))

    return smsw


@insn("SMSW", "0F 01 /4 Mw", ref="APM3 4 SMSW", raw=True, writes=True)
def smsw_memory() -> Any:
    """Store the low 16 bits of CR0 in memory."""

    @typed(leaves=True, inline=True)
    def smsw_memory(cpu: Cpu, rec: Record) -> None:
        check_umip(cpu)
        intercept_cr_read(cpu, 0, NO_MOV)
        store_u16(cpu, rec.seg, effective(cpu, rec), u16(cpu.cr0))

    return smsw_memory


@typed(inline=True)
def edx_eax(cpu: Cpu) -> u64:
    """EDX:EAX as 64 bits."""
    return (cpu.gr[RDX] << 32) | (cpu.gr[RAX] & 0xFFFF_FFFF)


@typed(inline=True)
def put_edx_eax(cpu: Cpu, value: u64) -> None:
    """64 bits to EDX:EAX; the upper halves become zero."""
    cpu.gr[RAX] = value & 0xFFFF_FFFF
    cpu.gr[RDX] = value >> 32


@insn("RDMSR", "0F 32", ref="APM3 4 RDMSR", raw=True, cpl0=True, control=True)
def rdmsr() -> Any:
    """MSR to EDX:EAX."""

    @typed(leaves=True, inline=True)
    def rdmsr(cpu: Cpu, rec: Record) -> None:
        intercept_msr(cpu, cpu.gr[RCX] & 0xFFFF_FFFF, False)
        put_edx_eax(cpu, read_msr(cpu, cpu.gr[RCX] & 0xFFFF_FFFF))

    return rdmsr


@insn("WRMSR", "0F 30", ref="APM3 4 WRMSR", raw=True, cpl0=True, control=True)
def wrmsr() -> Any:
    """EDX:EAX to MSR."""

    @typed(leaves=True, inline=True)
    def wrmsr(cpu: Cpu, rec: Record) -> None:
        intercept_msr(cpu, cpu.gr[RCX] & 0xFFFF_FFFF, True)
        write_msr(cpu, cpu.gr[RCX] & 0xFFFF_FFFF, edx_eax(cpu))

    return wrmsr


@typed(leaves=True, inline=False)
def get_xcr(cpu: Cpu) -> None:
    """XGETBV: XCR0, or with ECX 1 the components in use."""
    if cpu.cr4 & Cr4.OSXSAVE == 0:
        undefined(cpu)
    number = cpu.gr[RCX] & 0xFFFF_FFFF
    if number > 1:
        general_protection(cpu)
    value = cpu.xcr0
    if number == 1:
        value = value & in_use(cpu)
    put_edx_eax(cpu, value)


@insn("XGETBV", "0F 01 D0", ref="APM3 4 XGETBV", raw=True, feature="xsave")
def xgetbv() -> Any:
    """XCR to EDX:EAX."""

    @typed(leaves=True, inline=True)
    def xgetbv(cpu: Cpu, rec: Record) -> None:
        get_xcr(cpu)

    return xgetbv


@typed(leaves=True, inline=False)
def set_xcr(cpu: Cpu) -> None:
    """XSETBV: XCR0 is the only one."""
    if cpu.cr4 & Cr4.OSXSAVE == 0:
        undefined(cpu)
    if cpu.gr[RCX] & 0xFFFF_FFFF != 0:
        general_protection(cpu)
    write_xcr0(cpu, edx_eax(cpu))


@insn("XSETBV", "0F 01 D1", ref="APM3 4 XSETBV", raw=True, feature="xsave", cpl0=True,
      control=True, intercept=141)  # fmt: skip
def xsetbv() -> Any:
    """EDX:EAX to XCR0."""

    @typed(leaves=True, inline=True)
    def xsetbv(cpu: Cpu, rec: Record) -> None:
        set_xcr(cpu)

    return xsetbv
