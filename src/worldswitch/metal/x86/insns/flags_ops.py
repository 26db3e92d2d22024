"""CLC, STC, CMC, CLD, STD, SAHF, LAHF, PUSHF, POPF. ref: APM3 3"""

from typing import Any

from worldswitch.arch.x86.registers import Cr4, Rflags
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.engine import typed, u8, u64
from worldswitch.metal.x86.flags import Width, cf, put_cf, rflags, set_status, status
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.mode import MODE_V86, update_mode
from worldswitch.metal.x86.operands import put_b
from worldswitch.metal.x86.stack import PEEK_STACK, PUSH, drop
from worldswitch.metal.x86.state import RAX, Cpu, Record

IOPL = int(Rflags.IOPL_LOW | Rflags.IOPL_HIGH)
STATUS = int(Rflags.CF | Rflags.PF | Rflags.AF | Rflags.ZF | Rflags.SF | Rflags.OF)
LOW_STATUS = int(Rflags.CF | Rflags.PF | Rflags.AF | Rflags.ZF | Rflags.SF)
POPPED = int(Rflags.TF | Rflags.DF | Rflags.NT)
"""Flags beside the status flags that POPF changes at any level, whatever its width."""
POPPED_WIDE = int(Rflags.AC | Rflags.ID)
SPECIAL = int(Rflags.TF | Rflags.AC | Rflags.IF)
"""Those on which the mode or pending events depend."""


@insn("CLC", "F8", ref="APM3 3 CLC", raw=True)
def clc() -> Any:
    """CF becomes zero."""

    @typed(inline=True)
    def clc(cpu: Cpu, rec: Record) -> None:
        put_cf(cpu, False)

    return clc


@insn("STC", "F9", ref="APM3 3 STC", raw=True)
def stc() -> Any:
    """CF becomes one."""

    @typed(inline=True)
    def stc(cpu: Cpu, rec: Record) -> None:
        put_cf(cpu, True)

    return stc


@insn("CMC", "F5", ref="APM3 3 CMC", raw=True)
def cmc() -> Any:
    """CF changes."""

    @typed(inline=True)
    def cmc(cpu: Cpu, rec: Record) -> None:
        put_cf(cpu, not cf(cpu))

    return cmc


@insn("CLD", "FC", ref="APM3 3 CLD", raw=True)
def cld() -> Any:
    """Strings are processed upwards."""

    @typed(inline=True)
    def cld(cpu: Cpu, rec: Record) -> None:
        cpu.flags = cpu.flags & ~u64(Rflags.DF)

    return cld


@insn("STD", "FD", ref="APM3 3 STD", raw=True)
def std() -> Any:
    """Strings are processed downwards."""

    @typed(inline=True)
    def std(cpu: Cpu, rec: Record) -> None:
        cpu.flags = cpu.flags | Rflags.DF

    return std


@insn("LAHF", "9F", ref="APM3 3 LAHF", raw=True, long=False)
@insn("LAHF", "9F", ref="APM3 3 LAHF", raw=True, long=True, feature="lahf_lm")
def lahf() -> Any:
    """SF, ZF, AF, PF and CF to AH."""

    @typed(inline=True)
    def lahf(cpu: Cpu, rec: Record) -> None:
        put_b(cpu, u8(RAX), u8(8), u8((status(cpu) & LOW_STATUS) | Rflags.ONE))

    return lahf


@insn("SAHF", "9E", ref="APM3 3 SAHF", raw=True, long=False)
@insn("SAHF", "9E", ref="APM3 3 SAHF", raw=True, long=True, feature="lahf_lm")
def sahf() -> Any:
    """SF, ZF, AF, PF and CF from AH."""

    @typed(inline=True)
    def sahf(cpu: Cpu, rec: Record) -> None:
        kept = status(cpu) & Rflags.OF
        set_status(cpu, kept | ((cpu.gr[RAX] >> 8) & LOW_STATUS))

    return sahf


@typed(leaves=True, inline=False)
def pushed_flags(cpu: Cpu, wide: bool) -> u64:
    """What PUSHF pushes; #GP(0) in virtual-8086 mode where it may not."""
    value = rflags(cpu) & ~u64(Rflags.RF | Rflags.VM)
    if cpu.mode & MODE_V86 != 0 and cpu.flags & IOPL != IOPL:
        if wide or cpu.cr4 & Cr4.VME == 0:
            general_protection(cpu)
        value = (value | IOPL) & ~u64(Rflags.IF)
        if value & Rflags.VIF != 0:
            value = value | Rflags.IF
    return value


@insn("PUSHF", "9C", ref="APM3 3 PUSHF; APM2 8.10.1", raw=True, sized=True, d64=True,
      intercept=32 * 3 + Intercept1.PUSHF.bit_length() - 1)  # fmt: skip
def pushf(w: Width) -> Any:
    """Push rFLAGS, RF and VM as zeros."""
    push, u, wide = PUSH[w.bits], w.u, w.bits != 16

    @typed(leaves=True, inline=True)
    def pushf(cpu: Cpu, rec: Record) -> None:
        push(cpu, u(pushed_flags(cpu, wide)))

    return pushf


@typed(leaves=True, inline=False)
def virtual_flags(cpu: Cpu, value: u64, wide: bool) -> None:
    """POPF in virtual-8086 mode with IOPL below 3: VIF stands for IF. ref: APM2 8.10.1"""
    if wide or cpu.cr4 & Cr4.VME == 0 or value & Rflags.TF != 0:
        general_protection(cpu)
    if value & Rflags.IF != 0 and cpu.flags & Rflags.VIP != 0:
        general_protection(cpu)
    cpu.flags = cpu.flags & ~u64(Rflags.VIF)
    if value & Rflags.IF != 0:
        cpu.flags = cpu.flags | Rflags.VIF


@typed(leaves=True, inline=False)
def popped_flags(cpu: Cpu, value: u64, wide: bool) -> None:
    """Load what POPF may load; the mode follows. ref: APM2 3.1.6 RFLAGS Register"""
    level = (cpu.flags & IOPL) >> 12
    changed: u64 = POPPED
    if cpu.mode & MODE_V86 != 0 and level != 3:
        virtual_flags(cpu, value, wide)
    else:
        if u64(cpu.cpl) <= level:
            changed = changed | Rflags.IF
        if cpu.cpl == 0:
            changed = changed | IOPL
    if wide:
        changed = changed | POPPED_WIDE
    before = cpu.flags
    cpu.flags = ((before & ~changed) | (value & changed)) & ~u64(Rflags.RF)
    set_status(cpu, value)
    if (before ^ cpu.flags) & SPECIAL != 0:
        update_mode(cpu)
        cpu.check = 1


@insn("POPF", "9D", ref="APM3 3 POPF", raw=True, sized=True, d64=True, control=True,
      intercept=32 * 3 + Intercept1.POPF.bit_length() - 1)  # fmt: skip
def popf(w: Width) -> Any:
    """Pop rFLAGS, as far as the privilege level allows."""
    peek, size, wide = PEEK_STACK[w.bits], w.bytes, w.bits != 16

    @typed(leaves=True, inline=True)
    def popf(cpu: Cpu, rec: Record) -> None:
        popped_flags(cpu, u64(peek(cpu, 0)), wide)
        drop(cpu, u64(size))

    return popf
