"""The s390 machine whose guest runs under a hypervisor.

The physical processors are the metal's; the hypervisor runs guests on them with SIE and asks this
machine for what it does not answer itself.
"""

from collections.abc import Callable, Sequence

from worldswitch.arch.s390x.program import ProgramCode
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
from worldswitch.hypervisor.sie.backend import SieBackEnd
from worldswitch.hypervisor.sie.events import ServiceSignal
from worldswitch.hypervisor.sie.guest_storage import GuestStorage
from worldswitch.hypervisor.sie.options import Options
from worldswitch.hypervisor.sie.vcpu import SieVcpu
from worldswitch.machine.observer import Details, Observer
from worldswitch.machine.result import STATUS_CRASHED, Result
from worldswitch.machine.s390x import ipl, services
from worldswitch.machine.s390x.board import PSW_64, PSW_DAT, RESTARTED, SMALL_SLICE, S390Board
from worldswitch.machine.s390x.modelled import DEFAULT_MODEL, modelled_cpu
from worldswitch.machine.s390x.protected import SUBCODES, ProtectedIpl
from worldswitch.metal.s390x.host import Host
from worldswitch.metal.s390x.processor import Complex
from worldswitch.metal.s390x.storage import Storage

HOST_STORAGE = 64 << 20
"""Storage of the host beyond the guest's: control blocks and tables."""
TABLES = 256
"""Bytes of guest storage that a byte of tables serves, with something to spare: a guest that has
its pages discarded one by one has 2 KiB of page table for every megabyte."""
HOST_GROUP = "processors"
GUEST_GROUP = "guest"


