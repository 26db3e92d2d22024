"""What a new virtual machine's maps, tables and VMCBs hold."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import MEMORY, Guest
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.permission_maps import IOPM_SIZE, MSRPM_SIZE, READ, WRITE
from worldswitch.arch.x86.registers import DR6_RESET, PAT_RESET, Efer
from worldswitch.arch.x86.svm_controls import Intercept1, Intercept2, NestedControl, VirtExt
from worldswitch.hypervisor.svm.controls import POWER_ON_PAT
from worldswitch.hypervisor.svm.maps import PASSED, READABLE

PASSED_NAMES = {
    "GS_BASE", "FS_BASE", "KERNEL_GS_BASE", "STAR", "LSTAR", "CSTAR", "SFMASK", "SYSENTER_CS",
    "SYSENTER_ESP", "SYSENTER_EIP", "PAT",
}  # fmt: skip


@covers("vminit/msrpm", "vminit/msrpm-pass-through", "vminit/msrpm-read-only")
def test_msr_map_passes_its_lists_alone() -> None:
    guest = Guest()
    maps = guest.vm.maps
    assert {msr.name for msr in PASSED} == PASSED_NAMES
    for msr in Msr:
        assert maps.intercepted(msr, READ) == (msr not in PASSED and msr not in READABLE)
        assert maps.intercepted(msr, WRITE) == (msr not in PASSED)
    view = guest.host.storage.view[maps.msrpm : maps.msrpm + MSRPM_SIZE]
    clear = sum(8 - byte.bit_count() for byte in view)
    assert clear == 2 * len(PASSED) + len(READABLE)
    assert maps.intercepted(0x1234_5678, READ)


def test_msr_outside_every_map_cannot_be_permitted() -> None:
    with pytest.raises(ValueError, match="no permission map"):
        Guest().vm.maps.permit(0x4000_0000, read=True)


@covers("vminit/iopm")
def test_io_map_intercepts_every_port() -> None:
    guest = Guest()
    base = guest.vm.maps.iopm
    assert bytes(guest.host.storage.view[base : base + IOPM_SIZE]) == b"\xff" * IOPM_SIZE
    assert guest.cpu.vmcb.control.iopm_base_pa == base
    assert guest.cpu.vmcb.control.msrpm_base_pa == guest.vm.maps.msrpm


@covers("vminit/nested-paging")
def test_nested_paging_is_enabled_with_the_guests_tables() -> None:
    guest = Guest(cpus=2)
    for cpu in guest.vm.vcpus:
        assert cpu.vmcb.control.nested_control == NestedControl.NP_ENABLE
        assert cpu.vmcb.control.nested_cr3 == guest.vm.npt.root


@covers("vminit/cr-intercepts")
def test_control_registers_that_the_vmcb_does_not_hold_are_intercepted() -> None:
    word = Guest().cpu.vmcb.control.intercept_cr
    assert word & 0xFFFF == word >> 16 == 0xFFFF & ~0b1_0001_1101


@covers("vminit/exceptions", "vminit/trace-exceptions")
@pytest.mark.parametrize(("trace", "expected"), [(False, 1 << 18), (True, 0xFFFF_FFFF & ~0x204)])
def test_exceptions_are_intercepted_to_be_traced(trace: bool, expected: int) -> None:
    control = Guest(trace_exceptions=trace).cpu.vmcb.control
    assert control.intercept_exceptions == expected


@covers("vminit/instructions")
def test_instructions_and_events_of_the_list_are_intercepted() -> None:
    control = Guest().cpu.vmcb.control
    first = (
        Intercept1.IOIO_PROT | Intercept1.MSR_PROT | Intercept1.CPUID | Intercept1.INTR
        | Intercept1.INIT | Intercept1.NMI | Intercept1.SMI | Intercept1.SHUTDOWN
        | Intercept1.FERR_FREEZE | Intercept1.HLT
    )  # fmt: skip
    more = Intercept1.INVLPGA | Intercept1.INVD | Intercept1.RDPMC
    assert control.intercept_1 == first | more
    second = Intercept2.MONITOR | Intercept2.MWAIT | Intercept2.VMRUN
    dangerous = (
        Intercept2.VMMCALL | Intercept2.VMLOAD | Intercept2.VMSAVE | Intercept2.STGI
        | Intercept2.CLGI | Intercept2.SKINIT | Intercept2.XSETBV
    )  # fmt: skip
    assert control.intercept_2 & (second | dangerous) == second | dangerous
    assert control.intercept_dr == 0


@covers("vminit/state")
def test_save_area_has_svme_pat_and_branch_records() -> None:
    cpu = Guest().cpu
    control, save = cpu.vmcb.control, cpu.save
    assert save.efer == Efer.SVME
    assert save.g_pat == POWER_ON_PAT == PAT_RESET
    assert save.dbgctl == 1
    assert control.virt_ext == VirtExt.LBR
    assert control.v_intr_masking == 1
    assert control.asid == 0


def test_branch_records_stay_off_without_the_feature() -> None:
    assert Guest(model="epyc-milan,-lbrv").cpu.vmcb.control.virt_ext == 0


def test_first_processor_begins_at_the_reset_vector_and_the_others_wait() -> None:
    guest = Guest(cpus=2)
    cpu, other = guest.vm.vcpus
    assert (cpu.rip, cpu.save.cs.selector, cpu.save.cs.base) == (0xFFF0, 0xF000, 0xFFFF_0000)
    assert (cpu.cr0, cpu.rflags, cpu.save.dr6) == (0x6000_0010, 2, DR6_RESET)
    assert cpu.gr[2] == guest.host.cpuid(1)[0]
    assert cpu.runnable()
    assert not other.runnable()


def test_storage_is_split_around_the_hole() -> None:
    guest = Guest(memory=8 << 20, hole_start=6 << 20)
    assert [(slot.guest, slot.size) for slot in guest.vm.memory.slots] == [
        (0, 6 << 20),
        (1 << 32, 2 << 20),
    ]
    assert guest.vm.low_end == 6 << 20
    assert guest.vm.memory.size == (1 << 32) + (2 << 20)


@pytest.mark.parametrize("cpus", [0, 256])
def test_number_of_processors_is_limited(cpus: int) -> None:
    with pytest.raises(ValueError, match="1 to 255"):
        Guest(cpus=cpus)


def test_back_end_names_the_guests_tables_and_interrupts() -> None:
    guest = Guest()
    assert guest.backend.second_level(guest.vm) is guest.vm.npt
    assert guest.backend.interrupt_controller(guest.vm) is guest.vm.bus
    assert guest.vm.vcpu(0) is guest.cpu
    assert guest.vm.vcpu(1) is None
    assert guest.vm.size == MEMORY
