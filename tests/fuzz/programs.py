"""Storage full of random instructions, run on the bare machine until it ends or has had enough.

Run as a program it prints a line for each seed: instructions executed, status, and the reason.
"""

import sys
from random import Random

from worldswitch.lab.diagnosis import diagnose
from worldswitch.machine.s390x.bare import S390Machine
from worldswitch.metal.s390x.formats import SECOND_OPCODE
from worldswitch.metal.s390x.insn import TABLE, Insn

MEMORY = 4 << 20
SECONDS = 20
SLICE = 1_000_000
"""The machine looks whether to stop after so many instructions at most."""
NEW_PSWS = (0x1A0, 0x1B0, 0x1C0, 0x1D0, 0x1E0, 0x1F0)
MODES = (0x1_8000_0000, 0x8000_0000, 0)
DAT, PROBLEM = 1 << 58, 1 << 48
AR_MODE, SECONDARY, HOME = 1 << 46, 2 << 46, 3 << 46


def text_of(item: Insn, rng: Random) -> bytes:
    """An instruction with random fields."""
    position, width = SECOND_OPCODE[item.format]
    text = int(item.opcode[:2], 16) << 40 | rng.getrandbits(40)
    if width:
        low = 48 - position - width
        text = text & ~((1 << width) - 1 << low) | int(item.opcode[2:], 16) << low
    data = text.to_bytes(6, "big")
    return data[: (2, 4, 4, 6)[data[0] >> 6]]


def storage(rng: Random) -> bytes:
    """Random instructions, with some bytes that are none."""
    items = list(TABLE.values())
    parts: list[bytes] = []
    size = 0
    while size < MEMORY // 16:
        part = rng.randbytes(2) if rng.random() < 0.02 else text_of(rng.choice(items), rng)
        parts.append(part)
        size += len(part)
    return (b"".join(parts)[: MEMORY // 16] * 16)[:MEMORY]


def mask_of(rng: Random) -> int:
    """Bits 0-63 of a PSW that runs: mostly valid ones."""
    mask = rng.choice(MODES) | rng.getrandbits(2) << 44 | rng.getrandbits(4) << 40
    if rng.random() < 0.3:
        mask |= DAT | rng.choice((0, 0, AR_MODE, SECONDARY, HOME))
    if rng.random() < 0.3:
        mask |= PROBLEM
    if rng.random() < 0.3:
        mask |= rng.getrandbits(8) << 56
    return mask | rng.getrandbits(4) << 52


def prepare(machine: S390Machine, rng: Random) -> None:
    """Fill storage and registers, and start the first processor."""
    machine.memory.write(0, storage(rng))
    for at in NEW_PSWS:
        address = rng.randrange(0x2000, MEMORY) & ~1
        machine.memory.write(at, mask_of(rng).to_bytes(8, "big") + address.to_bytes(8, "big"))
    for processor in machine.processors:
        for n in range(16):
            small = rng.randrange(MEMORY) & ~7
            processor.gr[n] = rng.choice((small, small, rng.getrandbits(64), rng.randrange(64)))
            if rng.random() < 0.5:
                processor.cr[n] = rng.choice((small & ~0xFFF, rng.getrandbits(64)))
        processor.raw.cr[0] = rng.choice((0xE0, 0x40000, rng.getrandbits(64)))
        processor.call("controls_changed")
    machine.start(rng.randrange(0x2000, MEMORY) & ~1, mask_of(rng))


def run(seed: int, instructions: int) -> str:
    """What became of a seed."""
    rng = Random(seed)
    machine = S390Machine(memory=MEMORY, cpus=rng.choice((1, 2)))
    prepare(machine, rng)

    def enough() -> bool:
        return sum(p.icount for p in machine.processors) >= instructions

    result = machine.run(SECONDS, enough)
    text = diagnose(machine, result.reason)
    assert text.startswith("worldswitch: the guest crashed")
    executed = sum(processor.icount for processor in machine.processors)
    return f"{seed} {executed} {result.status} {result.reason}"


if __name__ == "__main__":
    first, count, size = map(int, sys.argv[1:])
    for number in range(first, first + count):
        print(f"start {number}", flush=True)
        print(run(number, size), flush=True)
