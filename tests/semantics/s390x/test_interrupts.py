"""Interruptions: what is stored, what is loaded, and in which order they are taken."""

import pytest

from tests.semantics.bench import PSW_64, Bench
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.metal.s390x.interrupts import (
    deliver_pending,
    early_exception,
    interrupt_enabled_pending,
    machine_check_interruption,
    program_interruption,
    restart_interruption,
    svc_interruption,
)
from worldswitch.metal.s390x.pending import (
    PENDING_EMERGENCY_SIGNAL,
    PENDING_EXTERNAL_CALL,
    PENDING_INTERRUPT_KEY,
    PENDING_IO,
    PENDING_MACHINE_CHECK,
    PENDING_MALFUNCTION_ALERT,
    PENDING_RESTART,
    PENDING_SERVICE_SIGNAL,
    PENDING_STOP,
)

IO = 0x0200_0000_0000_0000
EXT = 0x0100_0000_0000_0000
MCHECK = 0x0004_0000_0000_0000
ALL_EXTERNAL = 0x0000_0000_0000_FEF6
NEW = {"restart": 0x1A0, "ext": 0x1B0, "svc": 0x1C0, "pgm": 0x1D0, "mcck": 0x1E0, "io": 0x1F0}


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    for number, where in enumerate(NEW.values()):
        made.put(where, PSW_64)
        made.put(where + 8, 0x10000 + number * 0x1000)
    return made


def came_to(bench: Bench) -> str:
    number = (bench.raw.psw_addr - 0x10000) >> 12
    return list(NEW)[number] if 0 <= number < len(NEW) else "nowhere"


def test_lowcore_offsets_are_the_architected_ones() -> None:
    from worldswitch.metal.s390x import interrupts as i

    assert (i.EXT_PARAMS, i.EXT_CPU_ADDR, i.EXT_INT_CODE) == (0x80, 0x84, 0x86)
    assert (i.PGM_ILC, i.PGM_CODE, i.DATA_EXC_CODE, i.TEID) == (0x8C, 0x8E, 0x90, 0xA8)
    assert (i.PGM_OLD, i.PGM_OLD + i.OLD_TO_NEW) == (0x150, 0x1D0)


def test_program_interruption_suppressing_stores_the_next_address(bench: Bench) -> None:
    bench.raw.cc = 2
    bench.raw.breaking = 0x888
    _, record = bench.decode(0xB20A_0000 << 32, 0x2000)
    bench.raw.fault_code = ProgramCode.OPERATION
    program_interruption(bench.cpu, record)
    assert came_to(bench) == "pgm"
    assert bench.get(0x150) == PSW_64 | 2 << 44
    assert bench.get(0x158) == 0x2004
    assert bench.get(0x8C, 4) == 0x0004_0001
    assert bench.get(0x110) == 0x888
    assert bench.raw.cc == 0


def test_program_interruption_nullifying_stores_the_instruction_and_teid(bench: Bench) -> None:
    _, record = bench.decode(0xB20A_0000 << 32, 0x2000)
    bench.raw.fault_code = ProgramCode.PAGE_TRANSLATION
    bench.raw.translation_code = 0x1234_5000_0000_0801
    bench.raw.exc_access_id = 7
    bench.raw.op_access_id = 0x35
    program_interruption(bench.cpu, record)
    assert bench.get(0x158) == 0x2000
    assert bench.get(0xA8) == 0x1234_5000_0000_0801
    assert (bench.get(0xA0, 1), bench.get(0xA2, 1)) == (7, 0x35)


def test_program_interruption_of_executed_instruction_has_executes_length(bench: Bench) -> None:
    _, record = bench.decode(0xB20A_0000 << 32, 0x2000)
    record.ilen = 6
    bench.raw.fault_code = ProgramCode.SPECIFICATION
    program_interruption(bench.cpu, record)
    assert bench.get(0x158) == 0x2006
    assert bench.get(0x8C, 2) == 6


@pytest.mark.parametrize(("afp", "expected"), [(0, 0x00F8_0300), (1 << 18, 0x00F8_0200)])
def test_data_exception_sets_fpc_only_with_afp_control(
    bench: Bench, afp: int, expected: int
) -> None:
    bench.raw.cr[0] |= afp
    bench.raw.fpc = 0x00F8_0300
    bench.raw.data_code = 2
    _, record = bench.decode(0xB20A_0000 << 32, 0x2000)
    bench.raw.fault_code = ProgramCode.DATA
    program_interruption(bench.cpu, record)
    assert bench.get(0x90, 4) == 2
    assert bench.raw.fpc == expected


