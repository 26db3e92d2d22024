"""Hexadecimal floating-point arithmetic on images. ref: PoP chapter 18.

A number of any format is an *image* in 128 bits: sign in bit 127, characteristic in bits 120-126,
then the fraction from bit 119 on. A format is named by the bits to the right of its fraction.
The low-order part's sign and characteristic of an extended number are made when it is put into
registers. Functions return the resulting image and the code of the program interruption that
follows its being placed, or 0.
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import clz, i64, typed, u16, u64, u128
from worldswitch.metal.s390x.state import Cpu

SHORT = 96
"""Six digits."""
LONG = 64
"""Fourteen digits."""
EXTENDED = 8
"""28 digits."""

SIGN = 1 << 127
FRACTION = (1 << 120) - 1
HALF = (1 << 56) - 1
UNDERFLOW_MASK = 1 << 41
"""Program-mask bit for HFP exponent underflow, PSW bit 22."""
SIGNIFICANCE_MASK = 1 << 40
"""Program-mask bit for HFP significance, PSW bit 23."""
EXPONENT_OVERFLOW = int(ProgramCode.HFP_EXPONENT_OVERFLOW)
EXPONENT_UNDERFLOW = int(ProgramCode.HFP_EXPONENT_UNDERFLOW)
SIGNIFICANCE = int(ProgramCode.HFP_SIGNIFICANCE)


@typed(inline=True)
def sign_of(image: u128) -> u64:
    """1 for minus."""
    return u64(image >> 127)


@typed(inline=True)
def characteristic_of(image: u128) -> i64:
    """The exponent plus 64."""
    return i64(u64(image >> 120) & 127)


@typed(inline=True)
def fraction_of(image: u128) -> u128:
    """The fraction where it stands in the image."""
    return image & FRACTION


@typed(inline=True)
def condition_of(image: u128) -> u64:
    """Condition code of a result: 0 zero fraction, 1 less than zero, 2 greater."""
    if fraction_of(image) == 0:
        return u64(0)
    return u64(2) - sign_of(image)


@typed(inline=True)
def truncated(low: u64, fraction: u128) -> u128:
    """The digits of a fraction that format `low` has."""
    return (fraction >> low) << low


@typed(inline=True)
def make(sign: u64, characteristic: i64, fraction: u128) -> u128:
    """The image of these parts; of the characteristic the last seven bits."""
    return (u128(sign) << 127) | (u128(u64(characteristic) & 127) << 120) | fraction


@typed(inline=False)
def normalized(fraction: u128) -> tuple[u128, i64]:
    """A nonzero fraction without its leading zero digits, and how many these were."""
    digits = (u64(clz(fraction)) - 8) >> 2
    return fraction << (digits * 4), i64(digits)


@typed(inline=False)
def finish(cpu: Cpu, low: u64, sign: u64, characteristic: i64, fraction: u128) -> tuple[u128, u16]:
    """A normalized result cut to format `low`, with its exponent's exceptions.

    ref: PoP 6 HFP-Exponent-Overflow Exception; PoP 6 HFP-Exponent-Underflow Exception
    """
    image = make(sign, characteristic, truncated(low, fraction))
    if characteristic > 127:
        return image, u16(EXPONENT_OVERFLOW)
    if characteristic < 0:
        if cpu.psw_mask & UNDERFLOW_MASK == 0:
            return u128(0), u16(0)
        return image, u16(EXPONENT_UNDERFLOW)
    return image, u16(0)


@typed(inline=False)
def intermediate_sum(low: u64, a: u128, b: u128) -> tuple[u64, i64, u128]:
    """Sign, characteristic and fraction of a sum, with one guard digit and a carry in bit 120."""
    if characteristic_of(a) < characteristic_of(b):
        larger = b
        smaller = a
    else:
        larger = a
        smaller = b
    characteristic = characteristic_of(larger)
    shift = u64(characteristic - characteristic_of(smaller)) * 4
    first = fraction_of(larger)
    second = fraction_of(smaller)
    second = truncated(low - 4, second >> shift) if shift < 120 else u128(0)
    if sign_of(larger) == sign_of(smaller):
        return sign_of(larger), characteristic, first + second
    if first >= second:
        return sign_of(larger), characteristic, first - second
    return sign_of(smaller), characteristic, second - first


@typed(inline=False)
def add(cpu: Cpu, low: u64, a: u128, b: u128, normalizing: bool) -> tuple[u128, u16]:
    """ADD NORMALIZED or ADD UNNORMALIZED, which leaves the guard digit out of account."""
    sign, characteristic, fraction = intermediate_sum(low, a, b)
    if fraction >> 120 != 0:
        return finish(cpu, low, sign, characteristic + 1, fraction >> 4)
    if not normalizing:
        fraction = truncated(low, fraction)
    if fraction == 0:
        if cpu.psw_mask & SIGNIFICANCE_MASK == 0:
            return u128(0), u16(0)
        return make(u64(0), characteristic, u128(0)), u16(SIGNIFICANCE)
    if not normalizing:
        return make(sign, characteristic, fraction), u16(0)
    fraction, digits = normalized(fraction)
    return finish(cpu, low, sign, characteristic - digits, fraction)


@typed(inline=False)
def compare(low: u64, a: u128, b: u128) -> u64:
    """Condition code of a comparison: that of the difference, guard digit included."""
    sign, _characteristic, fraction = intermediate_sum(low, a, b ^ SIGN)
    if fraction == 0:
        return u64(0)
    return u64(2) - sign


@typed(inline=False)
def product(a: u128, b: u128) -> tuple[i64, u128]:
    """Characteristic and normalized fraction, 28 digits at least, of a product that is not 0."""
    first, digits = normalized(fraction_of(a))
    characteristic = characteristic_of(a) + characteristic_of(b) - 64 - digits
    second, digits = normalized(fraction_of(b))
    characteristic = characteristic - digits
    # Halves of 56 bits: the product's left half, and behind it another 56 bits.
    high = (first >> 64) * (second >> 64)
    cross = (first >> 64) * ((second >> 8) & HALF)
    other = ((first >> 8) & HALF) * (second >> 64)
    last = ((first >> 8) & HALF) * ((second >> 8) & HALF)
    rest = (last >> 56) + (cross & HALF) + (other & HALF)
    high = high + (cross >> 56) + (other >> 56) + (rest >> 56)
    fraction = (high << 8) | ((rest & HALF) >> 48)
    if high >> 108 == 0:
        return characteristic - 1, (high << 12) | ((rest & HALF) >> 44)
    return characteristic, fraction


@typed(inline=False)
def multiply(cpu: Cpu, low: u64, a: u128, b: u128) -> tuple[u128, u16]:
    """MULTIPLY, with a result of format `low`."""
    if fraction_of(a) == 0 or fraction_of(b) == 0:
        return u128(0), u16(0)
    characteristic, fraction = product(a, b)
    return finish(cpu, low, sign_of(a ^ b), characteristic, fraction)


@typed(inline=False)
def multiply_add(cpu: Cpu, low: u64, a: u128, b: u128, c: u128) -> tuple[u128, u16]:
    """a times b plus c, exact before it is cut to format `low`: SHORT or LONG."""
    if fraction_of(a) == 0 or fraction_of(b) == 0:
        larger = u128(0)
        exponent = i64(-1000)
    else:
        exponent, larger = product(a, b)
    sign = sign_of(a ^ b)
    different = sign != sign_of(c)
    smaller = fraction_of(c)
    other = i64(-1000)
    if smaller != 0:
        smaller, digits = normalized(smaller)
        other = characteristic_of(c) - digits
    shift = u64(exponent - other) * 4
    if other > exponent:
        swapped = larger
        larger = smaller
        smaller = swapped
        shift = u64(other - exponent) * 4
        exponent = other
        sign = sign_of(c)
    shifted = smaller >> shift if shift < 128 else u128(0)
    lost = shift < 128 and (shifted << shift) != smaller
    if shift >= 128:
        lost = smaller != 0
    if not different:
        fraction = larger + shifted
    elif larger > shifted:
        # What was lost makes the difference smaller than it looks.
        fraction = larger - shifted - u128(lost)
    else:
        fraction = shifted - larger
        sign = sign ^ 1
    if fraction == 0:
        return u128(0), u16(0)
    if fraction >> 120 != 0:
        return finish(cpu, low, sign, exponent + 1, fraction >> 4)
    fraction, digits = normalized(fraction)
    return finish(cpu, low, sign, exponent - digits, fraction)


@typed(inline=False)
def divide(cpu: Cpu, low: u64, a: u128, b: u128) -> tuple[u128, u16]:
    """DIVIDE by a number whose fraction is not 0."""
    if fraction_of(a) == 0:
        return u128(0), u16(0)
    rest, digits = normalized(fraction_of(a))
    characteristic = characteristic_of(a) - characteristic_of(b) + 64 - digits
    divisor, digits = normalized(fraction_of(b))
    characteristic = characteristic + digits
    if rest >= divisor:
        rest = rest >> 4
        characteristic = characteristic + 1
        # The digit that was shifted out is zero: there are eight bits behind the fraction.
    quotient: u128 = 0
    n: u64 = 120
    while n > low:
        rest = rest << 1
        quotient = quotient << 1
        if rest >= divisor:
            rest = rest - divisor
            quotient = quotient | 1
        n -= 1
    return finish(cpu, low, sign_of(a ^ b), characteristic, quotient << low)


@typed(inline=False)
def halve(cpu: Cpu, low: u64, a: u128) -> tuple[u128, u16]:
    """HALVE."""
    if fraction_of(a) == 0:
        return u128(0), u16(0)
    fraction, digits = normalized(fraction_of(a) >> 1)
    return finish(cpu, low, sign_of(a), characteristic_of(a) - digits, fraction)


@typed(inline=False)
def square_root(low: u64, a: u128) -> u128:
    """The square root, rounded, of a number that is not negative."""
    if fraction_of(a) == 0:
        return u128(0)
    fraction, digits = normalized(fraction_of(a))
    exponent = characteristic_of(a) - digits - 64
    rest: u128 = 0
    root: u128 = 0
    source = fraction << 8
    # One bit more than the result has, less two leading zeros for an odd exponent.
    n = u64(121) - low
    if exponent & 1 != 0:
        n -= 2
        exponent = exponent + 1
    while n > 0:
        rest = (rest << 2) | (source >> 126)
        source = source << 2
        trial = (root << 2) | 1
        root = root << 1
        if rest >= trial:
            rest = rest - trial
            root = root | 1
        n -= 1
    return make(u64(0), (exponent >> 1) + 64, ((root + 1) >> 1) << low)


@typed(inline=False)
def round_to(cpu: Cpu, low: u64, a: u128) -> tuple[u128, u16]:
    """LOAD ROUNDED: to format `low`, by adding one half of its last place; not normalized."""
    fraction = truncated(low, fraction_of(a) + (u128(1) << (low - 1)))
    characteristic = characteristic_of(a)
    if fraction >> 120 != 0:
        fraction = fraction >> 4
        characteristic = characteristic + 1
    return finish(cpu, low, sign_of(a), characteristic, fraction)


@typed(inline=False)
def integer_part(a: u128) -> u128:
    """LOAD FP INTEGER: towards zero, normalized."""
    if fraction_of(a) == 0:
        return u128(0)
    fraction, digits = normalized(fraction_of(a))
    characteristic = characteristic_of(a) - digits
    if characteristic <= 64:
        return u128(0)
    if characteristic < 94:
        fraction = truncated(u64(94 - characteristic) * 4, fraction)
    return make(sign_of(a), characteristic, fraction)


@typed(inline=False)
def from_integer(low: u64, sign: u64, magnitude: u64) -> u128:
    """CONVERT FROM FIXED: cut to the format, normalized."""
    if magnitude == 0:
        return u128(0)
    fraction, digits = normalized(u128(magnitude) << 8)
    return make(sign, i64(92) - digits, truncated(low, fraction))


@typed(inline=False)
def rounds_up(method: u64, sign: u64, odd: bool, rest: u128) -> bool:
    """Whether to round a magnitude up; `rest` is what is to its right, from bit 127 on.

    ref: PoP 18 CONVERT TO FIXED
    """
    if method == 1:
        return rest >> 127 != 0
    if method == 4:
        return rest > SIGN or (rest == SIGN and odd)
    if method == 6:
        return rest != 0 and sign == 0
    if method == 7:
        return rest != 0 and sign != 0
    return False


@typed(inline=False)
def to_integer(a: u128, method: u64, bits: u64) -> tuple[u64, u64]:
    """CONVERT TO FIXED: the integer, and the condition code."""
    if fraction_of(a) == 0:
        return u64(0), u64(0)
    sign = sign_of(a)
    fraction, digits = normalized(fraction_of(a))
    exponent = characteristic_of(a) - 64 - digits
    limit = u128(1) << (bits - 1)
    if sign == 0:
        limit = limit - 1
    magnitude = limit + 1
    if exponent <= 16:
        magnitude = u128(0)
        rest = u128(1)
        if exponent >= 0:
            rest = fraction << (u64(exponent) * 4 + 8)
        if exponent > 0:
            magnitude = fraction >> (u64(30 - exponent) * 4)
        if rounds_up(method, sign, magnitude & 1 != 0, rest):
            magnitude = magnitude + 1
    cc = u64(2) - sign
    if magnitude > limit:
        magnitude = limit
        cc = u64(3)
    return (u64(0) - u64(magnitude) if sign != 0 else u64(magnitude)), cc
