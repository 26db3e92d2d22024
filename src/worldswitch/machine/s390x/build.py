"""Which machine runs a guest."""

from collections.abc import Callable
from typing import Literal

from worldswitch.engine.build import Progress
from worldswitch.machine.s390x.board import S390Board
from worldswitch.machine.s390x.modelled import DEFAULT_MODEL

Hypervisor = Literal["auto", "sie", "none"]


def build(
    hypervisor: Hypervisor = "auto",
    memory: int = 512 << 20,
    cpus: int = 1,
    model: str = DEFAULT_MODEL,
    engine: str = "native",
    output: Callable[[bytes], None] | None = None,
    progress: Progress | None = None,
    real_time: bool = False,
) -> S390Board:
    """A machine whose guest runs under SIE ("sie", "auto") or straight on the metal ("none")."""
    if hypervisor == "none":
        from worldswitch.machine.s390x.bare import S390Machine as Machine
    else:
        from worldswitch.machine.s390x.guest import GuestMachine as Machine
    return Machine(memory, cpus, model, engine, output, progress, real_time)
