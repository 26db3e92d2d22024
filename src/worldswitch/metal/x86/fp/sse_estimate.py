"""Estimates of reciprocals, and binary16. ref: APM4 RCPPS, RSQRTPS, VCVTPH2PS, VCVTPS2PH"""

from worldswitch.engine import f32, f64, typed, u32, u128
from worldswitch.engine.intrinsics import bits_of_f32, f32_of_bits, sqrt
from worldswitch.metal.softfloat.images import HALF, SHORT
from worldswitch.metal.x86.fp.exceptions import DAZ, FTZ, RC
from worldswitch.metal.x86.fp.sse_convert import control_of, reformat
from worldswitch.metal.x86.fp.sse_exact import exponent32

SIGN32 = 1 << 31
QUIET_BIT = 1 << 22
INFINITY32 = 0x7F80_0000
INDEFINITE32 = 0xFFC0_0000


@typed(inline=False)
def rcp32(a: u32) -> u32:
    """An estimate of 1 / a; denormal operands and results are zeros of the same sign.

    IMPDEF: the estimate, of which 12 bits have to be right, is the nearest number.
    """
    sign = a & SIGN32
    e = exponent32(a)
    if e == 0:
        return sign | INFINITY32
    if e == 255:
        return sign if a << 9 == 0 else a | QUIET_BIT
    if e >= 253 and (e == 254 or a << 9 != 0):
        return sign
    return bits_of_f32(f32(f64(1.0) / f64(f32_of_bits(a))))


@typed(inline=False)
def rsqrt32(a: u32) -> u32:
    """An estimate of 1 / sqrt(a); a denormal operand is a zero. IMPDEF: as in rcp32."""
    e = exponent32(a)
    if e == 0:
        return (a & SIGN32) | INFINITY32
    if e == 255 and a << 9 != 0:
        return a | QUIET_BIT
    if a >> 31 != 0:
        return u32(INDEFINITE32)
    if e == 255:
        return u32(0)
    return bits_of_f32(f32(f64(1.0) / sqrt(f64(f32_of_bits(a)))))


@typed(inline=False)
def f16_to_f32(a: u32, mxcsr: u32) -> tuple[u32, u32]:
    """A binary16 number in binary32. Denormal operands are taken as they are, without DE."""
    image, flags = reformat(HALF, SHORT, u128(a) << 112, mxcsr & ~u32(DAZ))
    return u32(image >> 96), flags & 1


@typed(inline=False)
def f32_to_f16(a: u32, immediate: u32, mxcsr: u32) -> tuple[u32, u32]:
    """A binary32 number in binary16; the immediate has the rounding control. FTZ is ignored."""
    rc = u32(control_of(immediate, mxcsr))
    control = (mxcsr & ~u32(RC | FTZ)) | (rc << 13)
    image, flags = reformat(SHORT, HALF, u128(a) << 96, control)
    return u32(image >> 112), flags
