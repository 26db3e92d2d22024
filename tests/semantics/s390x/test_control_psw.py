"""Control instructions on the PSW, control registers, prefix and clocks."""

import pytest

from tests.semantics.bench import PSW_64, Bench
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.psw import PENDING_EARLY, assemble_psw_mask

PROBLEM = 0x0001_0000_0000_0000
DAT = 0x0400_0000_0000_0000
WAIT = 0x0002_0000_0000_0000
IO = 0x0200_0000_0000_0000
SECONDARY_CONTROL = 1 << (63 - 37)
EXTRACTION = 1 << (63 - 36)


@pytest.fixture(params=["python", "native"])
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(engine=request.param)


@pytest.fixture
def plain() -> Bench:
    """For what the compiled engine acts on before it comes back: pending work and the clock."""
    return Bench()


def test_lpswe_loads_mask_condition_code_and_address(bench: Bench) -> None:
    bench.put(0x2000, PSW_64 | IO | WAIT | 3 << 44)
    bench.put(0x2008, 0x12345678)
    bench.raw.gr[3] = 0x2000
    assert bench.execute("B2B2 3000") is None
    assert assemble_psw_mask(bench.cpu) == PSW_64 | IO | WAIT | 3 << 44
    assert (bench.raw.psw_addr, bench.raw.cc, bench.raw.wait) == (0x12345678, 3, 1)
    assert bench.raw.breaking == 0x1000


def test_lpswe_in_problem_state_is_privileged(bench: Bench) -> None:
    bench.psw(PSW_64 | PROBLEM)
    assert bench.execute("B2B2 0000") == ProgramCode.PRIVILEGED_OPERATION


def test_lpswe_misaligned_is_a_specification_exception(bench: Bench) -> None:
    assert bench.execute("B2B2 0004") == ProgramCode.SPECIFICATION
    assert bench.raw.psw_mask == PSW_64


def test_lpswe_of_an_invalid_psw_loads_it_first(plain: Bench) -> None:
    plain.put(0x200, 1 << 63)
    assert plain.execute("B2B2 0200") is None
    assert plain.raw.pending & PENDING_EARLY
    assert plain.raw.psw_mask == 1 << 63


def test_lpsw_converts_the_short_format(bench: Bench) -> None:
    bench.put(0x200, 0x000A_0000_8000_4000)
    assert bench.execute("8200 0200") is None
    assert bench.raw.psw_mask == 0x0002_0000_8000_0000
    assert (bench.raw.psw_addr, bench.raw.address_mask) == (0x4000, 0x7FFF_FFFF)


def test_lpsw_with_bit_12_zero_is_a_specification_exception(bench: Bench) -> None:
    bench.put(0x200, 0x0002_0000_8000_4000)
    assert bench.execute("8200 0200") == ProgramCode.SPECIFICATION


def test_lpswey_takes_a_negative_displacement(bench: Bench) -> None:
    bench.put(0x3000, PSW_64)
    bench.put(0x3008, 0x7000)
    bench.raw.gr[5] = 0x3008
    assert bench.execute("EB00 5FF8 FF71") is None
    assert bench.raw.psw_addr == 0x7000


def test_stosm_stores_then_enables_and_asks_for_a_check(plain: Bench) -> None:
    plain.raw.check = 0
    assert plain.execute("AD03 0400") is None
    assert plain.get(0x400, 1) == 0
    assert plain.raw.psw_mask >> 56 == 3
    assert plain.raw.check == 1


def test_stnsm_stores_then_clears(bench: Bench) -> None:
    bench.psw(PSW_64 | 0x0700_0000_0000_0000)
    assert bench.execute("ACF8 0400") is None
    assert bench.get(0x400, 1) == 7
    assert bench.raw.psw_mask == PSW_64


def test_ssm_of_an_unassigned_bit_sets_it_and_is_a_specification_exception(bench: Bench) -> None:
    bench.put(0x400, 0x80, 1)
    assert bench.execute("8000 0400") == ProgramCode.SPECIFICATION
    assert bench.raw.psw_mask >> 56 == 0x80


def test_ssm_with_suppression_is_a_special_operation(bench: Bench) -> None:
    bench.controls(cr0=1 << (63 - 33))
    assert bench.execute("8000 0400") == ProgramCode.SPECIAL_OPERATION


