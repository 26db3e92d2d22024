"""Conversion between the hexadecimal and the binary formats. ref: PoP 9 CONVERT BFP TO HFP.

No IEEE exception is recognized: a result out of range sets condition code 3.
"""

from worldswitch.engine import clz, i64, typed, u64, u128
from worldswitch.metal.s390x.hfp.arithmetic import (
    FRACTION,
    characteristic_of,
    fraction_of,
    make,
    rounds_up,
    sign_of,
)


@typed(inline=True)
def overflowed(width: u64, precision: u64, sign: u64, method: u64) -> u64:
    """Infinity, or the greatest finite number if the method rounds towards zero here."""
    infinity = ((u64(1) << width) - 1) << (precision - 1)
    if method == 1 or method == 4 or (method == 6 and sign == 0) or (method == 7 and sign != 0):
        return infinity
    return infinity - 1


@typed(inline=False)
def to_binary(a: u128, width: u64, precision: u64, method: u64) -> tuple[u64, u64]:
    """CONVERT HFP TO BFP: the number without its sign, and the condition code.

    `width` is that of the result's exponent field, `precision` counts the implied bit.
    """
    if fraction_of(a) == 0:
        return u64(0), u64(0)
    sign = sign_of(a)
    zeros = u64(clz(fraction_of(a)))
    significand = fraction_of(a) << zeros
    # The value is significand / 2**127 * 2**exponent.
    exponent = i64(7) - i64(zeros) + (characteristic_of(a) - 64) * 4
    bias = i64((u64(1) << (width - 1)) - 1)
    dropped = i64(u64(128) - precision)
    biased = exponent + bias
    if biased < 1:
        dropped = dropped + 1 - biased
        biased = i64(1)
    kept: u64 = 0
    rest = u128(1)
    if dropped < 128:
        kept = u64(significand >> u64(dropped))
        rest = significand << u64(128 - dropped)
    elif dropped == 128:
        rest = significand
    if rounds_up(method, sign, kept & 1 != 0, rest):
        kept = kept + 1
    # The implied bit, where there is one, adds the one that is missing in the exponent.
    result = (u64(biased - 1) << (precision - 1)) + kept
    if result >> (precision - 1) >= (u64(1) << width) - 1:
        return overflowed(width, precision, sign, method), u64(3)
    return result, u64(2) - sign


@typed(inline=False)
def from_binary(bits: u64, width: u64, precision: u64, sign: u64) -> tuple[u128, u64]:
    """CONVERT BFP TO HFP: the long result's image, and the condition code.

    `bits` has no sign. Infinities and NaNs become the greatest number; too small ones zero.
    """
    field = bits >> (precision - 1)
    significand = u128(bits & ((u64(1) << (precision - 1)) - 1))
    if field == (u64(1) << width) - 1:
        largest = u64(0) if significand != 0 else sign
        return make(largest, i64(127), FRACTION), u64(3)
    if bits == 0:
        return u128(sign) << 127, u64(0)
    exponent = i64(field)
    if field == 0:
        exponent = i64(1)
    else:
        significand = significand | (u128(1) << (precision - 1))
    zeros = u64(clz(significand))
    bias = i64((u64(1) << (width - 1)) - 1)
    # The value is a fraction with its leading one in bit 127, times two to this power.
    power = exponent - bias + i64(u64(129) - precision) - i64(zeros)
    places = (power + 3) >> 2
    fraction = (significand << zeros) >> (u64(places * 4 - power) + 8)
    if places > 63:
        return make(sign, i64(127), FRACTION), u64(3)
    cc = u64(2) - sign
    if places < -64:
        return u128(sign) << 127, cc
    return make(sign, places + 64, fraction), cc
