"""Add, subtract, multiply, divide, square root, scale, extract, compare and examine of the x87.

ref: APM5 FADD, FMUL, FDIV, FSQRT, FSCALE, FXTRACT, FCOM, FXAM
"""

from worldswitch.engine import clz, i64, typed, u16, u64, u128
from worldswitch.metal.softfloat.parts import root, sum_parts
from worldswitch.metal.softfloat.wide import divide_wide
from worldswitch.metal.x86.fp.exceptions import DOWN, IE, ZE
from worldswitch.metal.x86.fp.x87_core import (
    BIAS,
    C0,
    C1,
    C2,
    C3,
    DEFINED,
    FINITE,
    INFINITE,
    INFINITY,
    QUIET,
    SIGN,
    SIGNALLING,
    UNSUPPORTED,
    ZERO,
    canonical,
    classify,
    considered,
    deliver,
    denormal_flag,
    extended,
    field_of,
    invalid,
    make,
    nan_result,
    rounding_of,
    sign_of,
    split,
)


@typed(inline=True)
def signed_zero(sign: u64) -> u128:
    """Zero with a sign."""
    return u128(sign) << 79


@typed(inline=True)
def signed_infinity(sign: u64) -> u128:
    """Infinity with a sign."""
    return (u128(sign) << 79) | INFINITY


