"""Status words, estimates and the parts that have no instruction of their own."""

from fractions import Fraction
from random import Random

from tests.semantics.x86.fp.operands import BINARY32
from worldswitch.engine import u16, u32, u64, u128
from worldswitch.engine.intrinsics import f32_of_bits
from worldswitch.metal.softfloat.wide import divide_wide, multiply_high
from worldswitch.metal.x86.fp import sse, x87

IE, ZE, PE, SF, ES = 0x01, 0x04, 0x20, 0x40, 0x80
C0, C1, C2, C3, BUSY = 0x100, 0x200, 0x400, 0x4000, 0x8000
DEFINED = 0x8000


def test_settle_with_masked_flags_accumulates() -> None:
    assert sse.settle(u32(0x1F80), u32(0x30)) == (0x1FB0, False)


def test_settle_with_unmasked_invalid_drops_later_flags() -> None:
    assert sse.settle(u32(0x1F00), u32(0x31)) == (0x1F01, True)


def test_settle_with_unmasked_precision_keeps_all_flags() -> None:
    assert sse.settle(u32(0x0F80), u32(0x30)) == (0x0FB0, True)


def test_status_after_masked_exception_keeps_conditions_and_clears_c1() -> None:
    after = x87.status_after(u16(C0 | C1 | C2 | C3 | 0x3800), u16(PE), u16(0x37F))
    assert after == C0 | C2 | C3 | 0x3800 | PE


def test_status_after_comparison_replaces_conditions() -> None:
    after = x87.status_after(u16(C0 | C2 | C3 | 0x3800), u16(DEFINED | C3), u16(0x37F))
    assert after == C3 | 0x3800


def test_status_after_sine_in_range_clears_c2() -> None:
    _, status = x87.f80_sin(u128(0x3FFF << 64 | 1 << 63), u16(0x37F))
    assert x87.status_after(u16(C2 | 0x3800), status, u16(0x37F)) & C2 == 0
    _, status = x87.f80_sin(u128(0x403E << 64 | 1 << 63), u16(0x37F))
    assert x87.status_after(u16(0), status, u16(0x37F)) == C2


def test_status_after_unmasked_exception_sets_summary() -> None:
    assert x87.status_after(u16(0), u16(ZE), u16(0x37B)) == ZE | ES | BUSY


def test_status_after_stack_overflow_sets_c1() -> None:
    status = x87.invalid_status(True)
    assert x87.status_after(u16(0), status, u16(0x37F)) == IE | SF | C1
    assert x87.withheld(status, u16(0x37E)) and not x87.withheld(status, u16(0x37F))


def test_withheld_with_unmasked_overflow_concerns_stores_only() -> None:
    assert not x87.withheld(u16(8), u16(0x377))
    assert x87.withheld_store(u16(8), u16(0x377))


def test_estimates_have_twelve_bits() -> None:
    random = Random(6)
    for _ in range(2000):
        a = BINARY32.make(0, 127 + random.randrange(-60, 60), random.getrandbits(23))
        x = Fraction(float(f32_of_bits(u32(a))))
        reciprocal = Fraction(float(f32_of_bits(sse.rcp32(u32(a)))))
        assert abs(reciprocal * x - 1) <= Fraction(3, 1 << 13)
        root = Fraction(float(f32_of_bits(sse.rsqrt32(u32(a)))))
        assert abs(root * root * x - 1) <= Fraction(6, 1 << 13)


def test_estimates_of_special_operands_are_the_architected_ones() -> None:
    cases = {
        0x0000_0000: (0x7F80_0000, 0x7F80_0000),
        0x8000_0001: (0xFF80_0000, 0xFF80_0000),
        0x7F80_0000: (0x0000_0000, 0x0000_0000),
        0xFF80_0000: (0x8000_0000, 0xFFC0_0000),
        0x7F80_0001: (0x7FC0_0001, 0x7FC0_0001),
        0xFF7F_FFFF: (0x8000_0000, 0xFFC0_0000),
        0xBF80_0000: (0xBF80_0000, 0xFFC0_0000),
    }
    for a, wanted in cases.items():
        assert (sse.rcp32(u32(a)), sse.rsqrt32(u32(a))) == wanted


def test_wide_division_and_multiplication_are_exact() -> None:
    random = Random(7)
    ones = (1 << 64) - 1
    for _ in range(3000):
        d = random.choice((1 << 63, ones, random.getrandbits(64) | 1 << 63, (1 << 63) + 1))
        q = random.choice((0, 1, ones, random.getrandbits(64), random.getrandbits(32) << 32))
        rest = random.choice((0, d - 1, random.randrange(d)))
        assert divide_wide(u128(q * d + rest), u64(d)) == (q, rest)
        a, b = random.getrandbits(128), random.getrandbits(128)
        assert multiply_high(u128(a), u128(b)) == a * b >> 128
