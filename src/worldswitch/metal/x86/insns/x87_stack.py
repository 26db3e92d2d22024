"""x87 copies, exchanges and conditional moves among registers; stack management. ref: APM5 1"""

from typing import Any

from worldswitch.engine import typed, u16, u64, u128
from worldswitch.metal.x86.flags import cf, pf, zf
from worldswitch.metal.x86.fp.x87 import (
    INDEFINITE,
    invalid_status,
    withheld,
)
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import wait_for_errors
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.x87_unit import (
    filled,
    load,
    note,
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