@typed(inline=False)
def sum_of(a: u128, b: u128, flip: u64, control: u16) -> tuple[u128, u16]:
    """a + b with b's sign inverted if `flip` is 1; with masked exceptions before the result."""
    of_a = classify(a)
    of_b = classify(b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(a, b)
    sign_b = sign_of(b) ^ flip
    if of_a == INFINITE and of_b == INFINITE and sign_of(a) != sign_b:
        return invalid()
    status = denormal_flag(a) | denormal_flag(b)
    if of_a == INFINITE or of_b == INFINITE:
        return signed_infinity(sign_of(a) if of_a == INFINITE else sign_b), status
    zero = u64(rounding_of(control) == DOWN)
    if of_a == ZERO and of_b == ZERO:
        return signed_zero(sign_b if sign_of(a) == sign_b else zero), status
    sign = sign_b
    e: i64 = 0
    m: u128 = 0
    if of_a == ZERO:
        e, m = split(b)
    else:
        sign = sign_of(a)
        e, m = split(a)
        if of_b != ZERO:
            eb, mb = split(b)
            sign, e, m = sum_parts(sign_of(a), e, m, sign_b, eb, mb)
    if m == 0:
        return signed_zero(zero), status
    result, raised = deliver(control, sign, e, m)
    return result, status | raised


@typed(inline=False)
def f80_add(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """a + b."""
    result, status = sum_of(a, b, 0, control)
    return considered(control, a, result, status)


@typed(inline=False)
def f80_sub(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """a - b."""
    result, status = sum_of(a, b, 1, control)
    return considered(control, a, result, status)


@typed(inline=False)
def product_of(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """a * b with masked exceptions before the result."""
    of_a = classify(a)
    of_b = classify(b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(a, b)
    sign = sign_of(a ^ b)
    status = denormal_flag(a) | denormal_flag(b)
    if of_a == INFINITE or of_b == INFINITE:
        if of_a == ZERO or of_b == ZERO:
            return invalid()
        return signed_infinity(sign), status
    if of_a == ZERO or of_b == ZERO:
        return signed_zero(sign), status
    ea, ma = split(a)
    eb, mb = split(b)
    m = (ma >> 64) * (mb >> 64)
    e = ea + eb + 1
    if m >> 127 == 0:
        m = m << 1
        e -= 1
    result, raised = deliver(control, sign, e, m)
    return result, status | raised


@typed(inline=False)
def f80_mul(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """a * b."""
    result, status = product_of(a, b, control)
    return considered(control, a, result, status)


@typed(inline=True)
def quotient_parts(ea: i64, a: u64, eb: i64, b: u64) -> tuple[i64, u128]:
    """Exponent and significand of a / b, jammed; the operands have their bit 63."""
    e = ea - eb
    n = u128(a) << 63
    if a < b:
        n = n << 1
        e -= 1
    q, rest = divide_wide(n, b)
    m = u128(q) << 64
    if rest != 0:
        m = m | 1
        if rest >= b - rest:
            m = m | (u128(1) << 63)
            if rest == b - rest:
                m = m & ~u128(1)
    return e, m


@typed(inline=False)
def quotient_of(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """a / b with masked exceptions before the result."""
    of_a = classify(a)
    of_b = classify(b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(a, b)
    sign = sign_of(a ^ b)
    if of_a == of_b and of_a != FINITE:
        return invalid()
    status = denormal_flag(a) | denormal_flag(b)
    if of_a == INFINITE:
        return signed_infinity(sign), status
    if of_b == ZERO:
        return signed_infinity(sign), u16(ZE)
    if of_a == ZERO or of_b == INFINITE:
        return signed_zero(sign), status
    ea, ma = split(a)
    eb, mb = split(b)
    e, m = quotient_parts(ea, u64(ma >> 64), eb, u64(mb >> 64))
    result, raised = deliver(control, sign, e, m)
    return result, status | raised


@typed(inline=False)
def f80_div(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """a / b."""
    result, status = quotient_of(a, b, control)
    return considered(control, a, result, status)


@typed(inline=False)
def f80_sqrt(a: u128, control: u16) -> tuple[u128, u16]:
    """The square root of a."""
    kind = classify(a)
    if kind >= QUIET:
        result, status = nan_result(a, a)
        return considered(control, a, result, status)
    if kind == ZERO:
        return a, u16(0)
    if sign_of(a) != 0:
        result, status = invalid()
        return considered(control, a, result, status)
    status = denormal_flag(a)
    if kind == INFINITE:
        return a, status
    e, m = split(a)
    radicand = m >> 7
    if e & 1 != 0:
        radicand = m >> 6
    q = root(radicand, 65)
    # Two guard bits behind the precision are exact; jam the rest at the very right.
    result, raised = deliver(control, u64(0), e >> 1, (q << 7) | (q & 1))
    return considered(control, a, result, status | raised)


@typed(inline=False)
def scaled(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """a * 2**trunc(b) with masked exceptions before the result."""
    of_a = classify(a)
    of_b = classify(b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(a, b)
    status = denormal_flag(a) | denormal_flag(b)
    if of_b == INFINITE:
        if sign_of(b) == 0:
            if of_a == ZERO:
                return invalid()
            return signed_infinity(sign_of(a)), status
        if of_a == INFINITE:
            return invalid()
        return signed_zero(sign_of(a)), status
    if of_a != FINITE:
        return a, status
    if of_b == ZERO:
        return canonical(a), status
    by: i64 = 0
    eb, mb = split(b)
    # Beyond 17 bits everything overflows or underflows, even when the exponent is scaled.
    if eb > 16:
        by = i64(1 << 17)
    elif eb >= 0:
        by = i64(u64(mb >> u64(127 - eb)))
    if sign_of(b) != 0:
        by = -by
    e, m = split(a)
    result, raised = deliver(extended(control), sign_of(a), e + by, m)
    return result, status | raised


@typed(inline=False)
def f80_scale(a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """FSCALE: a * 2**trunc(b)."""
    result, status = scaled(a, b, control)
    return considered(control, a, result, status)


@typed(inline=False)
def integer_number(value: i64) -> u128:
    """A number of a small integer."""
    if value == 0:
        return u128(0)
    sign = u64(value < 0)
    magnitude = u64(-value if value < 0 else value)
    zeros = clz(magnitude)
    return make(sign, BIAS + 63 - zeros, magnitude << zeros)


@typed(inline=False)
def f80_extract(a: u128, control: u16) -> tuple[u128, u128, u16]:
    """FXTRACT: the exponent as a number, the significand, and the status."""
    kind = classify(a)
    if kind >= QUIET:
        result, status = nan_result(a, a)
        return result, result, status
    if kind == INFINITE:
        return u128(INFINITY), a, u16(0)
    if kind == ZERO:
        return signed_infinity(u64(1)), a, u16(ZE)
    e, m = split(a)
    return integer_number(e), make(sign_of(a), u64(BIAS), u64(m >> 64)), denormal_flag(a)


@typed(inline=False)
def f80_compare(a: u128, b: u128, quiet: bool, control: u16) -> u16:
    """C3 C2 C0 and exceptions of a comparison; `quiet`: a QNaN is no invalid operation."""
    of_a = classify(a)
    of_b = classify(b)
    if of_a >= QUIET or of_b >= QUIET:
        status = u16(DEFINED | C3 | C2 | C0)
        if not quiet or of_a >= SIGNALLING or of_b >= SIGNALLING:
            status = status | IE
        return status
    status = denormal_flag(a) | denormal_flag(b) | u16(DEFINED)
    if of_a == ZERO and of_b == ZERO:
        return status | C3
    if sign_of(a) != sign_of(b):
        return status | u16(C0 if sign_of(a) != 0 else 0)
    x = canonical(a) & (SIGN - 1)
    y = canonical(b) & (SIGN - 1)
    if x == y:
        return status | C3
    less = x > y if sign_of(a) != 0 else x < y
    return status | u16(C0 if less else 0)


@typed(inline=True)
def eflags_of(status: u16) -> u64:
    """ZF, PF and CF of FCOMI from the conditions of a comparison."""
    return u64((status & C3) >> 8 | (status & C2) >> 8 | (status & C0) >> 8)


@typed(inline=False)
def f80_examine(a: u128, empty: bool) -> u16:
    """The class in C3 C2 C0 and the sign in C1, by FXAM. ref: APM5 FXAM"""
    status = u16(DEFINED)
    if sign_of(a) != 0:
        status = status | C1
    if empty:
        return status | (C3 | C0)
    kind = classify(a)
    if kind == UNSUPPORTED:
        return status
    if kind == ZERO:
        return status | C3
    if kind == INFINITE:
        return status | (C2 | C0)
    if kind >= QUIET:
        return status | C0
    return status | (C3 | C2) if field_of(a) == 0 else status | C2


@typed(inline=True)
def f80_abs(a: u128) -> u128:
    """The number without its sign."""
    return a & (SIGN - 1)


@typed(inline=True)
def f80_chs(a: u128) -> u128:
    """The number with the other sign."""
    return a ^ SIGN
