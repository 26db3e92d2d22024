"""The table of exits that `--stat` prints: what `perf kvm stat` shows, in virtual time.

Times are in units of the TOD clock (2**-12 microseconds): a run with the same inputs has the same
table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TextIO

TOD_PER_MICROSECOND = 4096
WIDTH = 100
"""Columns of a table that goes to a file."""


class StatisticsLine(Protocol):
    """One event of the table; shares are of all samples and of all time, 0 to 1."""

    @property
    def name(self) -> str: ...
    @property
    def samples(self) -> int: ...
    @property
    def sample_share(self) -> float: ...
    @property
    def time_share(self) -> float: ...
    @property
    def shortest(self) -> int: ...
    @property
    def longest(self) -> int: ...
    @property
    def average(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Line:
    """A `StatisticsLine` as `Tally` makes it."""

    name: str
    samples: int
    sample_share: float
    time_share: float
    shortest: int
    longest: int
    average: float


class Tally:
    """Samples by event: for each their number, and the sum and the extremes of their times."""

    def __init__(self) -> None:
        self._events: dict[str, list[int]] = {}

    def add(self, name: str, time: int) -> None:
        """Count a sample that took `time`."""
        event = self._events.get(name)
        if event is None:
            self._events[name] = [1, time, time, time]
            return
        event[0] += 1
        event[1] += time
        event[2] = min(event[2], time)
        event[3] = max(event[3], time)

    def lines(self) -> list[Line]:
        """The table's lines, the most frequent event first."""
        samples = sum(event[0] for event in self._events.values()) or 1
        total = sum(event[1] for event in self._events.values()) or 1
        lines = [
            Line(name, count, count / samples, spent / total, low, high, spent / count)
            for name, (count, spent, low, high) in self._events.items()
        ]
        return sorted(lines, key=lambda line: (-line.samples, line.name))


def print_statistics(lines: Sequence[StatisticsLine], title: str, file: TextIO) -> None:
    """Print the table and its totals."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=title, title_justify="left")
    table.add_column("Event", no_wrap=True)
    for heading in ("Samples", "Samples%", "Time%", "Min us", "Max us", "Avg us"):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(
            line.name,
            str(line.samples),
            f"{line.sample_share:.2%}",
            f"{line.time_share:.2%}",
            *(_time(value) for value in (line.shortest, line.longest, line.average)),
        )
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=WIDTH)
    console.print(table)
    samples = sum(line.samples for line in lines)
    spent = sum(line.samples * line.average for line in lines)
    console.print(f"Total samples: {samples}, total time of events: {_time(spent)} us")


def _time(units: float) -> str:
    return f"{units / TOD_PER_MICROSECOND:.2f}"
