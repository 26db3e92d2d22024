"""Whether a processor has what is needed, and turning SVM on and off."""

from dataclasses import replace

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import MEMORY, FakeHost, Guest, as_host, preempt
from worldswitch.arch.x86.models import cpu_model
from worldswitch.arch.x86.msrs import Msr, VmCr
from worldswitch.arch.x86.registers import Efer
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.svm.processor import SvmUnavailableError


def refusal(host: FakeHost) -> str:
    with pytest.raises(SvmUnavailableError) as caught:
        SvmBackEnd().init(as_host(host))
    assert not host.msrs[Msr.EFER] & Efer.SVME
    return str(caught.value)


@covers("available/no-svm")
def test_processor_without_svm_is_refused() -> None:
    assert "not available" in refusal(FakeHost("x86-64-v2"))


@covers("available/firmware")
def test_processor_with_svm_disabled_by_firmware_is_refused() -> None:
    host = FakeHost()
    host.msrs[Msr.VM_CR] = int(VmCr.SVMDIS)
    assert "firmware" in refusal(host)


@covers("available/no-npt")
def test_processor_without_nested_paging_is_refused() -> None:
    assert "nested paging" in refusal(FakeHost("epyc-milan,-npt"))


@covers("available/no-nrip")
def test_processor_without_next_rip_is_refused() -> None:
    assert "next instruction" in refusal(FakeHost("epyc-milan,-nrip_save"))


@covers("available/asids")
def test_processor_with_one_asid_is_refused() -> None:
    assert "ASIDs" in refusal(FakeHost(replace(cpu_model("epyc-milan"), asids=1)))


@covers("processor/enable")
def test_init_enables_svm_on_every_processor() -> None:
    guest = Guest(hosts=2)
    areas = [host.msrs[Msr.VM_HSAVE_PA] for host in guest.hosts]
    assert all(host.msrs[Msr.EFER] & Efer.SVME for host in guest.hosts)
    assert areas[0] != areas[1]
    assert all(area and not area % 4096 for area in areas)


@covers("processor/disable")
def test_cleanup_disables_svm_on_every_processor_and_puts_virtual_cpus() -> None:
    guest = Guest(preempt, hosts=2)
    guest.run()
    guest.backend.cleanup()
    assert not any(host.msrs[Msr.EFER] & Efer.SVME for host in guest.hosts)
    assert guest.cpu.loaded_on is None


@covers("processor/restore")
def test_restore_enables_svm_again_and_nothing_is_clean_afterwards() -> None:
    guest = Guest()
    guest.run()
    guest.run()
    assert guest.last.clean
    asid = guest.last.asid
    guest.backend.suspend(guest.host)
    assert guest.cpu.loaded_on is None
    guest.host.msrs[Msr.EFER] = int(Efer.LMA | Efer.LME)
    area, guest.host.msrs[Msr.VM_HSAVE_PA] = guest.host.msrs[Msr.VM_HSAVE_PA], 0
    guest.backend.restore(guest.host)
    assert guest.host.msrs[Msr.EFER] & Efer.SVME
    assert guest.host.msrs[Msr.VM_HSAVE_PA] == area
    guest.run()
    assert guest.last.clean == 0
    assert guest.last.asid != asid
    assert guest.counted("migrations") == 1


def test_suspend_of_an_idle_processor_does_nothing() -> None:
    guest = Guest()
    guest.backend.suspend(guest.host)
    assert guest.cpu.loaded_on is None


def test_vminit_without_processor_is_refused() -> None:
    with pytest.raises(RuntimeError, match="no physical processor"):
        SvmBackEnd().vminit(MEMORY, 1)


def test_run_on_processor_not_taken_into_use_is_refused() -> None:
    guest = Guest()
    with pytest.raises(RuntimeError, match="was not taken into use"):
        guest.backend.run(guest.cpu, as_host(FakeHost(apic_id=9)))
