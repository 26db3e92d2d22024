"""An oracle of binary floating point: exact rational arithmetic, written apart from the metal.

Operands and results are integers that hold a format's bits. An `Outcome` says what an operation
leaves: the result, the format it is in, the FPC register, the data-exception code of a trap.
ref: PoP 9 IEEE Exceptions; PoP 19
"""

import math
from dataclasses import dataclass
from fractions import Fraction

Parts = tuple[str, int, Fraction]
"""Kind ("zero", "number", "inf", "qnan", "snan"), sign, and the value."""
RNTA, RFSP, RNTE, RZ, RP, RM = 1, 3, 4, 5, 6, 7
MODES = {0: RNTE, 1: RZ, 2: RP, 3: RM, 7: RFSP}
"""FPC rounding modes as M3 codes."""


@dataclass(frozen=True)
class Format:
    """A BFP format."""

    letter: str
    bits: int
    precision: int
    scale: int
    rounded_scale: int

    @property
    def width(self) -> int:
        """Bits of the exponent field."""
        return self.bits - self.precision

    @property
    def emax(self) -> int:
        """Greatest exponent, and the bias."""
        return (1 << (self.width - 1)) - 1

    @property
    def emin(self) -> int:
        """Least exponent of a normal number."""
        return 1 - self.emax

    def infinity(self, sign: int) -> int:
        """Infinity."""
        return sign << (self.bits - 1) | (1 << self.width) - 1 << (self.precision - 1)

    @property
    def quiet_bit(self) -> int:
        """The bit that a quiet NaN has and a signalling one has not."""
        return 1 << (self.precision - 2)

    @property
    def nan(self) -> int:
        """The default NaN."""
        return self.infinity(0) | self.quiet_bit

    def parts(self, bits: int) -> Parts:
        """Take a number apart."""
        sign = bits >> (self.bits - 1)
        field = bits >> (self.precision - 1) & (1 << self.width) - 1
        fraction = bits & (1 << (self.precision - 1)) - 1
        if field == (1 << self.width) - 1:
            if fraction == 0:
                return "inf", sign, Fraction(0)
            return ("qnan" if fraction & self.quiet_bit else "snan"), sign, Fraction(0)
        if field:
            fraction |= 1 << (self.precision - 1)
        value = Fraction(fraction) * power(max(field, 1) - self.emax - self.precision + 1)
        return ("number" if fraction else "zero"), sign, -value if sign else value

    def encode(self, sign: int, magnitude: Fraction) -> int:
        """The bits of a magnitude that is representable."""
        if magnitude == 0:
            return sign << (self.bits - 1)
        e = max(exponent(magnitude), self.emin)
        digits = magnitude / power(e - self.precision + 1)
        assert digits.denominator == 1, "not representable"
        # The implied one carries into the exponent field.
        field = e - self.emin
        return (sign << (self.bits - 1)) + (field << (self.precision - 1)) + int(digits)


SHORT = Format("E", 32, 24, 192, 0)
LONG = Format("D", 64, 53, 1536, 512)
EXTENDED = Format("X", 128, 113, 24576, 8192)


def power(e: int) -> Fraction:
    """2**e."""
    return Fraction(1 << e) if e >= 0 else Fraction(1, 1 << -e)


def exponent(x: Fraction) -> int:
    """The e with 2**e <= x < 2**(e + 1)."""
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if x >= power(e) else e - 1


def choose(mode: int, sign: int, digits: Fraction) -> int:
    """Round a magnitude to an integer."""
    low = math.floor(digits)
    rest = digits - low
    if rest == 0:
        return low
    if mode == RNTE:
        return round(digits)
    if mode == RNTA:
        return math.floor(digits + Fraction(1, 2))
    if mode == RFSP:
        return low | 1
    if mode == RZ:
        return low
    return low + (1 if (mode == RP) == (sign == 0) else 0)


