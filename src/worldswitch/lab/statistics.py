"""The table of exits that `--stat` prints: what `perf kvm stat` shows, in virtual time.

Times are in units of the TOD clock (2**-12 microseconds): a run with the same inputs has the same
table.
"""

from collections.abc import Sequence
from typing import Protocol, TextIO

from worldswitch.hypervisor import statistics
from worldswitch.hypervisor.statistics import Line, Statistics

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


class Tally:
    """Samples by event, added up as the hypervisor adds up its exits."""

    def __init__(self) -> None:
        self._statistics = Statistics()

    def add(self, name: str, time: int) -> None:
        """Count a sample that took `time`."""
        self._statistics.add(name, time)

    def lines(self) -> list[Line]:
        """The table's lines, the most frequent event first."""
        return statistics.table([self._statistics])


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
