"""MUL, IMUL, DIV, IDIV. ref: APM3 3

IMPDEF: SF, ZF, PF are those of the product's lower half and AF is zero; divisions change no flag.
"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.engine import (
    i16,
    i32,
    i64,
    i128,
    mul_overflows,
    signed,
    typed,
    u8,
    u16,
    u32,
    u64,
    u128,
)
from worldswitch.metal.x86.flags import CF, Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import fault
from worldswitch.metal.x86.operands import PUT, put_w
from worldswitch.metal.x86.state import RAX, RDX, Cpu

WIDE = {8: u16, 16: u32, 32: u64, 64: u128}
SIGNED_WIDE = {8: i16, 16: i32, 32: i64, 64: i128}


@typed(inline=True)
def put_product(cpu: Cpu, low: i64, overflow: bool) -> None:
    """CF and OF: the product does not fit its lower half."""
    cpu.result = low
    cpu.carries = 0
    if overflow:
        cpu.carries = CF


@insn("MUL", "F6 /4 Eb", "F7 /4 Ev", ref="APM3 3 MUL")
def mul(w: Width) -> Any:
    """Unsigned product of the accumulator, twice as wide."""
    u, wide, bits = w.u, WIDE[w.bits], w.bits
    if bits == 8:

        @typed(inline=True)
        def mul(cpu: Cpu, a: u) -> None:
            product = u16(u8(cpu.gr[RAX])) * u16(a)
            put_w(cpu, u8(RAX), product)
            put_product(cpu, i64(signed(u8(product))), product >> 8 != 0)

        return mul
    put = PUT[bits]

    @typed(inline=True)
    def mul(cpu: Cpu, a: u) -> None:
        product = wide(u(cpu.gr[RAX])) * wide(a)
        low = u(product)
        high = u(product >> bits)
        put(cpu, u8(RAX), low)
        put(cpu, u8(RDX), high)
        put_product(cpu, i64(signed(low)), high != 0)

    return mul


@insn("IMUL", "F6 /5 Eb", "F7 /5 Ev", ref="APM3 3 IMUL")
def imul(w: Width) -> Any:
    """Signed product of the accumulator, twice as wide."""
    u, wide, bits = w.u, SIGNED_WIDE[w.bits], w.bits
    if bits == 8:

        @typed(inline=True)
        def imul(cpu: Cpu, a: u) -> None:
            product = i16(signed(u8(cpu.gr[RAX]))) * i16(signed(a))
            low = i64(signed(u8(u16(product))))
            put_w(cpu, u8(RAX), u16(product))
            put_product(cpu, low, low != i64(product))

        return imul
    put = PUT[bits]

    @typed(inline=True)
    def imul(cpu: Cpu, a: u) -> None:
        product = wide(signed(u(cpu.gr[RAX]))) * wide(signed(a))
        low = u(product)
        put(cpu, u8(RAX), low)
        put(cpu, u8(RDX), u(product >> bits))
        put_product(cpu, i64(signed(low)), wide(signed(low)) != product)

    return imul


@insn("IMUL", "0F AF /r Gv,Ev", ref="APM3 3 IMUL")
def imul_register(w: Width) -> Any:
    """The lower half of a signed product."""
    u = w.u

    @typed(inline=True)
    def imul_register(cpu: Cpu, a: u, b: u) -> u:
        result = a * b
        put_product(cpu, i64(signed(result)), mul_overflows(signed(a), signed(b)))
        return result

    return imul_register


@insn("IMUL", "69 /r Gv,Ev,Iz", "6B /r Gv,Ev,Ib", ref="APM3 3 IMUL")
def imul_immediate(w: Width) -> Any:
    """The lower half of a signed product with an immediate."""
    return imul_register(w)


@typed(inline=False)
def divide_wide(high: u64, low: u64, divisor: u64) -> tuple[u64, u64]:
    """(Quotient, remainder) of 128 bits by 64; the divisor is above the dividend's upper half."""
    if high == 0:
        return low // divisor, low % divisor
    rest = high
    quotient = low
    n: u64 = 0
    while n < 64:
        carry = rest >> 63
        rest = (rest << 1) | (quotient >> 63)
        quotient = quotient << 1
        if carry != 0 or rest >= divisor:
            rest = rest - divisor
            quotient = quotient | 1
        n += 1
    return quotient, rest


