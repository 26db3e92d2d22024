"""A virtual machine, whatever the facility: its virtual CPUs, hooks, statistics and trace."""

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from worldswitch.hypervisor import statistics
from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.trace import EventSink

if TYPE_CHECKING:
    from worldswitch.hypervisor.vcpu import Vcpu

Hook = Callable[[Any], Outcome | None]


class Vm:
    """What all virtual machines have."""

    def __init__(self, name: str = "guest") -> None:
        self.name = name
        self.sink: EventSink | None = None
        """Where trace events go; None costs nothing."""
        self.hooks: dict[int, list[Hook]] = {}

    @property
    def vcpus(self) -> "Sequence[Vcpu]":
        """The virtual CPUs in the order of their addresses."""
        return ()

    def on_exit(self, *reasons: IntEnum) -> Callable[[Hook], Hook]:
        """Decorator: call a function at exits for these reasons, before their handler.

        It gets the virtual CPU, whose state it may read and change. If it returns an outcome, that
        takes the place of the handler's; None lets the next hook and then the handler go on.
        """

        def add(hook: Hook) -> Hook:
            for reason in reasons:
                self.hooks.setdefault(int(reason), []).append(hook)
            return hook

        return add

    def hooked(self, vcpu: Any, reason: int) -> Outcome | None:
        """What the first hook that takes the exit over says; None if none does."""
        for hook in self.hooks.get(reason, ()):
            outcome = hook(vcpu)
            if outcome is not None:
                return outcome
        return None

    def statistics(self) -> list[statistics.Line]:
        """The exits of all virtual CPUs by reason."""
        return statistics.table([vcpu.statistics for vcpu in self.vcpus])

    def counters(self) -> dict[str, int]:
        """The counters of all virtual CPUs by name."""
        return dict(statistics.counters([vcpu.statistics for vcpu in self.vcpus]))
