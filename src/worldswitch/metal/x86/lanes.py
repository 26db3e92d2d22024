"""Arithmetic on packed integers, 64 bits at a time: what SSE and MMX share.

A `Lanes` gives, for lanes of 8, 16 or 32 bits, functions on u64 that treat each lane apart without
a loop. Conditions are masks: the lane's bits all ones or all zeros. ref: APM1 4.6, 5.6
"""

from functools import cache
from typing import Any

from worldswitch.engine import typed, u64

ALL = 0xFFFF_FFFF_FFFF_FFFF


def repeated(value: int, bits: int) -> int:
    """A lane's value in every lane of 64 bits."""
    return sum(value << n for n in range(0, 64, bits))


class Lanes:
    """Functions for lanes of `bits` bits."""

    def __init__(self, bits: int) -> None:
        full = (1 << bits) - 1
        sign = repeated(1 << (bits - 1), bits)
        rest = ALL & ~sign
        ones = repeated(1, bits)
        last = bits - 1

        @typed(inline=True, name=f"spread{bits}")
        def spread(signs: u64) -> u64:
            """A mask from the sign bits of lanes; other bits are zero."""
            return (signs >> last) * full

        @typed(inline=True, name=f"lanes_add{bits}")
        def add(a: u64, b: u64) -> u64:
            return ((a & rest) + (b & rest)) ^ ((a ^ b) & sign)

        @typed(inline=True, name=f"lanes_sub{bits}")
        def sub(a: u64, b: u64) -> u64:
            return ((a | sign) - (b & rest)) ^ (~(a ^ b) & sign)

        @typed(inline=True, name=f"lanes_below{bits}")
        def below(a: u64, b: u64) -> u64:
            """a < b, unsigned."""
            return spread(((~a & b) | (~(a ^ b) & sub(a, b))) & sign)

        @typed(inline=True, name=f"lanes_less{bits}")
        def less(a: u64, b: u64) -> u64:
            """a < b, signed."""
            return below(a ^ sign, b ^ sign)

        @typed(inline=True, name=f"lanes_equal{bits}")
        def equal(a: u64, b: u64) -> u64:
            x = a ^ b
            return spread(~(((x & rest) + rest) | x) & sign)

        @typed(inline=True, name=f"lanes_greater{bits}")
        def greater(a: u64, b: u64) -> u64:
            """a > b, signed."""
            return less(b, a)

        @typed(inline=True, name=f"lanes_umin{bits}")
        def umin(a: u64, b: u64) -> u64:
            return b ^ ((a ^ b) & below(a, b))

        @typed(inline=True, name=f"lanes_umax{bits}")
        def umax(a: u64, b: u64) -> u64:
            return a ^ ((a ^ b) & below(a, b))

        @typed(inline=True, name=f"lanes_smin{bits}")
        def smin(a: u64, b: u64) -> u64:
            return b ^ ((a ^ b) & less(a, b))

        @typed(inline=True, name=f"lanes_smax{bits}")
        def smax(a: u64, b: u64) -> u64:
            return a ^ ((a ^ b) & less(a, b))

        @typed(inline=True, name=f"lanes_uadds{bits}")
        def uadds(a: u64, b: u64) -> u64:
            """Sum, at most the greatest unsigned number."""
            s = add(a, b)
            return s | spread(((a & b) | ((a | b) & ~s)) & sign)

        @typed(inline=True, name=f"lanes_usubs{bits}")
        def usubs(a: u64, b: u64) -> u64:
            """Difference, at least zero."""
            return sub(a, b) & ~below(a, b)

        @typed(inline=True, name=f"lanes_saturated{bits}")
        def saturated(a: u64, wrapped: u64, overflows: u64) -> u64:
            """`wrapped`, or where the sign bit of `overflows` is set the extreme of a's sign."""
            extreme = rest + ((a & sign) >> last)
            return wrapped ^ ((wrapped ^ extreme) & spread(overflows & sign))

        @typed(inline=True, name=f"lanes_sadds{bits}")
        def sadds(a: u64, b: u64) -> u64:
            """Sum, saturated as a signed number."""
            s = add(a, b)
            return saturated(a, s, ~(a ^ b) & (a ^ s))

        @typed(inline=True, name=f"lanes_ssubs{bits}")
        def ssubs(a: u64, b: u64) -> u64:
            """Difference, saturated as a signed number."""
            d = sub(a, b)
            return saturated(a, d, (a ^ b) & (a ^ d))

        @typed(inline=True, name=f"lanes_average{bits}")
        def average(a: u64, b: u64) -> u64:
            """Mean of unsigned numbers, halves rounded up."""
            return (a | b) - (((a ^ b) & ~u64(ones)) >> 1)

        @typed(inline=True, name=f"lanes_absolute{bits}")
        def absolute(a: u64) -> u64:
            negative = spread(a & sign)
            return sub(a ^ negative, negative)

        @typed(inline=True, name=f"lanes_signs{bits}")
        def signs(a: u64, b: u64) -> u64:
            """a, its complement or zero as b is positive, negative or zero."""
            negative = spread(b & sign)
            return sub(a ^ negative, negative) & ~equal(b, u64(0))

        @typed(inline=True, name=f"lanes_left{bits}")
        def left(a: u64, count: u64) -> u64:
            if count >= bits:
                return u64(0)
            return (a << count) & (ones * ((u64(full) << count) & full))

        @typed(inline=True, name=f"lanes_right{bits}")
        def right(a: u64, count: u64) -> u64:
            if count >= bits:
                return u64(0)
            return (a >> count) & (ones * (u64(full) >> count))

        @typed(inline=True, name=f"lanes_arithmetic{bits}")
        def arithmetic(a: u64, count: u64) -> u64:
            """Shift right, with copies of the sign."""
            n = count
            if count >= bits:
                n = u64(last)
            high = u64(sign) >> n
            return sub(((a >> n) & (ones * (u64(full) >> n))) ^ high, high)

        @typed(inline=True, name=f"lanes_compress{bits}")
        def compress(a: u64) -> u64:
            """The low halves of the lanes, side by side in the low 32 bits."""
            if bits == 32:
                return (a & 0xFFFF) | ((a >> 16) & 0xFFFF_0000)
            x = a & 0x00FF_00FF_00FF_00FF
            x = (x | (x >> 8)) & 0x0000_FFFF_0000_FFFF
            return (x | (x >> 16)) & 0xFFFF_FFFF

        @typed(inline=True, name=f"lanes_expand{bits}")
        def expand(a: u64) -> u64:
            """Lanes of the low 32 bits, each extended with zeros to twice its size."""
            x = a & 0xFFFF_FFFF
            if bits == 32:
                return x
            x = (x | (x << 16)) & 0x0000_FFFF_0000_FFFF
            if bits == 8:
                x = (x | (x << 8)) & 0x00FF_00FF_00FF_00FF
            return x

        @typed(inline=True, name=f"lanes_interleave{bits}")
        def interleave(a: u64, b: u64) -> u64:
            """Lanes of the low halves of a and b in turn, a's first."""
            return expand(a) | (expand(b) << bits)

        self.bits = bits
        self.sign, self.rest, self.ones = sign, rest, ones
        self.spread: Any = spread
        self.add: Any = add
        self.sub: Any = sub
        self.below: Any = below
        self.less: Any = less
        self.equal: Any = equal
        self.greater: Any = greater
        self.umin, self.umax, self.smin, self.smax = umin, umax, smin, smax
        self.uadds, self.usubs, self.sadds, self.ssubs = uadds, usubs, sadds, ssubs
        self.average, self.absolute, self.signs = average, absolute, signs
        self.left, self.right, self.arithmetic = left, right, arithmetic
        self.compress, self.expand, self.interleave = compress, expand, interleave


@cache
def lanes(bits: int) -> Lanes:
    """The functions for a width."""
    return Lanes(bits)


L8, L16, L32 = lanes(8), lanes(16), lanes(32)


@typed(inline=True)
def signs_of_bytes(a: u64) -> u64:
    """The sign bits of eight bytes, as eight bits."""
    return (((a >> 7) & L8_ONES) * 0x0102_0408_1020_4080) >> 56


L8_ONES = L8.ones
