"""Exception flags, rounding control, and MXCSR. ref: APM1 4.10, 6.8

The flags have the same places in MXCSR and in the x87 status word.
"""

from worldswitch.engine import typed, u32, u64, u128

IE = 1
"""Invalid operation."""
DE = 2
"""Denormal operand."""
ZE = 4
"""Division by zero."""
OE = 8
"""Overflow."""
UE = 0x10
"""Underflow."""
PE = 0x20
"""Precision: the result is inexact."""
FLAGS = 0x3F
BEFORE = IE | DE | ZE
"""Exceptions that are found before the operation: if one is unmasked, there is no result."""

DAZ = 0x40
MASKS = 7
"""Position of the exceptions' masks in MXCSR."""
UM = 0x800
PM = 0x1000
RC = 0x6000
FTZ = 0x8000

# Rounding control, in MXCSR and in the x87 control word.
NEAREST = 0
DOWN = 1
UP = 2
CHOP = 3


@typed(inline=True)
def rounding_of(mxcsr: u32) -> u64:
    """Rounding control of MXCSR."""
    return u64((mxcsr >> 13) & 3)


@typed(inline=True)
def rounds_up(rc: u64, sign: u64, odd: bool, rest: u128, half: u128) -> bool:
    """Does the magnitude go up by a unit, if `rest` is cut off it and `half` is half a unit?"""
    if rest == 0:
        return False
    if rc == NEAREST:
        return rest > half or (rest == half and odd)
    if rc == UP:
        return sign == 0
    return rc == DOWN and sign != 0


@typed(inline=True)
def overflows_to_infinity(rc: u64, sign: u64) -> bool:
    """Is the masked result of an overflow infinity, or the greatest number?"""
    return rc == NEAREST or (rc == UP and sign == 0) or (rc == DOWN and sign != 0)


@typed(inline=True)
def settle(mxcsr: u32, flags: u32) -> tuple[u32, bool]:
    """MXCSR after an instruction with these flags, and whether it raises #XM.

    Flags of what follows from a result are not set if there is none. ref: APM1 4.10.4
    """
    unmasked = flags & ~(mxcsr >> MASKS) & FLAGS
    if unmasked & BEFORE != 0:
        return mxcsr | (flags & BEFORE), True
    return mxcsr | flags, unmasked != 0
