"""Short cuts through the host's arithmetic, for results whose flags are known exactly.

They are taken when rounding is to nearest even, inexact does not trap, and the operands' exponents
keep the result, and what rounding loses of it, in the range of normal numbers. Then inexact is
the one flag that is left, and the error of the host's result tells it. Each function returns
whether it could, and the result's bits; otherwise the integers of arithmetic.py decide.
"""

from worldswitch.engine import f32, f64, typed, u32, u64
from worldswitch.engine.intrinsics import (
    bits_of_f32,
    bits_of_f64,
    f32_of_bits,
    f64_of_bits,
    fused,
    sqrt,
)
from worldswitch.metal.s390x.bfp.fields import FLAG_INEXACT, MASK_INEXACT
from worldswitch.metal.s390x.state import Cpu

PLAIN = MASK_INEXACT | 7
"""Bits of the FPC that are zero if rounding is to nearest even and inexact does not trap."""


@typed(inline=True)
def exponent_long(bits: u64) -> u64:
    """The biased exponent of a long number."""
    return (bits >> 52) & 0x7FF


@typed(inline=True)
def exponent_short(bits: u32) -> u64:
    """The biased exponent of a short number."""
    return u64((bits >> 23) & 0xFF)


@typed(inline=True)
def between(value: u64, low: u64, high: u64) -> bool:
    """Is it in the range, the ends included?"""
    return value - low <= high - low


@typed(inline=True)
def note(cpu: Cpu, inexact: bool) -> None:
    """Set the inexact flag if the result is."""
    if inexact:
        cpu.fpc = cpu.fpc | FLAG_INEXACT


@typed(inline=True)
def add_long(cpu: Cpu, a_bits: u64, b_bits: u64) -> tuple[bool, u64]:
    """Sum of long numbers."""
    ready = between(exponent_long(a_bits), 60, 2030) or a_bits << 1 == 0
    if not between(exponent_long(b_bits), 60, 2030) and b_bits << 1 != 0:
        ready = False
    if cpu.fpc & PLAIN != 0 or not ready:
        return False, u64(0)
    a = f64_of_bits(a_bits)
    b = f64_of_bits(b_bits)
    total = a + b
    part = total - a
    note(cpu, (a - (total - part)) + (b - part) != 0.0)
    return True, bits_of_f64(total)


@typed(inline=True)
def multiply_long(cpu: Cpu, a_bits: u64, b_bits: u64) -> tuple[bool, u64]:
    """Product of long numbers."""
    ea = exponent_long(a_bits)
    eb = exponent_long(b_bits)
    ready = between(ea, 1, 2046) and between(eb, 1, 2046) and between(ea + eb, 1150, 3000)
    if a_bits << 1 == 0 or b_bits << 1 == 0:
        ready = ea != 2047 and eb != 2047
    if cpu.fpc & PLAIN != 0 or not ready:
        return False, u64(0)
    a = f64_of_bits(a_bits)
    b = f64_of_bits(b_bits)
    product = f64(a * b)
    note(cpu, fused(a, b, -product) != 0.0)
    return True, bits_of_f64(product)


@typed(inline=True)
def divide_long(cpu: Cpu, a_bits: u64, b_bits: u64) -> tuple[bool, u64]:
    """Quotient of long numbers."""
    ea = exponent_long(a_bits)
    eb = exponent_long(b_bits)
    ready = between(ea, 120, 2046) and between(eb, 1, 2046)
    if cpu.fpc & PLAIN != 0 or not ready or not between(ea + 1023 - eb, 100, 1980):
        return False, u64(0)
    a = f64_of_bits(a_bits)
    b = f64_of_bits(b_bits)
    quotient = f64(a / b)
    note(cpu, fused(-quotient, b, a) != 0.0)
    return True, bits_of_f64(quotient)