class GuestEvents:
    """Tells the machine's observer what the hypervisor does: an `EventSink`."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def entered(self, time: int, cpu: int) -> None:
        """The guest is about to be entered."""
        self._observer.entered(GUEST_GROUP, cpu, time)

    def left(self, time: int, cpu: int, reason: str, fields: Details) -> None:
        """The guest was left."""
        self._observer.left(GUEST_GROUP, cpu, time, reason, fields)

    def event(self, time: int, cpu: int, name: str, fields: Details) -> None:
        """The hypervisor did something for a virtual CPU."""
        shown = {key: f"{v:#x}" if isinstance(v, int) else v for key, v in fields.items()}
        self._observer.happened(GUEST_GROUP, cpu, time, name, shown)


class GuestMachine(S390Board):
    """A guest with `cpus` virtual CPUs of `model` and `memory` bytes, under SIE.

    The host has one processor of the same model, on which the virtual CPUs take turns.
    """

    processors: Sequence[SieVcpu]
    memory: GuestStorage

    def __init__(
        self,
        memory: int = 512 << 20,
        cpus: int = 1,
        model: str = DEFAULT_MODEL,
        engine: str = "native",
        output: Callable[[bytes], None] | None = None,
        progress: Progress | None = None,
        real_time: bool = False,
        options: Options | None = None,
    ) -> None:
        described = modelled_cpu(model)
        complex = Complex(
            Storage(memory + memory // TABLES + HOST_STORAGE), described, 1, engine, progress
        )
        self._processor = complex.processors[0]
        self._processor.raw.cpu_id = described.cpu_id(0)
        self.host = Host(self._processor)
        self.backend = SieBackEnd(described, options)
        self.backend.init(self.host)
        self.vm = self.backend.vminit(memory, cpus)
        self.processors = self.vm.vcpus
        self._protected = ProtectedIpl(self.vm)
        self._favoured: SieVcpu | None = None
        self.stopped_at: requests.DebugEvent | None = None
        """The breakpoint, watchpoint or step that ended the run; the next goes on from there."""
        super().__init__(self.vm.memory, described, cpus, output, real_time)
        self.time = self._start_time

    @property
    def time(self) -> int:
        return self._processor.tod

    @time.setter
    def time(self, value: int) -> None:
        self._processor.tod = value

    def start(self, address: int, mask: int = PSW_64, cpu: int = 0) -> None:
        vcpu = self.processors[cpu]
        vcpu.psw = (mask, address)
        vcpu.start()

    def service_signal(self, parameter: int) -> None:
        self.vm.inject(ServiceSignal(parameter & 0xFFFF_FFFF))

    def ready(self, cpu: int) -> bool:
        return self.processors[cpu].runnable()

    def wake_time(self) -> int | None:
        times = [wake for vcpu in self.processors if (wake := vcpu.wake_time()) is not None]
        return min(times, default=None)

    def run(self, timeout: float | None = None, stop: Callable[[], bool] | None = None) -> Result:
        self._go_on()
        return super().run(timeout, stop)

    def _go_on(self) -> None:
        if self.stopped_at is not None:
            self.stopped_at = self._end = None

    def break_at(self, *addresses: int) -> None:
        """Have runs end before the instructions at these addresses, on every CPU."""
        for vcpu in self.processors:
            vcpu.debugged.breakpoints.update(addresses)

    def watch(self, address: int, size: int) -> None:
        """Have runs end behind stores that change a range of logical storage, on every CPU."""
        for vcpu in self.processors:
            vcpu.debugged.watch(vcpu, address, size)

    def stop_debugging(self) -> None:
        """Forget breakpoints and watchpoints: the guest has PER for itself again."""
        for vcpu in self.processors:
            vcpu.debug = None

    def step(self, cpu: int = 0) -> requests.DebugEvent | None:
        """Execute one instruction of one CPU; None if it did not get that far: it waits, is
        stopped, or the run has ended."""
        self._go_on()
        vcpu = self.processors[cpu]
        debug = vcpu.debug
        vcpu.debugged.single_step = True
        try:
            if self._end is None and vcpu.runnable():
                self.keep_time()
                self.current = cpu
                self._yield = False
                self.turn(cpu, SMALL_SLICE)
        finally:
            vcpu.debugged.single_step = False
            vcpu.debug = debug
        return self.stopped_at

    def turn(self, cpu: int, size: int) -> None:
        self._favoured = None
        self._schedule(self.processors[cpu], size)
        favoured = self._favoured
        if favoured is not None and favoured.runnable() and self._end is None:
            # A directed yield: the CPU that is waited for goes first, once.
            self.current = favoured.address
            self._yield = False
            self._schedule(favoured, SMALL_SLICE)

    def _schedule(self, vcpu: SieVcpu, size: int) -> None:
        """Run a virtual CPU on the physical processor for about `size` instructions."""
        self.host.deadline = self._processor.icount + size
        observer = self.observer
        if observer is None:
            self.vm.sink = None
        else:
            self.vm.sink = GuestEvents(observer)
            observer.entered(HOST_GROUP, 0, self.time)
        while self._end is None and not self._yield:
            if not self._goes_on(vcpu, self.backend.run(vcpu, self.host)):
                break
        if observer is not None:
            observer.left(HOST_GROUP, 0, self.time, "schedule", {"cpu": vcpu.address})

    def ipl_diagnose(self, cpu: services.Asking, r1: int, r3: int) -> None:
        """DIAGNOSE 308: what the hypervisor leaves of it. ref: DIAG 308."""
        subcode = cpu.gr[r3] & 0xFFFF
        if subcode in SUBCODES:
            self._protected.diagnose(cpu, r1, subcode)
        else:
            ipl.diagnose(self, cpu, r1, subcode)

    def _goes_on(self, vcpu: SieVcpu, end: RunEnd) -> bool:
        """Do what the end of a run asks for; whether the slice goes on."""
        match end:
            case ToMachine(request=request):
                self.answer(vcpu, request)
                return not vcpu.stopped
            case Preempted(to=None):
                return False
            case Preempted(to=address):
                self._favoured = None if address is None else self.vm.vcpu(address)
                return False
            case Wait() | NotOperating():
                return False
            case Stopped(diagnosis=why):
                self._end = Result(STATUS_CRASHED, why)
                return False

    def answer(self, vcpu: SieVcpu, request: requests.Request) -> None:
        """Answer what the hypervisor hands out."""
        match request:
            case requests.ServiceCall(command=command, address=address):
                vcpu.set_cc(self.sclp.call(command, address, vcpu.operand_storage))
            case requests.Diagnose(code=code, r1=r1, r3=r3):
                services.diagnose(self, vcpu, code, r1, r3)
            case requests.IoInstruction(opcode=opcode):
                services.io(self, vcpu, opcode)
            case requests.StoreSystemInformation(where=where):
                levels = request.function, request.selector1, request.selector2
                services.stsi(self, vcpu, levels, where, vcpu.operand_storage)
            case requests.TopologyFunction():
                vcpu.set_cc(2)
            case requests.UnknownInstruction():
                vcpu.program(ProgramCode.OPERATION)
            case requests.SignalProcessor():
                vcpu.set_cc(3)
            case requests.CpuStopped():
                if all(cpu.stopped for cpu in self.processors):
                    self._end = Result(0, "all processors stopped: the guest is off")
            case requests.Reset():
                self._end = RESTARTED
            case requests.DebugEvent(address=address, reason=reason):
                self.stopped_at = request
                self._end = Result(0, f"{reason} at {address:X}")
            case _:
                self._end = Result(STATUS_CRASHED, crash(request))

    def recent_exits(self) -> list[str]:
        """The last ten exits of the CPU that ran last, oldest first."""
        recent = self.processors[self.current].recent
        return [f"{reason} at {address:X}" for reason, address in recent]

    def current_code(self) -> int | None:
        """Absolute address of the text at the PSW where DAT is off; None where it is on."""
        vcpu = self.processors[self.current]
        mask, address = vcpu.psw
        return None if mask & PSW_DAT else vcpu.real_to_absolute(address)

    def current_prefix(self) -> int:
        """The prefix of the CPU that ran last."""
        return self.processors[self.current].prefix


def crash(request: requests.Request) -> str:
    """A sentence for what a guest cannot go on from."""
    match request:
        case requests.DisabledWait(mask=mask, address=address):
            return f"disabled wait: PSW {mask:016X} {address:016X}"
        case requests.ProgramLoop(kind=kind, code=code, new_mask=mask, new_address=address):
            psw = f"{mask:016X} {address:016X}"
            return f"{kind} interruption {code:04X} would repeat forever: new PSW {psw}"
        case requests.Intercepted(code=code, reason=reason):
            return f"interception {code:02X}: {reason}"
        case _:
            return f"unexpected request {request!r}"
