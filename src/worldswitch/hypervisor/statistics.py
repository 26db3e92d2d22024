"""What `worldswitch stat` shows of exits: how often, and what share of the time each reason takes.

Times are in units of the host's TOD clock, which is virtual time: a run with the same inputs has
the same table. The time of an exit is from the exit to the next entry, waits included.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class EventTimes:
    """One reason's samples."""

    samples: int = 0
    total: int = 0
    shortest: int = 0
    longest: int = 0

    def add(self, time: int) -> None:
        """Count one sample that took `time`."""
        if not self.samples or time < self.shortest:
            self.shortest = time
        self.longest = max(self.longest, time)
        self.total += time
        self.samples += 1

    @property
    def average(self) -> float:
        """Mean time of a sample."""
        return self.total / self.samples if self.samples else 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table; shares are of all samples and of all time, 0 to 1."""

    name: str
    samples: int
    sample_share: float
    time_share: float
    shortest: int
    longest: int
    average: float


@dataclass
class Statistics:
    """Exits by reason, and counters by name, of one virtual CPU."""

    exits: Counter[str] = field(default_factory=Counter[str])
    """All exits. Those that `events` does not have took no time."""
    events: dict[str, EventTimes] = field(default_factory=dict[str, EventTimes])
    """Exits after which the run has ended, so that time went by until the next entry."""
    counters: Counter[str] = field(default_factory=Counter[str])
    _last: str | None = None
    _since: int = 0

    def add(self, reason: str, time: int) -> None:
        """Count an exit that took `time`."""
        self.exits[reason] += 1
        self._timed(reason, time)

    def _timed(self, reason: str, time: int) -> None:
        times = self.events.get(reason)
        if times is None:
            times = self.events[reason] = EventTimes()
        times.add(time)

    @property
    def waiting(self) -> bool:
        """Whether the time of the last exit has not ended yet."""
        return self._last is not None

    def waits(self, reason: str, now: int) -> None:
        """The run has ended with an exit, at host time `now`: it goes on until the next entry."""
        self._last, self._since = reason, now

    def entered(self, now: int) -> None:
        """A run begins: what the guest was left for last took until `now`."""
        if self._last is not None:
            self._timed(self._last, now - self._since)
            self._last = None

    def count(self, name: str) -> None:
        """Count an event that is no exit of its own, such as a kind of instruction."""
        self.counters[name] += 1


def table(parts: list[Statistics]) -> list[Line]:
    """The lines for several virtual CPUs together, the most frequent reason first."""
    merged: dict[str, EventTimes] = {}
    for part in parts:
        for name, count in part.exits.items():
            times = part.events.get(name, EventTimes())
            shortest = times.shortest if times.samples == count else 0
            into = merged.setdefault(name, EventTimes(shortest=shortest))
            into.samples += count
            into.total += times.total
            into.shortest = min(into.shortest, shortest)
            into.longest = max(into.longest, times.longest)
    samples = sum(times.samples for times in merged.values()) or 1
    total = sum(times.total for times in merged.values()) or 1
    lines = [
        Line(
            name,
            times.samples,
            times.samples / samples,
            times.total / total,
            times.shortest,
            times.longest,
            times.average,
        )
        for name, times in merged.items()
    ]
    return sorted(lines, key=lambda line: (-line.samples, line.name))


def counters(parts: list[Statistics]) -> Counter[str]:
    """The counters of several virtual CPUs added up."""
    result: Counter[str] = Counter()
    for part in parts:
        result.update(part.counters)
    return result
