"""Intercepted instructions, group by group: results, condition codes, checks and their order."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROBLEM, PROGRAM, PSW_64, HypervisorGuest, grant, plant
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt, Ictl
from worldswitch.hypervisor.outcome import RESUME, Outcome, Resume
from worldswitch.hypervisor.requests import (
    ServiceCall,
    StoreSystemInformation,
)
from worldswitch.hypervisor.sie.debug import GuestDebug
from worldswitch.hypervisor.sie.events import MachineCheck
from worldswitch.hypervisor.sie.options import Options
from worldswitch.hypervisor.sie.vcpu import SieVcpu

P = ProgramCode
DONE = "\ndiag %r0, %r0, 0xfff\n"
OUTSIDE = "llilf %r9, 0x70000000\n"


def ran(text: str, **options: bool) -> HypervisorGuest:
    """A guest after its program."""
    guest = HypervisorGuest(text + DONE, options=Options(**options))
    guest.finish()
    return guest


# Checks that instructions have in common: privilege first, then alignment, then access.

PRIVILEGED = [
    "stidp 0x801(%r0)", "sck 0x801(%r0)", "spx 0x801(%r0)", "stpx 0x801(%r0)", "stap 0x801(%r0)",
    "servc %r2, %r4", "tb %r0, %r2", "stsi 0x801(%r0)", "stfl 0(%r0)", "lpswe 0x801(%r0)",
    "tpi 0x801(%r0)", "stsch 0x801(%r0)", "chsc %r2", "sckpf", "diag %r0, %r0, 0x44",
    "sigp %r0, %r2, 5(%r0)", "lctlg %c6, %c6, 0x801(%r0)",
]  # fmt: skip


@covers("privilege/first")
@pytest.mark.parametrize("text", PRIVILEGED)
def test_privileged_instruction_in_problem_state_is_refused_first(text: str) -> None:
    guest = HypervisorGuest(text + DONE, psw=PSW_64 | PROBLEM)
    assert guest.trap() == P.PRIVILEGED_OPERATION


@covers("privilege/handler")
@pytest.mark.parametrize("text", ["stap 0x800(%r0)", "sigp %r0, %r2, 5(%r0)"])
def test_privilege_is_checked_again_by_the_handler(text: str) -> None:
    guest = HypervisorGuest(text + DONE)
    plant(guest, Icpt.INST, gpsw_mask=PSW_64 | PROBLEM)
    assert guest.trap() == P.PRIVILEGED_OPERATION


UNALIGNED = [
    "stidp 0x804(%r0)", "sck 0x804(%r0)", "spx 0x802(%r0)", "stpx 0x802(%r0)", "stap 0x801(%r0)",
    "stsi 0x804(%r0)", "tpi 0x802(%r0)", "stsch 0x802(%r0)", "msch 0x802(%r0)", "tsch 0x802(%r0)",
]  # fmt: skip


@covers("operands/alignment")
@pytest.mark.parametrize("text", UNALIGNED)
def test_unaligned_operand_is_specification_exception(text: str) -> None:
    setup = "llihf %r0, 0\n llilf %r0, 0x10000000\n lghi %r1, 0\n"
    assert HypervisorGuest(setup + text + DONE).trap() == P.SPECIFICATION


@covers("operands/outside")
@pytest.mark.parametrize(
    "text", ["stidp 0(%r9)", "sck 0(%r9)", "spx 0(%r9)", "stpx 0(%r9)", "stap 0(%r9)"]
)
def test_operand_outside_storage_is_addressing_exception(text: str) -> None:
    assert HypervisorGuest(OUTSIDE + text + DONE).trap() == P.ADDRESSING


@covers("operands/low-address-protection")
@pytest.mark.parametrize("text", ["stap 0x100(%r0)", "stpx 0x100(%r0)", "stidp 0x100(%r0)"])
def test_store_into_protected_low_address_is_protection_exception(text: str) -> None:
    control = "larl %r1, cr0\n lctlg %c0, %c0, 0(%r1)\n"
    guest = HypervisorGuest(control + text + DONE + ".align 8\ncr0: .quad 0x100000e0")
    assert guest.trap() == P.PROTECTION
    assert guest.load(0xA8) & 0xC00 == 0x400


@covers("operands/key")
def test_store_against_the_key_is_protection_exception() -> None:
    guest = HypervisorGuest(
        "spka 0x30(%r0)\n llilh %r1, 0\n llilf %r1, 0x8000\n stap 0(%r1)" + DONE
    )
    for page in (0, 0x2000):
        guest.vm.memory.set_key(page, 0x30)
    guest.vm.memory.set_key(0x8000, 0x40)
    assert guest.trap() == P.PROTECTION


@covers("operands/address-mode")
def test_operand_address_is_truncated_to_31_bits() -> None:
    guest = HypervisorGuest("llihf %r1, 1\n oilf %r1, 0x80008000\n stap 0(%r1)" + DONE)
    guest.cpu.psw = 0x8000_0000, PROGRAM
    guest.store(0x8000, 0xFFFF, 2)
    guest.finish()
    assert guest.load(0x8000, 2) == 0


# 01, 82, B6, B7, EB: clocks, PSW and control registers.


@covers("instruction/01", "01/sckpf")
def test_clock_programmable_field_is_set() -> None:
    assert ran("lghi %r0, 0x1234\n sckpf").cpu.sd.todpr == 0x1234


@covers("01/ptff")
def test_timing_facility_function_is_not_available() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)" + DONE)
    plant(guest, Icpt.INST, ipa=0x0104, ipb=0)
    guest.finish()
    assert guest.cc == 3


SHORT_PSW = "larl %r1, psw\n lpsw 0(%r1)\n .align 8\n psw: .long 0x00080000, 0x80000000+go\n go: "


@covers("instruction/82", "82/loaded")
def test_load_psw_that_is_intercepted_loads_the_short_psw() -> None:
    guest = HypervisorGuest(SHORT_PSW + DONE)
    intercept_load_psw(guest)
    guest.finish()
    assert guest.counted("instruction_lpsw") == 1
    assert guest.cpu.psw[0] & 0xFFFF_FFFF_FFFF == 0x8000_0000


def intercept_load_psw(guest: HypervisorGuest) -> None:
    """With a machine check pending that no subclass enables, the facility intercepts LOAD PSW."""
    guest.vm.inject(MachineCheck(0x0004_0000_0000_0000, 0x0100_0000))


@covers("82/invalid")
@pytest.mark.parametrize("mask", [0x0000_0000, 0x4008_0000 | 0x8000_0000])
def test_load_psw_of_invalid_short_psw_is_specification_exception(mask: int) -> None:
    guest = HypervisorGuest(SHORT_PSW.replace("0x00080000", hex(mask)) + DONE)
    intercept_load_psw(guest)
    assert guest.trap() == P.SPECIFICATION


@covers("b2/lpswe-invalid")
def test_load_psw_extended_of_invalid_psw_is_specification_exception_behind_it() -> None:
    text = "larl %r1, psw\n lpswe 0(%r1)\n .align 8\n psw: .quad 0x0000000080000000, 0x80000001\n"
    guest = HypervisorGuest(text)
    intercept_load_psw(guest)
    assert guest.trap() == P.SPECIFICATION
    assert guest.load(0x158) == 0x8000_0001
    assert guest.load(0x8C, 2) == 0  # the instruction length of an early exception
    assert guest.load(0x110) == PROGRAM + 6  # the breaking event is the LPSWE


CONTROLS = """
    larl %r1, controls
    STORE
    LOAD
    diag %r0, %r0, 0xfff
    .align 8
    controls: .quad 0x1122334455667788, 0x99aabbccddeeff00
