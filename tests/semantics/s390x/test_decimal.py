"""Decimal arithmetic, editing and packing, against Python's integers and an emulator."""

import random
from collections.abc import Callable

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.emulator import Emulator, ours
from worldswitch.arch.s390x.program import ProgramCode

DECIMAL_MASK = 1 << 42
A, B = 0x2000, 0x3000
MINUS = (0xB, 0xD)


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    made = Bench(engine=request.param)
    made.raw.gr[1], made.raw.gr[2] = A, B
    return made


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator()


def packed(value: int, size: int, sign: int | None = None) -> bytes:
    """`size` bytes of packed decimal; the preferred sign unless one is given."""
    if sign is None:
        sign = 0xD if value < 0 else 0xC
    return bytes.fromhex(f"{abs(value):0{2 * size - 1}d}{sign:x}")


def two(
    bench: Bench, opcode: str, first: bytes, second: bytes, mask: int = PSW_64
) -> tuple[object, bytes, int]:
    """Execute an SS instruction with two lengths; (ending, first operand after, cc)."""
    bench.raw.gr[1], bench.raw.gr[2] = A, B
    bench.write(A, first)
    bench.write(B, second)
    bench.psw(mask)
    bench.raw.cc = 0
    lengths = f"{len(first) - 1:X}{len(second) - 1:X}"
    ending = bench.execute(f"{opcode}{lengths} 1000 2000")
    return ending, bench.read(A, len(first)), bench.raw.cc


def stored(value: int, size: int) -> tuple[bytes, int]:
    """What a sum leaves in `size` bytes, and the condition code."""
    limit = 10 ** (2 * size - 1)
    kept = abs(value) % limit
    lost = abs(value) >= limit
    minus = value < 0 and (lost or kept != 0)
    cc = 3 if lost else (value > 0) * 2 + (value < 0)
    return packed(kept, size, 0xD if minus else 0xC), cc


def number(rng: random.Random, size: int) -> int:
    digits = rng.choice((0, 1, 2 * size - 1, rng.randrange(2 * size)))
    value = rng.choice((rng.randrange(10**digits), 10**digits - 1))
    return rng.choice((value, -value))


OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "FA": lambda a, b: a + b,
    "FB": lambda a, b: a - b,
    "F8": lambda a, b: b,
}


@pytest.mark.parametrize("opcode", OPERATIONS)
def test_sums_random_agree_with_integers(bench: Bench, opcode: str) -> None:
    rng = random.Random(opcode)
    for _ in range(300):
        n1, n2 = rng.randint(1, 16), rng.randint(1, 16)
        a, b = number(rng, n1), number(rng, n2)
        result = two(bench, opcode, packed(a, n1), packed(b, n2))
        assert result == (None, *stored(OPERATIONS[opcode](a, b), n1)), (n1, n2, a, b)


def test_cp_random_agrees_with_integers(bench: Bench) -> None:
    rng = random.Random(1)
    for _ in range(300):
        n1, n2 = rng.randint(1, 16), rng.randint(1, 16)
        a, b = number(rng, min(n1, 3)), number(rng, min(n2, 3))
        result = two(bench, "F9", packed(a, n1), packed(b, n2))
        assert result == (None, packed(a, n1), (a < b) + 2 * (a > b)), (n1, n2, a, b)


@pytest.mark.parametrize("sign", [0xA, 0xB, 0xC, 0xD, 0xE, 0xF])
def test_ap_takes_every_sign_code(bench: Bench, sign: int) -> None:
    expected = -5 if sign in MINUS else 5
    assert two(bench, "FA", packed(0, 2), packed(5, 1, sign)) == (None, *stored(expected, 2))


def test_cp_of_zeros_with_different_signs_is_equal(bench: Bench) -> None:
    assert two(bench, "F9", packed(0, 3, 0xD), packed(0, 1, 0xC))[2] == 0


def test_zap_negative_zero_becomes_positive_unless_digits_are_lost(bench: Bench) -> None:
    assert two(bench, "F8", b"\xff\xff", packed(0, 1, 0xD)) == (None, packed(0, 2), 0)
    assert two(bench, "F8", b"\xff", packed(-10, 2)) == (None, packed(0, 1, 0xD), 3)


def test_ap_overflow_with_the_mask_completes_and_interrupts(bench: Bench) -> None:
    result = two(bench, "FA", packed(9, 1), packed(1, 1), PSW_64 | DECIMAL_MASK)
    assert result == (ProgramCode.DECIMAL_OVERFLOW, packed(0, 1), 3)


@pytest.mark.parametrize("opcode", ["F8", "F9", "FA", "FB"])
@pytest.mark.parametrize("bad", ["1A1C", "A11C", "1119"])
def test_invalid_codes_are_data_exceptions_that_store_nothing(
    bench: Bench, opcode: str, bad: str
) -> None:
    first = packed(77, 4)
    ending, after, _ = two(bench, opcode, first, bytes.fromhex(bad))
    assert (ending, after, bench.raw.data_code) == (ProgramCode.DATA, first, 0)
    if opcode != "F8":
        assert two(bench, opcode, bytes.fromhex(bad), first)[0] == ProgramCode.DATA


