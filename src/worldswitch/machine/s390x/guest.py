"""The s390 machine whose guest runs under a hypervisor: the loop that schedules virtual CPUs.

The physical processors are the metal's; the hypervisor runs guests on them with SIE and asks this
machine for what it does not answer itself.
"""

import time
from collections.abc import Callable
from pathlib import Path

from worldswitch.arch.s390x.models import CpuModel
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
from worldswitch.hypervisor.sie.vcpu import SieVcpu
from worldswitch.hypervisor.statistics import formatted
from worldswitch.machine.s390x import loader, services
from worldswitch.machine.s390x.board import (
    IDLE_POLL,
    SLICE,
    SMALL_SLICE,
    STATUS_CRASHED,
    STATUS_TIMEOUT,
    TOD_EPOCH,
    VIRTUAL_START,
    Result,
)
from worldswitch.machine.s390x.modelled import DEFAULT_MODEL, modelled_cpu
from worldswitch.machine.s390x.sclp import Sclp
from worldswitch.metal.s390x.host import Host
from worldswitch.metal.s390x.processor import Complex
from worldswitch.metal.s390x.storage import Storage

HOST_STORAGE = 64 << 20
"""Storage of the host beyond the guest's: control blocks and tables."""
PSW_DAT = 1 << 58


class GuestMachine:
    """A guest with `cpus` virtual CPUs of `model` and `memory` bytes, under SIE.

    The host has one processor of the same model, on which the virtual CPUs take turns.
    """

    def __init__(
        self,
        memory: int = 512 << 20,
        cpus: int = 1,
        model: str = DEFAULT_MODEL,
        engine: str = "native",
        output: Callable[[bytes], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.model: CpuModel = modelled_cpu(model)
        complex = Complex(Storage(memory + HOST_STORAGE), self.model, 1, engine, progress)
        self._processor = complex.processors[0]
        self._processor.raw.cpu_id = self.model.cpu_id(0)
        self._processor.tod = TOD_EPOCH + (VIRTUAL_START * 1_000_000 << 12)
        self.host = Host(self._processor)
        self.backend = SieBackEnd(self.model)
        self.backend.init(self.host)
        self.vm = self.backend.vminit(memory, cpus)
        self.processors = self.vm.vcpus
        self.console = bytearray()
        self._output = output or self.console.extend
        self.sclp = Sclp(self.vm.memory, self.model, cpus, self._output, self._service_signal)
        self.input: Callable[[], bytes] | None = None
        """Polled between slices for console input; None if nobody types."""
        self.current = 0
        self._yield = False
        self._end: Result | None = None

    @property
    def cpu_count(self) -> int:
        """How many CPUs the guest has."""
        return len(self.processors)

    @property
    def memory(self) -> GuestStorage:
        """The guest's absolute storage."""
        return self.vm.memory

    def load(self, kernel: Path, initrd: Path | None = None, append: str = "") -> None:
        """Load an image and have the first CPU start it; raises loader.ImageError."""
        boot = loader.load(self.memory, kernel, initrd, append)
        first = self.processors[0]
        first.psw = boot.psw
        first.start()

    def _service_signal(self, parameter: int) -> None:
        self.vm.inject(ServiceSignal(parameter & 0xFFFF_FFFF))

    def yield_slice(self) -> None:
        """The current CPU gives the rest of its slice away."""
        self._yield = True

    def ipl_diagnose(self, cpu: services.Asking, r1: int, r3: int) -> None:
        """DIAGNOSE 308: what the hypervisor leaves of it. ref: DIAG 308."""
        subcode = cpu.gr[r3] & 0xFFFF
        if subcode in (0, 1):
            self._end = Result(0, "the guest asked for a restart")
        elif subcode in (5, 6):
            cpu.gr[r1 | 1] = 0x0102 if subcode == 6 else 0x0001
        else:
            cpu.program(ProgramCode.SPECIFICATION)

    def run(self, timeout: float | None = None, stop: Callable[[], bool] | None = None) -> Result:
        """Run until the guest ends, `timeout` seconds of real time are over, or `stop()` holds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        size = SLICE if self.cpu_count == 1 else SMALL_SLICE
        while self._end is None:
            if deadline is not None and time.monotonic() > deadline:
                return Result(STATUS_TIMEOUT, f"the guest was still running after {timeout:g} s")
            if self.input is not None:
                typed = self.input()
                if typed:
                    self.sclp.type_in(typed)
            if stop is not None and stop():
                return Result(0, "ended from the console")
            ran = False
            for vcpu in self.processors:
                if self._end is None and vcpu.runnable():
                    ran = True
                    self.current = vcpu.address
                    self._slice(vcpu, size)
            if not ran and self._end is None:
                self._idle()
        return self._end

    def _slice(self, vcpu: SieVcpu, size: int) -> None:
        """Let a virtual CPU execute about `size` instructions."""
        self.host.deadline = self._processor.icount + size
        self._yield = False
        while self._end is None and not self._yield:
            if not self._goes_on(vcpu, self.backend.run(vcpu, self.host)):
                return

    def _goes_on(self, vcpu: SieVcpu, end: RunEnd) -> bool:
        """Do what the end of a run asks for; whether the slice goes on."""
        match end:
            case ToMachine(request=request):
                self._answer(vcpu, request)
                return not vcpu.stopped
            case Preempted(to=None):
                return False
            case Preempted(to=address):
                target = None if address is None else self.vm.vcpu(address)
                if target is not None and target.runnable():
                    self.current = target.address
                    self._slice(target, SMALL_SLICE)
                return False
            case Wait() | NotOperating():
                return False
            case Stopped(diagnosis=why):
                self._end = Result(STATUS_CRASHED, why)
                return False

    def _answer(self, vcpu: SieVcpu, request: requests.Request) -> None:
        """Answer what the hypervisor hands out."""
        match request:
            case requests.ServiceCall(command=command, address=address):
                vcpu.set_cc(self.sclp.call(command, address))
            case requests.Diagnose(code=code, r1=r1, r3=r3):
                services.diagnose(self, vcpu, code, r1, r3)
            case requests.IoInstruction(opcode=opcode):
                services.io(self, vcpu, opcode)
            case requests.StoreSystemInformation(where=where):
                levels = request.function, request.selector1, request.selector2
                services.stsi(self, vcpu, levels, where)
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
                self._end = Result(0, "the guest asked for a restart")
            case _:
                self._end = Result(STATUS_CRASHED, crash(request))

    def _idle(self) -> None:
        """All CPUs wait: virtual time jumps to the next timer."""
        if self.input is not None:
            time.sleep(IDLE_POLL)
        times = [wake for vcpu in self.processors if (wake := vcpu.wake_time()) is not None]
        if times:
            self._processor.tod = max(min(times), self._processor.tod)
        elif self.input is None:
            self._end = Result(STATUS_CRASHED, "all processors wait and nothing can wake them")

    def statistics(self) -> list[str]:
        """Why the guest was left, and how long it took to go on, as lines of a table."""
        return formatted(self.vm.statistics())

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
        case requests.DebugEvent(address=address, reason=reason):
            return f"{reason} at {address:X}"
        case _:
            return f"unexpected request {request!r}"
