"""Observers of a machine's CPUs: the trace and the statistics of exits.

The time of an exit is from ceasing to execute to executing again. In virtual time what the machine
does takes none: what remains is waiting, and the other CPUs' turns.
"""

from worldswitch.lab.statistics import Tally
from worldswitch.lab.trace import TraceWriter
from worldswitch.machine.observer import Details, Observer

EXECUTE = "execute"


class ExitTrace:
    """Writes a track for each CPU: alternately `execute` and the reason it left for."""

    def __init__(self, trace: TraceWriter) -> None:
        self._trace = trace
        self._tracks: dict[tuple[str, int], int] = {}
        self._left: set[int] = set()

    def _track(self, group: str, cpu: int) -> int:
        track = self._tracks.get((group, cpu))
        if track is None:
            track = self._tracks[group, cpu] = self._trace.track(group, f"CPU {cpu}")
        return track

    def entered(self, group: str, cpu: int, time: int) -> None:
        """What the CPU left for is over."""
        track = self._track(group, cpu)
        if track in self._left:
            self._left.remove(track)
            self._trace.end(track, time)
        self._trace.begin(track, EXECUTE, time)

    def left(self, group: str, cpu: int, time: int, reason: str, details: Details) -> None:
        """Executing is over, and the reason's time begins."""
        track = self._track(group, cpu)
        self._trace.end(track, time)
        self._trace.begin(track, reason, time, details)
        self._left.add(track)

    def happened(self, group: str, cpu: int, time: int, name: str, details: Details) -> None:
        """A mark on the CPU's track."""
        self._trace.instant(self._track(group, cpu), name, time, details)


class ExitTally:
    """Counts and times exits by reason, of all CPUs of one group together.

    group: which; None for the one that is first heard of.
    """

    def __init__(self, group: str | None = None) -> None:
        self.tally = Tally()
        self.group = group
        self._open: dict[int, tuple[str, int]] = {}

    def entered(self, group: str, cpu: int, time: int) -> None:
        """What the CPU left for took until `time`."""
        if self.group is None:
            self.group = group
        if group != self.group:
            return
        left = self._open.pop(cpu, None)
        if left is not None:
            name, since = left
            self.tally.add(name, time - since)

    def left(self, group: str, cpu: int, time: int, reason: str, details: Details) -> None:
        """An exit's time begins."""
        if group == self.group:
            self._open[cpu] = (reason, time)

    def happened(self, group: str, cpu: int, time: int, name: str, details: Details) -> None:
        """Marks are not counted."""

    def close(self) -> None:
        """Count the exits after which nothing was entered: they took no time."""
        for name, _ in self._open.values():
            self.tally.add(name, 0)
        self._open.clear()


class Observers:
    """Several observers, told one after the other."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def entered(self, group: str, cpu: int, time: int) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.entered(group, cpu, time)

    def left(self, group: str, cpu: int, time: int, reason: str, details: Details) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.left(group, cpu, time, reason, details)

    def happened(self, group: str, cpu: int, time: int, name: str, details: Details) -> None:
        """Tell all."""
        for observer in self._observers:
            observer.happened(group, cpu, time, name, details)
