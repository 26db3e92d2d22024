"""Conversions, integral values, signs, tests and classes: against the oracle and Unicorn."""

from collections.abc import Callable
from random import Random

import pytest

from tests.semantics.s390x import bfp_conversions, bfp_oracle
from tests.semantics.s390x.bfp_check import (
    arithmetic,
    bits_of,
    check,
    condition,
    image,
    left,
    placed,
)
from tests.semantics.s390x.bfp_numbers import boundaries, control, number, significand
from tests.semantics.s390x.bfp_oracle import EXTENDED, LONG, MODES, SHORT, Format, Outcome
from tests.semantics.s390x.bfp_runner import Case, Left

FORMATS = (SHORT, LONG, EXTENDED)
COUNT = 700
METHODS = (0, 1, 3, 4, 5, 6, 7)
UNKNOWN_METHOD = 3
"""Prepare for shorter precision, which Unicorn does not have."""
LOW = 0xFFFF_FFFF


def near_integers(form: Format, random: Random) -> int:
    """A number with few digits behind the point, or around an integer's limits."""
    field = form.emax + random.choice((random.randint(-3, form.precision), 30, 31, 32, 62, 63, 64))
    sign = random.getrandbits(1) << (form.bits - 1)
    return sign | field << (form.precision - 1) | significand(form, random)


def narrowed(form: Format, to: Format, random: Random) -> int:
    """A number near the limits of a shorter format."""
    edge = random.choice((-to.emax - to.precision, -to.emax, to.emax, 0)) + random.randint(-3, 3)
    field = max(0, min(form.emax + edge, 2 * form.emax + 1))
    sign = random.getrandbits(1) << (form.bits - 1)
    return sign | field << (form.precision - 1) | significand(form, random)


def cases(
    form: Format, seed: str, special: Callable[[Random], int], method: int = 0
) -> list[Case]:  # fmt: skip
    """Boundary, random and special second operands, under various FPC registers."""
    random = Random(f"{seed} {form.letter} {method}")
    numbers = boundaries(form)
    numbers += [number(form, random) for _ in range(COUNT // 3)]
    numbers += [special(random) for _ in range(COUNT)]
    return [
        Case(
            control(random), random.getrandbits(128),
            image(form, b) | random.getrandbits(128) & (1 << (128 - form.bits)) - 1,
            integer=random.getrandbits(64),
        )
        for b in numbers
    ]  # fmt: skip


def mode_of(method: int, case: Case) -> int:
    """The rounding method that an M3 field gives."""
    return method or MODES[case.fpc & 7]


def emulator_errs(form: Format, to: Format) -> Callable[[Case, Left], bool]:
    """Where Unicorn 2.1.4 departs from PoP 19 in conversions between formats.

    It leaves a signalling NaN to or from extended as it is, and drops the sign of a NaN whose
    payload is lost; it detects tininess after rounding.
    """

    def errs(case: Case, wanted: Left) -> bool:
        if EXTENDED in (form, to) and form.parts(bits_of(form, case.b))[0] == "snan":
            return True
        magnitude = bits_of(to, wanted.a) & (1 << (to.bits - 1)) - 1
        return bool(wanted.fpc & 0x0010_0000) and magnitude == 1 << (to.precision - 1)

    return errs


def right(case: Case, wanted: Left) -> bool:
    """Unicorn has no known error."""
    return False


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("suppress", [0, 4], ids=["", "XxC"])
def test_load_fp_integer_rounds_by_every_method(form: Format, method: int, suppress: int) -> None:
    def expect(case: Case) -> Outcome:
        b = bits_of(form, case.b)
        return bfp_conversions.integral(form, case.fpc, mode_of(method, case), bool(suppress), b)

    text = f"fi{form.letter}br %f0,%f4,{method},{suppress}"
    numbers = cases(form, text, lambda random: near_integers(form, random), method)
    check(text, numbers, arithmetic(expect), None if method == UNKNOWN_METHOD else right)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["f", "g", "lf", "lg"])
def test_convert_to_integer_saturates_and_rounds(form: Format, method: int, kind: str) -> None:
    width, logical = 64 if kind[-1] == "g" else 32, kind[0] == "l"
    suppress = 4 * (method & 1)

    def expect(case: Case) -> Left:
        b = bits_of(form, case.b)
        mode = mode_of(method, case)
        out = bfp_conversions.integer(form, case.fpc, mode, bool(suppress), b, width, logical)
        integer = case.integer
        if out.result is not None:
            integer = out.result if width == 64 else integer & ~LOW | out.result
        out.form = None
        found = left(case, out, out.cc)
        return Left(found.a, found.c, integer, found.cc, found.code, found.dxc, found.fpc)

    def errs(case: Case, wanted: Left) -> bool:
        """Unicorn has other results and flags for what does not fit."""
        return wanted.cc == 3

    text = f"c{kind}{form.letter}br %r6,%f4,{method},{suppress}"
    numbers = cases(form, text, lambda random: near_integers(form, random), method)
    check(text, numbers, expect, None if method == UNKNOWN_METHOD else errs)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["f", "g", "lf", "lg"])
