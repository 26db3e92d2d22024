"""A prepared world for tests of segments, gates and tasks: tables, stacks, handlers that halt.

`World("long")` is in 64-bit mode with identity paging, `World("protected")` in 32-bit protected
mode without paging. Both start at level 0, or with `level=3` at level 3. A program that ends in an
exception halts at HANDLERS + vector; `world.outcome()` says which it was, and what the frame held.
"""

import struct
from dataclasses import dataclass

from tests.semantics.x86.board import CS, DS, ES, FS, GS, RSP, SS, TR, Board
from worldswitch.lab.x86_assembler import Program, assemble
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.processor import Bus

HANDLERS, GDT, IDT, TSS, TSS_B, LDT = 0x600, 0x1000, 0x2000, 0x3000, 0x3200, 0x3800
STACK0, STACK3, IST1, CODE, DATA, PAGES = 0x7000, 0x7800, 0x6000, 0x8000, 0xA000, 0x20000
NAMES = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")
WITH_ERROR = {8, 10, 11, 12, 13, 14, 17}

# Selectors, without the privilege level that is asked for.
(
    K64, KDATA, U32, UDATA, U64, K32, TASK, K16, KDATA16, TASK_B, GATE, GATE2, TABLE, ODD, ODD2,
    CONF,
) = (8, 16, 24, 32, 40, 48, 56, 72, 80, 88, 104, 120, 136, 152, 160, 168)  # fmt: skip

CODE64, CODE32, CODE16, DATA32 = 0x00AF_9B00_0000_FFFF, 0x00CF_9B00_0000_FFFF, 0x9B00_0000_FFFF, (
    0x00CF_9300_0000_FFFF
)  # fmt: skip
USER = 3 << 45
PRESENT = 1 << 47


def system(kind: int, base: int, limit: int, level: int = 0) -> int:
    """A system descriptor, present."""
    low = (base & 0xFF_FFFF) << 16 | limit & 0xFFFF | (kind | 0x80 | level << 5) << 40
    return low | (limit >> 16) << 48 | (base >> 24 & 0xFF) << 56


def gate(kind: int, selector: int, target: int, level: int = 0, extra: int = 0) -> int:
    """The low eight bytes of a gate; extra: parameters, or the number of the IST."""
    low = target & 0xFFFF | selector << 16 | extra << 32 | (kind | 0x80 | level << 5) << 40
    return low | (target >> 16 & 0xFFFF) << 48


@dataclass
class Outcome:
    """How a program ended. vector: None at a HLT of its own."""

    vector: int | None
    error: int | None
    rip: int
    cs: int
    flags: int
    rsp: int | None
    ss: int | None


