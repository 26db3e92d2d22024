"""What watches processors enter and leave native code. Without a watcher nothing is called."""

from typing import Protocol

from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Processor


class Observer(Protocol):
    """Called by the board; times are the processor's TOD clock, without an epoch difference."""

    def entered(self, cpu: Processor, time: int) -> None:
        """The processor is about to execute."""
        ...

    def left(self, cpu: Processor, time: int, reason: Exit) -> None:
        """The processor came back; `cpu.raw.exit_args` has the reason's arguments (`Exit`)."""
        ...