def test_spka_in_problem_state_needs_the_key_in_the_mask(bench: Bench) -> None:
    bench.psw(PSW_64 | PROBLEM)
    bench.controls(cr3=0x0080_0000)  # key 8 alone
    assert bench.execute("B20A 0080") is None
    assert bench.raw.psw_mask >> 52 & 15 == 8
    assert bench.execute("B20A 0070") == ProgramCode.PRIVILEGED_OPERATION


def test_ipk_inserts_the_key(bench: Bench) -> None:
    bench.psw(PSW_64 | 0x0090_0000_0000_0000)
    bench.raw.gr[2] = 0x1234_5678_9ABC_DEFF
    assert bench.execute("B20B 0000") is None
    assert bench.raw.gr[2] == 0x1234_5678_9ABC_DE90


@pytest.mark.parametrize(("code", "bits"), [(0, 0), (1, 2), (2, 1), (3, 3)])
def test_sacf_and_iac_agree(bench: Bench, code: int, bits: int) -> None:
    bench.controls(cr0=SECONDARY_CONTROL)
    bench.psw(PSW_64 | DAT)
    bench.raw.gr[4] = 0x1111_2222_3333_4455
    assert bench.execute(f"B279 0{code}00") is None
    assert bench.raw.psw_mask >> 46 & 3 == bits
    assert bench.execute("B224 0040") is None
    assert (bench.raw.gr[4], bench.raw.cc) == (0x1111_2222_3333_0055 | code << 8, code)


@pytest.mark.parametrize(
    ("mask", "cr0", "code", "expected"),
    [
        (PSW_64, SECONDARY_CONTROL, 0, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT, 0, 0, ProgramCode.SPECIAL_OPERATION),
        (PSW_64 | DAT, SECONDARY_CONTROL, 4, ProgramCode.SPECIFICATION),
        (PSW_64 | DAT | PROBLEM, SECONDARY_CONTROL, 3, ProgramCode.PRIVILEGED_OPERATION),
        (PSW_64 | DAT | PROBLEM, SECONDARY_CONTROL, 1, None),
    ],
)
def test_sac_exceptions(
    bench: Bench, mask: int, cr0: int, code: int, expected: ProgramCode | None
) -> None:
    bench.controls(cr0=cr0)
    bench.psw(mask)
    assert bench.execute(f"B219 0{code}00") == expected


def test_sac_to_home_with_the_event_control_completes_and_interrupts(bench: Bench) -> None:
    bench.controls(cr0=SECONDARY_CONTROL, cr1=0x40, cr4=0x1234)
    bench.psw(PSW_64 | DAT)
    assert bench.execute("B219 0300") == ProgramCode.SPACE_SWITCH
    assert bench.raw.psw_mask >> 46 & 3 == 3
    assert bench.raw.translation_code == 0x8000_1234


def test_epsw_extracts_both_halves(bench: Bench) -> None:
    bench.psw(PSW_64 | IO | 2 << 44)
    bench.raw.gr[1] = bench.raw.gr[2] = 2**64 - 1
    assert bench.execute("B98D 0012") is None
    assert bench.raw.gr[1] == 0xFFFF_FFFF_0200_2001
    assert bench.raw.gr[2] == 0xFFFF_FFFF_8000_0000


def test_lctlg_wraps_and_stctg_stores_back(bench: Bench) -> None:
    for n in range(4):
        bench.put(0x2000 + 8 * n, (n + 1) << 32)
    bench.raw.gr[7] = 0x2000
    assert bench.execute("EBE1 7000 002F") is None
    assert [bench.raw.cr[n] >> 32 for n in (14, 15, 0, 1)] == [1, 2, 3, 4]
    assert bench.execute("EBE1 7100 0025") is None
    assert bench.read(0x2100, 32) == bench.read(0x2000, 32)


def test_lctl_keeps_the_left_half(bench: Bench) -> None:
    bench.controls(cr9=0xAAAA_BBBB_0000_0000)
    bench.put(0x400, 0x1234_5678, 4)
    assert bench.execute("B799 0400") is None
    assert bench.raw.cr[9] == 0xAAAA_BBBB_1234_5678
    assert bench.execute("B799 0402") == ProgramCode.SPECIFICATION


