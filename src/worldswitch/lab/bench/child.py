"""Other processes: what a command needs in CPU seconds and in memory."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from worldswitch.lab.bench.measure import MeasureError

QEMU = "qemu-system-s390x"
QEMU_X86 = "qemu-system-x86_64"
X86_CPU = "EPYC-Milan,-cx16"
"""QEMU's processor: our own default, which has SVM; without CMPXCHG16B, since version 7.2 damages
RFLAGS in its form without LOCK, and Linux does not get through its boot then."""
OURS = (sys.executable, "-m", "worldswitch")
TIMEOUT = 300.0
WARM = {"PYTHONDONTWRITEBYTECODE": ""}
"""For our commands: Python keeps compiled modules, which some environments forbid it."""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it used: user and system CPU seconds, seconds on the wall."""

    status: int
    output: bytes
    errors: bytes
    cpu: float
    wall: float


def qemu_missing(program: str = QEMU) -> str | None:
    """Why QEMU cannot be measured, or None."""
    return None if shutil.which(program) else f"{program} is not installed"


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command to its end; raises MeasureError if it cannot be started or does not end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env=None if environment is None else {**os.environ, **environment},
        )
    except subprocess.TimeoutExpired:
        raise MeasureError(f"{command[0]} did not end within {TIMEOUT:g} s") from None
    except OSError as error:
        raise MeasureError(f"{command[0]}: {error.strerror}") from None
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Ended(done.returncode, done.stdout, done.stderr, cpu, wall)


def checked(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """As `run`; raises MeasureError unless the command ended with status 0."""
    ended = run(command, environment)
    if ended.status != 0:
        last = (ended.errors or ended.output).decode(errors="replace").strip().splitlines()
        why = f": {last[-1]}" if last else ""
        raise MeasureError(f"{Path(command[0]).name} ended with {ended.status}{why}")
    return ended


def qemu(kernel: Path, *options: str) -> list[str]:
    """The QEMU command for a kernel or ELF program under TCG, without devices."""
    fixed = (QEMU, "-accel", "tcg", "-nographic", "-no-reboot", "-kernel", str(kernel))
    return [*fixed, *options]


def qemu_x86(kernel: Path, *options: str) -> list[str]:
    """The QEMU command for an x86 kernel or PVH program on one processor under TCG, with SVM."""
    fixed = (QEMU_X86, "-accel", "tcg", "-cpu", X86_CPU, "-smp", "1", "-no-reboot")
    return [*fixed, "-nodefaults", "-display", "none", "-kernel", str(kernel), *options]


def memory_beyond(command: Sequence[str], guest: int, poll: float = 0.1) -> tuple[Ended, int]:
    """Run a command; its most resident bytes outside the mapping that holds `guest` bytes.

    Linux only: reads the kernel's account of the process while it runs.
    """
    if not Path("/proc/self/smaps").exists():
        raise MeasureError("this system has no /proc/<pid>/smaps")
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    most = 0
    output = b""
    try:
        while True:
            most = max(most, resident_beyond(process.pid, guest))
            try:
                output, _ = process.communicate(timeout=poll)
                break
            except subprocess.TimeoutExpired:
                if time.monotonic() - began > TIMEOUT:
                    raise MeasureError(f"{command[0]} did not end in time") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return Ended(process.returncode, output, b"", 0.0, time.monotonic() - began), most


def resident_beyond(pid: int, guest: int) -> int:
    """Resident bytes of a process outside its mappings of at least `guest` bytes; 0 if it ended."""
    total = 0
    size = 0
    try:
        text = Path(f"/proc/{pid}/smaps").read_text(errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        word, _, rest = line.partition(":")
        if word == "Size":
            size = int(rest.split()[0]) * 1024
        elif word == "Rss" and size < guest:
            total += int(rest.split()[0]) * 1024
    return total
