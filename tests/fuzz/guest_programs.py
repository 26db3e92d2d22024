"""The random programs of `pc_programs`, as guests of the hypervisor for SVM.

Run as a program it prints a line for each seed: instructions executed, status, and the reason.
"""

import sys
from random import Random

from tests.fuzz.pc_programs import CODE_SIZE, ENTRY, IDT, MEMORY, SECONDS, SLICE, entry_of
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer
from worldswitch.hypervisor.x86.state import SegmentState
from worldswitch.lab.diagnosis import diagnose
from worldswitch.machine.x86.guest import PcGuestMachine
from worldswitch.machine.x86.loader import Mode

MODELS = ("epyc-milan", "max", "epyc-milan,-decodeassists", "epyc-milan,-flushbyasid")


class FuzzMachine(PcGuestMachine):
    """A PC that looks often whether to stop."""

    def slice_size(self) -> int:
        return SLICE


def prepare(machine: PcGuestMachine, rng: Random, mode: Mode) -> None:
    """Fill memory and registers, and start the first virtual CPU."""
    entry = entry_of(rng, mode)
    entry.place(machine.memory)
    machine.start(entry)
    cpu = machine.processors[0]
    for n in range(16):
        small = rng.randrange(MEMORY) & ~7
        cpu.gr[n] = rng.choice((small, small, rng.getrandbits(64), rng.randrange(64)))
    if mode is Mode.REAL:
        cpu.gr[4] = rng.randrange(0x10000)
    else:
        cpu.gr[4] = ENTRY + rng.randrange(CODE_SIZE) & ~7
        limit = rng.choice((0xFFF, 0x7FF, rng.getrandbits(16)))
        cpu.set_descriptor("idtr", SegmentState(base=IDT, limit=limit))
        cpu.cr4 |= int(rng.choice((Cr4(0), Cr4.OSFXSR | Cr4.OSXMMEXCPT, Cr4.PGE | Cr4.OSXSAVE)))
        cpu.cr0 |= int(rng.choice((Cr0(0), Cr0.WP | Cr0.NE, Cr0.AM | Cr0.MP)))
        if mode is Mode.LONG64:
            cpu.efer |= int(rng.choice((Efer(0), Efer.SCE | Efer.NXE)))
    cpu.rflags = 2 | rng.choice((0, 0x200, rng.getrandbits(12) & ~0x100))


def run(seed: int, instructions: int) -> str:
    """What became of a seed."""
    rng = Random(seed)
    mode = rng.choice((Mode.REAL, Mode.PROTECTED32, Mode.LONG64, Mode.LONG64))
    machine = FuzzMachine(MEMORY, rng.choice((1, 2)), rng.choice(MODELS))
    prepare(machine, rng, mode)

    def enough() -> bool:
        return machine.host.icount >= instructions

    result = machine.run(SECONDS, enough)
    text = diagnose(machine, result.reason)
    assert text.startswith("worldswitch: the guest crashed")
    return f"{seed} {machine.host.icount} {result.status} {mode.name}: {result.reason}"


if __name__ == "__main__":
    first, count, size = map(int, sys.argv[1:])
    for number in range(first, first + count):
        print(f"start {number}", flush=True)
        print(run(number, size), flush=True)
