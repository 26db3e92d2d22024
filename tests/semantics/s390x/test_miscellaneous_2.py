"""Miscellaneous-instruction-extensions facility 2, against Python's integers."""

import itertools
import random

import pytest

from tests.semantics.bench import PSW_64, STOP, Bench
from worldswitch.arch.s390x.program import ProgramCode

A = 0x2000
ONES = (1 << 64) - 1
OVERFLOW_MASK = 1 << 43
BOUNDARIES = [0, 1, 2, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 1 << 32]
BOUNDARIES += [(1 << 63) - 1, 1 << 63, ONES - 1, ONES]
RANDOM = random.Random(58)
CASES = [
    *itertools.product(BOUNDARIES, repeat=2),
    *((RANDOM.getrandbits(64), RANDOM.getrandbits(RANDOM.choice((8, 16, 33, 64))))
      for _ in range(60)),
]  # fmt: skip


@pytest.fixture(scope="module", params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


def signed(value: int, bits: int) -> int:
    """The low bits of a value as a signed number."""
    value &= (1 << bits) - 1
    return value - (value >> (bits - 1) << bits)


def code(result: int, bits: int) -> int:
    """The condition code of signed arithmetic with this exact result."""
    if signed(result, bits) != result:
        return 3
    return 0 if result == 0 else 1 if result < 0 else 2


@pytest.mark.parametrize(("text", "sign"), [("E340 1000 0038", 1), ("E340 1000 0039", -1)])
def test_agh_and_sgh(bench: Bench, text: str, sign: int) -> None:
    bench.raw.gr[1] = A
    for a, b in CASES:
        bench.raw.gr[4] = a
        bench.put(A, b & 0xFFFF, 2)
        bench.psw(PSW_64)
        assert bench.execute(text) is None
        exact = signed(a, 64) + sign * signed(b, 16)
        assert (bench.raw.gr[4], bench.raw.cc) == (exact & ONES, code(exact, 64))


def test_mgh_keeps_the_condition_code(bench: Bench) -> None:
    bench.raw.gr[1] = A
    for a, b in CASES:
        bench.raw.gr[4] = a
        bench.put(A, b & 0xFFFF, 2)
        bench.psw(PSW_64 | 1 << 44)
        assert bench.execute("E340 1000 003C") is None
        exact = signed(a, 64) * signed(b, 16)
        assert (bench.raw.gr[4], bench.raw.cc) == (exact & ONES, 1)


@pytest.mark.parametrize(
    ("text", "bits"),
    [("B9FD 2043", 32), ("B9ED 2043", 64), ("E340 1000 0053", 32), ("E340 1000 0083", 64)],
)
def test_multiply_single_with_condition_code(bench: Bench, text: str, bits: int) -> None:
    bench.raw.gr[1] = A
    for a, b in CASES:
        bench.raw.gr[4] = bench.raw.gr[3] = a
        bench.raw.gr[2] = b
        bench.put(A, b & ((1 << bits) - 1), bits // 8)
        bench.psw(PSW_64 | OVERFLOW_MASK)
        exact = signed(a, bits) * signed(b, bits)
        ending = ProgramCode.FIXED_POINT_OVERFLOW if code(exact, bits) == 3 else None
        assert bench.execute(text) == ending
        low = exact & ((1 << bits) - 1)
        assert bench.raw.gr[4] == (low if bits == 64 else a >> 32 << 32 | low)
        if ending is None:
            assert bench.raw.cc == code(exact, bits)
        bench.raw.gr[4] = a
        bench.psw(PSW_64)
        assert (bench.execute(text), bench.raw.cc) == (None, code(exact, bits))


@pytest.mark.parametrize("text", ["B9EC 2043", "E340 1000 0084"])
def test_mg_and_mgrk(bench: Bench, text: str) -> None:
    bench.raw.gr[1] = A
    for a, b in CASES:
        bench.raw.gr[3] = bench.raw.gr[5] = a
        bench.raw.gr[2] = b
        bench.put(A, b)
        bench.psw(PSW_64 | 2 << 44)
        assert bench.execute(text) is None
        exact = signed(a, 64) * signed(b, 64) & ((1 << 128) - 1)
        assert (bench.raw.gr[4], bench.raw.gr[5], bench.raw.cc) == (exact >> 64, exact & ONES, 2)


@pytest.mark.parametrize("text", ["B9EC 2053", "E350 1000 0084"])
def test_mg_and_mgrk_with_an_odd_register_are_specification_exceptions(
    bench: Bench, text: str
) -> None:
    bench.raw.gr[1] = A
    bench.psw(PSW_64)
    assert bench.execute(text) == ProgramCode.SPECIFICATION


@pytest.mark.parametrize(("mask", "cc", "taken"), [(8, 0, True), (7, 0, False), (15, 3, True),
                                                   (0, 0, False)])  # fmt: skip
def test_bic_fetches_its_target_only_to_branch(
    bench: Bench, mask: int, cc: int, taken: bool
) -> None:
    bench.raw.gr[1] = A if taken else 1 << 40
    bench.put(A, 0x3456)
    bench.write(0x3456, bytes.fromhex(STOP))
    bench.psw(PSW_64 | cc << 44)
    text = f"E3{mask:X}0 1000 0047"
    if bench.engine == "native":
        assert bench.execute(text) is None
        assert bench.raw.psw_addr == (0x3456 if taken else 0x1006)
    else:
        item, _ = bench.decode(int(text.replace(" ", "").ljust(16, "0"), 16), 0x1000)
        result = item.function(bench.cpu, mask, bench.raw.gr[1])
        assert result == (taken, 0x3456 if taken else 0)


def test_bic_without_an_operand_to_fetch_is_an_addressing_exception(bench: Bench) -> None:
    bench.raw.gr[1] = 1 << 40
    bench.psw(PSW_64)
    assert bench.execute("E3F0 1000 0047") == ProgramCode.ADDRESSING
