"""DIAGNOSE, storage keys, frames and TEST PROTECTION."""

from dataclasses import replace

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import MEGABYTE, PROGRAM, PSW_64, HypervisorGuest, plant
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt, Ictl
from worldswitch.hypervisor.outcome import Preempted
from worldswitch.hypervisor.requests import Diagnose, Reset, ResetFlags
from worldswitch.hypervisor.sie.options import Options

P = ProgramCode
DONE = "\ndiag %r0, %r0, 0xfff\n"


@covers("instruction/83", "diagnose/release")
def test_released_pages_read_as_zeros_but_the_prefix_area_stays() -> None:
    guest = HypervisorGuest("llilf %r2, 0x8000\n llilf %r4, 0xb000\n diag %r2, %r4, 0x10" + DONE)
    guest.cpu.set_prefix(0x9000 & -0x2000 | 0xA000)
    guest.vm.memory.write(0xA000, guest.vm.memory.read(0, 0x2000))
    for page in (0x8000, 0xA200, 0xC000):
        guest.store(page + 8, 5)
    guest.finish()
    assert [guest.load(page + 8) for page in (0x8000, 0xA200, 0xC000)] == [0, 5, 5]


@covers("diagnose/release")
def test_released_pages_are_named_by_real_addresses() -> None:
    guest = HypervisorGuest("llilf %r2, 0xa000\n diag %r2, %r2, 0x10" + DONE)
    guest.vm.memory.write(0xA000, guest.vm.memory.read(0, 0x2000))
    guest.cpu.set_prefix(0xA000)
    for page in (0, 0xA000):
        guest.store(page + 0xC00, 5)
    guest.finish()
    assert [guest.load(page + 0xC00) for page in (0, 0xA000)] == [0, 5]


@covers("diagnose/release")
def test_release_of_all_storage_purges_once_and_spares_the_lowcore() -> None:
    guest = HypervisorGuest(
        "llilf %r2, 0x100000\n llilf %r4, 0x7ffff000\n diag %r2, %r4, 0x10" + DONE,
        memory=4 * MEGABYTE,
    )
    for address in (0xF_F000, 0x10_0000, 0x3F_F000):
        guest.store(address, 5)
    purges: list[int] = []
    purge = guest.machine.host.ptlb
    guest.machine.host.ptlb = lambda: (purges.append(1), purge())[1]  # type: ignore[method-assign]
    guest.finish()
    assert [guest.load(address) for address in (0xF_F000, 0x10_0000, 0x3F_F000)] == [5, 0, 0]
    assert len(purges) <= 4  # each segment as it is split, and then all of them


@covers("diagnose/release-checks")
@pytest.mark.parametrize(("first", "last"), [(0x8001, 0x9000), (0x9000, 0x8000), (0x1000, 0x9000)])
def test_release_of_a_bad_range_is_specification_exception(first: int, last: int) -> None:
    text = f"llilf %r2, {first}\n llilf %r4, {last}\n diag %r2, %r4, 0x10"
    assert HypervisorGuest(text + DONE).trap() == P.SPECIFICATION


@covers("diagnose/yield")
def test_yield_gives_the_slice_away() -> None:
    guest = HypervisorGuest("diag %r0, %r0, 0x44" + DONE)
    assert guest.backend.run(guest.cpu, guest.machine.host) == Preempted(None)
    guest.finish()
    assert guest.counted("instruction_diagnose_44") == 1


@covers("diagnose/directed-yield")
def test_directed_yield_names_the_cpu() -> None:
    guest = HypervisorGuest("lghi %r2, 1\n diag %r2, %r0, 0x9c" + DONE, cpus=2)
    guest.vm.vcpus[1].start()
    assert guest.run() == Preempted(1)


@covers("diagnose/directed-yield-ignored")
@pytest.mark.parametrize("address", [0, 1, 9])
def test_directed_yield_to_a_cpu_that_cannot_run_is_ignored(address: int) -> None:
    guest = HypervisorGuest(f"lghi %r2, {address}\n diag %r2, %r0, 0x9c" + DONE, cpus=2)
    guest.finish()
    assert guest.counted("diag_9c_ignored") == 1


