"""Stop requests. ref: PoP 4 Stopped and Operating States."""

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import HypervisorGuest, plant
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import NotOperating, Stopped
from worldswitch.hypervisor.requests import CpuStopped
from worldswitch.hypervisor.sie.events import ServiceSignal, Stop
from worldswitch.hypervisor.sie.options import Options

STOP_SELF = """
    lghi %r2, 0
    lghi %r5, 0x123
    sigp %r0, %r2, ORDER(%r0)
    lghi %r6, 7
    diag %r0, %r0, 0xfff
"""
STOP, STORE_STATUS = "5", "9"


@covers("stop/plain", "instruction/ae")
def test_stop_order_stops_the_cpu() -> None:
    guest = HypervisorGuest(STOP_SELF.replace("ORDER", STOP))
    assert guest.request() == CpuStopped(stored=False)
    assert guest.cpu.stopped
    assert guest.run() == NotOperating()
    assert guest.cpu.gr[6] == 0
    guest.cpu.start()
    guest.finish()
    assert guest.cpu.gr[6] == 7
    assert guest.counted("exit_stop_request") == 1


@covers("stop/store-status")
def test_stop_and_store_status_stores_registers() -> None:
    guest = HypervisorGuest(STOP_SELF.replace("ORDER", STORE_STATUS))
    assert guest.request() == CpuStopped(stored=True)
    assert guest.load(0x1280 + 8 * 5) == 0x123
    assert guest.load(0x1308) == guest.cpu.psw[1]


@covers("stop/store-status-fails")
def test_stop_whose_status_cannot_be_stored_ends_the_cpu() -> None:
    guest = HypervisorGuest(STOP_SELF.replace("ORDER", STORE_STATUS))

    def lose_storage(cpu: object) -> None:
        guest.vm.gmap.slots.clear()

    guest.vm.on_exit(Icpt.STOP)(lose_storage)
    end = guest.run()
    assert isinstance(end, Stopped)
    assert "no guest storage" in end.diagnosis


@covers("stop/delayed")
def test_stop_waits_for_interruption_that_is_enabled() -> None:
    text = """
        larl %r1, controls
        lctlg %c0, %c0, 0(%r1)
        stosm 0x900(%r0), 1
        lghi %r2, 0
        sigp %r0, %r2, 5(%r0)
        loop: j loop
        external: lghi %r6, 7
        loop2: j loop2
        .align 8
        controls: .quad 0x2e0
    """
    guest = HypervisorGuest(text)

    def signal(cpu: object) -> None:
        if not guest.counted("exit_stop_request"):
            guest.vm.inject(ServiceSignal(0x4000))

    guest.vm.on_exit(Icpt.STOP)(signal)
    assert guest.request() == CpuStopped(stored=False)
    assert guest.load(0x86, 2) == 0x2401
    assert guest.counted("exit_stop_request") == 2


@covers("stop/not-pending")
def test_stop_interception_without_order_goes_on() -> None:
    guest = HypervisorGuest("stap 0x800(%r0)\n lghi %r6, 7\n diag %r0, %r0, 0xfff")
    plant(guest, Icpt.INST, icptcode=Icpt.STOP)
    guest.finish()
    assert not guest.cpu.stopped
    assert guest.cpu.gr[6] == 7


@covers("stop/user-cpu-state")
def test_stop_with_user_cpu_state_leaves_the_state_to_the_machine() -> None:
    guest = HypervisorGuest("loop: j loop", options=Options(user_cpu_state=True))
    guest.cpu.inject(Stop())
    assert guest.request() == CpuStopped(stored=False)
    assert not guest.cpu.stopped
