"""Comparisons of BFP numbers, and the bits of the FPC register.

Numbers are images, as softfloat/images.py has them. ref: PoP 19 BFP Formats
"""

from worldswitch.engine import typed, u64, u128
from worldswitch.metal.softfloat.images import is_number, sign_of

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