@dataclass
class Outcome:
    """What an operation leaves. A suppressing trap has no result."""

    fpc: int
    result: int | None = None
    form: Format | None = None
    dxc: int = 0
    cc: int | None = None

    @property
    def mode(self) -> int:
        """The rounding method of the FPC register, as an M3 code."""
        return MODES[self.fpc & 7]

    def enabled(self, bit: int) -> bool:
        """Does this exception (0x80 invalid to 0x08 inexact) trap?"""
        return bool(self.fpc >> 24 & bit)

    def flag(self, bit: int) -> None:
        """Set a flag."""
        self.fpc |= bit << 16

    def give(self, form: Format, bits: int) -> "Outcome":
        """The result."""
        self.form, self.result = form, bits
        return self

    def invalid(self, form: Format, bits: int) -> "Outcome":
        """An invalid operation; `bits` if it does not trap."""
        if self.enabled(0x80):
            self.dxc = 0x80
            return self
        self.flag(0x80)
        return self.give(form, bits)

    def inexact(self, delivered: Fraction | None, exact: Fraction, suppressed: bool) -> None:
        """Recognize inexact; `delivered` None is infinity."""
        if delivered == exact or suppressed:
            return
        if self.enabled(8):
            self.dxc = 0x0C if delivered is None or delivered > exact else 0x08
        else:
            self.flag(8)

    def finish(
        self, form: Format, sign: int, x: Fraction, mode: int | None = None,
        suppressed: bool = False, source: Format | None = None,
    ) -> "Outcome":  # fmt: skip
        """Round a magnitude; `source` is LOAD ROUNDED's."""
        mode = self.mode if mode is None else mode
        scaled_form = source or form
        scale = source.rounded_scale if source else form.scale
        e = exponent(x)
        unit = power(e - form.precision + 1)
        value = choose(mode, sign, x / unit) * unit
        detail = 0 if value == x else 0x0C if value > x else 0x08
        if e < form.emin:
            if self.enabled(0x10):
                self.dxc = 0x10 | detail
                return self.give(scaled_form, scaled_form.encode(sign, value * power(scale)))
            unit = power(form.emin - form.precision + 1)
            value = choose(mode, sign, x / unit) * unit
            if value != x:
                self.flag(0x10)
        elif exponent(value) > form.emax:
            if self.enabled(0x20):
                self.dxc = 0x20 | detail
                return self.give(scaled_form, scaled_form.encode(sign, value * power(-scale)))
            self.flag(0x20)
            outward = mode in (RNTE, RNTA, RM if sign else RP)
            self.inexact(None if outward else Fraction(0), x, suppressed)
            return self.give(form, form.infinity(sign) - (0 if outward else 1))
        self.inexact(value, x, suppressed)
        return self.give(form, form.encode(sign, value))


def zero_sum(out: Outcome, form: Format) -> Outcome:
    """Zero from numbers of opposite signs."""
    return out.give(form, form.encode(1 if out.mode == RM else 0, Fraction(0)))


def propagate(out: Outcome, form: Format, operands: list[int]) -> Outcome | None:
    """The outcome if an operand is a NaN: first the signalling ones, in order."""
    kinds = [form.parts(x)[0] for x in operands]
    for bits, kind in zip(operands, kinds, strict=True):
        if kind == "snan":
            return out.invalid(form, bits | form.quiet_bit)
    for bits, kind in zip(operands, kinds, strict=True):
        if kind == "qnan":
            return out.give(form, bits)
    return None


def add(form: Format, fpc: int, a: int, b: int, subtract: bool = False) -> Outcome:
    """a + b or a - b."""
    out = Outcome(fpc)
    if (found := propagate(out, form, [a, b])) is not None:
        return found
    if subtract:
        b ^= 1 << (form.bits - 1)
    (ka, sa, va), (kb, sb, vb) = form.parts(a), form.parts(b)
    if ka == "inf" or kb == "inf":
        if ka == kb and sa != sb:
            return out.invalid(form, form.nan)
        return out.give(form, a if ka == "inf" else b)
    total = va + vb
    if total == 0:
        return out.give(form, a) if a == b else zero_sum(out, form)
    return out.finish(form, int(total < 0), abs(total))