def test_lctlg_across_a_bad_page_changes_nothing(bench: Bench) -> None:
    bench.raw.gr[7] = bench.raw.ram_size - 8
    assert bench.execute("EB9A 7000 002F") == ProgramCode.ADDRESSING
    assert bench.raw.cr[9] == 0


def test_spx_moves_the_prefix_area(bench: Bench) -> None:
    bench.put(0x400, 0xFFFF_FFFF, 4)
    assert bench.execute("B210 0400") == ProgramCode.ADDRESSING
    bench.put(0x400, 0x0001_0FFF, 4)
    assert bench.execute("B210 0400") is None
    assert bench.raw.prefix == 0x10000
    assert bench.execute("B211 0408") is None
    assert bench.get(0x10408, 4) == 0x10000


def test_stap_stidp_stfl_lpp(bench: Bench) -> None:
    bench.raw.cpu_address, bench.raw.cpu_id = 0x0102, 0x00AB_CDEF_3931_8000
    bench.raw.facilities[0] = 0xF1F2_F3F4_F5F6_F7F8
    bench.put(0x420, 0x99)
    assert bench.execute("B212 0400") is None
    assert bench.execute("B202 0408") is None
    assert bench.execute("B2B1 0000") is None
    assert bench.execute("B280 0420") is None
    assert bench.get(0x400, 2) == 0x0102
    assert bench.get(0x408) == 0x00AB_CDEF_3931_8000
    assert bench.get(200, 4) == 0xF1F2_F3F4
    assert bench.raw.program_parameter == 0x99


def test_asn_extraction(bench: Bench) -> None:
    bench.controls(cr3=0x1111_1111_2222_3333, cr4=0x4444_4444_5555_6666, cr0=EXTRACTION)
    bench.psw(PSW_64 | DAT | PROBLEM)
    bench.raw.gr[1] = bench.raw.gr[2] = 2**64 - 1
    for text in ("B226 0010", "B227 0020", "B99A 0030", "B99B 0040"):
        assert bench.execute(text) is None
    assert list(bench.raw.gr)[1:5] == [
        0xFFFF_FFFF_0000_6666, 0xFFFF_FFFF_0000_3333, 0x4444_4444_0000_6666, 0x1111_1111_0000_3333,
    ]  # fmt: skip
    bench.controls(cr0=0)
    assert bench.execute("B226 0010") == ProgramCode.PRIVILEGED_OPERATION
    bench.psw(PSW_64)
    assert bench.execute("B226 0010") == ProgramCode.SPECIAL_OPERATION


def test_esea_swaps_the_extended_index(bench: Bench) -> None:
    bench.controls(cr8=0x1111_2222)
    bench.raw.gr[5] = 0xABCD_0000_0000_7777
    assert bench.execute("B99D 0050") is None
    assert bench.raw.gr[5] == 0xABCD_0000_1111_7777
    assert bench.raw.cr[8] == 0x7777_2222


def test_cpu_timer_counts_down_with_the_clock(plain: Bench) -> None:
    plain.raw.tod_base, plain.raw.epoch = 1 << 60, 0x5555
    plain.put(0x400, 1000)
    assert plain.execute("B208 0400") is None
    plain.raw.tod_base += 300
    assert plain.execute("B209 0408") is None
    assert plain.get(0x408) == 700


def test_clock_comparator_is_set_and_stored(bench: Bench) -> None:
    bench.put(0x400, 0x1234_5678_9ABC_DEF0)
    assert bench.execute("B206 0400") is None
    assert bench.execute("B207 0408") is None
    assert bench.get(0x408) == 0x1234_5678_9ABC_DEF0
    assert bench.execute("B206 0404") == ProgramCode.SPECIFICATION


def test_sck_sets_all_clocks_and_keeps_the_timers() -> None:
    bench = Bench(cpus=2)
    raw = bench.raw
    raw.tod_base = raw.timer_deadline = 1 << 40
    bench.put(0x400, 1 << 60)
    assert bench.execute("B204 0400") is None
    for cpu in bench.cpus:
        assert cpu.tod_base == (1 << 60) - (0 if cpu is bench.cpu else 1 << 40)
    assert (raw.tod_base, raw.timer_deadline, raw.cc) == (1 << 60, 1 << 60, 0)


