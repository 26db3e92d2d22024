"""`worldswitch bench`: the budgets, measured beside QEMU and Unicorn."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from worldswitch.cli.statuses import interruptible, usage_error

NAMES = (
    "start", "switch", "loop", "boot", "memory", "build",
    "x86-switch", "x86-exits", "x86-nested", "x86-loop", "x86-boot", "x86-build",
)  # fmt: skip
X86 = "x86-"
"""What the sections of the x86-64 machine begin with; the others are of s390x."""


def complete_section(incomplete: str) -> list[str]:
    """The sections that begin so."""
    return [name for name in NAMES if name.startswith(incomplete)]


@interruptible
def bench(
    sections: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Which to measure: {' '.join(NAMES)}. Default: all of them.",
            metavar="[SECTION]...",
            autocompletion=complete_section,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and shorter samples; no memory, no builds.")
    ] = False,
    repeat: Annotated[int | None, typer.Option(help="Samples of each side.", min=1)] = None,
    file: Annotated[
        Path | None, typer.Option("--json", help="Write all samples to this file.")
    ] = None,
) -> None:
    """Measure each budget beside QEMU's TCG and Unicorn, where they are installed.

    The sides take turns, a calibration loop brackets every sample, and the spread is shown.
    """
    from worldswitch.cli.progress import build_progress
    from worldswitch.lab.bench.measure import MeasureError
    from worldswitch.lab.bench.report import as_object, measure, print_report
    from worldswitch.lab.bench.sections import NOT_QUICK, QUICK_REPEAT, REPEAT, SECTIONS
    from worldswitch.metal.s390x.table import build_native
    from worldswitch.metal.x86.table import build_native as build_native_x86

    for name in sections or ():
        if name not in SECTIONS:
            raise usage_error(f"bench: no section {name}; there are {' '.join(SECTIONS)}")
    chosen = sections or [name for name in SECTIONS if not (quick and name in NOT_QUICK)]
    if file is not None:
        try:
            file.touch()
        except OSError as error:
            raise usage_error(f"--json {file}: {error.strerror}") from None
    with build_progress() as progress:
        for build, own in ((build_native_x86, True), (build_native, False)):
            if any(name.startswith(X86) is own for name in chosen):
                build(progress)
    times = repeat or (QUICK_REPEAT if quick else REPEAT)
    with tempfile.TemporaryDirectory(prefix="worldswitch-bench-") as folder:
        try:
            rows = [row for name in SECTIONS if name in chosen
                    for row in SECTIONS[name](quick, Path(folder))]  # fmt: skip
        except MeasureError as error:
            raise usage_error(f"bench: {error}") from None
        outcomes = measure(rows, times, lambda text: typer.echo(f"measuring {text}", err=True))
    print_report(outcomes, sys.stdout)
    if file is not None:
        file.write_text(json.dumps(as_object(outcomes), indent=2) + "\n", encoding="utf-8")