HANDSHAKE = """
    larl %r2, block
    diag %r2, %r4, 0x258
    lgr %r6, %r4
    diag %r2, %r4, 0x258
    larl %r2, cancel
    lgr %r7, %r4
    diag %r2, %r4, 0x258
    lgr %r8, %r4
    diag %r2, %r4, 0x258
    diag %r0, %r0, 0xfff
    .align 8
    block: .short 0x258, 0, 5, 2
    .quad 0x8000, 0, 0, 0x8000000000000000
    cancel: .short 0x258, 1, 5, 2
    .quad 0, 0, 0, 0
"""


@covers("diagnose/handshake")
def test_page_fault_handshake_is_made_once_and_cancelled_once() -> None:
    guest = HypervisorGuest(HANDSHAKE)
    guest.finish()
    assert [guest.cpu.gr[n] for n in (6, 7, 8, 4)] == [0, 8, 0, 4]


@covers("diagnose/handshake")
def test_parameters_of_the_page_fault_handshake_are_at_a_real_address() -> None:
    begin = """
        lghi %r1, 5
        sar %a2, %r1
        larl %r1, new
        lctlg %c1, %c1, 16(%r1)
        lpswe 0(%r1)
        .align 8
        new: .quad 0x0400400180000000, there, 0x20
        there:
    """
    guest = HypervisorGuest(begin + HANDSHAKE)  # access register 2 designates no address space
    guest.finish()
    assert [guest.cpu.gr[n] for n in (6, 7, 8, 4)] == [0, 8, 0, 4]


@covers("diagnose/handshake-checks")
@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("5, 2\n    .quad 0x8000", "5, 3\n    .quad 0x8000", P.SPECIFICATION),
        ("0, 5, 2", "7, 5, 2", P.SPECIFICATION),
        (".quad 0x8000,", ".quad 0x8001,", P.SPECIFICATION),
        (".quad 0x8000,", ".quad 0x70000000,", P.ADDRESSING),
        ("larl %r2, block", "llilf %r2, 0x70000000", P.ADDRESSING),
        ("larl %r2, block", "llilf %r2, 0x8001", P.SPECIFICATION),
        ("1, 5, 2\n    .quad 0,", "1, 5, 2\n    .quad 8,", P.SPECIFICATION),
    ],
)
def test_page_fault_handshake_is_checked(old: str, new: str, code: ProgramCode) -> None:
    assert HypervisorGuest(HANDSHAKE.replace(old, new, 1)).trap() == code


@covers("diagnose/ipl")
@pytest.mark.parametrize(("subcode", "flags"), [(3, ResetFlags.CLEAR), (4, ResetFlags(0))])
def test_ipl_stops_the_cpu_and_asks_for_a_reset(subcode: int, flags: ResetFlags) -> None:
    guest = HypervisorGuest(f"lghi %r3, {subcode}\n diag %r2, %r3, 0x308" + DONE)
    always = ResetFlags.SUBSYSTEM | ResetFlags.IPL | ResetFlags.CPU_INIT
    assert guest.request() == Reset(flags | always)
    assert guest.cpu.stopped


@covers("diagnose/ipl-machine")
def test_other_ipl_subcodes_are_the_machines() -> None:
    guest = HypervisorGuest("lghi %r3, 6\n diag %r2, %r3, 0x308" + DONE)
    assert guest.request() == Diagnose(0x308, 2, 3)
    guest.machine.answer(guest.cpu, Diagnose(0x308, 2, 3))
    guest.finish()
    assert guest.cpu.gr[3] == 0x0102


@covers("diagnose/ipl-machine")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("lghi %r3, 5\n diag %r5, %r3, 0x308", P.SPECIFICATION),
        ("llilf %r2, 0x8008\n lghi %r3, 5\n diag %r2, %r3, 0x308", P.SPECIFICATION),
        ("llilf %r2, 0x200000\n lghi %r3, 6\n diag %r2, %r3, 0x308", P.ADDRESSING),
        ("lghi %r3, 7\n diag %r2, %r3, 0x308", P.SPECIFICATION),
    ],
)
def test_ipl_parameters_are_checked_by_the_machine(text: str, code: ProgramCode) -> None:
    guest = HypervisorGuest(text + DONE)
    guest.machine.answer(guest.cpu, guest.request())
    assert guest.trap() == code


