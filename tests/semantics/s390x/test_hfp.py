"""Hexadecimal floating point against exact fractions: arithmetic and comparison."""

import random
from collections.abc import Callable, Iterator

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.s390x import hfp_oracle as oracle
from tests.semantics.s390x.hfp_oracle import EXTENDED, LONG, SHORT, Number, Result
from worldswitch.arch.s390x.program import ProgramCode

A = 0x2000
AFP = 1 << 18
MASKS = (0, oracle.UNDERFLOW, oracle.SIGNIFICANCE, oracle.UNDERFLOW | oracle.SIGNIFICANCE)
COUNT = {"python": 60, "native": 250}


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    made = Bench(engine=request.param)
    made.controls(cr0=made.raw.cr[0] | AFP)
    return made


def boundaries(digits: int) -> list[Number]:
    """Numbers at the edges of a format."""
    top = 16**digits - 1
    fractions = (0, 1, 16 ** (digits - 1), 8 * 16 ** (digits - 1), top, top // 16)
    return [
        Number(s, c, f, digits) for s in (0, 1) for c in (0, 63, 64, 65, 127) for f in fractions
    ]


def any_number(rng: random.Random, digits: int, near: int | None = None) -> Number:
    """A number, unnormalized now and then; with a characteristic close to `near` mostly."""
    fraction = rng.getrandbits(4 * digits)
    kind = rng.random()
    if kind < 0.2:
        fraction >>= 4 * rng.randrange(1, digits)
    elif kind < 0.3:
        fraction = rng.choice((0, 1, 16**digits - 1, 16 ** (digits - 1)))
    elif kind < 0.4:
        fraction &= ~0 << 4 * rng.randrange(1, digits)
    characteristic = rng.randrange(128)
    if near is not None and rng.random() < 0.7:
        characteristic = min(127, max(0, near + rng.randrange(-digits, digits + 1)))
    return Number(rng.getrandbits(1), characteristic, fraction, digits)


def pairs(bench: Bench, seed: str, digits: int) -> Iterator[tuple[Number, Number, int]]:
    """Two numbers and a program mask, again and again."""
    rng = random.Random(seed)
    edges = boundaries(digits)
    for _ in range(COUNT[bench.engine]):
        a = any_number(rng, digits)
        yield a, any_number(rng, digits, a.characteristic), rng.choice(MASKS)
    for _ in range(COUNT[bench.engine]):
        yield rng.choice(edges), rng.choice(edges), rng.choice(MASKS)


def place(bench: Bench, r: int, number: Number) -> None:
    """Put a number into registers; the rest of a short one's register is known."""
    words = number.words
    if number.digits == SHORT:
        words = (words[0] << 32 | 0x1234_5678,)
    for n, word in enumerate(words):
        bench.raw.vr[2 * (r + 2 * n)] = word


def placed(bench: Bench, r: int, digits: int) -> tuple[int, ...]:
    """The words of the number in registers."""
    if digits == SHORT:
        return (bench.raw.vr[2 * r] >> 32,)
    return tuple(bench.raw.vr[2 * (r + 2 * n)] for n in range(digits // 14))


def run(bench: Bench, text: str, mask: int) -> ProgramCode | None:
    """Execute with a program mask and a condition code of 3."""
    bench.psw(PSW_64 | mask | 3 << 44)
    ending = bench.execute(text)
    assert ending is None or isinstance(ending, ProgramCode)
    return ending


def exact(operate: Callable[..., object]) -> Callable[[Number, Number, int, int], Result]:
    """A two-operand instruction whose result is an exact value, cut."""
    return lambda a, b, digits, mask: oracle.nearest_cut(operate(a.value, b.value), digits, mask)


def times(a: object, b: object) -> object:
    return a * b  # type: ignore[operator]


def add(a: Number, b: Number, _digits: int, mask: int) -> Result:
    return oracle.add(a, b, mask)


def subtract(a: Number, b: Number, digits: int, mask: int) -> Result:
    return add(a, Number(b.sign ^ 1, b.characteristic, b.fraction, b.digits), digits, mask)


def add_unnormalized(a: Number, b: Number, _digits: int, mask: int) -> Result:
    return oracle.add(a, b, mask, normalizing=False)


def subtract_unnormalized(a: Number, b: Number, _digits: int, mask: int) -> Result:
    minus = Number(b.sign ^ 1, b.characteristic, b.fraction, b.digits)
    return oracle.add(a, minus, mask, normalizing=False)


def divide(a: Number, b: Number, digits: int, mask: int) -> Result:
    return oracle.nearest_cut(a.value / b.value, digits, mask)


TWO_OPERANDS = [
    ("AER 3A AE 7A", SHORT, SHORT, True, add), ("SER 3B SE 7B", SHORT, SHORT, True, subtract),
    ("ADR 2A AD 6A", LONG, LONG, True, add), ("SDR 2B SD 6B", LONG, LONG, True, subtract),
    ("AXR 36", EXTENDED, EXTENDED, True, add), ("SXR 37", EXTENDED, EXTENDED, True, subtract),
    ("AUR 3E AU 7E", SHORT, SHORT, True, add_unnormalized),
    ("SUR 3F SU 7F", SHORT, SHORT, True, subtract_unnormalized),
    ("AWR 2E AW 6E", LONG, LONG, True, add_unnormalized),
    ("SWR 2F SW 6F", LONG, LONG, True, subtract_unnormalized),
    ("MEER B337 MEE ED37", SHORT, SHORT, False, exact(times)),
    ("MDER 3C MDE 7C", SHORT, LONG, False, exact(times)),
    ("MDR 2C MD 6C", LONG, LONG, False, exact(times)),
    ("MXDR 27 MXD 67", LONG, EXTENDED, False, exact(times)),
    ("MXR 26", EXTENDED, EXTENDED, False, exact(times)),
    ("DER 3D DE 7D", SHORT, SHORT, False, divide), ("DDR 2D DD 6D", LONG, LONG, False, divide),
    ("DXR B22D", EXTENDED, EXTENDED, False, divide),
]  # fmt: skip


def in_registers(opcode: str, r1: int, r2: int) -> str:
    """RR or RRE text."""
    return f"{opcode} 00{r1:X}{r2:X}" if len(opcode) == 4 else f"{opcode}{r1:X}{r2:X}"


def in_storage(opcode: str, r1: int) -> str:
    """RX or RXE text with the operand at register 1."""
    if len(opcode) == 4:
        return f"{opcode[:2]}{r1:X}0 1000 00{opcode[2:]}"
    return f"{opcode}{r1:X}0 1000"


@pytest.mark.parametrize("row", TWO_OPERANDS, ids=lambda row: row[0].split()[0])
def test_two_operands(
    bench: Bench, row: tuple[str, int, int, bool, Callable[[Number, Number, int, int], Result]]
) -> None:
    names, digits, result_digits, sets_cc, operate = row
    opcodes = names.split()[1::2]
    for a, b, mask in pairs(bench, names, digits):
        expected: Result | None = None
        if operate is not divide or b.fraction:
            expected = operate(a, b, result_digits, mask)
        for form, opcode in enumerate(opcodes):
            place(bench, 0, a)
            place(bench, 4, b)
            bench.raw.gr[1] = A
            bench.put(A, b.words[0], 4 if digits == SHORT else 8)
            text = in_storage(opcode, 0) if form else in_registers(opcode, 0, 4)
            ending = run(bench, text, mask)
            if expected is None:
                assert ending == ProgramCode.HFP_DIVIDE
                assert placed(bench, 0, digits) == a.words
                continue
            assert ending == expected[1], (a, b)
            assert placed(bench, 0, result_digits) == expected[0].words, (a, b)
            if ending is None:
                assert bench.raw.cc == (expected[0].cc if sets_cc else 3)


@pytest.mark.parametrize(
    ("names", "digits"),
    [("CER 39 CE 79", SHORT), ("CDR 29 CD 69", LONG), ("CXR B369", EXTENDED)],
)
def test_compare(bench: Bench, names: str, digits: int) -> None:
    for a, b, mask in pairs(bench, names, digits):
        for form, opcode in enumerate(names.split()[1::2]):
            place(bench, 0, a)
            place(bench, 4, b)
            bench.raw.gr[1] = A
            bench.put(A, b.words[0], 4 if digits == SHORT else 8)
            text = in_storage(opcode, 0) if form else in_registers(opcode, 0, 4)
            assert run(bench, text, mask) is None
            assert bench.raw.cc == oracle.compare(a, b), (a, b)


@pytest.mark.parametrize(
    ("opcode", "digits", "sign"),
    [("2E", SHORT, 1), ("3E", LONG, 1), ("2F", SHORT, -1), ("3F", LONG, -1)],
    ids=["MAE", "MAD", "MSE", "MSD"],
)
def test_multiply_and_add_is_exact_before_it_is_cut(
    bench: Bench, opcode: str, digits: int, sign: int
) -> None:
    rng = random.Random(opcode)
    for a, b, mask in pairs(bench, opcode, digits):
        c = any_number(rng, digits, max(0, min(127, a.characteristic + b.characteristic - 64)))
        expected = oracle.nearest_cut(a.value * b.value + sign * c.value, digits, mask)
        for text in (f"B3{opcode} 0064", f"ED60 1000 00{opcode}"):
            place(bench, 0, c)
            place(bench, 6, a)
            place(bench, 4, b)
            bench.raw.gr[1] = A
            bench.put(A, b.words[0], 4 if digits == SHORT else 8)
            assert run(bench, text, mask) == expected[1]
            assert placed(bench, 0, digits) == expected[0].words, (a, b, c)


@pytest.mark.parametrize(("opcode", "digits"), [("34", SHORT), ("24", LONG)], ids=["HER", "HDR"])
def test_halve(bench: Bench, opcode: str, digits: int) -> None:
    for a, _, mask in pairs(bench, opcode, digits):
        place(bench, 4, a)
        expected = oracle.halve(a, mask)
        assert run(bench, f"{opcode}04", mask) == expected[1]
        assert placed(bench, 0, digits) == expected[0].words, a


@pytest.mark.parametrize(
    ("names", "digits"),
    [("SQER B245 SQE ED34", SHORT), ("SQDR B244 SQD ED35", LONG), ("SQXR B336", EXTENDED)],
)
def test_square_root(bench: Bench, names: str, digits: int) -> None:
    for a, _, mask in pairs(bench, names, digits):
        for form, opcode in enumerate(names.split()[1::2]):
            place(bench, 0, oracle.zero(digits))
            place(bench, 4, a)
            bench.raw.gr[1] = A
            bench.put(A, a.words[0], 4 if digits == SHORT else 8)
            text = in_storage(opcode, 0) if form else in_registers(opcode, 0, 4)
            ending = run(bench, text, mask)
            if a.sign and a.fraction:
                assert ending == ProgramCode.HFP_SQUARE_ROOT
                assert placed(bench, 0, digits) == oracle.zero(digits).words
            else:
                assert ending is None
                assert placed(bench, 0, digits) == oracle.square_root(a).words, a


@pytest.mark.parametrize("text", ["B336 0024", "3602", "2721", "B369 0042", "B366 0006"])
def test_extended_operands_in_no_pair_are_specification_exceptions(bench: Bench, text: str) -> None:
    assert run(bench, text, 0) == ProgramCode.SPECIFICATION