class World(Board):
    """mode: "long" or "protected"."""

    def __init__(
        self, mode: str = "long", level: int = 0, engine: str = "native", bus: Bus | None = None
    ) -> None:
        super().__init__(engine, bus=bus)
        self.long, self.level = mode == "long", level
        descriptors = {
            K64: CODE64, KDATA: DATA32, U32: CODE32 | USER, UDATA: DATA32 | USER,
            U64: CODE64 | USER, K32: CODE32, K16: CODE16, KDATA16: 0x9300_0000_FFFF,
            TASK: system(0xB, TSS, 0x1FF), CONF: (CODE64 if self.long else CODE32) | 1 << 42,
        }  # fmt: skip
        for selector, value in descriptors.items():
            self.descriptor(selector, value)
        self.storage.write(HANDLERS, b"\xf4" * 256)
        for vector in range(256):
            self.vector(vector, HANDLERS + vector)
        for n in range(512):
            self.put(PAGES + 0x2000 + 8 * n, n << 21 | 0x87)
        self.put(PAGES, PAGES + 0x1007)
        self.put(PAGES + 0x1000, PAGES + 0x2007)
        if self.long:
            self.put(TSS + 4, STACK0)
            self.put(TSS + 0x24, IST1)
        else:
            self.put(TSS + 4, STACK0 | KDATA << 32)
        self.put(TSS + 0x66, 0x88, 2)
        self.storage.write(TSS + 0x88, b"\0" * 0x20 + b"\xff" * 0x120)

    def descriptor(self, selector: int, low: int, high: int | None = None) -> None:
        """Put a descriptor into the GDT."""
        self.put(GDT + (selector & ~7), low)
        if high is not None:
            self.put(GDT + (selector & ~7) + 8, high)

    def vector(
        self, vector: int, target: int, kind: int = 0xE, level: int = 3, extra: int = 0,
        selector: int | None = None,
    ) -> None:  # fmt: skip
        """Put a gate into the IDT."""
        code = selector if selector is not None else K64 if self.long else K32
        low = gate(kind, code, target, level, extra)
        if self.long:
            self.storage.write(IDT + 16 * vector, struct.pack("<QQ", low, target >> 32))
        else:
            self.put(IDT + 8 * vector, low)

    def segment(self, number: int, selector: int) -> None:
        """Load a segment register with a descriptor of the GDT, unchecked."""
        raw, descriptor = self.raw, self.get(GDT + (selector & ~7), 8)
        raw.seg_selector[number] = selector
        raw.seg_base[number] = descriptor >> 16 & 0xFF_FFFF | descriptor >> 56 << 24
        limit = descriptor & 0xFFFF | descriptor >> 32 & 0xF_0000
        raw.seg_limit[number] = limit << 12 | 0xFFF if descriptor >> 55 & 1 else limit
        raw.seg_attr[number] = descriptor >> 40 & 0xFF | descriptor >> 44 & 0xF00

    def load(self, source: str, origin: int = CODE) -> Program:
        """Assemble a program; make the world's registers; start at its first byte."""
        prefix = ".code64\n" if self.long else ".code32\n"
        program = assemble(prefix + source, origin)
        self.storage.write(origin, program.text)
        self.processor.reset()
        raw, level = self.raw, self.level
        raw.running, raw.halted, raw.check, raw.cpl = 1, 0, 0, level
        raw.gdtr_base, raw.gdtr_limit = GDT, 0xFF
        raw.idtr_base, raw.idtr_limit = IDT, 0xFFF
        code = (U64 if self.long else U32) if level else (K64 if self.long else K32)
        self.segment(CS, code | level)
        for n in (ES, SS, DS, FS, GS):
            self.segment(n, (UDATA if level else KDATA) | level)
        self.segment(TR, TASK)
        raw.cr0 = 0x8001_0033 if self.long else 0x33
        raw.cr3, raw.cr4 = PAGES, 0x620
        raw.efer = 0x501 if self.long else 0
        raw.gr[RSP] = STACK3 if level else STACK0
        raw.rip = origin
        raw.jump_generation += 1
        self.processor.rflags = 2
        return program

    def outcome(self, limit: int = 10_000) -> Outcome:
        """Run to a HLT, and take apart the frame if it is a handler's."""
        reason = self.go(limit)
        assert reason == Exit.HALT, (reason, hex(self.raw.rip), self.raw.vector)
        raw, rip = self.raw, self.raw.rip - 1
        if not HANDLERS <= rip < HANDLERS + 256:
            return Outcome(
                None, None, rip, raw.seg_selector[CS], self.processor.rflags, raw.gr[RSP], None
            )
        vector, size, at, error = rip - HANDLERS, 8 if self.long else 4, raw.gr[RSP], None
        if vector in WITH_ERROR:
            error, at = self.get(at), at + size
        frame = [self.get(at + size * n, size) for n in range(5)]
        cs = frame[1] & 0xFFFF
        stack = self.long or cs & 3 != 0
        return Outcome(
            vector, error, frame[0], cs, frame[2], frame[3] if stack else None,
            frame[4] & 0xFFFF if stack else None,
        )  # fmt: skip

    def faults(self, source: str, **registers: int) -> tuple[int | None, int | None]:
        """Vector and error code that a program ends with."""
        self.load(source)
        for name, value in registers.items():
            self.raw.gr[NAMES.index(name)] = value
        result = self.outcome()
        return result.vector, result.error
