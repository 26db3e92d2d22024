"""PROGRAM CALL in all its forms, PROGRAM RETURN from it, PROGRAM TRANSFER."""

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.s390x.linkage import (
    ASCE,
    DAT,
    EVENT,
    LINKAGE,
    PROBLEM,
    STACK,
    aste,
    linked,
    program,
)
from worldswitch.arch.s390x.program import ProgramCode

ENTRY = STACK + 8
REUSE = 1 << (63 - 44)
MODE_31 = 0x8000_0000


@pytest.fixture(params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return linked(request.param)


def spaces(bench: Bench) -> tuple[int, ...]:
    """Primary and secondary: numbers and ASCEs."""
    cr = bench.raw.cr
    return cr[4] & 0xFFFF, cr[3] & 0xFFFF, cr[1], cr[7]


def test_stacking_pc_to_the_current_space_and_back(bench: Bench) -> None:
    program(bench, 3, entry_keys=0x0001)
    bench.raw.cr[7], bench.raw.cr[3] = ASCE[7], 0x00F0_0007
    bench.controls()
    before = [bench.raw.gr[n] for n in range(16)]
    assert bench.execute("B218 0003") is None
    assert (bench.raw.psw_addr, bench.raw.psw_mask) == (0x2_0000, PSW_64 | DAT)
    assert bench.raw.gr[4] == 0xAAAA_BBBB_CCCC_DDDD
    assert bench.raw.cr[3] == 0x00F1_0005
    assert spaces(bench) == (5, 5, ASCE[5], ASCE[5])
    assert (bench.get(ENTRY + 144), bench.get(ENTRY + 168)) == (0x8000_0003, 0x1004)
    assert bench.get(ENTRY + 288, 1) == 0x0D
    bench.raw.gr[1] = 0
    assert bench.execute("B24A 0061") is None
    assert bench.raw.cc == 1
    for n in range(2, 15):
        bench.raw.gr[n] = 0
    assert bench.execute("0101") is None
    assert [bench.raw.gr[n] for n in range(2, 15)] == before[2:15]
    assert (bench.raw.psw_addr, bench.raw.cr[15]) == (0x1004, STACK)
    assert bench.raw.cr[3] == 0x00F0_0007
    assert spaces(bench) == (5, 7, ASCE[5], ASCE[7])


def test_stacking_pc_with_space_switch_and_back(bench: Bench) -> None:
    program(bench, 3, asn=7)
    assert bench.execute("B218 0003") is None
    assert spaces(bench) == (7, 5, ASCE[7], ASCE[5])
    assert bench.raw.cr[4] == 9 << 16 | 7
    assert bench.raw.cr[5] == aste(7)
    assert bench.get(ENTRY + 144) == 0x0007_1007_8000_0003
    assert bench.execute("0101") is None
    assert spaces(bench) == (5, 5, ASCE[5], ASCE[5])
    assert (bench.raw.cr[4], bench.raw.cr[5]) == (3 << 16 | 5, aste(5))


@pytest.mark.parametrize(
    ("options", "mask", "cr3", "cr8", "secondary"),
    [
        (0x8000_0000, 0, 0xFFFF_0005, 0x1234_0000, 5),
        (0x9030_0000, 0x0030 << 48, 0xFFFF_0005, 0x1234_0000, 5),
        (0x8800_0000, 0, 0x00F0_0005, 0x1234_0000, 5),
        (0x8400_ABCD, 0, 0xFFFF_0005, 0xABCD_0000, 5),
        (0x8200_0000, 1 << 46, 0xFFFF_0005, 0x1234_0000, 5),
        (0x8100_0000, 0, 0xFFFF_0007, 0x1234_0000, 7),
    ],
)
def test_stacking_pc_options(
    bench: Bench, options: int, mask: int, cr3: int, cr8: int, secondary: int
) -> None:
    program(bench, 3, options=options, asn=7, entry_keys=0x00F0, word1=MODE_31 | 1)
    bench.raw.gr[4] = 1 << 32
    assert bench.execute("B218 0003") is None
    assert bench.raw.psw_mask == MODE_31 | DAT | PROBLEM | mask
    assert bench.raw.psw_addr == 0x2_0000
    assert (bench.raw.cr[3], bench.raw.cr[8]) == (cr3, cr8)
    assert bench.raw.cr[7] == ASCE[secondary]
    assert bench.raw.gr[4] == 0x1_CCCC_DDDD


@pytest.mark.parametrize("mask", [PSW_64 | DAT, MODE_31 | DAT, DAT])
@pytest.mark.parametrize("problem", [0, PROBLEM])
def test_basic_pc_and_pt_return(bench: Bench, mask: int, problem: int) -> None:
    wide = mask == PSW_64 | DAT
    program(bench, 3, options=0x4000_0000 if wide else 0, asn=7, entry_keys=0x8,
            word1=mask & MODE_31 if not wide else 0)  # fmt: skip
    bench.raw.cr[3] = 0x00F0_0005
    bench.psw(mask | problem)
    assert bench.execute("B218 0003") is None
    link = 0x1004 | (problem != 0)
    if not wide:
        link |= 0x0E0E_0E0E << 32 | mask & MODE_31
    assert bench.raw.gr[14] == link
    assert bench.raw.gr[3] == 0x0303_0303_00F0_0005
    assert bench.raw.psw_mask == mask
    assert bench.raw.cr[3] == 0x00F8_0005
    assert spaces(bench) == (7, 5, ASCE[7], ASCE[5])
    assert bench.execute("B228 003E") is None
    assert spaces(bench) == (5, 5, ASCE[5], ASCE[5])
    assert (bench.raw.psw_addr, bench.raw.psw_mask) == (0x1004, mask | problem)
    assert bench.raw.cr[3] == 0x00F0_0005
    assert bench.raw.cr[5] == aste(5)


def test_pc_exceptions_of_translation(bench: Bench) -> None:
    program(bench, 3)
    assert bench.execute("B218 0103") == ProgramCode.LX_TRANSLATION
    bench.raw.gr[1] = 0x2000
    assert bench.execute("B218 1003") == ProgramCode.LX_TRANSLATION
    assert bench.raw.translation_code == 0x2003
    bench.put(LINKAGE + 3, 0, 1)
    assert bench.execute("B218 0004") == ProgramCode.EX_TRANSLATION
    assert bench.execute("B218 0003") is None


@pytest.mark.parametrize(
    ("mask", "options", "code"),
    [
        (PSW_64, 0xC000_0000, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | 2 << 46, 0xC000_0000, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | 3 << 46, 0xC000_0000, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | 1 << 46, 0x4000_0000, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT, 0, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT, 0x8000_0000, ProgramCode.PC_TRANSLATION_SPECIFICATION),
        (PSW_64 | DAT | PROBLEM, 0xC000_0000, ProgramCode.PRIVILEGED_OPERATION),
    ],
)
def test_pc_exceptions_of_mode_and_authority(
    bench: Bench, mask: int, options: int, code: ProgramCode
) -> None:
    program(bench, 3, address=0x100_0000, options=options, keys=0x0001)
    bench.raw.cr[3] = 0xFFFE_0005
    bench.psw(mask)
    assert bench.execute("B218 0003") == code
    assert bench.raw.cr[15] == STACK


def test_pc_without_linkage_control_is_a_special_operation(bench: Bench) -> None:
    program(bench, 3)
    bench.put(aste(5) + 24, LINKAGE, 4)
    assert bench.execute("B218 0003") == ProgramCode.SPECIAL_OPERATION


def test_pc_to_an_invalid_space_is_an_asx_exception(bench: Bench) -> None:
    program(bench, 3, asn=7)
    bench.put(aste(7), 0x8000_0000, 4)
    assert bench.execute("B218 0003") == ProgramCode.ASX_TRANSLATION
    assert bench.raw.translation_code == 7
    bench.raw.cr[14] = 0
    assert bench.execute("B218 0003") == ProgramCode.SPECIAL_OPERATION


@pytest.mark.parametrize("old", [True, False])
def test_pc_with_the_event_control_completes_and_interrupts(bench: Bench, old: bool) -> None:
    program(bench, 3, asn=7)
    if old:
        bench.controls(cr1=ASCE[5] | EVENT)
    else:
        bench.put(aste(7) + 8, ASCE[7] | EVENT)
    assert bench.execute("B218 0003") == ProgramCode.SPACE_SWITCH
    assert bench.raw.psw_addr == 0x2_0000
    assert bench.raw.translation_code == (0x8000_0005 if old else 5)
    assert bench.raw.cr[4] & 0xFFFF == 7


def test_pr_to_an_invalid_space_changes_nothing(bench: Bench) -> None:
    program(bench, 3, asn=7)
    assert bench.execute("B218 0003") is None
    bench.put(aste(5), 0x8000_0000, 4)
    bench.raw.gr[3] = 77
    assert bench.execute("0101") == ProgramCode.ASX_TRANSLATION
    assert (bench.raw.gr[3], bench.raw.cr[15]) == (77, ENTRY + 288)
    assert spaces(bench) == (7, 5, ASCE[7], ASCE[5])


def test_pr_without_secondary_authority(bench: Bench) -> None:
    program(bench, 3, asn=0)
    bench.raw.cr[7], bench.raw.cr[3] = ASCE[7], 0xFFFF_0007
    assert bench.execute("B218 0003") is None
    bench.put(aste(7) + 4, 9 << 16, 4)
    bench.write(0xC000, bytes(16))
    assert bench.execute("0101") == ProgramCode.SECONDARY_AUTHORITY


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (0x3, None),
        (0x0008_0003, None),
        (0x2003, ProgramCode.LFX_TRANSLATION),
        (0x103, ProgramCode.LSX_TRANSLATION),
        (0x203, ProgramCode.LSTE_SEQUENCE),
        (0x0018_0003, ProgramCode.LFX_TRANSLATION),
    ],
)
def test_pc_with_reusable_linkage_indexes(
    bench: Bench, number: int, code: ProgramCode | None
) -> None:
    program(bench, 3)
    bench.controls(cr0=REUSE)
    entries = bench.get(LINKAGE, 4)
    second = 0x1_8000
    bench.put(LINKAGE, second, 4)
    bench.put(LINKAGE + 4, 0x8000_0000, 4)
    bench.put(second, entries << 32 | 0x0F0F_0F0F)
    bench.put(second + 8, 0x8000_0000 << 32)
    bench.put(second + 16, entries << 32 | 1)
    bench.raw.gr[15] = 0x0F0F_0F0F << 32
    bench.raw.gr[1] = number
    assert bench.execute("B218 1000") == code
    if code is None:
        assert bench.get(ENTRY + 148, 4) == 0x8000_0003
        assert bench.get(ENTRY + 176) == 0
    else:
        assert bench.raw.translation_code == number


