#!/usr/bin/env python3
"""Measure what QEMU's TCG needs to boot a guest image to its power-off, in CPU seconds.

Prints one JSON object on standard output. Every run must reach the init script's ready line and a
clean power-off; anything else is an error, never a figure.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fetch_guests import KERNEL_VERSIONS, guests_directory

READY = b"WORLDSWITCH-GUEST-READY"


class MeasureError(Exception):
    """No figure could be measured; the message says why."""


@dataclass(frozen=True)
class Emulator:
    """How QEMU runs one architecture's images."""

    program: str
    machine: tuple[str, ...] = ()
    append: str = ""


EMULATORS = {
    "s390x": Emulator("qemu-system-s390x"),
    "amd64": Emulator("qemu-system-x86_64", append="console=ttyS0"),
    "arm64": Emulator("qemu-system-aarch64", ("-machine", "virt", "-cpu", "max,pauth-impdef=on")),
}


@dataclass(frozen=True)
class Sample:
    """One boot: CPU seconds in user and system mode, and seconds on the wall."""

    user: float
    system: float
    wall: float


def command_line(options: argparse.Namespace) -> list[str]:
    """The QEMU command that boots the image that the options name."""
    emulator = EMULATORS[options.arch]
    if shutil.which(emulator.program) is None:
        raise MeasureError(f"{emulator.program} is not installed (Debian: see qemu-system)")
    folder = guests_directory() / options.arch
    kernel = options.kernel or folder / f"vmlinuz-{options.version}"
    initrd = options.initrd or folder / "initramfs.cpio.gz"
    for image in (kernel, initrd):
        if not Path(image).is_file():
            raise MeasureError(f"{image} is missing; fetch it with tools/fetch_guests.py")
    return [
        *(emulator.program, *emulator.machine, "-accel", "tcg", "-nographic", "-no-reboot"),
        *("-m", str(options.memory), "-smp", str(options.cpus)),
        *("-kernel", str(kernel), "-initrd", str(initrd)),
        *("-append", f"{emulator.append} {options.append}".strip()),
    ]


def boot(command: Sequence[str], timeout: float) -> Sample:
    """Run QEMU once; what its process and its children used."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        raise MeasureError(f"no power-off within {timeout:g} s") from expired
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - started
    if done.returncode != 0 or READY not in done.stdout:
        tail = done.stdout.decode(errors="replace")[-2000:]
        raise MeasureError(f"{command[0]} ended with {done.returncode}; its last output:\n{tail}")
    return Sample(
        round(after.ru_utime - before.ru_utime, 3),
        round(after.ru_stime - before.ru_stime, 3),
        round(wall, 3),
    )


def report(command: Sequence[str], samples: Sequence[Sample]) -> dict[str, object]:
    """The JSON object: the median, the spread and the samples themselves."""
    version = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True)
    cpu = [sample.user + sample.system for sample in samples]
    return {
        "emulator": version.stdout.splitlines()[0],
        "kernel": os.path.basename(command[command.index("-kernel") + 1]),
        "arguments": list(command[command.index("-m") : command.index("-kernel")]),
        "append": command[-1],
        "cpu_seconds": round(statistics.median(cpu), 3),
        "cpu_seconds_min": round(min(cpu), 3),
        "cpu_seconds_max": round(max(cpu), 3),
        "wall_seconds": round(statistics.median(sample.wall for sample in samples), 3),
        "samples": [asdict(sample) for sample in samples],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for; 0, 1 without a figure, 2 on a usage error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--arch", choices=sorted(EMULATORS), default="s390x")
    parser.add_argument("--version", choices=KERNEL_VERSIONS, default=KERNEL_VERSIONS[-1])
    parser.add_argument("--kernel", type=Path, help="kernel image instead of the fetched one")
    parser.add_argument("--initrd", type=Path, help="initramfs instead of the fetched one")
    parser.add_argument("--append", default="quiet", help="kernel command line (default: quiet)")
    parser.add_argument("--memory", type=int, default=512, help="guest memory in MiB")
    parser.add_argument("--cpus", type=int, default=1, help="guest processors")
    parser.add_argument("--runs", type=int, default=1, help="boots to measure (default: 1)")
    parser.add_argument("--timeout", type=float, default=120, help="seconds that a boot may take")
    options = parser.parse_args(arguments)
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    try:
        command = command_line(options)
        samples = [boot(command, options.timeout) for _ in range(options.runs)]
        print(json.dumps(report(command, samples), indent=2))
    except MeasureError as problem:
        print(f"qemu_reference: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
