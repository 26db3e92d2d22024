"""Memory full of random x86 code, tables and descriptors, run on a PC until it has had enough.

Run as a program it prints a line for each seed: instructions executed, status, and the reason.
"""

import struct
import sys
from random import Random

import worldswitch.metal.x86.insns as insns
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.lab.diagnosis import diagnose
from worldswitch.machine.x86.acpi_tables import build
from worldswitch.machine.x86.loader import Entry, Mode, Platform, Registers
from worldswitch.machine.x86.loader.entry import (
    CODE_32,
    CODE_64,
    DATA_32,
    Placement,
    SegmentState,
    long64,
    protected32,
)
from worldswitch.machine.x86.machine import PcMachine
from worldswitch.metal.x86.insn import TABLE, Insn

assert insns.__name__
MEMORY = 32 << 20
SECONDS = 20
SLICE = 10_000
ENTRY = 0x20_0000
CODE_SIZE = 1 << 20
REAL_ENTRY = 0x7C00
TABLES, IDT, GDT = 0x30_0000, 0x34_0000, 0x34_1000
PREFIXES = (0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x2E, 0x36, 0x3E, 0x26, 0x64, 0x65, *range(0x40, 0x50))
KINDS = (0x89, 0x8B, 0x82, 0x8C, 0xEC, 0x85, 0x81, 0xFA, 0xF2)
"""Types of descriptors: task-state segments, an LDT, gates, code and data."""
MAPS = {0: b"", 1: b"\x0f", 2: b"\x0f\x38", 3: b"\x0f\x3a"}
MANDATORY = {0x66: b"\x66", 0xF2: b"\xf2", 0xF3: b"\xf3"}


class FuzzMachine(PcMachine):
    """A PC that looks often whether to stop."""

    def slice_size(self) -> int:
        return SLICE


def text_of(item: Insn, rng: Random) -> bytes:
    """An instruction with random operands, now and then with prefixes that do not belong to it."""
    encoding = item.encoding
    text = bytes(rng.choice(PREFIXES) for _ in range(rng.choice((0, 0, 0, 1, 2))))
    text += MANDATORY.get(encoding.prefix or 0, b"")
    if rng.random() < 0.4:
        text += bytes([0x40 | rng.getrandbits(4)])
    text += MAPS.get(encoding.map, b"\x0f") + bytes([encoding.opcode])
    if encoding.modrm:
        reg = rng.getrandbits(3) if encoding.reg is None else encoding.reg
        mod = 3 if item.mod == "reg" else rng.choice((0, 0, 1, 2))
        text += bytes([mod << 6 | reg << 3 | rng.getrandbits(3)])
    small = rng.randrange(-64, 64).to_bytes(4, "little", signed=True)
    return text + rng.choice((small[:1], small, rng.randbytes(rng.randrange(9))))


