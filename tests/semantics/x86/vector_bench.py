"""Instructions on vectors, on our processor in 64-bit mode; compared with the host's."""

import functools
import random
import struct
from typing import Any

from tests.semantics.x86.native import GENERAL, STATUS, Native, Vectors, available
from worldswitch.arch.x86.models import MODELS
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.storage import Storage

TABLES = 0x10000
MEMORY = 0x20000
STACK = 0x38000
TABLE_GDT = 0x3A000
TABLE_IDT = 0x3B000
HANDLERS = 0x3C000
CODE = 0x100000
HLT = b"\xf4"


class VectorBench:
    """A processor in 64-bit mode at privilege level 0, with SSE and x87 state enabled."""

    def __init__(self, engine: str) -> None:
        self.storage = Storage(16 << 20)
        self.complex = Complex(self.storage, MODELS["epyc-milan"], 1, engine)
        self.processor = self.complex.processors[0]
        self.codes: dict[bytes, int] = {}
        write, raw = self.storage.write, self.processor.raw
        write(TABLES, struct.pack("<Q", (TABLES + 0x1000) | 7))
        write(TABLES + 0x1000, struct.pack("<Q", (TABLES + 0x2000) | 7))
        for i in range(8):
            write(TABLES + 0x2000 + 8 * i, struct.pack("<Q", i << 21 | 0x87))
        raw.cr0, raw.cr3, raw.cr4, raw.efer = 0x8001_0031, TABLES, 0x4_0620, 0x500
        raw.xcr0 = 3
        raw.seg_attr[1], raw.seg_base[1], raw.seg_limit[1] = 0xA9B, 0, 0xFFFF_FFFF
        for n in (0, 2, 3):
            raw.seg_attr[n], raw.seg_base[n], raw.seg_limit[n] = 0xC93, 0, 0xFFFF_FFFF
        raw.seg_selector[1] = 8
        write(TABLE_GDT, struct.pack("<QQQ", 0, 0x00AF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF))
        raw.gdtr_base, raw.gdtr_limit, raw.idtr_base, raw.idtr_limit = TABLE_GDT, 23, TABLE_IDT, 511
        for vector in range(32):
            handler = HANDLERS + 16 * vector
            gate = handler & 0xFFFF | 8 << 16 | 0x8E << 40 | handler >> 16 << 48
            write(TABLE_IDT + 16 * vector, struct.pack("<QQ", gate, 0))
            write(handler, HLT)
        self.vector: int | None = None
        """Of the exception that ended the last run."""
        self.processor.call("update_mode")

    def place(self, program: bytes) -> int:
        """Where a program lies, with a HLT behind it."""
        where = self.codes.get(program)
        if where is None:
            where = self.codes[program] = CODE + 64 * len(self.codes)
            self.storage.write(where, program + HLT)
        return where

    def run(self, program: bytes, before: Vectors, steps: int = 100) -> Vectors | None:
        """Execute a program up to its HLT; None if it does not get there."""
        raw = self.processor.raw
        where = self.place(program)
        for n in GENERAL:
            raw.gr[n] = before.general.get(n, 0)
        raw.gr[4], raw.gr[7] = STACK, MEMORY
        for n in range(16):
            raw.xmm[4 * n] = before.xmm[n] & 2**64 - 1
            raw.xmm[4 * n + 1] = before.xmm[n] >> 64
        for n in range(8):
            raw.st[n], raw.st_exponent[n] = before.mmx[n], before.exponents[n]
        raw.x87_tags, raw.x87_status, raw.x87_control = before.tags, before.status, before.control
        raw.mxcsr = before.mxcsr
        self.processor.rflags = before.flags | 2
        self.storage.write(MEMORY, before.memory)
        raw.rip, raw.halted, raw.running = where, 0, 1
        self.processor.run(steps)
        self.vector = None
        if raw.rip != where + len(program) + 1:
            if HANDLERS < raw.rip <= HANDLERS + 512:
                self.vector = (raw.rip - HANDLERS) >> 4
            return None
        after = Vectors(memory=self.storage.read(MEMORY, len(before.memory)))
        after.general = {n: raw.gr[n] for n in GENERAL}
        after.general[7] -= MEMORY
        after.xmm = [raw.xmm[4 * n] | raw.xmm[4 * n + 1] << 64 for n in range(16)]
        after.mmx, after.exponents = list(raw.st), list(raw.st_exponent)
        after.tags, after.status, after.control = raw.x87_tags, raw.x87_status, raw.x87_control
        after.mxcsr = raw.mxcsr
        after.flags = self.processor.rflags & STATUS
        return after


