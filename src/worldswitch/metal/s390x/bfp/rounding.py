"""Rounding, and the IEEE exceptions with their flags and traps. ref: PoP 9 IEEE Exceptions

The functions here never leave. One that may recognize an exception returns a data-exception code,
0 if none traps; its caller suppresses the operation or completes it first (`operands.py`).
"""

from worldswitch.engine import i64, typed, u64, u128
from worldswitch.metal.s390x.bfp.fields import (
    FLAG_DIVISION,
    FLAG_INEXACT,
    FLAG_INVALID,
    FLAG_OVERFLOW,
    FLAG_UNDERFLOW,
    MASK_DIVISION,
    MASK_INEXACT,
    MASK_INVALID,
    MASK_OVERFLOW,
    MASK_UNDERFLOW,
)
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.softfloat.images import (
    QUIET,
    SIGNALLING,
    bias_of,
    classify,
    default_nan,
    infinity,
    pack,
    precision,
    quieten,
)
from worldswitch.metal.softfloat.parts import shift_right_jam

# Rounding methods, by the codes of the M3 field; 0 there is the FPC register's.
NEAREST_AWAY = 1
SHORTER = 3
"""Prepare for shorter precision: an inexact result gets an odd last digit."""
NEAREST_EVEN = 4
TO_ZERO = 5
UPWARD = 6
DOWNWARD = 7

# A `how` is a rounding method with, at the left of it, what else decides about the result.
METHOD = 7
SUPPRESS = 8
"""The inexact exception is not recognized (XxC of an M4 field)."""
WIDER = 4
"""Position of the format of a scaled result, if it is not the result's own (LOAD ROUNDED)."""

DXC_INVALID = 0x80
DXC_DIVISION = 0x40
DXC_OVERFLOW = 0x20
DXC_UNDERFLOW = 0x10
DXC_TRUNCATED = 0x08
DXC_INCREMENTED = 0x0C


@typed(inline=True)
def current_mode(cpu: Cpu) -> u64:
    """The rounding method of the FPC register."""
    mode = u64(cpu.fpc & 7)
    return u64(SHORTER) if mode == 7 else mode + 4


@typed(inline=False)
def rounds_up(mode: u64, sign: u64, odd: bool, rest: u128, half: u128) -> bool:
    """Does the magnitude go up by a unit, if `rest` is cut off it and `half` is half a unit?"""
    if rest == 0:
        return False
    if mode == NEAREST_EVEN:
        return rest > half or (rest == half and odd)
    if mode == NEAREST_AWAY:
        return rest >= half
    if mode == UPWARD:
        return sign == 0
    if mode == DOWNWARD:
        return sign != 0
    return mode == SHORTER and not odd


@typed(inline=True)
def detail(inexact: bool, incremented: bool) -> u64:
    """The part of a data-exception code that tells how the result was rounded."""
    if not inexact:
        return u64(0)
    return u64(DXC_INCREMENTED) if incremented else u64(DXC_TRUNCATED)


@typed(inline=True)
def recognize_inexact(cpu: Cpu, how: u64, inexact: bool, incremented: bool) -> u64:
    """The inexact exception, unless XxC suppresses it. ref: PoP 9 IEEE Inexact"""
    if how & SUPPRESS != 0 or not inexact:
        return u64(0)
    if cpu.fpc & MASK_INEXACT != 0:
        return detail(inexact, incremented)
    cpu.fpc = cpu.fpc | FLAG_INEXACT
    return u64(0)


@typed(inline=False)
def recognize_invalid(cpu: Cpu) -> u64:
    """The invalid-operation exception."""
    if cpu.fpc & MASK_INVALID != 0:
        return u64(DXC_INVALID)
    cpu.fpc = cpu.fpc | FLAG_INVALID
    return u64(0)


@typed(inline=True)
def recognize_division(cpu: Cpu) -> u64:
    """The division-by-zero exception."""
    if cpu.fpc & MASK_DIVISION != 0:
        return u64(DXC_DIVISION)
    cpu.fpc = cpu.fpc | FLAG_DIVISION
    return u64(0)


