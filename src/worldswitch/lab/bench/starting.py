"""Starting: the warm command to the guest's first instruction, and the cold build of the engine."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from worldswitch.lab.bench.child import OURS as COMMAND
from worldswitch.lab.bench.child import WARM, checked, qemu, qemu_missing
from worldswitch.lab.bench.image import kernel_image, program
from worldswitch.lab.bench.rows import OURS, Budget, Row

NAME = "first_instruction"
FAIL = ("-action", "panic=exit-failure")
TCG = "QEMU TCG"
BUILD = "from worldswitch.metal.{}.table import build_native; build_native(None)"


def start_rows(folder: Path) -> list[Row]:
    """Wall seconds of a command whose guest ends with its first instructions; its CPU seconds.

    The latter is what counts on a machine that does other things meanwhile.
    """
    path = folder / NAME
    path.write_bytes(kernel_image(program(NAME)))
    ours = [*COMMAND, "run", str(path), "-m", "16M"]
    checked(ours, WARM)  # the first time builds the engine and compiles the modules
    row = Row(
        "start",
        "`worldswitch run`, warm, to the first guest instruction",
        "s",
        Budget(0.5, text="0.5 s"),
        {OURS: lambda: checked(ours, WARM).wall},
    )
    work = Row(
        "start",
        "the same, CPU time",
        "s",
        None,
        {OURS: lambda: checked(ours, WARM).cpu},
    )
    if why := qemu_missing():
        row.missing[TCG] = work.missing[TCG] = why
    else:
        row.sides[TCG] = lambda: checked(qemu(path, *FAIL)).wall
        work.sides[TCG] = lambda: checked(qemu(path, *FAIL)).cpu
    return [row, work]


def _build(architecture: str, folder: Path) -> Callable[[], float]:
    def run() -> float:
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            command = [sys.executable, "-c", BUILD.format(architecture)]
            return checked(command, {"XDG_CACHE_HOME": cache}).wall

    return run


def build_rows(folder: Path, section: str = "build", architecture: str = "s390x") -> list[Row]:
    """Wall seconds of building the engine in a cache directory of its own."""
    return [
        Row(
            section,
            f"engine build, cold, {architecture}",
            "s",
            Budget(30.0, text="30 s"),
            {OURS: _build(architecture, folder)},
            repeat=1,
        )
    ]
