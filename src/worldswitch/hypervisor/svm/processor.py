"""A physical processor under the hypervisor: whether it has SVM, its ASIDs, its own state."""

from dataclasses import dataclass

from worldswitch.arch.x86.cpuid import Leaf
from worldswitch.arch.x86.models import CR4_FEATURES, EFER_FEATURES
from worldswitch.arch.x86.msrs import Msr, VmCr
from worldswitch.arch.x86.registers import Cr4, Efer
from worldswitch.arch.x86.svm_host import SvmHost
from worldswitch.arch.x86.vmcb import ALIGNMENT, SIZE
from worldswitch.hypervisor.svm.asid import AsidPool
from worldswitch.hypervisor.x86.registers import HostRegisters
from worldswitch.metal.interface import X86Host


class SvmUnavailableError(RuntimeError):
    """The processor cannot execute guests here, and why."""


@dataclass(frozen=True, slots=True)
class SvmFeatures:
    """What the hypervisor uses of SVM where it is there. ref: APM3 E.4.9."""

    asids: int
    flush_by_asid: bool
    decode_assists: bool
    branch_records: bool
    pause_filter: bool

    @classmethod
    def of(cls, host: X86Host) -> "SvmFeatures":
        """A processor's; SvmUnavailableError if what the hypervisor needs is missing."""
        features = host.features
        asids = host.cpuid(Leaf.SVM)[1]
        if asids <= 1:
            raise SvmUnavailableError(f"SVM: {asids} ASIDs are not enough for guests")
        if "npt" not in features:
            raise SvmUnavailableError("SVM: nested paging is not available")
        if "nrip_save" not in features:
            raise SvmUnavailableError("SVM: the next instruction's address is not saved")
        return cls(
            asids,
            "flushbyasid" in features,
            "decodeassists" in features,
            "lbrv" in features,
            "pausefilter" in features,
        )


def check_available(host: X86Host) -> None:
    """Raise SvmUnavailableError without SVM, or if firmware has disabled it. ref: APM2 15.4."""
    if "svm" not in host.features:
        raise SvmUnavailableError("SVM: not available")
    if host.rdmsr(Msr.VM_CR) & VmCr.SVMDIS:
        raise SvmUnavailableError("SVM: disabled by firmware")


class PhysicalCpu:
    """One processor that guests are executed on."""

    def __init__(self, host: X86Host) -> None:
        check_available(host)
        self.host = host
        self.features = SvmFeatures.of(host)
        self.asids = AsidPool(self.features.asids, self.features.flush_by_asid)
        storage = host.storage
        self.hsave = storage.allocate(SIZE, ALIGNMENT)
        """Where VMRUN keeps the host's state."""
        self.own_state = storage.allocate(SIZE, ALIGNMENT)
        """A VMCB for what VMRUN does not switch: FS, GS, TR, LDTR and MSRs of the host."""
        self.own_registers = HostRegisters(host)
        self.epoch = 0
        """Counts suspensions: what the processor had cached of VMCBs is gone with each."""
        self.enable()

    def enable(self) -> None:
        """Turn SVM on, at first and after the processor was suspended.

        ref: APM2 15.4; APM2 15.30.4
        """
        host = self.host
        host.wrmsr(Msr.EFER, host.rdmsr(Msr.EFER) | Efer.SVME)
        host.wrmsr(Msr.VM_HSAVE_PA, self.hsave)
        host.vmsave(self.own_state)

    def restore(self) -> None:
        """The processor was suspended, and has forgotten everything."""
        self.epoch += 1
        self.enable()

    def disable(self) -> None:
        """Turn SVM off."""
        host = self.host
        host.wrmsr(Msr.EFER, host.rdmsr(Msr.EFER) & ~Efer.SVME)

    def load_own(self) -> None:
        """Load what a guest has left in FS, GS, TR, LDTR and their MSRs with the host's own."""
        self.host.vmload(self.own_state)

    def described(self) -> SvmHost:
        """The processor as the consistency checks of VMCBs need it."""
        features = self.host.features
        sizes = self.host.cpuid(Leaf.ADDRESS_SIZES)[0]
        return SvmHost(
            features=features,
            physical_bits=sizes & 0xFF,
            asids=self.features.asids,
            cr4_mask=Cr4.PCE | sum(bit for bit, name in CR4_FEATURES.items() if name in features),
            efer_mask=sum(bit for bit, name in EFER_FEATURES.items() if name in features),
        )
