"""The s390 machine: storage, processors, service processor, and the loop that runs them."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worldswitch.arch.s390x.models import CpuModel
from worldswitch.engine.build import Progress
from worldswitch.machine.s390x import loader, services
from worldswitch.machine.s390x.clock import TOD_PER_SECOND, VIRTUAL_START, RealClock
from worldswitch.machine.s390x.modelled import DEFAULT_MODEL, modelled_cpu
from worldswitch.machine.s390x.observer import Observer
from worldswitch.machine.s390x.sclp import Sclp
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.pending import PENDING_SERVICE_SIGNAL
from worldswitch.metal.s390x.processor import FAR, TOD_PER_INSTRUCTION, Complex, Processor
from worldswitch.metal.s390x.storage import Storage

SLICE = 1_000_000
"""Instructions a processor executes before the next one's turn."""
SMALL_SLICE = 100_000
"""The same with several processors, and where time is real: timers are looked at in between."""
PSW_INTERRUPTS = 0x0304_0000_0000_0000
PSW_DAT = 1 << 58
PSW_64 = 0x0000_0001_8000_0000
"""64-bit addressing, DAT off, all interruptions off."""
IDLE_POLL = 0.002
"""Seconds between looks at the keyboard while an interactive guest waits."""
LONGEST_SLEEP = 0.1
"""Seconds that an idle machine in real time sleeps at a time."""


@dataclass(frozen=True)
class Result:
    """How a run ended: the exit status, and why in a sentence."""

    status: int
    reason: str


STATUS_CRASHED = 3
STATUS_TIMEOUT = 124