def test_monitor_event_stores_class_and_code(bench: Bench) -> None:
    _, record = bench.decode(0xB20A_0000 << 32, 0x2000)
    bench.raw.fault_code = ProgramCode.MONITOR_EVENT
    bench.raw.mon_class = 9
    bench.raw.translation_code = 0xABCDEF
    program_interruption(bench.cpu, record)
    assert bench.get(0x94, 2) == 9
    assert bench.get(0xB0) == 0xABCDEF


def test_per_event_is_merged_into_another_interruption(bench: Bench) -> None:
    bench.raw.per_code, bench.raw.per_atmid, bench.raw.per_address = 0x40, 0xE0, 0x2000
    _, record = bench.decode(0xB20A_0000 << 32, 0x2000)
    bench.raw.fault_code = ProgramCode.OPERATION
    program_interruption(bench.cpu, record)
    assert bench.get(0x8E, 2) == 0x81
    assert bench.get(0x96, 2) == 0x40E0
    assert bench.get(0x98) == 0x2000
    assert bench.raw.per_code == 0


def test_interruption_uses_the_prefix_area(bench: Bench) -> None:
    bench.raw.prefix = 0x8000
    bench.put(0x81C0, PSW_64)
    bench.put(0x81C8, 0x99000)
    bench.raw.psw_addr = 0x3002
    svc_interruption(bench.cpu, 2, 77)
    assert bench.raw.psw_addr == 0x99000
    assert bench.get(0x8088, 4) == 0x0002_004D
    assert bench.get(0x8148) == 0x3002
    assert bench.get(0x148) == 0


@pytest.mark.parametrize(
    ("mask", "addr"),
    [
        (PSW_64 | 1 << 63, 0),
        (PSW_64 | 0x0008_0000_0000_0000, 0),
        (0x0000_0001_0000_0000, 0),
        (0x0000_0000_8000_0000, 1 << 31),
        (0, 1 << 24),
    ],
)
def test_invalid_psw_is_loaded_and_then_a_specification_exception(
    bench: Bench, mask: int, addr: int
) -> None:
    bench.psw(mask, addr)
    assert early_exception(bench.cpu)
    assert came_to(bench) == "pgm"
    assert bench.get(0x8C, 4) == 0x0000_0006
    assert (bench.get(0x150), bench.get(0x158)) == (mask, addr)
    assert not early_exception(bench.cpu)


def test_invalid_program_new_psw_comes_again(bench: Bench) -> None:
    bench.put(0x1D0, 1 << 63)
    bench.psw(1 << 63, 0)
    assert deliver_pending(bench.cpu)
    assert deliver_pending(bench.cpu)
    assert bench.raw.check == 1


def test_priority_is_the_architectures(bench: Bench) -> None:
    raw = bench.raw
    bench.controls(cr0=ALL_EXTERNAL, cr6=0xFF00_0000, cr14=0xFF00_0000)
    for where in NEW.values():
        bench.put(where, PSW_64 | IO | EXT | MCHECK)
    bench.psw(PSW_64 | IO | EXT | MCHECK)
    raw.pending = (
        PENDING_IO | PENDING_MACHINE_CHECK | PENDING_RESTART | PENDING_STOP
        | PENDING_EMERGENCY_SIGNAL | PENDING_EXTERNAL_CALL | PENDING_SERVICE_SIGNAL
        | PENDING_MALFUNCTION_ALERT | PENDING_INTERRUPT_KEY
    )  # fmt: skip
    raw.io_classes = 0x80
    raw.mchk_code = 1 << (63 - 9)
    raw.emergency[1] = 0b101
    raw.ext_call = 3
    raw.service_parameter = 0x8003
    order = []
    while interrupt_enabled_pending(bench.cpu):
        assert deliver_pending(bench.cpu)
        if raw.running == 0:
            order.append("stop")
            break
        name = came_to(bench)
        order.append((name, bench.get(0x84, 4)) if name == "ext" else name)
    assert order == [
        "mcck",
        ("ext", 0x0000_0040),
        ("ext", 0x0000_1200),
        ("ext", 64 << 16 | 0x1201),
        ("ext", 66 << 16 | 0x1201),
        ("ext", 3 << 16 | 0x1202),
        ("ext", 0x2401),
        "io",
        "restart",
        "stop",
    ]
    assert bench.get(0x80, 4) == 0x8003
    assert raw.pending == 0


