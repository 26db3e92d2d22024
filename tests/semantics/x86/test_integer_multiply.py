"""Multiplication, division and sign extension."""

import pytest

from tests.semantics.x86.bench import CF, CODE, DATA, OF, Bench
from worldswitch.arch.x86.exceptions import Vector

BOTH = CF | OF
ONES = 2**64 - 1


@pytest.fixture(scope="module", params=["native", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """64-bit mode."""
    return Bench("long64", engine=request.param)


@pytest.mark.parametrize(
    ("code", "rax", "rcx", "low", "high", "flags"),
    [
        ("f6 e1", 0x1210, 0x10, 0x100, 7, BOTH),
        ("f6 e1", 0x120F, 0x10, 0xF0, 7, 0),
        ("66 f7 e1", 0xAAAA_0000_FFFF, 0xFFFF, 0xAAAA_0000_0001, 0xFFFE, BOTH),
        ("f7 e1", 0xFFFF_FFFF, 0xFFFF_FFFF, 1, 0xFFFF_FFFE, BOTH),
        ("48 f7 e1", ONES, ONES, 1, ONES - 1, BOTH),
        ("48 f7 e1", 1 << 32, 1 << 31, 1 << 63, 0, 0),
        ("f6 e9", 0xFF, 0xFF, 1, 7, 0),
        ("f6 e9", 0x80, 0xFF, 0x80, 7, BOTH),
        ("66 f7 e9", 0xFFFF, 2, 0xFFFE, 0xFFFF, 0),
        ("f7 e9", 0x8000_0000, 0x8000_0000, 0, 0x4000_0000, BOTH),
        ("48 f7 e9", ONES, 5, ONES - 4, ONES, 0),
        ("48 f7 e9", 1 << 63, ONES, 1 << 63, 0, BOTH),
    ],
)
def test_multiply_accumulator_gives_double_width(
    bench: Bench, code: str, rax: int, rcx: int, low: int, high: int, flags: int
) -> None:
    """MUL and IMUL by rCX; RDX is 7 before."""
    after = bench.run(code, rax=rax, rcx=rcx, rdx=7)
    assert (after.rax, after.rdx, after.status & BOTH) == (low, high, flags)


@pytest.mark.parametrize(
    ("code", "rcx", "result", "flags"),
    [
        ("48 0f af c1", 1 << 32, 0, BOTH),
        ("48 0f af c1", ONES, ONES << 32 & ONES, 0),
        ("48 6b c1 fe", 3, ONES - 5, 0),
        ("6b c1 7f", 0x8000_0000, 0x8000_0000, BOTH),
        ("66 69 c1 00 80", 1, 0x1_0000_8000, 0),
        ("48 69 c1 ff ff ff ff", 7, ONES - 6, 0),
    ],
)
def test_multiply_truncated_says_whether_it_fits(
    bench: Bench, code: str, rcx: int, result: int, flags: int
) -> None:
    """IMUL with two and three operands; RAX is 1 0000 0000h before."""
    after = bench.run(code, rax=1 << 32, rcx=rcx)
    assert (after.rax, after.status & BOTH) == (result, flags)


@pytest.mark.parametrize(
    ("code", "rdx", "rax", "rcx", "quotient", "rest"),
    [
        ("66 f7 f1", 1, 5, 10, 6554, 1),
        ("f7 f1", 1, 0, 0x1_0000_0003, 0x5555_5555, 1),
        ("48 f7 f1", 0, 100, 7, 14, 2),
        ("48 f7 f1", 6, 5, 7, ((6 << 64) + 5) // 7, ((6 << 64) + 5) % 7),
        ("48 f7 f1", ONES - 1, ONES, ONES, ONES, ONES - 1),
        ("48 f7 f9", ONES, ONES - 6, 2, ONES - 2, ONES),
        ("48 f7 f9", 0, 7, ONES - 1, ONES - 2, 1),
        ("f7 f9", 0xFFFF_FFFF, 0x8000_0000, 1, 0x8000_0000, 0),
        ("48 f7 f9", ONES, 1 << 63, 1, 1 << 63, 0),
    ],
)
def test_divide_gives_quotient_and_remainder(
    bench: Bench, code: str, rdx: int, rax: int, rcx: int, quotient: int, rest: int
) -> None:
    """DIV and IDIV by rCX; no flag changes."""
    after = bench.run(code, flags=BOTH, rdx=rdx, rax=rax, rcx=rcx)
    assert (after.exception, after.rax, after.rdx) == (None, quotient, rest)
    assert after.status == BOTH


def test_divide_bytes_uses_ah(bench: Bench) -> None:
    """AX by CL: the quotient to AL, the remainder to AH."""
    assert bench.run("f6 f1", rax=0x5_0064, rcx=7).rax == 0x5_020E
    assert bench.run("f6 f9", rax=0xFF9C, rcx=7).rax == 0xFEF2


@pytest.mark.parametrize(
    ("code", "rdx", "rax", "rcx"),
    [
        ("f6 f1", 0, 0x100, 0),
        ("f6 f1", 0, 0x100, 1),
        ("f6 f9", 0, 0x80, 1),
        ("66 f7 f1", 1, 0, 1),
        ("f7 f1", 5, 0, 5),
        ("f7 f9", 0xFFFF_FFFF, 0x8000_0000, 0xFFFF_FFFF),
        ("f7 f9", 0x8000_0000, 0, 0xFFFF_FFFF),
        ("48 f7 f1", 1, 0, 1),
        ("48 f7 f9", ONES, 1 << 63, ONES),
        ("48 f7 f9", 1 << 63, 0, ONES),
        ("48 f7 f9", 0, 0, 0),
    ],
)
def test_divide_quotient_too_large_is_divide_error(
    bench: Bench, code: str, rdx: int, rax: int, rcx: int
) -> None:
    """By zero, and by too little; nothing changes."""
    after = bench.run(code, rdx=rdx, rax=rax, rcx=rcx)
    assert (after.exception, after.rip) == (Vector.DE, CODE)
    assert (after.rdx, after.rax) == (rdx, rax)


@pytest.mark.parametrize(
    ("code", "rax", "rdx"),
    [
        ("66 98", 0x1234_5678_9ABC_FF80, 0),
        ("98", 0x0000_0000_FFFF_DE80, 0),
        ("48 98", 0xFFFF_FFFF_9ABC_DE80, 0),
        ("66 99", 0x1234_5678_9ABC_DE80, 0xFFFF),
        ("99", 0x1234_5678_9ABC_DE80, 0xFFFF_FFFF),
        ("48 99", 0x1234_5678_9ABC_DE80, 0),
    ],
)
def test_extend_accumulator_copies_sign(bench: Bench, code: str, rax: int, rdx: int) -> None:
    """CBW, CWDE, CDQE; CWD, CDQ, CQO."""
    after = bench.run(code, rax=0x1234_5678_9ABC_DE80)
    assert (after.rax, after.rdx) == (rax, rdx)


def test_bytes_in_reverse(bench: Bench) -> None:
    """BSWAP, MOVBE to and from memory, XLAT."""
    assert bench.run("0f c8", rax=0x1122_3344_5566_7788).rax == 0x8877_6655
    assert bench.run("49 0f c8", r8=0x1122_3344_5566_7788).r8 == 0x8877_6655_4433_2211
    bench.put(DATA, 0x1122_3344_5566_7788)
    assert bench.run("66 0f 38 f0 07", rax=ONES, rdi=DATA).rax == ONES - 0xFFFF + 0x8877
    bench.run("48 0f 38 f1 07", rax=0x0102_0304_0506_0708, rdi=DATA)
    assert bench.read(DATA, 8) == bytes(range(1, 9))
    assert bench.run("d7", rax=0xAA03, rbx=DATA).rax == 0xAA04
