"""Add, subtract, multiply, divide, square root, fused, compare: against the oracle and Unicorn."""

from collections.abc import Callable
from random import Random

import pytest

from tests.semantics.s390x import bfp_conversions, bfp_oracle
from tests.semantics.s390x.bfp_check import arithmetic, bits_of, check, image, left
from tests.semantics.s390x.bfp_numbers import boundaries, control, number, partner
from tests.semantics.s390x.bfp_oracle import EXTENDED, LONG, SHORT, Format, Outcome
from tests.semantics.s390x.bfp_runner import Case, Left

FORMATS = (SHORT, LONG, EXTENDED)
RANDOM = {SHORT: 2500, LONG: 2500, EXTENDED: 500}


def pairs(form: Format, seed: str) -> list[Case]:
    """All pairs of boundary numbers and random pairs, under various FPC registers."""
    random = Random(f"{seed} {form.letter}")
    rest = [random.getrandbits(128) for _ in range(16)]
    edges = boundaries(form)
    both = [(a, b) for a in edges for b in edges]
    if form is EXTENDED:
        both = random.sample(both, 700)
    for _ in range(RANDOM[form]):
        a = number(form, random)
        both.append((a, partner(form, random, a)))
    spare = (1 << (128 - form.bits)) - 1
    return [
        Case(
            control(random),
            image(form, a) | random.choice(rest) & spare,
            image(form, b) | random.choice(rest) & spare,
            integer=random.getrandbits(64),
        )
        for a, b in both
    ]


def triples(form: Format, seed: str) -> list[Case]:
    """Operands of fused instructions: an addend of the product's size, cancelling, or any."""
    random = Random(f"{seed} {form.letter}")
    found: list[Case] = []
    edges = boundaries(form)
    for _ in range(3 * RANDOM[form]):
        if random.randrange(4) == 0:
            a, b, c = (random.choice(edges) for _ in range(3))
        else:
            b = number(form, random)
            c = partner(form, random, b)
            product = bfp_oracle.multiply(form, 0, b, c).result or 0
            around = product & ~(1 << (form.bits - 1))
            a = random.choice(
                (number(form, random, around), product ^ 1 << (form.bits - 1), product ^ 1)
            )
        found.append(Case(control(random), image(form, a), image(form, b), image(form, c)))
    return found


def operands(form: Format, case: Case) -> tuple[int, int]:
    """First and second operand."""
    return bits_of(form, case.a), bits_of(form, case.b)


def emulator_errs(form: Format) -> Callable[[Case, Left], bool]:
    """Where Unicorn 2.1.4 departs from PoP 19.

    Of two NaNs it takes the one with the greater significand, not the first signalling one; it
    detects tininess after rounding; it adds a NaN to zero times infinity, which is invalid.
    """

    def errs(case: Case, wanted: Left) -> bool:
        kinds = [form.parts(bits_of(form, x))[0] for x in (case.a, case.b, case.c)]
        if sum("nan" in kind for kind in kinds) > 1:
            return True
        if {"zero", "inf"} <= set(kinds) and "nan" in "".join(kinds):
            return True
        magnitude = bits_of(form, wanted.a) & (1 << (form.bits - 1)) - 1
        return bool(wanted.fpc & 0x0010_0000) and magnitude == 1 << (form.precision - 1)

    return errs


def texts(mnemonic: str, form: Format) -> list[str]:
    """Register and storage form of an instruction with two operands."""
    found = [f"{mnemonic}r %f0,%f4"]
    return found if form is EXTENDED else [*found, f"{mnemonic} %f0,24(%r2)"]


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
def test_add_matches_exact_sums(form: Format) -> None:
    def expect(case: Case) -> Outcome:
        return bfp_oracle.add(form, case.fpc, *operands(form, case))

    for text in texts(f"a{form.letter}b", form):
        check(text, pairs(form, text), arithmetic(expect, sets_cc=True), emulator_errs(form))


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
def test_subtract_matches_exact_differences(form: Format) -> None:
    def expect(case: Case) -> Outcome:
        return bfp_oracle.add(form, case.fpc, *operands(form, case), subtract=True)

    for text in texts(f"s{form.letter}b", form):
        check(text, pairs(form, text), arithmetic(expect, sets_cc=True), emulator_errs(form))


