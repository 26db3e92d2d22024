"""SSE arithmetic through the host's, with an exactness test; for when PE is not sticky yet.

Taken when rounding is to nearest and the operands' exponents keep the result, and what rounding
loses of it, in the range of normal numbers: then PE is the one flag that is left. Each function
returns whether it could, the result's bits, and PE or zero.
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
from worldswitch.metal.x86.fp.exceptions import PE, RC


@typed(inline=True)
def between(value: u64, low: u64, high: u64) -> bool:
    """Is it in the range, the ends included?"""
    return value - low <= high - low


@typed(inline=True)
def exponent64(bits: u64) -> u64:
    """The biased exponent of a binary64 number."""
    return (bits >> 52) & 0x7FF


@typed(inline=True)
def exponent32(bits: u32) -> u64:
    """The biased exponent of a binary32 number."""
    return u64((bits >> 23) & 0xFF)


@typed(inline=True)
def inexact(is_so: bool) -> u32:
    """PE if the result is inexact."""
    return u32(PE) if is_so else u32(0)


@typed(inline=True)
def add64(a_bits: u64, b_bits: u64, mxcsr: u32) -> tuple[bool, u64, u32]:
    """a + b."""
    ready = between(exponent64(a_bits), 60, 2030) or a_bits << 1 == 0
    if not between(exponent64(b_bits), 60, 2030) and b_bits << 1 != 0:
        ready = False
    if mxcsr & RC != 0 or not ready:
        return False, u64(0), u32(0)
    a = f64_of_bits(a_bits)
    b = f64_of_bits(b_bits)
    total = f64(a + b)
    part = f64(total - a)
    lost = (a - (total - part)) + (b - part)
    return True, bits_of_f64(total), inexact(lost != 0.0)


@typed(inline=True)
def multiply64(a_bits: u64, b_bits: u64, mxcsr: u32) -> tuple[bool, u64, u32]:
    """a * b."""
    ea = exponent64(a_bits)
    eb = exponent64(b_bits)
    ready = between(ea, 1, 2046) and between(eb, 1, 2046) and between(ea + eb, 1150, 3000)
    if mxcsr & RC != 0 or not ready:
        return False, u64(0), u32(0)
    a = f64_of_bits(a_bits)
    b = f64_of_bits(b_bits)
    product = f64(a * b)
    return True, bits_of_f64(product), inexact(fused(a, b, -product) != 0.0)


@typed(inline=True)
def divide64(a_bits: u64, b_bits: u64, mxcsr: u32) -> tuple[bool, u64, u32]:
    """a / b."""
    ea = exponent64(a_bits)
    eb = exponent64(b_bits)
    ready = between(ea, 120, 2046) and between(eb, 1, 2046)
    if mxcsr & RC != 0 or not ready or not between(ea + 1023 - eb, 100, 1980):
        return False, u64(0), u32(0)
    a = f64_of_bits(a_bits)
    b = f64_of_bits(b_bits)
    quotient = f64(a / b)
    return True, bits_of_f64(quotient), inexact(fused(-quotient, b, a) != 0.0)


@typed(inline=True)
def root64(bits: u64, mxcsr: u32) -> tuple[bool, u64, u32]:
    """The square root of a."""
    if mxcsr & RC != 0 or not between(bits >> 52, 120, 2046):
        return False, u64(0), u32(0)
    a = f64_of_bits(bits)
    root = sqrt(a)
    return True, bits_of_f64(root), inexact(fused(-root, root, a) != 0.0)


@typed(inline=True)
def round32(exact: f64) -> tuple[bool, u32, u32]:
    """A binary64 number in the normal range of binary32, rounded."""
    result = f32(exact)
    return True, bits_of_f32(result), inexact(f64(result) != exact)


@typed(inline=True)
def add32(a: u32, b: u32, mxcsr: u32) -> tuple[bool, u32, u32]:
    """a + b: exact in binary64 if their exponents are near."""
    ea = exponent32(a)
    eb = exponent32(b)
    ready = between(ea, 30, 250) and between(eb, 30, 250) and between(ea + 28 - eb, 0, 56)
    if a << 1 == 0:
        ready = between(eb, 30, 250) or b << 1 == 0
    elif b << 1 == 0:
        ready = between(ea, 30, 250)
    if mxcsr & RC != 0 or not ready:
        return False, u32(0), u32(0)
    return round32(f64(f64(f32_of_bits(a)) + f64(f32_of_bits(b))))


@typed(inline=True)
def multiply32(a: u32, b: u32, mxcsr: u32) -> tuple[bool, u32, u32]:
    """a * b: always exact in binary64."""
    ea = exponent32(a)
    eb = exponent32(b)
    ready = between(ea, 1, 254) and between(eb, 1, 254) and between(ea + eb, 130, 375)
    if mxcsr & RC != 0 or not ready:
        return False, u32(0), u32(0)
    return round32(f64(f64(f32_of_bits(a)) * f64(f32_of_bits(b))))


@typed(inline=True)
def divide32(a_bits: u32, b_bits: u32, mxcsr: u32) -> tuple[bool, u32, u32]:
    """a / b; rounding twice does no harm from 53 digits to 24."""
    ea = exponent32(a_bits)
    eb = exponent32(b_bits)
    ready = between(ea, 1, 254) and between(eb, 1, 254) and between(ea + 127 - eb, 5, 250)
    if mxcsr & RC != 0 or not ready:
        return False, u32(0), u32(0)
    a = f64(f32_of_bits(a_bits))
    b = f64(f32_of_bits(b_bits))
    quotient = f32(f64(a / b))
    return True, bits_of_f32(quotient), inexact(f64(quotient) * b != a)


@typed(inline=True)
def root32(bits: u32, mxcsr: u32) -> tuple[bool, u32, u32]:
    """The square root of a."""
    if mxcsr & RC != 0 or not between(u64(bits >> 23), 1, 254):
        return False, u32(0), u32(0)
    a = f64(f32_of_bits(bits))
    root = f32(sqrt(a))
    return True, bits_of_f32(root), inexact(f64(root) * f64(root) != a)
