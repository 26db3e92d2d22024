"""A processor whose guests do what a test says: an `X86Host` with scripted exits.

Each `vmrun` takes the next step of the script, which changes the VMCB and the registers as a guest
and the processor would, and leaves an exit in it. What the hypervisor promises with each entry is
checked: the global interrupt flag is clear, and no field is declared clean that was changed.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from worldswitch.arch.x86.cpuid import Leaf
from worldswitch.arch.x86.models import CpuModel, cpu_model
from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import CLEAN_CONTROL, CLEAN_SAVE, Event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import VMLOAD_FIELDS, Vmcb
from worldswitch.hypervisor.outcome import RunEnd
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.svm.options import SvmOptions
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.metal.interface import EntryResult, GeneralProtection, X86Host

STORAGE = 24 << 20
MEMORY = 4 << 20
MODEL = "epyc-milan"
Step = Callable[["FakeHost", Vmcb], EntryResult | None]


class FakeStorage:
    """Host storage from which nothing is ever given back."""

    def __init__(self, size: int = STORAGE) -> None:
        self.size = size
        self.view = memoryview(bytearray(size))
        self._next = size

    def allocate(self, size: int, alignment: int = 4096) -> int:
        """From the top downwards."""
        self._next = (self._next - size) // alignment * alignment
        if self._next < 0:
            raise MemoryError("no host storage left")
        return self._next

    def read(self, address: int, size: int) -> bytes:
        """Bytes."""
        assert 0 <= address <= self.size - size
        return bytes(self.view[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        """Store them."""
        assert 0 <= address <= self.size - len(data)
        self.view[address : address + len(data)] = data

    def get_key(self, address: int) -> int:
        """x86 has none."""
        raise AssertionError(f"storage key of {address:#x}")

    def set_key(self, address: int, key: int) -> None:
        """x86 has none."""
        raise AssertionError(f"storage key {key} of {address:#x}")


@dataclass
class Entry:
    """What one VMRUN was given. event_inj: 0 if there is no event."""

    event_inj: int
    v_intr: int
    clean: int
    tlb_control: int
    asid: int
    shadow: int
    rip: int
    intercept_1: int
    time_slice: int
    deadline: int


class FakeHost:
    """One processor, or one of several that share their storage."""

    def __init__(
        self, model: CpuModel | str = MODEL, apic_id: int = 0, storage: FakeStorage | None = None
    ) -> None:
        self.model = cpu_model(model) if isinstance(model, str) else model
        self.apic_id = apic_id
        self.features = self.model.features
        self.storage = storage or FakeStorage()
        self.time_slice = 1_000_000
        self.deadline = 1 << 60
        self.exit_cost = 0
        """Instructions that each entry takes off the slice."""
        self.gr = [0] * 16
        self.dr = [0, 0, 0, 0, 0, 0, 0xFFFF_0FF0, 0x400]
        self.cr2 = 0
        self.xcr0 = 1
        self.icount = 0
        self.tsc = 1000
        self.msrs: dict[int, int] = {
            Msr.EFER: int(Efer.LMA | Efer.LME),
            Msr.VM_CR: 0,
            Msr.VM_HSAVE_PA: 0,
            Msr.TSC_AUX: 0x77,
            Msr.PATCH_LOADER_SIG: 0x0A00_11D1,
        }
        self.fx = bytes(range(256)) * 2
        self.loaded: dict[str, Any] = {}
        """What VMLOAD loads, as the physical processor has it."""
        self.gif = True
        self.script: deque[Step] = deque()
        self.entries: list[Entry] = []
        self.calls: list[str] = []
        self._cached: dict[int, dict[str, bytes | int]] = {}

    def cpuid(self, leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
        """The model's answer."""
        return self.model.cpuid(leaf, subleaf)

    def rdmsr(self, msr: int) -> int:
        """One of the few there are."""
        if msr not in self.msrs:
            raise GeneralProtection(f"{msr:#x}")
        return self.msrs[msr]

    def wrmsr(self, msr: int, value: int) -> None:
        """Write one of them."""
        if msr not in self.msrs:
            raise GeneralProtection(f"{msr:#x}")
        self.msrs[msr] = value

    def rdtsc(self) -> int:
        """The time."""
        return self.tsc

    def fxsave(self) -> bytes:
        """x87 and SSE state."""
        return self.fx

    def fxrstor(self, image: bytes) -> None:
        """Load it."""
        assert len(image) == 512
        self.fx = image

    def stgi(self) -> None:
        """Set GIF."""
        self.gif = True

    def clgi(self) -> None:
        """Clear GIF."""
        self.gif = False

    def invlpga(self, address: int, asid: int) -> None:
        """Nothing is translated here."""
        self.calls.append(f"invlpga {address:#x} {asid}")

    def flush_tlb(self) -> None:
        """Nothing is translated here."""
        self.calls.append("flush_tlb")

    def vmload(self, vmcb: int) -> None:
        """Load what VMLOAD loads."""
        self.calls.append(f"vmload {vmcb:#x}")
        save = Vmcb(self.storage.view, vmcb).save
        self.loaded = {name: _value(save, name) for name in VMLOAD_FIELDS}

    def vmsave(self, vmcb: int) -> None:
        """Store it."""
        self.calls.append(f"vmsave {vmcb:#x}")
        save = Vmcb(self.storage.view, vmcb).save
        for name, value in self.loaded.items():
            setattr(save, name, value)

    def vmrun(self, vmcb: int) -> EntryResult:
        """Check the entry, then do the next step of the script."""
        assert not self.gif, "VMRUN with the global interrupt flag set"
        assert self.msrs[Msr.EFER] & Efer.SVME
        block = Vmcb(self.storage.view, vmcb)
        control = block.control
        self._check_clean(vmcb, block)
        self.entries.append(
            Entry(
                control.event_inj if control.event_inj & Event.V else 0,
                control.v_intr,
                control.clean,
                control.tlb_control,
                control.asid,
                control.int_state,
                block.save.rip,
                control.intercept_1,
                self.time_slice,
                self.deadline,
            )
        )
        control.event_inj &= ~Event.V
        control.exit_int_info = 0
        result = self.script.popleft()(self, block) if self.script else preempt(self, block)
        self.deadline -= self.exit_cost
        self._cached[vmcb] = _groups(block)
        return result or EntryResult.EXIT

    def _check_clean(self, vmcb: int, block: Vmcb) -> None:
        cached = self._cached.get(vmcb)
        now = _groups(block)
        for group in (*CLEAN_CONTROL, *CLEAN_SAVE):
            if block.control.clean & group:
                assert cached is not None, "a VMCB is declared clean that was never entered"
                for name, value in now.items():
                    if name.startswith(f"{int(group)}."):
                        assert cached[name] == value, f"{name} is declared clean and was changed"