def test_mp_random_agrees_with_integers(bench: Bench) -> None:
    rng = random.Random(2)
    for _ in range(200):
        n2 = rng.randint(1, 8)
        n1 = rng.randint(n2 + 1, 16)
        a, b = number(rng, n1 - n2), number(rng, n2)
        sign = 0xD if (a < 0) != (b < 0) else 0xC
        result = two(bench, "FC", packed(a, n1), packed(b, n2))
        assert result[:2] == (None, packed(abs(a * b), n1, sign)), (n1, n2, a, b)


def test_mp_of_zero_keeps_the_algebraic_sign(bench: Bench) -> None:
    assert two(bench, "FC", packed(0, 3), packed(-7, 1))[1] == packed(0, 3, 0xD)


def test_mp_without_leading_zeros_is_a_data_exception(bench: Bench) -> None:
    assert two(bench, "FC", packed(999, 3), packed(1, 1))[:2] == (None, packed(999, 3))
    assert two(bench, "FC", packed(1000, 3), packed(1, 1))[0] == ProgramCode.DATA


@pytest.mark.parametrize("opcode", ["FC", "FD"])
@pytest.mark.parametrize(("n1", "n2"), [(2, 2), (16, 9), (1, 1)])
def test_long_second_operands_are_specification_exceptions(
    bench: Bench, opcode: str, n1: int, n2: int
) -> None:
    assert two(bench, opcode, packed(1, n1), packed(1, n2))[0] == ProgramCode.SPECIFICATION


def test_dp_random_agrees_with_integers(bench: Bench) -> None:
    rng = random.Random(3)
    for _ in range(200):
        n2 = rng.randint(1, 8)
        n1 = rng.randint(n2 + 1, 16)
        a, b = number(rng, n1), number(rng, n2)
        size = n1 - n2
        result = two(bench, "FD", packed(a, n1), packed(b, n2))
        if b == 0 or abs(a) // abs(b) >= 10 ** (2 * size - 1):
            assert result[:2] == (ProgramCode.DECIMAL_DIVIDE, packed(a, n1))
            continue
        quotient, rest = divmod(abs(a), abs(b))
        expected = packed(quotient, size, 0xD if (a < 0) != (b < 0) else 0xC)
        expected += packed(rest, n2, 0xD if a < 0 else 0xC)
        assert result[:2] == (None, expected), (n1, n2, a, b)


def shifted(value: int, size: int, shift: int, rounding: int) -> tuple[bytes, int]:
    """SRP's result: (first operand, condition code)."""
    if shift >= 0:
        result = abs(value) * 10**shift
    else:
        result = (abs(value) * 10 + rounding * 10**-shift) // 10 ** (1 - shift)
    limit = 10 ** (2 * size - 1)
    kept, lost = result % limit, result >= limit
    minus = value < 0 and (lost or kept != 0)
    cc = 3 if lost else (kept != 0) * (1 if value < 0 else 2)
    return packed(kept, size, 0xD if minus else 0xC), cc


def test_srp_random_agrees_with_integers(bench: Bench) -> None:
    rng = random.Random(4)
    for _ in range(400):
        size, shift = rng.randint(1, 16), rng.choice((rng.randint(-32, 31), rng.randint(-4, 4)))
        value, rounding = number(rng, size), rng.randint(0, 9)
        bench.raw.gr[1] = A
        bench.write(A, packed(value, size))
        bench.psw(PSW_64)
        ending = bench.execute(f"F0{size - 1:X}{rounding} 1000 0{shift & 63:03X}")
        result = bench.read(A, size), bench.raw.cc
        assert ending is None
        assert result == shifted(value, size, shift, rounding), (value, size, shift, rounding)


def test_srp_with_an_invalid_rounding_digit_is_a_data_exception(bench: Bench) -> None:
    bench.write(A, packed(1, 2))
    bench.psw(PSW_64)
    assert bench.execute("F01A 1000 0000") == ProgramCode.DATA


@pytest.mark.parametrize(
    ("pattern", "source", "expected", "cc", "mark"),
    [
        # A message after the number goes with a plus sign and stays with a minus sign.
        ("4020206B2020214B202040C3D9", "0257426C", "4040F26BF5F7F44BF2F6404040", 2, 2),
        ("4020206B2020214B202040C3D9", "0000026D", "404040404040404BF2F640C3D9", 1, None),
        ("40202120", "012C", "4040F1F2", 2, 2),
        ("402020222020", "123C0C", "40F1F240F340", 2, 4),
        ("402020222020", "120C0C", "40F1F2404040", 0, 1),
        ("5C2020", "05", "5C5CF5", 1, 2),
        ("2020", "12", "F1F2", 1, 0),
        ("40C1", "", "4040", 0, None),
    ],
)
def test_ed_and_edmk_examples(
    bench: Bench, pattern: str, source: str, expected: str, cc: int, mark: int | None
) -> None:
    for opcode, marking in (("DE", False), ("DF", True)):
        bench.raw.gr[1], bench.raw.gr[3], bench.raw.gr[2] = 0x1111, A, B
        bench.write(A, bytes.fromhex(pattern))
        bench.write(B, bytes.fromhex(source))
        bench.psw(PSW_64)
        size = len(pattern) // 2
        assert bench.execute(f"{opcode}{size - 1:02X} 3000 2000") is None
        assert (bench.read(A, size).hex().upper(), bench.raw.cc) == (expected, cc)
        marked = 0x1111 if mark is None or not marking else A + mark
        assert bench.raw.gr[1] == marked


