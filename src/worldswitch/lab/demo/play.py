"""Every scene of an architecture, in order; and the table of what came of it."""

from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from worldswitch.engine.build import Progress
from worldswitch.lab.demo.switch import Switch
from worldswitch.machine.architecture import Architecture

WIDTH = 120
"""Columns of a table that goes to a file."""
EXIT_WORDS: dict[Architecture, str] = {"s390x": "Interception", "x86": "#VMEXIT"}
PROGRAMS: dict[Architecture, tuple[str, ...]] = {
    "s390x": ("demo", "demo_protected"),
    "x86": ("x86_demo",),
}
"""The guests' programs, by their names in lab/programs."""


def play_all(
    architecture: Architecture, engine: str = "native", progress: Progress | None = None
) -> list[Switch]:
    """Play the scenes. Raises UnavailableError where x86 programs cannot be assembled."""
    if architecture == "s390x":
        from worldswitch.lab.demo.s390x import scenes
    else:
        from worldswitch.lab.demo.x86 import scenes
    return scenes.play_all(engine, progress)


def print_switches(
    architecture: Architecture, switches: Sequence[Switch], file: TextIO, first: int = 1
) -> None:
    """The table: one line for each world switch, numbered from `first` on.

    Switches that follow each other and are of one kind share what is said of them.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column(EXIT_WORDS[architecture], no_wrap=True)
    table.add_column("What the guest did", ratio=3)
    table.add_column("What the hypervisor finds", ratio=4)
    table.add_column("What it does", ratio=4)
    kind = ("", "")
    for number, switch in enumerate(switches):
        texts = ("", "") if (switch.did, switch.answer) == kind else (switch.did, switch.answer)
        kind = (switch.did, switch.answer)
        following = switches[number + 1] if number + 1 < len(switches) else None
        last = following is None or (following.did, following.answer) != kind
        found = "\n".join(switch.details)
        table.add_row(
            str(first + number), switch.why, texts[0], found, texts[1], end_section=last
        )  # fmt: skip
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=WIDTH)
    console.print(table, markup=False)
