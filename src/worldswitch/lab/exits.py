"""Observers of a machine's processors: the trace and the statistics of exits from native code.

The time of an exit is from leaving native code to entering it again. In virtual time what the
machine does takes none: what remains is waiting, and the other processors' turns.
"""

from worldswitch.lab.statistics import Tally
from worldswitch.lab.trace import TraceWriter
from worldswitch.machine.s390x.observer import Observer
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Processor

GROUP = "processors"
EXECUTE = "execute"
ARGUMENTS: dict[Exit, tuple[str, ...]] = {
    Exit.SERVICE_CALL: ("command", "sccb"),
    Exit.DIAGNOSE: ("function", "r1", "r3"),
    Exit.SIGP: ("order", "cpu", "parameter"),
    Exit.STSI: ("gr0", "gr1", "address"),
    Exit.IO: ("opcode", "address"),
    Exit.UVC: ("r1", "block"),
}
"""What `exit_args` hold."""


class ExitTrace:
    """Writes a track for each processor: alternately `execute` and the reason it left for."""

    def __init__(self, trace: TraceWriter) -> None:
        self._trace = trace
        self._tracks: dict[int, int] = {}
        self._left: set[int] = set()

    def entered(self, cpu: Processor, time: int) -> None:
        """What the processor left for is over."""
        number = cpu.cpu_address
        if number not in self._tracks:
            self._tracks[number] = self._trace.track(GROUP, f"processor {number}")
        track = self._tracks[number]
        if number in self._left:
            self._left.remove(number)
            self._trace.end(track, time)
        self._trace.begin(track, EXECUTE, time)

    def left(self, cpu: Processor, time: int, reason: Exit) -> None:
        """Executing is over, and the reason's time begins."""
        track = self._tracks[cpu.cpu_address]
        self._trace.end(track, time)
        values: dict[str, int | str] = {"psw": f"{cpu.raw.psw_addr:#x}", "instructions": cpu.icount}
        for n, name in enumerate(ARGUMENTS.get(reason, ())):
            values[name] = f"{cpu.raw.exit_args[n]:#x}"
        self._trace.begin(track, reason.name, time, values)
        self._left.add(cpu.cpu_address)


class ExitTally:
    """Counts and times exits by reason, of all processors together."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._open: dict[int, tuple[str, int]] = {}

    def entered(self, cpu: Processor, time: int) -> None:
        """What the processor left for took until `time`."""
        left = self._open.pop(cpu.cpu_address, None)
        if left is not None:
            name, since = left
            self.tally.add(name, time - since)

    def left(self, cpu: Processor, time: int, reason: Exit) -> None:
        """An exit's time begins."""
        self._open[cpu.cpu_address] = (reason.name, time)

    def close(self) -> None:
        """Count the exits after which nothing was entered: they took no time."""
        for name, _ in self._open.values():
            self.tally.add(name, 0)
        self._open.clear()


class Observers:
    """Several observers, told one after the other."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def entered(self, cpu: Processor, time: int) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.entered(cpu, time)

    def left(self, cpu: Processor, time: int, reason: Exit) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.left(cpu, time, reason)
