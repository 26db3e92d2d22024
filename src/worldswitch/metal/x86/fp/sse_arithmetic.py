"""Add, subtract, multiply, divide, square root, fused multiply and add of SSE.

The common case is inline: ordinary operands, rounding to nearest, and PE sticky and masked, so
that no flag can come. What remains is decided out of line. ref: APM4
"""

from worldswitch.engine import f32, f64, typed, u32, u64, u128
from worldswitch.engine.intrinsics import (
    bits_of_f32,
    bits_of_f64,
    f32_of_bits,
    f64_of_bits,
    fused,
    sqrt,
)
from worldswitch.metal.softfloat.images import LONG, SHORT, SIGN
from worldswitch.metal.x86.fp import sse_exact as exact
from worldswitch.metal.x86.fp import sse_soft as soft
from worldswitch.metal.x86.fp.exceptions import PE, PM, RC
from worldswitch.metal.x86.fp.sse_exact import between, exponent32, exponent64

SIGN64 = 1 << 63
SIGN32 = 1 << 31


@typed(inline=True)
def carefree(mxcsr: u32) -> bool:
    """Rounding is to nearest, and an inexact result changes nothing in MXCSR."""
    return mxcsr & (RC | PM | PE) == PM | PE


@typed(inline=True)
def image64(bits: u64) -> u128:
    """The image of a binary64 number."""
    return u128(bits) << 64


@typed(inline=True)
def image32(bits: u32) -> u128:
    """The image of a binary32 number."""
    return u128(bits) << 96


@typed(inline=True)
def number64(image: u128) -> u64:
    """The binary64 number of an image."""
    return u64(image >> 64)


@typed(inline=True)
def number32(image: u128) -> u32:
    """The binary32 number of an image."""
    return u32(image >> 96)


