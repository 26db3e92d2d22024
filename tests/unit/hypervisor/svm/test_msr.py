"""RDMSR and WRMSR."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest, Step, leave
from worldswitch.arch.x86.apic import ApicBase
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import Cr0, Efer
from worldswitch.arch.x86.svm_controls import EventType, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Preempted, ToMachine
from worldswitch.hypervisor.requests import MsrRead, MsrWrite
from worldswitch.hypervisor.svm.maps import READABLE
from worldswitch.hypervisor.trace import Recorder

GP = event(EventType.EXCEPTION, 13, 0)
RCX, RDX = 1, 2
UNKNOWN = 0xC001_5555


def rdmsr(msr: int) -> Step:
    return leave(SvmExit.MSR, 0, 0, 2, {RCX: msr | 1 << 40, RDX: 0, 0: 0})


def wrmsr(msr: int, value: int) -> Step:
    high = value >> 32 | 5 << 32  # the upper halves do not count
    return leave(SvmExit.MSR, 1, 0, 2, {RCX: msr, RDX: high, 0: value & 0xFFFF_FFFF | 7 << 32})


def guest_with(*steps: Step) -> Guest:
    guest = Guest(*steps)
    guest.cpu.cr0 = int(Cr0.PE | Cr0.ET)
    return guest


def read(guest: Guest) -> int:
    return guest.cpu.gr[RDX] << 32 | guest.cpu.gr[0]


@covers("exit/msr-apic")
def test_apic_base_and_x2apic_registers_are_the_local_apics() -> None:
    base = 0xFEE0_0000 | int(ApicBase.BSC | ApicBase.AE | ApicBase.EXTD)
    guest = guest_with(
        wrmsr(Msr.APIC_BASE, base), wrmsr(0x80F, 0x1FF), wrmsr(0x808, 0x20), rdmsr(0x808)
    )
    guest.run()
    assert guest.cpu.lapic.x2apic
    assert guest.cpu.lapic.tpr == read(guest) == 0x20
    assert guest.last.v_intr & 0xFF == 2
    assert guest.cpu.rip == 0xFFF8


def test_x2apic_register_without_x2apic_is_refused() -> None:
    guest = guest_with(rdmsr(0x802))
    guest.run()
    assert guest.last.event_inj == GP


@covers("exit/msr-efer")
def test_efer_keeps_svme_and_lma() -> None:
    guest = guest_with(wrmsr(Msr.EFER, Efer.SCE | Efer.LME | Efer.NXE))
    guest.cpu.efer = int(Efer.LMA)
    guest.run()
    assert guest.cpu.efer == Efer.SVME | Efer.LMA | Efer.SCE | Efer.LME | Efer.NXE


@covers("exit/msr-efer")
@pytest.mark.parametrize("value", [1 << 63, Efer.LMSLE, Efer.MCOMMIT, 1 << 1])
def test_reserved_bits_of_efer_are_refused(value: int) -> None:
    guest = guest_with(wrmsr(Msr.EFER, value))
    guest.run()
    assert guest.last.event_inj == GP
    assert guest.last.rip == 0xFFF0


def test_change_of_lme_while_paging_is_refused() -> None:
    guest = guest_with(wrmsr(Msr.EFER, Efer.LME))
    guest.cpu.cr0 = int(Cr0.PE | Cr0.PG)
    guest.run()
    assert guest.last.event_inj == GP


@covers("exit/rdmsr", "exit/wrmsr")
def test_register_that_the_hypervisor_keeps_is_read_back() -> None:
    guest = guest_with(wrmsr(Msr.MTRR_FIX_4K_C0000, 0x0606_0606_0404_0404),
                       rdmsr(Msr.MTRR_FIX_4K_C0000))  # fmt: skip
    guest.run()
    assert read(guest) == 0x0606_0606_0404_0404
    assert guest.counted("exit_rdmsr") == guest.counted("exit_wrmsr") == 1
    assert guest.cpu.rip == 0xFFF4


@covers("exit/rdmsr-machine")
def test_unknown_register_is_the_machines_to_read() -> None:
    guest = guest_with(rdmsr(UNKNOWN))
    assert guest.run() == ToMachine(MsrRead(UNKNOWN))
    guest.cpu.answer(0x1234_5678_9ABC_DEF0)
    assert guest.run() == Preempted()
    assert read(guest) == 0x1234_5678_9ABC_DEF0
    assert guest.cpu.rip == 0xFFF2
    assert guest.counted("unknown_msr") == 0


@covers("exit/rdmsr-machine")
def test_register_that_nobody_knows_is_refused_and_counted() -> None:
    guest = guest_with(rdmsr(UNKNOWN))
    guest.vm.sink = recorder = Recorder()
    guest.run()
    assert guest.run() == Preempted()
    assert guest.last.event_inj == GP
    assert guest.last.rip == 0xFFF0
    assert guest.counted("unknown_msr") == 1
    assert {"msr": UNKNOWN} in [item.fields for item in recorder.events]


@covers("exit/wrmsr-machine")
def test_unknown_register_is_the_machines_to_write() -> None:
    guest = guest_with(wrmsr(UNKNOWN, 1 << 63 | 5))
    assert guest.run() == ToMachine(MsrWrite(UNKNOWN, 1 << 63 | 5))
    guest.cpu.answer()
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0xFFF2


@covers("exit/wrmsr-machine")
def test_write_that_nobody_knows_is_refused() -> None:
    guest = guest_with(wrmsr(UNKNOWN, 0))
    guest.run()
    guest.run()
    assert guest.last.event_inj == GP


def test_time_stamp_counter_is_written_as_an_offset() -> None:
    guest = guest_with(wrmsr(Msr.TSC, 50), rdmsr(Msr.TSC))
    guest.run()
    assert read(guest) == 50
    assert guest.cpu.tsc_offset == (50 - 1000) & (1 << 64) - 1
    assert Msr.TSC in READABLE


@pytest.mark.parametrize(
    ("msr", "value"),
    [(Msr.LSTAR, 0xFFFF_8000_0000_0000), (Msr.FS_BASE, 0x7000), (Msr.STAR, 1), (Msr.PAT, 0x606)],
)
def test_registers_of_the_vmcb_can_be_set_where_they_are_intercepted(msr: Msr, value: int) -> None:
    guest = guest_with(wrmsr(msr, value), rdmsr(msr))
    guest.run()
    assert read(guest) == value


@pytest.mark.parametrize(
    ("msr", "value"),
    [
        (Msr.LSTAR, 1 << 63),
        (Msr.KERNEL_GS_BASE, 1 << 47),
        (Msr.PAT, 2),
        (Msr.MTRRCAP, 0),
        (Msr.VM_CR, 0),
        (Msr.TOP_MEM, 0),
        (Msr.TSC_AUX, 1 << 32),
        (Msr.MTRR_DEF_TYPE, 2),
    ],
)
def test_values_that_a_register_does_not_take_are_refused(msr: Msr, value: int) -> None:
    guest = guest_with(wrmsr(msr, value))
    guest.run()
    assert guest.last.event_inj == GP
