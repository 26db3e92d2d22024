"""F2XM1, FYL2X and FYL2XP1. ref: APM5"""

from worldswitch.engine import i64, typed, u16, u64, u128
from worldswitch.metal.softfloat.parts import product_parts, sum_parts
from worldswitch.metal.x86.fp.exceptions import PE, UE, ZE
from worldswitch.metal.x86.fp.x87_arithmetic import signed_infinity, signed_zero
from worldswitch.metal.x86.fp.x87_core import (
    INFINITE,
    ONE,
    QUIET,
    SIGN,
    ZERO,
    classify,
    considered,
    deliver,
    denormal_flag,
    extended,
    field_of,
    invalid,
    nan_result,
    sign_of,
    split,
)
from worldswitch.metal.x86.fp.x87_series import (
    TOP,
    divide_parts,
    exponential_less_one,
    logarithm,
    logarithm_of_ratio,
)

MINUS_HALF = 0xBFFE << 64 | 1 << 63


@typed(inline=False)
def exponential_of(a: u128, control: u16) -> tuple[u128, u16]:
    """2**a - 1 with masked exceptions before the result."""
    kind = classify(a)
    if kind >= QUIET:
        return nan_result(a, a)
    if kind == ZERO:
        return a, u16(0)
    negative = sign_of(a) != 0
    if kind == INFINITE:
        return (ONE | SIGN if negative else a), u16(0)
    status = denormal_flag(a)
    e, m = split(a)
    if e >= 0:
        # Beyond one the result is undefined: the operand stays.
        if e == 0 and m == TOP:
            return (u128(MINUS_HALF) if negative else a), status | PE
        return a, status | PE
    er, mr = exponential_less_one(negative, e, m)
    result, raised = deliver(extended(control), sign_of(a), er, mr | 1)
    return result, status | raised


@typed(inline=False)
def f80_2xm1(a: u128, control: u16) -> tuple[u128, u16]:
    """F2XM1: 2**a - 1, for a from -1 to 1."""
    result, status = exponential_of(a, control)
    return considered(control, a, result, status)


@typed(inline=False)
def scaled_logarithm(
    sign: u64, e: i64, m: u128, exact: bool, y: u128, control: u16
) -> tuple[u128, u16]:
    """A logarithm times a finite y; the logarithm's significand may be zero.

    A result that is exact counts as inexact too, as it does in processors.
    """
    result_sign = sign ^ sign_of(y)
    if m == 0 or classify(y) == ZERO:
        return signed_zero(result_sign), u16(0)
    ey, my = split(y)
    er, mr = product_parts(e, m, ey, my)
    result, status = deliver(extended(control), result_sign, er, mr | u128(not exact))
    return result, status | (u16(PE | UE) if field_of(result) == 0 else u16(PE))


@typed(inline=False)
def logarithm_of(x: u128, y: u128, control: u16) -> tuple[u128, u16]:
    """y * log2(x) with masked exceptions before the result."""
    of_x = classify(x)
    of_y = classify(y)
    if of_x >= QUIET or of_y >= QUIET:
        return nan_result(x, y)
    status = denormal_flag(x) | denormal_flag(y)
    if of_x == ZERO:
        if of_y == ZERO:
            return invalid()
        if of_y == INFINITE:
            return y ^ SIGN, status
        return signed_infinity(1 - sign_of(y)), u16(ZE)
    if sign_of(x) != 0:
        return invalid()
    if of_x == INFINITE:
        if of_y == ZERO:
            return invalid()
        return signed_infinity(sign_of(y)), status
    e, m = split(x)
    if of_y == INFINITE:
        if e == 0 and m == TOP:
            return invalid()
        return (y ^ SIGN if e < 0 else y), status
    sign, el, ml, exact = logarithm(e, m)
    result, raised = scaled_logarithm(sign, el, ml, exact, y, control)
    return result, status | raised


@typed(inline=False)
def f80_yl2x(x: u128, y: u128, control: u16) -> tuple[u128, u16]:
    """FYL2X: y * log2(x)."""
    result, status = logarithm_of(x, y, control)
    return considered(control, x, result, status)


@typed(inline=False)
def logarithm_of_more(negative: bool, e: i64, m: u128) -> tuple[u64, i64, u128, bool]:
    """log2(1 + x) for a finite nonzero x above -1."""
    sign = u64(negative)
    if e >= -2:
        _, et, total = sum_parts(u64(0), i64(0), u128(TOP), sign, e, m)
        result_sign, el, ml, exact = logarithm(et, total)
        return result_sign, el, ml, exact
    # z = x / (2 + x)
    _, et, total = sum_parts(u64(0), i64(1), u128(TOP), sign, e, m)
    ez, z = divide_parts(e, m, et, total)
    el, ml = logarithm_of_ratio(ez, z)
    return sign, el, ml, False


@typed(inline=False)
def logarithm_plus_one(x: u128, y: u128, control: u16) -> tuple[u128, u16]:
    """y * log2(x + 1) with masked exceptions before the result."""
    of_x = classify(x)
    of_y = classify(y)
    if of_x >= QUIET or of_y >= QUIET:
        return nan_result(x, y)
    status = denormal_flag(x) | denormal_flag(y)
    sign = sign_of(x)
    if of_x == ZERO or (of_x == INFINITE and sign == 0):
        if of_x + of_y == ZERO + INFINITE and of_x != of_y:
            return invalid()
        result_sign = sign ^ sign_of(y)
        return (signed_zero(result_sign) if of_x == ZERO else signed_infinity(result_sign)), status
    if of_x == INFINITE:
        return invalid()
    e, m = split(x)
    if sign != 0 and e >= 0:
        # Below -1 the result is undefined: the operand stays.
        return x, status
    if of_y == INFINITE:
        return signed_infinity(sign ^ sign_of(y)), status
    sign_of_log, el, ml, exact = logarithm_of_more(sign != 0, e, m)
    result, raised = scaled_logarithm(sign_of_log, el, ml, exact, y, control)
    return result, status | raised


@typed(inline=False)
def f80_yl2xp1(x: u128, y: u128, control: u16) -> tuple[u128, u16]:
    """FYL2XP1: y * log2(x + 1)."""
    result, status = logarithm_plus_one(x, y, control)
    return considered(control, x, result, status)
