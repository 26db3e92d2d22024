"""The parts of a BFP number in any format, and the bits of the FPC register.

A number of any format is an *image*: its bits at the left of 128, so that one function serves the
short, long and extended formats. A format is named by the width of its exponent field. A finite
nonzero number is taken apart into exponent and significand: the significand's leading one is in
bit 127, and the value is significand / 2**127 * 2**exponent. ref: PoP 19 BFP Formats
"""

from worldswitch.engine import clz, i64, typed, u64, u128

SHORT = 8
"""Exponent width of the short format (precision 24)."""
LONG = 11
"""Exponent width of the long format (precision 53)."""
EXTENDED = 15
"""Exponent width of the extended format (precision 113)."""

ZERO = 0
FINITE = 1
"""Normal or subnormal, not zero."""
INFINITE = 2
QUIET = 3
SIGNALLING = 4

SIGN = 1 << 127

MASK_INVALID = 0x8000_0000
MASK_DIVISION = 0x4000_0000
MASK_OVERFLOW = 0x2000_0000
MASK_UNDERFLOW = 0x1000_0000
MASK_INEXACT = 0x0800_0000
FLAG_INVALID = 0x0080_0000
FLAG_DIVISION = 0x0040_0000
FLAG_OVERFLOW = 0x0020_0000
FLAG_UNDERFLOW = 0x0010_0000
FLAG_INEXACT = 0x0008_0000

DXC_SUPPRESSING = 0xC0
"""Bits of the data-exception codes whose operation is suppressed: invalid, division by zero."""
DXC_SCALED = 0x30
"""Bits of the codes that come with a scaled result: overflow, underflow."""


@typed(inline=True)
def precision(w: u64) -> u64:
    """Bits of the significand of format `w`, the implied one included."""
    if w == SHORT:
        return u64(24)
    if w == LONG:
        return u64(53)
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
def order(a: u128, b: u128) -> u64:
    """Condition code of a comparison of numbers: 0 equal, 1 first operand low, 2 high."""
    if a == b or (a | b) << 1 == 0:
        return u64(0)
    # A negative sign turns the order of the magnitudes; unlike signs decide alone.
    low = a > b if sign_of(b) != 0 or sign_of(a) != 0 else a < b
    return u64(1) if low else u64(2)


@typed(inline=True)
def condition_of(w: u64, image: u128) -> u64:
    """Condition code of a result: 0 zero, 1 less than zero, 2 greater, 3 a NaN."""
    if image << 1 == 0:
        return u64(0)
    if not is_number(w, image):
        return u64(3)
    return 2 - sign_of(image)


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


@typed(inline=False)
def shift_right_jam(value: u128, count: u64) -> u128:
    """Shift right; the last bit is one if any one was lost."""
    if count == 0:
        return value
    if count >= 128:
        return u128(value != 0)
    return (value >> count) | u128((value << (128 - count)) != 0)
