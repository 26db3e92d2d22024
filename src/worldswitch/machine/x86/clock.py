"""Guest time as devices see it, and what a device with deadlines offers."""

from dataclasses import dataclass
from typing import Protocol

NANOSECONDS = 1_000_000_000
VIRTUAL_START = 1_767_225_600
"""Seconds since 1970 at which virtual time begins: 2026-01-01."""


class Clock(Protocol):
    """Guest time. The machine moves it on; devices only look at it."""

    @property
    def now(self) -> int:
        """Nanoseconds since the machine was switched on."""
        ...


@dataclass
class ManualClock:
    """A clock that stands where it is set."""

    now: int = 0


class Timed(Protocol):
    """A device that does something by itself when its time has come."""

    def next_event(self) -> int | None:
        """Guest time of the next thing to do, in nanoseconds; None: there is nothing."""
        ...

    def run_events(self) -> None:
        """Do what is due by now. Called again before it is due, it changes nothing."""
        ...


def ticks_at(nanoseconds: int, frequency: int) -> int:
    """Whole periods of `frequency` Hz since time 0."""
    return nanoseconds * frequency // NANOSECONDS


def time_of_tick(tick: int, frequency: int) -> int:
    """The first nanosecond at which `ticks_at` gives `tick`."""
    return -(-tick * NANOSECONDS // frequency)
