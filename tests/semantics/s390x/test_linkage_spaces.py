"""SSAR, SSAIR, LASP, TAR, BSA and BSG."""

import pytest

from tests.semantics.bench import PSW_64, Bench
from tests.semantics.s390x.linkage import (
    ASCE,
    DAT,
    DUCT,
    EVENT,
    FIRST_TABLE,
    PROBLEM,
    TRANSLATION,
    aste,
    linked,
)
from worldswitch.arch.s390x.program import ProgramCode

REUSE = 1 << (63 - 44)
MODE_31 = 0x8000_0000
LIST = 0x1_8000
OPERAND = 0x2_0000
GROUP = 0x200


@pytest.fixture(params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return linked(request.param)


def test_ssar_to_another_space_and_back(bench: Bench) -> None:
    bench.raw.gr[2] = 7
    assert bench.execute("B225 0020") is None
    assert (bench.raw.cr[3], bench.raw.cr[7], bench.raw.cr[1]) == (0xFFFF_0007, ASCE[7], ASCE[5])
    bench.raw.gr[2] = 5
    assert bench.execute("B225 0020") is None
    assert (bench.raw.cr[3], bench.raw.cr[7]) == (0xFFFF_0005, ASCE[5])


def test_ssar_exceptions(bench: Bench) -> None:
    bench.raw.gr[2] = 6
    assert bench.execute("B225 0020") == ProgramCode.ASX_TRANSLATION
    bench.raw.gr[2] = 0x46
    bench.put(FIRST_TABLE + 4, 0x8000_0000, 4)
    assert bench.execute("B225 0020") == ProgramCode.AFX_TRANSLATION
    bench.put(FIRST_TABLE + 4, 1, 4)
    assert bench.execute("B225 0020") == ProgramCode.ASN_TRANSLATION_SPECIFICATION
    bench.raw.gr[2] = 7
    bench.put(aste(7) + 4, 9 << 16, 4)
    bench.write(0xC000, bytes(4))
    assert bench.execute("B225 0020") == ProgramCode.SECONDARY_AUTHORITY
    assert bench.raw.translation_code == 7
    bench.raw.cr[14] = 0
    assert bench.execute("B225 0020") == ProgramCode.SPECIAL_OPERATION
    bench.psw(PSW_64)
    assert bench.execute("B225 0020") == ProgramCode.SPECIAL_OPERATION


def test_ssar_beyond_the_authority_table_is_refused(bench: Bench) -> None:
    bench.raw.gr[2] = 7
    bench.put(aste(7) + 4, 9 << 16, 4)
    bench.raw.cr[4] = 16 << 16 | 5
    assert bench.execute("B225 0020") == ProgramCode.SECONDARY_AUTHORITY


def test_ssair_compares_the_instance(bench: Bench) -> None:
    bench.controls(cr0=REUSE)
    bench.raw.gr[2] = 0x2006 << 32 | 7
    assert bench.execute("B99F 0020") == ProgramCode.ASTE_INSTANCE
    bench.raw.gr[2] = 0x2007 << 32 | 7
    assert bench.execute("B99F 0020") is None
    assert bench.raw.cr[3] == 0x2007 << 32 | 0xFFFF_0007
    bench.put(aste(7) + 4, 9 << 16 | 0xFFF2, 4)
    bench.psw(PSW_64 | DAT | PROBLEM)
    assert bench.execute("B99F 0020") == ProgramCode.SPECIAL_OPERATION


def lasp(bench: Bench, options: int, keys: int, sasn: int, index: int, pasn: int) -> object:
    bench.put(OPERAND, keys << 48 | sasn << 32 | index << 16 | pasn)
    bench.raw.gr[2], bench.raw.gr[3] = OPERAND, options
    ending = bench.execute("E500 2000 3000")
    return bench.raw.cc if ending is None else ending


def test_lasp_loads_both_spaces(bench: Bench) -> None:
    assert lasp(bench, 0, 0x00FF, 5, 99, 7) == 0
    cr = bench.raw.cr
    assert (cr[1], cr[7], cr[3], cr[4], cr[5]) == (
        ASCE[7], ASCE[5], 0x00FF_0005, 9 << 16 | 7, aste(7),
    )  # fmt: skip
    assert lasp(bench, 2, 0x00FF, 7, 99, 7) == 0
    assert (cr[4], cr[7]) == (99 << 16 | 7, ASCE[7])


def test_lasp_of_the_current_numbers_translates_only_if_forced(bench: Bench) -> None:
    bench.put(aste(5) + 8, 0x5555_0020)
    assert lasp(bench, 0, 1, 5, 3, 5) == 0
    assert bench.raw.cr[1] == ASCE[5]
    assert lasp(bench, 4, 1, 5, 3, 5) == 0
    assert bench.raw.cr[1] == bench.raw.cr[7] == 0x5555_0020


@pytest.mark.parametrize(("sasn", "pasn", "cc"), [(5, 6, 1), (6, 7, 2)])
def test_lasp_of_missing_spaces(bench: Bench, sasn: int, pasn: int, cc: int) -> None:
    assert lasp(bench, 0, 1, sasn, 3, pasn) == cc
    assert bench.raw.cr[1] == ASCE[5]


def test_lasp_secondary_authority_can_be_skipped(bench: Bench) -> None:
    bench.write(0xC000, bytes(16))
    assert lasp(bench, 0, 1, 7, 3, 5) == 2
    assert lasp(bench, 1, 1, 7, 3, 5) == 0
    assert bench.raw.cr[7] == ASCE[7]


def test_lasp_with_the_event_control_is_condition_code_3(bench: Bench) -> None:
    bench.controls(cr1=ASCE[5] | EVENT)
    assert lasp(bench, 0, 1, 5, 3, 7) == 3
    assert bench.raw.cr[4] == 3 << 16 | 5


def test_lasp_exceptions(bench: Bench) -> None:
    bench.raw.gr[2] = OPERAND + 4
    assert bench.execute("E500 2000 0000") == ProgramCode.SPECIFICATION
    bench.raw.gr[2], bench.raw.cr[14] = OPERAND, 0
    assert bench.execute("E500 2000 0000") == ProgramCode.SPECIAL_OPERATION
    bench.raw.cr[14] = TRANSLATION
    bench.psw(PSW_64 | DAT | PROBLEM)
    assert bench.execute("E500 2000 0000") == ProgramCode.PRIVILEGED_OPERATION


def access_list(bench: Bench) -> None:
    """Entry 2 of the dispatchable unit's list: space 7, private to extended index 0x77."""
    bench.put(DUCT + 16, LIST, 4)
    bench.put(aste(5) + 16, LIST, 4)
    for n in range(8):
        bench.put(LIST + 16 * n, 0x8000_0000, 4)
    bench.put(LIST + 32, 0x0100_0077, 4)
    bench.put(LIST + 40, aste(7), 4)
    bench.put(LIST + 44, 0x1007, 4)


@pytest.mark.parametrize(
    ("alet", "index", "cc"),
    [(0, 0, 0), (1, 0, 3), (2, 0x77, 1), (0x0100_0002, 0x77, 2), (3, 0x77, 3), (8, 0x77, 3),
     (0x0001_0002, 0x77, 3), (2, 0x13, 1), (2, 0x1234, 3), (0x8000_0002, 0x77, 3)],
)  # fmt: skip
def test_tar(bench: Bench, alet: int, index: int, cc: int) -> None:
    access_list(bench)
    bench.put(aste(7) + 4, 9 << 16 | 0x10, 4)
    bench.raw.ar[3], bench.raw.gr[4] = alet, index << 16
    assert bench.execute("B24C 0034") is None
    assert bench.raw.cc == cc


def test_tar_uses_access_register_0(bench: Bench) -> None:
    bench.raw.ar[0] = 1
    assert bench.execute("B24C 0004") is None
    assert bench.raw.cc == 3


@pytest.mark.parametrize("mask", [PSW_64 | DAT, MODE_31 | DAT, DAT])
@pytest.mark.parametrize("problem", [0, PROBLEM])
def test_bsa_to_reduced_authority_and_back(bench: Bench, mask: int, problem: int) -> None:
    bench.psw(mask | problem | 0x0090_0000_0000_0000)
    bench.raw.gr[2], bench.raw.gr[3] = 0xF0F0_0080, 0x3000 | mask & MODE_31
    if mask == PSW_64 | DAT:
        bench.raw.gr[3] = 0x1_0000_3000
    assert bench.execute("B25A 0023") is None
    assert bench.raw.psw_mask == mask | PROBLEM | 0x0080_0000_0000_0000
    assert bench.raw.psw_addr == bench.raw.gr[3] & ~(mask & MODE_31 if mask != PSW_64 | DAT else 0)
    assert bench.raw.cr[3] == 0xF0F0_0005
    saved = 0xFFFF_0098 | (problem != 0)
    link = 0x1004 | (mask & MODE_31 if mask != PSW_64 | DAT else 0)
    assert (bench.get(DUCT + 20, 4), bench.get(DUCT + 32)) == (saved, link)
    here = bench.raw.psw_addr
    assert bench.execute("B25A 0040") is None
    assert (bench.raw.psw_addr, bench.raw.psw_mask) == (0x1004, mask | problem | 0x90 << 48)
    assert bench.raw.cr[3] == 0xFFFF_0005
    assert bench.get(DUCT + 20, 4) == saved & ~8
    assert bench.raw.gr[4] & 0x7FFF_FFFF == (here + 4) & 0x7FFF_FFFF


def test_bsa_exceptions(bench: Bench) -> None:
    assert bench.execute("B25A 0020") == ProgramCode.SPECIAL_OPERATION
    bench.put(DUCT + 20, 8, 4)
    assert bench.execute("B25A 0023") == ProgramCode.SPECIAL_OPERATION
    bench.put(DUCT + 20, 0, 4)
    bench.raw.gr[2] = 0x80
    bench.raw.cr[3] = 0xFF7F_0005
    bench.psw(PSW_64 | DAT | PROBLEM)
    assert bench.execute("B25A 0023") == ProgramCode.PRIVILEGED_OPERATION


def subspaces(bench: Bench) -> None:
    """Space 5 is the base space of a group that space 7 belongs to."""
    access_list(bench)
    bench.put(aste(5), 0xC001, 4)
    for asn in (5, 7):
        bench.put(aste(asn) + 8, ASCE[asn] | GROUP)
    bench.put(DUCT, aste(5), 4)
    bench.put(DUCT + 4, 0, 4)
    bench.controls(cr1=ASCE[5] | GROUP | EVENT)
    bench.raw.gr[3] = 0x3000


def test_bsg_to_a_subspace_to_the_base_space_and_to_the_last_subspace(bench: Bench) -> None:
    subspaces(bench)
    bench.raw.ar[3] = 2
    assert bench.execute("B258 0043") is None
    assert (bench.raw.psw_addr, bench.raw.gr[4]) == (0x3000, 0x1004)
    assert bench.raw.cr[1] == bench.raw.cr[7] == ASCE[7] | GROUP | EVENT
    assert (bench.get(DUCT + 4, 4), bench.get(DUCT + 12, 4)) == (MODE_31 | aste(7), 0x1007)
    bench.raw.ar[3] = 0
    assert bench.execute("B258 0003") is None
    assert bench.raw.cr[1] == ASCE[5] | GROUP
    assert bench.get(DUCT + 4, 4) == aste(7)
    bench.raw.ar[3] = 1
    assert bench.execute("B258 0003") is None
    assert bench.raw.cr[1] == ASCE[7] | GROUP
    assert bench.get(DUCT + 4, 4) == MODE_31 | aste(7)


def test_an_active_subspace_replaces_its_base_space(bench: Bench) -> None:
    subspaces(bench)
    bench.put(DUCT + 4, MODE_31 | aste(7), 4)
    bench.put(DUCT + 12, 0x1007, 4)
    bench.put(aste(5) + 8, ASCE[5] | GROUP | EVENT)
    bench.raw.cr[4] = 9 << 16 | 7
    bench.raw.gr[2] = 5
    assert bench.execute("B225 0020") is None
    assert bench.raw.cr[7] == ASCE[7] | GROUP | EVENT
    bench.put(DUCT + 12, 0x1008, 4)
    assert bench.execute("B225 0020") == ProgramCode.ASTE_SEQUENCE
    bench.put(aste(7), 0x8000_0000, 4)
    assert bench.execute("B225 0020") == ProgramCode.ASTE_VALIDITY


def test_bsg_exceptions(bench: Bench) -> None:
    subspaces(bench)
    bench.raw.ar[3] = 1
    assert bench.execute("B258 0003") == ProgramCode.SPECIAL_OPERATION
    bench.put(DUCT + 4, aste(7), 4)
    assert bench.execute("B258 0003") == ProgramCode.ASTE_SEQUENCE
    bench.raw.ar[3] = 3
    assert bench.execute("B258 0003") == ProgramCode.ALEN_TRANSLATION
    bench.raw.ar[3] = 2
    bench.put(aste(7) + 8, ASCE[7])
    assert bench.execute("B258 0003") == ProgramCode.SPECIAL_OPERATION
    bench.put(DUCT, aste(7), 4)
    assert bench.execute("B258 0003") == ProgramCode.SPECIAL_OPERATION
    bench.psw(PSW_64)
    assert bench.execute("B258 0003") == ProgramCode.SPECIAL_OPERATION


def test_mvcos_takes_a_space_from_an_access_list_in_the_primary_mode(bench: Bench) -> None:
    """Space 7 has tables here: its segment 0 maps page n to frame n + 256."""
    access_list(bench)
    table, pages = 0x10_0000, 0x10_8000
    for segment in range(2048):
        bench.put(table + 8 * segment, 0x20)
    bench.put(table, pages)
    for page in range(256):
        bench.put(pages + 8 * page, 0x100 + page << 12)
    bench.put(aste(7) + 8, table)
    bench.put(0x3000, 0x1234)
    bench.controls(cr8=0x77 << 16)
    bench.raw.ar[5] = 2
    bench.raw.gr[0], bench.raw.gr[4], bench.raw.gr[5], bench.raw.gr[6] = (
        0x41 << 16,
        8,
        0x4000,
        0x3000,
    )
    assert bench.execute("C840 5000 6000") is None
    assert (bench.raw.cc, bench.get(0x10_4000), bench.get(0x4000)) == (0, 0x1234, 0)
