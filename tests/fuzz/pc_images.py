"""Truncated and mutated images of every kind that a PC takes, loaded and started.

Run as a program it prints a line for each seed: what was given, and what became of it.
"""

import gzip
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.unit.machine.x86.loader.images import (
    boot_sector,
    bzimage,
    elf,
    multiboot_header,
    pvh,
)
from worldswitch.lab.diagnosis import diagnose
from worldswitch.machine.x86.acpi_tables import build
from worldswitch.machine.x86.loader import ImageError, Platform, load
from worldswitch.machine.x86.machine import PcMachine
from worldswitch.machine.x86.virtio.disk import SECTOR, FileDisk

MEMORY = 32 << 20
SECONDS = 20
ADDRESSES = (0x1_0000, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020)
IMAGES = {
    "bzImage": bzimage(),
    "PVH 64": pvh(),
    "PVH 32": pvh(bits=32),
    "multiboot ELF": elf(multiboot_header() + b"\xf4" * 20, 32),
    "multiboot": multiboot_header(*ADDRESSES).ljust(300, b"\xf4"),
    "boot sector": boot_sector(),
    "disk": bytes(range(256)) * 16,
}


def initrd(rng: Random) -> bytes:
    """A compressed or plain archive."""
    plain = b"070701" + rng.randbytes(500)
    return gzip.compress(plain) if rng.random() < 0.7 else plain


def damaged(data: bytes, rng: Random) -> bytes:
    """Cut short, or with some bytes, bits or words changed."""
    result = bytearray(data)
    if rng.random() < 0.3:
        del result[rng.randrange(len(result)) :]
    for _ in range(rng.choice((0, 1, 1, 2, 8))):
        width = rng.choice((1, 2, 4, 8))
        end = rng.choice((0x80, 0x200, 0x270, len(result)))
        if min(end, len(result)) > width:
            at = rng.randrange(min(end, len(result)) - width)
            value = rng.choice((rng.randbytes(width), b"\xff" * width, bytes(width)))
            result[at : at + width] = value
    return bytes(result)


def disk(path: Path, rng: Random) -> str:
    """Open a damaged disk, which shrinks while it is in use."""
    try:
        opened = FileDisk(path, rng.random() < 0.5)
    except ImageError as error:
        assert str(error).endswith(".")
        return "refused"
    if rng.random() < 0.5:
        with path.open("r+b") as file:
            file.truncate(rng.randrange(opened.size))
    for at in range(0, opened.size, SECTOR):
        assert len(opened.read(at, SECTOR)) == SECTOR
    return "opened"


def run(folder: Path, seed: int, instructions: int) -> str:
    """What became of a seed."""
    rng = Random(seed)
    kind = rng.choice(tuple(IMAGES))
    image, module = folder / "image", folder / "module"
    image.write_bytes(damaged(IMAGES[kind], rng))
    if kind == "disk":
        return f"{seed} {kind}: {disk(image, rng)}"
    module.write_bytes(damaged(initrd(rng), rng))
    given = kind != "boot sector" and rng.random() < 0.6
    append = "" if kind == "boot sector" else "a" * rng.randrange(40)
    try:
        entry = load(image, module if given else None, append, Platform(MEMORY, build(range(1))))
    except ImageError as error:
        assert str(error).endswith(".")
        return f"{seed} {kind}: refused"
    machine = PcMachine(MEMORY)
    entry.place(machine.memory)
    machine.start(entry)
    first = machine.processors[0]
    result = machine.run(SECONDS, lambda: first.icount >= instructions)
    assert diagnose(machine, result.reason).startswith("worldswitch: the guest crashed")
    return f"{seed} {kind}: {result.status} {result.reason}"


if __name__ == "__main__":
    first_seed, count, size = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as directory:
        for number in range(first_seed, first_seed + count):
            print(f"start {number}", flush=True)
            print(run(Path(directory), number, size), flush=True)
