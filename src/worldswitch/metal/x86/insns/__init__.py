"""Instructions, a file for each subject; importing this fills the table (insn.TABLE)."""

from worldswitch.metal.x86.insns import (
    arithmetic,
    branch,
    convert,
    exchange,
    moves,
    multiply,
    shifts,
    special,
)

__all__ = [
    "arithmetic",
    "branch",
    "convert",
    "exchange",
    "moves",
    "multiply",
    "shifts",
    "special",
]
