"""Short cuts through the host's conversions, as fast.py has them for arithmetic.

`how` is a rounding method, with SUPPRESS. Those that round are taken when inexact does not trap.
"""

from worldswitch.engine import f32, f64, i64, typed, u32, u64
from worldswitch.engine.intrinsics import (
    bits_of_f32,
    bits_of_f64,
    ceiling,
    f32_of_bits,
    f64_of_bits,
    floor,
    round_even,
    truncate,
)
from worldswitch.metal.s390x.bfp.fast import (
    between,
    exponent_long,
    exponent_short,
    note,
    round_short,
)
from worldswitch.metal.s390x.bfp.fields import MASK_INEXACT
from worldswitch.metal.s390x.bfp.rounding import (
    DOWNWARD,
    METHOD,
    NEAREST_EVEN,
    SUPPRESS,
    TO_ZERO,
    UPWARD,
)
from worldswitch.metal.s390x.state import Cpu


@typed(inline=True)
def lengthen(bits: u32) -> tuple[bool, u64]:
    """A short number to long: exact, unless it is a NaN."""
    if exponent_short(bits) == 255:
        return False, u64(0)
    return True, bits_of_f64(f64(f32_of_bits(bits)))


@typed(inline=True)
def shorten(cpu: Cpu, how: u64, bits: u64) -> tuple[bool, u32]:
    """A long number in the normal range of short ones, or zero, to short and nearest even."""
    ready = between(exponent_long(bits), 900, 1140) or bits << 1 == 0
    if cpu.fpc & MASK_INEXACT != 0 or how != NEAREST_EVEN or not ready:
        return False, u32(0)
    return round_short(cpu, f64_of_bits(bits))


@typed(inline=False)
def integral(method: u64, value: f64) -> tuple[bool, f64]:
    """An integral value by the methods that the host has."""
    if method == TO_ZERO:
        return True, truncate(value)
    if method == NEAREST_EVEN:
        return True, round_even(value)
    if method == DOWNWARD:
        return True, floor(value)
    if method == UPWARD:
        return True, ceiling(value)
    return False, value


@typed(inline=True)
def integral_long(cpu: Cpu, how: u64, bits: u64) -> tuple[bool, u64]:
    """A finite long number rounded to an integral value."""
    if cpu.fpc & MASK_INEXACT != 0 or exponent_long(bits) == 2047:
        return False, u64(0)
    value = f64_of_bits(bits)
    done, result = integral(how & METHOD, value)
    note(cpu, done and how & SUPPRESS == 0 and result != value)
    return done, bits_of_f64(result)


@typed(inline=True)
def integral_short(cpu: Cpu, how: u64, bits: u32) -> tuple[bool, u32]:
    """A finite short number rounded to an integral value, which is short too."""
    if cpu.fpc & MASK_INEXACT != 0 or exponent_short(bits) == 255:
        return False, u32(0)
    value = f64(f32_of_bits(bits))
    done, result = integral(how & METHOD, value)
    note(cpu, done and how & SUPPRESS == 0 and result != value)
    return done, bits_of_f32(f32(result))


@typed(inline=True)
def to_integer(cpu: Cpu, how: u64, value: f64, width: u64, logical: bool) -> tuple[bool, u64, u64]:
    """A number well within the integers of this width: the integer and the condition code."""
    bits = bits_of_f64(value)
    ready = exponent_long(bits) < 1021 + width
    if logical and bits >> 63 != 0:
        ready = False
    if cpu.fpc & MASK_INEXACT != 0 or not ready:
        return False, u64(0), u64(0)
    done, result = integral(how & METHOD, value)
    note(cpu, done and how & SUPPRESS == 0 and result != value)
    cc: u64 = 0
    if value != 0.0:
        cc = 2 - (bits >> 63)
    return done, u64(i64(result)), cc
