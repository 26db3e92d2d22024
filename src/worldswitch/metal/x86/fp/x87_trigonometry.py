"""FSIN, FCOS, FSINCOS, FPTAN and FPATAN. ref: APM5

IMPDEF: arguments are reduced by pi as processors have always had it here, to 66 bits.
"""

from worldswitch.engine import i64, typed, u16, u64, u128
from worldswitch.metal.softfloat.parts import sum_parts
from worldswitch.metal.x86.fp.x87_arithmetic import signed_zero
from worldswitch.metal.x86.fp.x87_core import (
    C1,
    C2,
    DEFINED,
    FINITE,
    INFINITE,
    ONE,
    QUIET,
    ZERO,
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
from worldswitch.metal.x86.fp.x87_series import (
    cosine,
    divide_parts,
    parts_of,
    sine,
    small_arctangent,
)

HALF_PI = 0x3_243F_6A88_85A3_08D3
"""pi / 2 with 65 bits behind the point."""
PI = 0xC90F_DAA2_2168_C234_C4C6_628B_80DC_1CD1
"""Significand of pi, whose exponent is 1."""
REACH = 63
"""Exponent from which on an argument is out of range."""


@typed(inline=False)
def reduce(e: i64, m: u128) -> tuple[u64, u64, i64, u128]:
    """How often pi / 2 is to be taken off a number, and sign, exponent and significand of the rest.

    The rest is at most pi / 4 in magnitude.
    """
    if e < -1:
        return u64(0), u64(0), e, m
    rest = (m >> 64) << u64(e + 2)
    n: u64 = 0
    shift: u64 = 62
    while True:
        n = n << 1
        part = u128(HALF_PI) << shift
        if rest >= part:
            rest = rest - part
            n = n | 1
        if shift == 0:
            break
        shift -= 1
    sign: u64 = 0
    if rest << 1 > HALF_PI:
        rest = HALF_PI - rest
        sign = u64(1)
        n += 1
    er, mr = parts_of(i64(62), rest)
    return n, sign, er, mr


@typed(inline=False)
def circular(quarter: u64, sign: u64, e: i64, m: u128, control: u16) -> tuple[u128, u16]:
    """The sine of a rest with its sign, a number of quarter turns later."""
    result_sign = sign
    er: i64 = 0
    mr: u128 = 0
    if quarter & 1 != 0:
        result_sign = u64(0)
        er, mr = cosine(e, m)
    else:
        er, mr = sine(e, m)
    if quarter & 2 != 0:
        result_sign = 1 - result_sign
    return deliver(extended(control), result_sign, er, mr | 1)


@typed(inline=False)
def refused(a: u128) -> tuple[bool, u128, u16]:
    """Whether an argument is none: a NaN, an infinity, or out of range; result and status then."""
    kind = classify(a)
    if kind >= QUIET:
        result, status = nan_result(a, a)
        return True, result, status
    if kind == INFINITE:
        result, status = invalid()
        return True, result, status
    e, _ = split(a)
    if kind == FINITE and e >= REACH:
        return True, a, u16(DEFINED | C2)
    return False, a, u16(DEFINED)


@typed(inline=False)
def circular_of(a: u128, turn: u64, control: u16) -> tuple[u128, u16]:
    """The sine of a, `turn` quarter turns later."""
    if classify(a) == ZERO:
        return (a if turn == 0 else u128(ONE)), u16(0)
    e, m = split(a)
    n, sign, er, mr = reduce(e, m)
    # The sine is odd and the cosine even.
    if turn == 0:
        result, status = circular(n, sign, er, mr, control ^ reversed_rounding(a, control))
        if sign_of(a) != 0:
            result = result ^ (u128(1) << 79)
        return result, status
    result, status = circular(n + turn, sign, er, mr, control)
    return result, status


@typed(inline=True)
def reversed_rounding(a: u128, control: u16) -> u16:
    """What exchanges rounding up and down in the control word, if a is negative."""
    directed = control >> 10 & 3
    if sign_of(a) != 0 and (directed == 1 or directed == 2):
        return u16(0xC00)
    return u16(0)


@typed(inline=False)
def f80_sin(a: u128, control: u16) -> tuple[u128, u16]:
    """FSIN."""
    none, result, status = refused(a)
    if not none:
        result, raised = circular_of(a, 0, control)
        status = status | raised | denormal_flag(a)
    return considered(control, a, result, status)


@typed(inline=False)
def f80_cos(a: u128, control: u16) -> tuple[u128, u16]:
    """FCOS."""
    none, result, status = refused(a)
    if not none:
        result, raised = circular_of(a, 1, control)
        status = status | raised | denormal_flag(a)
    return considered(control, a, result, status)


@typed(inline=False)
def f80_sincos(a: u128, control: u16) -> tuple[u128, u128, u16]:
    """FSINCOS: sine, cosine and status. C1 belongs to the cosine."""
    none, result, status = refused(a)
    if none:
        return result, result, status
    sine_of_a, of_sine = circular_of(a, 0, control)
    cosine_of_a, of_cosine = circular_of(a, 1, control)
    status = status | (of_sine & ~u16(C1)) | of_cosine | denormal_flag(a)
    first, settled = considered(control, a, sine_of_a, status)
    return first, cosine_of_a, settled


@typed(inline=False)
def tangent_of(a: u128, control: u16) -> tuple[u128, u16]:
    """The tangent of a finite nonzero number."""
    e, m = split(a)
    if e < -40:
        # What makes the tangent greater than the number is too small to be seen.
        return deliver(extended(control), sign_of(a), e, m | 1)
    n, sign, er, mr = reduce(e, m)
    es, ms = sine(er, mr)
    ec, mc = cosine(er, mr)
    result_sign = sign_of(a) ^ sign ^ (n & 1)
    et: i64 = 0
    mt: u128 = 0
    if n & 1 != 0:
        et, mt = divide_parts(ec, mc, es, ms)
    else:
        et, mt = divide_parts(es, ms, ec, mc)
    return deliver(extended(control), result_sign, et, mt | 1)


@typed(inline=False)
def f80_tan(a: u128, control: u16) -> tuple[u128, u16]:
    """FPTAN, without the 1.0 that is pushed after it."""
    none, result, status = refused(a)
    if not none and classify(a) != ZERO:
        result, raised = tangent_of(a, control)
        status = status | raised | denormal_flag(a)
    return considered(control, a, result, status)


@typed(inline=False)
def arctangent_of_eighths(k: u64) -> u128:
    """The arc tangent of k / 8 with 128 bits behind the point."""
    if k == 1:
        return u128(0x1FD5_BA9A_AC2F_6DC6_5912_F313_E7D1_11DE)
    if k == 2:
        return u128(0x3EB6_EBF2_5901_BAC5_5B71_E7BD_7DE8_85F9)
    if k == 3:
        return u128(0x5BD8_6507_937B_C239_C551_9091_6E7F_2241)
    if k == 4:
        return u128(0x76B1_9C15_86ED_3DA2_B7F2_22F6_5E1D_4681)
    if k == 5:
        return u128(0x8F00_5D5E_F7F5_9F9B_5C83_5E16_65C4_3747)
    if k == 6:
        return u128(0xA4BC_7D19_34F7_0924_19A8_7F2A_457D_AC9E)
    if k == 7:
        return u128(0xB805_3E2B_C231_9E73_CB2D_A552_10A4_443D)
    return u128(0xC90F_DAA2_2168_C234_C4C6_628B_80DC_1CD1)


@typed(inline=False)
def arctangent(ea: i64, ma: u128, eb: i64, mb: u128) -> tuple[i64, u128]:
    """The arc tangent of a / b for a <= b, whose significands have 64 bits."""
    away = u64(eb - ea)
    k: u64 = 0
    if away < 6:
        k = (((u64(ma >> 96) << 4) >> away) // u64(mb >> 96) + 1) >> 1
    if k == 0:
        ez, z = divide_parts(ea, ma, eb, mb)
        e, m = small_arctangent(ez, z)
        return e, m
    # atan(r) = atan(c) + atan((r - c) / (1 + r * c)), with c = k / 8
    a = (ma >> 4) >> away
    b = mb >> 4
    x = a << 3
    y = b * u128(k)
    sign: u64 = 0
    n = x - y
    if x < y:
        n = y - x
        sign = u64(1)
    ec, mc = parts_of(i64(-1), arctangent_of_eighths(k))
    if n == 0:
        return ec, mc
    en, mn = parts_of(i64(0), n)
    ed, md = parts_of(i64(0), (b << 3) + a * u128(k))
    ez, z = divide_parts(en, mn, ed, md)
    es, ms = small_arctangent(ez, z)
    _, e, m = sum_parts(u64(0), ec, mc, sign, es, ms)
    return e, m


@typed(inline=False)
def arctangent_of(x: u128, y: u128, control: u16) -> tuple[u128, u16]:
    """The angle of a point that is no NaN."""
    of_x = classify(x)
    of_y = classify(y)
    sign = sign_of(y)
    left = sign_of(x) != 0
    e: i64 = 0
    m: u128 = 0
    if of_y == ZERO or (of_x == INFINITE and of_y != INFINITE):
        if not left:
            return signed_zero(sign), u16(0)
        return deliver(extended(control), sign, i64(1), u128(PI))
    if of_x == ZERO or (of_y == INFINITE and of_x != INFINITE):
        return deliver(extended(control), sign, i64(0), u128(PI))
    if of_x == INFINITE:
        e = i64(-1)
        m = u128(PI)
    else:
        ex, mx = split(x)
        ey, my = split(y)
        if ey < ex or (ey == ex and my <= mx):
            e, m = arctangent(ey, my, ex, mx)
        else:
            e, m = arctangent(ex, mx, ey, my)
            _, e, m = sum_parts(u64(0), i64(0), u128(PI), u64(1), e, m)
    if left:
        _, e, m = sum_parts(u64(0), i64(1), u128(PI), u64(1), e, m)
    return deliver(extended(control), sign, e, m | 1)


@typed(inline=False)
def f80_atan(x: u128, y: u128, control: u16) -> tuple[u128, u16]:
    """FPATAN: the angle of the point (x, y), from -pi to pi."""
    if classify(x) >= QUIET or classify(y) >= QUIET:
        result, status = nan_result(x, y)
        return considered(control, x, result, status)
    status = denormal_flag(x) | denormal_flag(y)
    result, raised = arctangent_of(x, y, control)
    return considered(control, x, result, status | raised)
