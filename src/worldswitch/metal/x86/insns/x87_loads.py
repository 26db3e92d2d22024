"""x87 loads from memory, and of constants. ref: APM5 1"""

from typing import Any

from worldswitch.engine import i16, i32, i64, typed, u16, u64, u128
from worldswitch.metal.x86.fp.x87 import (
    f80_constant,
    f80_of_bcd,
    f80_of_f32,
    f80_of_f64,
    f80_of_i64,
)
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import wait_for_errors
from worldswitch.metal.x86.memory import (
    linear,
    load_u16,
    load_u32,
    load_u64,
)
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.x87_unit import (
    load,
    note,
    note_operand,
)


@insn("FLD", "D9 /0 Md", ref="APM5 2 FLD", raw=True, unit="x87")
def fld_single() -> Any:
    """Push a single."""

    @typed(leaves=True, inline=True)
    def fld_single(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value, status = f80_of_f32(load_u32(cpu, rec.seg, at), cpu.x87_control)
        note_operand(cpu, rec, at)
        load(cpu, value, status)

    return fld_single


@insn("FLD", "DD /0 Mq", ref="APM5 2 FLD", raw=True, unit="x87")
def fld_double() -> Any:
    """Push a double."""

    @typed(leaves=True, inline=True)
    def fld_double(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value, status = f80_of_f64(load_u64(cpu, rec.seg, at), cpu.x87_control)
        note_operand(cpu, rec, at)
        load(cpu, value, status)

    return fld_double


@typed(leaves=True, inline=False)
def load_80(cpu: Cpu, rec: Record) -> u128:
    """The 80 bits of the memory operand."""
    at = effective(cpu, rec)
    low = load_u64(cpu, rec.seg, at)
    high = load_u16(cpu, rec.seg, linear(cpu, at + 8))
    note_operand(cpu, rec, at)
    return u128(low) | (u128(high) << 64)


@insn("FLD", "DB /5 Mt", ref="APM5 2 FLD", raw=True, unit="x87")
def fld_extended() -> Any:
    """Push 80 bits as they are."""

    @typed(leaves=True, inline=True)
    def fld_extended(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        load(cpu, load_80(cpu, rec), u16(0))

    return fld_extended


@insn("FBLD", "DF /4 Mt", ref="APM5 2 FBLD", raw=True, unit="x87")
def fbld() -> Any:
    """Push a packed decimal number."""

    @typed(leaves=True, inline=True)
    def fbld(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        load(cpu, f80_of_bcd(load_80(cpu, rec)), u16(0))

    return fbld


@insn("FILD", "DF /0 Mw", ref="APM5 2 FILD", raw=True, unit="x87")
def fild_word() -> Any:
    """Push a 16-bit integer."""

    @typed(leaves=True, inline=True)
    def fild_word(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value = u64(i64(i16(load_u16(cpu, rec.seg, at))))
        note_operand(cpu, rec, at)
        load(cpu, f80_of_i64(value), u16(0))

    return fild_word


@insn("FILD", "DB /0 Md", ref="APM5 2 FILD", raw=True, unit="x87")
def fild_doubleword() -> Any:
    """Push a 32-bit integer."""

    @typed(leaves=True, inline=True)
    def fild_doubleword(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value = u64(i64(i32(load_u32(cpu, rec.seg, at))))
        note_operand(cpu, rec, at)
        load(cpu, f80_of_i64(value), u16(0))

    return fild_doubleword


@insn("FILD", "DF /5 Mq", ref="APM5 2 FILD", raw=True, unit="x87")
def fild_quadword() -> Any:
    """Push a 64-bit integer."""

    @typed(leaves=True, inline=True)
    def fild_quadword(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value = load_u64(cpu, rec.seg, at)
        note_operand(cpu, rec, at)
        load(cpu, f80_of_i64(value), u16(0))

    return fild_quadword


@insn("FLD1", "D9 E8", ref="APM5 2 FLD1", raw=True, unit="x87")
@insn("FLDL2T", "D9 E9", ref="APM5 2 FLDL2T", raw=True, unit="x87")
@insn("FLDL2E", "D9 EA", ref="APM5 2 FLDL2E", raw=True, unit="x87")
@insn("FLDPI", "D9 EB", ref="APM5 2 FLDPI", raw=True, unit="x87")
@insn("FLDLG2", "D9 EC", ref="APM5 2 FLDLG2", raw=True, unit="x87")
@insn("FLDLN2", "D9 ED", ref="APM5 2 FLDLN2", raw=True, unit="x87")
@insn("FLDZ", "D9 EE", ref="APM5 2 FLDZ", raw=True, unit="x87")
def fld_constant() -> Any:
    """Push the constant that the opcode's last bits name."""

    @typed(leaves=True, inline=True)
    def fld_constant(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        note(cpu, rec)
        load(cpu, f80_constant(rec.opcode & 7, cpu.x87_control), u16(0))

    return fld_constant
