"""The oracle's other half: comparisons, conversions, DIVIDE TO INTEGER. ref: PoP 19"""

import math
from fractions import Fraction

from tests.semantics.s390x.bfp_oracle import (
    RZ,
    Format,
    Outcome,
    choose,
    exponent,
    power,
    propagate,
    widen_nan,
)


def compare(form: Format, fpc: int, a: int, b: int, signal: bool) -> Outcome:
    """Condition code of a comparison."""
    out = Outcome(fpc, cc=3)
    (ka, _, va), (kb, _, vb) = form.parts(a), form.parts(b)
    if "nan" in ka + kb:
        if signal or "snan" in (ka, kb):
            return out.invalid(form, 0)
        return out
    rank = [(-1 if s else 1) if k == "inf" else 0 for k, s, _ in (form.parts(a), form.parts(b))]
    left, right = (rank[0], va), (rank[1], vb)
    out.cc = 0 if left == right else 1 if left < right else 2
    return out


def convert(form: Format, to: Format, fpc: int, mode: int, xxc: bool, a: int) -> Outcome:
    """A number in another format."""
    out = Outcome(fpc)
    kind, sign, value = form.parts(a)
    if "nan" in kind:
        result = widen_nan(form, to, a)
        return out.invalid(to, result) if kind == "snan" else out.give(to, result)
    if kind == "inf":
        return out.give(to, to.infinity(sign))
    if kind == "zero":
        return out.give(to, to.encode(sign, Fraction(0)))
    source = form if form.bits > to.bits else None
    return out.finish(to, sign, abs(value), mode, xxc, source)


def integral(form: Format, fpc: int, mode: int, xxc: bool, a: int) -> Outcome:
    """LOAD FP INTEGER."""
    out = Outcome(fpc)
    if (found := propagate(out, form, [a])) is not None:
        return found
    kind, sign, value = form.parts(a)
    if kind != "number":
        return out.give(form, a)
    n = Fraction(choose(mode, sign, abs(value)))
    out.inexact(n, abs(value), xxc)
    return out.give(form, form.encode(sign, n))


def integer(
    form: Format, fpc: int, mode: int, xxc: bool, a: int, width: int, logical: bool
) -> Outcome:
    """CONVERT TO FIXED and TO LOGICAL; the result is the register's bits."""
    out = Outcome(fpc)
    kind, sign, value = form.parts(a)
    least, most = (0, (1 << width) - 1) if logical else (-(1 << (width - 1)), (1 << width - 1) - 1)
    if kind in ("number", "zero"):
        n = choose(mode, sign, abs(value))
        if least <= (-n if sign else n) <= most:
            out.inexact(Fraction(n), abs(value), xxc)
            out.cc = 0 if value == 0 else 1 if sign else 2
            return out.give(form, (-n if sign else n) & (1 << width) - 1)
    out.cc = 3
    edge = least if sign or "nan" in kind else most
    out.invalid(form, edge & (1 << width) - 1)
    if out.dxc == 0:
        out.inexact(Fraction(0), Fraction(1), xxc)
    return out


def from_integer(to: Format, fpc: int, mode: int, xxc: bool, value: int) -> Outcome:
    """CONVERT FROM FIXED and FROM LOGICAL."""
    out = Outcome(fpc)
    if value == 0:
        return out.give(to, 0)
    return out.finish(to, int(value < 0), Fraction(abs(value)), mode, xxc)


def divide_to_integer(form: Format, fpc: int, mode: int, a: int, b: int) -> tuple[Outcome, int]:
    """The remainder's outcome and the quotient's bits."""
    out = Outcome(fpc, cc=1)
    if (found := propagate(out, form, [a, b])) is not None:
        return found, found.result or 0
    (ka, sa, va), (kb, sb, vb) = form.parts(a), form.parts(b)
    sign = sa ^ sb
    if ka == "inf" or kb == "zero":
        return out.invalid(form, form.nan), form.nan
    out.cc = 0
    if ka == "zero" or kb == "inf":
        return out.give(form, a), form.encode(sign, Fraction(0))
    q = abs(va / vb)
    n = Fraction(choose(mode, sign, q))
    if q >= power(form.precision):
        unit = power(exponent(q) - form.precision + 1)
        n = math.floor(q / unit) * unit
        out.cc = 2 if n != q else 0
    rest = va - (-n if sign else n) * vb
    if n and exponent(n) > form.emax:
        n *= power(-form.scale)
        assert out.cc is not None
        out.cc += 1
    quotient = form.encode(sign, n)
    if rest == 0:
        return out.give(form, form.encode(sa, Fraction(0))), quotient
    return out.finish(form, int(rest < 0), abs(rest)), quotient


def data_class(form: Format, a: int) -> int:
    """The mask bit of TEST DATA CLASS that stands for a number's class."""
    kind, sign, value = form.parts(a)
    if kind == "number":
        kind = "normal" if exponent(abs(value)) >= form.emin else "subnormal"
    order = ("zero", "normal", "subnormal", "inf", "qnan", "snan")
    return 1 << (11 - 2 * order.index(kind) - sign)


__all__ = [
    "RZ",
    "compare",
    "convert",
    "data_class",
    "divide_to_integer",
    "from_integer",
    "integer",
    "integral",
]
