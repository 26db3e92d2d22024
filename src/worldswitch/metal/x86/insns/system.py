"""CPUID, RDTSC, interrupt flag, port I/O, caches and TLB, MONITOR. ref: APM3 3, 4"""

from typing import Any

from worldswitch.arch.x86.registers import Cr4, Rflags
from worldswitch.arch.x86.svm_exits import IoioInfo
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.bus import BUS_IN, BUS_OUT, bus_call
from worldswitch.metal.x86.cpuid import cpuid as answer
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.io import io_allowed
from worldswitch.metal.x86.leave import general_protection, undefined
from worldswitch.metal.x86.memory import load_u8, load_u64
from worldswitch.metal.x86.mode import (
    MODE_LONG,
    MODE_PROTECTED,
    MODE_V86,
    current_pcid,
    purge_page,
    purge_space,
    update_mode,
)
from worldswitch.metal.x86.operands import PUT, effective, next_rip, put_b
from worldswitch.metal.x86.state import RAX, RBX, RCX, RDX, Cpu, Record
from worldswitch.metal.x86.svm.intercepts import (
    intercept_invlpg,
    intercept_io,
    intercept_mwait,
    intercept_plain,
)
from worldswitch.metal.x86.timers import instructions, tsc_now, visible_tsc

RDTSC_BIT, RDPMC_BIT, CPUID_BIT, INVD_BIT = 96 + 14, 96 + 15, 96 + 18, 96 + 22
RDTSCP_BIT, WBINVD_BIT, MONITOR_BIT, INVPCID_BIT = 128 + 7, 128 + 9, 128 + 10, 160 + 2


@typed(inline=False)
def put_cpuid(cpu: Cpu) -> None:
    """CPUID's four registers."""
    a, b, c, d = answer(cpu, cpu.gr[RAX] & 0xFFFF_FFFF, cpu.gr[RCX] & 0xFFFF_FFFF)
    cpu.gr[RAX] = a
    cpu.gr[RBX] = b
    cpu.gr[RCX] = c
    cpu.gr[RDX] = d


@insn("CPUID", "0F A2", ref="APM3 3 CPUID", raw=True, intercept=CPUID_BIT)
def cpuid() -> Any:
    """Processor identification."""

    @typed(inline=True)
    def cpuid(cpu: Cpu, rec: Record) -> None:
        put_cpuid(cpu)

    return cpuid


@typed(leaves=True, inline=False)
def put_tsc(cpu: Cpu, count: u64, intercept: u64) -> None:
    """EDX:EAX get the time-stamp counter as it is `count` instructions into the block."""
    if cpu.cr4 & Cr4.TSD != 0 and cpu.cpl != 0:
        general_protection(cpu)
    intercept_plain(cpu, intercept)
    value = visible_tsc(cpu, tsc_now(cpu) + count)
    cpu.gr[RAX] = value & 0xFFFF_FFFF
    cpu.gr[RDX] = value >> 32


@insn("RDTSC", "0F 31", ref="APM3 3 RDTSC", raw=True)
def rdtsc() -> Any:
    """Read the time-stamp counter."""

    @typed(leaves=True, inline=True)
    def rdtsc(cpu: Cpu, rec: Record) -> None:
        put_tsc(cpu, u64(rec.count), RDTSC_BIT)

    return rdtsc


@insn("RDTSCP", "0F 01 F9", ref="APM3 3 RDTSCP", raw=True, feature="rdtscp")
def rdtscp() -> Any:
    """Read the time-stamp counter and the processor's number."""

    @typed(leaves=True, inline=True)
    def rdtscp(cpu: Cpu, rec: Record) -> None:
        put_tsc(cpu, u64(rec.count), RDTSCP_BIT)
        cpu.gr[RCX] = cpu.tsc_aux

    return rdtscp


