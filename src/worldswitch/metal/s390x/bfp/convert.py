"""Conversions: between formats, to integral values, to and from integers. ref: PoP 19"""

from worldswitch.engine import clz, i64, typed, u64, u128
from worldswitch.metal.s390x.bfp.fields import condition_of
from worldswitch.metal.s390x.bfp.rounding import (
    METHOD,
    deliver,
    recognize_inexact,
    recognize_invalid,
    rounds_up,
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
    pack,
    precision,
    quieten,
    sign_of,
    signed_zero,
    split,
)
from worldswitch.metal.softfloat.parts import A_HALF, integral_part


@typed(inline=False)
def to_integral(cpu: Cpu, w: u64, how: u64, image: u128) -> tuple[u128, u64]:
    """The number rounded to an integral value, in its own format. ref: PoP 19 LOAD FP INTEGER"""
    kind = classify(w, image)
    if kind == SIGNALLING:
        return quieten(w, image), recognize_invalid(cpu)
    if kind != FINITE:
        return image, u64(0)
    e, m = split(w, image)
    if e >= i64(precision(w)) - 1:
        return image, u64(0)
    sign = sign_of(image)
    integer, rest = integral_part(e, m)
    up = rounds_up(how & METHOD, sign, integer & 1 != 0, u128(rest), u128(A_HALF))
    if up:
        integer += 1
    result = signed_zero(sign)
    if integer != 0:
        zeros = clz(integer)
        result = pack(w, sign, 127 - i64(u64(zeros)), integer << zeros)
    return result, recognize_inexact(cpu, how, rest != 0, up)


@typed(inline=False)
def to_integer(
    cpu: Cpu, w: u64, how: u64, image: u128, width: u64, logical: bool
) -> tuple[u64, u64, u64]:
    """Integer of `width` bits, condition code and data-exception code.

    What does not fit gives the nearest integer (a NaN the least one) and condition code 3; it is
    an invalid operation and inexact. ref: PoP 19 CONVERT TO FIXED, CONVERT TO LOGICAL
    """
    kind = classify(w, image)
    if kind == ZERO:
        return u64(0), u64(0), u64(0)
    sign = sign_of(image)
    if kind == FINITE:
        e, m = split(w, image)
        if e < 64:
            integer, rest = integral_part(e, m)
            up = rounds_up(how & METHOD, sign, integer & 1 != 0, u128(rest), u128(A_HALF))
            if up:
                integer += 1
            # The greatest magnitude with this sign.
            most = (u128(1) << width) - 1
            if not logical:
                most = (most >> 1) + u128(sign)
            elif sign != 0:
                most = u128(0)
            if integer <= most:
                value = u64(integer)
                if sign != 0:
                    value = -value
                inexact = recognize_inexact(cpu, how, rest != 0, up)
                return value, condition_of(w, image), inexact
    saturated: u64 = 0
    if logical:
        if sign == 0 and kind <= INFINITE:
            saturated = ~u64(0) >> (64 - width)
    else:
        saturated = u64(1) << (width - 1)
        if sign == 0 and kind <= INFINITE:
            saturated = saturated - 1
    dxc = recognize_invalid(cpu)
    if dxc == 0:
        dxc = recognize_inexact(cpu, how, True, False)
    return saturated, u64(3), dxc


@typed(inline=False)
def from_integer(cpu: Cpu, w: u64, how: u64, sign: u64, magnitude: u64) -> tuple[u128, u64]:
    """An integer, given by sign and magnitude, in format `w`."""
    if magnitude == 0:
        return u128(0), u64(0)
    zeros = clz(magnitude)
    m = u128(magnitude << zeros) << 64
    return deliver(cpu, w, how, sign, 63 - i64(zeros), m)


@typed(inline=False)
def reformat(cpu: Cpu, w: u64, to: u64, how: u64, image: u128) -> tuple[u128, u64]:
    """A number in another format. ref: PoP 19 LOAD LENGTHENED, LOAD ROUNDED"""
    kind = classify(w, image)
    if kind >= QUIET:
        result = convert_nan(w, to, image)
        if kind == SIGNALLING:
            return result, recognize_invalid(cpu)
        return result, u64(0)
    sign = sign_of(image)
    if kind == INFINITE:
        return infinity(to, sign), u64(0)
    if kind == ZERO:
        return image, u64(0)
    e, m = split(w, image)
    return deliver(cpu, to, how, sign, e, m)


@typed(inline=False)
def class_bit(w: u64, image: u128) -> u64:
    """Position from the right of a number's class in TEST DATA CLASS's mask."""
    kind = classify(w, image)
    position: u64 = 1 - sign_of(image)
    if kind == ZERO:
        return position + 10
    if kind == FINITE:
        if u64((image << 1) >> (128 - w)) == 0:
            return position + 6
        return position + 8
    if kind == INFINITE:
        return position + 4
    if kind == QUIET:
        return position + 2
    return position
