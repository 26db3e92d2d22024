"""SSE arithmetic in integers, for operands, results and roundings that are not ordinary.

Numbers are images of format `w` (softfloat/images.py): SHORT or LONG. Each function returns the
masked result and the exceptions. ref: APM1 4.10
"""

from worldswitch.engine import i64, typed, u32, u64, u128
from worldswitch.metal.softfloat.images import (
    FINITE,
    INFINITE,
    QUIET,
    SIGN,
    SIGNALLING,
    ZERO,
    bias_of,
    classify,
    default_nan,
    infinity,
    pack,
    precision,
    quieten,
    sign_of,
    signed_zero,
    split,
)
from worldswitch.metal.softfloat.parts import (
    product_parts,
    quotient,
    root,
    shift_right_jam,
    sum_parts,
)
from worldswitch.metal.x86.fp.exceptions import (
    DAZ,
    DE,
    DOWN,
    FTZ,
    IE,
    OE,
    PE,
    UE,
    UM,
    ZE,
    overflows_to_infinity,
    rounding_of,
    rounds_up,
)


@typed(inline=True)
def has_denormal(w: u64, image: u128) -> bool:
    """Is it nonzero with a zero exponent field?"""
    magnitude = image << 1
    return magnitude != 0 and magnitude >> (128 - w) == 0


@typed(inline=True)
def effective(w: u64, mxcsr: u32, image: u128) -> u128:
    """The operand as the operation takes it: with DAZ, a zero for a denormal."""
    if mxcsr & DAZ != 0 and has_denormal(w, image):
        return image & SIGN
    return image


@typed(inline=True)
def denormal_flag(w: u64, image: u128) -> u32:
    """DE if an effective operand is denormal."""
    return u32(DE) if has_denormal(w, image) else u32(0)


@typed(inline=True)
def invalid_result(w: u64) -> u128:
    """The default NaN, which is negative: the "real indefinite". ref: APM1 4.4.6"""
    return default_nan(w) | SIGN


@typed(inline=False)
def nan_result(w: u64, a: u128, b: u128) -> tuple[u128, u32]:
    """The result if one operand is a NaN: the first one that is. ref: APM1 4.4.6"""
    of_a = classify(w, a)
    of_b = classify(w, b)
    flags = u32(of_a == SIGNALLING or of_b == SIGNALLING)
    if of_a >= QUIET:
        return quieten(w, a), flags
    return quieten(w, b), flags


@typed(inline=False)
def overflow(w: u64, mxcsr: u32, sign: u64, inexact: bool) -> tuple[u128, u32]:
    """The masked result of an overflow; `inexact` before the range was looked at."""
    flags: u32 = OE | PE
    if mxcsr >> 10 & 1 == 0 and not inexact:
        flags = u32(OE)
    if overflows_to_infinity(rounding_of(mxcsr), sign):
        return infinity(w, sign), flags
    # The greatest number is one unit in the last place below infinity's bits.
    return infinity(w, sign) - (u128(1) << (128 - w - precision(w))), flags


@typed(inline=False)
def deliver_tiny(w: u64, mxcsr: u32, sign: u64, exponent: i64, m: u128) -> tuple[u128, u32]:
    """Round a number that stays below the normal range."""
    if mxcsr & FTZ != 0:
        return signed_zero(sign), u32(UE | PE)
    significand = shift_right_jam(m, u64(1 - bias_of(w) - exponent))
    unit = u128(1) << (128 - precision(w))
    rest = significand & (unit - 1)
    kept = significand - rest
    if rounds_up(rounding_of(mxcsr), sign, kept & unit != 0, rest, unit >> 1):
        kept = kept + unit
    image = (u128(sign) << 127) | ((kept >> 127) << (127 - w)) | ((kept << 1) >> (w + 1))
    return image, u32(UE | PE) if rest != 0 else u32(0)


