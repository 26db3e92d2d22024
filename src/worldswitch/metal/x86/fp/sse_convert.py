"""Conversions of SSE: to and from integers, between formats, to integral values. ref: APM4"""

from typing import Any

from worldswitch.engine import Typed, clz, ctz, f32, f64, i32, i64, typed, u32, u64, u128
from worldswitch.engine.intrinsics import (
    bits_of_f32,
    bits_of_f64,
    ceiling,
    f32_of_bits,
    f64_of_bits,
    floor,
    round_even,
    truncate,
)
from worldswitch.metal.softfloat.images import (
    FINITE,
    INFINITE,
    LONG,
    QUIET,
    SHORT,
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
from worldswitch.metal.x86.fp.exceptions import (
    CHOP,
    DOWN,
    IE,
    NEAREST,
    PE,
    RC,
    UP,
    rounding_of,
    rounds_up,
)
from worldswitch.metal.x86.fp.sse_arithmetic import (
    finite32,
    finite64,
    number32,
    number64,
)
from worldswitch.metal.x86.fp.sse_exact import between, exponent64, inexact, round32
from worldswitch.metal.x86.fp.sse_soft import deliver, denormal_flag, effective

OWN_ROUNDING = 3
"""Bits of ROUNDSD's immediate: its own rounding control."""
BY_MXCSR = 4
"""Round as MXCSR says."""
NO_PRECISION = 8
"""Do not recognize an inexact result."""


@typed(inline=False)
def to_integer(w: u64, rc: u64, width: u64, operand: u128, mxcsr: u32) -> tuple[u64, u32]:
    """An integer of 32 or 64 bits; the indefinite (most negative) one if it does not fit."""
    image = effective(w, mxcsr, operand)
    kind = classify(w, image)
    if kind == ZERO:
        return u64(0), u32(0)
    if kind == FINITE:
        e, m = split(w, image)
        if e < 64:
            sign = sign_of(image)
            integer, rest = integral_part(e, m)
            if rounds_up(rc, sign, integer & 1 != 0, u128(rest), u128(A_HALF)):
                integer += 1
            if integer < (u128(1) << (width - 1)) + u128(sign):
                value = u64(integer)
                if sign != 0:
                    value = -value
                return value, inexact(rest != 0)
    return u64(1) << (width - 1), u32(IE)


@typed(inline=False)
def to_integral(w: u64, rc: u64, operand: u128, mxcsr: u32) -> tuple[u128, u32]:
    """The number rounded to an integral value in its own format."""
    image = effective(w, mxcsr, operand)
    kind = classify(w, image)
    if kind == SIGNALLING:
        return quieten(w, image), u32(IE)
    if kind != FINITE:
        return image, u32(0)
    e, m = split(w, image)
    if e >= i64(precision(w)) - 1:
        return image, u32(0)
    sign = sign_of(image)
    integer, rest = integral_part(e, m)
    if rounds_up(rc, sign, integer & 1 != 0, u128(rest), u128(A_HALF)):
        integer += 1
    result = signed_zero(sign)
    if integer != 0:
        zeros = clz(integer)
        result = pack(w, sign, 127 - i64(u64(zeros)), integer << zeros)
    return result, inexact(rest != 0)


@typed(inline=False)
def from_integer(w: u64, value: u64, mxcsr: u32) -> tuple[u128, u32]:
    """A signed integer in format `w`."""
    if value == 0:
        return u128(0), u32(0)
    sign = value >> 63
    magnitude = -value if sign != 0 else value
    zeros = clz(magnitude)
    return deliver(w, mxcsr, sign, 63 - i64(zeros), u128(magnitude << zeros) << 64)


@typed(inline=False)
def reformat(w: u64, to: u64, operand: u128, mxcsr: u32) -> tuple[u128, u32]:
    """A number of format `w` in format `to`."""
    image = effective(w, mxcsr, operand)
    kind = classify(w, image)
    if kind >= QUIET:
        return convert_nan(w, to, image), u32(IE) if kind == SIGNALLING else u32(0)
    sign = sign_of(image)
    if kind == INFINITE:
        return infinity(to, sign), u32(0)
    if kind == ZERO:
        return image, u32(0)
    e, m = split(w, image)
    result, flags = deliver(to, mxcsr, sign, e, m)
    return result, flags | denormal_flag(w, image)


@typed(inline=True)
def integral(rc: u64, value: f64) -> f64:
    """An integral value by the host's means."""
    if rc == NEAREST:
        return round_even(value)
    if rc == DOWN:
        return floor(value)
    return ceiling(value) if rc == UP else truncate(value)


@typed(inline=True)
def wide32(bits: u32) -> f64:
    """A binary32 number as the host's binary64."""
    return f64(f32_of_bits(bits))


def _make_from(kind: Any, w: int, finite: Any, number: Any) -> dict[str, Typed[Any, Any]]:
    """Conversions to integers of one format, whose bits are of class `kind`."""
    bits = kind.bits
    left = 128 - bits
    made: dict[str, Typed[Any, Any]] = {}
    for result, to in ((u32, i32), (u64, i64)):
        width = result.bits

        @typed(inline=False, name=f"f{bits}_to_i{width}_otherwise")
        def otherwise(a: kind, rc: u64, mxcsr: u32) -> tuple[result, u32]:
            """An integer in any case."""
            value, flags = to_integer(w, rc, width, u128(a) << left, mxcsr)
            return result(value), flags

        @typed(inline=True, name=f"f{bits}_to_i{width}")
        def rounded(a: kind, mxcsr: u32) -> tuple[result, u32]:
            """An integer, rounded as MXCSR says."""
            # Below half the range no rounding leads out of it.
            value = number(a)
            if mxcsr & RC == 0 and finite(a):
                if exponent64(bits_of_f64(value)) < 1021 + width:
                    nearest = round_even(value)
                    return result(to(nearest)), inexact(nearest != value)
            return otherwise(a, rounding_of(mxcsr), mxcsr)

        @typed(inline=True, name=f"f{bits}_to_i{width}_truncated")
        def truncated(a: kind, mxcsr: u32) -> tuple[result, u32]:
            """An integer, rounded towards zero."""
            value = number(a)
            if finite(a) and exponent64(bits_of_f64(value)) < 1022 + width:
                whole = truncate(value)
                return result(to(whole)), inexact(whole != value)
            return otherwise(a, u64(CHOP), mxcsr)

        made[rounded.name] = rounded
        made[truncated.name] = truncated
    return made


_from64 = _make_from(u64, LONG, finite64, f64_of_bits)
_from32 = _make_from(u32, SHORT, finite32, wide32)
f64_to_i32, f64_to_i32_truncated, f64_to_i64, f64_to_i64_truncated = _from64.values()
f32_to_i32, f32_to_i32_truncated, f32_to_i64, f32_to_i64_truncated = _from32.values()


@typed(inline=True)
def i32_to_f64(value: u32) -> u64:
    """A signed integer, exact."""
    return bits_of_f64(f64(i32(value)))


@typed(inline=True)
def significant_bits(value: u64) -> u64:
    """Bits from the first to the last one of a signed integer's magnitude; it is not zero."""
    magnitude = -value if value >> 63 != 0 else value
    return 64 - clz(magnitude) - ctz(magnitude)


@typed(inline=False)
def i64_to_f64_otherwise(value: u64, mxcsr: u32) -> tuple[u64, u32]:
    """A signed integer in any case."""
    image, flags = from_integer(LONG, value, mxcsr)
    return number64(image), flags


@typed(inline=True)
def i64_to_f64(value: u64, mxcsr: u32) -> tuple[u64, u32]:
    """A signed integer."""
    # Within 53 bits it is exact.
    if value + (1 << 53) <= 1 << 54:
        return bits_of_f64(f64(i64(value))), u32(0)
    if mxcsr & RC == 0:
        return bits_of_f64(f64(i64(value))), inexact(significant_bits(value) > 53)
    return i64_to_f64_otherwise(value, mxcsr)


@typed(inline=False)
def i64_to_f32_otherwise(value: u64, mxcsr: u32) -> tuple[u32, u32]:
    """A signed integer in any case."""
    image, flags = from_integer(SHORT, value, mxcsr)
    return number32(image), flags


@typed(inline=True)
def i64_to_f32(value: u64, mxcsr: u32) -> tuple[u32, u32]:
    """A signed integer."""
    # Within 53 bits the host's binary64 holds it, and is rounded once.
    if mxcsr & RC == 0 and value + (1 << 53) <= 1 << 54:
        _, bits, flags = round32(f64(i64(value)))
        return bits, flags
    return i64_to_f32_otherwise(value, mxcsr)


@typed(inline=True)
def i32_to_f32(value: u32, mxcsr: u32) -> tuple[u32, u32]:
    """A signed integer."""
    return i64_to_f32(u64(i64(i32(value))), mxcsr)


@typed(inline=False)
def f32_to_f64_otherwise(a: u32, mxcsr: u32) -> tuple[u64, u32]:
    """A binary32 number in binary64, in any case."""
    image, flags = reformat(SHORT, LONG, u128(a) << 96, mxcsr)
    return number64(image), flags


@typed(inline=True)
def f32_to_f64(a: u32, mxcsr: u32) -> tuple[u64, u32]:
    """A binary32 number in binary64: exact."""
    if finite32(a):
        return bits_of_f64(wide32(a)), u32(0)
    return f32_to_f64_otherwise(a, mxcsr)


@typed(inline=False)
def f64_to_f32_otherwise(a: u64, mxcsr: u32) -> tuple[u32, u32]:
    """A binary64 number in binary32, in any case."""
    image, flags = reformat(LONG, SHORT, u128(a) << 64, mxcsr)
    return number32(image), flags


@typed(inline=True)
def f64_to_f32(a: u64, mxcsr: u32) -> tuple[u32, u32]:
    """A binary64 number in binary32."""
    if mxcsr & RC == 0 and (between(exponent64(a), 898, 1149) or a << 1 == 0):
        _, bits, flags = round32(f64_of_bits(a))
        return bits, flags
    return f64_to_f32_otherwise(a, mxcsr)


@typed(inline=True)
def control_of(immediate: u32, mxcsr: u32) -> u64:
    """Rounding control of ROUNDSD and its like."""
    if immediate & BY_MXCSR != 0:
        return rounding_of(mxcsr)
    return u64(immediate & OWN_ROUNDING)


@typed(inline=False)
def round64(a: u64, immediate: u32, mxcsr: u32) -> tuple[u64, u32]:
    """A binary64 number rounded to an integral value."""
    rc = control_of(immediate, mxcsr)
    allowed = ~u32(0) if immediate & NO_PRECISION == 0 else ~u32(PE)
    if finite64(a):
        value = f64_of_bits(a)
        result = integral(rc, value)
        return bits_of_f64(result), inexact(result != value) & allowed
    image, flags = to_integral(LONG, rc, u128(a) << 64, mxcsr)
    return number64(image), flags & allowed


@typed(inline=False)
def round32_to_integral(a: u32, immediate: u32, mxcsr: u32) -> tuple[u32, u32]:
    """A binary32 number rounded to an integral value, which is a binary32 number too."""
    rc = control_of(immediate, mxcsr)
    allowed = ~u32(0) if immediate & NO_PRECISION == 0 else ~u32(PE)
    if finite32(a):
        value = wide32(a)
        result = integral(rc, value)
        return bits_of_f32(f32(result)), inexact(result != value) & allowed
    image, flags = to_integral(SHORT, rc, u128(a) << 96, mxcsr)
    return number32(image), flags & allowed
