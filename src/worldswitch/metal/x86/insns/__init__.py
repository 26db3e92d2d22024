"""Instructions, a file for each subject; importing this fills the table (insn.TABLE)."""

from worldswitch.metal.x86.insns import (
    arithmetic,
    bits,
    branch,
    convert,
    exchange,
    flags_ops,
    moves,
    multiply,
    shifts,
    special,
    stack_ops,
    strings,
    system,
    system_calls,
    system_registers,
)

__all__ = [
    "arithmetic",
    "bits",
    "branch",
    "convert",
    "exchange",
    "flags_ops",
    "moves",
    "multiply",
    "shifts",
    "special",
    "stack_ops",
    "strings",
    "system",
    "system_calls",
    "system_registers",
]
