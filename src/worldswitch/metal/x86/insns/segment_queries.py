"""VERR, VERW, LAR, LSL, ARPL. ref: APM3 4; APM3 3 ARPL"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Efer, Rflags
from worldswitch.engine import Leave, typed, u16, u64
from worldswitch.metal.x86.flags import Width, set_status, status
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import LEAVE_FAULT
from worldswitch.metal.x86.memory import load_u16, store_u16
from worldswitch.metal.x86.operands import PUT, effective, put_w
from worldswitch.metal.x86.segments import (
    is_code,
    is_conforming,
    is_writable_data,
    level_of,
    limit_of,
    read_descriptor,
    system_type,
)
from worldswitch.metal.x86.state import Cpu, Record

NOTHING = 0
"""In place of a descriptor: the selector names none that the program may use."""
LAR_TYPES = 0x1A3E
"""System types with access rights: task-state segments, LDT, call and task gates."""
LAR_TYPES_LONG = 0x1A04
LSL_TYPES = 0x0A0E
"""System types with a limit."""
LSL_TYPES_LONG = 0x0A04


@typed(inline=False)
def put_zf(cpu: Cpu, value: bool) -> None:
    """Change ZF alone."""
    flags = status(cpu) & ~u64(Rflags.ZF)
    if value:
        flags = flags | Rflags.ZF
    set_status(cpu, flags)


@typed(leaves=True, inline=False)
def visible(cpu: Cpu, selector: u64, types: u64) -> u64:
    """The descriptor of a selector if the level allows its use and its type fits, else NOTHING.

    types: the system types that fit, a bit each.
    """
    if selector & 0xFFFC == 0:
        return NOTHING
    descriptor: u64 = NOTHING
    try:
        descriptor = read_descriptor(cpu, selector, Vector.GP)
    except Leave:
        if cpu.leave != LEAVE_FAULT or cpu.vector != Vector.GP:
            raise Leave
        return NOTHING
    kind = system_type(descriptor)
    if kind < 16 and (types >> kind) & 1 == 0:
        return NOTHING
    if not (is_code(descriptor) and is_conforming(descriptor)):
        dpl = level_of(descriptor)
        if dpl < u64(cpu.cpl) or dpl < selector & 3:
            return NOTHING
    return descriptor


@typed(leaves=True, inline=False)
def verify(cpu: Cpu, selector: u64, write: bool) -> None:
    """ZF: whether a segment may be read, or written."""
    descriptor = visible(cpu, selector, 0)
    allowed = descriptor != NOTHING
    if write:
        allowed = allowed and is_writable_data(descriptor)
    elif is_code(descriptor):
        allowed = allowed and (descriptor >> 41) & 1 != 0
    put_zf(cpu, allowed)


def _verify(name: str, digit: int, write: bool) -> None:
    @insn(name, f"0F 00 /{digit} Ew", ref=f"APM3 4 {name}", raw=True, protected=True)
    def verify_selector(w: Width, mod: str) -> Any:
        """Whether a segment is readable or writable at the present level."""
        if mod == "reg":

            @typed(leaves=True, inline=True)
            def verify_selector(cpu: Cpu, rec: Record) -> None:
                verify(cpu, cpu.gr[rec.rm] & 0xFFFF, write)
        else:

            @typed(leaves=True, inline=True)
            def verify_selector(cpu: Cpu, rec: Record) -> None:
                verify(cpu, u64(load_u16(cpu, rec.seg, effective(cpu, rec))), write)

        return verify_selector


_verify("VERR", 4, False)
_verify("VERW", 5, True)


@typed(leaves=True, inline=False)
def query(cpu: Cpu, selector: u64, limit: bool) -> u64:
    """The limit or the access rights of a segment; ZF says whether there is a result."""
    types: u64 = LAR_TYPES
    if limit:
        types = LSL_TYPES
    if cpu.efer & Efer.LMA != 0:
        types = LAR_TYPES_LONG
        if limit:
            types = LSL_TYPES_LONG
    descriptor = visible(cpu, selector, types)
    put_zf(cpu, descriptor != NOTHING)
    if limit:
        return u64(limit_of(descriptor))
    return (descriptor >> 32) & 0x00F0_FF00


def _query(name: str, opcode: str, limit: bool) -> None:
    @insn(name, f"0F {opcode} /r Gv,Ew", ref=f"APM3 4 {name}", raw=True, protected=True)
    def ask(w: Width, mod: str) -> Any:
        """Limit or rights to a register, which stays as it is without a result."""
        put, u, memory = PUT[w.bits], w.u, mod == "mem"

        @typed(inline=False, leaves=True, name=f"{name.lower()}_{w.letter}_{mod}")
        def ask(cpu: Cpu, rec: Record) -> None:
            selector = cpu.gr[rec.rm] & 0xFFFF
            if memory:
                selector = u64(load_u16(cpu, rec.seg, effective(cpu, rec)))
            result = query(cpu, selector, limit)
            if status(cpu) & Rflags.ZF != 0:
                put(cpu, rec.reg, u(result))

        return ask


_query("LAR", "02", False)
_query("LSL", "03", True)


@insn("ARPL", "63 /r Ew,Gw", ref="APM3 3 ARPL", raw=True, long=False, protected=True, writes=True)
def arpl(w: Width, mod: str) -> Any:
    """Raise the requested level of a selector to that of another; ZF: whether it was lower."""
    memory = mod == "mem"

    @typed(leaves=True, inline=False, name=f"arpl_{mod}")
    def arpl(cpu: Cpu, rec: Record) -> None:
        least = u16(cpu.gr[rec.reg]) & 3
        old = u16(cpu.gr[rec.rm])
        if memory:
            old = load_u16(cpu, rec.seg, effective(cpu, rec))
        lower = old & 3 < least
        if lower:
            if memory:
                store_u16(cpu, rec.seg, effective(cpu, rec), (old & 0xFFFC) | least)
            else:
                put_w(cpu, rec.rm, (old & 0xFFFC) | least)
        put_zf(cpu, lower)

    return arpl
