"""Operation-exception interceptions and STORE HYPERVISOR INFORMATION."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROBLEM, PROGRAM, PSW_64, HypervisorGuest
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import Stopped
from worldswitch.hypervisor.requests import DisabledWait, ProgramLoop, UnknownInstruction
from worldswitch.hypervisor.sie.options import Options

P = ProgramCode
BAD = "nop: lr %r1, %r1\n bad: .insn 0000\n .space 8"
"""An instruction of two bytes that no processor has, at PROGRAM + 2."""


def bad(new_mask: int, new_address: int, psw: int = PSW_64, text: str = BAD) -> HypervisorGuest:
    guest = HypervisorGuest(text, psw=psw)
    guest.store(0x1D0, new_mask)
    guest.store(0x1D8, new_address)
    return guest


@covers("operation/injected")
def test_unknown_opcode_is_operation_exception() -> None:
    guest = HypervisorGuest(BAD)
    assert guest.trap() == P.OPERATION
    assert guest.load(0x158) == PROGRAM + 4
    assert guest.counted("exit_operation_exception") == 1


@covers("operation/instruction-0")
def test_opcode_zero_is_the_machines_if_it_asked_for_it() -> None:
    guest = HypervisorGuest(BAD, options=Options(user_instr0=True))
    request = guest.request()
    assert isinstance(request, UnknownInstruction)
    assert request.ipa == 0


@covers("operation/loop")
@pytest.mark.parametrize("distance", [0, 2, 6])
def test_new_psw_at_most_six_bytes_before_is_refused(distance: int) -> None:
    text = ".space 8\n" + BAD
    guest = bad(PSW_64, PROGRAM + 12 - distance, text=text)
    guest.cpu.psw = PSW_64, PROGRAM + 8
    request = guest.request()
    assert isinstance(request, ProgramLoop)
    assert (request.code, request.new_address) == (P.OPERATION, PROGRAM + 12 - distance)


@covers("operation/window")
def test_new_psw_just_outside_the_window_is_injected() -> None:
    text = "diag %r0, %r0, 0xfff\n .space 2\n" + BAD
    guest = bad(PSW_64, PROGRAM, text=text)
    guest.cpu.psw = PSW_64, PROGRAM + 6
    guest.store(0x1D8, PROGRAM + 3 - 3)
    guest.finish()
    assert guest.code == P.OPERATION


@covers("operation/wait")
def test_new_psw_that_waits_is_injected() -> None:
    guest = bad(PSW_64 | PswMask.WAIT, PROGRAM + 2)
    assert guest.request() == DisabledWait(PSW_64 | PswMask.WAIT, PROGRAM + 2)


@covers("operation/problem-state")
def test_fault_of_the_problem_state_is_injected() -> None:
    guest = bad(PSW_64, PROGRAM, psw=PSW_64 | PROBLEM, text="diag %r0, %r0, 0xfff\n" + BAD)
    guest.cpu.psw = PSW_64 | PROBLEM, PROGRAM + 6
    guest.finish()
    assert guest.code == P.OPERATION


@covers("operation/space")
def test_new_psw_in_another_address_space_is_injected() -> None:
    text = "diag %r0, %r0, 0xfff\n" + BAD
    guest = bad(PSW_64 | 0x8000_0000_0000, PROGRAM, text=text)
    guest.cpu.psw = PSW_64, PROGRAM + 6
    guest.store(0x1D8, PROGRAM)
    assert guest.code == 0
    guest.finish()
    assert guest.code == P.OPERATION


@covers("operation/translation")
def test_new_psw_with_translation_is_injected() -> None:
    guest = bad(PSW_64 | PswMask.DAT, PROGRAM, text="diag %r0, %r0, 0xfff\n" + BAD)
    guest.cpu.psw = PSW_64, PROGRAM + 6
    guest.cpu.sd.gcr[1] = 0x20  # real space
    guest.finish()
    assert guest.code == P.OPERATION


@covers("operation/unreadable")
def test_new_psw_that_cannot_be_read_ends_the_cpu() -> None:
    guest = HypervisorGuest(BAD)

    def lose_storage(cpu: object) -> None:
        guest.vm.gmap.slots.clear()

    guest.vm.on_exit(Icpt.OPEREXC)(lose_storage)
    assert isinstance(guest.run(), Stopped)


STHYI = """
    lghi %r2, FUNCTION
    llilf %r4, ADDRESS
    .insn b2560024
    diag %r0, %r0, 0xfff
"""


def sthyi(function: int = 0, address: int = 0x8000, registers: str = "24") -> HypervisorGuest:
    text = STHYI.replace("FUNCTION", str(function)).replace("ADDRESS", str(address))
    return HypervisorGuest(text.replace("b2560024", f"b25600{registers}"))


@covers("operation/sthyi", "sthyi/stored")
def test_sthyi_stores_its_page() -> None:
    guest = sthyi()
    guest.finish()
    assert guest.cc == 0
    assert guest.cpu.gr[5] == 0
    page = guest.vm.memory.read(0x8000, 4096)
    machine = int.from_bytes(page[12:14], "big")
    assert "3906".encode("cp037") in page[machine : machine + 60]
    assert guest.counted("instruction_sthyi") == 1


@covers("sthyi/function")
def test_sthyi_of_unknown_function_is_condition_code_3() -> None:
    guest = sthyi(function=1, address=0x8001)
    guest.finish()
    assert guest.cc == 3
    assert guest.cpu.gr[5] == 4


@covers("sthyi/registers")
@pytest.mark.parametrize("registers", ["22", "34", "25"])
def test_sthyi_of_wrong_registers_is_specification_exception(registers: str) -> None:
    assert sthyi(registers=registers).trap() == P.SPECIFICATION


@covers("sthyi/alignment")
def test_sthyi_of_unaligned_page_is_specification_exception() -> None:
    assert sthyi(address=0x8008).trap() == P.SPECIFICATION


@covers("sthyi/access")
def test_sthyi_outside_storage_is_addressing_exception() -> None:
    guest = sthyi(address=0x1000_0000)
    assert guest.trap() == P.ADDRESSING
    assert guest.load(0x158) == guest.program.origin + 14


@covers("sthyi/no-facility")
def test_sthyi_without_facility_is_operation_exception() -> None:
    guest = sthyi()
    guest.vm.facilities -= {74}
    assert guest.trap() == P.OPERATION