@insn("RDPID", "F3 0F C7 /7 /R", ref="APM3 3 RDPID", raw=True, feature="rdpid")
def rdpid() -> Any:
    """The processor's number, TSC_AUX."""

    @typed(inline=True)
    def rdpid(cpu: Cpu, rec: Record) -> None:
        cpu.gr[rec.rm] = cpu.tsc_aux

    return rdpid


@typed(leaves=True, inline=False)
def read_counter(cpu: Cpu) -> None:
    """RDPMC."""
    if cpu.cr4 & Cr4.PCE == 0 and cpu.cpl != 0:
        general_protection(cpu)
    if cpu.gr[RCX] & 0xFFFF_FFFF > 5:
        general_protection(cpu)
    intercept_plain(cpu, RDPMC_BIT)
    cpu.gr[RAX] = 0
    cpu.gr[RDX] = 0


@insn("RDPMC", "0F 33", ref="APM3 3 RDPMC", raw=True)
def rdpmc() -> Any:
    """Read a performance counter. UNMODELLED: the counters, which read as zero."""

    @typed(leaves=True, inline=True)
    def rdpmc(cpu: Cpu, rec: Record) -> None:
        read_counter(cpu)

    return rdpmc


@typed(leaves=True, inline=False)
def may_change_if(cpu: Cpu) -> bool:
    """Whether CLI and STI may change IF itself; False: VIF. #GP(0) if neither."""
    iopl = (cpu.flags >> 12) & 3
    if cpu.mode & MODE_PROTECTED == 0:
        return True
    if cpu.mode & MODE_V86 != 0:
        if iopl == 3:
            return True
        if cpu.cr4 & Cr4.VME != 0:
            return False
    elif u64(cpu.cpl) <= iopl:
        return True
    elif cpu.cr4 & Cr4.PVI != 0 and cpu.cpl == 3:
        return False
    general_protection(cpu)
    return True


@typed(leaves=True, inline=False)
def set_interrupts(cpu: Cpu) -> None:
    """STI: interrupts are taken from behind the next instruction on."""
    if may_change_if(cpu):
        if cpu.flags & Rflags.IF == 0:
            cpu.shadow_at = instructions(cpu)
            cpu.shadow_of_ss = 0
        cpu.flags = cpu.flags | Rflags.IF
        cpu.check = 1
    else:
        if cpu.flags & Rflags.VIP != 0:
            general_protection(cpu)
        cpu.flags = cpu.flags | Rflags.VIF


@insn("STI", "FB", ref="APM3 4 STI", raw=True, control=True)
def sti() -> Any:
    """Set IF."""

    @typed(leaves=True, inline=True)
    def sti(cpu: Cpu, rec: Record) -> None:
        set_interrupts(cpu)

    return sti


@insn("CLI", "FA", ref="APM3 4 CLI", raw=True)
def cli() -> Any:
    """Clear IF."""

    @typed(leaves=True, inline=True)
    def cli(cpu: Cpu, rec: Record) -> None:
        if may_change_if(cpu):
            cpu.flags = cpu.flags & ~u64(Rflags.IF)
        else:
            cpu.flags = cpu.flags & ~u64(Rflags.VIF)

    return cli


@typed(leaves=True, inline=False)
def set_ac(cpu: Cpu, on: bool) -> None:
    """STAC and CLAC."""
    if cpu.cpl != 0:
        undefined(cpu)
    if on:
        cpu.flags = cpu.flags | Rflags.AC
    else:
        cpu.flags = cpu.flags & ~u64(Rflags.AC)
    update_mode(cpu)


@insn("CLAC", "0F 01 CA", ref="APM3 4 CLAC", raw=True, control=True, feature="smap")
def clac() -> Any:
    """Clear AC."""

    @typed(leaves=True, inline=True)
    def clac(cpu: Cpu, rec: Record) -> None:
        set_ac(cpu, False)

    return clac


@insn("STAC", "0F 01 CB", ref="APM3 4 STAC", raw=True, control=True, feature="smap")
def stac() -> Any:
    """Set AC."""

    @typed(leaves=True, inline=True)
    def stac(cpu: Cpu, rec: Record) -> None:
        set_ac(cpu, True)

    return stac


