"""Where trace events go. Without a sink nothing is built and nothing is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class EventSink(Protocol):
    """Takes trace events in the order of their times."""

    def event(self, time: int, cpu: int, name: str, fields: Mapping[str, int | str]) -> None:
        """Something happened at host time `time` (TOD units) on the virtual CPU `cpu`."""
        ...


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as `Recorder` keeps it."""

    time: int
    cpu: int
    name: str
    fields: Mapping[str, int | str]


@dataclass
class Recorder:
    """A sink that keeps the last `limit` events."""

    limit: int = 100_000
    events: list[Recorded] = field(default_factory=list[Recorded])

    def event(self, time: int, cpu: int, name: str, fields: Mapping[str, int | str]) -> None:
        """Keep the event; the oldest half goes when there are too many."""
        if len(self.events) >= self.limit:
            del self.events[: self.limit // 2]
        self.events.append(Recorded(time, cpu, name, dict(fields)))
