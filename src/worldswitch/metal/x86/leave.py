"""Ways out of an instruction: exceptions, exits of a guest, and exits to the world outside."""

from enum import IntEnum

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.engine import Leave, typed, u8, u32, u64
from worldswitch.metal.x86.state import Cpu

LEAVE_FAULT = 1
"""An exception; RIP of the instruction is saved."""
LEAVE_TRAP = 2
"""An exception or software interrupt; RIP of the next instruction is saved."""
LEAVE_EXIT = 3
"""Native code returns to Python with `exit_reason`; the instruction counts as completed."""
LEAVE_RETRY = 4
"""Something has to be looked at first; the instruction is executed again."""
LEAVE_VMEXIT = 5
"""#VMEXIT with `exit_code` and its information; the guest's RIP is the instruction's."""
LEAVE_VMEXIT_AFTER = 6
"""#VMEXIT behind the instruction."""
LEAVE_SHUTDOWN = 7
"""A triple fault."""
LEAVE_TASK = 8
"""An exception in the task that has just been switched to: `cpu.rip` is right already."""


class Exit(IntEnum):
    """Why native code returned to Python."""

    NONE = 0
    BUDGET = 1
    """The budget is used up."""
    HALT = 2
    """HLT or MWAIT, and nothing that is enabled is pending."""
    STOPPED = 3
    """The processor waits for a start-up IPI."""
    SHUTDOWN = 4
    """A triple fault outside of a guest."""
    CODE_CACHE_FULL = 5
    VMEXIT = 6
    """A VMRUN issued from Python has ended."""
    PREEMPTED = 7
    """A VMRUN issued from Python has not ended, but the slice has."""
    EVENT_LOOP = 8
    """Events follow each other without an instruction between them."""
    VMRUN_FAULT = 10
    """A VMRUN issued from Python would raise #GP."""
    DEVICE = 9
    """A device wants the machine to look (power-off, reset, or a Python exception)."""


@typed(leaves=True, inline=False)
def fault(cpu: Cpu, vector: u8) -> None:
    """Leave the instruction with an exception without an error code. ref: APM2 8.2."""
    cpu.leave = LEAVE_FAULT
    cpu.vector = vector
    cpu.has_error = 0
    cpu.error = 0
    raise Leave


@typed(leaves=True, inline=False)
def fault_with(cpu: Cpu, vector: u8, error: u32) -> None:
    """Leave the instruction with an exception and its error code (32 bits). ref: APM2 8.2."""
    cpu.leave = LEAVE_FAULT
    cpu.vector = vector
    cpu.has_error = 1
    cpu.error = error
    raise Leave


@typed(leaves=True)
def general_protection(cpu: Cpu) -> None:
    """#GP(0)."""
    fault_with(cpu, Vector.GP, 0)


@typed(leaves=True)
def undefined(cpu: Cpu) -> None:
    """#UD."""
    fault(cpu, Vector.UD)


@typed(leaves=True, inline=False)
def trap(cpu: Cpu, vector: u8) -> None:
    """Leave behind the instruction, with a trap: INT3, INTO. ref: APM2 8.2."""
    cpu.leave = LEAVE_TRAP
    cpu.vector = vector
    cpu.has_error = 0
    raise Leave


@typed(leaves=True, inline=False)
def exit_to_machine(cpu: Cpu, reason: u32, a: u64, b: u64) -> None:
    """Complete the instruction and return to Python, which does the rest (`Exit`)."""
    cpu.leave = LEAVE_EXIT
    cpu.exit_reason = reason
    cpu.exit_args[0] = a
    cpu.exit_args[1] = b
    raise Leave


@typed(leaves=True, inline=False)
def vmexit(cpu: Cpu, code: u64, info1: u64, info2: u64) -> None:
    """Leave the guest with this exit code before the instruction has changed anything."""
    cpu.leave = LEAVE_VMEXIT
    cpu.exit_code = code
    cpu.exit_info1 = info1
    cpu.exit_info2 = info2
    raise Leave
