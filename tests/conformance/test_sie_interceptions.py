"""Every interception code, reached by a guest's program. ref: SIE interception codes."""

import pytest

from tests.guests.sie_guest import ORIGIN, PROGRAM, SieGuest
from worldswitch.arch.s390x.sie_controls import CpuStat, Eca, Ecb, Icpt, Ictl, Lctl, Svcc
from worldswitch.metal.interface import EntryResult

ENGINES = ["python", "native"]
engines = pytest.mark.parametrize("engine", ENGINES)


@engines
def test_diagnose_is_instruction_interception(engine: str) -> None:
    guest = SieGuest("lghi %r1, 5\n diag %r1, %r2, 0x500", engine)
    assert guest.run() is Icpt.INST
    assert (guest.block.ipa, guest.block.ipb) == (0x8312, 0x0500_0000)
    assert guest.block.gpsw_addr == PROGRAM + 8
    assert guest.host.gr[1] == 5


@engines
def test_executed_instruction_carries_execute_mark_and_length(engine: str) -> None:
    text = "exrl %r0, target\n nop: j nop\n target: diag %r1, %r2, 0x44"
    guest = SieGuest(text, engine)
    assert guest.run() is Icpt.INST
    assert guest.block.ipa == 0x8312
    assert guest.block.icptstatus == 0x61  # EXECUTE of six bytes
    assert guest.block.gpsw_addr == PROGRAM + 6


@engines
def test_supervisor_call_named_by_controls_is_intercepted(engine: str) -> None:
    guest = SieGuest("svc 7", engine)
    guest.block.svcc = Svcc.SECOND | 7 << 8
    assert guest.run() is Icpt.INST
    assert guest.block.ipa == 0x0A07


@engines
def test_supervisor_call_not_named_is_the_guests(engine: str) -> None:
    text = "svc 8\n .org 0x1100\n handler: diag %r0, %r0, 0"
    guest = SieGuest(text, engine)
    guest.block.svcc = Svcc.SECOND | 7 << 8
    guest.write(0x1C0, (0x180000000).to_bytes(8, "big") + (0x1100).to_bytes(8, "big"))
    assert guest.run() is Icpt.INST
    assert guest.block.gpsw_addr == 0x1104
    assert guest.read(0x8A, 2) == 8


@engines
def test_load_control_of_kept_register_is_intercepted(engine: str) -> None:
    guest = SieGuest("lctlg %c6, %c6, 0(%r0)", engine)
    guest.block.lctl = Lctl.CR6
    assert guest.run() is Icpt.INST
    assert guest.block.ipa == 0xEB66


@engines
def test_load_control_of_other_register_is_not(engine: str) -> None:
    guest = SieGuest("lctlg %c9, %c9, 0(%r0)\n diag %r0, %r0, 0", engine)
    guest.block.lctl = Lctl.CR6
    assert guest.run() is Icpt.INST
    assert guest.block.ipa == 0x8300


@engines
def test_addressing_exception_is_program_interception(engine: str) -> None:
    guest = SieGuest("llihl %r1, 1\n lg %r2, 0(%r1)", engine)
    assert guest.run() is Icpt.PROGI
    assert (guest.block.iprcc, guest.block.pgmilc) == (5, 6)
    assert guest.block.gpsw_addr == PROGRAM + 10


@engines
def test_specification_exception_interpreted_goes_to_guest(engine: str) -> None:
    text = "lpswe 1(%r0)\n .org 0x1100\n diag %r0, %r0, 0"
    guest = SieGuest(text, engine)
    guest.block.ecb = Ecb.SPECI
    guest.write(0x1D0, (0x180000000).to_bytes(8, "big") + (0x1100).to_bytes(8, "big"))
    assert guest.run() is Icpt.INST
    assert guest.read(0x8E, 2) == 6


@engines
def test_specification_exception_is_intercepted_by_default(engine: str) -> None:
    guest = SieGuest("lpswe 1(%r0)", engine)
    assert guest.run() is Icpt.PROGI
    assert guest.block.iprcc == 6


@engines
def test_data_exception_with_pint_carries_dxc(engine: str) -> None:
    guest = SieGuest("adbr %f0, %f2", engine)
    guest.block.ictl = Ictl.PINT
    guest.block.gcr[0] = 0xE0 & ~0x40000
    assert guest.run() is Icpt.PROGI
    assert (guest.block.iprcc, guest.block.dxc) == (7, 2)


