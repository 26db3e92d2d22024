"""Guest programs under the SVM back end on modelled processors.

    guest = SvmGuest("mov $0x12, %al; out %al, $0x80; jmp done")
    guest.finish()
    assert guest.written == [(0x80, 1, 0x12)]

A program is 32-bit code without paging. Labels `on_<vector>` (decimal) are the handlers in its IDT;
the label `done` is added: it ends the run.
"""

import re
from dataclasses import dataclass
from typing import Any

from worldswitch.arch.x86.models import CpuModel, cpu_model
from worldswitch.arch.x86.svm_controls import Event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor import requests
from worldswitch.hypervisor.outcome import NotOperating, Preempted, RunEnd, ToMachine, Wait
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.svm.options import SvmOptions
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.hypervisor.x86.state import CpuState, SegmentState
from worldswitch.lab.x86_assembler import Program, assemble
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.x86.host import Host
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.storage import Storage

MODEL = "epyc-milan"
MEMORY, HOST_MEMORY = 8 << 20, 8 << 20
CODE, STACK, DATA = 0x10_0000, 0x9000, 0x20_0000
GDT, IDT = 0x7000, 0x60_0000
"""The IDT is where nothing has been mapped when its first gate is used."""
DONE = 0xF4
GATE = 0x8E00
SLICE = 50_000
FLAT_CODE = SegmentState(8, 0, 0xFFFF_FFFF, 0xC9B)
FLAT_DATA = SegmentState(16, 0, 0xFFFF_FFFF, 0xC93)
DESCRIPTORS = (0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF)


class Finished(Exception):  # noqa: N818 - no error
    """The program has come to its end."""


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
    gif: int
    time_slice: int

    @property
    def vector(self) -> int:
        """That of the virtual interrupt; 0 if there is none."""
        return self.v_intr >> 32 & 0xFF if self.v_intr & 1 << 8 else 0

    @property
    def window(self) -> bool:
        """Whether the entry asks for the interrupt window."""
        return bool(self.v_intr & 1 << 8 and self.v_intr & 1 << 20)