@typed(leaves=True, inline=False)
def port_in(cpu: Cpu, rec: Record, port: u64, size: u64) -> u64:
    """Read a port of 1, 2 or 4 bytes."""
    io_allowed(cpu, port, size)
    intercept_io(cpu, port, size, IoioInfo.IN, next_rip(cpu, rec))
    return bus_call(cpu, BUS_IN, port, size, 0)


@typed(leaves=True, inline=False)
def port_out(cpu: Cpu, rec: Record, port: u64, size: u64, value: u64) -> None:
    """Write a port."""
    io_allowed(cpu, port, size)
    intercept_io(cpu, port, size, 0, next_rip(cpu, rec))
    bus_call(cpu, BUS_OUT, port, size, value)


def _ports(encoding: str, name: str, byte: bool, immediate: bool, out: bool) -> None:
    @insn(name, encoding, ref=f"APM3 3 {name}", raw=True, control=True, sized=not byte)
    def port(w: Width) -> Any:
        """Between the accumulator and a port; more than 32 bits there are none."""
        bits = 8 if byte else min(w.bits, 32)
        size = bits // 8
        put = PUT.get(bits)
        ones = (1 << bits) - 1

        if out:

            @typed(leaves=True, inline=True)
            def port(cpu: Cpu, rec: Record) -> None:
                number = cpu.gr[RDX] & 0xFFFF
                if immediate:
                    number = u64(rec.imm) & 0xFF
                port_out(cpu, rec, number, size, cpu.gr[RAX] & ones)
        elif byte:

            @typed(leaves=True, inline=True)
            def port(cpu: Cpu, rec: Record) -> None:
                number = cpu.gr[RDX] & 0xFFFF
                if immediate:
                    number = u64(rec.imm) & 0xFF
                put_b(cpu, u8(RAX), u8(0), u8(port_in(cpu, rec, number, size)))
        else:
            u = {16: u16, 32: u32}[bits]

            @typed(leaves=True, inline=True)
            def port(cpu: Cpu, rec: Record) -> None:
                number = cpu.gr[RDX] & 0xFFFF
                if immediate:
                    number = u64(rec.imm) & 0xFF
                put(cpu, u8(RAX), u(port_in(cpu, rec, number, size)))

        return port


_ports("E4 Ib", "IN", True, True, False)
_ports("E5 Ib", "IN", False, True, False)
_ports("EC", "IN", True, False, False)
_ports("ED", "IN", False, False, False)
_ports("E6 Ib", "OUT", True, True, True)
_ports("E7 Ib", "OUT", False, True, True)
_ports("EE", "OUT", True, False, True)
_ports("EF", "OUT", False, False, True)


@insn("INVLPG", "0F 01 /7 Mb", ref="APM3 4 INVLPG", raw=True, cpl0=True, control=True,
)  # fmt: skip
def invlpg() -> Any:
    """Drop the translation of a page."""

    @typed(leaves=True, inline=True)
    def invlpg(cpu: Cpu, rec: Record) -> None:
        intercept_invlpg(cpu, effective(cpu, rec))
        purge_page(cpu, cpu.asid, current_pcid(cpu), effective(cpu, rec))

    return invlpg


@typed(leaves=True, inline=False)
def invalidate_pcid(cpu: Cpu, kind: u64, pcid: u64, address: u64) -> None:
    """INVPCID. ref: APM3 4 INVPCID"""
    if kind > 3 or pcid >> 12 != 0:
        general_protection(cpu)
    if kind <= 1 and cpu.cr4 & Cr4.PCIDE == 0 and pcid != 0:
        general_protection(cpu)
    if kind == 0:
        purge_page(cpu, cpu.asid, pcid, address)
    else:
        purge_space(cpu, cpu.asid, pcid, kind == 2, kind != 1)


