"""Comparisons, minimum and maximum of SSE. ref: APM4 CMPPD, COMISD, UCOMISD, MINSD, MAXSD"""

from typing import Any

from worldswitch.engine import Typed, typed, u32, u64, u128
from worldswitch.engine.intrinsics import f32_of_bits, f64_of_bits
from worldswitch.metal.softfloat.images import LONG, QUIET, SHORT, SIGNALLING, classify, sign_of
from worldswitch.metal.x86.fp.exceptions import DAZ, IE
from worldswitch.metal.x86.fp.sse_arithmetic import finite32, finite64
from worldswitch.metal.x86.fp.sse_soft import denormal_flag, effective

EQUAL = 1
LESS = 2
GREATER = 4
UNORDERED = 8

TRUTH = 0xF456_0BA9_7CDE_8321
"""Four bits for each of the predicates 0 to 15, from the right: the relations that satisfy it."""
SIGNALLING_PREDICATES = 0x9999_6666
"""A bit for each of the predicates 0 to 31: a quiet NaN is an invalid operation too."""

ZF = 0x40
PF = 0x04
CF = 0x01


@typed(inline=False)
def relation(w: u64, first: u128, second: u128, signal: bool, mxcsr: u32) -> tuple[u32, u32]:
    """EQUAL, LESS, GREATER or UNORDERED, and the exceptions.

    `signal`: a quiet NaN is an invalid operation too.
    """
    a = effective(w, mxcsr, first)
    b = effective(w, mxcsr, second)
    of_a = classify(w, a)
    of_b = classify(w, b)
    if of_a >= QUIET or of_b >= QUIET:
        invalid = signal or of_a == SIGNALLING or of_b == SIGNALLING
        return u32(UNORDERED), u32(IE) if invalid else u32(0)
    flags = denormal_flag(w, a) | denormal_flag(w, b)
    if a == b or (a | b) << 1 == 0:
        return u32(EQUAL), flags
    # A negative sign turns the order of the magnitudes; unlike signs decide alone.
    less = a > b if sign_of(a) != 0 or sign_of(b) != 0 else a < b
    return u32(LESS) if less else u32(GREATER), flags


@typed(inline=True)
def flags_of_relation(relation: u32) -> u64:
    """ZF, PF and CF as RFLAGS has them."""
    if relation == UNORDERED:
        return u64(ZF | PF | CF)
    if relation == EQUAL:
        return u64(ZF)
    return u64(CF) if relation == LESS else u64(0)


def _make(kind: Any, w: int, finite: Any, number: Any) -> dict[str, Typed[Any, Any]]:
    """The functions of one format: `kind` is the class of its bits."""
    bits = kind.bits
    left = 128 - bits
    sign = 1 << (bits - 1)
    fraction = bits - w

    @typed(inline=True)
    def compare(a: kind, b: kind, signal: bool, mxcsr: u32) -> tuple[u32, u32]:
        """The relation of two numbers."""
        if finite(a) and finite(b):
            x = number(a)
            y = number(b)
            if x < y:
                return u32(LESS), u32(0)
            return u32(GREATER) if x > y else u32(EQUAL), u32(0)
        return relation(w, u128(a) << left, u128(b) << left, signal, mxcsr)

    @typed(inline=True, name=f"comis{bits}")
    def comis(a: kind, b: kind, mxcsr: u32) -> tuple[u64, u32]:
        """ZF, PF and CF of COMIS."""
        found, flags = compare(a, b, True, mxcsr)
        return flags_of_relation(found), flags

    @typed(inline=True, name=f"ucomis{bits}")
    def ucomis(a: kind, b: kind, mxcsr: u32) -> tuple[u64, u32]:
        """ZF, PF and CF of UCOMIS: a quiet NaN is no invalid operation."""
        found, flags = compare(a, b, False, mxcsr)
        return flags_of_relation(found), flags

    @typed(inline=True, name=f"cmp{bits}")
    def cmp(a: kind, b: kind, predicate: u32, mxcsr: u32) -> tuple[kind, u32]:
        """All ones if the relation satisfies the predicate (0 to 31), else zero."""
        signal = u32(SIGNALLING_PREDICATES) >> predicate & 1 != 0
        found, flags = compare(a, b, signal, mxcsr)
        if u32(u64(TRUTH) >> ((predicate & 15) << 2)) & found != 0:
            return ~kind(0), flags
        return kind(0), flags

    @typed(inline=True)
    def select(a: kind, b: kind, wanted: u32, mxcsr: u32) -> tuple[kind, u32]:
        """a if its relation to b is the wanted one, else b; equal zeros and NaNs give b."""
        found, flags = compare(a, b, True, mxcsr)
        result = a if found == wanted else b
        if mxcsr & DAZ != 0 and result << 1 != 0 and result << 1 >> fraction == 0:
            result = result & sign
        return result, flags

    @typed(inline=True, name=f"min{bits}")
    def minimum(a: kind, b: kind, mxcsr: u32) -> tuple[kind, u32]:
        """The lesser; the second operand if both are zeros or one is a NaN."""
        return select(a, b, LESS, mxcsr)

    @typed(inline=True, name=f"max{bits}")
    def maximum(a: kind, b: kind, mxcsr: u32) -> tuple[kind, u32]:
        """The greater; the second operand if both are zeros or one is a NaN."""
        return select(a, b, GREATER, mxcsr)

    made = (comis, ucomis, cmp, minimum, maximum)
    return {f.name: f for f in made}


_long = _make(u64, LONG, finite64, f64_of_bits)
_short = _make(u32, SHORT, finite32, f32_of_bits)
comis64, ucomis64, cmp64, min64, max64 = _long.values()
comis32, ucomis32, cmp32, min32, max32 = _short.values()
