"""Booting the unmodified Debian kernel for amd64 to its init script's output and power-off."""

from pathlib import Path

from worldswitch.lab.bench.boot import MEMORY, TCG, cpu_seconds, images, ours
from worldswitch.lab.bench.child import QEMU_X86, qemu_missing, qemu_x86
from worldswitch.lab.bench.rows import OURS, Budget, Row

APPEND = "console=ttyS0 quiet panic=-1"
"""A kernel that gives up ends the command, too."""
NO_IMAGES = 'the guest images are missing; `make guests ARGS="--arch amd64"` fetches them'


def theirs(found: tuple[Path, Path]) -> list[str]:
    """QEMU's command for the same boot."""
    kernel, initrd = found
    options = ("-initrd", str(initrd), "-append", APPEND, "-m", str(MEMORY))
    return qemu_x86(kernel, "-serial", "stdio", *options)


def rows(quick: bool) -> list[Row]:
    """The row of the boot: straight on the metal, under SVM, and QEMU."""
    row = Row(
        "x86-boot",
        "boot of Debian 6.12, amd64, to its power-off",
        "CPU seconds",
        Budget(1.5, TCG, "1.5 times TCG", alone=True),
        {},
        corrected=False,
        repeat=1 if quick else None,
    )
    found = images("amd64")
    if found is None:
        row.missing[OURS] = NO_IMAGES
        return [row]
    row.sides[OURS] = cpu_seconds(ours(found, "none", APPEND))
    row.sides[f"{OURS} svm"] = cpu_seconds(ours(found, "svm", APPEND))
    if why := qemu_missing(QEMU_X86):
        row.missing[TCG] = why
    else:
        row.sides[TCG] = cpu_seconds(theirs(found))
    return [row]
