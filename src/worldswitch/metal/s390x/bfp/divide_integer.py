"""DIVIDE TO INTEGER: an integral quotient and the exact remainder. ref: PoP 19"""

from worldswitch.engine import clz, i64, typed, u64, u128
from worldswitch.metal.s390x.bfp.rounding import (
    current_mode,
    deliver,
    invalid_result,
    nan_result,
    rounds_up,
    scaling,
)
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.softfloat.images import (
    INFINITE,
    QUIET,
    ZERO,
    bias_of,
    classify,
    pack,
    precision,
    sign_of,
    signed_zero,
    split,
)
from worldswitch.metal.softfloat.parts import A_HALF, quotient, sum_parts


@typed(inline=False)
def small_quotient(cpu: Cpu, w: u64, mode: u64, a: u128, b: u128) -> tuple[u128, u128, u64, u64]:
    """`divide_to_integer` for finite numbers with a magnitude of a / b below one."""
    ea, ma = split(w, a)
    eb, mb = split(w, b)
    sign = sign_of(a ^ b)
    # Less than a half, a half, or more?
    where: u64 = 1
    if ea == eb or (ea == eb - 1 and ma > mb):
        where = u64(A_HALF) + 1
    elif ea == eb - 1 and ma == mb:
        where = u64(A_HALF)
    if not rounds_up(mode, sign, False, u128(where), u128(A_HALF)):
        image, dxc = deliver(cpu, w, current_mode(cpu), sign_of(a), ea, ma)
        return image, signed_zero(sign), u64(0), dxc
    one = pack(w, sign, i64(0), u128(1) << 127)
    rest_sign, e, m = sum_parts(sign_of(a), ea, ma, 1 - sign_of(a), eb, mb)
    image, dxc = deliver(cpu, w, current_mode(cpu), rest_sign, e, m)
    return image, one, u64(0), dxc


@typed(inline=False)
def finite_quotient(cpu: Cpu, w: u64, mode: u64, a: u128, b: u128) -> tuple[u128, u128, u64, u64]:
    """`divide_to_integer` for finite nonzero numbers."""
    ea, ma = split(w, a)
    eb, mb = split(w, b)
    if ea < eb or (ea == eb and ma < mb):
        return small_quotient(cpu, w, mode, a, b)
    sign = sign_of(a ^ b)
    rest_sign = sign_of(a)
    x = ma >> 1
    y = mb >> 1
    digits = u64(ea - eb)  # of the quotient before the point
    if x < y:
        x = x << 1
    else:
        digits = digits + 1
    count = digits
    partial = False
    if digits > precision(w):
        # Only the leftmost digits are had; unless they are all, more is left to divide.
        count = precision(w)
    q, rest = quotient(x, y, count)
    partial = digits > count and rest != 0
    if not partial and rest != 0:
        where = u64(1) if rest < y else u64(A_HALF) + u64(rest > y)
        if rounds_up(mode, sign, q & 1 != 0, u128(where), u128(A_HALF)):
            q += 1
            rest = (y << 1) - rest
            rest_sign = 1 - rest_sign
    zeros = clz(q)
    e = 127 - i64(u64(zeros)) + i64(digits - count)
    cc: u64 = 2 if partial else 0
    if e > bias_of(w):
        e = e - scaling(w, w)
        cc += 1
    n = pack(w, sign, e, q << zeros)
    if rest == 0:
        return signed_zero(sign_of(a)), n, cc, u64(0)
    zeros = clz(rest)
    # y's unit is 2**(eb - 126); `rest` is twice the remainder.
    weight = eb + i64(digits - count) - i64(u64(zeros))
    image, dxc = deliver(cpu, w, current_mode(cpu), rest_sign, weight, rest << zeros)
    return image, n, cc, dxc


@typed(inline=False)
def divide_to_integer(cpu: Cpu, w: u64, mode: u64, a: u128, b: u128) -> tuple[u128, u128, u64, u64]:
    """Remainder, quotient, condition code and data-exception code of a / b.

    The quotient is rounded by `mode`, the remainder (if inexact at all) as the FPC says.
    """
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        image, dxc = nan_result(cpu, w, a, b)
        return image, image, u64(1), dxc
    if of_a == INFINITE or of_b == ZERO:
        image, dxc = invalid_result(cpu, w)
        return image, image, u64(1), dxc
    if of_a == ZERO or of_b == INFINITE:
        return a, signed_zero(sign_of(a ^ b)), u64(0), u64(0)
    return finite_quotient(cpu, w, mode, a, b)
