"""The s390x laboratory for scripts: all that docs/tutorial/python.md uses, under one name."""

from collections.abc import Callable

from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import Resume
from worldswitch.machine.result import Result
from worldswitch.machine.s390x.bare import S390Machine
from worldswitch.machine.s390x.board import PSW_64, S390Board
from worldswitch.machine.s390x.guest import GuestMachine
from worldswitch.metal.s390x.assembler import AssemblyError, Program, assemble
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.processor import Processor

__all__ = [
    "PSW_64",
    "AssemblyError",
    "Exit",
    "GuestMachine",
    "Icpt",
    "Processor",
    "Program",
    "Result",
    "Resume",
    "S390Machine",
    "assemble",
    "load",
    "step_until",
]


def load(machine: S390Board, program: Program, start: bool = True) -> None:
    """Store a program at its origin, and have processor 0 start there."""
    machine.memory.write(program.origin, program.text)
    if start:
        machine.start(program.origin)


def step_until(
    machine: S390Machine, condition: Callable[[Processor], bool], limit: int, cpu: int = 0
) -> int | None:
    """Step one processor until the condition holds, which is looked at before each instruction.

    Returns how many instructions that took; None if the guest ended, waits, or has executed
    `limit` instructions first.
    """
    processor = machine.processors[cpu]
    for count in range(limit + 1):
        if condition(processor):
            return count
        if count == limit or machine.step(cpu) in (Exit.STOPPED, Exit.WAIT):
            break
    return None