@typed(inline=False)
def deliver(w: u64, mxcsr: u32, sign: u64, exponent: i64, m: u128) -> tuple[u128, u32]:
    """Round a nonzero number to format `w`. Tininess is detected after rounding.

    The last bit of the significand stands for all ones to the right of it too.
    """
    unit = u128(1) << (128 - precision(w))
    rest = m & (unit - 1)
    kept = m - rest
    e = exponent
    if rounds_up(rounding_of(mxcsr), sign, kept & unit != 0, rest, unit >> 1):
        kept = kept + unit
        if kept == 0:
            kept = u128(1) << 127
            e += 1
    flags: u32 = PE if rest != 0 else 0
    if e > bias_of(w):
        return overflow(w, mxcsr, sign, rest != 0)
    if e < 1 - bias_of(w):
        if mxcsr & UM == 0:
            return signed_zero(sign), flags | UE
        return deliver_tiny(w, mxcsr, sign, exponent, m)
    return pack(w, sign, e, kept), flags


@typed(inline=True)
def zero_sum(mxcsr: u32) -> u128:
    """The zero that operands of unlike sign add up to."""
    return signed_zero(u64(rounding_of(mxcsr) == DOWN))


@typed(inline=False)
def add_parts(w: u64, a: u128, b: u128, mxcsr: u32) -> tuple[u128, u32]:
    """The sum of finite operands."""
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a == ZERO and of_b == ZERO:
        return (a if a == b else zero_sum(mxcsr)), u32(0)
    if of_a == ZERO or of_b == ZERO:
        other = b if of_a == ZERO else a
        e, m = split(w, other)
        return deliver(w, mxcsr, sign_of(other), e, m)
    ea, ma = split(w, a)
    eb, mb = split(w, b)
    sign, e, m = sum_parts(sign_of(a), ea, ma, sign_of(b), eb, mb)
    if m == 0:
        return zero_sum(mxcsr), u32(0)
    return deliver(w, mxcsr, sign, e, m)


@typed(inline=False)
def add(w: u64, first: u128, second: u128, flip: u128, mxcsr: u32) -> tuple[u128, u32]:
    """a + b, where `flip` (SIGN or 0) is the sign bit to invert in b, unless it is a NaN."""
    a = effective(w, mxcsr, first)
    b = effective(w, mxcsr, second)
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(w, a, b)
    b = b ^ flip
    if of_a == INFINITE and of_b == INFINITE and a != b:
        return invalid_result(w), u32(IE)
    flags = denormal_flag(w, a) | denormal_flag(w, b)
    if of_a == INFINITE:
        return a, flags
    if of_b == INFINITE:
        return b, flags
    image, raised = add_parts(w, a, b, mxcsr)
    return image, flags | raised


@typed(inline=False)
def multiply(w: u64, first: u128, second: u128, mxcsr: u32) -> tuple[u128, u32]:
    """a * b."""
    a = effective(w, mxcsr, first)
    b = effective(w, mxcsr, second)
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(w, a, b)
    sign = sign_of(a ^ b)
    flags = denormal_flag(w, a) | denormal_flag(w, b)
    if of_a == INFINITE or of_b == INFINITE:
        if of_a == ZERO or of_b == ZERO:
            return invalid_result(w), u32(IE)
        return infinity(w, sign), flags
    if of_a == ZERO or of_b == ZERO:
        return signed_zero(sign), flags
    ea, ma = split(w, a)
    eb, mb = split(w, b)
    e, m = product_parts(ea, ma, eb, mb)
    image, raised = deliver(w, mxcsr, sign, e, m)
    return image, flags | raised