@engines
def test_page_translation_with_pint_carries_teid(engine: str) -> None:
    text = "larl %r1, psw\n lpswe 0(%r1)\n .align 8\n psw: .quad 0x0400000180000000, 0x5000"
    guest = SieGuest(text, engine)
    guest.block.ictl = Ictl.PINT
    guest.block.gcr[1] = 0x8000  # a segment table of invalid entries
    guest.write(0x8000, (0x20).to_bytes(8, "big") * 512)
    assert guest.run() is Icpt.PROGI
    assert guest.block.iprcc == 0x10
    assert guest.block.tecmc & ~0xFFF == 0x5000


@engines
def test_monitor_event_with_pint_carries_class_and_code(engine: str) -> None:
    guest = SieGuest("lghi %r1, 0x77\n mc 0(%r1), 3", engine)
    guest.block.ictl = Ictl.PINT
    guest.block.gcr[8] = 1 << (15 - 3)
    assert guest.run() is Icpt.PROGI
    assert (guest.block.iprcc, guest.block.mcn, guest.block.tecmc) == (0x40, 3, 0x77)


@engines
def test_operation_exception_has_a_code_of_its_own(engine: str) -> None:
    guest = SieGuest(".insn 0000", engine)
    guest.block.ictl = Ictl.OPEREXC
    assert guest.run() is Icpt.OPEREXC
    assert guest.block.ipa == 0
    assert guest.block.gpsw_addr == PROGRAM + 2


@engines
def test_failed_swap_with_per_event_is_instruction_and_program(engine: str) -> None:
    text = "larl %r3, word\n cs %r1, %r2, 0(%r3)\n .align 4\n word: .long 9"
    psw = 0x4000_0001_8000_0000
    guest = SieGuest(text, engine, psw=psw)
    guest.block.ictl = Ictl.CS_CC1
    guest.block.gcr[9], guest.block.gcr[10] = 1 << 30, PROGRAM + 6
    guest.block.gcr[11] = PROGRAM + 6
    assert guest.run() is Icpt.INSTPROGI
    assert guest.block.ipa == 0xBA12
    assert guest.block.iprcc == 0x80
    assert (guest.block.perc, guest.block.peraddr) == (0x40, PROGRAM + 6)


@engines
def test_failed_swap_without_per_is_instruction(engine: str) -> None:
    text = "larl %r3, word\n cs %r1, %r2, 0(%r3)\n .align 4\n word: .long 9"
    guest = SieGuest(text, engine)
    guest.block.ictl = Ictl.CS_CC1
    assert guest.run() is Icpt.INST
    assert guest.block.gpsw_mask >> 44 & 3 == 1


@engines
def test_external_request_waits_for_enablement(engine: str) -> None:
    guest = SieGuest("lghi %r1, 1\n stosm 0x900(%r0), 1\n lghi %r1, 2", engine)
    guest.block.cpuflags |= CpuStat.EXT_INT
    assert guest.run() is Icpt.EXTREQ
    assert guest.host.gr[1] == 1


@engines
def test_io_request_waits_for_enablement(engine: str) -> None:
    guest = SieGuest("lghi %r1, 1\n stosm 0x900(%r0), 2\n lghi %r1, 2", engine)
    guest.block.cpuflags |= CpuStat.IO_INT
    assert guest.run() is Icpt.IOREQ
    assert guest.host.gr[1] == 1


@engines
def test_stop_request_needs_no_enablement(engine: str) -> None:
    guest = SieGuest("lghi %r1, 1", engine)
    guest.block.cpuflags |= CpuStat.STOP_INT
    assert guest.run() is Icpt.STOP
    assert guest.block.gpsw_addr == PROGRAM


@engines
@pytest.mark.parametrize("mask", [0, 1 << 56])
def test_clock_comparator_is_external_interception(engine: str, mask: int) -> None:
    """Without conditional interception, or if the new PSW enables external interruptions."""
    guest = SieGuest("stosm 0x900(%r0), 1\n loop: j loop", engine)
    guest.block.gcr[0] |= 0x800
    guest.block.ckc = 0
    guest.block.eca = Eca.CEI if mask else 0
    guest.write(0x1B0, (0x180000000 | mask).to_bytes(8, "big"))
    assert guest.run() is Icpt.EXTINT
    assert guest.block.eic == 0x1004


@engines
def test_clock_comparator_with_conditional_interception_is_the_guests(engine: str) -> None:
    text = "stosm 0x900(%r0), 1\n loop: j loop\n .org 0x1100\n diag %r0, %r0, 0"
    guest = SieGuest(text, engine)
    guest.block.gcr[0] |= 0x800
    guest.block.ckc, guest.block.eca = 0, Eca.CEI
    guest.write(0x1B0, (0x180000000).to_bytes(8, "big") + (0x1100).to_bytes(8, "big"))
    assert guest.run() is Icpt.INST
    assert guest.read(0x86, 2) == 0x1004


