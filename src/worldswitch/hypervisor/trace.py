"""Where trace events go. Without a sink nothing is built and nothing is called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


class EventSink(Protocol):
    """Takes trace events in the order of their times."""

    def entered(self, time: int, cpu: int) -> None:
        """At host time `time` (TOD units) the virtual CPU `cpu` is about to execute."""
        ...

    def left(self, time: int, cpu: int, reason: str, fields: Mapping[str, int | str]) -> None:
        """It ceased to execute for a reason."""
        ...

    def event(self, time: int, cpu: int, name: str, fields: Mapping[str, int | str]) -> None:
        """The hypervisor did something for it."""
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

    def entered(self, time: int, cpu: int) -> None:
        """Keep the entry."""
        self.event(time, cpu, "enter", {})

    def left(self, time: int, cpu: int, reason: str, fields: Mapping[str, int | str]) -> None:
        """Keep the exit."""
        self.event(time, cpu, reason, fields)

    def event(self, time: int, cpu: int, name: str, fields: Mapping[str, int | str]) -> None:
        """Keep the event; the oldest half goes when there are too many."""
        if len(self.events) >= self.limit:
            del self.events[: self.limit // 2]
        self.events.append(Recorded(time, cpu, name, dict(fields)))
