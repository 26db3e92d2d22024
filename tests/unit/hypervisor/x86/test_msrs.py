"""MSRs that the hypervisor keeps."""

import pytest

from tests.unit.hypervisor.svm.fake_host import FakeHost, Guest, as_host
from worldswitch.arch.x86.msrs import Hwcr, Msr, VmCr
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.svm.options import SvmOptions
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.hypervisor.x86.events import GuestException
from worldswitch.hypervisor.x86.msrs import UnknownMsr


@pytest.fixture
def cpu() -> SvmVcpu:
    return Guest(hole_start=2 << 20).cpu


@pytest.mark.parametrize(
    ("msr", "value"),
    [
        (Msr.MTRRCAP, 0x508),
        (Msr.MTRR_DEF_TYPE, 0),
        (Msr.MCG_CAP, 0),
        (Msr.MCG_STATUS, 0),
        (Msr.VM_CR, VmCr.SVMDIS | VmCr.LOCK),
        (Msr.HWCR, Hwcr.TSC_FREQ_SEL),
        (Msr.SYSCFG, 0),
        (Msr.DE_CFG, 2),
        (Msr.PATCH_LOADER_SIG, 0x0A00_11D1),
        (Msr.PERF_LEGACY_CTR3, 0),
        (Msr.TOP_MEM, 2 << 20),
        (Msr.TOP_MEM2, (1 << 32) + (2 << 20)),
        (Msr.APIC_BASE, 0xFEE0_0900),
        (Msr.EFER, 0x1000),
        (Msr.PAT, 0x0007_0406_0007_0406),
        (Msr.TSC, 1000),
        (Msr.TSC_AUX, 0),
        (Msr.DEBUGCTL, 1),
    ],
)
def test_values_after_reset(cpu: SvmVcpu, msr: Msr, value: int) -> None:
    assert cpu.msrs.read(cpu, msr) == value


@pytest.mark.parametrize(
    ("msr", "written", "kept"),
    [
        (Msr.SYSCFG, (1 << 64) - 1, 0x1F << 18),
        (Msr.HWCR, (1 << 64) - 1, Hwcr.TSC_FREQ_SEL | 0x318),
        (Msr.INT_PENDING, 7, 0),
        (Msr.PERF_LEGACY_CTL0, 0x53_0076, 0),
        (Msr.LS_CFG, 0x400, 0x400),
        (Msr.MTRR_PHYS_BASE0, 0x1006, 0x1006),
        (Msr.MTRR_PHYS_MASK0, 0xFFFF_FFFF_F800, 0xFFFF_FFFF_F800),
        (Msr.MTRR_DEF_TYPE, 0xC06, 0xC06),
        (Msr.PATCH_LOADER_SIG, 0, 0x0A00_11D1),
        (Msr.TSC_AUX, 5, 5),
        (Msr.DEBUGCTL, 0xFFFF, 0x3F),
        (Msr.SYSENTER_CS, 8, 8),
        (Msr.SYSENTER_EIP, 0xFFFF_8000_0000_0000, 0xFFFF_8000_0000_0000),
        (Msr.SFMASK, 0x4_7700, 0x4_7700),
        (Msr.GS_BASE, 0x1000, 0x1000),
    ],
)
def test_what_a_write_keeps(cpu: SvmVcpu, msr: Msr, written: int, kept: int) -> None:
    cpu.msrs.write(cpu, msr, written)
    assert cpu.msrs.read(cpu, msr) == kept


@pytest.mark.parametrize(
    ("msr", "value"),
    [
        (Msr.MTRR_DEF_TYPE, 0x1000),
        (Msr.MTRR_FIX_16K_80000, 0x0606_0206_0606_0606),
        (Msr.MTRR_PHYS_BASE0, 0x102),
        (Msr.MTRR_PHYS_BASE0, 1 << 48),
        (Msr.MTRR_PHYS_MASK0, 1),
        (Msr.MCG_CAP, 1),
    ],
)
def test_values_that_are_refused(cpu: SvmVcpu, msr: Msr, value: int) -> None:
    with pytest.raises(GuestException):
        cpu.msrs.write(cpu, msr, value)


@pytest.mark.parametrize("msr", [Msr.VM_HSAVE_PA, Msr.SPEC_CTRL, Msr.TSC_RATIO, Msr.XSS, 0x1234])
def test_registers_that_are_unknown(cpu: SvmVcpu, msr: int) -> None:
    with pytest.raises(UnknownMsr):
        cpu.msrs.read(cpu, msr)
    with pytest.raises(UnknownMsr):
        cpu.msrs.write(cpu, msr, 0)
    cpu.msrs.write(cpu, Msr.PATCH_LOADER, 0)


def test_registers_of_features_that_are_off_are_refused() -> None:
    host = FakeHost("epyc-milan,-rdtscp")
    backend = SvmBackEnd(SvmOptions(tsc_deadline=False))
    backend.init(as_host(host))
    cpu = backend.vminit(2 << 20, 1).vcpus[0]
    for msr in (Msr.TSC_AUX, Msr.TSC_DEADLINE):
        with pytest.raises(GuestException):
            cpu.msrs.read(cpu, msr)
        with pytest.raises(GuestException):
            cpu.msrs.write(cpu, msr, 0)


def test_deadline_is_the_timers(cpu: SvmVcpu) -> None:
    cpu.msrs.write(cpu, Msr.TSC_DEADLINE, 5000)
    assert cpu.msrs.read(cpu, Msr.TSC_DEADLINE) == 0  # not in that mode
    cpu.lapic.write(0xF0, 0x1FF)
    cpu.lapic.write(0x320, 0x4_0040)
    cpu.msrs.write(cpu, Msr.TSC_DEADLINE, 5000)
    assert cpu.msrs.read(cpu, Msr.TSC_DEADLINE) == 5000
    cpu.msrs.write(cpu, Msr.TSC, 0)
    assert cpu.lapic.timer.due == 6000


def test_microcode_that_the_processor_does_not_tell_is_0() -> None:
    host = FakeHost()
    del host.msrs[Msr.PATCH_LOADER_SIG]
    backend = SvmBackEnd()
    backend.init(as_host(host))
    cpu = backend.vminit(2 << 20, 1).vcpus[0]
    assert cpu.msrs.read(cpu, Msr.PATCH_LOADER_SIG) == 0
