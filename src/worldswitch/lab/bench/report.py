"""Measuring rows, and showing what came out: a table for people, an object for programs."""

import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worldswitch.lab.bench.measure import Figure, MeasureError, Sample, alternate, figure
from worldswitch.lab.bench.rows import OURS, Row

WIDTH = 120
"""Columns of a table that goes to a file."""


@dataclass(frozen=True)
class Outcome:
    """A row's figures by side, and why there is none for the others."""

    row: Row
    figures: dict[str, Figure]
    missing: dict[str, str]

    def ratio(self, side: str, own: str = OURS) -> float | None:
        """A figure of ours divided by a peer's, where both are there."""
        ours, other = self.figures.get(own), self.figures.get(side)
        if ours is None or other is None or side.startswith(OURS) or not other.median:
            return None
        return ours.median / other.median

    def ratios(self, side: str) -> dict[str, float]:
        """All our figures divided by a peer's, by side of ours."""
        found = {own: self.ratio(side, own) for own in self.figures if own.startswith(OURS)}
        return {own: ratio for own, ratio in found.items() if ratio is not None}

    def met(self, side: str = OURS) -> bool | None:
        """Whether a figure of ours keeps the budget; None where that is unknown or not asked."""
        budget, ours = self.row.budget, self.figures.get(side)
        if budget is None or ours is None or not side.startswith(OURS):
            return None
        if budget.alone and side != OURS:
            return None
        limit = budget.limit
        if budget.peer:
            peer = self.figures.get(budget.peer)
            if peer is None:
                return None
            limit *= peer.median
        return ours.median >= limit if self.row.rate else ours.median <= limit


def measure(
    rows: Iterable[Row], repeat: int, say: Callable[[str], None] = lambda text: None
) -> list[Outcome]:
    """Take the samples of all rows, then correct them to the fastest calibration of the run."""
    taken: list[tuple[Row, dict[str, list[Sample] | MeasureError]]] = []
    for row in rows:
        say(f"{row.section}: {row.title}")
        times = repeat if row.repeat is None else min(repeat, row.repeat)
        taken.append((row, alternate(row.sides, times)))
    fastest = min(
        (one.calibration for _, sides in taken for samples in sides.values()
         if not isinstance(samples, MeasureError) for one in samples),
        default=1.0,
    )  # fmt: skip
    outcomes: list[Outcome] = []
    for row, sides in taken:
        figures: dict[str, Figure] = {}
        missing = dict(row.missing)
        for name, samples in sides.items():
            if isinstance(samples, MeasureError):
                missing[name] = str(samples)
            elif samples:
                figures[name] = figure(samples, fastest, row.rate, row.corrected)
        outcomes.append(Outcome(row, figures, missing))
    return outcomes


def print_report(outcomes: Iterable[Outcome], file: TextIO) -> None:
    """The table, one line for each side of each row."""
    outcomes = list(outcomes)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("What", min_width=20, overflow="fold")
    table.add_column("Side", no_wrap=True)
    for heading in ("Median", "Low to high", "Spread", "Ours/theirs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Budget", no_wrap=True)
    for outcome in outcomes:
        _add(table, outcome)
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=WIDTH)
    console.print(table)
    for outcome in outcomes:
        for side, why in outcome.missing.items():
            console.print(f"{outcome.row.section}, {side}: {why}", soft_wrap=True, markup=False)
    console.print(
        "Figures are medians; short ones are corrected to the fastest calibration of this "
        "run; the spread is the widest difference of samples.",
        soft_wrap=True,
    )


def _add(table: Table, outcome: Outcome) -> None:
    row = outcome.row
    title = f"{row.title}, {row.unit}"
    for side, one in outcome.figures.items():
        met = outcome.met(side)
        budget = ""
        if row.budget and (side == OURS or (not row.budget.alone and side.startswith(OURS))):
            verdict = {True: "kept", False: "missed", None: "unknown"}[met]
            budget = f"{row.budget.text}: {verdict}"
        table.add_row(
            escape(title),
            side,
            _number(one.median),
            f"{_number(one.low)} to {_number(one.high)}",
            f"{one.spread:.0%}" if len(one.samples) > 1 else "1 sample",
            _shares(outcome.ratios(side)),
            budget,
        )
        title = ""
    for side in outcome.missing:
        table.add_row(escape(title), side, "missing")
        title = ""
    table.add_section()


def _shares(ratios: Mapping[str, float]) -> str:
    """Our figures by a peer's: the first without its side's name."""
    return "\n".join(
        f"{own.removeprefix(OURS).strip()} {ratio:.2f}".strip() for own, ratio in ratios.items()
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def as_object(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Everything that was measured, raw samples included, for json.dump."""
    return {
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count()},
        "python": platform.python_version(),
        "rows": [
            {
                "section": outcome.row.section,
                "title": outcome.row.title,
                "unit": outcome.row.unit,
                "more_is_better": outcome.row.rate,
                "budget": None if outcome.row.budget is None else outcome.row.budget.text,
                "budget_kept": outcome.met(),
                "figures": {
                    side: {
                        **asdict(one),
                        "ratio_of_ours": outcome.ratio(side),
                        "ratios": outcome.ratios(side),
                    }
                    for side, one in outcome.figures.items()
                },
                "missing": outcome.missing,
            }
            for outcome in outcomes
        ],
    }
