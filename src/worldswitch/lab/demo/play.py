"""Every scene, in order; and the table of what came of it."""

from collections.abc import Sequence
from typing import TextIO

from rich import box
from rich.console import Console
from rich.table import Table

from worldswitch.engine.build import Progress
from worldswitch.lab.demo.protected import ProtectedGuest
from worldswitch.lab.demo.scenes import SCENES, play
from worldswitch.lab.demo.stage import Stage
from worldswitch.lab.demo.switch import Switch

WIDTH = 120
"""Columns of a table that goes to a file."""


def play_all(engine: str = "native", progress: Progress | None = None) -> list[Switch]:
    """The ordinary guest's scenes, then the protected guest's."""
    stage = Stage(engine, progress)
    switches = [play(stage, scene) for scene in SCENES]
    return switches + ProtectedGuest(stage).play()


def print_switches(switches: Sequence[Switch], file: TextIO) -> None:
    """The table: one line for each world switch."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("Interception", no_wrap=True)
    table.add_column("What the guest did", ratio=3)
    table.add_column("What the hypervisor finds", ratio=4)
    table.add_column("What it does", ratio=4)
    for number, switch in enumerate(switches, 1):
        found = "\n".join(switch.details)
        table.add_row(str(number), switch.why, switch.did, found, switch.answer, end_section=True)
    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        console = Console(file=file, highlight=False, width=WIDTH)
    console.print(table, markup=False)
