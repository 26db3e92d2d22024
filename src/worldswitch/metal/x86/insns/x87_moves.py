"""x87 loads, stores, exchanges, conditional moves, constants and stack management. ref: APM5 1"""

from typing import Any

from worldswitch.engine import i16, i32, i64, typed, u16, u32, u64, u128
from worldswitch.metal.x86.flags import cf, pf, zf
from worldswitch.metal.x86.fp.x87 import (
    INDEFINITE,
    f80_constant,
    f80_of_bcd,
    f80_of_f32,
    f80_of_f64,
    f80_of_i64,
    f80_to_bcd,
    f80_to_f32,
    f80_to_f64,
    f80_to_i16,
    f80_to_i32,
    f80_to_i64,
    invalid_status,
    withheld,
    withheld_store,
)
from worldswitch.metal.x86.fp.x87_convert import BCD_INDEFINITE
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import wait_for_errors
from worldswitch.metal.x86.memory import (
    linear,
    load_u16,
    load_u32,
    load_u64,
    store_u16,
    store_u32,
    store_u64,
    touch_write,
)
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.x87_unit import (
    filled,
    load,
    note,
    note_operand,
    pop,
    push,
    put,
    release,
    settle,
    settle_flags,
    st,
    turn,
)

NO_POP = 2
"""ModRM.reg of FST and FIST; all other stores pop."""


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


@typed(inline=False)
def load_register(cpu: Cpu, rec: Record) -> None:
    """FLD ST(i)."""
    note(cpu, rec)
    i = u64(rec.opcode & 7)
    if filled(cpu, i):
        load(cpu, st(cpu, i), u16(0))
    else:
        status = invalid_status(False)
        settle(cpu, status)
        if not withheld(status, cpu.x87_control):
            push(cpu, u128(INDEFINITE))


