"""The sections of the benchmark by name, in the order in which they run."""

from collections.abc import Callable
from pathlib import Path

from worldswitch.lab.bench import boot, loop, starting, switch
from worldswitch.lab.bench.rows import Row
from worldswitch.lab.bench.x86 import boot as x86_boot
from worldswitch.lab.bench.x86 import computing, exits
from worldswitch.lab.bench.x86 import switch as x86_switch

SECTIONS: dict[str, Callable[[bool, Path], list[Row]]] = {
    "start": lambda quick, folder: starting.start_rows(folder),
    "switch": lambda quick, folder: switch.rows(quick),
    "loop": loop.rows,
    "boot": lambda quick, folder: boot.rows(quick),
    "memory": lambda quick, folder: boot.memory_rows(),
    "build": lambda quick, folder: starting.build_rows(folder),
    "x86-switch": lambda quick, folder: x86_switch.rows(quick),
    "x86-exits": lambda quick, folder: exits.rows(quick),
    "x86-nested": computing.nested_rows,
    "x86-loop": computing.loop_rows,
    "x86-boot": lambda quick, folder: x86_boot.rows(quick),
    "x86-build": lambda quick, folder: starting.build_rows(folder, "x86-build", "x86"),
}
"""A section is given whether to be quick, and a directory for its files."""
NOT_QUICK = ("memory", "build", "x86-build")
"""Sections that --quick leaves out, unless they are named."""
REPEAT = 5
QUICK_REPEAT = 2
