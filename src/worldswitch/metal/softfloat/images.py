"""The parts of an IEEE binary number of any format.

A number of any format is an *image*: its bits at the left of 128, so that one function serves the
16-, 32-, 64- and 128-bit formats. A format is named by the width of its exponent field. A finite
nonzero number is taken apart into exponent and significand: the significand's leading one is in
bit 127, and the value is significand / 2**127 * 2**exponent. ref: IEEE 754 3.4
"""

from worldswitch.engine import clz, i64, typed, u64, u128

HALF = 5
"""Exponent width of binary16 (precision 11)."""
SHORT = 8
"""Exponent width of binary32 (precision 24)."""
LONG = 11
"""Exponent width of binary64 (precision 53)."""
EXTENDED = 15
"""Exponent width of binary128 (precision 113)."""

ZERO = 0
FINITE = 1
"""Normal or subnormal, not zero."""
INFINITE = 2
QUIET = 3
SIGNALLING = 4

SIGN = 1 << 127


@typed(inline=True)
def precision(w: u64) -> u64:
    """Bits of the significand of format `w`, the implied one included."""
    if w == SHORT:
        return u64(24)
    if w == LONG:
        return u64(53)
    if w == HALF:
        return u64(11)
    return u64(113)


@typed(inline=True)
def bias_of(w: u64) -> i64:
    """Bias of the exponent, which is the greatest exponent too."""
    return i64((u64(1) << (w - 1)) - 1)


@typed(inline=True)
def sign_of(image: u128) -> u64:
    """1 if the sign bit is one."""
    return u64(image >> 127)


@typed(inline=False)
def classify(w: u64, image: u128) -> u64:
    """ZERO, FINITE, INFINITE, QUIET or SIGNALLING."""
    magnitude = image << 1
    fraction = magnitude << w
    if u64(magnitude >> (128 - w)) == (u64(1) << w) - 1:
        if fraction == 0:
            return u64(INFINITE)
        return u64(SIGNALLING) - u64(fraction >> 127)
    return u64(ZERO) if magnitude == 0 else u64(FINITE)


@typed(inline=False)
def split(w: u64, image: u128) -> tuple[i64, u128]:
    """Exponent and significand of a finite nonzero number."""
    magnitude = image << 1
    exponent = i64(u64(magnitude >> (128 - w)))
    fraction = magnitude << w
    if exponent == 0:
        zeros = clz(fraction)
        return -bias_of(w) - i64(u64(zeros)), fraction << zeros
    return exponent - bias_of(w), (fraction >> 1) | (u128(1) << 127)


@typed(inline=True)
def pack(w: u64, sign: u64, exponent: i64, significand: u128) -> u128:
    """The image of a normal number whose significand fits the format."""
    biased = u64(exponent + bias_of(w))
    return (u128(sign) << 127) | (u128(biased) << (127 - w)) | ((significand << 1) >> (w + 1))


@typed(inline=True)
def signed_zero(sign: u64) -> u128:
    """Zero with a sign."""
    return u128(sign) << 127


@typed(inline=True)
def infinity(w: u64, sign: u64) -> u128:
    """Infinity with a sign."""
    return (u128(sign) << 127) | (((u128(1) << w) - 1) << (127 - w))


@typed(inline=True)
def is_number(w: u64, image: u128) -> bool:
    """Not a NaN."""
    return image << 1 <= infinity(w, u64(0)) << 1


@typed(inline=True)
def default_nan(w: u64) -> u128:
    """The default quiet NaN. ref: PoP 19 NaNs"""
    return ((u128(1) << (w + 1)) - 1) << (126 - w)


@typed(inline=True)
def quieten(w: u64, nan: u128) -> u128:
    """The quiet NaN that a NaN becomes."""
    return nan | (u128(1) << (126 - w))


@typed(inline=True)
def convert_nan(w: u64, to: u64, nan: u128) -> u128:
    """A NaN in another format, quiet: the payload is extended or cut at the right."""
    payload = nan << (w + 1)
    return (nan & SIGN) | default_nan(to) | (payload >> (to + 1))
