"""Booting the unmodified Debian kernel to its init script's output and power-off."""

import os
from collections.abc import Callable
from pathlib import Path

from worldswitch.lab.bench.child import (
    OURS as COMMAND,
)
from worldswitch.lab.bench.child import (
    WARM,
    Ended,
    memory_beyond,
    qemu,
    qemu_missing,
    run,
)
from worldswitch.lab.bench.measure import MeasureError
from worldswitch.lab.bench.rows import OURS, Budget, Row

KERNEL = "vmlinuz-6.12"
INITRD = "initramfs.cpio.gz"
READY = b"WORLDSWITCH-GUEST-READY"
APPEND = "quiet"
MEMORY = 512
TCG = "QEMU TCG"
OURS_SIE = f"{OURS} sie"
STATUS_USAGE = 2
NO_IMAGES = "the guest images are missing; `make guests` (tools/fetch_guests.py) fetches them"


def images(architecture: str = "s390x") -> tuple[Path, Path] | None:
    """Kernel and initial RAM disk in the cache of `make guests`; None if they are not there."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = os.environ.get("WORLDSWITCH_GUESTS") or str(Path(cache) / "worldswitch" / "guests")
    kernel, initrd = Path(root) / architecture / KERNEL, Path(root) / architecture / INITRD
    return (kernel, initrd) if kernel.is_file() and initrd.is_file() else None


def ours(found: tuple[Path, Path], hypervisor: str = "none", line: str = APPEND) -> list[str]:
    """Our command for the boot."""
    kernel, initrd = found
    options = ("--append", line, "-m", f"{MEMORY}M", "--hypervisor", hypervisor)
    return [*COMMAND, "run", str(kernel), "--initrd", str(initrd), *options]


def theirs(found: tuple[Path, Path]) -> list[str]:
    """QEMU's command for the same boot."""
    kernel, initrd = found
    return qemu(kernel, "-initrd", str(initrd), "-append", APPEND, "-m", str(MEMORY))


def has_sie() -> bool:
    """Whether this version's `run` takes --hypervisor sie: it then minds the image, not the option.

    A file without content is no image: the command ends with a usage error in either case.
    """
    ended = run([*COMMAND, "run", os.devnull, "--hypervisor", "sie"])
    return b"--hypervisor" not in ended.errors


def _checked(ended: Ended) -> Ended:
    if ended.status != 0 or READY not in ended.output:
        last = ended.errors.decode(errors="replace").strip().splitlines()
        why = f": {last[-1]}" if last else ""
        raise MeasureError(f"the boot ended with {ended.status} before the guest was ready{why}")
    return ended


def cpu_seconds(command: list[str]) -> Callable[[], float]:
    """What a boot by a command costs."""
    return lambda: _checked(run(command, WARM)).cpu


def _memory(command: list[str]) -> Callable[[], float]:
    def measure() -> float:
        ended, most = memory_beyond(command, MEMORY << 20)
        _checked(ended)
        return most / 1e6

    return measure


def rows(quick: bool) -> list[Row]:
    """The row of the boot: straight on the metal, under SIE if there is one, and QEMU."""
    row = Row(
        "boot",
        "boot of Debian 6.12 to its power-off",
        "CPU seconds",
        Budget(1.5, TCG, "1.5 times TCG"),
        {},
        corrected=False,  # over seconds, calibrations before and after say little
        repeat=1 if quick else None,
    )
    found = images()
    if found is None:
        row.missing[OURS] = NO_IMAGES
        return [row]
    row.sides[OURS] = cpu_seconds(ours(found))
    if has_sie():
        row.sides[OURS_SIE] = cpu_seconds(ours(found, "sie"))
    else:
        row.missing[OURS_SIE] = "this version has no --hypervisor sie"
    if why := qemu_missing():
        row.missing[TCG] = why
    else:
        row.sides[TCG] = cpu_seconds(theirs(found))
    return [row]


def memory_rows() -> list[Row]:
    """The row of the memory that the same boot needs beyond the guest's."""
    row = Row(
        "memory",
        "memory beyond guest RAM, the same boot",
        "MB",
        Budget(200.0, text="200 MB"),
        {},
        corrected=False,
        repeat=1,
    )
    found = images()
    if found is None:
        row.missing[OURS] = NO_IMAGES
        return [row]
    row.sides[OURS] = _memory(ours(found))
    if why := qemu_missing():
        row.missing[TCG] = why
    else:
        row.sides[TCG] = _memory(theirs(found))
    return [row]