@typed(inline=False)
def add64_otherwise(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a + b in any case."""
    done, bits, flags = exact.add64(a, b, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.add(LONG, image64(a), image64(b), 0, mxcsr)
    return number64(image), raised


@typed(inline=True)
def add64(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a + b."""
    # From exponent 54 on, no difference but zero is below the normal range.
    if carefree(mxcsr):
        if between(exponent64(a), 54, 2045) or a << 1 == 0:
            if between(exponent64(b), 54, 2045) or b << 1 == 0:
                return bits_of_f64(f64_of_bits(a) + f64_of_bits(b)), u32(0)
    return add64_otherwise(a, b, mxcsr)


@typed(inline=False)
def sub64_otherwise(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a - b in any case."""
    done, bits, flags = exact.add64(a, b ^ SIGN64, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.add(LONG, image64(a), image64(b), SIGN, mxcsr)
    return number64(image), raised


@typed(inline=True)
def sub64(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a - b."""
    if carefree(mxcsr):
        if between(exponent64(a), 54, 2045) or a << 1 == 0:
            if between(exponent64(b), 54, 2045) or b << 1 == 0:
                return bits_of_f64(f64_of_bits(a) - f64_of_bits(b)), u32(0)
    return sub64_otherwise(a, b, mxcsr)


@typed(inline=True)
def finite64(bits: u64) -> bool:
    """Normal or zero."""
    return between(exponent64(bits), 1, 2046) or bits << 1 == 0


@typed(inline=False)
def mul64_otherwise(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a * b in any case."""
    if (a << 1 == 0 and finite64(b)) or (b << 1 == 0 and finite64(a)):
        return (a ^ b) & SIGN64, u32(0)
    done, bits, flags = exact.multiply64(a, b, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.multiply(LONG, image64(a), image64(b), mxcsr)
    return number64(image), raised


@typed(inline=True)
def mul64(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a * b."""
    ea = exponent64(a)
    eb = exponent64(b)
    if carefree(mxcsr) and between(ea, 1, 2046) and between(eb, 1, 2046):
        if between(ea + eb, 1026, 3067):
            return bits_of_f64(f64_of_bits(a) * f64_of_bits(b)), u32(0)
    return mul64_otherwise(a, b, mxcsr)


@typed(inline=False)
def div64_otherwise(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a / b in any case."""
    if a << 1 == 0 and between(exponent64(b), 1, 2046):
        return (a ^ b) & SIGN64, u32(0)
    done, bits, flags = exact.divide64(a, b, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.divide(LONG, image64(a), image64(b), mxcsr)
    return number64(image), raised


@typed(inline=True)
def div64(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """a / b."""
    ea = exponent64(a)
    eb = exponent64(b)
    if carefree(mxcsr) and between(ea, 1, 2046) and between(eb, 1, 2046):
        if between(ea + 1023 - eb, 3, 2045):
            return bits_of_f64(f64_of_bits(a) / f64_of_bits(b)), u32(0)
    return div64_otherwise(a, b, mxcsr)


@typed(inline=False)
def sqrt64_otherwise(a: u64, mxcsr: u32) -> tuple[u64, u32]:
    """The square root of a in any case."""
    done, bits, flags = exact.root64(a, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.square_root(LONG, image64(a), mxcsr)
    return number64(image), raised


@typed(inline=True)
def sqrt64(a: u64, mxcsr: u32) -> tuple[u64, u32]:
    """The square root of a."""
    if carefree(mxcsr) and between(a >> 52, 1, 2046):
        return bits_of_f64(sqrt(f64_of_bits(a))), u32(0)
    return sqrt64_otherwise(a, mxcsr)


@typed(inline=False)
def fma64_otherwise(a: u64, b: u64, c: u64, negate: u32, mxcsr: u32) -> tuple[u64, u32]:
    """a * b + c in any case."""
    image, raised = soft.fused(LONG, image64(a), image64(b), image64(c), negate, mxcsr)
    return number64(image), raised


@typed(inline=True)
def fma64(a: u64, b: u64, c: u64, negate: u32, mxcsr: u32) -> tuple[u64, u32]:
    """a * b + c with one rounding; `negate`: bit 0 inverts the product's sign, bit 1 c's."""
    ea = exponent64(a)
    eb = exponent64(b)
    ready = between(ea, 1, 2046) and between(eb, 1, 2046) and between(ea + eb, 1300, 2900)
    if carefree(mxcsr) and ready:
        if between(exponent64(c), 300, 1900) or c << 1 == 0:
            x = a ^ (u64(negate & 1) << 63)
            z = c ^ (u64(negate >> 1 & 1) << 63)
            result = fused(f64_of_bits(x), f64_of_bits(b), f64_of_bits(z))
            return bits_of_f64(result), u32(0)
    return fma64_otherwise(a, b, c, negate, mxcsr)


@typed(inline=False)
def add32_otherwise(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a + b in any case."""
    done, bits, flags = exact.add32(a, b, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.add(SHORT, image32(a), image32(b), 0, mxcsr)
    return number32(image), raised


@typed(inline=True)
def add32(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a + b."""
    # From exponent 25 on, no difference but zero is below the normal range.
    if carefree(mxcsr):
        if between(exponent32(a), 25, 253) or a << 1 == 0:
            if between(exponent32(b), 25, 253) or b << 1 == 0:
                return bits_of_f32(f32(f32_of_bits(a) + f32_of_bits(b))), u32(0)
    return add32_otherwise(a, b, mxcsr)


@typed(inline=False)
def sub32_otherwise(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a - b in any case."""
    done, bits, flags = exact.add32(a, b ^ SIGN32, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.add(SHORT, image32(a), image32(b), SIGN, mxcsr)
    return number32(image), raised


@typed(inline=True)
def sub32(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a - b."""
    if carefree(mxcsr):
        if between(exponent32(a), 25, 253) or a << 1 == 0:
            if between(exponent32(b), 25, 253) or b << 1 == 0:
                return bits_of_f32(f32(f32_of_bits(a) - f32_of_bits(b))), u32(0)
    return sub32_otherwise(a, b, mxcsr)


@typed(inline=True)
def finite32(bits: u32) -> bool:
    """Normal or zero."""
    return between(exponent32(bits), 1, 254) or bits << 1 == 0


@typed(inline=False)
def mul32_otherwise(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a * b in any case."""
    if (a << 1 == 0 and finite32(b)) or (b << 1 == 0 and finite32(a)):
        return (a ^ b) & SIGN32, u32(0)
    done, bits, flags = exact.multiply32(a, b, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.multiply(SHORT, image32(a), image32(b), mxcsr)
    return number32(image), raised


@typed(inline=True)
def mul32(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a * b."""
    ea = exponent32(a)
    eb = exponent32(b)
    if carefree(mxcsr) and between(ea, 1, 254) and between(eb, 1, 254):
        if between(ea + eb, 130, 379):
            return bits_of_f32(f32(f32_of_bits(a) * f32_of_bits(b))), u32(0)
    return mul32_otherwise(a, b, mxcsr)


@typed(inline=False)
def div32_otherwise(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a / b in any case."""
    if a << 1 == 0 and between(exponent32(b), 1, 254):
        return (a ^ b) & SIGN32, u32(0)
    done, bits, flags = exact.divide32(a, b, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.divide(SHORT, image32(a), image32(b), mxcsr)
    return number32(image), raised


@typed(inline=True)
def div32(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a / b."""
    ea = exponent32(a)
    eb = exponent32(b)
    if carefree(mxcsr) and between(ea, 1, 254) and between(eb, 1, 254):
        if between(ea + 127 - eb, 3, 252):
            return bits_of_f32(f32(f32_of_bits(a) / f32_of_bits(b))), u32(0)
    return div32_otherwise(a, b, mxcsr)


@typed(inline=False)
def sqrt32_otherwise(a: u32, mxcsr: u32) -> tuple[u32, u32]:
    """The square root of a in any case."""
    done, bits, flags = exact.root32(a, mxcsr)
    if done:
        return bits, flags
    image, raised = soft.square_root(SHORT, image32(a), mxcsr)
    return number32(image), raised


@typed(inline=True)
def sqrt32(a: u32, mxcsr: u32) -> tuple[u32, u32]:
    """The square root of a."""
    if carefree(mxcsr) and between(u64(a >> 23), 1, 254):
        return bits_of_f32(f32(sqrt(f64(f32_of_bits(a))))), u32(0)
    return sqrt32_otherwise(a, mxcsr)


@typed(inline=False)
def fma32(a: u32, b: u32, c: u32, negate: u32, mxcsr: u32) -> tuple[u32, u32]:
    """a * b + c with one rounding; `negate`: bit 0 inverts the product's sign, bit 1 c's."""
    image, raised = soft.fused(SHORT, image32(a), image32(b), image32(c), negate, mxcsr)
    return number32(image), raised
