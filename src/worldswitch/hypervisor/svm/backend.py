"""The back end for SVM, in the vocabulary that all back ends share."""

from typing import Any

from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.hypervisor.outcome import RunEnd
from worldswitch.hypervisor.svm import controls
from worldswitch.hypervisor.svm.npt import NestedTables
from worldswitch.hypervisor.svm.options import SvmOptions
from worldswitch.hypervisor.svm.processor import PhysicalCpu
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.hypervisor.svm.vm import SvmVm
from worldswitch.hypervisor.x86.access import get_register, set_register
from worldswitch.hypervisor.x86.apic_bus import ApicBus
from worldswitch.hypervisor.x86.state import DESCRIPTOR_NAMES, SegmentState
from worldswitch.metal.interface import X86Host

HALT_EXIT, PAUSE_EXIT = "halt_exit", "pause_exit"
UNRESTRICTED_GUEST = "unrestricted_guest"
_INTERCEPTS = {HALT_EXIT: Intercept1.HLT, PAUSE_EXIT: Intercept1.PAUSE}


class SvmBackEnd:
    """Guests under SVM on one or more physical processors."""

    name = "svm"

    def __init__(self, options: SvmOptions | None = None) -> None:
        self.processors: list[PhysicalCpu] = []
        self.options = options or SvmOptions()
        self._holders: dict[int, SvmVcpu] = {}

    def init(self, host: X86Host) -> None:
        """Turn SVM on on a physical processor and take it into use.

        Raises SvmUnavailableError if it lacks what is needed, or firmware has disabled it.
        """
        self.processors.append(PhysicalCpu(host))

    def cleanup(self) -> None:
        """Put every virtual CPU, turn SVM off on every processor and forget them."""
        for vcpu in self._holders.values():
            vcpu.put()
        self._holders.clear()
        for cpu in self.processors:
            cpu.disable()
        self.processors.clear()

    def suspend(self, host: X86Host) -> None:
        """Put the virtual CPU that is loaded on a processor, which is about to be suspended."""
        holder = self._holders.pop(host.apic_id, None)
        if holder is not None and holder.loaded_on is self._processor(host):
            holder.put()

    def restore(self, host: X86Host) -> None:
        """Turn SVM on again on a processor that was suspended, which has forgotten everything."""
        self._processor(host).restore()

    def _processor(self, host: X86Host) -> PhysicalCpu:
        for cpu in self.processors:
            if cpu.host is host:
                return cpu
        raise RuntimeError(f"processor {host.apic_id} was not taken into use")

    def vminit(self, memory: int, cpus: int) -> SvmVm:
        """A virtual machine on all processors that were taken into use."""
        if not self.processors:
            raise RuntimeError("no physical processor was taken into use")
        return SvmVm(list(self.processors), memory, cpus, self.options)

    def run(self, vcpu: SvmVcpu, host: X86Host) -> RunEnd:
        """Run a virtual CPU on a processor. It stays loaded until another one needs its place."""
        holder = self._holders.get(host.apic_id)
        loaded = vcpu.loaded_on
        if holder is not vcpu or loaded is None or loaded.host is not host:
            cpu = self._processor(host)
            if holder is not None and holder is not vcpu and holder.loaded_on is cpu:
                holder.put(another=True)
            vcpu.load(cpu)
            self._holders[host.apic_id] = vcpu
        return vcpu.run()

    def getreg(self, vcpu: SvmVcpu, name: str) -> int:
        """A register by name; see `worldswitch.hypervisor.x86.access` for the names."""
        return get_register(vcpu, name)

    def setreg(self, vcpu: SvmVcpu, name: str, value: int) -> None:
        """Set a register."""
        set_register(vcpu, name, value)

    def getdesc(self, vcpu: SvmVcpu, name: str) -> SegmentState:
        """A segment or descriptor-table register: es, cs, ss, ds, fs, gs, ldtr, tr, gdtr, idtr."""
        _check_descriptor(name)
        return vcpu.descriptor(name)

    def setdesc(self, vcpu: SvmVcpu, name: str, value: Any) -> None:
        """Set one; that of SS sets the privilege level too."""
        _check_descriptor(name)
        vcpu.set_descriptor(name, value)

    def getcap(self, vcpu: SvmVcpu, name: str) -> int:
        """Whether a capability is on: halt_exit, pause_exit or unrestricted_guest."""
        if name == UNRESTRICTED_GUEST:
            return 1
        if name not in _INTERCEPTS:
            raise KeyError(f"there is no capability {name!r}")
        return int(controls.intercepted(vcpu, controls.FIRST, _INTERCEPTS[name]))

    def setcap(self, vcpu: SvmVcpu, name: str, value: int) -> None:
        """Turn a capability on or off; ValueError for one that cannot be turned off."""
        if name == UNRESTRICTED_GUEST:
            if not value:
                raise ValueError("SVM executes guests of every mode")
            return
        self.getcap(vcpu, name)
        controls.set_intercept(vcpu, controls.FIRST, _INTERCEPTS[name], bool(value))

    def second_level(self, vm: SvmVm) -> NestedTables:
        """The guest's nested page tables."""
        return vm.npt

    def interrupt_controller(self, vm: SvmVm) -> ApicBus:
        """What connects the guest's local APICs."""
        return vm.bus


def _check_descriptor(name: str) -> None:
    if name not in DESCRIPTOR_NAMES:
        raise KeyError(f"there is no descriptor {name!r}")