def test_instances_are_stacked_and_checked(bench: Bench) -> None:
    program(bench, 3, asn=7)
    bench.controls(cr0=REUSE, cr3=0x2005 << 32 | 0xFFFF_0005, cr4=0x2005 << 32 | 3 << 16 | 5)
    second = 0x1_8000
    bench.put(second, bench.get(LINKAGE, 4) << 32)
    bench.put(LINKAGE, second, 4)
    assert bench.execute("B218 0003") is None
    assert (bench.raw.cr[3] >> 32, bench.raw.cr[4] >> 32) == (0x2005, 0x2007)
    assert bench.get(ENTRY + 144) == 0x0007_2007_8000_0003
    bench.put(ENTRY + 180, 0x2006, 4)
    assert bench.execute("0101") == ProgramCode.ASTE_INSTANCE
    assert bench.raw.exc_access_id == 0x20
    bench.put(ENTRY + 180, 0x2005, 4)
    assert bench.execute("0101") is None
    assert (bench.raw.cr[3] >> 32, bench.raw.cr[4] >> 32) == (0x2005, 0x2005)


def test_pt_to_another_space_needs_authority(bench: Bench) -> None:
    bench.raw.gr[2], bench.raw.gr[3] = 0x00F0_0007, 0x4000
    bench.write(0xC000, b"\xfd" + b"\xff" * 15)  # index 3: secondary but not primary
    assert bench.execute("B228 0023") == ProgramCode.PRIMARY_AUTHORITY
    bench.write(0xC000, b"\xfe" + b"\xff" * 15)
    assert bench.execute("B228 0023") is None
    assert spaces(bench) == (7, 7, ASCE[7], ASCE[7])
    assert bench.raw.cr[3] == 0x00F0_0007