@insn("INVPCID", "66 0F 38 82 /r Gq,Mq", ref="APM3 4 INVPCID", raw=True, cpl0=True, control=True,
      feature="invpcid", intercept=INVPCID_BIT)  # fmt: skip
def invpcid() -> Any:
    """Drop translations by PCID."""

    @typed(leaves=True, inline=True)
    def invpcid(cpu: Cpu, rec: Record) -> None:
        at = effective(cpu, rec)
        pcid = load_u64(cpu, rec.seg, at)
        address = load_u64(cpu, rec.seg, at + 8)
        kind = cpu.gr[rec.reg]
        if cpu.mode & MODE_LONG == 0:
            kind = kind & 0xFFFF_FFFF
        invalidate_pcid(cpu, kind, pcid, address)

    return invpcid


@insn("INVD", "0F 08", ref="APM3 4 INVD", raw=True, cpl0=True, intercept=INVD_BIT)
@insn("WBINVD", "0F 09", ref="APM3 4 WBINVD", raw=True, cpl0=True, intercept=WBINVD_BIT)
def wbinvd() -> Any:
    """Write caches back; there are none."""

    @typed(inline=True)
    def wbinvd(cpu: Cpu, rec: Record) -> None:
        return

    return wbinvd


@typed(leaves=True, inline=False)
def check_monitor(cpu: Cpu) -> None:
    """MONITOR and MWAIT: privileged, and no extensions or hints that do not exist."""
    if cpu.cpl != 0:
        undefined(cpu)
    if cpu.gr[RCX] & 0xFFFF_FFFF > 1:
        general_protection(cpu)


@insn("MONITOR", "0F 01 C8", ref="APM3 4 MONITOR", raw=True, feature="monitor")
def monitor() -> Any:
    """Arm the monitor, which any store may trigger."""

    @typed(leaves=True, inline=True)
    def monitor(cpu: Cpu, rec: Record) -> None:
        check_monitor(cpu)
        intercept_plain(cpu, MONITOR_BIT)
        load_u8(cpu, rec.seg, cpu.gr[RAX] + cpu.seg_base[rec.seg])

    return monitor


@insn("MWAIT", "0F 01 C9", ref="APM3 4 MWAIT", raw=True, control=True, feature="monitor")
def mwait() -> Any:
    """Wait for the monitor; it may end at any time, and does at once."""

    @typed(leaves=True, inline=True)
    def mwait(cpu: Cpu, rec: Record) -> None:
        check_monitor(cpu)
        intercept_mwait(cpu, True)

    return mwait


@insn("RDPKRU", "0F 01 EE", ref="APM3 3 RDPKRU", raw=True, feature="pku")
def rdpkru() -> Any:
    """Read the protection-key rights."""

    @typed(leaves=True, inline=True)
    def rdpkru(cpu: Cpu, rec: Record) -> None:
        check_keys(cpu)
        cpu.gr[RAX] = u64(cpu.pkru)
        cpu.gr[RDX] = 0

    return rdpkru


@insn("WRPKRU", "0F 01 EF", ref="APM3 3 WRPKRU", raw=True, feature="pku", control=True)
def wrpkru() -> Any:
    """Write the protection-key rights, which translations in the TLB have been made with."""

    @typed(leaves=True, inline=True)
    def wrpkru(cpu: Cpu, rec: Record) -> None:
        check_keys(cpu)
        if cpu.gr[RDX] & 0xFFFF_FFFF != 0:
            general_protection(cpu)
        cpu.pkru = u32(cpu.gr[RAX])
        purge_space(cpu, cpu.asid, 0, True, True)

    return wrpkru


@typed(leaves=True, inline=False)
def check_keys(cpu: Cpu) -> None:
    """RDPKRU and WRPKRU need CR4.PKE and ECX zero."""
    if cpu.cr4 & Cr4.PKE == 0:
        undefined(cpu)
    if cpu.gr[RCX] & 0xFFFF_FFFF != 0:
        general_protection(cpu)
