"""Rows of the benchmark: what is measured, by whom, and against which budget."""

from collections.abc import Callable
from dataclasses import dataclass, field

OURS = "worldswitch"


@dataclass(frozen=True)
class Budget:
    """The most (or least) that our figure may be: absolute, or relative to a peer's figure.

    alone: it is for OURS, and not for other figures of ours in the row.
    """

    limit: float
    peer: str = ""
    text: str = ""
    alone: bool = False


def deferred(make: Callable[[], Callable[[], float]]) -> Callable[[], float]:
    """What `make` makes, made when it is first wanted: what fails then is missing from its row."""
    made: list[Callable[[], float]] = []

    def measure() -> float:
        if not made:
            made.append(make())
        return made[0]()

    return measure


@dataclass
class Row:
    """One line of DESIGN's table of budgets.

    sides: what measures each, by name; our own is OURS or starts with it. missing: peers that
    cannot be measured here, and why. rate: more is better. repeat: at most so many samples.
    """

    section: str
    title: str
    unit: str
    budget: Budget | None
    sides: dict[str, Callable[[], float]]
    missing: dict[str, str] = field(default_factory=dict[str, str])
    rate: bool = False
    corrected: bool = True
    repeat: int | None = None
