"""Hexadecimal floating point against exact fractions: signs, formats and integers."""

import random

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.s390x import hfp_oracle as oracle
from tests.semantics.s390x.hfp_oracle import EXTENDED, LONG, SHORT, Number
from tests.semantics.s390x.test_hfp import AFP, COUNT, A, in_storage, pairs, place, placed, run
from worldswitch.arch.s390x.program import ProgramCode

FORMATS = (("E", SHORT), ("D", LONG), ("X", EXTENDED))


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    made = Bench(engine=request.param)
    made.controls(cr0=made.raw.cr[0] | AFP)
    return made


@pytest.mark.parametrize(
    ("digit", "sign"), [("0", (0, 0)), ("1", (1, 1)), ("2", (0, 1)), ("3", (1, 0))]
)
@pytest.mark.parametrize("digits", [SHORT, LONG, EXTENDED])
def test_load_positive_negative_and_test_complement(
    bench: Bench, digit: str, sign: tuple[int, int], digits: int
) -> None:
    text = {SHORT: f"3{digit}04", LONG: f"2{digit}04", EXTENDED: f"B36{digit} 0004"}[digits]
    for a, _, mask in pairs(bench, text, digits):
        place(bench, 4, a)
        assert run(bench, text, mask) is None
        characteristic = a.characteristic
        if digits == EXTENDED and a.fraction == 0:
            characteristic = 0
        expected = Number(sign[a.sign], characteristic, a.fraction, digits)
        assert (placed(bench, 0, digits), bench.raw.cc) == (expected.words, expected.cc)


@pytest.mark.parametrize(
    ("second", "digits", "result"),
    [("24", SHORT, LONG), ("25", LONG, EXTENDED), ("26", SHORT, EXTENDED)],
    ids=["LDE", "LXD", "LXE"],
)
def test_load_lengthened(bench: Bench, second: str, digits: int, result: int) -> None:
    for a, _, mask in pairs(bench, second, digits):
        characteristic = a.characteristic if a.fraction or result == LONG else 0
        expected = Number(a.sign, characteristic, a.fraction << 4 * (result - digits), result)
        for text in (f"B3{second} 0004", in_storage(f"ED{second}", 0)):
            place(bench, 4, a)
            bench.raw.gr[1] = A
            bench.put(A, a.words[0], 4 if digits == SHORT else 8)
            assert run(bench, text, mask) is None
            assert (placed(bench, 0, result), bench.raw.cc) == (expected.words, 3)


@pytest.mark.parametrize(
    ("text", "digits", "result"),
    [("3504", LONG, SHORT), ("2504", EXTENDED, LONG), ("B366 0004", EXTENDED, SHORT)],
    ids=["LEDR", "LDXR", "LEXR"],
)
def test_load_rounded(bench: Bench, text: str, digits: int, result: int) -> None:
    for a, _, mask in pairs(bench, text, digits):
        place(bench, 4, a)
        expected = oracle.round_to(a, result, mask)
        assert run(bench, text, mask) == expected[1]
        assert placed(bench, 0, result) == expected[0].words, a
        if expected[1] is None:
            assert bench.raw.cc == 3


@pytest.mark.parametrize(
    ("second", "digits"), [("77", SHORT), ("7F", LONG), ("67", EXTENDED)], ids=["FIE", "FID", "FIX"]
)
def test_load_fp_integer(bench: Bench, second: str, digits: int) -> None:
    for a, b, mask in pairs(bench, second, digits):
        # Most of the interest is where the point lies within the fraction.
        near = Number(b.sign, 60 + b.characteristic % 40, b.fraction, digits)
        for number in (a, near):
            place(bench, 4, number)
            whole = oracle.nearest_cut(oracle.Fraction(int(number.value)), digits)[0]
            assert run(bench, f"B3{second} 0004", mask) is None
            assert (placed(bench, 0, digits), bench.raw.cc) == (whole.words, 3), number