@functools.cache
def bench(engine: str) -> VectorBench:
    """The one bench of an engine."""
    return VectorBench(engine)


def differences(ours: Vectors | None, theirs: Vectors) -> dict[str, tuple[Any, Any]]:
    """Where two outcomes differ."""
    if ours is None:
        return {"outcome": ("exception", "none")}
    return {
        name: (getattr(ours, name), value)
        for name, value in vars(theirs).items()
        if getattr(ours, name) != value
    }


BYTES = (0, 1, 0x7F, 0x80, 0x81, 0xFF, 0x7E, 0xFE)
WORDS = (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0xFF, 0x100, 0x80)
DOUBLEWORDS = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x8000, 0xFFFF, 0x1_0000, 5)
LANES = {8: BYTES, 16: WORDS, 32: DOUBLEWORDS}


def random_bits(rng: random.Random, bits: int) -> int:
    """Bits with many extreme lanes among them."""
    width = rng.choice((0, 8, 16, 32))
    if width == 0:
        return rng.getrandbits(bits)
    result = 0
    for n in range(bits // width):
        value = rng.choice(LANES[width]) if rng.randrange(3) else rng.getrandbits(width)
        result |= value << n * width
    return result


def integer_state(rng: random.Random) -> Vectors:
    """Random registers and memory for integer instructions."""
    state = Vectors()
    state.xmm = [random_bits(rng, 128) for _ in range(16)]
    state.mmx = [random_bits(rng, 64) for _ in range(8)]
    state.general = {n: random_bits(rng, 64) for n in GENERAL}
    memory = b"".join(random_bits(rng, 128).to_bytes(16, "little") for _ in range(4))
    if rng.randrange(4) == 0:
        # The second operand of instructions that compare, or a small shift count.
        state.xmm[2] = rng.choice((state.xmm[1], rng.randrange(70)))
        state.mmx[2] = rng.choice((state.mmx[1], rng.randrange(70)))
        memory = memory[:16] + struct.pack("<QQ", rng.randrange(70), 0) + memory[32:]
    state.memory = memory
    state.flags = rng.getrandbits(12) & STATUS
    return state


def forms(opcodes: str, immediates: tuple[int, ...] = (), kinds: str = "rm") -> dict[str, bytes]:
    """Programs of one instruction each: opcodes in hexadecimal, up to and with the opcode byte.

    kinds: r for operands 1 and 2 in registers, m for memory at RDI + 16 as the second operand.
    """
    made: dict[str, bytes] = {}
    for opcode in opcodes.split():
        for kind in kinds:
            text = bytes.fromhex(opcode) + (b"\xca" if kind == "r" else b"\x4f\x10")
            for immediate in immediates or (None,):
                tail = b"" if immediate is None else bytes([immediate])
                made[f"{opcode} {kind} {tail.hex()}"] = text + tail
    return made


def compare(
    engine: str, programs: dict[str, bytes], rounds: int, state: Any = integer_state
) -> list[str]:
    """Run programs on random states on both sides; a line for each that differs."""
    wrong: list[str] = []
    if not available():
        return wrong
    rng = random.Random(86)
    machine = bench(engine)
    for name, program in programs.items():
        native = Native(program)
        for _ in range(rounds):
            before = state(rng)
            different = differences(machine.run(program, before), native.run(before))
            if different:
                wrong.append(f"{name}: {program.hex()}: {different} from {before}")
                break
    return wrong
