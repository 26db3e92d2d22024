"""SIGNAL PROCESSOR. ref: PoP 4 Signal-Processor Orders."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import PSW_64, HypervisorGuest
from worldswitch.arch.s390x.sigp import SigpStatus
from worldswitch.hypervisor.requests import SignalProcessor
from worldswitch.hypervisor.sie.events import ExternalCall, Stop
from worldswitch.hypervisor.sie.interrupts import Irq
from worldswitch.hypervisor.sie.options import Options

INTERPRETED = [True, False]
ORDER = """
    lghi %r2, 0
    lghi %r4, TARGET
    llilf %r3, PARAMETER
    sigp %r2, %r4, NUMBER(%r0)
    diag %r0, %r0, 0xfff
    other: lghi %r6, 7
    diag %r0, %r0, 0xfff
"""


def signalled(
    number: int,
    target: int = 1,
    parameter: int = 0,
    running: bool = False,
    options: Options | None = None,
) -> HypervisorGuest:
    """Two CPUs, the first about to signal; `finish` runs it."""
    text = ORDER.replace("NUMBER", str(number)).replace("TARGET", str(target))
    guest = HypervisorGuest(text.replace("PARAMETER", hex(parameter)), cpus=2, options=options)
    other = guest.vm.vcpus[1]
    other.psw = PSW_64, guest.labels["other"]
    if running:
        other.start()
    return guest


def outcome(guest: HypervisorGuest) -> tuple[int, int]:
    """Condition code and status of the order."""
    guest.finish()
    return guest.cc, guest.cpu.gr[2]


interpretation = pytest.mark.parametrize("interpreted", INTERPRETED)


@interpretation
@covers("sigp/sense")
def test_sense_tells_whether_the_cpu_is_stopped(interpreted: bool) -> None:
    options = Options(sigp_interpretation=interpreted)
    assert outcome(signalled(1, options=options)) == (1, SigpStatus.STOPPED)
    assert outcome(signalled(1, running=True, options=options)) == (0, 0)


@interpretation
@covers("sigp/sense", "sigp/external-call")
def test_external_call_is_pending_once(interpreted: bool) -> None:
    options = Options(sigp_interpretation=interpreted)
    guest = signalled(2, running=True, options=options)
    assert outcome(guest) == (0, 0)
    other = guest.vm.vcpus[1]
    assert other.any_external_call()
    again = signalled(2, running=True, options=options)
    again.vm.vcpus[1].inject(ExternalCall(0))
    assert outcome(again) == (1, SigpStatus.EXTERNAL_CALL_PENDING)
    sense = signalled(1, running=True, options=options)
    sense.vm.vcpus[1].inject(ExternalCall(0))
    assert outcome(sense) == (1, SigpStatus.EXTERNAL_CALL_PENDING)


@interpretation
@covers("sigp/emergency-signal")
def test_emergency_signal_is_pending_by_source(interpreted: bool) -> None:
    guest = signalled(3, running=True, options=Options(sigp_interpretation=interpreted))
    assert outcome(guest) == (0, 0)
    assert guest.vm.vcpus[1].local.emergency == {0}


@covers("sigp/conditional-emergency-signal")
@pytest.mark.parametrize(
    ("running", "mask", "primary", "parameter", "signalled_"),
    [
        (True, PSW_64, 5, 9, True),
        (False, PSW_64 | 0x0300_0000_0000_0000, 5, 9, False),
        (False, PSW_64, 5, 9, True),
        (False, PSW_64 | 0x0300_0000_0000_0000, 9, 9, True),
    ],
)
def test_conditional_emergency_signal_depends_on_state_and_space(
    running: bool, mask: int, primary: int, parameter: int, signalled_: bool
) -> None:
    guest = signalled(0x13, parameter=parameter, running=running)
    other = guest.vm.vcpus[1]
    other.psw = mask, other.psw[1]
    other.sd.gcr[4] = primary
    code, status = outcome(guest)
    assert other.local.has(Irq.EMERGENCY_SIGNAL) == signalled_
    assert (code, status) == ((0, 0) if signalled_ else (1, SigpStatus.INCORRECT_STATE))


@covers("sigp/start")
def test_start_puts_the_cpu_into_the_operating_state() -> None:
    guest = signalled(4)
    assert outcome(guest) == (0, 0)
    guest.finish(1)
    assert guest.vm.vcpus[1].gr[6] == 7


@covers("sigp/restart")
@pytest.mark.parametrize("running", [False, True])
def test_restart_takes_the_interruption(running: bool) -> None:
    guest = signalled(6, running=running)
    guest.store(0x1A0, PSW_64)
    guest.store(0x1A8, guest.labels["other"])
    guest.vm.vcpus[1].psw = PSW_64, 0x7000
    assert outcome(guest) == (0, 0)
    guest.finish(1)
    assert guest.load(0x128) == 0x7000


@covers("sigp/stop")
@pytest.mark.parametrize("order", [5, 9])
def test_stop_orders_stop_a_running_cpu(order: int) -> None:
    guest = signalled(order, running=True)
    assert outcome(guest) == (0, 0)
    guest.request(1)
    assert guest.vm.vcpus[1].stopped
    assert bool(guest.load(0x1308)) == (order == 9)


@covers("sigp/stop")
def test_stop_and_store_status_of_a_stopped_cpu_stores_at_once() -> None:
    guest = signalled(9)
    guest.vm.vcpus[1].gr[9] = 0x99
    guest.finish()
    assert guest.load(0x1280 + 72) == 0x99


@covers("sigp/resets")
@pytest.mark.parametrize(("order", "control"), [(11, 0xE0), (12, 0x1234)])
def test_resets_clear_what_they_should(order: int, control: int) -> None:
    guest = signalled(order, running=True)
    other = guest.vm.vcpus[1]
    other.sd.gcr[0] = 0x1234
    other.inject(ExternalCall(0))
    assert outcome(guest) == (0, 0)
    assert other.stopped
    assert other.sd.gcr[0] == control
    assert not other.any_external_call()


@covers("sigp/set-prefix")
@pytest.mark.parametrize(
    ("running", "parameter", "expected"),
    [
        (False, 0x1_0000, (0, 0)),
        (True, 0x1_0000, (1, SigpStatus.INCORRECT_STATE)),
        (False, 0x7000_0000, (1, SigpStatus.INVALID_PARAMETER)),
    ],
)
def test_set_prefix_of_stopped_cpu(
    running: bool, parameter: int, expected: tuple[int, int]
) -> None:
    guest = signalled(13, parameter=parameter, running=running)
    assert outcome(guest) == expected
    other = guest.vm.vcpus[1]
    other.start()
    guest.finish(1)
    assert other.prefix == (0x1_0000 if expected[0] == 0 else 0)


@covers("sigp/set-prefix", "sigp/restart")
def test_restart_after_set_prefix_loads_the_psw_of_the_new_prefix_area() -> None:
    text = """
        lghi %r4, 1
        llilf %r3, 0x10000
        larl %r1, new
        mvc 0x1a0(16,%r3), 0(%r1)
        sigp %r2, %r4, 13
        sigp %r2, %r4, 6
        diag %r0, %r0, 0xfff
        there: diag %r0, %r0, 0xfff
        .align 8
        new: .quad 0x180000000, there
    """
    guest = HypervisorGuest(text, cpus=2)
    guest.finish(0)
    guest.finish(1)
    assert guest.vm.vcpus[1].psw[1] == guest.labels["there"] + 4


@covers("sigp/store-status")
@pytest.mark.parametrize(
    ("running", "parameter", "expected"),
    [
        (False, 0x1_0000, (0, 0)),
        (True, 0x1_0000, (1, SigpStatus.INCORRECT_STATE)),
        (False, 0x7000_0000, (1, SigpStatus.INVALID_PARAMETER)),
    ],
)
def test_store_status_at_address(running: bool, parameter: int, expected: tuple[int, int]) -> None:
    guest = signalled(14, parameter=parameter, running=running)
    other = guest.vm.vcpus[1]
    other.gr[9] = 0x99
    assert outcome(guest) == expected
    assert guest.load(0x1_0000 + 0x80 + 72) == (0x99 if expected[0] == 0 else 0)


@interpretation
@covers("sigp/running")
def test_sense_running_status_of_a_cpu_that_does_not_run(interpreted: bool) -> None:
    guest = signalled(0x15, running=True, options=Options(sigp_interpretation=interpreted))
    assert outcome(guest) == (1, SigpStatus.NOT_RUNNING)


@covers("sigp/architecture")
def test_set_architecture_is_an_invalid_parameter() -> None:
    assert outcome(signalled(18)) == (1, SigpStatus.INVALID_PARAMETER)


@covers("sigp/unknown")
def test_unknown_order_is_an_invalid_order() -> None:
    assert outcome(signalled(0x7F)) == (1, SigpStatus.INVALID_ORDER)


@covers("sigp/not-operational")
@pytest.mark.parametrize("order", [1, 2, 4])
def test_cpu_that_does_not_exist_is_not_operational(order: int) -> None:
    assert outcome(signalled(order, target=5))[0] == 3


@covers("sigp/busy")
@pytest.mark.parametrize("order", [4, 6, 5])
def test_cpu_that_is_about_to_stop_is_busy(order: int) -> None:
    guest = signalled(order, running=True)
    guest.vm.vcpus[1].inject(Stop())
    assert outcome(guest)[0] == 2


@covers("sigp/user")
@pytest.mark.parametrize(
    ("order", "options"),
    [(4, Options(user_cpu_state=True)), (14, Options(user_sigp=True))],
)
def test_orders_that_are_the_machines(order: int, options: Options) -> None:
    assert signalled(order, options=options).request() == SignalProcessor(order, 1, 0, 2)


@covers("sigp/user")
def test_quick_order_is_never_the_machines() -> None:
    guest = signalled(1, options=Options(user_sigp=True, sigp_interpretation=False))
    assert outcome(guest) == (1, SigpStatus.STOPPED)