@typed(inline=False)
def divide(w: u64, first: u128, second: u128, mxcsr: u32) -> tuple[u128, u32]:
    """a / b."""
    a = effective(w, mxcsr, first)
    b = effective(w, mxcsr, second)
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(w, a, b)
    sign = sign_of(a ^ b)
    if of_a == of_b and of_a != FINITE:
        return invalid_result(w), u32(IE)
    flags = denormal_flag(w, a) | denormal_flag(w, b)
    if of_a == INFINITE:
        return infinity(w, sign), flags
    if of_b == ZERO:
        return infinity(w, sign), u32(ZE)
    if of_a == ZERO or of_b == INFINITE:
        return signed_zero(sign), flags
    ea, ma = split(w, a)
    eb, mb = split(w, b)
    e = ea - eb
    x = ma >> 1
    y = mb >> 1
    if x < y:
        x = x << 1
        e -= 1
    count = precision(w) + 2
    q, rest = quotient(x, y, count)
    image, raised = deliver(w, mxcsr, sign, e, (q << (128 - count)) | u128(rest != 0))
    return image, flags | raised


@typed(inline=False)
def square_root(w: u64, operand: u128, mxcsr: u32) -> tuple[u128, u32]:
    """The square root of a."""
    a = effective(w, mxcsr, operand)
    kind = classify(w, a)
    if kind >= QUIET:
        return nan_result(w, a, a)
    if kind == ZERO:
        return a, u32(0)
    if sign_of(a) != 0:
        return invalid_result(w), u32(IE)
    if kind == INFINITE:
        return a, u32(0)
    e, m = split(w, a)
    radicand = m >> 7
    if e & 1 != 0:
        radicand = m >> 6
    q = root(radicand, precision(w) + 1)
    # Two guard bits behind the precision are exact; jam the rest at the very right.
    image, raised = deliver(w, mxcsr, u64(0), e >> 1, (q << 7) | (q & 1))
    return image, raised | denormal_flag(w, a)


@typed(inline=False)
def fused_nan(w: u64, a: u128, b: u128, c: u128) -> tuple[u128, u32]:
    """The result if an operand of a * b + c is a NaN: the first one that is."""
    if classify(w, a) >= QUIET or classify(w, b) >= QUIET:
        image, flags = nan_result(w, a, b)
        return image, flags | u32(classify(w, c) == SIGNALLING)
    return nan_result(w, c, c)


@typed(inline=False)
def fused(
    w: u64, first: u128, second: u128, third: u128, negate: u32, mxcsr: u32
) -> tuple[u128, u32]:
    """a * b + c with one rounding; `negate`: bit 0 the product, bit 1 the addend."""
    a = effective(w, mxcsr, first)
    b = effective(w, mxcsr, second)
    c = effective(w, mxcsr, third)
    of_a = classify(w, a)
    of_b = classify(w, b)
    of_c = classify(w, c)
    if of_a >= QUIET or of_b >= QUIET or of_c >= QUIET:
        return fused_nan(w, a, b, c)
    c = c ^ (u128(negate >> 1 & 1) << 127)
    sign = sign_of(a ^ b) ^ u64(negate & 1)
    flags = denormal_flag(w, a) | denormal_flag(w, b) | denormal_flag(w, c)
    if of_a == INFINITE or of_b == INFINITE:
        wrong = of_a == ZERO or of_b == ZERO
        if wrong or (of_c == INFINITE and sign_of(c) != sign):
            return invalid_result(w), u32(IE)
        return infinity(w, sign), flags
    if of_c == INFINITE:
        return c, flags
    if of_a == ZERO or of_b == ZERO:
        image, raised = add_parts(w, signed_zero(sign), c, mxcsr)
        return image, flags | raised
    ea, ma = split(w, a)
    eb, mb = split(w, b)
    e, m = product_parts(ea, ma, eb, mb)
    if of_c != ZERO:
        ec, mc = split(w, c)
        sign, e, m = sum_parts(sign, e, m, sign_of(c), ec, mc)
    if m == 0:
        return zero_sum(mxcsr), flags
    image, raised = deliver(w, mxcsr, sign, e, m)
    return image, flags | raised
