"""Shifts and rotates: results, counts that are masked, and flags."""

import pytest

from tests.semantics.x86.bench import AF, CF, DATA, OF, PF, SF, STATUS, ZF, Bench

DEFINED = STATUS & ~AF
TOP = 1 << 63


@pytest.fixture(scope="module", params=["native", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """64-bit mode."""
    return Bench("long64", engine=request.param)


@pytest.mark.parametrize(
    ("code", "rax", "flags", "result", "status"),
    [
        # SHL AL,1: the carry is the bit that goes, OF whether the sign changes.
        ("d0 e0", 0x80, 0, 0, CF | OF | ZF | PF),
        ("d0 e0", 0xC0, 0, 0x80, CF | SF),
        ("d0 e0", 0x40, 0, 0x80, OF | SF),
        ("66 d1 e0", 0x8001, 0, 2, CF | OF),
        ("d1 e0", 0xFFFF_FFFF_8000_0001, 0, 2, CF | OF),
        ("48 d1 e0", TOP | 1, 0, 2, CF | OF),
        # /6 is SHL too.
        ("d1 f0", 0x4000_0000, 0, 0x8000_0000, OF | SF | PF),
        ("d0 e8", 0x81, 0, 0x40, CF | OF),
        ("48 d1 e8", TOP, 0, TOP >> 1, OF | PF),
        ("d0 f8", 0x81, 0, 0xC0, CF | SF | PF),
        ("48 d1 f8", TOP, 0, 3 << 62, SF | PF),
        ("d0 c0", 0x80, ZF | SF, 1, CF | OF | ZF | SF),
        ("d0 c8", 1, PF, 0x80, CF | OF | PF),
        ("d0 d0", 0x80, 0, 0, CF | OF),
        ("d0 d0", 0x40, CF, 0x81, OF),
        ("d0 d8", 1, 0, 0, CF),
        ("d0 d8", 0, CF, 0x80, OF),
        ("48 d1 d0", TOP, CF, 1, CF | OF),
        ("48 d1 d8", 1, CF, TOP, CF | OF),
    ],
)
def test_shift_by_one_sets_defined_flags(
    bench: Bench, code: str, rax: int, flags: int, result: int, status: int
) -> None:
    """The accumulator by one; OF is defined then."""
    after = bench.run(code, flags=flags, rax=rax)
    assert (after.rax, after.status & DEFINED) == (result, status)


@pytest.mark.parametrize("op", ["c0", "c8", "d0", "d8", "e0", "e8", "f0", "f8"])
@pytest.mark.parametrize(
    ("prefix", "opcode", "count"), [("", "c0", 0x20), ("66", "c1", 0x60), ("48", "c1", 0x40)]
)
def test_shift_masked_count_zero_changes_no_flag(
    bench: Bench, op: str, prefix: str, opcode: str, count: int
) -> None:
    """A count that is a multiple of 32 or 64."""
    for flags in (0, STATUS):
        after = bench.run(f"{prefix} {opcode} {op} {count:02x}", flags=flags, rax=0x1234)
        assert (after.rax, after.status) == (0x1234, flags)


def test_shift_doubleword_by_masked_zero_clears_upper_half(bench: Bench) -> None:
    """The register is written even so."""
    assert bench.run("c1 e0 20", rax=0xFFFF_FFFF_0000_0005).rax == 5


@pytest.mark.parametrize(
    ("code", "rcx", "flags", "result", "carry"),
    [
        ("d2 e0", 8, 0, 0, 1),
        ("d2 e0", 9, CF, 0, 0),
        ("d2 e8", 8, 0, 0, 1),
        ("d2 f8", 31, 0, 0xFF, 1),
        ("d2 c0", 8, 0, 0x81, 1),
        ("d2 c8", 16, 0, 0x81, 1),
        # Nine turns of nine bits: as it was, the carry too.
        ("d2 d0", 9, CF, 0x81, 1),
        ("d2 d8", 18, 0, 0x81, 0),
        ("d2 d0", 10, CF, 0x03, 1),
    ],
)
def test_shift_byte_by_more_than_its_width_goes_on(
    bench: Bench, code: str, rcx: int, flags: int, result: int, carry: int
) -> None:
    """AL is 81h, the count in CL."""
    after = bench.run(code, flags=flags, rax=0x81, rcx=rcx)
    assert (after.rax, after.status & CF) == (result, carry)


@pytest.mark.parametrize(
    ("code", "result", "carry"),
    [
        ("48 0f a4 d8 04", 0x1234_5678_9ABC_DEFE, 0),
        ("48 0f ac d8 04", 0x1012_3456_789A_BCDE, 1),
        ("0f a4 d8 08", 0xABCD_EF65, 1),
        ("0f ac d8 08", 0x1189_ABCD, 1),
        ("66 0f a4 d8 04", 0x0123_4567_89AB_DEF3, 0),
        ("66 0f ac d8 04", 0x0123_4567_89AB_1CDE, 1),
    ],
)
def test_double_shift_takes_bits_of_second_operand(
    bench: Bench, code: str, result: int, carry: int
) -> None:
    """SHLD and SHRD of rAX with rBX."""
    after = bench.run(code, rax=0x0123_4567_89AB_CDEF, rbx=0xEDCB_A987_6543_3211)
    assert (after.rax, after.status & CF) == (result, carry)


def test_shift_memory_leaves_neighbours(bench: Bench) -> None:
    """SHL word [RDI],4 and RCR byte across a page's end."""
    bench.put(DATA, 0x1111_2222_3333_4444)
    bench.run("66 c1 67 02 04", rdi=DATA)
    assert bench.get(DATA) == 0x1111_2222_3330_4444
    bench.put(DATA + 0xFFC, 0x8877_6655_4433_2211)
    after = bench.run("48 d1 1f", flags=CF, rdi=DATA + 0xFFC)
    assert bench.get(DATA + 0xFFC) == (0x8877_6655_4433_2211 >> 1) | TOP
    assert after.status & CF == CF


def test_shift_byte_registers_above_the_low_ones(bench: Bench) -> None:
    """SHL AH,4, and SHL SPL,4 with a REX prefix."""
    assert bench.run("c0 e4 04", rax=0x1234).rax == 0x2034
    assert bench.run("40 c0 e4 04", rsp=0x8012).rsp == 0x8020
