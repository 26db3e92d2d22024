"""x87 stores to memory. An unmasked exception keeps one from storing. ref: APM5 1"""

from typing import Any

from worldswitch.engine import typed, u16, u32, u64, u128
from worldswitch.metal.x86.fp.x87 import (
    INDEFINITE,
    f80_to_bcd,
    f80_to_f32,
    f80_to_f64,
    f80_to_i16,
    f80_to_i32,
    f80_to_i64,
    invalid_status,
    withheld_store,
)
from worldswitch.metal.x86.fp.x87_convert import BCD_INDEFINITE
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import wait_for_errors
from worldswitch.metal.x86.memory import (
    linear,
    store_u16,
    store_u32,
    store_u64,
    touch_write,
)
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.x87_unit import (
    filled,
    note_operand,
    pop,
    settle,
    st,
)

NO_POP = 2
"""ModRM.reg of FST and FIST; all other stores pop."""


@typed(inline=False)
def stored(cpu: Cpu, rec: Record, at: u64, status: u16) -> None:
    """What follows a store: status, pointers, and a pop if the instruction pops."""
    note_operand(cpu, rec, at)
    settle(cpu, status)
    if (rec.opcode >> 3) & 7 != NO_POP and not withheld_store(status, cpu.x87_control):
        pop(cpu)


@insn("FST", "D9 /2 Md", ref="APM5 2 FST", raw=True, unit="x87", writes=True)
@insn("FSTP", "D9 /3 Md", ref="APM5 2 FSTP", raw=True, unit="x87", writes=True)
def fst_single() -> Any:
    """Store ST(0) as a single."""

    @typed(leaves=True, inline=True)
    def fst_single(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        image, status = single_of(cpu)
        if not withheld_store(status, cpu.x87_control):
            store_u32(cpu, rec.seg, at, image)
        stored(cpu, rec, at, status)

    return fst_single


@typed(inline=False)
def single_of(cpu: Cpu) -> tuple[u32, u16]:
    """ST(0) as a single."""
    if not filled(cpu, 0):
        return u32(0xFFC0_0000), invalid_status(False)
    image, status = f80_to_f32(st(cpu, 0), cpu.x87_control)
    return image, status


@insn("FST", "DD /2 Mq", ref="APM5 2 FST", raw=True, unit="x87", writes=True)
@insn("FSTP", "DD /3 Mq", ref="APM5 2 FSTP", raw=True, unit="x87", writes=True)
def fst_double() -> Any:
    """Store ST(0) as a double."""

    @typed(leaves=True, inline=True)
    def fst_double(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        image, status = double_of(cpu)
        if not withheld_store(status, cpu.x87_control):
            store_u64(cpu, rec.seg, at, image)
        stored(cpu, rec, at, status)

    return fst_double


@typed(inline=False)
def double_of(cpu: Cpu) -> tuple[u64, u16]:
    """ST(0) as a double."""
    if not filled(cpu, 0):
        return u64(0xFFF8_0000_0000_0000), invalid_status(False)
    image, status = f80_to_f64(st(cpu, 0), cpu.x87_control)
    return image, status


@typed(leaves=True, inline=False)
def store_80(cpu: Cpu, rec: Record, value: u128, status: u16) -> None:
    """Store 80 bits and pop."""
    at = effective(cpu, rec)
    if not withheld_store(status, cpu.x87_control):
        touch_write(cpu, rec.seg, at, 10)
        store_u64(cpu, rec.seg, at, u64(value))
        store_u16(cpu, rec.seg, linear(cpu, at + 8), u16(value >> 64))
    stored(cpu, rec, at, status)


@insn("FSTP", "DB /7 Mt", ref="APM5 2 FSTP", raw=True, unit="x87", writes=True)
def fstp_extended() -> Any:
    """Store the 80 bits of ST(0) and pop."""

    @typed(leaves=True, inline=True)
    def fstp_extended(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        if filled(cpu, 0):
            store_80(cpu, rec, st(cpu, 0), u16(0))
        else:
            store_80(cpu, rec, u128(INDEFINITE), invalid_status(False))

    return fstp_extended


@insn("FBSTP", "DF /6 Mt", ref="APM5 2 FBSTP", raw=True, unit="x87", writes=True)
def fbstp() -> Any:
    """Store ST(0) as a packed decimal number and pop."""

    @typed(leaves=True, inline=True)
    def fbstp(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        if filled(cpu, 0):
            packed, status = f80_to_bcd(st(cpu, 0), cpu.x87_control)
            store_80(cpu, rec, packed, status)
        else:
            store_80(cpu, rec, u128(BCD_INDEFINITE), invalid_status(False))

    return fbstp


@typed(inline=False)
def integer_of(cpu: Cpu, rec: Record, bits: u64) -> tuple[u64, u16]:
    """ST(0) as an integer of `bits` bits; FISTTP (ModRM.reg 1) truncates."""
    if not filled(cpu, 0):
        return u64(1) << (bits - 1), invalid_status(False)
    truncate = (rec.opcode >> 3) & 7 == 1
    value = st(cpu, 0)
    if bits == 16:
        word, of_word = f80_to_i16(value, truncate, cpu.x87_control)
        return u64(word), of_word
    if bits == 32:
        doubleword, of_doubleword = f80_to_i32(value, truncate, cpu.x87_control)
        return u64(doubleword), of_doubleword
    quadword, status = f80_to_i64(value, truncate, cpu.x87_control)
    return quadword, status


@insn("FIST", "DF /2 Mw", ref="APM5 2 FIST", raw=True, unit="x87", writes=True)
@insn("FISTP", "DF /3 Mw", ref="APM5 2 FISTP", raw=True, unit="x87", writes=True)
@insn("FISTTP", "DF /1 Mw", ref="APM5 2 FISTTP", raw=True, unit="x87", writes=True, feature="sse3")
def fist_word() -> Any:
    """Store ST(0) as a 16-bit integer."""

    @typed(leaves=True, inline=True)
    def fist_word(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value, status = integer_of(cpu, rec, 16)
        if not withheld_store(status, cpu.x87_control):
            store_u16(cpu, rec.seg, at, u16(value))
        stored(cpu, rec, at, status)

    return fist_word


@insn("FIST", "DB /2 Md", ref="APM5 2 FIST", raw=True, unit="x87", writes=True)
@insn("FISTP", "DB /3 Md", ref="APM5 2 FISTP", raw=True, unit="x87", writes=True)
@insn("FISTTP", "DB /1 Md", ref="APM5 2 FISTTP", raw=True, unit="x87", writes=True, feature="sse3")
def fist_doubleword() -> Any:
    """Store ST(0) as a 32-bit integer."""

    @typed(leaves=True, inline=True)
    def fist_doubleword(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value, status = integer_of(cpu, rec, 32)
        if not withheld_store(status, cpu.x87_control):
            store_u32(cpu, rec.seg, at, u32(value))
        stored(cpu, rec, at, status)

    return fist_doubleword


@insn("FISTP", "DF /7 Mq", ref="APM5 2 FISTP", raw=True, unit="x87", writes=True)
@insn("FISTTP", "DD /1 Mq", ref="APM5 2 FISTTP", raw=True, unit="x87", writes=True, feature="sse3")
def fist_quadword() -> Any:
    """Store ST(0) as a 64-bit integer and pop."""

    @typed(leaves=True, inline=True)
    def fist_quadword(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value, status = integer_of(cpu, rec, 64)
        if not withheld_store(status, cpu.x87_control):
            store_u64(cpu, rec.seg, at, value)
        stored(cpu, rec, at, status)

    return fist_quadword
