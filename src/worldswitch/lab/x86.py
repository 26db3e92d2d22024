"""The x86 laboratory for scripts: all that docs/tutorial/x86.md uses, under one name."""

from collections.abc import Callable

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Resume
from worldswitch.lab.x86_assembler import Program, UnavailableError, assemble
from worldswitch.machine.result import Result
from worldswitch.machine.x86.board import PcBoard
from worldswitch.machine.x86.guest import PcGuestMachine
from worldswitch.machine.x86.loader.entry import Entry, protected32
from worldswitch.machine.x86.machine import PcMachine
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.processor import Processor

__all__ = [
    "Exit",
    "PcGuestMachine",
    "PcMachine",
    "Processor",
    "Program",
    "Result",
    "Resume",
    "SvmExit",
    "UnavailableError",
    "assemble",
    "load",
    "step_until",
]


def load(machine: PcBoard, program: Program, start: bool = True) -> None:
    """Write a program to its origin, and have processor 0 start there.

    It starts as multiboot kernels do: in 32-bit protected mode with flat segments, without paging,
    with interrupts off, and without descriptor tables or a stack of its own.
    """
    machine.memory.write(program.origin, program.text)
    if start:
        machine.start(Entry("program", (), protected32((0, 0), program.origin, 0, 0)))


def step_until(
    machine: PcMachine, condition: Callable[[Processor], bool], limit: int, cpu: int = 0
) -> int | None:
    """Step one processor until the condition holds, which is looked at before each instruction.

    Returns how many instructions that took; None if the guest ended, waits, or has executed
    `limit` instructions first.
    """
    processor = machine.processors[cpu]
    for count in range(limit + 1):
        if condition(processor):
            return count
        if count == limit or machine.step(cpu) in (Exit.STOPPED, Exit.HALT):
            break
    return None