class S390Machine:
    """A machine with `cpus` processors of `model` and `memory` bytes of storage."""

    def __init__(
        self,
        memory: int = 512 << 20,
        cpus: int = 1,
        model: str = DEFAULT_MODEL,
        engine: str = "native",
        output: Callable[[bytes], None] | None = None,
        progress: Progress | None = None,
        real_time: bool = False,
    ) -> None:
        self.storage = Storage(memory)
        self.model: CpuModel = modelled_cpu(model)
        self.complex = Complex(self.storage, self.model, cpus, engine, progress)
        self.processors = self.complex.processors
        self.console = bytearray()
        self._output = output or self.console.extend
        self.sclp = Sclp(self.storage, self.model, cpus, self._output, self._service_signal)
        self.input: Callable[[], bytes] | None = None
        """Polled between slices for console input; None if nobody types."""
        self.exits: dict[Exit, int] = {}
        self._recent: deque[tuple[Exit, int]] = deque(maxlen=10)
        self.current = 0
        self._yield = False
        self._end: Result | None = None
        self._hooks: dict[Exit, list[Callable[[Processor], bool]]] = {}
        self.observer: Observer | None = None
        """Told of every entry into native code and every exit from it."""
        self._clock = RealClock() if real_time else None
        self.time = VIRTUAL_START if self._clock is None else self._clock.now()
        """The TOD clock: it advances with what any of the processors executes, or in real time."""
        for processor in self.processors:
            processor.raw.cpu_id = self.model.cpu_id(processor.cpu_address)
        self._answers: dict[Exit, Callable[[Processor], None]] = {
            Exit.SERVICE_CALL: self._service_call,
            Exit.SIGP: lambda cpu: services.sigp(self, cpu),
            Exit.STSI: lambda cpu: services.stsi(self, cpu),
            Exit.DIAGNOSE: lambda cpu: services.diagnose(self, cpu),
            Exit.IO: lambda cpu: services.io(self, cpu),
            Exit.PTF: lambda cpu: cpu.set_cc(2),
        }

    def load(self, kernel: Path, initrd: Path | None = None, append: str = "") -> None:
        """Load an image and have the first processor start it; raises loader.ImageError."""
        boot = loader.load(self.storage, kernel, initrd, append)
        first = self.processors[0]
        first.psw = boot.psw
        first.raw.running = 1

    def _service_call(self, cpu: Processor) -> None:
        cpu.set_cc(self.sclp.call(cpu.raw.exit_args[0], cpu.raw.exit_args[1]))

    def _service_signal(self, parameter: int) -> None:
        """A service signal is floating: whichever processor enables it first takes it."""
        target = self.processors[self.current]
        for processor in self.processors:
            if processor.raw.running and processor.raw.cr[0] & 0x200:
                target = processor
                break
        target.raw.service_parameter |= parameter & 0xFFFF_FFFF
        target.make_pending(PENDING_SERVICE_SIGNAL)

    def yield_slice(self) -> None:
        """The current processor gives the rest of its slice away."""
        self._yield = True

    def ipl_diagnose(self, cpu: Processor, r1: int, r3: int) -> None:
        """DIAGNOSE 308: re-IPL functions. ref: DIAG 308."""
        subcode = cpu.gr[r3] & 0xFFFF
        if subcode in (0, 1, 3, 4):
            self._end = Result(0, "the guest asked for a restart")
        elif subcode in (5, 6):
            cpu.gr[r1 | 1] = 0x0102 if subcode == 6 else 0x0001
        else:
            cpu.program(0x0006)

    def run(self, timeout: float | None = None, stop: Callable[[], bool] | None = None) -> Result:
        """Run until the guest ends, `timeout` seconds of real time are over, or `stop()` holds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        alone = len(self.processors) == 1 and self._clock is None
        slice_size = SLICE if alone else SMALL_SLICE
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
            for n, processor in enumerate(self.processors):
                self.current = n
                if self._clock is not None:
                    self.time = max(self.time, self._clock.now())
                processor.tod = self.time
                if processor.raw.running and self._may_run(processor):
                    ran = True
                    self._slice(processor, slice_size)
                    self.time = processor.tod
                    if self._end is not None:
                        break
            if not ran and self._end is None:
                self._idle()
        return self._end

    @staticmethod
    def _may_run(processor: Processor) -> bool:
        raw = processor.raw
        return not raw.wait or bool(raw.check) or processor.timer_due()

    def _slice(self, processor: Processor, size: int) -> None:
        end = processor.icount + size
        self._yield = False
        while self._end is None and not self._yield:
            left = end - processor.icount
            if left <= 0 or not self._answered(processor, self._enter(processor, left)):
                return

    def _answered(self, processor: Processor, reason: Exit) -> bool:
        """Do what an exit from native code is for; whether the processor can go on at once."""
        self.exits[reason] = self.exits.get(reason, 0) + 1
        self._recent.append((reason, processor.raw.psw_addr))
        answer = self._answers.get(reason)
        if any(hook(processor) for hook in self._hooks.get(reason, ())):
            pass
        elif answer is not None:
            answer(processor)
        elif reason == Exit.WAIT:
            self._waits(processor)
            return False
        elif reason not in (Exit.BUDGET, Exit.STOPPED):
            self._end = Result(STATUS_CRASHED, f"unexpected exit {reason.name}")
            return False
        if processor.raw.running:
            return True
        self._stopped()
        return False

    def start(self, address: int, mask: int = PSW_64, cpu: int = 0) -> None:
        """Have a processor execute from `address` with PSW bits 0-63 `mask`."""
        processor = self.processors[cpu]
        processor.psw = (mask, address)
        processor.raw.running = 1

    def on(self, reason: Exit, hook: Callable[[Processor], bool]) -> None:
        """Call `hook` with the processor at each exit for `reason`, before the machine's answer.

        A hook that returns True has answered the exit; otherwise the next one is asked, and the
        machine in the end.
        """
        self._hooks.setdefault(reason, []).append(hook)

    def end(self, result: Result) -> None:
        """End the run: `run` returns this result."""
        self._end = result

    @property
    def result(self) -> Result | None:
        """How the run ended; None while the guest can go on."""
        return self._end

    def step(self, cpu: int = 0) -> Exit:
        """Execute one instruction of one processor; why it came back, BUDGET if for nothing else.

        What the exit asks for has been done. Nothing is executed once the run has ended.
        """
        processor = self.processors[cpu]
        if self._end is not None or not processor.raw.running:
            return Exit.STOPPED
        self.current = cpu
        if self._clock is not None:
            self.time = max(self.time, self._clock.now())
        processor.tod = self.time
        reason = processor.step()
        self._answered(processor, reason)
        self.time = processor.tod
        return reason

    def _enter(self, processor: Processor, budget: int) -> Exit:
        observer = self.observer
        if observer is None:
            return processor.run(budget)
        observer.entered(processor, processor.tod)
        reason = processor.run(budget)
        observer.left(processor, processor.tod, reason)
        return reason

    def _stopped(self) -> None:
        if not any(p.raw.running for p in self.processors):
            self._end = Result(0, "all processors stopped: the guest is off")

    def _waits(self, processor: Processor) -> None:
        mask, address = processor.psw
        if not mask & PSW_INTERRUPTS:
            self._end = Result(STATUS_CRASHED, f"disabled wait: PSW {mask:016X} {address:016X}")

    def statistics(self) -> list[str]:
        """Why the processors left native code, as lines of a table."""
        total = sum(self.exits.values()) or 1
        rows = sorted(self.exits.items(), key=lambda item: -item[1])
        return [f"{'exit':14} {'samples':>10} {'share':>7}"] + [
            f"{reason.name:14} {count:10d} {count / total:6.1%}" for reason, count in rows
        ]

    def recent_exits(self) -> list[str]:
        """The last ten exits with the PSW's address, oldest first."""
        return [f"{reason.name} at {address:X}" for reason, address in self._recent]

    def code_address(self, cpu: Processor) -> int | None:
        """Absolute address of the text at the PSW where DAT is off; None where it is on."""
        mask, address = cpu.psw
        if mask & PSW_DAT:
            return None
        return address ^ cpu.raw.prefix if address >> 13 == 0 else address

    def _idle(self) -> None:
        """All processors wait: virtual time jumps to the next timer, real time passes."""
        if self.input is not None and self._clock is None:
            time.sleep(IDLE_POLL)
        for processor in self.processors:
            processor.tod = self.time
        waits = [p.until_timer() for p in self.processors if p.raw.running]
        nearest = min(waits, default=FAR)
        if nearest >= FAR:
            if self.input is not None:
                if self._clock is not None:
                    time.sleep(IDLE_POLL)
                return
            self._end = Result(STATUS_CRASHED, "all processors wait and nothing can wake them")
            return
        ahead = (nearest + 1) * TOD_PER_INSTRUCTION
        if self._clock is None:
            self.time += ahead
        else:
            longest = LONGEST_SLEEP if self.input is None else IDLE_POLL
            time.sleep(min(ahead / TOD_PER_SECOND, longest))
