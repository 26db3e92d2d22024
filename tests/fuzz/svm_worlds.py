"""VMCBs, code, page tables and nested page tables that nobody would write, given to VMRUN.

    python -m tests.fuzz.svm_worlds FIRST COUNT ROUNDS

For each seed a line: what was hostile, and how often the entries ended with what. The host must be
a host after each of them.
"""

import sys
from collections import Counter
from random import Random

from tests.semantics.x86.svm.world import (
    CODE,
    DATA,
    NESTED_PAGES,
    PAGES,
    RAM,
    VMCB,
    World,
    world,
)
from worldswitch.arch.x86.svm_controls import Intercept1
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.metal.interface import EntryResult
from worldswitch.metal.x86.host import HostShutdown

LIVE = (*range(0x000, 0x018), *range(0x060, 0x0D0))
"""Offsets of the control area whose bits are flipped, beside all of the save area."""
SLICES, SLICE = 4, 500
KINDS = ("block", "code", "tables", "nested tables")
PROGRAM = f"""
    again: mov {DATA:#x}, %eax
    mov %eax, {DATA + 0x40_0000:#x}
    cpuid
    int $0x80
    jmp again
"""


def enter(w: World) -> list[str]:
    """A few short slices of the guest; what each ended with."""
    w.host.time_slice = SLICE
    seen: list[str] = []
    for _ in range(SLICES):
        try:
            result = w.host.vmrun(VMCB)
        except HostShutdown:
            return [*seen, "shutdown"]
        if result is not EntryResult.EXIT:
            assert result is EntryResult.PREEMPTED
            seen.append("preempted")
            continue
        assert w.raw.asid == 0
        assert w.raw.intercepts[4] == 0
        code = w.block.control.exit_code
        assert code in SvmExit._value2member_map_, hex(code)
        seen.append(SvmExit(code).name)
    return seen


def hostile_block(w: World, rng: Random) -> None:
    """Bits of the VMCB are flipped."""
    for _ in range(rng.randint(1, 24)):
        at = rng.choice(LIVE) if rng.random() < 0.4 else rng.randrange(0x400, 0x698)
        w.storage.view[VMCB + at] ^= 1 << rng.randrange(8)


def hostile_code(w: World, rng: Random) -> None:
    """The program is noise, and so are the intercepts."""
    control = w.block.control
    control.intercept_1 |= rng.getrandbits(32)
    control.intercept_2 |= rng.getrandbits(16)
    control.intercept_exceptions = rng.getrandbits(32)
    w.storage.write(CODE, rng.randbytes(64))
    for n in range(16):
        w.gr[n] = rng.choice((0, VMCB, CODE, rng.getrandbits(64)))


def hostile_tables(w: World, rng: Random, root: int) -> None:
    """Entries of three levels: reserved bits, loops, addresses beyond memory, other rights."""
    used = (root, root + 0x1000, root + 0x2000 + 8 * (CODE >> 21), root + 0x2000 + 8 * (DATA >> 21))
    for _ in range(rng.choice((1, 2, 8, 40))):
        at = rng.choice((*used, root + 8 * rng.randrange(3 * 512)))
        old = w.get(at)
        w.put(at, rng.choice((
            0, rng.getrandbits(64), old ^ 1 << rng.randrange(64), root | 7, (root + 0x1000) | 0x87,
            rng.randrange(RAM >> 12) << 12 | rng.choice((7, 0x87, 1, 0x1E7)), 1 << 51 | old,
        )))  # fmt: skip
    if rng.random() < 0.3:
        w.block.save.cr3 = rng.choice((rng.getrandbits(52), rng.randrange(RAM), root))
    if rng.random() < 0.3 and root == NESTED_PAGES:
        w.block.control.nested_cr3 = rng.choice((rng.getrandbits(48), rng.randrange(RAM)))


def run(seed: int, rounds: int) -> str:
    """What became of a seed."""
    rng = Random(seed)
    kind = KINDS[seed % len(KINDS)]
    w = world()
    seen: Counter[str] = Counter()
    for _ in range(rounds):
        nested = kind == "nested tables" or rng.random() < 0.5
        w.guest(PROGRAM, nested=nested, intercept_1=Intercept1.INTR, v_intr_masking=1)
        match kind:
            case "block":
                hostile_block(w, rng)
            case "code":
                hostile_code(w, rng)
            case "tables":
                hostile_tables(w, rng, PAGES)
            case _:
                hostile_tables(w, rng, NESTED_PAGES)
        seen.update(enter(w))
    return f"{seed} {rounds} {kind}: {dict(seen)}"


if __name__ == "__main__":
    first, count, size = map(int, sys.argv[1:])
    for number in range(first, first + count):
        print(f"start {number}", flush=True)
        print(run(number, size), flush=True)