@engines
def test_wait_psw_is_wait_interception(engine: str) -> None:
    text = "larl %r1, psw\n lpswe 0(%r1)\n .align 8\n psw: .quad 0x0102000180000000, 0x77"
    guest = SieGuest(text, engine)
    assert guest.run() is Icpt.WAIT
    assert guest.block.gpsw_addr == 0x77
    assert guest.block.gpsw_mask == 0x0102_0001_8000_0000


def test_unreachable_prefix_is_validity_interception() -> None:
    guest = SieGuest("lghi %r1, 1")
    guest.storage.write(0x8000, (0x20).to_bytes(8, "big") * 512)
    guest.host.cr[1] = 0x8000  # a segment table of invalid entries
    assert guest.run() is Icpt.VALIDITY
    assert guest.block.ipb >> 16 == 0x37


@engines
def test_move_page_of_unmapped_page_is_partial_execution(engine: str) -> None:
    text = "lghi %r0, 0\n lghi %r1, 0x6000\n lghi %r2, 0x5000\n mvpg %r1, %r2"
    guest = SieGuest(text, engine)
    guest.block.eca = Eca.MVPGI
    _map_host(guest, missing=0x5000)
    assert guest.run() is Icpt.PARTEXEC
    assert guest.block.ipa == 0xB254
    assert guest.block.gpsw_addr == PROGRAM + 16


def _map_host(guest: SieGuest, missing: int) -> None:
    """Host tables: one segment table and page tables in frames that nobody else uses."""
    table = guest.storage.allocate(16384, 16384)
    segments = bytearray((0x20).to_bytes(8, "big") * 2048)
    for megabyte in range(4):
        pages = guest.storage.allocate(4096)
        entries = b""
        for page in range(256):
            address = (megabyte << 20) + page * 4096
            entries += (address | (0x400 if address == ORIGIN + missing else 0)).to_bytes(8, "big")
        guest.storage.write(pages, entries)
        segments[8 * megabyte : 8 * megabyte + 8] = pages.to_bytes(8, "big")
    guest.storage.write(table, bytes(segments))
    guest.host.cr[1] = table | 3


@engines
def test_unmapped_page_is_an_exception_of_the_host(engine: str) -> None:
    guest = SieGuest("lghi %r1, 0x5000\n stg %r1, 8(%r1)", engine)
    _map_host(guest, missing=0x5000)
    assert guest.host.sie(guest.addresses[0]) is EntryResult.HOST_FAULT
    assert guest.host.host_fault_code == 0x11
    assert guest.host.host_fault_address == ORIGIN + 0x5008
    assert guest.host.host_fault_store
    assert guest.block.icptcode == 0
    assert guest.block.gpsw_addr == PROGRAM + 4


@engines
def test_external_call_to_resting_cpu_is_partial_execution(engine: str) -> None:
    guest = SieGuest("lghi %r3, 1\n sigp %r1, %r3, 2(%r0)", engine, cpus=2)
    area = guest.add_sca()
    guest.block.eca = Eca.SIGPI
    assert guest.run() is Icpt.PARTEXEC
    assert guest.block.ipa >> 8 == 0xAE
    assert area.cpu[1].call_pending == 1
    assert area.cpu[1].source_cpu == 0


@engines
def test_pending_external_call_is_taken_by_the_guest(engine: str) -> None:
    text = "stosm 0x900(%r0), 1\n loop: j loop\n .org 0x1100\n diag %r0, %r0, 0"
    guest = SieGuest(text, engine, cpus=2)
    area = guest.add_sca()
    area.cpu[0].call_pending, area.cpu[0].source_cpu = 1, 1
    guest.block.eca = Eca.SIGPI | Eca.CEI
    guest.block.gcr[0] |= 0x2000
    guest.write(0x1B0, (0x180000000).to_bytes(8, "big") + (0x1100).to_bytes(8, "big"))
    assert guest.run() is Icpt.INST
    assert (guest.read(0x84, 2), guest.read(0x86, 2)) == (1, 0x1202)
    assert area.cpu[0].call_pending == 0


@engines
def test_key_operation_under_keyless_subset_is_intercepted(engine: str) -> None:
    guest = SieGuest("iske %r1, %r2", engine)
    guest.block.cpuflags |= CpuStat.KSS
    assert guest.run() is Icpt.KSS
    assert guest.block.gpsw_addr == PROGRAM


@engines
def test_test_pending_interruption_with_request_is_io_and_instruction(engine: str) -> None:
    guest = SieGuest("tpi 0(%r0)", engine)
    guest.block.cpuflags |= CpuStat.IO_INT
    assert guest.run() is Icpt.IOINST
    assert guest.block.ipa == 0xB236
