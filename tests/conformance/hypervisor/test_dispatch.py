"""Interceptions by code. ref: SIE icptcode."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PROGRAM, PSW_64, HypervisorGuest, plant
from worldswitch.arch.s390x.program import PER, PerCode, ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import Wait
from worldswitch.hypervisor.requests import (
    Diagnose,
    DisabledWait,
    Intercepted,
    UnknownInstruction,
)
from worldswitch.hypervisor.sie.events import IoEvent, MachineCheck, ServiceSignal
from worldswitch.hypervisor.sie.options import Options

DONE = "diag %r0, %r0, 0xfff\n"
TAKE_ONE = f"""
    larl %r1, controls
    lctlg %c0, %c0, 0(%r1)
    lctlg %c6, %c6, 8(%r1)
    lctlg %c14, %c14, 16(%r1)
    larl %r1, enabling
    ENABLE
    loop: j loop
    external: {DONE}
    io: {DONE}
    mcheck: {DONE}
    .align 8
    controls: .quad 0x2e0, 0xff000000, 0xff000000
    enabling: .quad 0x4180000000, loop
"""
RUNNING = "0x4180000000, loop"
ENABLE_ALL = "stosm 0x900(%r0), 3"
REPRESSIBLE = 0x0004_0F40_0300_0000
WARNING_SUBCLASS = 0x0100_0000


@covers("dispatch/user-controlled")
def test_user_controlled_machine_gets_every_interception() -> None:
    guest = HypervisorGuest(f"stidp 0x800(%r0)\n {DONE}", options=Options(user_controlled=True))
    request = guest.request()
    assert isinstance(request, Intercepted)
    assert request.code == Icpt.INST
    assert guest.cpu.ipa == 0xB202
    assert guest.counted("exit_instruction") == 0


@covers("dispatch/external-request")
def test_external_request_delivers_service_signal() -> None:
    guest = HypervisorGuest(TAKE_ONE.replace("ENABLE", ENABLE_ALL))
    guest.vm.inject(ServiceSignal(0x4000))
    guest.finish()
    assert (guest.load(0x86, 2), guest.load(0x80, 4)) == (0x2401, 0x4000)
    assert guest.counted("exit_external_request") == 1
    assert guest.counted("deliver_service_signal") == 1


@covers("dispatch/io-request")
def test_io_request_delivers_io_interruption() -> None:
    guest = HypervisorGuest(TAKE_ONE.replace("ENABLE", ENABLE_ALL))
    guest.vm.inject(IoEvent(1, 2, 3, 0x1800_0000))
    guest.finish()
    assert [guest.load(a, 4) for a in (0xB8, 0xBC, 0xC0)] == [0x1_0002, 3, 0x1800_0000]
    assert guest.counted("exit_io_request") == 1


@covers("dispatch/instruction", "instruction/unknown")
def test_instruction_without_handler_is_operation_exception() -> None:
    guest = HypervisorGuest("sie 0(%r0)\n" + DONE)
    request = guest.request()
    assert request == UnknownInstruction(0xB214, 0)
    guest.machine.answer(guest.cpu, request)
    assert guest.trap() == ProgramCode.OPERATION
    assert guest.load(0x158) == PROGRAM + 4
    assert guest.counted("exit_instruction") == 2


@covers("dispatch/wait")
def test_disabled_wait_is_the_machines() -> None:
    guest = HypervisorGuest(
        "larl %r1, psw\n lpswe 0(%r1)\n .align 8\npsw: .quad 0x2000180000000, 7"
    )
    assert guest.request() == DisabledWait(0x2_0001_8000_0000, 7)
    assert guest.counted("exit_wait_state") == 1


@covers("dispatch/wait")
def test_enabled_wait_ends_when_something_is_pending() -> None:
    guest = HypervisorGuest(
        TAKE_ONE.replace("ENABLE", "lpswe 0(%r1)").replace(RUNNING, "0x102000180000000, 0x5000")
    )
    assert guest.run() == Wait()
    assert guest.cpu.waiting()
    assert not guest.cpu.runnable()
    assert guest.cpu.wake_time() is None
    guest.vm.inject(ServiceSignal(0x4000))
    assert guest.cpu.runnable()
    guest.finish()
    assert guest.load(0x138) == 0x5000


@covers("dispatch/wait")
def test_wait_interception_with_something_to_deliver_goes_on() -> None:
    guest = HypervisorGuest(TAKE_ONE.replace("ENABLE", ENABLE_ALL))
    guest.vm.inject(ServiceSignal(0x4000))
    plant(guest, Icpt.EXTREQ, icptcode=Icpt.WAIT)
    guest.finish()
    assert guest.counted("exit_wait_state") == 1


@covers("dispatch/key-operation")
def test_first_key_operation_turns_keys_on() -> None:
    text = f"lghi %r2, 0x30\n lghi %r3, 0\n sske %r2, %r3, 0\n iske %r4, %r3\n {DONE}"
    guest = HypervisorGuest(text)
    guest.finish()
    assert guest.cpu.gr[4] & 0xFE == 0x30 | guest.cpu.gr[4] & 6
    assert guest.counted("skey_enabled") == 1
    assert guest.counted("exit_instruction") == 1  # the program's end


@pytest.mark.parametrize("code", [Icpt.MCHKREQ, Icpt.INT_ENABLE])
@covers("dispatch/machine-check-enabled", "dispatch/interruption-enabled")
def test_enablement_interceptions_resume_and_deliver(code: Icpt) -> None:
    guest = HypervisorGuest(TAKE_ONE.replace("ENABLE", ENABLE_ALL))
    guest.vm.inject(ServiceSignal(0x4000))
    plant(guest, Icpt.EXTREQ, icptcode=code)
    guest.finish()
    assert guest.counted("exit_external_request") == 0
    assert guest.counted("deliver_service_signal") == 1


@covers("dispatch/machine-check-enabled")
def test_load_psw_that_enables_machine_checks_delivers_one() -> None:
    guest = HypervisorGuest(
        TAKE_ONE.replace("ENABLE", "lpswe 0(%r1)").replace(
            "0x4180000000, loop", "0x4000180000000, loop"
        )
    )
    guest.vm.inject(MachineCheck(REPRESSIBLE, WARNING_SUBCLASS))
    guest.finish()
    assert guest.counted("instruction_lpswe") == 1
    assert guest.counted("deliver_machine_check") == 1
    assert guest.load(0xE8) & REPRESSIBLE == REPRESSIBLE


@covers("dispatch/unknown")
@pytest.mark.parametrize("code", [0x7C, Icpt.INSTPROGI])
def test_interception_that_is_not_expected_is_refused(code: int) -> None:
    guest = HypervisorGuest(DONE)
    plant(guest, Icpt.INST, icptcode=code)
    request = guest.request()
    assert isinstance(request, Intercepted)
    assert request.code == code


PER_PROGRAM = """
    larl %r1, controls
    lctlg %c9, %c11, 0(%r1)
    larl %r1, psw
    lpswe 0(%r1)
    traced: TRACED
    over: diag %r0, %r0, 0xfff
    .align 8
    controls: .quad 0x40000000, traced, traced
    psw: .quad 0x4000000180000000, traced
    caught: diag %r0, %r0, 0xfff