@pytest.mark.parametrize(
    ("mask", "where", "code"),
    [
        (PSW_64, 0x4000, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | 1 << 46, 0x4000, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT | PROBLEM, 0x4000, ProgramCode.PRIVILEGED_OPERATION),
        (MODE_31 | DAT, 0x100_0000, ProgramCode.SPECIFICATION),
    ],
)
def test_pt_exceptions(bench: Bench, mask: int, where: int, code: ProgramCode) -> None:
    bench.raw.gr[2], bench.raw.gr[3] = 0xFFFF_0005, where
    bench.psw(mask)
    assert bench.execute("B228 0023") == code


def test_pti_compares_the_instance(bench: Bench) -> None:
    bench.controls(cr0=REUSE)
    bench.raw.gr[2], bench.raw.gr[3] = 0x2006 << 32 | 0xFFFF_0007, 0x4000
    assert bench.execute("B99E 0023") == ProgramCode.ASTE_INSTANCE
    bench.raw.gr[2] = 0x2007 << 32 | 0xFFFF_0007
    assert bench.execute("B99E 0023") is None
    assert bench.raw.cr[4] == 0x2007 << 32 | 9 << 16 | 7


def test_pt_of_a_reusable_number_is_a_special_operation(bench: Bench) -> None:
    bench.controls(cr0=REUSE)
    bench.put(aste(7) + 4, 9 << 16 | 0xFFF1, 4)
    bench.raw.gr[2], bench.raw.gr[3] = 0xFFFF_0007, 0x4000
    assert bench.execute("B228 0023") == ProgramCode.SPECIAL_OPERATION
