"""The PC whose guest runs under a hypervisor.

The physical processor is the metal's; the hypervisor runs guests on it with SVM and asks this
machine for what it does not answer itself.
"""

from collections.abc import Callable, Sequence

from worldswitch.arch.x86.apic import DeliveryMode
from worldswitch.arch.x86.models import cpu_model
from worldswitch.engine.build import Progress
from worldswitch.hypervisor import requests
from worldswitch.hypervisor.outcome import (
    NotOperating,
    Preempted,
    RunEnd,
    Stopped,
    ToMachine,
    Wait,
)
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.svm.options import SvmOptions
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.hypervisor.x86.events import GuestException
from worldswitch.hypervisor.x86.linear import fetch
from worldswitch.hypervisor.x86.mmio import CODE_16, CODE_32, CODE_64
from worldswitch.hypervisor.x86.state import SegmentState
from worldswitch.machine.board import Engine
from worldswitch.machine.observer import Details, Observer
from worldswitch.machine.result import STATUS_CRASHED, Result
from worldswitch.machine.x86.board import UNITS_PER_125_NS, CpuView, PcBoard
from worldswitch.machine.x86.loader import Entry
from worldswitch.machine.x86.loader.entry import SegmentState as Segment
from worldswitch.machine.x86.machine import DEFAULT_MODEL
from worldswitch.machine.x86.start import REGISTERS
from worldswitch.metal.x86.bus import (
    BUS_IN,
    BUS_OUT,
    BUS_READ,
    BUS_WRITE,
    DEVICE_TIME,
    PORT_TIME,
)
from worldswitch.metal.x86.host import Host
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.storage import Storage

HOST_MEMORY = 64 << 20
"""Memory of the host beyond the guest's: control blocks and tables."""
HOST_GROUP = "processors"
GUEST_GROUP = "guest"
NAMES = ("es", "cs", "ss", "ds", "fs", "gs")
CODE_BITS = {CODE_16: 16, CODE_32: 32, CODE_64: 64}


