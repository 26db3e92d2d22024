"""Validity interceptions. ref: SIE validity reasons."""

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import HypervisorGuest, plant
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import Stopped
from worldswitch.hypervisor.trace import Recorder

DONE = "diag %r0, %r0, 0xfff"


def invalidated() -> HypervisorGuest:
    """A guest whose facility list has been lost."""
    guest = HypervisorGuest(DONE, cpus=2)
    for cpu in guest.vm.vcpus:
        cpu.start()
        cpu.sd.mso = 4 << 20
    return guest


@covers("validity/ends")
def test_broken_state_description_ends_the_cpu_with_its_rule() -> None:
    guest = invalidated()
    guest.vm.sink = sink = Recorder()
    end = guest.run()
    assert isinstance(end, Stopped)
    assert "validity interception" in end.diagnosis
    assert end.code
    assert guest.run() == end
    assert guest.counted("exit_validity") == 1
    assert [event.fields["reason"] for event in sink.events if event.name == "validity"] == [
        end.code
    ]


@covers("validity/warns-once")
def test_validity_is_warned_of_once() -> None:
    guest = invalidated()
    guest.run(0)
    guest.run(1)
    assert guest.counted("exit_validity") == 2
    assert len(guest.vm.warnings) == 1


@covers("validity/runtime-instrumentation")
def test_runtime_instrumentation_mode_does_not_warn() -> None:
    guest = HypervisorGuest(DONE)
    plant(guest, Icpt.INST, icptcode=Icpt.VALIDITY, ipa=0x1000, ipb=0x44_0000)
    end = guest.run()
    assert isinstance(end, Stopped)
    assert end.code == 0x44
    assert guest.vm.warnings == []
