"""Exchanges, decimal adjustments, and what is left: hints, fences, random numbers, bounds."""

import pytest

from tests.semantics.x86.bench import AF, CF, CODE, DATA, PF, SF, STATUS, ZF, Bench
from worldswitch.arch.x86.exceptions import Vector

ONES = 2**64 - 1


@pytest.fixture(scope="module", params=["native", "python"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """64-bit mode."""
    return Bench("long64", engine=request.param)


@pytest.fixture(scope="module")
def legacy() -> Bench:
    """Protected mode of 32 bits."""
    return Bench("protected32")


def test_xchg_swaps_registers_and_memory(bench: Bench) -> None:
    """Bytes of one register too."""
    after = bench.run("48 87 d8", rax=1, rbx=2)
    assert (after.rax, after.rbx) == (2, 1)
    assert bench.run("86 e0", rax=0x1234).rax == 0x3412
    bench.put(DATA, ONES)
    after = bench.run("f0 87 07", rax=0xAAAA_0000_1234, rdi=DATA)
    assert (after.rax, bench.get(DATA)) == (0xFFFF_FFFF, 0xFFFF_FFFF_0000_1234)


def test_xchg_with_itself_is_nop(bench: Bench) -> None:
    """90h keeps the upper half, with any prefix; 49 90 is an exchange with R8."""
    for code in ("90", "48 90", "66 90", "f3 90"):
        assert bench.run(code, rax=ONES, r8=5).rax == ONES
    assert bench.run("49 90", rax=ONES, r8=5).rax == 5
    assert bench.run("91", rax=ONES, rcx=ONES).rax == 0xFFFF_FFFF


def test_xchg_read_only_page_changes_nothing(bench: Bench) -> None:
    """#PF with the write bit, and the register stays."""
    after = bench.run("87 03", rbx=1 << 40, rax=7)
    assert (after.exception, after.error, after.rax) == (Vector.PF, 2, 7)


def test_xadd_gives_old_value_to_source(bench: Bench) -> None:
    """The destination is written last where both are one register."""
    after = bench.run("48 0f c1 d8", rax=5, rbx=ONES)
    assert (after.rax, after.rbx, after.status & CF) == (4, 5, CF)
    assert bench.run("0f c1 c0", rax=5).rax == 10
    bench.put(DATA, 0xFF)
    after = bench.run("f0 0f c0 27", rax=0x0100, rdi=DATA)
    assert (bench.get(DATA), after.rax, after.status & ZF) == (0, 0xFF00, ZF)


@pytest.mark.parametrize(
    ("rax", "rbx", "rcx", "new_rax", "new_rbx", "zero"),
    [
        (5, 5, 9, 5, 9, ZF),
        (4, 5, 9, 5, 5, 0),
        # 32 bits: the register that gets nothing keeps its upper half.
        (7 << 32 | 5, 8 << 32 | 5, 9, 7 << 32 | 5, 9, ZF),
        (7 << 32 | 4, 8 << 32 | 5, 9, 5, 8 << 32 | 5, 0),
    ],
)
def test_cmpxchg_registers_write_one_of_two(
    bench: Bench, rax: int, rbx: int, rcx: int, new_rax: int, new_rbx: int, zero: int
) -> None:
    """CMPXCHG EBX, ECX."""
    after = bench.run("0f b1 cb", rax=rax, rbx=rbx, rcx=rcx)
    assert (after.rax, after.rbx, after.status & ZF) == (new_rax, new_rbx, zero)


def test_cmpxchg_memory_is_written_in_any_case(bench: Bench) -> None:
    """A page that cannot be written faults though the comparison would fail."""
    bench.put(DATA, 5)
    after = bench.run("f0 48 0f b1 0f", rax=5, rcx=9, rdi=DATA)
    assert (bench.get(DATA), after.status & ZF) == (9, ZF)
    after = bench.run("f0 48 0f b1 0f", rax=5, rcx=1, rdi=DATA)
    assert (bench.get(DATA), after.rax, after.status & (ZF | CF)) == (9, 9, CF)
    after = bench.run("f0 48 0f b1 0f", rax=5, rdi=1 << 40)
    assert (after.exception, after.error, after.rax) == (Vector.PF, 2, 5)


def test_cmpxchg8b_changes_zf_alone(bench: Bench) -> None:
    """EDX:EAX with ECX:EBX."""
    bench.put(DATA, 0x1111_2222_3333_4444)
    after = bench.run("f0 0f c7 0f", flags=STATUS, rdx=ONES, rax=ONES, rdi=DATA)
    assert (after.rdx, after.rax) == (0x1111_2222, 0x3333_4444)
    assert after.status == STATUS & ~ZF
    registers = {"rdx": 0x1111_2222, "rax": 0x3333_4444, "rcx": 0xAAAA, "rbx": 0xBBBB}
    after = bench.run("0f c7 0f", rdi=DATA, **registers)
    assert (bench.get(DATA), after.status) == (0xAAAA_0000_BBBB, ZF)
    assert bench.run("0f c7 c9").exception == Vector.UD


def test_cmpxchg16b_needs_alignment(bench: Bench) -> None:
    """RDX:RAX with RCX:RBX; #GP(0) off 16 bytes."""
    bench.put(DATA, 1)
    bench.put(DATA + 8, 2)
    after = bench.run("48 0f c7 0f", rax=1, rdx=3, rdi=DATA)
    assert (after.rax, after.rdx, after.status & ZF) == (1, 2, 0)
    after = bench.run("f0 48 0f c7 0f", rax=1, rdx=2, rbx=3, rcx=4, rdi=DATA)
    assert (bench.get(DATA), bench.get(DATA + 8), after.status & ZF) == (3, 4, ZF)
    after = bench.run("48 0f c7 0f", rdi=DATA + 8)
    assert (after.exception, after.error) == (Vector.GP, 0)


@pytest.mark.parametrize(
    ("code", "rax", "flags", "result", "after"),
    [
        ("27", 0x79, 0, 0x79, 0),
        ("27", 0x9A, 0, 0x00, CF | AF | ZF | PF),
        ("27", 0x12, AF, 0x18, AF | PF),
        ("27", 0x33, CF, 0x93, CF | SF | PF),
        ("2f", 0x3F, AF, 0x39, AF | PF),
        ("2f", 0x05, AF, 0xFF, CF | AF | SF | PF),
        ("2f", 0xA0, 0, 0x40, CF),
        ("d4 0a", 0x37, 0, 0x0505, PF),
        ("d5 0a", 0x0507, 0, 57, PF),
        ("d5 10", 0x1234, 0, 0x54, 0),
    ],
)
def test_decimal_adjustment_gives_digits(
    legacy: Bench, code: str, rax: int, flags: int, result: int, after: int
) -> None:
    """DAA, DAS, AAM, AAD."""
    found = legacy.run(code, rax=rax, flags=flags)
    defined = CF | AF | SF | ZF | PF if code in ("27", "2f") else SF | ZF | PF
    assert (found.rax, found.status & defined) == (result, after)


@pytest.mark.parametrize(
    ("code", "rax", "flags", "result", "carry"),
    [
        ("37", 0x0109, 0, 0x0109, 0), ("37", 0x010B, 0, 0x0201, CF | AF),
        ("37", 0x01FA, 0, 0x0300, CF | AF), ("3f", 0x0205, 0, 0x0205, 0),
        ("3f", 0x02FF, 0, 0x0109, CF | AF), ("3f", 0x0203, AF, 0x000D, CF | AF),
    ],
)  # fmt: skip
def test_ascii_adjustment_carries_into_ah(
    legacy: Bench, code: str, rax: int, flags: int, result: int, carry: int
) -> None:
    """AAA and AAS: 106h is added to or taken from AX."""
    found = legacy.run(code, rax=rax, flags=flags)
    assert (found.rax, found.status & (CF | AF)) == (result, carry)


def test_aam_of_base_zero_is_divide_error(legacy: Bench) -> None:
    """The immediate is the divisor."""
    after = legacy.run("d4 00", rax=0x1234)
    assert (after.exception, after.rip, after.rax) == (Vector.DE, CODE, 0x1234)


@pytest.mark.parametrize(
    ("index", "vector"), [(5, None), (9, None), (4, Vector.BR), (10, Vector.BR)]
)
def test_bound_compares_with_both_ends(legacy: Bench, index: int, vector: Vector | None) -> None:
    """5 to 9, and -1 to 1 signed with 16 bits."""
    legacy.put(DATA, 5 | 9 << 32)
    assert legacy.run("62 07", rax=index, rdi=DATA).exception == vector
    legacy.put(DATA, 0xFFFF | 1 << 16)
    assert legacy.run("66 62 07", rax=0xFFFF, rdi=DATA).exception is None


@pytest.mark.parametrize(
    "code",
    [
        "f3 90", "f3 0f 1e fa", "0f 18 0b", "0f 0d 0b", "0f 1f 03", "66 0f 1f 44 00 00",
        "0f ae e8", "0f ae f0", "0f ae f8", "0f 19 c0",
    ],
)  # fmt: skip
def test_hint_does_nothing_even_without_page(bench: Bench, code: str) -> None:
    """PAUSE, ENDBR64, prefetches, NOP and the fences."""
    after = bench.run(code, flags=STATUS, rbx=1 << 40)
    assert (after.exception, after.status) == (None, STATUS)
    assert after.rip == CODE + len(bytes.fromhex(code))


@pytest.mark.parametrize("code", ["0f ae 3b", "66 0f ae 3b", "66 0f ae 33"])
def test_cache_line_flush_faults_as_a_load(bench: Bench, code: str) -> None:
    """CLFLUSH, CLFLUSHOPT, CLWB."""
    after = bench.run(code, rbx=1 << 40)
    assert (after.exception, after.error) == (Vector.PF, 0)
    assert bench.run(code, rbx=DATA).exception is None


def test_movnti_stores(bench: Bench) -> None:
    """Doubleword and quadword; to a register it is #UD."""
    bench.put(DATA, 0)
    bench.run("0f c3 0f", rcx=ONES, rdi=DATA)
    assert bench.get(DATA) == 0xFFFF_FFFF
    bench.run("48 0f c3 0f", rcx=ONES, rdi=DATA)
    assert bench.get(DATA) == ONES
    assert bench.run("0f c3 cf").exception == Vector.UD


def test_random_numbers_differ_and_repeat(bench: Bench) -> None:
    """RDRAND and RDSEED: another one each time, the same in another processor."""
    first = bench.run("48 0f c7 f0 48 0f c7 fb 66 0f c7 f1", flags=STATUS & ~CF)
    assert len({first.rax, first.rbx, 0}) == 3
    assert first.status == CF
    assert first.rcx < 1 << 16
    assert bench.run("48 0f c7 f0").rax not in (first.rax, first.rbx)


def test_undefined_on_purpose_is_not_counted(bench: Bench) -> None:
    """UD0, UD1, UD2 are modelled."""
    before = bench.raw.undefined_count
    for code in ("0f 0b", "0f b9 c0", "0f ff"):
        after = bench.run(code)
        assert (after.exception, after.rip) == (Vector.UD, CODE)
    assert bench.raw.undefined_count == before