def test_sckpf_wants_zeros(bench: Bench) -> None:
    bench.raw.gr[0] = 0x1234
    assert bench.execute("0107") is None
    assert bench.raw.todpr == 0x1234
    bench.raw.gr[0] = 0x0001_1234
    assert bench.execute("0107") == ProgramCode.SPECIFICATION


@pytest.mark.parametrize(
    ("function", "cc", "result"), [(0, 0, 0xC000_0000_0000_0000), (1, 0, 0), (2, 3, 77)]
)
def test_ptff_queries(bench: Bench, function: int, cc: int, result: int) -> None:
    bench.put(0x2000, 77)
    bench.raw.gr[0], bench.raw.gr[1] = function, 0x2000
    assert bench.execute("0104") is None
    assert (bench.raw.cc, bench.get(0x2000)) == (cc, result)


def test_exits_carry_their_operands(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[2], raw.gr[3], raw.gr[4], raw.gr[5] = 0x0002_0001, 0x20000, 0x1_0007, 0x55
    assert bench.execute("AE44 0005") == Exit.SIGP
    assert list(raw.exit_args)[:4] == [5, 7, 0x55, 4]
    assert bench.execute("B220 0023") == Exit.SERVICE_CALL
    assert list(raw.exit_args)[:2] == [0x0002_0001, 0x20000]
    assert bench.execute("8323 0308") == Exit.DIAGNOSE
    assert list(raw.exit_args)[:4] == [0x308, 2, 3, 0x8323_0308 << 32]
    raw.gr[1] = 0x0001_0000
    assert bench.execute("B230 0000") == Exit.IO
    assert raw.exit_args[0] == 0xB230
    assert bench.execute("B234 0400") == Exit.IO
    assert list(raw.exit_args)[:2] == [0xB234, 0x400]
    assert bench.execute("B9A2 0070") == Exit.PTF


@pytest.mark.parametrize(
    ("block", "expected"),
    [(0x1000, "S"), (0x9000, "S"), (0x2_0004, "S"), (1 << 40, "A"), (0x2_0000, "exit")],
)
def test_servc_checks_the_control_blocks_address(bench: Bench, block: int, expected: str) -> None:
    bench.raw.prefix = 0x8000
    bench.raw.gr[3] = block
    assert bench.execute("B220 0023") == {
        "S": ProgramCode.SPECIFICATION, "A": ProgramCode.ADDRESSING, "exit": Exit.SERVICE_CALL,
    }[expected]  # fmt: skip


def test_stsi_checks_reserved_bits_and_alignment(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[0], raw.gr[1] = 0x1000_0001, 1
    assert bench.execute("B27D 0800") == ProgramCode.SPECIFICATION
    raw.gr[9] = 0x5000
    assert bench.execute("B27D 9000") == Exit.STSI
    assert list(raw.exit_args)[:4] == [0x1000_0001, 1, 0x5000, 0x5000]
    raw.gr[0] = 0x1000_0101
    assert bench.execute("B27D 9000") == ProgramCode.SPECIFICATION
    raw.gr[0] = 0x4000_0000
    assert bench.execute("B27D 9000") is None
    assert raw.cc == 3


def test_io_operand_access_is_checked_before_the_exit(bench: Bench) -> None:
    bench.raw.gr[9] = bench.raw.ram_size
    assert bench.execute("B234 9000") == ProgramCode.ADDRESSING
    assert bench.execute("B234 0402") == ProgramCode.SPECIFICATION


def test_trace_makes_an_entry_only_if_explicit_tracing_is_on(plain: Bench) -> None:
    raw = plain.raw
    raw.gr[4], raw.gr[5] = 0x44, 0x1_0000_0055
    plain.put(0x400, 0x1234, 4)
    assert plain.execute("9945 0400") is None
    plain.controls(cr12=0x3000 | 1)
    raw.tod_base = 0xAABB_0102_0304_0506
    assert plain.execute("9945 0400") is None
    assert plain.read(0x3000, 20).hex() == "7100010203040506000012340000004400000055"
    assert raw.cr[12] == 0x3014 | 1
    assert plain.execute("EB45 0400 000F") is None
    assert plain.read(0x3014, 16).hex() == "7180aabb010203040506000000001234"
    assert raw.cr[12] == 0x3034 | 1
    plain.controls(cr12=0x3FE0 | 1)
    assert plain.execute("9945 0400") == ProgramCode.TRACE_TABLE
