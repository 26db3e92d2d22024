"""Exact arithmetic on exponents and significands.

A significand has its leading one in bit 127; its last bit stands for all ones to the right of it
too (it is *jammed*). The value is significand / 2**127 * 2**exponent.
"""

from worldswitch.engine import clz, i64, typed, u64, u128

LOW = 0xFFFF_FFFF_FFFF_FFFF
A_HALF = 2
"""How what is right of a point compares: 0 nothing, 1 less than a half, 2 a half, 3 more."""


@typed(inline=False)
def shift_right_jam(value: u128, count: u64) -> u128:
    """Shift right; the last bit is one if any one was lost."""
    if count == 0:
        return value
    if count >= 128:
        return u128(value != 0)
    return (value >> count) | u128((value << (128 - count)) != 0)


@typed(inline=False)
def sum_parts(
    sign_a: u64, ea: i64, a: u128, sign_b: u64, eb: i64, b: u128
) -> tuple[u64, i64, u128]:
    """Sign, exponent and significand of a sum, exact but for the last bit, which is jammed.

    The significand is zero if the operands cancel. At least 14 bits at the right of theirs are
    zero, so that what is jammed never comes near the result's last digit.
    """
    x = a >> 1
    y = b >> 1
    e = ea
    if ea < eb:
        e = eb
        x = shift_right_jam(x, u64(eb - ea))
    else:
        y = shift_right_jam(y, u64(ea - eb))
    sign = sign_a
    total = x + y
    if sign_a != sign_b:
        total = x - y
        if x < y:
            total = y - x
            sign = sign_b
    if total == 0:
        return sign, e, total
    zeros = clz(total)
    return sign, e + 1 - i64(u64(zeros)), total << zeros


@typed(inline=False)
def product_parts(ea: i64, a: u128, eb: i64, b: u128) -> tuple[i64, u128]:
    """Exponent and significand of a product; the last bit is jammed."""
    a1 = a >> 64
    a0 = a & LOW
    b1 = b >> 64
    b0 = b & LOW
    lowest = a0 * b0
    cross1 = a1 * b0
    cross0 = a0 * b1
    middle = (lowest >> 64) + (cross1 & LOW) + (cross0 & LOW)
    high = a1 * b1 + (cross1 >> 64) + (cross0 >> 64) + (middle >> 64)
    low = (lowest & LOW) | (middle << 64)
    e = ea + eb + 1
    if high >> 127 == 0:
        high = (high << 1) | (low >> 127)
        low = low << 1
        e = ea + eb
    return e, high | u128(low != 0)


@typed(inline=False)
def quotient(a: u128, b: u128, count: u64) -> tuple[u128, u128]:
    """`count` bits of a / b, for b <= a < 2b < 2**128, and twice the remainder."""
    rest = a
    q = u128(0)
    n = count
    while n != 0:
        q = q << 1
        if rest >= b:
            rest = rest - b
            q = q | 1
        rest = rest << 1
        n -= 1
    return q, rest


@typed(inline=False)
def root(radicand: u128, count: u64) -> u128:
    """Square root of a number from 1 to 4, by digits: `count` bits behind the point.

    Both have the point behind the seventh bit from the left; the last bit of the root is jammed.
    """
    bit = u128(1) << 119
    q = u128(1) << 120
    rest = radicand - q
    n = count
    while n != 0:
        # rest is (radicand - q * q) * 2**i in round i.
        step = (q << 1) | bit
        rest = rest << 1
        if rest >= step:
            rest = rest - step
            q = q | bit
        bit = bit >> 1
        n -= 1
    return q | u128(rest != 0)


@typed(inline=False)
def integral_part(exponent: i64, significand: u128) -> tuple[u128, u64]:
    """The integer within a number below 2**128 and what is right of the point (as A_HALF says)."""
    if exponent < -1:
        return u128(0), u64(1)
    if exponent == -1:
        return u128(0), u64(A_HALF) + u64(significand << 1 != 0)
    if exponent == 127:
        return significand, u64(0)
    integer = significand >> u64(127 - exponent)
    rest = significand << u64(exponent + 1)
    where = u64(rest >> 127) << 1
    return integer, where + u64(rest << 1 != 0)
