"""The linkage stack: BAKR, EREG, EREGG, ESTA, MSTA, and PR of branch state entries."""

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.s390x.linkage import DAT, PROBLEM, SECTION, SECTION_2, STACK, linked
from worldswitch.arch.s390x.program import ProgramCode

ENTRY = STACK + 8
HOME_MODE = 3 << 46
SECONDARY_MODE = 2 << 46


@pytest.fixture(params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return linked(request.param)


def test_bakr_stacks_the_state_and_branches(bench: Bench) -> None:
    bench.raw.gr[3] = 0x3_0000
    bench.raw.ar[5] = 0x55
    bench.raw.cc = 2
    assert bench.execute("B240 0003") is None
    assert (bench.raw.psw_addr, bench.raw.cr[15]) == (0x3_0000, ENTRY + 288)
    assert bench.raw.breaking == 0x1000
    get = bench.get
    assert get(STACK) == 0x0901 << 48 | 600 << 32 | 296 << 16
    assert get(ENTRY + 8 * 7) == 0x0707_0707_0707_0707
    assert get(ENTRY + 128) == 0xFFFF_0005_1234_0005
    assert get(ENTRY + 136) == PSW_64 | DAT | 2 << 44
    assert (get(ENTRY + 144), get(ENTRY + 168)) == (0x3_0001, 0x1004)
    assert get(ENTRY + 224 + 20, 4) == 0x55
    assert get(ENTRY + 288) == 0x0C01 << 48 | 304 << 32


@pytest.mark.parametrize(
    ("back", "mode", "address"),
    [
        (0x1_2345_6781, 0x1_8000_0000, 0x1_2345_6780),
        (0x1_8123_4560, 0x8000_0000, 0x0123_4560),
        (0x1_7F12_3456, 0, 0x12_3456),
    ],
)
def test_bakr_takes_the_mode_from_r1(bench: Bench, back: int, mode: int, address: int) -> None:
    bench.raw.gr[2] = back
    assert bench.execute("B240 0020") is None
    assert bench.raw.psw_addr == 0x1004
    assert bench.get(ENTRY + 136) == DAT | mode
    assert (bench.get(ENTRY + 144), bench.get(ENTRY + 168)) == (0x1005, address)


@pytest.mark.parametrize("mask", [PSW_64, PSW_64 | DAT | HOME_MODE, PSW_64 | DAT | SECONDARY_MODE])
def test_bakr_in_other_modes_is_a_special_operation(bench: Bench, mask: int) -> None:
    bench.psw(mask)
    assert bench.execute("B240 0003") == ProgramCode.SPECIAL_OPERATION


def test_pr_restores_what_bakr_stacked(bench: Bench) -> None:
    bench.raw.ar[5] = 0x55
    bench.psw(PSW_64 | DAT | PROBLEM | 0x0080_0000_0000_0000 | 1 << 46)
    bench.raw.gr[2] = 0x8000_2000
    assert bench.execute("B240 0020") is None
    for n in range(16):
        bench.raw.gr[n] = 99
        bench.raw.ar[n] = 99
    assert bench.execute("0101") is None
    expected = [0x0101_0101_0101_0101 * n for n in range(16)]
    expected[2] = 0x8000_2000
    assert [bench.raw.gr[n] for n in range(2, 15)] == expected[2:15]
    assert [bench.raw.gr[n] for n in (0, 1, 15)] == [99] * 3
    assert (bench.raw.ar[5], bench.raw.ar[1], bench.raw.ar[15]) == (0x55, 99, 99)
    assert bench.raw.psw_mask == 0x8000_0000 | DAT | PROBLEM | 0x0080_4000_0000_0000
    assert (bench.raw.psw_addr, bench.raw.cr[15]) == (0x2000, STACK)
    assert bench.get(STACK) == 0x0901 << 48 | 600 << 32


def test_a_full_section_leads_to_the_next_and_back(bench: Bench) -> None:
    for _ in range(3):
        assert bench.execute("B240 0000") is None
    assert bench.raw.cr[15] == SECTION_2 + 16 + 288
    assert bench.get(SECTION_2) == ENTRY + 296 + 288 | 1
    assert bench.get(SECTION_2 + 8) == 0x0902 << 48 | 1000 << 32 | 296 << 16
    for expected in (SECTION_2 + 8, ENTRY + 288, STACK):
        assert bench.execute("0101") is None
        assert bench.raw.cr[15] == expected
    assert bench.execute("0101") == ProgramCode.STACK_EMPTY


def test_stack_full_and_specification(bench: Bench) -> None:
    bench.put(STACK, 0x0901 << 48 | 8 << 32)
    bench.put(STACK + 16, SECTION_2 + 8)
    assert bench.execute("B240 0000") == ProgramCode.STACK_FULL
    bench.put(STACK, 0x0901 << 48 | 9 << 32)
    assert bench.execute("B240 0000") == ProgramCode.STACK_SPECIFICATION
    bench.put(STACK, 0x0901 << 48)
    bench.put(STACK + 8, SECTION_2 + 8 | 1)
    bench.put(SECTION_2 + 8, 0x0902 << 48 | 288 << 32)
    assert bench.execute("B240 0000") == ProgramCode.STACK_SPECIFICATION
    assert bench.raw.cr[15] == STACK


@pytest.mark.parametrize(
    ("kind", "code"),
    [(0x8C, ProgramCode.STACK_OPERATION), (0x0A, ProgramCode.STACK_TYPE),
     (0x89, ProgramCode.STACK_OPERATION), (0x09, ProgramCode.STACK_EMPTY)],
)  # fmt: skip
def test_pr_of_entries_that_are_not_to_be_unstacked(
    bench: Bench, kind: int, code: ProgramCode
) -> None:
    assert bench.execute("B240 0000") is None
    bench.put(ENTRY + 288, kind, 1)
    bench.put(ENTRY + 280, 0)
    assert bench.execute("0101") == code
    assert bench.raw.cr[15] == ENTRY + 288


def test_pr_of_a_header_behind_a_header_is_a_stack_specification(bench: Bench) -> None:
    bench.put(SECTION, SECTION_2 + 8 | 1)
    assert bench.execute("0101") == ProgramCode.STACK_SPECIFICATION


@pytest.mark.parametrize(
    ("text", "mode", "allowed"),
    [("0101", HOME_MODE, False), ("0101", SECONDARY_MODE, False), ("B249 0011", HOME_MODE, True),
     ("B249 0011", SECONDARY_MODE, False), ("B24A 0021", HOME_MODE, True),
     ("B247 0020", SECONDARY_MODE, False)],
)  # fmt: skip
def test_modes_of_unstacking_and_extracting(
    bench: Bench, text: str, mode: int, allowed: bool
) -> None:
    assert bench.execute("B240 0000") is None
    bench.raw.gr[1] = 0
    bench.psw(PSW_64 | DAT | mode, 0x1000)
    assert bench.execute(text) == (None if allowed else ProgramCode.SPECIAL_OPERATION)


def test_ereg_and_eregg_wrap_around(bench: Bench) -> None:
    bench.raw.ar[15] = 0x15
    assert bench.execute("B240 0000") is None
    bench.raw.ar[15] = 0
    for n in range(16):
        bench.raw.gr[n] = 0
    assert bench.execute("B249 00E1") is None
    word = 0x0101_0101
    assert [bench.raw.gr[n] for n in (13, 14, 15, 0, 1, 2)] == [0, word * 14, word * 15, 0, word, 0]
    assert bench.raw.ar[15] == 0x15
    assert bench.execute("B90E 0022") is None
    assert bench.raw.gr[2] == 0x0202_0202_0202_0202


@pytest.mark.parametrize(
    ("code", "even", "odd"),
    [
        (0, 0x7777_7777_FFFF_0005, 0x7777_7777_1234_0005),
        (1, 0x7777_7777_0408_0001, 0x7777_7777_8000_3457),
        (2, 0x7777_7777_0000_0000, 0x7777_7777_0000_1005),
        (3, 0x7777_7777_0000_0000, 0x7777_7777_0000_0000),
        (4, PSW_64 | DAT, 0x1_0000_3456),
        (5, 0x0000_0011_7777_7777, 0x0000_0022_7777_7777),
    ],
)
def test_esta_extracts_by_code(bench: Bench, code: int, even: int, odd: int) -> None:
    bench.raw.gr[2] = 0x1_0000_3457
    assert bench.execute("B240 0020") is None
    bench.put(ENTRY + 176, 0x11_0000_0022)
    bench.raw.gr[6] = bench.raw.gr[7] = 0x7777_7777_7777_7777
    bench.raw.gr[1] = code
    assert bench.execute("B24A 0061") is None
    assert (bench.raw.gr[6], bench.raw.gr[7], bench.raw.cc) == (even, odd, 0)


def test_esta_and_msta_specification_exceptions(bench: Bench) -> None:
    assert bench.execute("B240 0000") is None
    bench.raw.gr[1] = 6
    assert bench.execute("B24A 0061") == ProgramCode.SPECIFICATION
    bench.raw.gr[1] = 0
    assert bench.execute("B24A 0071") == ProgramCode.SPECIFICATION
    assert bench.execute("B247 0070") == ProgramCode.SPECIFICATION


def test_msta_stores_the_modifiable_area(bench: Bench) -> None:
    assert bench.execute("B240 0000") is None
    assert bench.execute("B247 0060") is None
    assert bench.get(ENTRY + 152) == 0x0606_0606_0707_0707


def test_stack_accesses_ignore_storage_keys(bench: Bench) -> None:
    bench.set_key(SECTION, 0x98)
    bench.psw(PSW_64 | DAT | 0x0080_0000_0000_0000)
    assert bench.execute("B240 0000") is None
