"""What the machines of all architectures have in common: the loop that gives turns, and its end."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from worldswitch.machine.image import Module
from worldswitch.machine.observer import Observer
from worldswitch.machine.result import STATUS_TIMEOUT, Result

IDLE_POLL = 0.002
"""Seconds between looks at the keyboard while an interactive guest waits."""
LONGEST_SLEEP = 0.1
"""Seconds that an idle machine in real time sleeps at a time."""
Engine = Literal["native", "python"]


class Board(ABC):
    """A machine. Its processors take turns; nothing runs at the same time, so a run repeats."""

    memory: Any
    """The guest's physical memory: `size`, `read(address, size)`, `write(address, data)`."""
    processors: Any
    """What the guest takes for its CPUs."""

    def __init__(self) -> None:
        self.console = bytearray()
        """What the guest printed, unless somebody took it."""
        self.input: Callable[[], bytes] | None = None
        """Polled between slices for console input; None if nobody types."""
        self.observer: Observer | None = None
        """Told when processors begin and cease to execute the guest."""
        self.current = 0
        """Number of the processor that ran last."""
        self._end: Result | None = None

    @abstractmethod
    def load(
        self,
        kernel: Path,
        initrd: Path | None = None,
        append: str = "",
        modules: Sequence[Module] = (),
    ) -> None:
        """Load an image and have the first processor start it; raises ImageError.

        modules: what a multiboot or PVH kernel gets behind the initial RAM disk.
        """

    @abstractmethod
    def slice_size(self) -> int:
        """Instructions of a turn."""

    @abstractmethod
    def round(self, size: int) -> bool:
        """Give every processor that is ready its turn; whether there was one."""

    @abstractmethod
    def idle(self) -> None:
        """All processors wait: virtual time jumps to the next timer, real time passes."""

    @abstractmethod
    def type_in(self, data: bytes) -> None:
        """Console input for the guest."""

    @abstractmethod
    def recent_exits(self) -> list[str]:
        """The last ten exits, oldest first."""

    @property
    def cpu_count(self) -> int:
        """How many CPUs the guest has."""
        return len(self.processors)

    def end(self, result: Result) -> None:
        """End the run: `run` returns this result."""
        self._end = result

    @property
    def result(self) -> Result | None:
        """How the run ended; None while the guest can go on."""
        return self._end

    def run(self, timeout: float | None = None, stop: Callable[[], bool] | None = None) -> Result:
        """Run until the guest ends, `timeout` seconds of real time are over, or `stop()` holds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        size = self.slice_size()
        while self._end is None:
            if deadline is not None and time.monotonic() > deadline:
                return Result(STATUS_TIMEOUT, f"the guest was still running after {timeout:g} s")
            if self.input is not None:
                typed = self.input()
                if typed:
                    self.type_in(typed)
            if stop is not None and stop():
                return Result(0, "ended from the console")
            if not self.round(size) and self._end is None:
                self.idle()
        return self._end