@covers("diagnose/hypercall")
def test_notification_without_channel_subsystem_finds_no_device() -> None:
    text = "lghi %r1, 3\n lghi %r2, 0\n diag %r2, %r4, 0x500" + DONE
    guest = HypervisorGuest(text, options=Options(css_support=False))
    guest.finish()
    assert guest.cpu.gr[2] == (1 << 64) - 22
    assert HypervisorGuest(text).request() == Diagnose(0x500, 2, 4)


@covers("diagnose/other")
def test_unknown_diagnose_is_specification_exception_by_the_machine() -> None:
    guest = HypervisorGuest("diag %r2, %r4, 0x7f8" + DONE)
    request = guest.request()
    assert request == Diagnose(0x7F8, 2, 4)
    assert guest.counted("instruction_diagnose_other") == 1
    assert guest.counted("instruction_diagnose_7f8") == 0
    guest.machine.answer(guest.cpu, request)
    assert guest.trap() == P.SPECIFICATION


# Storage keys: the facility interprets them unless the host says that it does not.


def keys(text: str, interpreted: bool = False) -> HypervisorGuest:
    """A guest whose key instructions are intercepted."""
    guest = HypervisorGuest("llilf %r3, 0x8000\n" + text + DONE)
    if not interpreted:
        guest.vm.features = replace(guest.vm.features, skey=False)
    guest.cpu.sd.cpuflags &= ~0x200
    guest.cpu.sd.ictl |= Ictl.ISKE | Ictl.SSKE | Ictl.RRBE
    guest.cpu.keys_enabled = not interpreted
    return guest


@covers("b2/keys")
def test_key_instructions_are_emulated_where_they_are_not_interpreted() -> None:
    guest = keys(
        "lghi %r2, 0x36\n sske %r2, %r3, 0\n iske %r4, %r3\n rrbe %r0, %r3\n iske %r5, %r3"
    )
    guest.finish()
    assert (guest.cpu.gr[4], guest.cpu.gr[5]) == (0x36, 0x32)
    assert guest.cc == 3
    counted = [guest.counted(f"instruction_{name}") for name in ("sske", "iske", "rrbe")]
    assert counted == [1, 2, 1]


@covers("b2/keys")
@pytest.mark.parametrize("text", ["sske %r2, %r9, 0", "iske %r2, %r9", "rrbe %r2, %r9"])
def test_key_of_absent_frame_is_addressing_exception(text: str) -> None:
    assert keys("llilf %r9, 0x70000000\n" + text).trap() == P.ADDRESSING


@covers("b2/keys-retried")
@pytest.mark.parametrize("text", ["sske %r2, %r3, 0", "iske %r4, %r3", "rrbe %r0, %r3"])
def test_first_key_instruction_is_retried_where_it_is_interpreted(text: str) -> None:
    guest = keys("lghi %r2, 0x30\n" + text, interpreted=True)
    guest.cpu.sd.cpuflags &= ~0x200
    guest.finish()
    assert guest.counted("skey_enabled") == 1
    assert guest.counted("exit_instruction") == 2


@covers("b2/keys-conditional")
def test_conditional_key_setting_tells_whether_it_was_set() -> None:
    text = "lghi %r2, 0x30\n sske %r2, %r3, 6\n lgr %r4, %r2\n lghi %r2, 0x36\n sske %r2, %r3, 6"
    guest = keys(text)
    guest.vm.memory.set_key(0x8000, 0x46)
    guest.finish()
    assert guest.cpu.gr[4] == 0x4630
    assert guest.cc == 0
    assert guest.vm.memory.get_key(0x8000) & 0xF0 == 0x30


@covers("b2/keys-multiple")
def test_multiple_block_key_setting_goes_to_the_megabytes_end() -> None:
    guest = keys("llilf %r3, 0x1f8123\n lghi %r2, 0x50\n sske %r2, %r3, 1")
    guest.finish()
    assert guest.cpu.gr[3] == 2 * MEGABYTE + 0x123
    assert [guest.vm.memory.get_key(a) & 0xF0 for a in (0x1F_8000, 0x1F_F000)] == [0x50, 0x50]
    assert guest.vm.memory.get_key(0x1F_7000) & 0xF0 == 0