class SvmGuest:
    """A virtual machine with a program, and a machine of little more than ports."""

    def __init__(
        self,
        source: str,
        cpus: int = 1,
        hosts: int = 1,
        model: str | CpuModel = MODEL,
        **options: Any,
    ) -> None:
        chosen = cpu_model(model) if isinstance(model, str) else model
        complex = Complex(Storage(MEMORY + HOST_MEMORY), chosen, hosts)
        self.hosts = [Host(processor) for processor in complex.processors]
        self.backend = SvmBackEnd(SvmOptions(**options))
        for host in self.hosts:
            self.backend.init(host)
        self.vm = self.backend.vminit(MEMORY, cpus)
        self.cpu: SvmVcpu = self.vm.vcpus[0]
        self.written: list[tuple[int, int, int]] = []
        """Port or address, bytes and value of each write, in their order."""
        self.answers: list[int] = []
        """What reads of ports and devices get, one after the other; then all ones."""
        self.program = self._load(source)

    def _load(self, source: str) -> Program:
        text = f".code32\n{source}\ndone: out %al, ${DONE:#x}\njmp done\n"
        program = assemble(text, CODE)
        memory = self.vm.memory
        memory.write(CODE, program.text)
        memory.write(GDT, b"".join(entry.to_bytes(8, "little") for entry in DESCRIPTORS))
        for name, address in program.symbols.items():
            if found := re.fullmatch(r"on_(\d+)", name):
                gate = address & 0xFFFF | 8 << 16 | (GATE | address & 0xFFFF_0000) << 32
                memory.write(IDT + 8 * int(found[1]), gate.to_bytes(8, "little"))
        cpu = self.cpu
        for name in ("ds", "es", "ss", "fs", "gs"):
            cpu.set_descriptor(name, FLAT_DATA)
        cpu.set_descriptor("cs", FLAT_CODE)
        cpu.set_descriptor("gdtr", SegmentState(base=GDT, limit=0xFF))
        cpu.set_descriptor("idtr", SegmentState(base=IDT, limit=0x7FF))
        cpu.cr0, cpu.rip = 0x11, CODE
        cpu.gr[4] = STACK
        return program

    # Running.

    def run(self, cpu: int = 0, host: int = 0, size: int = SLICE) -> RunEnd:
        """Run one virtual CPU on a processor until the hypervisor gives it back."""
        processor = self.hosts[host]
        processor.deadline = processor.icount + size
        return self.backend.run(self.vm.vcpus[cpu], processor)

    def watch(self, host: int = 0) -> list[Entry]:
        """What every VMRUN on a processor is given from now on, before a program is first run."""
        processor = self.hosts[host]
        storage, vmrun = processor.storage, processor.vmrun
        seen: list[Entry] = []

        def watched(vmcb: int) -> EntryResult:
            block = Vmcb(storage.view, vmcb)
            control = block.control
            seen.append(Entry(
                control.event_inj if control.event_inj & Event.V else 0, control.v_intr,
                control.clean, control.tlb_control, control.asid, control.int_state & 1,
                block.save.rip, control.intercept_1, processor.processor.raw.gif,
                processor.time_slice,
            ))  # fmt: skip
            return vmrun(vmcb)

        processor.vmrun = watched  # type: ignore[method-assign]
        return seen

    def request(self, cpu: int = 0, host: int = 0) -> Any:
        """Run one virtual CPU until the machine is asked for something; what that is."""
        for _ in range(100):
            end = self.run(cpu, host)
            if isinstance(end, ToMachine):
                return end.request
            assert isinstance(end, Preempted), end
        raise AssertionError(f"nothing is asked for: {list(self.cpu.recent)}")

    def finish(self, turns: int = 200) -> None:
        """Run all virtual CPUs in turn until the program is done."""
        try:
            for _ in range(turns):
                if not [self._turn(vcpu) for vcpu in self.vm.vcpus if vcpu.runnable()]:
                    self._wait()
        except Finished:
            return
        raise AssertionError(f"not done: {list(self.cpu.recent)}")

    def _turn(self, vcpu: SvmVcpu) -> bool:
        while isinstance(end := self.run(vcpu.address), ToMachine):
            self.answer(vcpu, end.request)
        assert isinstance(end, (Preempted, Wait, NotOperating)), end
        return True

    def _wait(self) -> None:
        times = [when for vcpu in self.vm.vcpus if (when := vcpu.wake_time()) is not None]
        assert times, "nothing will wake any processor"
        self.hosts[0].processor.clock += max(0, min(times) - self.hosts[0].rdtsc())

    def answer(self, vcpu: SvmVcpu, request: Any) -> None:
        """What the machine does."""
        match request:
            case requests.PortWrite(port=port) if port == DONE:
                raise Finished
            case requests.PortWrite(port, size, value) | requests.MmioWrite(port, size, value):
                self.written.append((port, size, value))
            case requests.PortRead() | requests.MmioRead():
                if self.answers:
                    vcpu.answer(self.answers.pop(0))
            case requests.Halt() | requests.MsrRead() | requests.MsrWrite():
                pass
            case _:
                raise AssertionError(f"{request!r} at {vcpu.rip:#x}")

    # What it left behind.

    def load(self, address: int, size: int = 4) -> int:
        """A number in guest storage."""
        return int.from_bytes(self.vm.memory.read(address, size), "little")

    def counted(self, name: str) -> int:
        """A counter of the virtual machine."""
        return self.vm.counters().get(name, 0)

    def exits(self, code: SvmExit) -> int:
        """How often the guest was left with a code."""
        return sum(line.samples for line in self.vm.statistics() if line.name == code.name)

    def start_all(self) -> None:
        """Have the other virtual CPUs begin where the first does, with stacks of their own."""
        for vcpu in self.vm.vcpus[1:]:
            for name in ("ds", "es", "ss", "cs", "gdtr", "idtr"):
                vcpu.set_descriptor(name, self.cpu.descriptor(name))
            vcpu.cr0, vcpu.rip, vcpu.state = 0x11, CODE, CpuState.RUNNING
            vcpu.gr[4] = STACK - 0x400 * vcpu.address
