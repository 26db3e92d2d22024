"""Add, multiply, divide, square root, fused multiply and add. ref: PoP 19

Each takes images of format `w` and returns the result's image and a data-exception code.
"""

from worldswitch.engine import typed, u64, u128
from worldswitch.metal.s390x.bfp.fields import order
from worldswitch.metal.s390x.bfp.rounding import (
    DOWNWARD,
    current_mode,
    deliver,
    invalid_result,
    nan_result,
    recognize_division,
    recognize_invalid,
)
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.softfloat.images import (
    FINITE,
    INFINITE,
    QUIET,
    SIGNALLING,
    ZERO,
    classify,
    convert_nan,
    infinity,
    precision,
    quieten,
    sign_of,
    signed_zero,
    split,
)
from worldswitch.metal.softfloat.parts import product_parts, quotient, root, sum_parts


@typed(inline=False)
def add_zero(cpu: Cpu, w: u64, a: u128, b: u128) -> tuple[u128, u64]:
    """A sum of numbers of which one at least is zero."""
    of_a = classify(w, a)
    mode = current_mode(cpu)
    other = b if of_a == ZERO else a
    if of_a == ZERO and classify(w, b) == ZERO:
        if a == b:
            return a, u64(0)
        return signed_zero(u64(mode == DOWNWARD)), u64(0)
    e, m = split(w, other)
    return deliver(cpu, w, mode, sign_of(other), e, m)


@typed(inline=False)
def add(cpu: Cpu, w: u64, a: u128, b: u128, flip: u128) -> tuple[u128, u64]:
    """a + b, where `flip` (SIGN or 0) is the sign bit to invert in b, unless it is a NaN."""
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(cpu, w, a, b)
    other = b ^ flip
    if of_a == INFINITE:
        if of_b == INFINITE and a != other:
            return invalid_result(cpu, w)
        return a, u64(0)
    if of_b == INFINITE:
        return other, u64(0)
    if of_a == ZERO or of_b == ZERO:
        return add_zero(cpu, w, a, other)
    ea, ma = split(w, a)
    eb, mb = split(w, other)
    sign, e, m = sum_parts(sign_of(a), ea, ma, sign_of(other), eb, mb)
    mode = current_mode(cpu)
    if m == 0:
        return signed_zero(u64(mode == DOWNWARD)), u64(0)
    return deliver(cpu, w, mode, sign, e, m)


@typed(inline=False)
def multiply(cpu: Cpu, w: u64, to: u64, a: u128, b: u128) -> tuple[u128, u64]:
    """a * b, rounded to format `to`, which is `w` or the next longer one."""
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        image, dxc = nan_result(cpu, w, a, b)
        return convert_nan(w, to, image), dxc
    sign = sign_of(a ^ b)
    if of_a == INFINITE or of_b == INFINITE:
        if of_a == ZERO or of_b == ZERO:
            return invalid_result(cpu, to)
        return infinity(to, sign), u64(0)
    if of_a == ZERO or of_b == ZERO:
        return signed_zero(sign), u64(0)
    ea, ma = split(w, a)
    eb, mb = split(w, b)
    e, m = product_parts(ea, ma, eb, mb)
    return deliver(cpu, to, current_mode(cpu), sign, e, m)


@typed(inline=False)
def divide(cpu: Cpu, w: u64, a: u128, b: u128) -> tuple[u128, u64]:
    """a / b."""
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        return nan_result(cpu, w, a, b)
    sign = sign_of(a ^ b)
    if of_a == of_b and of_a != FINITE:
        return invalid_result(cpu, w)
    if of_a == INFINITE:
        return infinity(w, sign), u64(0)
    if of_b == ZERO:
        return infinity(w, sign), recognize_division(cpu)
    if of_a == ZERO or of_b == INFINITE:
        return signed_zero(sign), u64(0)
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
    m = (q << (128 - count)) | u128(rest != 0)
    return deliver(cpu, w, current_mode(cpu), sign, e, m)


@typed(inline=False)
def square_root(cpu: Cpu, w: u64, a: u128) -> tuple[u128, u64]:
    """The square root of a."""
    of_a = classify(w, a)
    if of_a == SIGNALLING:
        return quieten(w, a), recognize_invalid(cpu)
    if of_a == QUIET or of_a == ZERO:
        return a, u64(0)
    if sign_of(a) != 0:
        return invalid_result(cpu, w)
    if of_a == INFINITE:
        return a, u64(0)
    e, m = split(w, a)
    radicand = m >> 7
    if e & 1 != 0:
        radicand = m >> 6
    q = root(radicand, precision(w) + 1)
    # Two guard bits behind the precision are exact; jam the rest at the very right.
    return deliver(cpu, w, current_mode(cpu), u64(0), e >> 1, (q << 7) | (q & 1))


@typed(inline=False)
def fused_nan(cpu: Cpu, w: u64, a: u128, b: u128, c: u128) -> tuple[u128, u64]:
    """The NaN of b * c + a. The order is: second, third, first operand."""
    if classify(w, b) != SIGNALLING and classify(w, c) != SIGNALLING:
        if classify(w, a) == SIGNALLING:
            return quieten(w, a), recognize_invalid(cpu)
        if classify(w, b) < QUIET and classify(w, c) < QUIET:
            return a, u64(0)
    return nan_result(cpu, w, b, c)


@typed(inline=False)
def multiply_add(cpu: Cpu, w: u64, a: u128, b: u128, c: u128, flip: u128) -> tuple[u128, u64]:
    """b * c + a with one rounding, short and long; `flip` (SIGN or 0) inverts a's sign."""
    of_a = classify(w, a)
    of_b = classify(w, b)
    of_c = classify(w, c)
    if (of_b == INFINITE and of_c == ZERO) or (of_b == ZERO and of_c == INFINITE):
        return invalid_result(cpu, w)
    if of_a >= QUIET or of_b >= QUIET or of_c >= QUIET:
        return fused_nan(cpu, w, a, b, c)
    addend = a ^ flip
    sign = sign_of(b ^ c)
    if of_b == INFINITE or of_c == INFINITE:
        if of_a == INFINITE and sign_of(addend) != sign:
            return invalid_result(cpu, w)
        return infinity(w, sign), u64(0)
    if of_a == INFINITE:
        return addend, u64(0)
    if of_b == ZERO or of_c == ZERO:
        return add_zero(cpu, w, signed_zero(sign), addend)
    eb, mb = split(w, b)
    ec, mc = split(w, c)
    e, m = product_parts(eb, mb, ec, mc)
    mode = current_mode(cpu)
    if of_a == ZERO:
        return deliver(cpu, w, mode, sign, e, m)
    ea, ma = split(w, addend)
    result_sign, e, m = sum_parts(sign, e, m, sign_of(addend), ea, ma)
    if m == 0:
        return signed_zero(u64(mode == DOWNWARD)), u64(0)
    return deliver(cpu, w, mode, result_sign, e, m)


@typed(inline=False)
def compare(cpu: Cpu, w: u64, a: u128, b: u128, signal: bool) -> tuple[u64, u64]:
    """Condition code (0 equal, 1 low, 2 high, 3 unordered) and data-exception code.

    `signal`: a quiet NaN is an invalid operation too.
    """
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        if signal or of_a == SIGNALLING or of_b == SIGNALLING:
            return u64(3), recognize_invalid(cpu)
        return u64(3), u64(0)
    return order(a, b), u64(0)
