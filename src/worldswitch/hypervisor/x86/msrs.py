"""What a guest's RDMSR and WRMSR do where they are intercepted.

A register that is not here is unknown: the machine may answer for it, and otherwise the guest gets
a general-protection exception. ref: APM2 A.1 MSR Cross-Reference
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.x86.apic import X2APIC_FIRST, X2APIC_LAST
from worldswitch.arch.x86.msrs import Hwcr, Msr, VmCr
from worldswitch.arch.x86.paging import is_canonical
from worldswitch.arch.x86.registers import WIDTH_32, Cr0, Efer, pat_entry
from worldswitch.hypervisor.x86 import mtrr
from worldswitch.hypervisor.x86.events import general_protection
from worldswitch.hypervisor.x86.state import MASK64

if TYPE_CHECKING:
    from worldswitch.hypervisor.x86.vcpu import X86Vcpu

Reader = Callable[["X86Vcpu"], int]
Writer = Callable[["X86Vcpu", int], None]
LFENCE_SERIALIZING = 1 << 1
"""In DE_CFG."""
SYSCFG_WRITABLE = 0x1F << 18
HWCR_WRITABLE = int(Hwcr.TLB_CACHE_DIS | Hwcr.INVDWBINVD | Hwcr.IGNNE_EM | Hwcr.MONMWAIT_DIS)

KEPT: dict[int, tuple[int, int]] = {
    # Reset value, and the bits that a write changes; others are ignored.
    Msr.SYSCFG: (0, SYSCFG_WRITABLE),
    Msr.HWCR: (Hwcr.TSC_FREQ_SEL, HWCR_WRITABLE),
    Msr.NB_CFG: (0, MASK64),
    Msr.INT_PENDING: (0, 0),
    Msr.MMIO_CFG_BASE: (0, 0),
    Msr.LS_CFG: (0, MASK64),
    Msr.IC_CFG: (0, MASK64),
    Msr.DC_CFG: (0, MASK64),
    Msr.DE_CFG: (LFENCE_SERIALIZING, MASK64),
    Msr.MCG_STATUS: (0, 0),
    Msr.P5_MC_ADDR: (0, 0),
    Msr.P5_MC_TYPE: (0, 0),
    # Counters that do not count: kernels find out that there are none.
    **{Msr.PERF_LEGACY_CTL0 + n: (0, 0) for n in range(8)},
}
CONSTANT: dict[int, int] = {
    Msr.MTRRCAP: mtrr.CAPABILITIES,
    Msr.MCG_CAP: 0,
    Msr.VM_CR: VmCr.SVMDIS | VmCr.LOCK,
}
"""Registers that refuse writes."""
IGNORED_WRITES = frozenset({Msr.PATCH_LOADER})


class UnknownMsr(Exception):  # noqa: N818 - says what it found
    """The hypervisor does not know the register."""


class MsrFile:
    """The registers of one virtual CPU that the hypervisor itself keeps."""

    def __init__(self, physical_bits: int, patch_level: int) -> None:
        self._physical_bits = physical_bits
        self.patch_level = patch_level
        self.values: dict[int, int] = {}
        self.mtrrs: dict[int, int] = {}
        self.reset()

    def reset(self) -> None:
        """RESET; INIT leaves them alone."""
        self.values = {msr: int(value) for msr, (value, _) in KEPT.items()}
        self.mtrrs = mtrr.registers()

    def read(self, cpu: "X86Vcpu", msr: int) -> int:
        """RDMSR: GuestException if it is refused, UnknownMsr if nobody here knows the register."""
        if X2APIC_FIRST <= msr <= X2APIC_LAST:
            return cpu.lapic.msr_read(msr)
        value = self.values.get(msr)
        if value is not None:
            return value
        reader = _READERS.get(msr)
        if reader is not None:
            return reader(cpu)
        value = self.mtrrs.get(msr, CONSTANT.get(msr))
        if value is None:
            raise UnknownMsr
        return int(value)

    def write(self, cpu: "X86Vcpu", msr: int, value: int) -> None:
        """WRMSR, with the same exceptions."""
        if X2APIC_FIRST <= msr <= X2APIC_LAST:
            cpu.lapic.msr_write(msr, value)
            return
        writer = _WRITERS.get(msr)
        if writer is not None:
            writer(cpu, value)
        elif msr in self.values:
            mask = KEPT[msr][1]
            self.values[msr] = self.values[msr] & ~mask | value & mask
        elif msr in self.mtrrs:
            mtrr.check(msr, value, self._physical_bits)
            self.mtrrs[msr] = value
        elif msr in CONSTANT or msr in _READERS:
            raise general_protection()
        elif msr not in IGNORED_WRITES:
            raise UnknownMsr


def write_efer(cpu: "X86Vcpu", value: int) -> None:
    """EFER: reserved bits and a change of LME while paging are refused; LMA is the processor's.

    ref: APM2 3.1.7 Extended Feature Enable Register
    """
    old = cpu.efer
    if value & ~cpu.cpuid_policy.efer_mask:
        raise general_protection()
    if (value ^ old) & Efer.LME and cpu.cr0 & Cr0.PG:
        raise general_protection()
    cpu.efer = value & ~Efer.LMA | old & Efer.LMA


def _canonical(name: str) -> Writer:
    def write(cpu: "X86Vcpu", value: int) -> None:
        if not is_canonical(value):
            raise general_protection()
        cpu.set_system(name, value)

    return write


def _plain(name: str, mask: int = MASK64) -> Writer:
    def write(cpu: "X86Vcpu", value: int) -> None:
        cpu.set_system(name, value & mask)

    return write


def _system(name: str) -> Reader:
    return lambda cpu: cpu.system(name)


def _write_pat(cpu: "X86Vcpu", value: int) -> None:
    if any(pat_entry(value, n) not in (0, 1, 4, 5, 6, 7) for n in range(8)):
        raise general_protection()
    cpu.set_system("g_pat", value)


def _read_tsc_aux(cpu: "X86Vcpu") -> int:
    if "rdtscp" not in cpu.cpuid_policy.features:
        raise general_protection()
    return cpu.tsc_aux


def _write_tsc_aux(cpu: "X86Vcpu", value: int) -> None:
    if "rdtscp" not in cpu.cpuid_policy.features or value & ~WIDTH_32:
        raise general_protection()
    cpu.tsc_aux = value


def _read_deadline(cpu: "X86Vcpu") -> int:
    if not cpu.lapic.options.tsc_deadline:
        raise general_protection()
    return cpu.lapic.timer.deadline


def _write_deadline(cpu: "X86Vcpu", value: int) -> None:
    if not cpu.lapic.options.tsc_deadline:
        raise general_protection()
    cpu.lapic.timer.set_deadline(value)


_SYSTEM = {
    Msr.SYSENTER_CS: "sysenter_cs",
    Msr.SYSENTER_ESP: "sysenter_esp",
    Msr.SYSENTER_EIP: "sysenter_eip",
    Msr.STAR: "star",
    Msr.LSTAR: "lstar",
    Msr.CSTAR: "cstar",
    Msr.SFMASK: "sfmask",
    Msr.KERNEL_GS_BASE: "kernel_gs_base",
    Msr.FS_BASE: "fs_base",
    Msr.GS_BASE: "gs_base",
    Msr.PAT: "g_pat",
    Msr.DEBUGCTL: "dbgctl",
    Msr.LAST_BRANCH_FROM: "br_from",
    Msr.LAST_BRANCH_TO: "br_to",
    Msr.LAST_EXCEPTION_FROM: "last_excp_from",
    Msr.LAST_EXCEPTION_TO: "last_excp_to",
}
"""Registers that the facility keeps in its control block, by the block's names."""
DEBUGCTL_WRITABLE = 0x3F
_READERS: dict[int, Reader] = {
    **{msr: _system(name) for msr, name in _SYSTEM.items()},
    Msr.TSC: lambda cpu: cpu.guest_tsc(),
    Msr.APIC_BASE: lambda cpu: cpu.lapic.base,
    Msr.EFER: lambda cpu: cpu.efer,
    Msr.TSC_AUX: _read_tsc_aux,
    Msr.TSC_DEADLINE: _read_deadline,
    Msr.PATCH_LOADER_SIG: lambda cpu: cpu.msrs.patch_level,
    Msr.TOP_MEM: lambda cpu: cpu.vm.low_end,
    Msr.TOP_MEM2: lambda cpu: cpu.vm.memory.size,
}
_WRITERS: dict[int, Writer] = {
    **{msr: _canonical(_SYSTEM[msr]) for msr in (
        Msr.SYSENTER_ESP, Msr.SYSENTER_EIP, Msr.LSTAR, Msr.CSTAR, Msr.KERNEL_GS_BASE,
        Msr.FS_BASE, Msr.GS_BASE,
    )},
    Msr.SYSENTER_CS: _plain("sysenter_cs"),
    Msr.STAR: _plain("star"),
    Msr.SFMASK: _plain("sfmask"),
    Msr.DEBUGCTL: _plain("dbgctl", DEBUGCTL_WRITABLE),
    Msr.PAT: _write_pat,
    Msr.TSC: lambda cpu, value: cpu.set_guest_tsc(value),
    Msr.APIC_BASE: lambda cpu, value: cpu.lapic.set_base(value),
    Msr.EFER: write_efer,
    Msr.TSC_AUX: _write_tsc_aux,
    Msr.TSC_DEADLINE: _write_deadline,
    Msr.PATCH_LOADER_SIG: lambda cpu, value: None,
}  # fmt: skip
