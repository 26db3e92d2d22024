"""ASIDs and what is flushed: the table of four cases, with and without flush-by-ASID."""

from dataclasses import replace

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest
from worldswitch.arch.x86.models import CpuModel, cpu_model
from worldswitch.arch.x86.svm_controls import Clean, TlbControl
from worldswitch.hypervisor.svm.asid import AsidPool
from worldswitch.hypervisor.x86.state import CpuState

WITH = cpu_model("epyc-milan")
WITHOUT = cpu_model("epyc-milan,-flushbyasid")
BOTH = pytest.mark.parametrize("model", [WITH, WITHOUT], ids=["flush-by-asid", "without"])


def seen(guest: Guest) -> tuple[int, int]:
    return guest.last.asid, guest.last.tlb_control


def first_entry_flush(model: CpuModel) -> int:
    # The first ASID of all begins a generation.
    return TlbControl.FLUSH_GUEST if model.has("flushbyasid") else TlbControl.FLUSH_ALL


@covers("run/first", "asid/none")
@BOTH
def test_second_entry_keeps_the_asid_and_flushes_nothing(model: CpuModel) -> None:
    guest = Guest(model=model)
    guest.run()
    assert seen(guest) == (1, first_entry_flush(model))
    assert guest.last.clean == 0
    guest.run()
    assert seen(guest) == (1, TlbControl.DO_NOTHING)
    assert guest.last.clean & Clean.ASID
    assert guest.counted("new_asid") == 1


@covers("asid/flush-guest")
def test_unmapping_flushes_the_asid_once() -> None:
    guest = Guest(model=WITH)
    guest.run()
    guest.run()
    guest.vm.npt.unmap(0x1000, 0x1000)
    guest.run()
    assert seen(guest) == (1, TlbControl.FLUSH_GUEST)
    guest.run()
    assert seen(guest) == (1, TlbControl.DO_NOTHING)


@covers("asid/no-flush-by-asid")
def test_unmapping_without_flush_by_asid_takes_a_new_asid() -> None:
    guest = Guest(model=WITHOUT)
    guest.run()
    guest.run()
    guest.vm.npt.unmap(0x1000, 0x1000)
    guest.run()
    assert seen(guest) == (2, TlbControl.DO_NOTHING)
    assert not guest.last.clean & Clean.ASID


@covers("asid/generation", "asid/both")
@pytest.mark.parametrize("unmap", [False, True])
@BOTH
def test_other_asid_generation_takes_a_new_asid(model: CpuModel, unmap: bool) -> None:
    guest = Guest(model=model)
    guest.run()
    guest.run()
    cpu = guest.backend.processors[0]
    cpu.asids.last = cpu.asids.count - 2
    cpu.asids.allocate()
    if unmap:
        guest.vm.npt.unmap(0, 0x1000)
    cpu.asids.allocate()  # somebody else's, of the next generation
    guest.run()
    flush = TlbControl.FLUSH_GUEST if model is WITH else TlbControl.DO_NOTHING
    assert seen(guest) == (2, flush)
    guest.run()
    assert seen(guest) == (2, TlbControl.DO_NOTHING)


@covers("asid/rollover", "asid/rollover-flush")
@BOTH
def test_asids_begin_again_when_they_are_used_up(model: CpuModel) -> None:
    guest = Guest(model=replace(model, asids=3), cpus=3)
    for vcpu in guest.vm.vcpus:
        vcpu.state = CpuState.RUNNING
    for cpu in range(3):
        guest.run(cpu)
    flush = first_entry_flush(model)
    second = TlbControl.FLUSH_GUEST if model.has("flushbyasid") else TlbControl.DO_NOTHING
    found = [(entry.asid, entry.tlb_control) for entry in guest.entries]
    assert found == [(1, flush), (2, second), (1, flush)]
    # The first two are of the generation before.
    guest.run(0)
    assert seen(guest) == (2, second)
    guest.run(2)
    assert seen(guest) == (1, TlbControl.DO_NOTHING)


def test_setting_cr3_flushes_what_was_translated() -> None:
    guest = Guest()
    guest.run()
    guest.run()
    guest.backend.setreg(guest.cpu, "cr3", 0x5000)
    guest.run()
    assert seen(guest) == (1, TlbControl.FLUSH_GUEST)


def test_pool_of_two_has_one_asid() -> None:
    pool = AsidPool(2, True)
    assert [(pool.allocate(), pool.last, pool.generation) for _ in range(3)] == [
        (True, 1, 1),
        (True, 1, 2),
        (True, 1, 3),
    ]
