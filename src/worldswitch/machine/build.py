"""Which machine runs a guest."""

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worldswitch.engine.build import Progress
from worldswitch.machine.architecture import Architecture
from worldswitch.machine.board import Board, Engine

Hypervisor = Literal["auto", "sie", "svm", "none"]
DEFAULT_MODELS: dict[Architecture, str] = {"s390x": "z14", "x86": "epyc-milan"}
HYPERVISORS: dict[Architecture, str] = {"s390x": "sie", "x86": "svm"}
"""The facility that `auto` means."""


@dataclass(frozen=True)
class Configuration:
    """What a machine is made of. model: of the architecture's CPU models, None for the default."""

    architecture: Architecture
    hypervisor: Hypervisor = "auto"
    memory: int = 512 << 20
    cpus: int = 1
    model: str | None = None
    engine: Engine = "native"
    real_time: bool = False
    disks: Sequence[Path] = ()
    """Raw images of virtio disks."""

    @property
    def facility(self) -> str:
        """`sie`, `svm` or `none`; raises ValueError for one that the architecture has not."""
        own = HYPERVISORS[self.architecture]
        if self.hypervisor not in ("auto", "none", own):
            raise ValueError(
                f"--hypervisor {self.hypervisor}: the image is for {self.architecture}, whose "
                f"hypervisor is {own}. Say {own}, none or auto."
            )
        return own if self.hypervisor == "auto" else self.hypervisor

    @property
    def model_name(self) -> str:
        """The CPU model's name."""
        return DEFAULT_MODELS[self.architecture] if self.model is None else self.model


def build(
    configuration: Configuration,
    output: Callable[[bytes], None] | None = None,
    progress: Progress | None = None,
) -> Board:
    """The machine; raises ValueError for what cannot be, ImageError for a disk that is none."""
    make = _s390 if configuration.architecture == "s390x" else _pc
    try:
        return make(configuration, output, progress)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        size = configuration.memory >> 20
        raise ValueError(f"-m {size}M: this host has not so much memory. Say less.") from None


def _s390(
    wanted: Configuration,
    output: Callable[[bytes], None] | None,
    progress: Progress | None,
) -> Board:
    from worldswitch.machine.s390x.build import build as build_s390

    if wanted.disks:
        raise ValueError("--disk: the s390 machine has no disks. Leave it out.")
    return build_s390(
        "none" if wanted.facility == "none" else "sie", wanted.memory, wanted.cpus,
        wanted.model_name, wanted.engine, output, progress, wanted.real_time,
    )  # fmt: skip


def _pc(
    wanted: Configuration,
    output: Callable[[bytes], None] | None,
    progress: Progress | None,
) -> Board:
    if wanted.facility == "none":
        from worldswitch.machine.x86.machine import PcMachine as Machine
    else:
        from worldswitch.machine.x86.guest import PcGuestMachine as Machine
    from worldswitch.machine.x86.virtio.disk import FileDisk

    disks = [FileDisk(path) for path in wanted.disks]
    machine = Machine(
        wanted.memory, wanted.cpus, wanted.model_name, wanted.engine, output, progress,
        wanted.real_time,
    )  # fmt: skip
    for disk in disks:
        machine.add_disk(disk)
    return machine
