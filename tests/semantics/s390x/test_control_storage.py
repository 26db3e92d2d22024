"""Control instructions on translation, storage keys and moves between spaces."""

import pytest

from tests.semantics.bench import PSW_64, Bench
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.metal.s390x.dat import resolve
from worldswitch.metal.s390x.mode import INVALID_KEY
from worldswitch.metal.s390x.state import OP2

PROBLEM = 0x0001_0000_0000_0000
DAT = 0x0400_0000_0000_0000
KEY8 = 0x0080_0000_0000_0000
SECONDARY_CONTROL = 1 << (63 - 37)
EDAT = 1 << (63 - 40)
LOW_PROTECTION = 1 << (63 - 35)
EXTRACTION = 1 << (63 - 36)

PRIMARY_TABLE = 0x10_0000
SECONDARY_TABLE = 0x10_4000
PAGES1, PAGES2 = 0x10_8000, 0x10_8800


@pytest.fixture(params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Segment 0 of the primary space maps page n to frame n; of the secondary to frame n + 256.

    Primary page 0x30 is invalid, 0x31 protected; segment 1 is invalid, segment 2 a large frame
    at 0x20_0000; table length 0 covers 512 segments.
    """
    made = Bench(engine=request.param)
    for table, pages, first in (
        (PRIMARY_TABLE, PAGES1, 0),
        (SECONDARY_TABLE, PAGES2, 0x200),
    ):
        for segment in range(2048):
            made.put(table + 8 * segment, 0x20)
        made.put(table, pages)
        for page in range(256):
            made.put(pages + 8 * page, (first + page) << 12)
    made.put(PAGES1 + 8 * 0x30, 0x0003_0400)
    made.put(PAGES1 + 8 * 0x31, 0x0003_1200)
    made.put(PRIMARY_TABLE + 16, 0x20_0400)
    made.controls(cr0=SECONDARY_CONTROL | EDAT, cr1=PRIMARY_TABLE, cr7=SECONDARY_TABLE)
    made.psw(PSW_64 | DAT)
    return made


@pytest.mark.parametrize(
    ("address", "cc", "result"),
    [
        (0x2_0123, 0, 0x2_0123),
        (0x20_1234, 0, 0x20_1234),
        (0x10_0000, 1, PRIMARY_TABLE + 8),
        (0x3_0000, 2, PAGES1 + 8 * 0x30),
        (0x3_1234, 0, 0x3_1234),
        (0x2000_0000, 3, 0x5555_5555_8000_0010),
        (0x8000_0000, 3, 0x5555_5555_8000_0038),
    ],
)
@pytest.mark.parametrize("dat", [DAT, 0])
def test_lrag_results(bench: Bench, address: int, cc: int, result: int, dat: int) -> None:
    bench.psw(PSW_64 | dat)
    bench.raw.gr[2], bench.raw.gr[1] = address, 0x5555_5555_6666_6666
    assert bench.execute("E310 2000 0003") is None
    assert (bench.raw.cc, bench.raw.gr[1]) == (cc, result)


def test_lra_in_31_bit_mode_keeps_the_left_half(bench: Bench) -> None:
    bench.psw(0x0000_0000_8000_0000 | DAT)
    bench.raw.gr[2], bench.raw.gr[1] = 0x2_0123, 0x5555_5555_6666_6666
    assert bench.execute("B110 2000") is None
    assert bench.raw.gr[1] == 0x5555_5555_0002_0123


def test_lra_uses_the_secondary_space_in_that_mode(bench: Bench) -> None:
    bench.psw(PSW_64 | DAT | 2 << 46)
    bench.raw.gr[2] = 0x2_0123
    assert bench.execute("B110 2000") is None
    assert bench.raw.gr[1] == 0x22_0123


def test_lra_of_a_bad_table_is_an_addressing_exception(bench: Bench) -> None:
    bench.controls(cr1=0x1_0000_0000)
    assert bench.execute("B110 2000") == ProgramCode.ADDRESSING


@pytest.mark.parametrize(
    ("address", "cc", "result"),
    [
        (0x2_0123, 0, PAGES1 + 8 * 0x20),
        (0x3_0000, 0, PAGES1 + 8 * 0x30),
        (0x20_1000, 2, PRIMARY_TABLE + 16),
        (0x10_0000, 3, 0x8000_0010),
    ],
)
def test_lptea_results(bench: Bench, address: int, cc: int, result: int) -> None:
    bench.raw.gr[2] = address
    assert bench.execute("B9AA 0412") is None
    assert (bench.raw.cc, bench.raw.gr[1]) == (cc, result)


def test_strag_stores_the_real_address_or_takes_the_exception(bench: Bench) -> None:
    bench.raw.gr[2], bench.raw.gr[3] = 0x20_1234, 0x3000
    assert bench.execute("E502 3000 2000") is None
    assert bench.get(0x3000) == 0x20_1234
    bench.raw.gr[2] = 0x3_0000
    assert bench.execute("E502 3000 2000") == ProgramCode.PAGE_TRANSLATION
    assert bench.execute("E502 3004 2000") == ProgramCode.SPECIFICATION


def test_lura_stura_use_real_addresses(bench: Bench) -> None:
    raw = bench.raw
    raw.prefix = 0x8000
    bench.controls()
    raw.gr[1], raw.gr[2] = 0x1111_2222_3333_4444, 0x300
    assert bench.execute("B925 0012") is None
    assert bench.get(0x8300) == 0x1111_2222_3333_4444
    raw.gr[3] = 2**64 - 1
    assert bench.execute("B24B 0032") is None
    assert raw.gr[3] == 0xFFFF_FFFF_1111_2222
    raw.gr[2] = 0x302
    assert bench.execute("B246 0012") == ProgramCode.SPECIFICATION


def test_stura_honours_low_address_protection(bench: Bench) -> None:
    bench.controls(cr0=LOW_PROTECTION)
    bench.raw.gr[2] = 0x1F8
    assert bench.execute("B925 0012") == ProgramCode.PROTECTION
    bench.raw.gr[2] = 0x200
    assert bench.execute("B925 0012") is None


@pytest.mark.parametrize(
    ("page", "key", "access", "cc"),
    [
        (0x20, 0x80, 0x80, 0),
        (0x20, 0x80, 0x90, 1),
        (0x20, 0x88, 0x90, 2),
        (0x20, 0x88, 0x00, 0),
        (0x31, 0x00, 0x00, 1),
        (0x30, 0x00, 0x00, 3),
        (0x100, 0x00, 0x00, 3),
    ],
)
def test_tprot_condition_codes(bench: Bench, page: int, key: int, access: int, cc: int) -> None:
    bench.set_key(0x2_0000, key)
    bench.raw.gr[1] = page << 12
    assert bench.execute(f"E501 1000 0{access:03X}") is None
    assert bench.raw.cc == cc
    assert bench.key(0x2_0000) == key


def test_tprot_sees_low_address_protection(bench: Bench) -> None:
    bench.controls(cr0=LOW_PROTECTION | EDAT)
    for address, cc in ((0x1FF, 1), (0x200, 0), (0x11FF, 1), (0x1200, 0)):
        bench.raw.gr[1] = address
        assert bench.execute("E501 1000 0000") is None
        assert bench.raw.cc == cc


def test_test_block_clears_the_frame(bench: Bench) -> None:
    bench.write(0x5000, b"\xff" * 4096)
    bench.raw.gr[0], bench.raw.gr[2] = 5, 0x5FFF
    assert bench.execute("B22C 0002") is None
    assert bench.read(0x5000, 4096) == bytes(4096)
    assert (bench.raw.cc, bench.raw.gr[0]) == (0, 0)
    bench.raw.gr[2] = bench.raw.ram_size
    assert bench.execute("B22C 0002") == ProgramCode.ADDRESSING


def touch(bench: Bench, address: int) -> bool:
    """Read a word through LOAD PROGRAM PARAMETER: whether the access was permitted."""
    bench.raw.gr[9] = address
    return bench.execute("B280 9000") is None


def test_ipte_invalidates_and_purges(bench: Bench) -> None:
    assert touch(bench, 0x2_0000)
    bench.put(PAGES1 + 8 * 0x20, 0x0002_0400)
    assert touch(bench, 0x2_0000), "the old translation stays until it is purged"
    bench.put(PAGES1 + 8 * 0x20, 0x0002_0000)
    bench.raw.gr[1], bench.raw.gr[2] = PAGES1, 0x2_0000
    assert bench.execute("B221 0012") is None
    assert bench.get(PAGES1 + 8 * 0x20) == 0x0002_0400
    assert not touch(bench, 0x2_0000)
    assert touch(bench, 0x2_1000)


def test_ipte_range_invalidates_several_within_the_table(bench: Bench) -> None:
    bench.raw.gr[1], bench.raw.gr[2], bench.raw.gr[3] = PAGES1, 0xFE000, 1
    assert bench.execute("B221 3012") is None
    assert bench.get(PAGES1 + 8 * 0xFE) & 0x400
    assert bench.get(PAGES1 + 8 * 0xFF) & 0x400
    bench.raw.gr[3] = 2
    assert bench.execute("B221 3012") == ProgramCode.SPECIFICATION


@pytest.mark.parametrize("engine", ["python", "native"])
def test_idte_invalidates_segments_and_purges_every_processor(engine: str) -> None:
    bench = Bench(cpus=2, engine=engine)
    bench.put(PRIMARY_TABLE, PAGES1)
    bench.cpus[1].tlb[5].read_key = 0x5000
    bench.raw.gr[1], bench.raw.gr[2] = PRIMARY_TABLE, 0
    assert bench.execute("B98E 0012") is None
    assert bench.get(PRIMARY_TABLE) == PAGES1 | 0x20
    assert bench.cpus[1].tlb[5].read_key == INVALID_KEY
    bench.raw.gr[2] = 0x1000
    assert bench.execute("B98E 0012") == ProgramCode.SPECIFICATION


def test_idte_clearing_by_asce_leaves_the_tables(bench: Bench) -> None:
    bench.put(PAGES1 + 8 * 0x20, 0x0002_0000)
    assert touch(bench, 0x2_0000)
    bench.put(PAGES1 + 8 * 0x20, 0x0002_0400)
    bench.raw.gr[2] = 0x800
    assert bench.execute("B98E 0012") is None
    assert not touch(bench, 0x2_0000)


def test_crdte_replaces_only_an_equal_entry(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[4], raw.gr[5] = 0x0002_0000, 0x0002_9000
    raw.gr[6], raw.gr[7] = PAGES1, 0x2_0000
    assert touch(bench, 0x2_0000)
    assert bench.execute("B98F 0046") is None
    assert raw.cc == 0
    assert bench.get(PAGES1 + 8 * 0x20) == 0x0002_9000
    assert bench.execute("B98F 0046") is None
    assert (raw.cc, raw.gr[4]) == (1, 0x0002_9000)
    raw.gr[4], raw.gr[5] = 0x20, 0x20_0400
    raw.gr[6], raw.gr[7] = PRIMARY_TABLE | 0x10, 0x10_0000
    assert bench.execute("B98F 0046") is None
    assert bench.get(PRIMARY_TABLE + 8) == 0x20_0400
    assert bench.execute("B98F 0056") == ProgramCode.SPECIFICATION


def test_csp_swaps_and_purges_if_asked(bench: Bench) -> None:
    raw = bench.raw
    assert touch(bench, 0x2_0000)
    bench.put(PAGES1 + 8 * 0x20, 0x0002_0400)
    bench.put(0x3000, 0x1234_5678_9ABC_DEF0)
    raw.gr[4], raw.gr[5], raw.gr[6] = 0x1234_5678_9ABC_DEF0, 0x77, 0x3000
    assert bench.execute("B98A 0046") is None
    assert (raw.cc, bench.get(0x3000)) == (0, 0x77)
    assert touch(bench, 0x2_0000)
    raw.gr[6] = 0x3005
    assert bench.execute("B250 0046") is None
    assert (raw.cc, raw.gr[4]) == (1, 0x1234_5678_0000_0077)
    assert bench.execute("B250 0046") is None
    assert raw.cc == 0
    assert not touch(bench, 0x2_0000)
    assert bench.execute("B250 0056") == ProgramCode.SPECIFICATION


def test_storage_keys_are_set_and_inserted(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[1], raw.gr[2], raw.gr[3] = 0xB7, 0x7123, 0xFFFF
    assert bench.execute("B22B 0012") is None
    assert bench.key(0x7000) == 0xB6
    assert bench.execute("B229 0032") is None
    assert raw.gr[3] == 0xFFB6
    assert bench.execute("B22A 0002") is None
    assert raw.cc == 3
    assert bench.key(0x7000) == 0xB2
    raw.gr[2] = raw.ram_size
    assert bench.execute("B229 0032") == ProgramCode.ADDRESSING


def test_sske_conditional_saves_the_old_key_and_says_what_it_did(bench: Bench) -> None:
    raw = bench.raw
    bench.set_key(0x7000, 0x84)
    raw.gr[1], raw.gr[2] = 0x80, 0x7000
    assert bench.execute("B22B 4012") is None  # MR: the reference bit is not looked at
    assert (raw.cc, raw.gr[1], bench.key(0x7000)) == (0, 0x8480, 0x84)
    raw.gr[1] = 0x92
    assert bench.execute("B22B 6012") is None
    assert (raw.cc, raw.gr[1], bench.key(0x7000)) == (1, 0x8492, 0x92)


def test_sske_multiple_sets_to_the_next_megabyte(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[1], raw.gr[2] = 0x50, 0x2FE_234
    assert bench.execute("B22B 1012") is None
    assert (bench.key(0x2FD_000), bench.key(0x2FE_000), bench.key(0x2FF_000)) == (0, 0x50, 0x50)
    assert raw.gr[2] == 0x300_234


def test_setting_a_key_purges_translations_made_under_the_old_one(bench: Bench) -> None:
    bench.psw(PSW_64 | DAT | KEY8)
    bench.set_key(0x2_0000, 0x88)
    assert touch(bench, 0x2_0000)
    bench.raw.gr[1], bench.raw.gr[2] = 0x98, 0x2_0000
    assert bench.execute("B22B 0012") is None
    assert not touch(bench, 0x2_0000)


def test_reference_bits_of_64_frames(bench: Bench) -> None:
    for frame in (0, 5, 63):
        bench.set_key(0x4_0000 + frame * 4096, 0x04)
    bench.raw.gr[2] = 0x4_8000
    expected = 1 << 63 | 1 << 58 | 1
    assert bench.execute("B9AC 0012") is None
    assert bench.raw.gr[1] == expected
    assert bench.execute("B9AE 0032") is None
    assert bench.raw.gr[3] == expected
    assert bench.execute("B9AE 0032") is None
    assert bench.raw.gr[3] == 0


def test_ivsk_takes_the_virtual_addresss_frame(bench: Bench) -> None:
    bench.set_key(0x2_0000, 0x9E)
    bench.raw.gr[2], bench.raw.gr[1] = 0x2_0000, 0xFFFF
    assert bench.execute("B223 0012") is None
    assert bench.raw.gr[1] == 0xFF98
    bench.raw.gr[2] = 0x3_0000
    assert bench.execute("B223 0012") == ProgramCode.PAGE_TRANSLATION
    bench.psw(PSW_64 | DAT | PROBLEM)
    assert bench.execute("B223 0012") == ProgramCode.PRIVILEGED_OPERATION


def test_pfmf_clears_and_sets_keys_of_one_frame(bench: Bench) -> None:
    raw = bench.raw
    bench.write(0x5000, b"\xff" * 8192)
    raw.gr[1], raw.gr[2] = 0x3_0030, 0x5000
    assert bench.execute("B9AF 0012") is None
    assert bench.read(0x5000, 4096) == bytes(4096)
    assert bench.get(0x6000) == 2**64 - 1
    assert (bench.key(0x5000) & 0xF8, raw.gr[2]) == (0x30, 0x5000)


def test_pfmf_of_a_megabyte_goes_to_its_end(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[1], raw.gr[2] = 0x2_1070, 0x2F_E000
    assert bench.execute("B9AF 0012") is None
    assert (bench.key(0x2F_D000), bench.key(0x2F_F000), raw.gr[2]) == (0, 0x70, 0x30_0000)


def test_pfmf_of_two_gigabytes_is_interrupted_and_goes_on(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[1], raw.gr[2] = 0x2_2070, 0x1F_F000
    assert bench.execute("B9AF 0012") is None
    assert (raw.psw_addr, raw.gr[2]) == (0x1000, 0x20_0000)


@pytest.mark.parametrize("function", [0x100, 1, 1 << 18, 0x3000])
def test_pfmf_reserved_bits_are_a_specification_exception(bench: Bench, function: int) -> None:
    bench.raw.gr[1] = function
    assert bench.execute("B9AF 0012") == ProgramCode.SPECIFICATION


def test_mvcp_and_mvcs_move_between_the_spaces(bench: Bench) -> None:
    raw = bench.raw
    bench.write(0x22_0100, bytes(range(200)))
    raw.gr[1], raw.gr[3], raw.gr[4], raw.gr[5] = 200, 0, 0x2_0000, 0x2_0100
    assert bench.execute("DA13 4000 5000") is None
    assert raw.cc == 0
    assert bench.read(0x2_0000, 200) == bytes(range(200))
    raw.gr[1] = 300
    bench.write(0x2_0100, b"q" * 300)
    assert bench.execute("DB13 4000 5000") is None
    assert raw.cc == 3
    assert bench.read(0x22_0000, 257) == b"q" * 256 + b"\0"


@pytest.mark.parametrize(
    ("mask", "cr0", "expected"),
    [
        (PSW_64, SECONDARY_CONTROL, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT, 0, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | 3 << 46, SECONDARY_CONTROL, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | PROBLEM, SECONDARY_CONTROL, ProgramCode.PRIVILEGED_OPERATION),
    ],
)
def test_mvcp_checks(bench: Bench, mask: int, cr0: int, expected: ProgramCode) -> None:
    bench.controls(cr0=cr0)
    bench.psw(mask)
    assert bench.execute("DA13 4000 5000") == expected


def test_mvck_uses_the_key_for_the_source_only(bench: Bench) -> None:
    raw = bench.raw
    bench.psw(PSW_64 | DAT | KEY8)
    bench.set_key(0x2_0000, 0x80)
    bench.set_key(0x2_1000, 0x98)
    bench.write(0x2_1000, b"source")
    raw.gr[1], raw.gr[3], raw.gr[4], raw.gr[5] = 6, 0x90, 0x2_0000, 0x2_1000
    assert bench.execute("D913 4000 5000") is None
    assert bench.read(0x2_0000, 6) == b"source"
    raw.gr[3] = 0x80
    assert bench.execute("D913 4000 5000") == ProgramCode.PROTECTION
    raw.gr[3], raw.gr[4] = 0x90, 0x2_1000
    assert bench.execute("D913 4000 5000") == ProgramCode.PROTECTION


def test_mvcsk_and_mvcdk_take_length_and_key_from_registers(bench: Bench) -> None:
    raw = bench.raw
    bench.psw(PSW_64 | DAT | KEY8)
    bench.set_key(0x2_0000, 0x80)
    bench.set_key(0x2_1000, 0x98)
    bench.write(0x2_1000, b"abcdefgh")
    raw.gr[0], raw.gr[1], raw.gr[4], raw.gr[5], raw.cc = 7, 0x90, 0x2_0000, 0x2_1000, 2
    assert bench.execute("E50E 4000 5000") is None
    assert bench.read(0x2_0000, 8) == b"abcdefgh"
    bench.write(0x2_0000, b"12345678")
    assert bench.execute("E50F 5000 4000") is None
    assert bench.read(0x2_1000, 8) == b"12345678"
    assert bench.execute("E50E 5000 4000") == ProgramCode.PROTECTION
    assert raw.cc == 2


def mvcos(bench: Bench, first: int, second: int, length: int) -> object:
    raw = bench.raw
    raw.gr[0], raw.gr[3] = first << 16 | second, length
    raw.gr[4], raw.gr[5] = 0x2_0800, 0x2_0800
    return bench.execute("C830 4000 5000")


def test_mvcos_moves_from_the_secondary_space(bench: Bench) -> None:
    bench.write(0x22_0800, bytes(range(256)) * 20)
    assert mvcos(bench, 0x0000, 0x0081, 5000) is None
    assert bench.raw.cc == 3
    assert bench.read(0x2_0800, 4096) == (bytes(range(256)) * 16)
    assert bench.get(0x2_1800) == 0
    assert mvcos(bench, 0x0000, 0x0081, 16) is None
    assert bench.raw.cc == 0


@pytest.mark.parametrize(
    ("mask", "first", "expected"),
    [
        (PSW_64, 0x0001, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | PROBLEM, 0x00C1, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | PROBLEM, 0x8002, ProgramCode.PRIVILEGED_OPERATION),
        (PSW_64 | DAT, 0x8002, ProgramCode.PROTECTION),
    ],
)
def test_mvcos_checks(bench: Bench, mask: int, first: int, expected: ProgramCode) -> None:
    bench.psw(mask)
    bench.set_key(0x2_0000, 0x90)
    assert mvcos(bench, first, 0, 8) == expected


def test_mvcos_fault_in_the_second_page_moves_nothing(bench: Bench) -> None:
    bench.raw.gr[0], bench.raw.gr[3] = 0, 4096
    bench.raw.gr[4], bench.raw.gr[5] = 0x2_0000, 0x2_F800
    bench.write(0x2_F800, b"x" * 0x800)
    assert bench.execute("C830 4000 5000") == ProgramCode.PAGE_TRANSLATION
    assert bench.raw.translation_code & ~0xFFF == 0x3_0000
    assert bench.get(0x2_0000) == 0


def test_mvpg_moves_a_page(bench: Bench) -> None:
    bench.write(0x2_1000, bytes(range(256)) * 16)
    bench.raw.gr[1], bench.raw.gr[2] = 0x2_0123, 0x2_1456
    assert bench.execute("B254 0012") is None
    assert bench.read(0x2_0000, 4096) == bytes(range(256)) * 16
    assert bench.raw.cc == 0


@pytest.mark.parametrize(
    ("options", "to", "source", "expected", "cc"),
    [
        (0x100, 0x3_0000, 0x2_0000, None, 1),
        (0x100, 0x2_0000, 0x3_0000, None, 2),
        (0x000, 0x3_0000, 0x2_0000, ProgramCode.PAGE_TRANSLATION, 3),
        (0x000, 0x2_0000, 0x3_0000, ProgramCode.PAGE_TRANSLATION, 3),
        (0x100, 0x3_1000, 0x2_0000, ProgramCode.PROTECTION, 3),
        (0xC00, 0x2_0000, 0x2_1000, ProgramCode.SPECIFICATION, 3),
        (0x1000, 0x2_0000, 0x2_1000, ProgramCode.SPECIFICATION, 3),
    ],
)
def test_mvpg_without_a_page(
    bench: Bench, options: int, to: int, source: int, expected: ProgramCode | None, cc: int
) -> None:
    raw = bench.raw
    raw.cc, raw.gr[0], raw.gr[1], raw.gr[2] = 3, options, to, source
    assert bench.execute("B254 0012") == expected
    assert raw.cc == cc
    if expected == ProgramCode.PAGE_TRANSLATION:
        assert raw.op_access_id == 0x12


def test_bench_translates_as_expected(bench: Bench) -> None:
    code, absolute, _ = resolve(bench.cpu, bench.cpu.ctx[OP2], 0x2_0000, False)
    assert (code, absolute) == (0, 0x2_0000)


@pytest.mark.parametrize(
    ("start", "end", "address", "count", "hit"),
    [
        (0x1000, 0x1FFF, 0xFFF, 1, False),
        (0x1000, 0x1FFF, 0xFFF, 2, True),
        (0x1000, 0x1FFF, 0x1FFF, 1, True),
        (0x1000, 0x1FFF, 0x2000, 8, False),
        (0x5000, 0x1000, 0x6000, 1, True),
        (0x5000, 0x1000, 0x0800, 1, True),
        (0x5000, 0x1000, 0x3000, 1, False),
        (0, 2**64 - 1, 0x3000, 1, True),
    ],
)
def test_per_range_wraps(
    bench: Bench, start: int, end: int, address: int, count: int, hit: bool
) -> None:
    from worldswitch.metal.s390x.per import per_range

    bench.raw.cr[10], bench.raw.cr[11] = start, end
    assert per_range(bench.cpu, address, count) is hit


def test_per_events_are_noted_with_mode_and_address(bench: Bench) -> None:
    from worldswitch.metal.s390x.per import per_branch, per_fetch, per_store, per_store_real

    raw = bench.raw
    raw.cr[11] = 2**64 - 1
    assert not per_fetch(bench.cpu, 0x4000)
    bench.psw(PSW_64 | DAT | 2 << 46 | 0x4000_0000_0000_0000)
    raw.cr[9] = 0xE800_0000
    assert not per_fetch(bench.cpu, 0x4000)
    per_branch(bench.cpu, 0x4000, 0x5000)
    per_store(bench.cpu, OP2, 0x6000, 8, 0x4000)
    per_store_real(bench.cpu, 0x4000)
    assert (raw.per_code, raw.per_atmid, raw.per_address) == (0xE8, 0xF8, 0x4000)
    raw.cr[9] |= 0x0100_0000
    assert per_fetch(bench.cpu, 0x4000)
    assert raw.per_code & 0x01
