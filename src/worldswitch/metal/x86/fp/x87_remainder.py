"""Partial remainders. ref: APM5 FPREM, FPREM1"""

from worldswitch.engine import clz, i64, typed, u16, u64, u128
from worldswitch.metal.softfloat.wide import divide_wide
from worldswitch.metal.x86.fp.x87_core import (
    C2,
    DEFINED,
    INFINITE,
    QUIET,
    ZERO,
    canonical,
    classify,
    considered,
    deliver,
    denormal_flag,
    extended,
    invalid,
    nan_result,
    sign_of,
    split,
)

COMPLETE_BELOW = 64
"""An exponent difference from which on the remainder is partial."""


@typed(inline=True)
def quotient_bits(q: u64) -> u16:
    """C0, C3 and C1: the last three bits of the quotient."""
    return u16((q & 4) << 6) | u16((q & 2) << 13) | u16((q & 1) << 9) | u16(DEFINED)


@typed(inline=False)
def rest_number(sign: u64, e: i64, rest: u64, control: u16) -> tuple[u128, u16]:
    """The number rest / 2**63 * 2**e, or a zero."""
    if rest == 0:
        return u128(sign) << 79, u16(0)
    zeros = clz(rest)
    return deliver(extended(control), sign, e - i64(zeros), u128(rest << zeros) << 64)


@typed(inline=False)
def remainder_of(a: u128, b: u128, nearest: bool, control: u16) -> tuple[u128, u16]:
    """The remainder of finite nonzero numbers."""
    ea, ma = split(a)
    eb, mb = split(b)
    x = u64(ma >> 64)
    y = u64(mb >> 64)
    sign = sign_of(a)
    difference = ea - eb
    if difference >= COMPLETE_BELOW:
        # A part of the quotient: the operand's exponent falls by 32 to 63.
        n = 32 + u64(difference & 31)
        high = x
        if high >= y:
            high = high - y
        _, rest = divide_wide(u128(high) << n, y)
        result, status = rest_number(sign, eb + difference - i64(n), rest, control)
        return result, status | u16(DEFINED | C2)
    if difference < -1 or (difference == -1 and not nearest):
        result, status = rest_number(sign, ea, x, control)
        return result, status | u16(DEFINED)
    q: u64 = 0
    rest = x
    e = eb
    # Twice the remainder against the divisor: 0 less, 1 equal, 2 greater.
    doubled: u64 = 0
    if difference == -1:
        e = ea
        if x >= y:
            doubled = u64(2) if x > y else u64(1)
    else:
        if x >= y:
            q = u64(1)
            rest = x - y
        if difference > 0:
            low, rest = divide_wide(u128(rest) << u64(difference), y)
            q = (q << u64(difference)) + low
        if rest >= y - rest:
            doubled = u64(2) if rest > y - rest else u64(1)
    if nearest and (doubled == 2 or (doubled == 1 and q & 1 != 0)):
        q += 1
        sign = 1 - sign
        # At a difference of -1 the divisor counts twice.
        rest = y - rest if difference >= 0 else y + (y - rest)
    result, status = rest_number(sign, e, rest, control)
    return result, status | quotient_bits(q)


@typed(inline=False)
def f80_rem(a: u128, b: u128, nearest: bool, control: u16) -> tuple[u128, u16]:
    """FPREM, whose quotient is truncated; FPREM1 with `nearest`, whose quotient is rounded."""
    of_a = classify(a)
    of_b = classify(b)
    if of_a >= QUIET or of_b >= QUIET:
        result, status = nan_result(a, b)
        return considered(control, a, result, status)
    if of_a == INFINITE or of_b == ZERO:
        result, status = invalid()
        return considered(control, a, result, status)
    raised = denormal_flag(a) | denormal_flag(b)
    if of_a == ZERO or of_b == INFINITE:
        return considered(control, a, canonical(a), raised | DEFINED)
    result, status = remainder_of(a, b, nearest, control)
    return considered(control, a, result, status | raised)
