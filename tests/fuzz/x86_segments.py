"""Random segments, gates, tasks and mode changes on an x86 processor; run in a process of its own.

    python -m tests.fuzz.x86_segments FIRST COUNT BUDGET

For each seed a line: how the run ended, and after how many instructions. Programs are bytes: what
loads segments, transfers far and changes modes, with operands that are nearly right, and noise.
"""

import hashlib
import random
import sys

from tests.semantics.x86.board import GS, RSP
from tests.semantics.x86.world import CODE, DATA, GDT, HANDLERS, STACK0, TSS, World, gate, system
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.pending import PENDING_INTR, PENDING_NMI, PENDING_SMI

SPAN = 0x400
"""Bytes of a program."""
TABLE_ENTRIES = 32
IMAGES = (0x00AF_9B00_0000_FFFF, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x9B00_0000_FFFF,
          0x9300_0000_FFFF)  # fmt: skip

PREFIXES = ("", "", "", "66", "67", "f0", "48")
PLAIN = (
    "cf", "48cf", "66cf", "cb", "48cb", "ca0800", "cc", "f1", "ce", "9d", "9c", "fa", "fb", "06",
    "07", "17", "1f", "0fa1", "0f05", "0f07", "0f34", "0faa", "0f01f8", "f4", "60", "ec",
)  # fmt: skip
"""Instructions without operands: returns, traps, system calls, stack operations."""


class Maker:
    """Makes a world of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def selector(self) -> int:
        """One that mostly lies in the table."""
        r = self.random
        if r.random() < 0.05:
            return r.getrandbits(16)
        return r.randrange(TABLE_ENTRIES) * 8 | r.choice((0, 0, 0, 3, 3, 1, 2, 4))

    def target(self) -> int:
        """An address in the program, or none."""
        r = self.random
        if r.random() < 0.05:
            return r.getrandbits(32)
        return r.choice((CODE + r.randrange(SPAN), HANDLERS, r.randrange(SPAN)))

    def descriptor(self) -> int:
        """One of any kind, with damage now and then."""
        r = self.random
        kind = r.random()
        if kind < 0.6:
            value = r.choice(IMAGES) | r.choice((0, 3)) << 45 | r.choice((0, 0, 0, 1)) << 42
            value |= r.choice((0, 0, 0x1000)) << 16
        elif kind < 0.75:
            base = r.choice((TSS, TSS + 0x200, TSS + 0x400, DATA, 0x1F_FFFF))
            value = system(r.choice((1, 2, 3, 9, 0xB)), base, r.choice((0x67, 0x2B, 0x1FF, 0x10)),
                           r.choice((0, 3)))  # fmt: skip
        else:
            value = gate(r.choice((4, 5, 0xC)), self.selector(), self.target(), r.choice((0, 3)),
                         r.randrange(32))  # fmt: skip
        if r.random() < 0.1:
            value ^= 1 << r.randrange(64)
        return value

    def tables(self, world: World) -> None:
        """GDT, IDT and the data that programs take operands from."""
        r = self.random
        for n in range(1, TABLE_ENTRIES):
            if r.random() < 0.5:
                world.put(GDT + 8 * n, self.descriptor())
        for vector in range(256):
            if r.random() < 0.3:
                kind = r.choice((5, 6, 7, 0xE, 0xE, 0xF))
                world.vector(vector, self.target(), kind, r.choice((0, 3)),
                             r.choice((0, 0, 0, 1)), self.selector())  # fmt: skip
        for at in range(DATA, DATA + 0x400, 8):
            world.put(at, self.target() | self.selector() << r.choice((16, 32)))
        for at in range(TSS, TSS + 0x600, 4):
            if r.random() < 0.7:
                word = r.choice((self.selector(), self.target(), STACK0 - 8 * r.randrange(64), 2,
                                 0x2_0002, 0x4002, r.getrandbits(32)))  # fmt: skip
                world.put(at, word, 4)
        for at in range(STACK0 - 0x400, STACK0 + 0x400, 4):
            world.put(at, r.choice((self.selector(), self.target(), 2, 0x2_0202, STACK0)), 4)

    def with_register(self, opcode: bytes, fields: tuple[int, ...]) -> bytes:
        """An instruction whose register operand is eAX, and its opcode extension one of a few."""
        return opcode + bytes([0xC0 | self.random.choice(fields) << 3])

    def with_memory(self, opcode: bytes, fields: tuple[int, ...]) -> bytes:
        """One whose memory operand lies in the data."""
        data = (DATA + self.random.randrange(0x400)).to_bytes(4, "little")
        return opcode + bytes([0x04 | self.random.choice(fields) << 3, 0x25]) + data

    def to_ax(self) -> bytes:
        """A selector to AX."""
        return b"\x66\xb8" + self.selector().to_bytes(2, "little")

    def flags(self) -> bytes:
        """An image of RFLAGS."""
        r = self.random
        choices = (2, 0x102, 0x202, 0x4002, 0x2_0202, 0x4_0002, r.getrandbits(32))
        return r.choice(choices).to_bytes(4, "little")

    def piece(self) -> bytes:
        """One instruction, or a few that belong together."""
        r = self.random
        bit = bytes([0xF8, r.randrange(32)])
        far = self.target().to_bytes(4, "little") + self.selector().to_bytes(2, "little")
        number = r.choice((0x80, 3, 13, r.randrange(256)))
        change_efer = b"\xb9\x80\x00\x00\xc0\x0f\x32\x0f\xba"
        pieces = (
            self.to_ax() + self.with_register(b"\x8e", (0, 2, 3, 4, 5)),
            self.with_memory(b"\x8e", (0, 1, 2, 3, 4, 5)),
            bytes([0xCD, number]),
            b"\xea" + far,
            b"\x9a" + far,
            self.with_memory(b"\xff", (3, 5)),
            self.with_memory(b"\x0f\x01", (0, 1, 2, 3)),
            self.to_ax() + self.with_register(b"\x0f\x00", (0, 1, 2, 3, 4, 5)),
            b"\x0f" + bytes([r.choice((2, 3)), 0xC8]),
            self.with_memory(bytes([0x0F, r.choice((0xB2, 0xB4, 0xB5))]), (0, 1, 2)),
            self.with_memory(bytes([r.choice((0xC4, 0xC5))]), (0, 1, 2)),
            self.with_register(b"\x0f\x20", (0,)) + b"\x0f\xba" + bit + b"\x0f\x22\xc0",
            self.with_register(b"\x0f\x20", (4,)) + b"\x0f\xba" + bit + b"\x0f\x22\xe0",
            change_efer + bytes([0xF8, r.choice((0, 8, 11))]) + b"\x0f\x30",
            b"\xb8" + r.randbytes(4) + self.with_register(b"\x0f\x23", (0, 1, 6, 7)),
            b"\x68" + self.flags() + b"\x9d",
            b"\xbc" + (STACK0 - 8 * r.randrange(64)).to_bytes(4, "little"),
            r.randbytes(r.randrange(1, 6)),
            *(bytes.fromhex(text) for text in r.sample(PLAIN, 12)),
        )
        return bytes.fromhex(r.choice(PREFIXES)) + r.choice(pieces)


def digest(world: World) -> str:
    """The state of the processor and of the memory's first megabyte."""
    raw = world.raw
    state = [raw.gr[n] for n in range(16)] + [raw.rip, world.processor.rflags, raw.cpl, raw.smm]
    state += [raw.cr0, raw.cr2, raw.cr3, raw.cr4, raw.efer, raw.dr[6], raw.dr[7], raw.gdtr_base]
    for n in range(8):
        state += [raw.seg_selector[n], raw.seg_base[n], raw.seg_limit[n], raw.seg_attr[n]]
    words = " ".join(f"{value:x}" for value in state)
    return f"{words} {hashlib.sha256(world.storage.read(0, 1 << 20)).hexdigest()[:16]}"