@insn("FLD", "D9 /0 /R", ref="APM5 2 FLD", raw=True, unit="x87")
def fld() -> Any:
    """Push a copy of ST(i)."""

    @typed(leaves=True, inline=True)
    def fld(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        load_register(cpu, rec)

    return fld


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


@typed(inline=False)
def store_register(cpu: Cpu, rec: Record) -> None:
    """FST ST(i), FSTP ST(i)."""
    note(cpu, rec)
    value = u128(INDEFINITE)
    status = invalid_status(False)
    if filled(cpu, 0):
        value = st(cpu, 0)
        status = u16(0)
    settle(cpu, status)
    if not withheld(status, cpu.x87_control):
        put(cpu, u64(rec.opcode & 7), value)
        if (rec.opcode >> 3) & 7 != NO_POP:
            pop(cpu)


@insn("FST", "DD /2 /R", ref="APM5 2 FST", raw=True, unit="x87")
@insn("FSTP", "DD /3 /R", ref="APM5 2 FSTP", raw=True, unit="x87")
@insn("FSTP9", "DF /3 /R", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
def fst() -> Any:
    """Copy ST(0) to ST(i)."""

    @typed(leaves=True, inline=True)
    def fst(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        store_register(cpu, rec)

    return fst


@insn("FSTP8", "DF /2 /R", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
def fstp8() -> Any:
    """FSTP ST(i) by another encoding, which is not told by ModRM.reg."""

    @typed(leaves=True, inline=True)
    def fstp8(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        store_register(cpu, rec)
        pop_stored(cpu)

    return fstp8


@insn("FSTP1", "D9 /3 /R", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
def fstp1() -> Any:
    """FSTP ST(i) by another encoding, which only pops if ST(0) is empty."""

    @typed(leaves=True, inline=True)
    def fstp1(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        if filled(cpu, 0):
            store_register(cpu, rec)
        else:
            note(cpu, rec)
            settle(cpu, u16(0))
            pop(cpu)

    return fstp1


@typed(inline=False)
def pop_stored(cpu: Cpu) -> None:
    """The pop behind `store_register`, unless an exception is pending."""
    if not withheld(cpu.x87_status, cpu.x87_control):
        pop(cpu)


@typed(inline=False)
def exchange(cpu: Cpu, rec: Record) -> None:
    """FXCH: empty registers take part as indefinite."""
    note(cpu, rec)
    i = u64(rec.opcode & 7)
    a = st(cpu, 0)
    b = st(cpu, i)
    status = u16(0)
    if not filled(cpu, 0):
        a = u128(INDEFINITE)
        status = invalid_status(False)
    if not filled(cpu, i):
        b = u128(INDEFINITE)
        status = invalid_status(False)
    settle(cpu, status)
    if not withheld(status, cpu.x87_control):
        put(cpu, 0, b)
        put(cpu, i, a)


@insn("FXCH", "D9 /1 /R", ref="APM5 2 FXCH", raw=True, unit="x87")
@insn("FXCH4", "DD /1 /R", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
@insn("FXCH7", "DF /1 /R", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
def fxch() -> Any:
    """Exchange ST(0) and ST(i)."""

    @typed(leaves=True, inline=True)
    def fxch(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        exchange(cpu, rec)

    return fxch


@typed
def condition(cpu: Cpu, which: u16) -> bool:
    """The condition of FCMOVcc by the last opcode: B, E, BE, U; with DB not so."""
    kind = (which >> 3) & 3
    holds = cf(cpu)
    if kind == 1:
        holds = zf(cpu)
    elif kind == 2:
        holds = cf(cpu) or zf(cpu)
    elif kind == 3:
        holds = pf(cpu)
    return holds == (which & 0x100 == 0)


@typed(inline=False)
def move_conditionally(cpu: Cpu, rec: Record) -> None:
    """FCMOVcc. An empty register is a stack underflow, whether the condition holds or not."""
    note(cpu, rec)
    i = u64(rec.opcode & 7)
    value = u128(INDEFINITE)
    status = invalid_status(False)
    if filled(cpu, 0) and filled(cpu, i):
        status = u16(0)
        value = st(cpu, 0)
        if condition(cpu, rec.opcode):
            value = st(cpu, i)
    settle_flags(cpu, status)
    if not withheld(status, cpu.x87_control):
        put(cpu, 0, value)


@insn("FCMOVB", "DA /0 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
@insn("FCMOVE", "DA /1 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
@insn("FCMOVBE", "DA /2 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
@insn("FCMOVU", "DA /3 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
@insn("FCMOVNB", "DB /0 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
@insn("FCMOVNE", "DB /1 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
@insn("FCMOVNBE", "DB /2 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
@insn("FCMOVNU", "DB /3 /R", ref="APM5 2 FCMOVcc", raw=True, unit="x87", feature="cmov")
def fcmov() -> Any:
    """Copy ST(i) to ST(0) if a condition of RFLAGS holds."""

    @typed(leaves=True, inline=True)
    def fcmov(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        move_conditionally(cpu, rec)

    return fcmov


@insn("FFREE", "DD /0 /R", ref="APM5 2 FFREE", raw=True, unit="x87")
def ffree() -> Any:
    """ST(i) becomes empty."""

    @typed(leaves=True, inline=True)
    def ffree(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        note(cpu, rec)
        settle(cpu, u16(0))
        release(cpu, u64(rec.opcode & 7))

    return ffree


@insn("FFREEP", "DF /0 /R", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
def ffreep() -> Any:
    """ST(i) becomes empty; pop."""

    @typed(leaves=True, inline=True)
    def ffreep(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        note(cpu, rec)
        settle(cpu, u16(0))
        release(cpu, u64(rec.opcode & 7))
        pop(cpu)

    return ffreep


@insn("FDECSTP", "D9 F6", ref="APM5 2 FDECSTP", raw=True, unit="x87")
@insn("FINCSTP", "D9 F7", ref="APM5 2 FINCSTP", raw=True, unit="x87")
def turn_stack() -> Any:
    """Move TOP; registers and tags stay."""

    @typed(leaves=True, inline=True)
    def turn_stack(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        note(cpu, rec)
        settle(cpu, u16(0))
        turn(cpu, 1 if rec.opcode & 1 != 0 else 7)

    return turn_stack


@insn("FNOP", "D9 D0", ref="APM5 2 FNOP", raw=True, unit="x87")
def fnop() -> Any:
    """Nothing, but for what every instruction does that waits."""

    @typed(leaves=True, inline=True)
    def fnop(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        note(cpu, rec)

    return fnop


@insn("FNENI", "DB E0", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
@insn("FNDISI", "DB E1", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
@insn("FNSETPM", "DB E4", ref="APM3 A.1 x87 opcodes", raw=True, unit="x87")
def fnothing() -> Any:
    """Instructions of early coprocessors: nothing."""

    @typed(inline=True)
    def fnothing(cpu: Cpu, rec: Record) -> None:
        return

    return fnothing