@typed(inline=True)
def root_long(cpu: Cpu, bits: u64) -> tuple[bool, u64]:
    """Square root of a long number."""
    if cpu.fpc & PLAIN != 0 or not between(bits >> 52, 120, 2046):
        return False, u64(0)
    a = f64_of_bits(bits)
    root = sqrt(a)
    note(cpu, fused(-root, root, a) != 0.0)
    return True, bits_of_f64(root)


@typed(inline=True)
def fused_long(cpu: Cpu, a_bits: u64, b_bits: u64, c_bits: u64) -> tuple[bool, u64]:
    """b * c + a; only if the inexact flag is one already."""
    if cpu.fpc & (PLAIN | FLAG_INEXACT) != FLAG_INEXACT:
        return False, u64(0)
    eb = exponent_long(b_bits)
    ec = exponent_long(c_bits)
    ready = between(eb, 1, 2046) and between(ec, 1, 2046) and between(eb + ec, 1300, 2900)
    if not ready or not between(exponent_long(a_bits), 300, 1900):
        return False, u64(0)
    result = fused(f64_of_bits(b_bits), f64_of_bits(c_bits), f64_of_bits(a_bits))
    return True, bits_of_f64(result)


@typed(inline=True)
def round_short(cpu: Cpu, exact: f64) -> tuple[bool, u32]:
    """A long number in the normal range of short ones, rounded."""
    result = f32(exact)
    note(cpu, f64(result) != exact)
    return True, bits_of_f32(result)


@typed(inline=True)
def add_short(cpu: Cpu, a: u32, b: u32) -> tuple[bool, u32]:
    """Sum of short numbers: exact in the long format if their exponents are near."""
    ea = exponent_short(a)
    eb = exponent_short(b)
    ready = between(ea, 30, 250) and between(eb, 30, 250) and between(ea + 28 - eb, 0, 56)
    if a << 1 == 0:
        ready = between(eb, 30, 250) or b << 1 == 0
    elif b << 1 == 0:
        ready = between(ea, 30, 250)
    if cpu.fpc & PLAIN != 0 or not ready:
        return False, u32(0)
    return round_short(cpu, f64(f32_of_bits(a)) + f64(f32_of_bits(b)))


@typed(inline=True)
def multiply_short(cpu: Cpu, a: u32, b: u32) -> tuple[bool, u32]:
    """Product of short numbers: always exact in the long format."""
    ea = exponent_short(a)
    eb = exponent_short(b)
    ready = between(ea, 1, 254) and between(eb, 1, 254) and between(ea + eb, 130, 375)
    if a << 1 == 0 or b << 1 == 0:
        ready = ea != 255 and eb != 255
    if cpu.fpc & PLAIN != 0 or not ready:
        return False, u32(0)
    return round_short(cpu, f64(f32_of_bits(a)) * f64(f32_of_bits(b)))


@typed(inline=True)
def divide_short(cpu: Cpu, a_bits: u32, b_bits: u32) -> tuple[bool, u32]:
    """Quotient of short numbers; rounding twice does no harm from 53 digits to 24."""
    ea = exponent_short(a_bits)
    eb = exponent_short(b_bits)
    ready = between(ea, 1, 254) and between(eb, 1, 254) and between(ea + 127 - eb, 5, 250)
    if cpu.fpc & PLAIN != 0 or not ready:
        return False, u32(0)
    a = f64(f32_of_bits(a_bits))
    b = f64(f32_of_bits(b_bits))
    quotient = f32(f64(a / b))
    note(cpu, f64(quotient) * b != a)
    return True, bits_of_f32(quotient)


@typed(inline=True)
def root_short(cpu: Cpu, bits: u32) -> tuple[bool, u32]:
    """Square root of a short number."""
    if cpu.fpc & PLAIN != 0 or not between(u64(bits >> 23), 1, 254):
        return False, u32(0)
    a = f64(f32_of_bits(bits))
    root = f32(sqrt(a))
    note(cpu, f64(root) * f64(root) != a)
    return True, bits_of_f32(root)