def _value(block: Any, name: str) -> bytes | int:
    value = getattr(block, name)
    return value if isinstance(value, int) else bytes(value)


def _groups(block: Vmcb) -> dict[str, bytes | int]:
    found: dict[str, bytes | int] = {}
    for area, groups in ((block.control, CLEAN_CONTROL), (block.save, CLEAN_SAVE)):
        for group, names in groups.items():
            for name in names:
                found[f"{int(group)}.{name}"] = _value(area, name)
    return found


# Steps.


def preempt(host: FakeHost, block: Vmcb) -> None:
    """A physical interrupt at the end of the slice."""
    host.tsc += max(host.deadline - host.icount, 0)
    host.icount = max(host.icount, host.deadline)
    block.control.exit_code = SvmExit.INTR


def leave(
    code: int,
    info1: int = 0,
    info2: int = 0,
    length: int = 0,
    gr: dict[int, int] | None = None,
    **fields: int,
) -> Step:
    """The guest is left: an exit with its information, and fields of either area set."""

    def step(host: FakeHost, block: Vmcb) -> None:
        control, save = block.control, block.save
        for name, value in fields.items():
            setattr(save if hasattr(save, name) else control, name, value)
        for number, value in (gr or {}).items():
            if number == 0:
                save.rax = value
            elif number == 4:
                save.rsp = value
            else:
                host.gr[number] = value
        control.exit_code = code
        control.exit_info_1 = info1
        control.exit_info_2 = info2
        control.next_rip = (save.rip + length) & (1 << 64) - 1

    return step


def interrupted(then: Step, info: int) -> Step:
    """The same exit, while an event was delivered."""

    def step(host: FakeHost, block: Vmcb) -> EntryResult | None:
        result = then(host, block)
        block.control.exit_int_info = info
        return result

    return step


class Guest:
    """A virtual machine on fake processors, with a script."""

    def __init__(
        self,
        *steps: Step,
        model: CpuModel | str = MODEL,
        cpus: int = 1,
        hosts: int = 1,
        memory: int = MEMORY,
        **options: Any,
    ) -> None:
        storage = FakeStorage()
        self.hosts = [FakeHost(model, n, storage) for n in range(hosts)]
        self.host = self.hosts[0]
        self.backend = SvmBackEnd(SvmOptions(**options))
        for host in self.hosts:
            self.backend.init(host)
        self.vm = self.backend.vminit(memory, cpus)
        self.cpu: SvmVcpu = self.vm.vcpus[0]
        self.host.script.extend(steps)

    def script(self, *steps: Step) -> None:
        """More steps for the first processor."""
        self.host.script.extend(steps)

    def run(self, cpu: int = 0, host: int = 0, slice_size: int = 100_000) -> RunEnd:
        """Run a virtual CPU until the hypervisor gives it back."""
        processor = self.hosts[host]
        processor.deadline = processor.icount + slice_size
        return self.backend.run(self.vm.vcpus[cpu], processor)

    @property
    def entries(self) -> list[Entry]:
        """What the first processor's entries were given."""
        return self.host.entries

    @property
    def last(self) -> Entry:
        """The latest of them."""
        return self.host.entries[-1]

    def counted(self, name: str) -> int:
        """A counter of the virtual machine."""
        return self.vm.counters().get(name, 0)

    def exits(self, code: SvmExit) -> int:
        """How often the guest was left for a reason."""
        return sum(line.samples for line in self.vm.statistics() if line.name == code.name)


def as_host(host: FakeHost) -> X86Host:
    """The same, checked to be what the interface asks for."""
    return host


ASIDS = cpu_model(MODEL).cpuid(Leaf.SVM)[1]