def integers(rng: random.Random, count: int) -> list[int]:
    """64-bit patterns, the edges first."""
    edges = [0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
    return edges + [rng.getrandbits(64) >> rng.randrange(64) for _ in range(count)]


@pytest.mark.parametrize(("row", "bits"), [("B", 32), ("C", 64)])
@pytest.mark.parametrize(
    ("place_of", "digits"), [(4, SHORT), (5, LONG), (6, EXTENDED)], ids=["E", "D", "X"]
)
def test_convert_from_fixed(bench: Bench, row: str, bits: int, place_of: int, digits: int) -> None:
    for value in integers(random.Random(bits), COUNT[bench.engine]):
        bench.raw.gr[7] = value
        number = value & ((1 << bits) - 1)
        number -= number >> (bits - 1) << bits
        expected, _ = oracle.nearest_cut(oracle.Fraction(number), digits)
        assert run(bench, f"B3{row}{place_of} 0007", 0) is None
        assert (placed(bench, 0, digits), bench.raw.cc) == (expected.words, 3)


@pytest.mark.parametrize(("row", "bits"), [("B", 32), ("C", 64)])
@pytest.mark.parametrize(
    ("place_of", "digits"), [(8, SHORT), (9, LONG), (10, EXTENDED)], ids=["E", "D", "X"]
)
def test_convert_to_fixed(bench: Bench, row: str, bits: int, place_of: int, digits: int) -> None:
    rng = random.Random(bits * digits)
    for a, b, _ in pairs(bench, f"{row}{place_of}", digits):
        near = Number(b.sign, 58 + b.characteristic % 26, b.fraction, digits)
        # A value with few digits behind the point, so that halves occur.
        halves, _ = oracle.nearest_cut(
            oracle.Fraction(rng.randrange(-99, 99), 2 ** rng.randrange(3)), digits
        )
        for number in (a, near, halves):
            method = rng.choice((0, 1, 4, 5, 6, 7))
            place(bench, 4, number)
            bench.raw.gr[7] = 0x1122_3344_5566_7788
            assert run(bench, f"B3{row}{place_of:X} {method:X}074", 0) is None
            value, cc = oracle.to_fixed(number, method, bits)
            if bits == 32:
                value |= 0x1122_3344 << 32
            assert (bench.raw.gr[7], bench.raw.cc) == (value, cc), (number, method)


@pytest.mark.parametrize("method", [2, 3, 8, 15])
def test_convert_to_fixed_by_no_method_is_a_specification_exception(
    bench: Bench, method: int
) -> None:
    bench.psw(PSW_64)
    assert bench.execute(f"B3B8 {method:X}074") == ProgramCode.SPECIFICATION


def encoded(value: oracle.Fraction, width: int, precision: int, method: int) -> tuple[int, bool]:
    """A positive value as a binary number by a rounding method, and whether it overflows."""
    bias = (1 << width - 1) - 1
    power = max(1 - bias, _binary_exponent(value))
    unit = oracle.Fraction(2) ** (power - precision + 1)
    digits = oracle.rounded_integer(value / unit, method)
    bits = (power + bias - 1 << precision - 1) + digits
    infinity = (1 << width) - 1 << precision - 1
    if bits < infinity:
        return bits, False
    return infinity - (method in (0, 5, 7)), True


def _binary_exponent(value: oracle.Fraction) -> int:
    power = value.numerator.bit_length() - value.denominator.bit_length()
    return power if value >= oracle.Fraction(2) ** power else power - 1


@pytest.mark.parametrize(
    ("second", "width", "precision"), [("50", 8, 24), ("51", 11, 53)], ids=["TBEDR", "TBDR"]
)
def test_convert_hfp_to_bfp(bench: Bench, second: str, width: int, precision: int) -> None:
    rng = random.Random(second)
    for a, b, _ in pairs(bench, second, LONG):
        near = Number(b.sign, rng.choice((31, 32, 33, 34, 95, 96, 97)), b.fraction, LONG)
        for number in (a, near):
            method = rng.choice((0, 1, 4, 5, 6, 7))
            place(bench, 4, number)
            assert run(bench, f"B3{second} {method:X}004", 0) is None
            mirrored = {6: 7, 7: 6}.get(method, method) if number.sign else method
            bits, over = (0, False)
            if number.fraction:
                bits, over = encoded(abs(number.value), width, precision, mirrored)
            result = bench.raw.vr[0] >> (63 - width - precision + 1)
            expected = number.sign << width + precision - 1 | bits
            assert (result, bench.raw.cc) == (expected, 3 if over else number.cc), (number, method)


@pytest.mark.parametrize(
    ("second", "width", "precision"), [("58", 8, 24), ("59", 11, 53)], ids=["THDER", "THDR"]
)
def test_convert_bfp_to_hfp(bench: Bench, second: str, width: int, precision: int) -> None:
    rng = random.Random(second)
    bias = (1 << width - 1) - 1
    top = 16**14 - 1
    for _ in range(4 * COUNT[bench.engine]):
        field = rng.choice(
            (0, (1 << width) - 1, rng.getrandbits(width), bias, bias + 251, bias - 260)
        )
        field &= (1 << width) - 1
        fraction = rng.choice((0, 1, rng.getrandbits(precision - 1), (1 << precision - 1) - 1))
        sign = rng.getrandbits(1)
        bits = (sign << width | field) << precision - 1 | fraction
        bench.raw.vr[8] = bits << 64 - width - precision
        assert run(bench, f"B3{second} 0004", 0) is None
        digits = fraction | (field > 0) << precision - 1
        value = digits * oracle.Fraction(2) ** (max(field, 1) - bias - precision + 1)
        if field == (1 << width) - 1:
            expected, cc = Number(0 if fraction else sign, 127, top, LONG), 3
        elif value >= oracle.Fraction(16) ** 63:
            expected, cc = Number(sign, 127, top, LONG), 3
        else:
            cc = 0 if value == 0 else 2 - sign
            expected = oracle.zero(LONG, sign)
            if value >= oracle.Fraction(16) ** -65:
                characteristic, hexadecimal = oracle.cut(value, LONG)
                expected = Number(sign, characteristic, hexadecimal, LONG)
        assert (placed(bench, 0, LONG), bench.raw.cc) == (expected.words, cc), hex(bits)