def code(rng: Random, size: int) -> bytes:
    """Random instructions, with some bytes that are none."""
    parts: list[bytes] = []
    made = 0
    while made < size // 16:
        part = rng.randbytes(2) if rng.random() < 0.05 else text_of(rng.choice(TABLE), rng)
        parts.append(part)
        made += len(part)
    return (b"".join(parts)[: size // 16] * 16)[:size]


def page_tables(rng: Random) -> bytes:
    """Four levels that map low memory, some of their entries hostile."""
    words = [0] * (512 * 4)
    words[0] = TABLES + 0x1000 | 7
    words[512] = TABLES + 0x2000 | 7
    words[1024] = TABLES + 0x3000 | 7
    for n in range(1, 512):
        words[1024 + n] = n << 21 | 0xE7
        words[1536 + n] = n << 12 | 0x67
    words[1536] = 0x67
    for _ in range(rng.choice((0, 4, 40, 400))):
        at = rng.randrange(len(words))
        words[at] = rng.choice((
            rng.getrandbits(64), 0, words[at] ^ 1 << rng.randrange(64),
            TABLES + 0x1000 * rng.randrange(4) | 7, rng.randrange(MEMORY >> 12) << 12 | 7,
        ))  # fmt: skip
    if rng.random() < 0.5:
        words[1024 + 1] = ENTRY | 0xE7
    return struct.pack(f"<{len(words)}Q", *words)


def gates(rng: Random, wide: bool) -> bytes:
    """An interrupt-descriptor table: gates into the code, and hostile ones."""
    out = bytearray()
    for _ in range(256):
        target = ENTRY + rng.randrange(CODE_SIZE)
        kind = rng.choice((0x8E, 0xEE, 0x8F, 0xEF, 0x85, 0xE5, rng.getrandbits(8)))
        selector = rng.choice((0x10, 0x10, 0x10, rng.getrandbits(16)))
        low = target & 0xFFFF | selector << 16 | kind << 40 | target >> 16 << 48
        out += struct.pack("<Q", low if rng.random() < 0.95 else rng.getrandbits(64))
        if wide:
            out += struct.pack("<Q", 0 if rng.random() < 0.9 else rng.getrandbits(64))
    return bytes(out)


def descriptors(rng: Random, first: int) -> bytes:
    """A descriptor table with flat segments, and random ones of all types."""
    words = [0, 0, first, DATA_32]
    for _ in range(60):
        base, limit = rng.choice((0, ENTRY, GDT, rng.getrandbits(32))), rng.getrandbits(20)
        kind = rng.choice(
            (0x89, 0x8B, 0x82, 0x8C, 0xEC, 0x85, 0x81, 0xFA, 0xF2, rng.getrandbits(8))
        )
        words.append(
            limit & 0xFFFF | (base & 0xFF_FFFF) << 16 | kind << 40 | limit >> 16 << 48
            | rng.getrandbits(4) << 52 | base >> 24 << 56
        )  # fmt: skip
    return struct.pack(f"<{len(words)}Q", *words)


def real_mode(rng: Random) -> Registers:
    """Real mode at the boot sector's address."""
    data = SegmentState(0, 0, 0xFFFF, 0x93)
    segments = dict.fromkeys(SegmentNumber, data)
    segments[SegmentNumber.CS] = SegmentState(0, 0, 0xFFFF, 0x9B)
    tr = SegmentState(0, 0, 0xFFFF, 0x8B)
    return Registers(
        Mode.REAL, REAL_ENTRY, int(Cr0.ET), segments, tr, rsp=REAL_ENTRY, rsi=rng.getrandbits(16)
    )


def entry_of(rng: Random, mode: Mode) -> Entry:
    """Memory and registers to begin with."""
    placement = Placement(Platform(MEMORY, build(range(2))))
    text = code(rng, CODE_SIZE)
    placement.add(ENTRY, text, "code")
    if mode is Mode.REAL:
        vectors = b"".join(struct.pack("<HH", rng.randrange(0x8000), 0) for _ in range(256))
        placement.add(REAL_ENTRY, text[: 64 << 10], "code")
        placement.add(0, vectors if rng.random() < 0.8 else rng.randbytes(1024), "vectors")
        return Entry("fuzz", tuple(placement.parts), real_mode(rng))
    wide = mode is Mode.LONG64
    placement.add(TABLES, page_tables(rng), "page tables")
    placement.add(IDT, gates(rng, wide), "gates")
    placement.add(GDT + 0x1000, descriptors(rng, CODE_64 if wide else CODE_32), "descriptors")
    gdt = (GDT + 0x1000, 511)
    start = ENTRY + rng.randrange(CODE_SIZE // 2)
    if wide:
        registers = long64(gdt, start, ENTRY, TABLES)
    else:
        registers = protected32(gdt, start, rng.getrandbits(32), ENTRY)
    return Entry("fuzz", tuple(placement.parts), registers)


def prepare(machine: PcMachine, rng: Random, mode: Mode) -> None:
    """Fill memory and registers, and start the first processor."""
    entry = entry_of(rng, mode)
    entry.place(machine.memory)
    machine.start(entry)
    processor = machine.processors[0]
    raw = processor.raw
    for n in range(16):
        small = rng.randrange(MEMORY) & ~7
        raw.gr[n] = rng.choice((small, small, rng.getrandbits(64), rng.randrange(64)))
    if mode is Mode.REAL:
        raw.gr[4] = rng.randrange(0x10000)
    else:
        raw.gr[4] = ENTRY + rng.randrange(CODE_SIZE) & ~7
        raw.idtr_base, raw.idtr_limit = IDT, rng.choice((0xFFF, 0x7FF, rng.getrandbits(16)))
        raw.cr4 |= int(rng.choice((Cr4(0), Cr4.OSFXSR | Cr4.OSXMMEXCPT, Cr4.PGE | Cr4.OSXSAVE)))
        raw.cr0 |= int(rng.choice((Cr0(0), Cr0.WP | Cr0.NE, Cr0.AM | Cr0.MP)))
        if mode is Mode.LONG64:
            raw.efer |= int(rng.choice((Efer(0), Efer.SCE | Efer.NXE, Efer.SVME)))
    processor.rflags = 2 | rng.choice((0, 0x200, rng.getrandbits(12) & ~0x100))
    processor.call("purge_all")
    processor.call("update_mode")


def run(seed: int, instructions: int) -> str:
    """What became of a seed."""
    rng = Random(seed)
    mode = rng.choice((Mode.REAL, Mode.PROTECTED32, Mode.LONG64, Mode.LONG64))
    machine = FuzzMachine(MEMORY, rng.choice((1, 2)), rng.choice(("epyc-milan", "max")))
    prepare(machine, rng, mode)

    def enough() -> bool:
        return sum(p.icount for p in machine.processors) >= instructions

    result = machine.run(SECONDS, enough)
    text = diagnose(machine, result.reason)
    assert text.startswith("worldswitch: the guest crashed")
    executed = sum(processor.icount for processor in machine.processors)
    return f"{seed} {executed} {result.status} {mode.name}: {result.reason}"


if __name__ == "__main__":
    first, count, size = map(int, sys.argv[1:])
    for number in range(first, first + count):
        print(f"start {number}", flush=True)
        print(run(number, size), flush=True)
