"""Instructions, a file for each subject; importing this fills the table (insn.TABLE)."""

from worldswitch.metal.x86.insns import (
    arithmetic,
    branch,
    moves,
    special,
    system,
    system_calls,
    system_registers,
)

__all__ = [
    "arithmetic",
    "branch",
    "moves",
    "special",
    "system",
    "system_calls",
    "system_registers",
]
