"""The s390 machine whose guest runs straight on the modelled processors."""

from collections import deque
from collections.abc import Callable

from worldswitch.arch.s390x.sie_host import SieHost
from worldswitch.engine.build import Progress
from worldswitch.machine.result import STATUS_CRASHED, Result
from worldswitch.machine.s390x import ipl, services
from worldswitch.machine.s390x.board import PSW_64, PSW_DAT, S390Board
from worldswitch.machine.s390x.modelled import DEFAULT_MODEL, modelled_cpu
from worldswitch.machine.s390x.watchdog import END_OF_TIME
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.pending import PENDING_SERVICE_SIGNAL
from worldswitch.metal.s390x.processor import FAR, TOD_PER_INSTRUCTION, Complex, Processor
from worldswitch.metal.s390x.storage import Storage

GROUP = "processors"
PSW_INTERRUPTS = 0x0304_0000_0000_0000
ARGUMENTS: dict[Exit, tuple[str, ...]] = {
    Exit.SERVICE_CALL: ("command", "sccb"),
    Exit.DIAGNOSE: ("function", "r1", "r3"),
    Exit.SIGP: ("order", "cpu", "parameter"),
    Exit.STSI: ("gr0", "gr1", "address"),
    Exit.IO: ("opcode", "address"),
    Exit.UVC: ("r1", "block"),
    Exit.SIE: ("state_description",),
}
"""What `exit_args` hold."""


