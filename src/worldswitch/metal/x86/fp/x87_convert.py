"""Conversions of the x87: memory formats, integers, integral values, packed decimal, constants.

ref: APM5 FLD, FST, FILD, FIST, FISTTP, FBLD, FBSTP, FRNDINT, FLDPI
"""

from worldswitch.engine import clz, i64, typed, u16, u32, u64, u128
from worldswitch.metal.softfloat.images import LONG, SHORT, bias_of, precision
from worldswitch.metal.softfloat.parts import A_HALF, integral_part, shift_right_jam
from worldswitch.metal.x86.fp.exceptions import (
    CHOP,
    DE,
    DOWN,
    IE,
    OE,
    PE,
    UE,
    UP,
    overflows_to_infinity,
    rounds_up,
)
from worldswitch.metal.x86.fp.x87_core import (
    BIAS,
    C1,
    FINITE,
    INFINITE,
    LARGEST_FIELD,
    MARK,
    QUIET,
    QUIET_BIT,
    SIGNALLING,
    ZERO,
    classify,
    considered,
    denormal_flag,
    make,
    nan_result,
    round_off,
    rounding_of,
    sign_of,
    split,
)


@typed(inline=False)
def widen(w: u64, image: u128) -> u128:
    """A number of format `w`, its image at the left, as it is; MARK with a denormal."""
    sign = u64(image >> 127)
    field = u64((image << 1) >> (128 - w))
    fraction = u64((image << (w + 1)) >> 64)
    if field == (u64(1) << w) - 1:
        return make(sign, u64(LARGEST_FIELD), (fraction >> 1) | (u64(1) << 63))
    if field != 0:
        exponent = u64(i64(field) - bias_of(w) + BIAS)
        return make(sign, exponent, (fraction >> 1) | (u64(1) << 63))
    if fraction == 0:
        return make(sign, u64(0), u64(0))
    zeros = clz(fraction)
    exponent = u64(i64(BIAS) - bias_of(w) - i64(zeros))
    return make(sign, exponent, fraction << zeros) | MARK


@typed(inline=False)
def operand_f32(bits: u32) -> u128:
    """A binary32 operand in memory, for the operation to report what is wrong with it."""
    return widen(SHORT, u128(bits) << 96)


@typed(inline=False)
def operand_f64(bits: u64) -> u128:
    """A binary64 operand in memory."""
    return widen(LONG, u128(bits) << 64)


@typed(inline=True)
def loaded(a: u128) -> tuple[u128, u16]:
    """What FLD makes of an operand from memory."""
    if classify(a) == SIGNALLING:
        return a | QUIET_BIT, u16(IE)
    return a & (MARK - 1), u16(DE) if a & MARK != 0 else u16(0)


@typed(inline=False)
def f80_of_f32(bits: u32, control: u16) -> tuple[u128, u16]:
    """FLD m32."""
    return loaded(operand_f32(bits))


@typed(inline=False)
def f80_of_f64(bits: u64, control: u16) -> tuple[u128, u16]:
    """FLD m64."""
    return loaded(operand_f64(bits))


@typed(inline=False)
def f80_of_i64(value: u64) -> u128:
    """A signed integer: exact."""
    if value == 0:
        return u128(0)
    magnitude = -value if value >> 63 != 0 else value
    zeros = clz(magnitude)
    return make(value >> 63, BIAS + 63 - zeros, magnitude << zeros)


@typed(inline=True)
def infinity(w: u64, sign: u64) -> u128:
    """The image of an infinity."""
    return (u128(sign) << 127) | (((u128(1) << w) - 1) << (127 - w))


@typed(inline=False)
def narrow_finite(w: u64, a: u128, control: u16) -> tuple[u128, u16]:
    """A finite nonzero number as an image of format `w`.

    Nothing is stored with an unmasked overflow or underflow, and the loss of precision not told.
    """
    sign = sign_of(a)
    e, m = split(a)
    drop = 128 - precision(w)
    kept, carried, status = round_off(control, sign, m, drop)
    rounded = e + 1 if carried else e
    if rounded > bias_of(w):
        if control & OE == 0:
            return u128(0), u16(OE)
        if overflows_to_infinity(rounding_of(control), sign):
            return infinity(w, sign), u16(OE | PE | C1)
        return infinity(w, sign) - (u128(1) << (128 - w - precision(w))), u16(OE | PE)
    if rounded < 1 - bias_of(w):
        if control & UE == 0:
            return u128(0), u16(UE)
        jammed = shift_right_jam(m, u64(1 - bias_of(w) - e))
        kept, _, status = round_off(control, sign, jammed, drop)
        if status != 0:
            status = status | UE
        image = (u128(sign) << 127) | ((kept >> 127) << (127 - w)) | ((kept << 1) >> (w + 1))
        return image, status
    biased = u64(rounded + bias_of(w))
    return (u128(sign) << 127) | (u128(biased) << (127 - w)) | ((kept << 1) >> (w + 1)), status


@typed(inline=False)
def narrow(w: u64, a: u128, control: u16) -> tuple[u128, u16]:
    """An image of format `w`."""
    kind = classify(a)
    sign = sign_of(a)
    if kind == FINITE:
        return narrow_finite(w, a, control)
    if kind == ZERO:
        return u128(sign) << 127, u16(0)
    if kind == INFINITE:
        return infinity(w, sign), u16(0)
    chosen, status = nan_result(a, a)
    payload = (chosen << 65) >> (w + 1)
    return infinity(w, sign_of(chosen)) | payload, status


@typed(inline=False)
def f80_to_f32(a: u128, control: u16) -> tuple[u32, u16]:
    """FST m32."""
    image, status = narrow(SHORT, a, control)
    return u32(image >> 96), status