@typed(inline=False)
def invalid_result(cpu: Cpu, w: u64) -> tuple[u128, u64]:
    """What an invalid operation on numbers gives: the default NaN."""
    return default_nan(w), recognize_invalid(cpu)


@typed(inline=False)
def nan_result(cpu: Cpu, w: u64, a: u128, b: u128) -> tuple[u128, u64]:
    """The result of operands of which one is a NaN: the first signalling, else the first quiet.

    ref: PoP 19 NaNs
    """
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a == SIGNALLING:
        return quieten(w, a), recognize_invalid(cpu)
    if of_b == SIGNALLING:
        return quieten(w, b), recognize_invalid(cpu)
    if of_a == QUIET:
        return a, u64(0)
    return b, u64(0)


@typed(inline=True)
def scaling(w: u64, wider: u64) -> i64:
    """What a trapping result's exponent is changed by; LOAD ROUNDED has factors of its own.

    ref: PoP 19 Summary of Rounding and Range Actions
    """
    if w == wider:
        return i64(3) << (w - 2)
    return i64(1) << (wider - 2)


@typed(inline=False)
def deliver_tiny(cpu: Cpu, w: u64, how: u64, sign: u64, significand: u128) -> tuple[u128, u64]:
    """Round a number below the normal range; bit 127 has the weight of the least exponent."""
    drop = 128 - precision(w)
    unit = u128(1) << drop
    rest = significand & (unit - 1)
    kept = significand - rest
    up = rounds_up(how & METHOD, sign, kept & unit != 0, rest, unit >> 1)
    if up:
        kept = kept + unit
    if rest != 0:
        cpu.fpc = cpu.fpc | FLAG_UNDERFLOW
    image = (u128(sign) << 127) | ((kept >> 127) << (127 - w)) | ((kept << 1) >> (w + 1))
    return image, recognize_inexact(cpu, how, rest != 0, up)


@typed(inline=False)
def deliver_huge(cpu: Cpu, w: u64, how: u64, sign: u64) -> tuple[u128, u64]:
    """The result of an overflow that does not trap: infinity or the greatest number."""
    cpu.fpc = cpu.fpc | FLAG_OVERFLOW
    image = infinity(w, sign)
    mode = how & METHOD
    outward = mode == NEAREST_EVEN or mode == NEAREST_AWAY
    if mode == UPWARD and sign == 0:
        outward = True
    if mode == DOWNWARD and sign != 0:
        outward = True
    if not outward:
        # The greatest number is one unit in the last place below infinity's bits.
        image = image - (u128(1) << (128 - w - precision(w)))
    return image, recognize_inexact(cpu, how, True, outward)


@typed(inline=False)
def deliver(
    cpu: Cpu, w: u64, how: u64, sign: u64, exponent: i64, significand: u128
) -> tuple[u128, u64]:
    """Round a nonzero number to format `w` and recognize overflow, underflow and inexact.

    The last bit of the significand stands for all ones to the right of it too. Tininess is
    detected before rounding.
    """
    least = 1 - bias_of(w)
    tiny = exponent < least
    if tiny and cpu.fpc & MASK_UNDERFLOW == 0:
        jammed = shift_right_jam(significand, u64(least - exponent))
        return deliver_tiny(cpu, w, how, sign, jammed)
    drop = 128 - precision(w)
    unit = u128(1) << drop
    rest = significand & (unit - 1)
    kept = significand - rest
    up = rounds_up(how & METHOD, sign, kept & unit != 0, rest, unit >> 1)
    e = exponent
    if up:
        kept = kept + unit
        if kept == 0:
            kept = u128(1) << 127
            e += 1
    inexact = rest != 0
    wider = how >> WIDER
    if wider == 0:
        wider = w
    if tiny:
        scaled = e + scaling(w, wider)
        return pack(wider, sign, scaled, kept), DXC_UNDERFLOW | detail(inexact, up)
    if e > bias_of(w):
        if cpu.fpc & MASK_OVERFLOW == 0:
            return deliver_huge(cpu, w, how, sign)
        scaled = e - scaling(w, wider)
        return pack(wider, sign, scaled, kept), DXC_OVERFLOW | detail(inexact, up)
    return pack(w, sign, e, kept), recognize_inexact(cpu, how, inexact, up)
