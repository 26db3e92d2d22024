"""AAA, AAS, AAM, AAD, DAA, DAS: outside of 64-bit mode. ref: APM3 3

IMPDEF: flags that these leave undefined are zero, or follow the result as SF, ZF and PF do.
"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.engine import i64, signed, typed, u8, u16, u64
from worldswitch.metal.x86.flags import AF, CF, PARTIAL, af, cf
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import fault
from worldswitch.metal.x86.operands import put_b, put_w
from worldswitch.metal.x86.state import RAX, Cpu, Record


@typed(inline=True)
def put_al(cpu: Cpu, value: u8) -> None:
    """Write AL."""
    put_b(cpu, u8(RAX), u8(0), value)


@typed(inline=True)
def put_decimal(cpu: Cpu, value: u8, adjusted: bool, carry: bool) -> None:
    """SF, ZF and PF of a byte, AF and CF as given, OF zero."""
    cpu.result = i64(signed(value))
    cpu.carries = 0
    if carry:
        cpu.carries = CF | PARTIAL
    if adjusted:
        cpu.carries = cpu.carries | AF


@typed(inline=False)
def ascii_adjust(cpu: Cpu, by: u16) -> None:
    """AAA (`by` 106h) and AAS (its negative): AL to one digit, the carry to AH."""
    al = u8(cpu.gr[RAX])
    adjust = al & 15 > 9 or af(cpu)
    if adjust:
        put_w(cpu, u8(RAX), u16(cpu.gr[RAX]) + by)
    put_al(cpu, u8(cpu.gr[RAX]) & 15)
    put_decimal(cpu, u8(cpu.gr[RAX]), adjust, adjust)


@insn("AAA", "37", ref="APM3 3 AAA", raw=True, long=False)
def aaa() -> Any:
    """Adjust after the addition of unpacked digits."""

    @typed(inline=True)
    def aaa(cpu: Cpu, rec: Record) -> None:
        ascii_adjust(cpu, 0x106)

    return aaa


@insn("AAS", "3F", ref="APM3 3 AAS", raw=True, long=False)
def aas() -> Any:
    """Adjust after the subtraction of unpacked digits."""

    @typed(inline=True)
    def aas(cpu: Cpu, rec: Record) -> None:
        ascii_adjust(cpu, 0xFEFA)

    return aas


@insn("AAM", "D4 Ib", ref="APM3 3 AAM", raw=True, long=False)
def aam() -> Any:
    """AL to two digits of the base that is the immediate; #DE for zero."""

    @typed(leaves=True, inline=False)
    def aam(cpu: Cpu, rec: Record) -> None:
        base = u8(u64(rec.imm))
        if base == 0:
            fault(cpu, Vector.DE)
        al = u8(cpu.gr[RAX])
        put_w(cpu, u8(RAX), u16(al // base) << 8 | u16(al % base))
        put_decimal(cpu, al % base, False, False)

    return aam


@insn("AAD", "D5 Ib", ref="APM3 3 AAD", raw=True, long=False)
def aad() -> Any:
    """Two digits of the base that is the immediate to AL."""

    @typed(inline=False)
    def aad(cpu: Cpu, rec: Record) -> None:
        value = u8(cpu.gr[RAX]) + u8(cpu.gr[RAX] >> 8) * u8(u64(rec.imm))
        put_w(cpu, u8(RAX), u16(value))
        put_decimal(cpu, value, False, False)

    return aad


@typed(inline=False)
def decimal_adjust(cpu: Cpu, low: u8, high: u8) -> None:
    """DAA (6 and 60h) and DAS (their negatives). ref: APM3 3 DAA, DAS"""
    al = u8(cpu.gr[RAX])
    carry = cf(cpu)
    adjust = al & 15 > 9 or af(cpu)
    top = carry or al > 0x99
    value = al
    carried = top
    if adjust:
        value = value + low
        # DAS borrows out of the byte where it takes 6 from less.
        if low > 0x80 and al < 6:
            carried = True
    if top:
        value = value + high
    put_al(cpu, value)
    put_decimal(cpu, value, adjust, carried)


@insn("DAA", "27", ref="APM3 3 DAA", raw=True, long=False)
def daa() -> Any:
    """Adjust after the addition of packed digits."""

    @typed(inline=True)
    def daa(cpu: Cpu, rec: Record) -> None:
        decimal_adjust(cpu, 6, 0x60)

    return daa


@insn("DAS", "2F", ref="APM3 3 DAS", raw=True, long=False)
def das() -> Any:
    """Adjust after the subtraction of packed digits."""

    @typed(inline=True)
    def das(cpu: Cpu, rec: Record) -> None:
        decimal_adjust(cpu, 0xFA, 0xA0)

    return das