class S390Machine(S390Board):
    """A machine with `cpus` processors of `model` and `memory` bytes of storage."""

    processors: list[Processor]
    memory: Storage

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
        super().__init__(self.storage, modelled_cpu(model), cpus, output, real_time)
        self.complex = Complex(self.storage, self.model, cpus, engine, progress)
        self.processors = self.complex.processors
        self.exits: dict[Exit, int] = {}
        """How often the processors left native code, by reason."""
        self._recent: deque[tuple[Exit, int]] = deque(maxlen=10)
        self._hooks: dict[Exit, list[Callable[[Processor], bool]]] = {}
        self.sclp.sie = self.model.sie
        self._time = self._start_time
        self.sie_host = SieHost.of(self.model, storage_limit=memory)
        """What the state descriptions that programs give to SIE are checked against."""
        for processor in self.processors:
            processor.raw.cpu_id = self.model.cpu_id(processor.cpu_address)
        self._answers: dict[Exit, Callable[[Processor], None]] = {
            Exit.SERVICE_CALL: self._service_call,
            Exit.SIGP: lambda cpu: services.sigp(self, cpu),
            Exit.STSI: self._stsi,
            Exit.DIAGNOSE: lambda cpu: services.diagnose(
                self, cpu, *(cpu.raw.exit_args[n] for n in range(3))
            ),
            Exit.IO: lambda cpu: services.io(self, cpu, cpu.raw.exit_args[0]),
            Exit.PTF: lambda cpu: cpu.set_cc(2),
            Exit.SIE: lambda cpu: services.sie(self, cpu),
        }

    @property
    def time(self) -> int:
        return self._time

    @time.setter
    def time(self, value: int) -> None:
        self._time = value

    def start(self, address: int, mask: int = PSW_64, cpu: int = 0) -> None:
        processor = self.processors[cpu]
        processor.psw = (mask, address)
        processor.raw.running = 1

    def service_signal(self, parameter: int) -> None:
        """A service signal is floating: whichever processor enables it first takes it."""
        target = self.processors[self.current]
        for processor in self.processors:
            if processor.raw.running and processor.raw.cr[0] & 0x200:
                target = processor
                break
        target.raw.service_parameter |= parameter & 0xFFFF_FFFF
        target.make_pending(PENDING_SERVICE_SIGNAL)

    # Turns.

    def ready(self, cpu: int) -> bool:
        processor = self.processors[cpu]
        processor.tod = self._time
        raw = processor.raw
        if not raw.running:
            return False
        return not raw.wait or bool(raw.check) or processor.timer_due()

    def wake_time(self) -> int | None:
        for processor in self.processors:
            processor.tod = self._time
        waits = [p.until_timer() for p in self.processors if p.raw.running]
        nearest = min(waits, default=FAR)
        if nearest >= FAR:
            return None
        return min(self._time + (nearest + 1) * TOD_PER_INSTRUCTION, END_OF_TIME)

    def turn(self, cpu: int, size: int) -> None:
        processor = self.processors[cpu]
        end = processor.icount + size
        while self._end is None and not self._yield:
            left = end - processor.icount
            if left <= 0 or not self._answered(processor, self._enter(processor, left)):
                break
        self._time = processor.tod

    def step(self, cpu: int = 0) -> Exit:
        """Execute one instruction of one processor; why it came back, BUDGET if for nothing else.

        What the exit asks for has been done. Nothing is executed once the run has ended.
        """
        processor = self.processors[cpu]
        if self._end is not None or not processor.raw.running:
            return Exit.STOPPED
        self.current = cpu
        self.keep_time()
        processor.tod = self._time
        reason = processor.step()
        self._answered(processor, reason)
        self._time = processor.tod
        return reason

    def _enter(self, processor: Processor, budget: int) -> Exit:
        observer = self.observer
        if observer is None:
            return processor.run(budget)
        cpu = processor.cpu_address
        observer.entered(GROUP, cpu, processor.tod)
        reason = processor.run(budget)
        details: dict[str, int | str] = {
            "psw": f"{processor.raw.psw_addr:#x}",
            "instructions": processor.icount,
        }
        for n, name in enumerate(ARGUMENTS.get(reason, ())):
            details[name] = f"{processor.raw.exit_args[n]:#x}"
        observer.left(GROUP, cpu, processor.tod, reason.name, details)
        return reason

    # Exits.

    def on(self, reason: Exit, hook: Callable[[Processor], bool]) -> None:
        """Call `hook` with the processor at each exit for `reason`, before the machine's answer.

        A hook that returns True has answered the exit; otherwise the next one is asked, and the
        machine in the end.
        """
        self._hooks.setdefault(reason, []).append(hook)

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
        elif reason == Exit.PROGRAM_LOOP:
            loop = "the program-interruption new PSW causes program interruptions without end"
            self._end = Result(STATUS_CRASHED, loop)
        elif reason not in (Exit.BUDGET, Exit.STOPPED):
            self._end = Result(STATUS_CRASHED, f"unexpected exit {reason.name}")
            return False
        if processor.raw.running:
            return True
        self._stopped()
        return False

    def _service_call(self, cpu: Processor) -> None:
        cpu.set_cc(self.sclp.call(cpu.raw.exit_args[0], cpu.raw.exit_args[1]))

    def _stsi(self, cpu: Processor) -> None:
        gr0, gr1, where = (cpu.raw.exit_args[n] for n in (0, 1, 3))
        levels = gr0 >> 28 & 0xF, gr0 & 0xFF, gr1 & 0xFFFF
        if levels[0] == 0:
            cpu.gr[0] = (cpu.gr[0] & ~0xF000_0000) | 3 << 28
            cpu.set_cc(0)
        else:
            services.stsi(self, cpu, levels, where)

    def ipl_diagnose(self, cpu: services.Asking, r1: int, r3: int) -> None:
        """DIAGNOSE 308: re-IPL functions. ref: DIAG 308."""
        ipl.diagnose(self, cpu, r1, cpu.gr[r3] & 0xFFFF)

    def _stopped(self) -> None:
        if not any(p.raw.running for p in self.processors):
            self._end = Result(0, "all processors stopped: the guest is off")

    def _waits(self, processor: Processor) -> None:
        mask, address = processor.psw
        if not mask & PSW_INTERRUPTS:
            self._end = Result(STATUS_CRASHED, f"disabled wait: PSW {mask:016X} {address:016X}")

    # For people.

    def recent_exits(self) -> list[str]:
        return [f"{reason.name} at {address:X}" for reason, address in self._recent]

    def current_code(self) -> int | None:
        mask, address = self.processors[self.current].psw
        if mask & PSW_DAT:
            return None
        return address ^ self.current_prefix() if address >> 13 == 0 else address

    def current_prefix(self) -> int:
        return self.processors[self.current].raw.prefix