@pytest.mark.parametrize(("mnemonic", "form"), [("meeb", SHORT), ("mdb", LONG), ("mxb", EXTENDED)])
def test_multiply_matches_exact_products(mnemonic: str, form: Format) -> None:
    def expect(case: Case) -> Outcome:
        return bfp_oracle.multiply(form, case.fpc, *operands(form, case))

    for text in texts(mnemonic, form):
        check(text, pairs(form, text), arithmetic(expect), emulator_errs(form))


@pytest.mark.parametrize(
    ("mnemonic", "form", "to"), [("mdeb", SHORT, LONG), ("mxdb", LONG, EXTENDED)]
)
def test_multiply_to_a_longer_format_matches_exact_products(
    mnemonic: str, form: Format, to: Format
) -> None:
    """Unicorn takes the first factor to be of the longer format: PoP 19 has both in the shorter."""

    def expect(case: Case) -> Outcome:
        return bfp_oracle.multiply(form, case.fpc, *operands(form, case), to)

    for text in texts(mnemonic, form):
        check(text, pairs(form, text), arithmetic(expect))


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
def test_divide_matches_exact_quotients(form: Format) -> None:
    def expect(case: Case) -> Outcome:
        return bfp_oracle.divide(form, case.fpc, *operands(form, case))

    for text in texts(f"d{form.letter}b", form):
        check(text, pairs(form, text), arithmetic(expect), emulator_errs(form))


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
def test_square_root_matches_exact_roots(form: Format) -> None:
    def expect(case: Case) -> Outcome:
        return bfp_oracle.square_root(form, case.fpc, bits_of(form, case.b))

    # Unicorn ends with a segmentation fault in SQXBR.
    errs = None if form is EXTENDED else emulator_errs(form)
    for text in texts(f"sq{form.letter}b", form):
        check(text, pairs(form, text), arithmetic(expect), errs)


@pytest.mark.parametrize("form", FORMATS, ids=lambda f: f.letter)
@pytest.mark.parametrize("signal", [False, True], ids=["quiet", "signalling"])
def test_compare_orders_exact_values(form: Format, signal: bool) -> None:
    def expect(case: Case) -> Left:
        out = bfp_conversions.compare(form, case.fpc, *operands(form, case), signal)
        out.result = None
        return left(case, out, out.cc)

    for text in texts(f"{'k' if signal else 'c'}{form.letter}b", form):
        check(text, pairs(form, text), expect, emulator_errs(form))


@pytest.mark.parametrize("form", [SHORT, LONG], ids=lambda f: f.letter)
@pytest.mark.parametrize("subtract", [False, True], ids=["add", "subtract"])
def test_fused_multiply_rounds_the_exact_result_once(form: Format, subtract: bool) -> None:
    def expect(case: Case) -> Outcome:
        a, b = operands(form, case)
        c = bits_of(form, case.c)
        return bfp_oracle.multiply_add(form, case.fpc, a, b, c, subtract)

    stem = f"m{'s' if subtract else 'a'}{form.letter}b"
    for text in (f"{stem}r %f0,%f8,%f4", f"{stem} %f0,%f8,24(%r2)"):
        check(text, triples(form, text), arithmetic(expect), emulator_errs(form))


@pytest.mark.parametrize("form", [SHORT, LONG], ids=lambda f: f.letter)
@pytest.mark.parametrize("method", [0, 1, 3, 4, 5, 6, 7])
def test_divide_to_integer_leaves_exact_quotient_and_remainder(form: Format, method: int) -> None:
    """Unicorn has no DIVIDE TO INTEGER."""

    def expect(case: Case) -> Left:
        mode = method or bfp_oracle.MODES[case.fpc & 7]
        a, b = operands(form, case)
        out, quotient = bfp_conversions.divide_to_integer(form, case.fpc, mode, a, b)
        found = left(case, out, out.cc)
        if out.result is None:
            return found
        c = image(form, quotient) | case.c & (1 << (128 - form.bits)) - 1
        return Left(found.a, c, found.integer, found.cc, found.code, found.dxc, found.fpc)

    text = f"di{form.letter}br %f0,%f4,%f8,{method}"
    check(text, pairs(form, text)[method::3], expect)