def multiply(form: Format, fpc: int, a: int, b: int, to: Format | None = None) -> Outcome:
    """a * b."""
    out, target = Outcome(fpc), to or form
    if (found := propagate(out, form, [a, b])) is not None:
        if found.result is not None and target is not form:
            found.give(target, widen_nan(form, target, found.result))
        return found
    (ka, sa, va), (kb, sb, vb) = form.parts(a), form.parts(b)
    if "inf" in (ka, kb):
        if "zero" in (ka, kb):
            return out.invalid(target, target.nan)
        return out.give(target, target.infinity(sa ^ sb))
    if va * vb == 0:
        return out.give(target, target.encode(sa ^ sb, Fraction(0)))
    return out.finish(target, sa ^ sb, abs(va * vb))


def widen_nan(form: Format, to: Format, bits: int) -> int:
    """A NaN's payload in another format, aligned at the left."""
    sign = bits >> (form.bits - 1)
    payload = bits & (1 << (form.precision - 1)) - 1
    shift = to.precision - form.precision
    payload = payload << shift if shift >= 0 else payload >> -shift
    return to.infinity(sign) | to.quiet_bit | payload


def divide(form: Format, fpc: int, a: int, b: int) -> Outcome:
    """a / b."""
    out = Outcome(fpc)
    if (found := propagate(out, form, [a, b])) is not None:
        return found
    (ka, sa, va), (kb, sb, vb) = form.parts(a), form.parts(b)
    if ka == kb and ka in ("inf", "zero"):
        return out.invalid(form, form.nan)
    if ka == "inf":
        return out.give(form, form.infinity(sa ^ sb))
    if kb == "zero":
        if out.enabled(0x40):
            out.dxc = 0x40
            return out
        out.flag(0x40)
        return out.give(form, form.infinity(sa ^ sb))
    if ka == "zero" or kb == "inf":
        return out.give(form, form.encode(sa ^ sb, Fraction(0)))
    return out.finish(form, sa ^ sb, abs(va / vb))


def square_root(form: Format, fpc: int, a: int) -> Outcome:
    """The square root: an integer root with many digits, and something behind if inexact."""
    out = Outcome(fpc)
    if (found := propagate(out, form, [a])) is not None:
        return found
    kind, sign, value = form.parts(a)
    if kind == "zero":
        return out.give(form, a)
    if sign:
        return out.invalid(form, form.nan)
    if kind == "inf":
        return out.give(form, a)
    shift = 2 * (form.precision + 8) - exponent(value)
    shift += shift % 2
    radicand = value * power(shift)
    digits = math.isqrt(math.floor(radicand))
    root = Fraction(digits) if digits * digits == radicand else Fraction(4 * digits + 1, 4)
    return out.finish(form, 0, root * power(-shift // 2))


def multiply_add(form: Format, fpc: int, a: int, b: int, c: int, subtract: bool = False) -> Outcome:
    """b * c + a or b * c - a."""
    out = Outcome(fpc)
    (kb, sb, vb), (kc, sc, vc) = form.parts(b), form.parts(c)
    if {kb, kc} == {"inf", "zero"}:
        return out.invalid(form, form.nan)
    if (found := propagate(out, form, [b, c, a])) is not None:
        return found
    if subtract:
        a ^= 1 << (form.bits - 1)
    ka, sa, va = form.parts(a)
    sign = sb ^ sc
    if "inf" in (kb, kc):
        if ka == "inf" and sa != sign:
            return out.invalid(form, form.nan)
        return out.give(form, form.infinity(sign))
    if ka == "inf":
        return out.give(form, a)
    total = vb * vc + va
    if total == 0:
        if ka == "zero" and vb * vc == 0 and sa == sign:
            return out.give(form, a)
        return zero_sum(out, form)
    return out.finish(form, int(total < 0), abs(total))