def run(seed: int, budget: int, engine: str = "native") -> tuple[str, str]:
    """One world: how it ended, and its digest."""
    maker = Maker(seed)
    r = maker.random
    world = World(r.choice(("long", "protected")), r.choice((0, 0, 3)), engine, answer)
    world.load("nop")
    maker.tables(world)
    text = b""
    while len(text) < SPAN:
        text += maker.piece()
    world.storage.write(CODE, text[:SPAN])
    raw = world.raw
    raw.gr[RSP] = STACK0 - 0x100
    raw.star, raw.lstar, raw.cstar = r.getrandbits(64), CODE, CODE
    raw.seg_limit[GS] = r.choice((0xFFF, 0xFFFF_FFFF))
    raw.rip = CODE + r.randrange(SPAN)
    reason, rounds = Exit.NONE, 0
    while rounds < 20 and raw.limit - raw.budget < budget:
        rounds += 1
        reason = world.processor.run(budget // 4)
        if reason not in (Exit.HALT, Exit.BUDGET):
            break
        if reason == Exit.HALT:
            raw.halted = 0
        world.processor.make_pending(r.choice((0, PENDING_INTR, PENDING_NMI, PENDING_SMI)))
    assert reason in (Exit.HALT, Exit.BUDGET, Exit.SHUTDOWN, Exit.EVENT_LOOP), reason
    assert raw.cpl <= 3
    return f"{reason.name} {raw.limit - raw.budget}", digest(world)


def answer(processor: object) -> None:
    """Ports and interrupts: a vector of the middle."""
    processor.raw.bus_value = 0x44  # type: ignore[attr-defined]


def main(first: int, count: int, budget: int) -> None:
    """Print a line for each seed, flushed before the next begins."""
    for seed in range(first, first + count):
        print(f"start {seed}", flush=True)
        print(f"{seed} {run(seed, budget)[0]}", flush=True)


if __name__ == "__main__":
    main(*(int(n) for n in sys.argv[1:4]))