def test_masked_interruptions_stay_pending(bench: Bench) -> None:
    bench.raw.pending = PENDING_EXTERNAL_CALL | PENDING_IO | PENDING_MACHINE_CHECK
    bench.raw.io_classes = 0xFF
    bench.raw.mchk_code = 1 << (63 - 9)
    assert not interrupt_enabled_pending(bench.cpu)
    assert not deliver_pending(bench.cpu)
    bench.psw(PSW_64 | IO | EXT | MCHECK)
    bench.controls(cr14=0xC200_0000)
    assert not deliver_pending(bench.cpu)


def test_io_interruption_takes_the_lowest_enabled_subclass(bench: Bench) -> None:
    raw = bench.raw
    raw.pending, raw.io_classes = PENDING_IO, 0b1001_0001
    for n in range(8):
        raw.io_subchannel[n], raw.io_parameter[n] = 0x1_0000 | n, n
        raw.io_word[n] = n << 27
    bench.controls(cr6=0x1100_0000)
    bench.psw(PSW_64 | IO)
    assert deliver_pending(bench.cpu)
    assert bench.get(0xB8) == 0x0001_0003_0000_0003
    assert bench.get(0xC0, 4) == 3 << 27
    assert raw.io_classes == 0b1000_0001


def test_clock_comparator_is_due_only_when_the_clock_is_above_it(bench: Bench) -> None:
    raw = bench.raw
    bench.controls(cr0=0x0800)
    bench.psw(PSW_64 | EXT)
    raw.tod_base = raw.clock_comparator = 1 << 60
    assert not interrupt_enabled_pending(bench.cpu)
    raw.epoch = 1
    assert deliver_pending(bench.cpu)
    assert bench.get(0x86, 2) == 0x1004


def test_clock_comparator_sign_control_compares_signed(bench: Bench) -> None:
    raw = bench.raw
    raw.tod_base, raw.clock_comparator = 2**64 - 5, 3
    bench.controls(cr0=0x0800)
    bench.psw(PSW_64 | EXT)
    assert interrupt_enabled_pending(bench.cpu)
    bench.controls(cr0=0x0800 | 1 << 53)
    assert not interrupt_enabled_pending(bench.cpu)


def test_cpu_timer_is_due_when_negative(bench: Bench) -> None:
    raw = bench.raw
    bench.controls(cr0=0x0400)
    bench.psw(PSW_64 | EXT)
    raw.tod_base = raw.timer_deadline = 1 << 60
    raw.epoch = 12345
    assert not interrupt_enabled_pending(bench.cpu)
    raw.tod_base += 1
    assert deliver_pending(bench.cpu)
    assert bench.get(0x86, 2) == 0x1005


def test_machine_check_saves_registers_and_says_so(bench: Bench) -> None:
    raw = bench.raw
    raw.gr[5], raw.cr[9], raw.ar[3], raw.vr[4] = 0x5555, 0x9999, 0x3333, 0x4444
    raw.clock_comparator = 0x1234_5678_9ABC_DEF0
    machine_check_interruption(bench.cpu, 1 << (63 - 9), 0x77, 0x8888)
    assert came_to(bench) == "mcck"
    assert bench.get(0x1280 + 5 * 8) == 0x5555
    assert bench.get(0x1380 + 9 * 8) == 0x9999
    assert bench.get(0x1340 + 3 * 4, 4) == 0x3333
    assert bench.get(0x1200 + 2 * 8) == 0x4444
    assert bench.get(0x1331, 7) == 0x1234_5678_9ABC_DE
    assert bench.get(0xE8) == 0x0040_0F1D_4033_0000
    assert (bench.get(0xF4, 4), bench.get(0xF8)) == (0x77, 0x8888)


def test_restart_starts_a_stopped_processor(bench: Bench) -> None:
    bench.raw.running = 0
    restart_interruption(bench.cpu)
    assert came_to(bench) == "restart"
    assert bench.raw.running == 1


assert Lowcore.block_size == 0x2000