"""


@covers("dispatch/per-handled")
def test_handled_instruction_has_its_fetch_event() -> None:
    guest = HypervisorGuest(PER_PROGRAM.replace("TRACED", "stap 0x800(%r0)"))
    guest.finish()
    traced = guest.labels["traced"]
    assert guest.code == PER
    assert guest.load(0x96, 1) == PerCode.INSTRUCTION_FETCH
    assert guest.load(0x98) == traced
    assert guest.load(0x158) == traced + 4


@covers("dispatch/per-machine")
def test_instruction_that_the_machine_completes_has_its_fetch_event() -> None:
    guest = HypervisorGuest(PER_PROGRAM.replace("TRACED", "diag %r2, %r3, 0x44c"))
    request = guest.request()
    assert request == Diagnose(0x44C, 2, 3)
    guest.cpu.gr[2] = 1  # the machine's answer
    guest.finish()
    assert guest.code == PER
    assert guest.load(0x98) == guest.labels["traced"]
    assert guest.load(0x150) & PSW_64 == PSW_64


@covers("dispatch/per-handled")
def test_exception_of_handled_instruction_and_its_fetch_event_are_one_interruption() -> None:
    guest = HypervisorGuest(PER_PROGRAM.replace("TRACED", "stap 0x801(%r0)"))
    guest.finish()
    assert guest.code == PER | ProgramCode.SPECIFICATION


@covers("dispatch/per-handled")
def test_load_psw_that_is_handled_has_its_own_fetch_event() -> None:
    text = PER_PROGRAM.replace("TRACED", "lpswe 0(%r2)").replace("larl", "larl %r2, next\n larl", 1)
    guest = HypervisorGuest(text + "\n.align 8\n next: .quad 0x180000000, over")
    guest.vm.inject(MachineCheck(0x0004_0000_0000_0000, 0x0100_0000))
    guest.finish()
    assert guest.counted("instruction_lpswe") == 2
    assert guest.code == PER
    assert guest.load(0x98) == guest.labels["traced"]
    assert guest.load(0x158) == guest.labels["over"]


@covers("dispatch/per-handled", "dispatch/key-operation")
def test_key_instruction_that_turns_keys_on_has_one_fetch_event() -> None:
    text = PER_PROGRAM.replace("TRACED", "iske %r2, %r3")
    guest = HypervisorGuest(text.replace("caught:", "caught: lpswe 0x150(%r0)\n unused:"))
    guest.finish()
    assert guest.counted("skey_enabled") == 1
    assert guest.counted("inject_program") == 0  # the facility presents the only one by itself
    assert guest.load(0x8C, 2) == 4
    assert guest.load(0x98) == guest.labels["traced"]


@covers("dispatch/per-handled")
@pytest.mark.parametrize(
    ("instruction", "code"),
    [("sthyi %r2, %r4", PER), (".long 0xb2ff0000", PER | ProgramCode.OPERATION)],
)
def test_operation_exception_interception_has_its_fetch_event(instruction: str, code: int) -> None:
    text = PER_PROGRAM.replace("TRACED", instruction)
    guest = HypervisorGuest(text.replace("larl", "lghi %r2, 1\n larl", 1))
    guest.finish()
    assert guest.code == code
    assert guest.load(0x98) == guest.labels["traced"]
