"""Instructions, a file for each subject; importing this fills the table (insn.TABLE)."""

from worldswitch.metal.s390x.insns import (
    arithmetic,
    branch,
    control_checks,
    control_dat,
    control_exits,
    control_keys,
    control_moves,
    control_psw,
    control_registers,
    control_time,
    control_tlb,
    control_trace,
    execute,
    loads,
    logic,
    multiply,
)

__all__ = [
    "arithmetic",
    "branch",
    "control_checks",
    "control_dat",
    "control_exits",
    "control_keys",
    "control_moves",
    "control_psw",
    "control_registers",
    "control_time",
    "control_tlb",
    "control_trace",
    "execute",
    "loads",
    "logic",
    "multiply",
]