class GuestEvents:
    """Tells the machine's observer what the hypervisor does: an `EventSink`."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def entered(self, time: int, cpu: int) -> None:
        """The guest is about to be entered."""
        self._observer.entered(GUEST_GROUP, cpu, time * UNITS_PER_125_NS // 125)

    def left(self, time: int, cpu: int, reason: str, fields: Details) -> None:
        """The guest was left."""
        self._observer.left(GUEST_GROUP, cpu, time * UNITS_PER_125_NS // 125, reason, fields)

    def event(self, time: int, cpu: int, name: str, fields: Details) -> None:
        """The hypervisor did something for a virtual CPU."""
        shown = {key: f"{v:#x}" if isinstance(v, int) else v for key, v in fields.items()}
        self._observer.happened(GUEST_GROUP, cpu, time * UNITS_PER_125_NS // 125, name, shown)


class PcGuestMachine(PcBoard):
    """A guest with `cpus` virtual CPUs and `memory` bytes, under SVM.

    The host has one processor of `model`, on which the virtual CPUs take turns.
    """

    processors: Sequence[SvmVcpu]
    _running: SvmVcpu

    def __init__(
        self,
        memory: int = 512 << 20,
        cpus: int = 1,
        model: str = DEFAULT_MODEL,
        engine: Engine = "native",
        output: Callable[[bytes], None] | None = None,
        progress: Progress | None = None,
        real_time: bool = False,
    ) -> None:
        chosen = cpu_model(model)
        if not chosen.has("svm"):
            raise ValueError(
                f"--cpu {model}: no SVM. Say --hypervisor none, or a CPU that has it, such as "
                f"{DEFAULT_MODEL}."
            )
        self.complex = Complex(Storage(memory + HOST_MEMORY), chosen, 1, engine, progress)
        self._processor = self.complex.processors[0]
        self.host = Host(self._processor)
        self.backend = SvmBackEnd(SvmOptions(model=self.complex.model))
        self.backend.init(self.host)
        self.vm = self.backend.vminit(memory, cpus)
        self.processors = self.vm.vcpus
        self._wake: int | None = None
        super().__init__(
            self.vm.memory, self.vm.size, self.complex.model, cpus, output, real_time
        )  # fmt: skip
        self._running = self.processors[0]
        self.vm.devices = self
        self.vm.pic = self.devices.pic
        self.vm.on_eoi(self.devices.ioapic.eoi)

    @property
    def now(self) -> int:
        return self._processor.clock

    def keep_time(self) -> None:
        super().keep_time()
        self._processor.clock = max(self._processor.clock, self._now)

    # What devices tell.

    def set_intr(self, level: bool) -> None:
        """The hypervisor looks at the line itself, when the virtual CPU could take the event."""

    def deliver(
        self,
        *,
        destination: int,
        logical: bool,
        mode: DeliveryMode,
        vector: int,
        level: bool,
        trigger_level: bool,
    ) -> None:
        self.vm.deliver(destination, logical, mode, vector, level, trigger_level)

    def give_way(self) -> None:
        self._running.give_way()

    # What the hypervisor asks while a virtual CPU runs: these are `x86.devices.Devices`.

    def port_read(self, port: int, size: int) -> int:
        """IN."""
        self._processor.spend(PORT_TIME)
        return self.access(BUS_IN, port, size, 0)

    def port_write(self, port: int, size: int, value: int) -> None:
        """OUT."""
        self._processor.spend(PORT_TIME)
        self.access(BUS_OUT, port, size, value)
        self._replan()

    def mmio_read(self, address: int, size: int) -> int:
        """A load from a device's registers."""
        self._processor.spend(DEVICE_TIME)
        return self.access(BUS_READ, address, size, 0)

    def mmio_write(self, address: int, size: int, value: int) -> None:
        """A store to them."""
        self._processor.spend(DEVICE_TIME)
        self.access(BUS_WRITE, address, size, value)
        self._replan()

    def _replan(self) -> None:
        """A device was written to: it may want to do something before the slice is over."""
        wake = self.devices.next_event()
        if wake is not None and (self._wake is None or wake < self._wake):
            self._wake = wake
            left = max(1, wake - self._processor.clock)
            self._running.end_slice_at(self._processor.icount + left)

    # Turns.

    def ready(self, cpu: int) -> bool:
        return self.processors[cpu].runnable()

    def wake_times(self) -> list[int]:
        return [when for vcpu in self.processors if (when := vcpu.wake_time()) is not None]

    def idle(self) -> None:
        self._now = max(self._now, self._processor.clock)
        super().idle()
        self._processor.clock = max(self._processor.clock, self._now)

    def turn(self, cpu: int, size: int) -> None:
        vcpu = self._running = self.processors[cpu]
        self._plan(size)
        observer = self.observer
        if observer is None:
            self.vm.sink = None
        else:
            self.vm.sink = GuestEvents(observer)
            observer.entered(HOST_GROUP, 0, self.units)
        while self._end is None:
            if not self._goes_on(vcpu, self.backend.run(vcpu, self.host)):
                break
        if observer is not None:
            observer.left(HOST_GROUP, 0, self.units, "schedule", {"cpu": vcpu.address})

    def _plan(self, size: int) -> None:
        """Have the physical processor interrupted after `size` instructions, or for a device."""
        self._wake = self.devices.next_event()
        if self._wake is not None:
            size = max(1, min(size, self._wake - self._processor.clock))
        self.host.deadline = self._processor.icount + size

    def _goes_on(self, vcpu: SvmVcpu, end: RunEnd) -> bool:
        """Do what the end of a run asks for; whether the slice goes on."""
        match end:
            case ToMachine(request=request):
                self.answer(vcpu, request)
                return True
            case Preempted() | Wait() | NotOperating():
                return False
            case Stopped(diagnosis=why):
                self.end(Result(STATUS_CRASHED, why))
                return False

    def answer(self, vcpu: SvmVcpu, request: requests.Request) -> None:
        """Answer what the hypervisor hands out."""
        match request:
            case requests.TripleFault():
                self.end(Result(STATUS_CRASHED, f"triple fault: shutdown at {vcpu.rip:#x}"))
            case requests.Monitor() | requests.MsrRead() | requests.MsrWrite():
                pass
            case requests.Halt() | requests.Rendezvous() | requests.Suspended():
                vcpu.answer()
            case requests.UnclaimedExit(code=code, reason=reason):
                self.end(Result(STATUS_CRASHED, f"exit code {code:#x}: {reason}"))
            case _:
                self.end(Result(STATUS_CRASHED, f"unexpected request {request!r}"))

    # Starting, and for people.

    def start(self, entry: Entry) -> None:
        vcpu, wanted = self.processors[0], entry.registers
        vcpu.lapic.virtual_wire()
        for number, segment in wanted.segments.items():
            vcpu.set_descriptor(NAMES[number], segment_state(segment))
        vcpu.set_descriptor("tr", segment_state(wanted.tr))
        base, limit = wanted.gdt
        vcpu.set_descriptor("gdtr", SegmentState(base=base, limit=limit))
        vcpu.efer, vcpu.cr0, vcpu.cr3, vcpu.cr4 = wanted.efer, wanted.cr0, wanted.cr3, wanted.cr4
        for number, name in REGISTERS.items():
            vcpu.gr[number] = getattr(wanted, name)
        vcpu.rflags, vcpu.rip = wanted.rflags, wanted.rip

    def view(self, cpu: int) -> CpuView:
        vcpu = self.processors[cpu]
        return CpuView(
            vcpu.rip, vcpu.rflags, vcpu.cpl, vcpu.cr0, vcpu.cr2, vcpu.cr3, vcpu.cr4, vcpu.efer,
            tuple(vcpu.gr[n] for n in range(16)), CODE_BITS[vcpu.code_size()],
            lambda size: code_of(vcpu)[:size],
        )  # fmt: skip

    def recent_exits(self) -> list[str]:
        recent = self.processors[self.current].recent
        return [f"{reason} at {address:X}" for reason, address in recent]


def code_of(vcpu: SvmVcpu) -> bytes:
    """What is at RIP; nothing where it cannot be fetched from."""
    try:
        return fetch(vcpu, vcpu.rip)
    except GuestException:
        return b""


def segment_state(segment: Segment) -> SegmentState:
    """A loader's segment register as the hypervisor has it."""
    return SegmentState(segment.selector, segment.base, segment.limit, segment.attributes)