"""


@covers("instruction/b7", "instruction/b6", "control-registers/short")
def test_load_and_store_control_of_words_that_are_intercepted() -> None:
    guest = controls("lctl %c9, %c10, 0(%r1)", "stctl %c9, %c10, 0x800(%r0)")
    before = guest.cpu.sd.gcr[9] >> 32
    guest.finish()
    assert guest.cpu.sd.gcr[9] == before << 32 | 0x1122_3344
    assert guest.load(0x800) == 0x1122_3344_5566_7788
    assert (guest.counted("instruction_lctl"), guest.counted("instruction_stctl")) == (1, 1)


@covers("instruction/eb", "control-registers/long")
def test_load_and_store_control_of_doublewords_that_are_intercepted() -> None:
    guest = controls("lctlg %c10, %c11, 0(%r1)", "stctg %c10, %c11, 0x800(%r0)")
    guest.finish()
    assert guest.load(0x800) == 0x1122_3344_5566_7788
    assert guest.cpu.sd.gcr[11] == 0x99AA_BBCC_DDEE_FF00
    assert (guest.counted("instruction_lctlg"), guest.counted("instruction_stctg")) == (1, 1)


def controls(load: str, store: str) -> HypervisorGuest:
    """A guest that is debugged, whose control registers are therefore intercepted."""
    text = CONTROLS.replace("STORE", load).replace("LOAD", store)
    guest = HypervisorGuest(text)
    guest.cpu.debug = GuestDebug()
    return guest


@covers("control-registers/unaligned")
@pytest.mark.parametrize("load", ["lctl %c9, %c9, 2(%r1)", "lctlg %c9, %c9, 4(%r1)"])
def test_control_registers_from_unaligned_storage_are_specification_exception(load: str) -> None:
    assert controls(load, "").trap() == P.SPECIFICATION


# AA, E3, EB: facilities that the guest turns on by using them.


@covers("instruction/aa", "instruction/eb", "instruction/e3", "facility/absent")
@pytest.mark.parametrize(("ipa", "ipb"), [(0xAA01, 0), (0xEB00, 0x60), (0xE300, 0x4D)])
def test_instruction_of_absent_facility_is_operation_exception(ipa: int, ipb: int) -> None:
    guest = HypervisorGuest("stap 0x800(%r0)" + DONE)
    plant(guest, Icpt.INST, ipa=ipa, ipb=ipb)
    assert guest.trap() == P.OPERATION


@covers("instruction/aa", "instruction/e3", "facility/enabled")
@pytest.mark.parametrize(
    ("ipa", "ipb", "facility", "control"),
    [(0xAA01, 0, 64, "ecb3"), (0xEB00, 0x60, 64, "ecb3"), (0xE300, 0x49, 133, "ecb")],
)
def test_instruction_of_granted_facility_turns_it_on_and_is_retried(
    ipa: int, ipb: int, facility: int, control: str
) -> None:
    guest = HypervisorGuest("stap 0x800(%r0)" + DONE)
    grant(guest, facility)
    sd = guest.cpu.sd
    before, ecd = getattr(sd, control), sd.ecd
    outcomes: list[Outcome] = []

    def handle_first(vcpu: SieVcpu) -> Outcome | None:
        """The metal has no such facility: it is on until the handler returns."""
        if outcomes:
            return None
        vcpu.sd.ipa, vcpu.sd.ipb = ipa, ipb
        outcomes.append(vcpu.handle(Icpt.INST))
        assert getattr(vcpu.sd, control) != before
        setattr(vcpu.sd, control, before)
        vcpu.sd.ecd = ecd
        return RESUME

    guest.vm.on_exit(Icpt.INST)(handle_first)
    guest.finish()
    assert outcomes == [Resume(advance=-4 if ipa >> 8 == 0xAA else -6)]


# B2.


@covers("instruction/b2", "b2/identity")
def test_cpu_identity_and_address_are_the_guests() -> None:
    guest = ran("stidp 0x800(%r0)\n stap 0x808(%r0)\n stfl 0(%r0)")
    assert guest.load(0x800) == guest.vm.cpu_id
    assert guest.load(0x800, 1) == 0xFF
    assert guest.load(0x808, 2) == 0
    assert guest.load(0xC8, 4) == guest.vm.facility_word()


@covers("b2/clock")
def test_set_clock_moves_all_cpus() -> None:
    text = (
        "larl %r1, tod\n sck 0(%r1)\n stck 0x800(%r0)" + DONE + ".align 8\n tod: .quad 0x1000000000"
    )
    guest = HypervisorGuest(text, cpus=2)
    guest.finish()
    assert 0x10_0000_0000 <= guest.load(0x800) < 0x10_0001_0000
    assert guest.vm.vcpus[1].sd.epoch == guest.cpu.sd.epoch


@covers("b2/timers")
def test_timers_whose_setting_is_intercepted_are_set() -> None:
    text = "larl %r1, v\n sckc 0(%r1)\n spt 8(%r1)\n stckc 0x800(%r0)\n stpt 0x808(%r0)"
    guest = HypervisorGuest(text + DONE + ".align 8\n v: .quad 0xffffffffffff0000, 0x100000000")
    guest.cpu.sd.ictl |= Ictl.SCKC | Ictl.SPT
    guest.finish()
    assert guest.load(0x800) == 0xFFFF_FFFF_FFFF_0000
    assert 0xFFFF_0000 < guest.load(0x808) <= 0x1_0000_0000
    assert (guest.counted("instruction_sckc"), guest.counted("instruction_spt")) == (1, 1)


@covers("b2/purge")
def test_purge_that_is_intercepted_flushes_translations() -> None:
    guest = HypervisorGuest("ptlb" + DONE)
    guest.cpu.sd.ictl |= Ictl.PTLB
    guest.finish()
    assert guest.counted("instruction_ptlb") == 1


@covers("b2/prefix")
def test_prefix_is_set_and_stored() -> None:
    text = "larl %r1, new\n spx 0(%r1)\n stpx 0x800(%r0)" + DONE + ".align 4\n new: .long 0x10fff"
    guest = HypervisorGuest(text)
    guest.finish()
    assert guest.cpu.prefix == 0x1_0000
    assert guest.load(0x1_0800, 4) == 0x1_0000


@covers("b2/prefix-outside")
def test_prefix_outside_storage_is_addressing_exception() -> None:
    text = "larl %r1, new\n spx 0(%r1)" + DONE + ".align 4\n new: .long 0x70000000"
    guest = HypervisorGuest(text)
    assert guest.trap() == P.ADDRESSING
    assert guest.cpu.prefix == 0


@covers("b2/service-call")
def test_service_call_is_the_machines() -> None:
    guest = HypervisorGuest("llilf %r2, 0x00120001\n llilf %r4, 0x8000\n servc %r2, %r4" + DONE)
    assert guest.request() == ServiceCall(0x12_0001, 0x8000)
    guest.machine.answer(guest.cpu, ServiceCall(0x12_0001, 0x8000))
    guest.finish()
    assert guest.load(0x8006, 2)
    assert guest.vm.floating.pending()


@covers("b2/service-call-checks")
@pytest.mark.parametrize(
    ("address", "code"),
    [
        (0x8001, P.SPECIFICATION),
        (0x8000_0000, P.ADDRESSING),
        (0x1000, P.SPECIFICATION),
        (0x7000_0000, P.ADDRESSING),
    ],
)
def test_service_call_with_bad_block_is_an_exception(address: int, code: ProgramCode) -> None:
    guest = HypervisorGuest(f"llilf %r4, {address:#x}\n servc %r2, %r4" + DONE)
    assert guest.trap() == code


@covers("b2/test-block")
def test_test_block_clears_the_frame() -> None:
    guest = HypervisorGuest("llilf %r2, 0x8123\n lghi %r0, 7\n tb %r0, %r2" + DONE)
    guest.store(0x8FF8, 5)
    guest.finish()
    assert guest.cc == 0
    assert guest.cpu.gr[0] == 0
    assert guest.vm.memory.read(0x8000, 4096) == bytes(4096)


@covers("b2/test-block-outside")
def test_test_block_outside_storage_is_addressing_exception() -> None:
    assert HypervisorGuest(OUTSIDE + "tb %r0, %r9" + DONE).trap() == P.ADDRESSING


STSI = "llilf %r0, GR0\n llilf %r1, GR1\n llilf %r3, 0x8000\n stsi 0(%r3)"


def stsi(gr0: int, gr1: int) -> HypervisorGuest:
    return HypervisorGuest(STSI.replace("GR0", hex(gr0)).replace("GR1", hex(gr1)) + DONE)


@covers("b2/system-information-level")
def test_current_level_is_virtual_machine() -> None:
    guest = stsi(0, 0)
    guest.finish()
    assert guest.cpu.gr[0] == 3 << 28
    assert guest.cc == 0


@covers("b2/system-information")
def test_system_information_is_the_machines() -> None:
    guest = stsi(0x3000_0002, 2)
    assert guest.request() == StoreSystemInformation(3, 2, 2, 0x8000)
    guest.machine.answer(guest.cpu, StoreSystemInformation(3, 2, 2, 0x8000))
    guest.finish()
    assert guest.cc == 0
    assert any(guest.vm.memory.read(0x8000, 4096))


@covers("b2/system-information-absent")
@pytest.mark.parametrize("level", [4, 15])
def test_system_information_of_absent_level_is_condition_code_3(level: int) -> None:
    guest = stsi(level << 28, 0)
    guest.finish()
    assert guest.cc == 3


@covers("b2/system-information-reserved")
@pytest.mark.parametrize(("gr0", "gr1"), [(0x1000_0101, 1), (0x1000_0001, 0x1_0001)])
def test_reserved_bits_of_system_information_are_specification_exception(
    gr0: int, gr1: int
) -> None:
    assert stsi(gr0, gr1).trap() == P.SPECIFICATION


@covers("b2/interlock")
@pytest.mark.parametrize(("ipa", "length"), [(0xB221, 4), (0xB98E, 4), (0xB98A, 4), (0xB250, 4)])
def test_instruction_that_needs_the_interlock_is_executed_again(ipa: int, length: int) -> None:
    guest = HypervisorGuest("lghi %r2, 0\n again: stap 0x800(%r0)\n" + DONE)
    plant(guest, Icpt.INST, ipa=ipa, ipb=0)
    guest.finish()
    assert guest.counted("instruction_stap") == 1  # the first interception was not the STAP's
    assert guest.counted("exit_instruction") == 3


@covers("b2/sthyi")
def test_sthyi_that_is_intercepted_by_opcode_is_answered() -> None:
    guest = HypervisorGuest("lghi %r2, 1\n lghi %r4, 0\n stap 0x800(%r0)" + DONE)
    plant(guest, Icpt.INST, ipa=0xB256, ipb=0x24_0000)
    guest.finish()
    assert guest.cc == 3