def test_convert_from_integer_rounds_by_every_method(form: Format, method: int, kind: str) -> None:
    width, logical = 64 if kind[-1] == "g" else 32, kind[0] == "l"
    suppress = 4 * (method & 1)

    def expect(case: Case) -> Outcome:
        value = case.integer & (1 << width) - 1
        if not logical:
            value -= value >> (width - 1) << width
        mode = mode_of(method, case)
        return bfp_conversions.from_integer(form, case.fpc, mode, bool(suppress), value)

    random = Random(f"{kind} {form.letter} {method}")
    edges = [
        e + d & (1 << 64) - 1 for n in range(64) for e in (1 << n, -(1 << n)) for d in (-1, 0, 1)
    ]
    edges += [random.getrandbits(64) >> random.randrange(64) for _ in range(COUNT)]
    numbers = [Case(control(random), random.getrandbits(128), integer=e) for e in edges]
    text = f"c{form.letter}{kind}br %f0,%r6,{method},{suppress}"
    check(text, numbers, arithmetic(expect), None if method == UNKNOWN_METHOD else right)


LENGTHENINGS = [("ldeb", SHORT, LONG), ("lxdb", LONG, EXTENDED), ("lxeb", SHORT, EXTENDED)]


@pytest.mark.parametrize(("mnemonic", "form", "to"), LENGTHENINGS)
def test_load_lengthened_keeps_the_value(mnemonic: str, form: Format, to: Format) -> None:
    def expect(case: Case) -> Outcome:
        b = bits_of(form, case.b)
        return bfp_conversions.convert(form, to, case.fpc, bfp_oracle.RNTE, False, b)

    for text in (f"{mnemonic}r %f0,%f4", f"{mnemonic} %f0,24(%r2)"):
        numbers = cases(form, text, lambda random: number(form, random))
        check(text, numbers, arithmetic(expect), emulator_errs(form, to))


ROUNDINGS = [("ledbr", LONG, SHORT), ("ldxbr", EXTENDED, LONG), ("lexbr", EXTENDED, SHORT)]


@pytest.mark.parametrize(("mnemonic", "form", "to"), ROUNDINGS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("suppress", [0, 4], ids=["", "XxC"])
def test_load_rounded_rounds_or_scales(
    mnemonic: str, form: Format, to: Format, method: int, suppress: int
) -> None:
    def expect(case: Case) -> Outcome:
        b, mode = bits_of(form, case.b), mode_of(method, case)
        return bfp_conversions.convert(form, to, case.fpc, mode, bool(suppress), b)

    text = f"{mnemonic} %f0,%f4,{method},{suppress}"
    numbers = cases(form, text, lambda random: narrowed(form, to, random), method)
    errs = None if method == UNKNOWN_METHOD else emulator_errs(form, to)
    check(text, numbers, arithmetic(expect), errs)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
@pytest.mark.parametrize("name", ["lt", "lp", "ln", "lc"])
def test_load_and_test_or_with_sign_sets_the_condition_code(form: Format, name: str) -> None:
    top = 1 << (form.bits - 1)

    def expect(case: Case) -> Left:
        out, b = Outcome(case.fpc), bits_of(form, case.b)
        if name == "lt":
            if bfp_oracle.propagate(out, form, [b]) is None:
                out.give(form, b)
        else:
            out.give(form, {"lp": b & ~top, "ln": b | top, "lc": b ^ top}[name])
        return left(case, out, None if out.result is None else condition(form, out.result))

    def errs(case: Case, wanted: Left) -> bool:
        """Unicorn leaves a signalling NaN as it is in LOAD AND TEST."""
        return name == "lt" and form.parts(bits_of(form, case.b))[0] == "snan"

    text = f"{name}{form.letter}br %f0,%f4"
    numbers = cases(form, text, lambda random: number(form, random))
    check(text, numbers, expect, errs)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
def test_test_data_class_selects_by_class_and_sign(form: Format) -> None:
    """The mask is the address of R6 plus zero; F0 is the operand."""

    def expect(case: Case) -> Left:
        a = bits_of(form, case.a)
        cc = int(bool(case.integer & bfp_conversions.data_class(form, a)))
        return Left(case.a, case.c, case.integer, cc, 0, 0, case.fpc)

    random = Random(form.letter)
    numbers = [
        Case(control(random), placed(form, random.getrandbits(128), a), integer=mask)
        for a in boundaries(form)
        for mask in [*(1 << n for n in range(13)), 0, random.getrandbits(64)]
    ]
    text = f"tc{form.letter}b %f0,0(%r6)"
    check(text, numbers, expect, right)