def test_edmk_in_24_bit_mode_keeps_bits_0_to_39(bench: Bench) -> None:
    bench.raw.gr[1], bench.raw.gr[3], bench.raw.gr[2] = 0x1122_3344_5566_7788, A, B
    bench.write(A, bytes.fromhex("4020"))
    bench.write(B, b"\x10")
    bench.psw(0)
    assert bench.execute("DF01 3000 2000") is None
    assert bench.raw.gr[1] == 0x1122_3344_5500_0000 | A + 1


def test_ed_with_an_invalid_digit_stores_nothing(bench: Bench) -> None:
    bench.raw.gr[3], bench.raw.gr[2] = A, B
    bench.write(A, bytes.fromhex("40202020"))
    bench.write(B, bytes.fromhex("12A3"))
    bench.psw(PSW_64)
    assert bench.execute("DE03 3000 2000") == ProgramCode.DATA
    assert bench.read(A, 4) == bytes.fromhex("40202020")


def registers(rng: random.Random) -> list[int]:
    gr = [rng.getrandbits(64) for _ in range(16)]
    gr[1], gr[2] = A, A + 0x100
    return gr


def random_digits(rng: random.Random) -> bytes:
    """512 bytes, mostly of decimal digits."""
    return bytes.fromhex("".join(rng.choice("0123456789" * 3 + "ABCDEF") for _ in range(128))) * 8


def test_tp_and_unpacking_random_agree_with_the_emulator(bench: Bench, emulator: Emulator) -> None:
    rng = random.Random(5)
    for _ in range(200):
        data, gr = random_digits(rng), registers(rng)
        n = rng.randint(0, 31)
        for text in (
            f"EB{n & 15:X}0 1000 00C0",
            f"EA{n:02X} 1000 2000",
            f"E2{2 * n + 1:02X} 1000 2000",
        ):
            assert ours(bench, text, gr, A, data) == emulator.run(text, gr, A, data), text


@pytest.mark.parametrize(("opcode", "step"), [("E9", 1), ("E1", 2)])
def test_pka_and_pku_pack_the_right_31_digits(bench: Bench, opcode: str, step: int) -> None:
    """QEMU 5 leaves out the leftmost character; by the manual only a 32nd digit is left out."""
    rng = random.Random(6)
    for count in range(1, 33):
        data = random_digits(rng)[: 0x100 + 64]
        text = f"{opcode}{count * step - 1:02X} 1000 2000"
        result = ours(bench, text, registers(rng), A, data)
        source = data[0x100 : 0x100 + count * step]
        digits = "".join(f"{byte & 15:x}" for byte in source[step - 1 :: step])[-31:]
        assert result.area[:16] == bytes.fromhex(digits.rjust(31, "0") + "c"), count
        assert result.cc is not None


@pytest.mark.parametrize(
    "text",
    [f"{head} 1000 2000" for head in ("E920", "E100", "E141", "EA20", "E200", "E241")],
)
def test_packing_with_a_wrong_length_is_a_specification_exception(bench: Bench, text: str) -> None:
    bench.psw(PSW_64)
    assert bench.execute(text) == ProgramCode.SPECIFICATION


@pytest.mark.parametrize(
    ("value", "ending", "result"),
    [
        (0, None, 0),
        (2**63 - 1, None, 2**63 - 1),
        (-(2**63), None, 2**63),
        (-1, None, 2**64 - 1),
        (2**63, ProgramCode.FIXED_POINT_DIVIDE, 0x55),
        (-(2**63) - 1, ProgramCode.FIXED_POINT_DIVIDE, 0x55),
        (10**31 - 1, ProgramCode.FIXED_POINT_DIVIDE, 0x55),
    ],
)
def test_cvbg_boundaries(bench: Bench, value: int, ending: ProgramCode | None, result: int) -> None:
    bench.raw.gr[1], bench.raw.gr[4] = A, 0x55
    bench.write(A, packed(value, 16))
    bench.psw(PSW_64)
    assert bench.execute("E340 1000 000E") == ending
    assert bench.raw.gr[4] == result


def test_cvbg_of_an_invalid_sign_is_a_data_exception(bench: Bench) -> None:
    bench.raw.gr[1] = A
    bench.write(A, bytes(16))
    bench.psw(PSW_64)
    assert bench.execute("E340 1000 000E") == ProgramCode.DATA
