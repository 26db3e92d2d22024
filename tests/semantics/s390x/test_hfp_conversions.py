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
