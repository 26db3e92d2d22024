"""What watches the guest's CPUs being entered and left. Without a watcher nothing is called."""

from collections.abc import Mapping
from typing import Protocol

Details = Mapping[str, int | str]


class Observer(Protocol):
    """Called by the machine; times are in units of the architecture's clock: see `Board`.

    group: what is entered, such as processors or a virtual machine's CPUs. cpu: which of them.
    """

    def entered(self, group: str, cpu: int, time: int) -> None:
        """The CPU is about to execute."""
        ...

    def left(self, group: str, cpu: int, time: int, reason: str, details: Details) -> None:
        """The CPU ceased to execute for a reason."""
        ...

    def happened(self, group: str, cpu: int, time: int, name: str, details: Details) -> None:
        """Something without a duration."""
        ...
