"""Partial-execution interceptions. ref: XA-IE Partial-Execution Interceptions."""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import HypervisorGuest, plant
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.requests import Intercepted

MOVE = """
    lghi %r0, 0
    llilf %r2, DESTINATION
    llilf %r4, SOURCE
    mvpg: mvpg %r2, %r4
    diag %r0, %r0, 0xfff
"""


def move(destination: int, source: int) -> HypervisorGuest:
    text = MOVE.replace("DESTINATION", str(destination)).replace("SOURCE", str(source))
    return HypervisorGuest(text, memory=4 << 20)


@covers("partial/move-page")
def test_move_page_between_unmapped_pages_is_retried() -> None:
    guest = move(0x20_0000, 0x30_0000)
    guest.store(0x30_0008, 0x1234)
    guest.finish()
    assert guest.load(0x20_0008) == 0x1234
    assert guest.cc == 0
    assert guest.counted("exit_pei") == 1


@covers("partial/move-page-outside")
@pytest.mark.parametrize(("to", "source"), [(0x20_0000, 0x7000_0000), (0x7000_0000, 0x20_0000)])
def test_move_page_outside_storage_is_addressing_exception(to: int, source: int) -> None:
    guest = move(to, source)
    assert guest.trap() == ProgramCode.ADDRESSING
    assert guest.load(0x158) == guest.labels["mvpg"] + 4


@covers("partial/move-page-source", "partial/move-page-destination")
@pytest.mark.parametrize(
    ("to", "source", "bad"), [(0x20_0000, 0x9000, 0x9000), (0x9000, 0x20_0000, 0x9000)]
)
def test_move_page_of_protected_page_is_protection_exception(
    to: int, source: int, bad: int
) -> None:
    guest = move(to, source)
    guest.cpu.psw = guest.cpu.psw[0] | 3 << 52, guest.cpu.psw[1]
    for page in (0x2000, 0x0, 0x20_0000):
        guest.vm.memory.set_key(page, 0x30)
    guest.vm.memory.set_key(bad, 0x18)
    guest.vm.gmap.unmap(bad, 4096)
    assert guest.trap() == ProgramCode.PROTECTION
    assert guest.load(0xA8) & ~0xFFF == bad


CALL = """
    lghi %r2, 1
    sigp %r0, %r2, ORDER(%r0)
    diag %r0, %r0, 0xfff
"""


@covers("partial/sigp")
def test_external_call_to_waiting_cpu_wakes_it() -> None:
    guest = HypervisorGuest(CALL.replace("ORDER", "2"), cpus=2)
    other = guest.vm.vcpus[1]
    other.start()
    other.sd.gcr[0] |= 0x2000
    other.psw = other.psw[0] | 0x0100_0000_0000_0000, 0x2000
    other.begin_wait()
    assert not other.runnable()
    guest.finish()
    assert guest.cc == 0
    assert other.runnable()


@covers("partial/sigp-other", "partial/other")
@pytest.mark.parametrize(("ipa", "ipb"), [(0xAE02, 0x0005_0000), (0xB262, 0)])
def test_partial_execution_of_something_else_is_refused(ipa: int, ipb: int) -> None:
    guest = HypervisorGuest("stap 0x800(%r0)")
    plant(guest, Icpt.INST, icptcode=Icpt.PARTEXEC, ipa=ipa, ipb=ipb)
    request = guest.request()
    assert isinstance(request, Intercepted)
    assert request.code == Icpt.PARTEXEC
