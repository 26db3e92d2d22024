"""External-interruption interceptions. ref: XA-IE External Interruptions."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import HypervisorGuest, plant
from worldswitch.arch.s390x.external import ExternalCode
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.requests import Intercepted, ProgramLoop
from worldswitch.hypervisor.sie.events import ExternalCall
from worldswitch.hypervisor.sie.options import Options

TIMER = """
    larl %r1, data
    lctlg %c0, %c0, 0(%r1)
    SET 8(%r1)
    stosm 0x900(%r0), 1
    loop: j loop
    external: diag %r0, %r0, 0xfff
    .align 8
    data: .quad CONTROL, VALUE
"""
LOOPING = PSW = 0x0100_0001_8000_0000
COMPARATOR = {"SET": "sckc", "CONTROL": "0x8e0", "VALUE": "0"}
CPU_TIMER = {"SET": "spt", "CONTROL": "0x4e0", "VALUE": "0xffffffffffffff00"}
INTERCEPTED = Options(external_interpretation=False)


def timer(what: dict[str, str], options: Options | None = None) -> HypervisorGuest:
    text = TIMER
    for name, value in what.items():
        text = text.replace(name, value)
    return HypervisorGuest(text, options=options)


@pytest.mark.parametrize(
    ("what", "code"),
    [(COMPARATOR, ExternalCode.CLOCK_COMPARATOR), (CPU_TIMER, ExternalCode.CPU_TIMER)],
)
@pytest.mark.parametrize("interpreted", [False, True])
@covers("external/clock-comparator", "external/cpu-timer")
def test_timer_interrupts_the_guest(
    what: dict[str, str], code: ExternalCode, interpreted: bool
) -> None:
    guest = timer(what, Options(external_interpretation=interpreted))
    guest.finish()
    assert guest.load(0x86, 2) == code
    assert guest.counted("exit_external_interrupt") == (0 if interpreted else 1)


@covers("external/timer-loop")
@pytest.mark.parametrize("what", [COMPARATOR, CPU_TIMER])
def test_timer_whose_new_psw_enables_it_again_is_refused(what: dict[str, str]) -> None:
    guest = timer(what)
    guest.store(0x1B0, LOOPING)
    request = guest.request()
    assert isinstance(request, ProgramLoop)
    assert (request.kind, request.new_mask) == ("external", LOOPING)


CALLS = """
    larl %r1, control
    lctlg %c0, %c0, 0(%r1)
    stap 0x900(%r0)
    lghi %r2, 0
    sigp %r0, %r2, 2(%r0)
    stosm 0x902(%r0), 1
    loop: j loop
    external: diag %r0, %r0, 0xfff
    .align 8
    control: .quad 0x20e0
"""


@covers("external/call")
def test_external_call_that_is_intercepted_is_delivered() -> None:
    guest = HypervisorGuest(CALLS, options=INTERCEPTED)
    guest.finish()
    assert guest.load(0x84, 4) == ExternalCode.EXTERNAL_CALL
    assert guest.counted("exit_external_interrupt") == 1


@covers("external/call-busy")
def test_external_call_while_one_is_pending_is_no_error() -> None:
    guest = HypervisorGuest(CALLS, options=INTERCEPTED)

    def another(cpu: object) -> None:
        if not guest.counted("inject_external_call"):
            guest.cpu.inject(ExternalCall(0))

    guest.vm.on_exit(Icpt.EXTINT)(another)
    guest.finish()
    assert guest.load(0x84, 4) == ExternalCode.EXTERNAL_CALL


@covers("external/other")
def test_other_external_interruption_is_the_machines() -> None:
    guest = timer(COMPARATOR, INTERCEPTED)
    plant(guest, Icpt.EXTINT, eic=0x1407)
    request = guest.request()
    assert isinstance(request, Intercepted)
    assert request.code == Icpt.EXTINT
