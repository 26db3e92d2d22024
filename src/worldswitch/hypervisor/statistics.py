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

    events: dict[str, EventTimes] = field(default_factory=dict[str, EventTimes])
    counters: Counter[str] = field(default_factory=Counter[str])
    _last: EventTimes | None = None
    _since: int | None = None

    def left(self, reason: str) -> None:
        """The guest was left for `reason`. It takes no time unless `waits` says that it does."""
        times = self.events.get(reason)
        if times is None:
            times = self.events[reason] = EventTimes()
        last = self._last
        if last is not None:  # last.add(0), on the path of every exit
            last.samples += 1
            last.shortest = 0
        self._last = times

    def waits(self, now: int) -> None:
        """The run has ended, at host time `now`: the last exit goes on until the next one."""
        if self._since is None:
            self._since = now

    def entered(self, now: int) -> None:
        """A run begins: what the guest was left for last took until `now`."""
        last, since = self._last, self._since
        if last is not None:
            last.add(0 if since is None else now - since)
        self._last = self._since = None

    def settle(self) -> None:
        """Count the last exit, after which nothing has been entered yet: it took no time."""
        if self._last is not None:
            self._last.add(0)
            self._last = None

    def count(self, name: str) -> None:
        """Count an event that is no exit of its own, such as a kind of instruction."""
        self.counters[name] += 1


def table(parts: list[Statistics]) -> list[Line]:
    """The lines for several virtual CPUs together, the most frequent reason first."""
    merged: dict[str, EventTimes] = {}
    for part in parts:
        part.settle()
        for name, times in part.events.items():
            into = merged.setdefault(name, EventTimes(shortest=times.shortest))
            into.samples += times.samples
            into.total += times.total
            into.shortest = min(into.shortest, times.shortest)
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
