"""ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT. ref: APM3 3"""

from typing import Any

from worldswitch.engine import typed
from worldswitch.metal.x86.flags import (
    Width,
    cf,
    flags_add,
    flags_borrow,
    flags_carry,
    flags_dec,
    flags_inc,
    flags_logic,
    flags_sub,
)
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.state import Cpu


def forms(number: int) -> tuple[str, ...]:
    """The encodings of one of the eight operations of opcodes 00 to 3F and 80 to 83."""
    base = number * 8
    return (
        f"{base:02X} /r Eb,Gb", f"{base + 1:02X} /r Ev,Gv", f"{base + 2:02X} /r Gb,Eb",
        f"{base + 3:02X} /r Gv,Ev", f"{base + 4:02X} AL,Ib", f"{base + 5:02X} eAX,Iz",
        f"80 /{number} Eb,Ib", f"81 /{number} Ev,Iz", f"83 /{number} Ev,Ib",
    )  # fmt: skip


@insn("ADD", *forms(0), ref="APM3 3 ADD", lock=True)
def add(w: Width) -> Any:
    """Sum."""
    flags, u = flags_add[w.bits], w.u

    @typed(inline=True)
    def add(cpu: Cpu, a: u, b: u) -> u:
        result = a + b
        flags(cpu, a, b, result)
        return result

    return add


@insn("OR", *forms(1), ref="APM3 3 OR", lock=True)
def or_(w: Width) -> Any:
    """Inclusive or."""
    flags, u = flags_logic[w.bits], w.u

    @typed(inline=True)
    def or_(cpu: Cpu, a: u, b: u) -> u:
        result = a | b
        flags(cpu, result)
        return result

    return or_


@insn("ADC", *forms(2), ref="APM3 3 ADC", lock=True)
def adc(w: Width) -> Any:
    """Sum with the carry."""
    flags, u = flags_carry[w.bits], w.u

    @typed(inline=True)
    def adc(cpu: Cpu, a: u, b: u) -> u:
        result = a + b + u(cf(cpu))
        flags(cpu, a, b, result)
        return result

    return adc


@insn("SBB", *forms(3), ref="APM3 3 SBB", lock=True)
def sbb(w: Width) -> Any:
    """Difference with the borrow."""
    flags, u = flags_borrow[w.bits], w.u

    @typed(inline=True)
    def sbb(cpu: Cpu, a: u, b: u) -> u:
        result = a - b - u(cf(cpu))
        flags(cpu, a, b, result)
        return result

    return sbb


@insn("AND", *forms(4), ref="APM3 3 AND", lock=True)
def and_(w: Width) -> Any:
    """And."""
    flags, u = flags_logic[w.bits], w.u

    @typed(inline=True)
    def and_(cpu: Cpu, a: u, b: u) -> u:
        result = a & b
        flags(cpu, result)
        return result

    return and_


@insn("SUB", *forms(5), ref="APM3 3 SUB", lock=True)
def sub(w: Width) -> Any:
    """Difference."""
    flags, u = flags_sub[w.bits], w.u

    @typed(inline=True)
    def sub(cpu: Cpu, a: u, b: u) -> u:
        result = a - b
        flags(cpu, a, b, result)
        return result

    return sub


@insn("XOR", *forms(6), ref="APM3 3 XOR", lock=True)
def xor(w: Width) -> Any:
    """Exclusive or."""
    flags, u = flags_logic[w.bits], w.u

    @typed(inline=True)
    def xor(cpu: Cpu, a: u, b: u) -> u:
        result = a ^ b
        flags(cpu, result)
        return result

    return xor


@insn("CMP", *forms(7), ref="APM3 3 CMP")
def cmp(w: Width) -> Any:
    """The flags of a difference."""
    flags, u = flags_sub[w.bits], w.u

    @typed(inline=True)
    def cmp(cpu: Cpu, a: u, b: u) -> None:
        flags(cpu, a, b, a - b)

    return cmp


@insn(
    "TEST", "84 /r Eb,Gb", "85 /r Ev,Gv", "A8 AL,Ib", "A9 eAX,Iz", "F6 /0 Eb,Ib", "F6 /1 Eb,Ib",
    "F7 /0 Ev,Iz", "F7 /1 Ev,Iz", ref="APM3 3 TEST",
)  # fmt: skip
def test(w: Width) -> Any:
    """The flags of an and."""
    flags, u = flags_logic[w.bits], w.u

    @typed(inline=True)
    def test(cpu: Cpu, a: u, b: u) -> None:
        flags(cpu, a & b)

    return test


@insn("INC", "FE /0 Eb", "FF /0 Ev", ref="APM3 3 INC", lock=True)
@insn("INC", "40+r Zv", ref="APM3 3 INC", long=False)
def inc(w: Width) -> Any:
    """One more; CF stays."""
    flags, u = flags_inc[w.bits], w.u

    @typed(inline=True)
    def inc(cpu: Cpu, a: u) -> u:
        result = a + 1
        flags(cpu, a, result)
        return result

    return inc


@insn("DEC", "FE /1 Eb", "FF /1 Ev", ref="APM3 3 DEC", lock=True)
@insn("DEC", "48+r Zv", ref="APM3 3 DEC", long=False)
def dec(w: Width) -> Any:
    """One less; CF stays."""
    flags, u = flags_dec[w.bits], w.u

    @typed(inline=True)
    def dec(cpu: Cpu, a: u) -> u:
        result = a - 1
        flags(cpu, a, result)
        return result

    return dec


@insn("NEG", "F6 /3 Eb", "F7 /3 Ev", ref="APM3 3 NEG", lock=True)
def neg(w: Width) -> Any:
    """Two's complement."""
    flags, u = flags_sub[w.bits], w.u

    @typed(inline=True)
    def neg(cpu: Cpu, a: u) -> u:
        result = -a
        flags(cpu, u(0), a, result)
        return result

    return neg


@insn("NOT", "F6 /2 Eb", "F7 /2 Ev", ref="APM3 3 NOT", lock=True)
def not_(w: Width) -> Any:
    """One's complement; no flags."""
    u = w.u

    @typed(inline=True)
    def not_(cpu: Cpu, a: u) -> u:
        return ~a

    return not_