@covers("b2/keys-multiple", "operands/address-mode")
def test_multiple_block_key_setting_in_31_bit_mode_keeps_the_registers_left_half() -> None:
    guest = keys("llilf %r3, 0x1f8123\n iihf %r3, 0xabcd\n lghi %r2, 0x50\n sske %r2, %r3, 1")
    guest.cpu.psw = 0x8000_0000, PROGRAM
    guest.finish()
    assert guest.cpu.gr[3] == 0xABCD_0020_0123


# PFMF and TPROT, which the facility interprets: as interceptions they are planted.


def frames(function: int, address: int, psw: int = PSW_64) -> HypervisorGuest:
    text = f"llilf %r2, {function:#x}\n llilf %r4, {address:#x}\n stap 0x800(%r0)"
    guest = HypervisorGuest(text + DONE, psw=psw, memory=4 * MEGABYTE)
    plant(guest, Icpt.INST, ipa=0xB9AF, ipb=0x24_0000)
    return guest


@covers("b9/pfmf")
def test_frame_is_cleared_and_has_its_key_set() -> None:
    guest = frames(0x1_8000 | 0x70, 0x8000)
    guest.store(0x8008, 5)
    guest.finish()
    assert guest.load(0x8008) == 0
    assert guest.vm.memory.get_key(0x8000) & 0xF0 == 0x70
    assert guest.cpu.gr[4] == 0x8000


@covers("b9/pfmf-megabyte")
def test_frames_of_a_megabyte_are_cleared_to_its_end() -> None:
    guest = frames(0x9000, 0x28_0000)
    for address in (0x27_F000, 0x28_0000, 0x2F_F000, 0x30_0000):
        guest.store(address, 5)
    guest.finish()
    left = [guest.load(a) for a in (0x27_F000, 0x28_0000, 0x2F_F000, 0x30_0000)]
    assert left == [5, 0, 0, 5]
    assert guest.cpu.gr[4] == 0x30_0000


@covers("b9/pfmf-checks")
@pytest.mark.parametrize(
    ("function", "address", "code"),
    [
        (0x8001, 0x8000, P.SPECIFICATION),
        (0xB000, 0x8000, P.SPECIFICATION),
        (0x8000, 0x7000_0000, P.ADDRESSING),
    ],
)
def test_frame_management_is_checked(function: int, address: int, code: ProgramCode) -> None:
    assert frames(function, address).trap() == code


@covers("instruction/e5", "e5/tprot")
@pytest.mark.parametrize(
    ("key", "access", "code"), [(0x30, 0x30, 0), (0x40, 0x30, 1), (0x48, 0x30, 2), (0x48, 0, 0)]
)
def test_protection_that_is_intercepted_is_tested(key: int, access: int, code: int) -> None:
    guest = HypervisorGuest(f"llilf %r3, 0x8000\n tprot 0(%r3), {access}(%r0)" + DONE)
    guest.cpu.sd.ictl |= Ictl.TPROT
    guest.vm.memory.set_key(0x8000, key)
    guest.finish()
    assert guest.cc == code
    assert guest.counted("instruction_tprot") == 1


@covers("e5/tprot")
def test_protection_of_absent_storage_is_addressing_exception() -> None:
    guest = HypervisorGuest("llilf %r3, 0x70000000\n tprot 0(%r3), 0(%r0)" + DONE)
    guest.cpu.sd.ictl |= Ictl.TPROT
    assert guest.trap() == P.ADDRESSING


@covers("e5/tprot")
def test_protection_where_there_is_no_translation_is_condition_code_3() -> None:
    text = "larl %r1, c1\n lctlg %c1, %c1, 0(%r1)\n larl %r1, psw\n lpswe 0(%r1)\n"
    text += "on: llilf %r3, 0x300000\n tprot 0(%r3), 0(%r0)" + DONE
    text += ".align 8\n c1: .quad 0x6000\n psw: .quad 0x0400000180000000, on"
    guest = HypervisorGuest(text)
    for entry in range(512):
        guest.store(0x6000 + 8 * entry, 0x20)
    guest.store(0x6000, 0x7000)
    for page in range(256):
        guest.store(0x7000 + 8 * page, page << 12)
    guest.cpu.sd.ictl |= Ictl.TPROT
    guest.finish()
    assert guest.cc == 3