@typed(leaves=True, inline=True)
def divide_error(cpu: Cpu) -> None:
    """#DE."""
    fault(cpu, Vector.DE)


@insn("DIV", "F6 /6 Eb", "F7 /6 Ev", ref="APM3 3 DIV")
def div(w: Width) -> Any:
    """Unsigned quotient and remainder of twice the width; #DE if the quotient does not fit."""
    u, bits = w.u, w.bits
    if bits == 8:

        @typed(leaves=True, inline=True)
        def div(cpu: Cpu, a: u) -> None:
            dividend = u16(cpu.gr[RAX])
            if dividend >> 8 >= u16(a):
                divide_error(cpu)
            quotient = dividend // u16(a)
            put_w(cpu, u8(RAX), quotient | (dividend % u16(a)) << 8)

        return div
    put = PUT[bits]
    if bits == 64:

        @typed(leaves=True, inline=True)
        def div(cpu: Cpu, a: u) -> None:
            if cpu.gr[RDX] >= a:
                divide_error(cpu)
            quotient, rest = divide_wide(cpu.gr[RDX], cpu.gr[RAX], a)
            cpu.gr[RAX] = quotient
            cpu.gr[RDX] = rest

        return div

    @typed(leaves=True, inline=True)
    def div(cpu: Cpu, a: u) -> None:
        high = u(cpu.gr[RDX])
        if high >= a:
            divide_error(cpu)
        dividend = (u64(high) << bits) | u64(u(cpu.gr[RAX]))
        put(cpu, u8(RAX), u(dividend // u64(a)))
        put(cpu, u8(RDX), u(dividend % u64(a)))

    return div


@typed(leaves=True, inline=False)
def divide_signed(
    cpu: Cpu, high: u64, low: u64, divisor: u64, bits: u64
) -> tuple[u64, u64]:  # fmt: skip
    """Signed (quotient, remainder), all operands sign-extended to 128 or 64 bits.

    #DE if the quotient does not fit `bits`.
    """
    negative = i64(high) < 0
    a = low
    above = high
    if negative:
        a = -low
        above = ~high
        if a == 0:
            above = above + 1
    b = divisor
    if i64(divisor) < 0:
        b = -divisor
    if above >= b:
        divide_error(cpu)
    quotient, rest = divide_wide(above, a, b)
    if negative:
        rest = -rest
    most = u64(1) << (bits - 1)
    if negative != (i64(divisor) < 0):
        if quotient > most:
            divide_error(cpu)
        return -quotient, rest
    if quotient >= most:
        divide_error(cpu)
    return quotient, rest


@insn("IDIV", "F6 /7 Eb", "F7 /7 Ev", ref="APM3 3 IDIV")
def idiv(w: Width) -> Any:
    """Signed quotient, towards zero, and remainder; #DE if the quotient does not fit."""
    u, bits = w.u, w.bits
    if bits == 8:

        @typed(leaves=True, inline=True)
        def idiv(cpu: Cpu, a: u) -> None:
            dividend = i64(signed(u16(cpu.gr[RAX])))
            quotient, rest = divide_signed(
                cpu, u64(dividend >> 63), u64(dividend), u64(i64(signed(a))), bits
            )
            put_w(cpu, u8(RAX), u16(u8(quotient)) | u16(u8(rest)) << 8)

        return idiv
    put = PUT[bits]
    if bits == 64:

        @typed(leaves=True, inline=True)
        def idiv(cpu: Cpu, a: u) -> None:
            quotient, rest = divide_signed(cpu, cpu.gr[RDX], cpu.gr[RAX], a, bits)
            cpu.gr[RAX] = quotient
            cpu.gr[RDX] = rest

        return idiv

    @typed(leaves=True, inline=True)
    def idiv(cpu: Cpu, a: u) -> None:
        low = u64(u(cpu.gr[RAX]))
        dividend = (i64(signed(u(cpu.gr[RDX]))) << bits) | i64(low)
        quotient, rest = divide_signed(
            cpu, u64(dividend >> 63), u64(dividend), u64(i64(signed(a))), bits
        )
        put(cpu, u8(RAX), u(quotient))
        put(cpu, u8(RDX), u(rest))

    return idiv
