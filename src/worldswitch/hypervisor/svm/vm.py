"""A guest under SVM: its storage and nested page tables, permission maps and CPUs."""

from worldswitch.hypervisor.svm.exits import HANDLERS
from worldswitch.hypervisor.svm.maps import PermissionMaps
from worldswitch.hypervisor.svm.npt import NestedTables
from worldswitch.hypervisor.svm.options import CLEAN_DEFAULT, SvmOptions
from worldswitch.hypervisor.svm.processor import PhysicalCpu
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.hypervisor.x86.vm import X86Vm


class SvmVm(X86Vm):
    """A guest with `memory` bytes of storage and `cpus` processors.

    processors: the physical ones that its virtual CPUs may be loaded on.
    """

    def __init__(
        self,
        processors: list[PhysicalCpu],
        memory: int,
        cpus: int,
        options: SvmOptions | None = None,
        name: str = "guest",
    ) -> None:
        chosen = options or SvmOptions()
        super().__init__([cpu.host for cpu in processors], memory, cpus, chosen, name)
        self.options: SvmOptions = chosen
        self.processors = processors
        self.clean_mask = chosen.vmcb_clean & CLEAN_DEFAULT
        self.decode_assists = chosen.npf_assist and all(
            cpu.features.decode_assists for cpu in processors
        )
        """Whether instruction bytes come with nested page faults, and are to be taken."""
        self.string_assists = all(cpu.features.decode_assists for cpu in processors)
        """Whether the segment comes with intercepted string I/O."""
        self.npt = NestedTables(self.storage, self.memory)
        self.maps = PermissionMaps(self.storage)
        self.populate()
        self._vcpus = [SvmVcpu(self, address, HANDLERS) for address in range(cpus)]

    @property
    def vcpus(self) -> list[SvmVcpu]:
        return self._vcpus

    def map(self, guest: int, host: int, size: int, writable: bool = True) -> None:
        self.npt.insert(guest, host, size, writable)
