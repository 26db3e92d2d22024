"""x87 arithmetic of two operands, and comparisons. ref: APM5 1"""

from typing import Any

from worldswitch.engine import i16, i32, i64, typed, u16, u64, u128
from worldswitch.metal.x86.flags import set_status
from worldswitch.metal.x86.fp.x87 import (
    INDEFINITE,
    eflags_of,
    f80_add,
    f80_compare,
    f80_div,
    f80_examine,
    f80_mul,
    f80_of_i64,
    f80_sub,
    invalid_status,
    operand_f32,
    operand_f64,
    withheld,
)
from worldswitch.metal.x86.fp.x87_core import C0, C2, C3, DEFINED
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import wait_for_errors
from worldswitch.metal.x86.memory import load_u16, load_u32, load_u64
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.x87_unit import (
    filled,
    note,
    note_operand,
    pop,
    put,
    settle,
    settle_flags,
    st,
)

ADD, MUL, COM, COMP, SUB, SUBR, DIV, DIVR = range(8)
"""ModRM.reg of the arithmetic groups."""
UNORDERED = DEFINED | C3 | C2 | C0
POPPING_GROUP = 6
"""Last bits of the opcode DE, whose register forms pop."""


@typed(inline=False)
def computed(which: u64, a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """The operation of an arithmetic group; a is ST(0)."""
    if which == ADD:
        total, of_total = f80_add(a, b, control)
        return total, of_total
    if which == MUL:
        product, of_product = f80_mul(a, b, control)
        return product, of_product
    if which == SUB:
        difference, of_difference = f80_sub(a, b, control)
        return difference, of_difference
    if which == SUBR:
        reverse, of_reverse = f80_sub(b, a, control)
        return reverse, of_reverse
    if which == DIV:
        quotient, of_quotient = f80_div(a, b, control)
        return quotient, of_quotient
    inverse, of_inverse = f80_div(b, a, control)
    return inverse, of_inverse


@typed(inline=False)
def compare(cpu: Cpu, b: u128, present: bool, quiet: bool, pops: u64) -> None:
    """Compare ST(0) with b into the condition codes. present: b is not from an empty register."""
    status = invalid_status(False) | u16(UNORDERED)
    if present and filled(cpu, 0):
        status = f80_compare(st(cpu, 0), b, quiet, cpu.x87_control)
    settle(cpu, status)
    if not withheld(status, cpu.x87_control):
        if pops > 0:
            pop(cpu)
        if pops > 1:
            pop(cpu)


@typed(inline=False)
def operate(cpu: Cpu, which: u64, b: u128, present: bool, to: u64, pops: bool) -> None:
    """An arithmetic operation of ST(0) and b, whose result goes to ST(to)."""
    result = u128(INDEFINITE)
    status = invalid_status(False)
    control = cpu.x87_control
    if present and filled(cpu, 0):
        result, status = computed(which, st(cpu, 0), b, control)
    settle(cpu, status)
    if not withheld(status, control):
        put(cpu, to, result)
        if pops:
            pop(cpu)


@typed(inline=False)
def with_memory(cpu: Cpu, rec: Record, at: u64, b: u128) -> None:
    """An operation of ST(0) and an operand of memory."""
    note_operand(cpu, rec, at)
    which = u64((rec.opcode >> 3) & 7)
    if which == COM or which == COMP:
        compare(cpu, b, True, False, which & 1)
    else:
        operate(cpu, which, b, True, u64(0), False)


@insn("FARITH", "D8 /r /m Md", ref="APM5 2 FADD; APM5 2 FCOM", raw=True, unit="x87")
def single() -> Any:
    """ST(0) and a single."""

    @typed(leaves=True, inline=True)
    def single(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        with_memory(cpu, rec, at, operand_f32(load_u32(cpu, rec.seg, at)))

    return single


@insn("FARITH", "DC /r /m Mq", ref="APM5 2 FADD; APM5 2 FCOM", raw=True, unit="x87")
def double() -> Any:
    """ST(0) and a double."""

    @typed(leaves=True, inline=True)
    def double(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        with_memory(cpu, rec, at, operand_f64(load_u64(cpu, rec.seg, at)))

    return double


@insn("FIARITH", "DA /r /m Md", ref="APM5 2 FIADD; APM5 2 FICOM", raw=True, unit="x87")
def doubleword() -> Any:
    """ST(0) and a 32-bit integer."""

    @typed(leaves=True, inline=True)
    def doubleword(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value = u64(i64(i32(load_u32(cpu, rec.seg, at))))
        with_memory(cpu, rec, at, f80_of_i64(value))

    return doubleword


@insn("FIARITH", "DE /r /m Mw", ref="APM5 2 FIADD; APM5 2 FICOM", raw=True, unit="x87")
def word() -> Any:
    """ST(0) and a 16-bit integer."""

    @typed(leaves=True, inline=True)
    def word(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        at = effective(cpu, rec)
        value = u64(i64(i16(load_u16(cpu, rec.seg, at))))
        with_memory(cpu, rec, at, f80_of_i64(value))

    return word


@typed(inline=False)
def with_register(cpu: Cpu, rec: Record) -> None:
    """D8, DC and DE: ST(0) and ST(i); the result goes to ST(0) with D8, else to ST(i)."""
    note(cpu, rec)
    i = u64(rec.opcode & 7)
    which = u64((rec.opcode >> 3) & 7)
    group = (rec.opcode >> 8) & 7
    b = st(cpu, i)
    present = filled(cpu, i)
    if which == COM or which == COMP:
        pops = which & 1
        if group == POPPING_GROUP:
            pops += 1
        compare(cpu, b, present, False, pops)
    else:
        to = i
        if group == 0:
            to = u64(0)
        operate(cpu, which, b, present, to, group == POPPING_GROUP)


@insn("FARITH", "D8 /r /R", ref="APM5 2 FADD; APM5 2 FCOM", raw=True, unit="x87")
@insn("FARITH", "DC /r /R", ref="APM5 2 FADD", raw=True, unit="x87")
@insn("FARITHP", "DE /0 /R", "DE /1 /R", "DE /2 /R", "DE /4 /R", "DE /5 /R", "DE /6 /R", "DE /7 /R",
      ref="APM5 2 FADDP", raw=True, unit="x87")  # fmt: skip
@insn("FCOMPP", "DE D9", ref="APM5 2 FCOMPP", raw=True, unit="x87")
def registers() -> Any:
    """ST(0) and ST(i). Among them are the unnamed encodings of FCOM and FCOMP."""

    @typed(leaves=True, inline=True)
    def registers(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        with_register(cpu, rec)

    return registers


@typed(inline=False)
def compare_unordered(cpu: Cpu, rec: Record, pops: u64) -> None:
    """FUCOM and its kin."""
    note(cpu, rec)
    i = u64(rec.opcode & 7)
    compare(cpu, st(cpu, i), filled(cpu, i), True, pops)


def _unordered(mnemonic: str, encoding: str, pops: int) -> None:
    @insn(mnemonic, encoding, ref=f"APM5 2 {mnemonic}", raw=True, unit="x87")
    def unordered() -> Any:
        """Compare; a quiet NaN is no invalid operation."""

        @typed(leaves=True, inline=True)
        def unordered(cpu: Cpu, rec: Record) -> None:
            wait_for_errors(cpu)
            compare_unordered(cpu, rec, pops)

        return unordered


_unordered("FUCOM", "DD /4 /R", 0)
_unordered("FUCOMP", "DD /5 /R", 1)
_unordered("FUCOMPP", "DA E9", 2)


@typed(inline=False)
def compare_to_flags(cpu: Cpu, rec: Record) -> None:
    """FCOMI and its kin: by ModRM.reg 5 a quiet NaN is no invalid operation; DF pops."""
    note(cpu, rec)
    i = u64(rec.opcode & 7)
    found = u16(UNORDERED)
    status = invalid_status(False)
    if filled(cpu, 0) and filled(cpu, i):
        quiet = (rec.opcode >> 3) & 7 == 5
        found = f80_compare(st(cpu, 0), st(cpu, i), quiet, cpu.x87_control)
        status = found & ~u16(UNORDERED)
    settle_flags(cpu, status)
    # The manuals say that an unmasked exception leaves RFLAGS alone; processors write it.
    set_status(cpu, eflags_of(found))
    if not withheld(status, cpu.x87_control) and (rec.opcode >> 8) & 7 == 7:
        pop(cpu)


@insn("FUCOMI", "DB /5 /R", ref="APM5 2 FUCOMI", raw=True, unit="x87", feature="cmov")
@insn("FCOMI", "DB /6 /R", ref="APM5 2 FCOMI", raw=True, unit="x87", feature="cmov")
@insn("FUCOMIP", "DF /5 /R", ref="APM5 2 FUCOMIP", raw=True, unit="x87", feature="cmov")
@insn("FCOMIP", "DF /6 /R", ref="APM5 2 FCOMIP", raw=True, unit="x87", feature="cmov")
def fcomi() -> Any:
    """Compare ST(0) and ST(i) into ZF, PF and CF."""

    @typed(leaves=True, inline=True)
    def fcomi(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        compare_to_flags(cpu, rec)

    return fcomi


@insn("FTST", "D9 E4", ref="APM5 2 FTST", raw=True, unit="x87")
def ftst() -> Any:
    """Compare ST(0) with zero."""

    @typed(leaves=True, inline=True)
    def ftst(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        note(cpu, rec)
        compare(cpu, u128(0), True, False, u64(0))

    return ftst


@insn("FXAM", "D9 E5", ref="APM5 2 FXAM", raw=True, unit="x87")
def fxam() -> Any:
    """Tell what kind of number ST(0) is."""

    @typed(leaves=True, inline=True)
    def fxam(cpu: Cpu, rec: Record) -> None:
        wait_for_errors(cpu)
        note(cpu, rec)
        settle(cpu, f80_examine(st(cpu, 0), not filled(cpu, 0)))

    return fxam
