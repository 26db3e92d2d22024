"""Elementary functions of reduced arguments, to some 110 bits.

Numbers are exponents and significands, as softfloat/parts.py has them; the series are summed in
fixed point with 126 bits behind the point. What they leave out is below the last bit that counts
by a factor of 2**40.
"""

from worldswitch.engine import clz, i64, typed, u64, u128
from worldswitch.metal.softfloat.parts import (
    product_parts,
    quotient,
    sum_parts,
)
from worldswitch.metal.softfloat.wide import multiply_high

UNIT = 1 << 126
"""One, with 126 bits behind the point."""
WHOLE = 1 << 128
TOP = 1 << 127

LN2 = 0xB172_17F7_D1CF_79AB_C9E3_B398_03F2_F6AF
"""Significand of the natural logarithm of 2, whose exponent is -1."""
TWO_BY_LN2 = 0xB8AA_3B29_5C17_F0BB_BE87_FED0_691D_3E88
"""Significand of 2 / ln 2, whose exponent is 1."""
ROOT_OF_2 = 0xB504_F333_F9DE_6484_597D_89B3_754A_BE9F
"""Significand of the square root of 2."""


@typed(inline=True)
def fixed(e: i64, m: u128) -> u128:
    """A number below one with 128 bits behind the point."""
    away = u64(-1 - e)
    return u128(0) if away > 127 else m >> away


@typed(inline=True)
def parts_of(e: i64, value: u128) -> tuple[i64, u128]:
    """Exponent and significand of a nonzero value whose bit 127 has the weight 2**e."""
    zeros = clz(value)
    return e - i64(u64(zeros)), value << zeros


@typed(inline=False)
def divide_parts(ea: i64, a: u128, eb: i64, b: u128) -> tuple[i64, u128]:
    """Exponent and significand of a quotient."""
    e = ea - eb
    x = a >> 1
    y = b >> 1
    if x < y:
        x = x << 1
        e -= 1
    q, rest = quotient(x, y, 120)
    return e, (q << 8) | u128(rest != 0)


@typed(inline=False)
def exponential_less_one(negative: bool, e: i64, m: u128) -> tuple[i64, u128]:
    """The magnitude of 2**x - 1 for x below one in magnitude."""
    et, mt = product_parts(e, m, i64(-1), u128(LN2))
    t = fixed(et, mt)
    # exp(t) - 1 = t * (1 + t/2 * (1 + t/3 * (1 + ...)))
    s = u128(UNIT)
    for k in range(30, 1, -1):
        p = multiply_high(multiply_high(t, s), u128(WHOLE // k))
        s = UNIT - p if negative else UNIT + p
    es, ms = parts_of(i64(1), s)
    return product_parts(et, mt, es, ms)


@typed(inline=False)
def logarithm_of_ratio(ez: i64, z: u128) -> tuple[i64, u128]:
    """log2((1 + z) / (1 - z)) for z up to 0.18."""
    e2, m2 = product_parts(ez, z, ez, z)
    square = fixed(e2, m2)
    # 2 * artanh(z) = 2 * z * (1 + z**2 / 3 + z**4 / 5 + ...)
    s = u128(UNIT // 47)
    for k in range(45, 0, -2):
        s = multiply_high(square, s) + UNIT // k
    es, ms = parts_of(i64(1), s)
    e, m = product_parts(ez, z, es, ms)
    return product_parts(e, m, i64(1), u128(TWO_BY_LN2))


@typed(inline=False)
def logarithm(e: i64, m: u128) -> tuple[u64, i64, u128, bool]:
    """Sign, exponent and significand (or zero) of log2, and whether it is exact."""
    integer = e
    above = m - TOP
    sign: u64 = 0
    if m >= ROOT_OF_2:
        # From the square root of 2 on, the number below one.
        integer = e + 1
        above = -m
        sign = u64(1)
    has_fraction = above != 0
    ef: i64 = 0
    fraction: u128 = 0
    if has_fraction:
        # z = (x - 1) / (x + 1), with half the sum
        total = (m >> 1) + (TOP if sign != 0 else TOP >> 1)
        en, n = parts_of(i64(0), above)
        ed, d = parts_of(i64(1), total)
        ez, z = divide_parts(en, n, ed, d)
        ef, fraction = logarithm_of_ratio(ez, z)
    if integer == 0:
        return sign, ef, fraction, not has_fraction
    sign_of_integer = u64(integer < 0)
    magnitude = u64(-integer if integer < 0 else integer)
    ei, mi = parts_of(i64(63), u128(magnitude) << 64)
    if not has_fraction:
        return sign_of_integer, ei, mi, True
    result_sign, result_e, result = sum_parts(sign_of_integer, ei, mi, sign, ef, fraction)
    return result_sign, result_e, result, False


@typed(inline=True)
def below_one(s: u128) -> u128:
    """A sum that is below one, though its difference from one may be too small to be seen."""
    return s - 1 if s == UNIT else s


@typed(inline=False)
def sine(e: i64, m: u128) -> tuple[i64, u128]:
    """The sine of a number up to pi / 4."""
    e2, m2 = product_parts(e, m, e, m)
    square = fixed(e2, m2)
    s = u128(UNIT)
    for k in range(15, 0, -1):
        step = u128(WHOLE // (2 * k * (2 * k + 1)))
        s = UNIT - multiply_high(multiply_high(square, s), step)
    es, ms = parts_of(i64(1), below_one(s))
    return product_parts(e, m, es, ms)


@typed(inline=False)
def cosine(e: i64, m: u128) -> tuple[i64, u128]:
    """The cosine of a number up to pi / 4."""
    e2, m2 = product_parts(e, m, e, m)
    square = fixed(e2, m2)
    s = u128(UNIT)
    for k in range(15, 0, -1):
        step = u128(WHOLE // (2 * k * (2 * k - 1)))
        s = UNIT - multiply_high(multiply_high(square, s), step)
    return parts_of(i64(1), below_one(s))


@typed(inline=False)
def small_arctangent(e: i64, m: u128) -> tuple[i64, u128]:
    """The arc tangent of a number up to 0.07."""
    e2, m2 = product_parts(e, m, e, m)
    square = fixed(e2, m2)
    s = u128(UNIT // 33)
    for k in range(31, 0, -2):
        s = UNIT // k - multiply_high(square, s)
    es, ms = parts_of(i64(1), below_one(s))
    return product_parts(e, m, es, ms)
