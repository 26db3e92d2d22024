"""The s390 machine, whoever executes its guest: console, clock, and the loop that gives turns."""

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

from worldswitch.arch.s390x.models import CpuModel
from worldswitch.machine.board import IDLE_POLL, LONGEST_SLEEP, Board
from worldswitch.machine.image import ImageError, Module
from worldswitch.machine.result import STATUS_CRASHED, STATUS_RESTART, Result
from worldswitch.machine.s390x import loader
from worldswitch.machine.s390x.clock import TOD_PER_SECOND, VIRTUAL_START, RealClock
from worldswitch.machine.s390x.sclp import Memory, Sclp
from worldswitch.machine.s390x.watchdog import Watchdog

SLICE = 1_000_000
"""Instructions a processor executes before the next one's turn."""
SMALL_SLICE = 100_000
"""The same with several processors, and where time is real: timers are looked at in between."""
PSW_64 = 0x0000_0001_8000_0000
"""64-bit addressing, DAT off, all interruptions off."""
PSW_DAT = 1 << 58

RESTARTED = Result(STATUS_RESTART, "the guest asked for a restart")


class S390Board(Board):
    """What the bare machine and the machine of a guest have in common."""

    model: CpuModel

    def __init__(
        self,
        memory: Memory,
        model: CpuModel,
        cpus: int,
        output: Callable[[bytes], None] | None,
        real_time: bool,
    ) -> None:
        super().__init__()
        self.memory, self.model = memory, model
        output = output or self.console.extend
        self.sclp = Sclp(memory, model, cpus, output, self.service_signal)
        self.watchdog = Watchdog()
        self._clock = RealClock() if real_time else None
        self._start_time = VIRTUAL_START if self._clock is None else self._clock.now()
        self._yield = False

    @property
    @abstractmethod
    def time(self) -> int:
        """The TOD clock: it advances with what the processors execute, or in real time."""

    @time.setter
    @abstractmethod
    def time(self, value: int) -> None: ...

    @abstractmethod
    def service_signal(self, parameter: int) -> None:
        """Make a service signal pending, a floating interruption."""

    @abstractmethod
    def start(self, address: int, mask: int = PSW_64, cpu: int = 0) -> None:
        """Have a processor execute from `address` with PSW bits 0-63 `mask`."""

    @abstractmethod
    def ready(self, cpu: int) -> bool:
        """Whether a processor has something to execute."""

    @abstractmethod
    def turn(self, cpu: int, size: int) -> None:
        """Let a processor execute about `size` instructions."""

    @abstractmethod
    def wake_time(self) -> int | None:
        """When the first waiting processor wakes by itself, by the TOD clock; None: never."""

    @abstractmethod
    def current_code(self) -> int | None:
        """Absolute address of the text at the PSW where DAT is off; None where it is on."""

    @abstractmethod
    def current_prefix(self) -> int:
        """The prefix of the processor that ran last."""

    def load(
        self,
        kernel: Path,
        initrd: Path | None = None,
        append: str = "",
        modules: Sequence[Module] = (),
    ) -> None:
        """Load an image and have the first processor start it; raises ImageError."""
        if modules:
            raise ImageError("--module: no s390x kernel takes modules. Leave it out.")
        mask, address = loader.load(self.memory, kernel, initrd, append).psw
        self.start(address, mask)

    def yield_slice(self) -> None:
        """The current processor gives the rest of its slice away."""
        self._yield = True

    def slice_size(self) -> int:
        alone = self.cpu_count == 1 and self._clock is None
        return SLICE if alone else SMALL_SLICE

    def type_in(self, data: bytes) -> None:
        self.sclp.type_in(data)

    def round(self, size: int) -> bool:
        ran = False
        if self.watchdog.due(self.time):
            self.end(Result(STATUS_CRASHED, "the guest did not tend its watchdog (DIAGNOSE 288)"))
        for cpu in range(self.cpu_count):
            self.keep_time()
            if self._end is None and self.ready(cpu):
                ran = True
                self.current = cpu
                self._yield = False
                self.turn(cpu, size)
        return ran

    def keep_time(self) -> None:
        """Set the TOD clock where it follows real time."""
        if self._clock is not None:
            self.time = max(self.time, self._clock.now())

    def idle(self) -> None:
        times = [when for when in (self.wake_time(), self.watchdog.expires) if when is not None]
        wake = min(times, default=None)
        if wake is None and self.input is None:
            self.end(Result(STATUS_CRASHED, "all processors wait and nothing can wake them"))
        elif self._clock is not None:
            longest = LONGEST_SLEEP if self.input is None else IDLE_POLL
            ahead = longest if wake is None else max(0, wake - self.time) / TOD_PER_SECOND
            time.sleep(min(ahead, longest))
        else:
            if self.input is not None:
                time.sleep(IDLE_POLL)
            if wake is not None:
                self.time = max(self.time, wake)