@typed(inline=False)
def f80_to_f64(a: u128, control: u16) -> tuple[u64, u16]:
    """FST m64."""
    image, status = narrow(LONG, a, control)
    return u64(image >> 64), status


@typed(inline=True)
def rounded_status(rest: u64, up: bool) -> u16:
    """PE and C1 of an integral result."""
    if rest == 0:
        return u16(0)
    return u16(PE | C1) if up else u16(PE)


@typed(inline=False)
def to_integer(width: u64, a: u128, rc: u64) -> tuple[u64, u16]:
    """An integer of `width` bits; the most negative one if it does not fit."""
    kind = classify(a)
    if kind == ZERO:
        return u64(0), u16(0)
    if kind == FINITE:
        e, m = split(a)
        if e < 64:
            sign = sign_of(a)
            integer, rest = integral_part(e, m)
            up = rounds_up(rc, sign, integer & 1 != 0, u128(rest), u128(A_HALF))
            if up:
                integer += 1
            if integer < (u128(1) << (width - 1)) + u128(sign):
                value = u64(integer)
                if sign != 0:
                    value = -value
                return value, rounded_status(rest, up)
    return u64(1) << (width - 1), u16(IE)


@typed(inline=False)
def f80_to_i16(a: u128, truncate: bool, control: u16) -> tuple[u16, u16]:
    """FIST m16; FISTTP if it truncates."""
    value, status = to_integer(16, a, u64(CHOP) if truncate else rounding_of(control))
    return u16(value), status


@typed(inline=False)
def f80_to_i32(a: u128, truncate: bool, control: u16) -> tuple[u32, u16]:
    """FIST m32; FISTTP if it truncates."""
    value, status = to_integer(32, a, u64(CHOP) if truncate else rounding_of(control))
    return u32(value), status


@typed(inline=False)
def f80_to_i64(a: u128, truncate: bool, control: u16) -> tuple[u64, u16]:
    """FISTP m64; FISTTP if it truncates."""
    value, status = to_integer(64, a, u64(CHOP) if truncate else rounding_of(control))
    return value, status


@typed(inline=False)
def f80_round(a: u128, control: u16) -> tuple[u128, u16]:
    """FRNDINT."""
    kind = classify(a)
    if kind >= QUIET:
        result, status = nan_result(a, a)
        return considered(control, a, result, status)
    if kind != FINITE:
        return a, u16(0)
    status = denormal_flag(a)
    e, m = split(a)
    if e >= 63:
        return a, status
    sign = sign_of(a)
    integer, rest = integral_part(e, m)
    up = rounds_up(rounding_of(control), sign, integer & 1 != 0, u128(rest), u128(A_HALF))
    whole = u64(integer) + u64(up)
    result = make(sign, u64(0), u64(0))
    if whole != 0:
        zeros = clz(whole)
        result = make(sign, BIAS + 63 - zeros, whole << zeros)
    return considered(control, a, result, status | rounded_status(rest, up))


BCD_SIGN = 1 << 79
BCD_INDEFINITE = 0xFFFF_C000_0000_0000_0000
BCD_LIMIT = 10**18


@typed(inline=False)
def f80_of_bcd(packed: u128) -> u128:
    """FBLD: 18 decimal digits and a sign. What is no decimal digit counts by its value."""
    value: u64 = 0
    position: u64 = 72
    while position != 0:
        position -= 4
        value = value * 10 + (u64(packed >> position) & 0xF)
    number = f80_of_i64(value)
    return number | (packed & BCD_SIGN)


@typed(inline=False)
def f80_to_bcd(a: u128, control: u16) -> tuple[u128, u16]:
    """FBSTP."""
    kind = classify(a)
    sign = sign_of(a)
    if kind == ZERO:
        return u128(sign) << 79, u16(0)
    value: u64 = BCD_LIMIT
    status = u16(IE)
    if kind == FINITE:
        e, m = split(a)
        if e < 60:
            integer, rest = integral_part(e, m)
            rc = rounding_of(control)
            up = rounds_up(rc, sign, integer & 1 != 0, u128(rest), u128(A_HALF))
            value = u64(integer) + u64(up)
            status = rounded_status(rest, up)
    if value >= BCD_LIMIT:
        return u128(BCD_INDEFINITE), u16(IE)
    packed = u128(0)
    position: u64 = 0
    while value != 0:
        packed = packed | (u128(value % 10) << position)
        value = value // 10
        position += 4
    return packed | (u128(sign) << 79), status


@typed(inline=True)
def near(control: u16, below: u128, nearest_up: bool) -> u128:
    """A constant of which `below` is the part that 64 bits hold, by rounding control."""
    rc = rounding_of(control)
    if rc == UP:
        return below + 1
    if rc == DOWN or rc == CHOP:
        return below
    return below + 1 if nearest_up else below


@typed(inline=False)
def f80_constant(which: u16, control: u16) -> u128:
    """FLD1, FLDL2T, FLDL2E, FLDPI, FLDLG2, FLDLN2, FLDZ, by the opcode's last three bits."""
    index = which & 7
    if index == 0:
        return u128(0x3FFF_8000_0000_0000_0000)
    if index == 1:
        return near(control, u128(0x4000_D49A_784B_CD1B_8AFE), False)
    if index == 2:
        return near(control, u128(0x3FFF_B8AA_3B29_5C17_F0BB), True)
    if index == 3:
        return near(control, u128(0x4000_C90F_DAA2_2168_C234), True)
    if index == 4:
        return near(control, u128(0x3FFD_9A20_9A84_FBCF_F798), True)
    if index == 5:
        return near(control, u128(0x3FFE_B172_17F7_D1CF_79AB), True)
    return u128(0)
