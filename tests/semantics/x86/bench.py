"""A bare x86-64 processor for tests of single instructions, in three modes.

    bench = Bench("long64")
    result = bench.run("48 01 d8", rax=1, rbx=2, flags=CF)
    assert result.rax == 3 and result.exception is None

Before each run the machine is as new: flat segments, identity paging in 64-bit mode, an IDT whose
handlers halt. The page of the code is full of HLT, so a program may end by running or branching
anywhere in it.
"""

import struct
from dataclasses import dataclass, field

from worldswitch.arch.x86.exceptions import EXCEPTIONS, Vector
from worldswitch.arch.x86.models import MODELS
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.processor import Bus, Complex
from worldswitch.metal.x86.storage import Storage

REGISTERS = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
RAM = 16 << 20
HANDLERS = 0x600
"""One HLT for each vector."""
GDT, IDT, TSS = 0x1000, 0x2000, 0x3000
KERNEL_STACK = 0x7000
"""Stack pointer of level 0 after an interrupt of level 3."""
STACK = 0x8000
"""Stack pointer at the start."""
CODE = 0x9000
DATA = 0xA000
"""Memory from here to 10000h, and from 100000h on, is free for operands."""
PAGES = 0x10000
"""Identity page tables of 1 GiB, in pages of 2 MiB, user and writable."""
K64, KDATA, U32, UDATA, U64, K32, TASK, K16, KDATA16 = 8, 16, 24, 32, 40, 48, 56, 72, 80
"""Selectors of the GDT, without a privilege level."""
DESCRIPTORS = {
    K64: 0x00AF_9B00_0000_FFFF, KDATA: 0x00CF_9300_0000_FFFF, U32: 0x00CF_FB00_0000_FFFF,
    UDATA: 0x00CF_F300_0000_FFFF, U64: 0x00AF_FB00_0000_FFFF, K32: 0x00CF_9B00_0000_FFFF,
    K16: 0x0000_9B00_0000_FFFF, KDATA16: 0x0000_9300_0000_FFFF,
    TASK: 0x0000_8B00_0000_0067 | TSS << 16,
}  # fmt: skip
CS, SS, LDTR, TR = 1, 2, 6, 7
MODES = ("long64", "protected32", "real16")
CF, PF, AF, ZF, SF, OF, DF = 1, 4, 0x10, 0x40, 0x80, 0x800, 0x400
STATUS = CF | PF | AF | ZF | SF | OF


@dataclass
class Result:
    """What a run left. General registers are attributes: `result.rax`."""

    registers: dict[str, int]
    """At an exception: before its delivery."""
    rflags: int
    rip: int
    """Of the HLT that ended the run, or of the instruction that an exception's frame names."""
    exit: Exit
    """Exit.HALT, or Exit.BUDGET, or Exit.SHUTDOWN."""
    exception: Vector | int | None = None
    """The vector that was delivered, None if none was."""
    error: int | None = None
    """Its error code, if it has one."""
    cr2: int = 0
    xmm: list[int] = field(default_factory=list)
    """Sixteen values of 128 bits."""
    mxcsr: int = 0

    def __getattr__(self, name: str) -> int:
        try:
            return self.__dict__["registers"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def status(self) -> int:
        """CF, PF, AF, ZF, SF and OF in their places."""
        return self.rflags & STATUS


class Bench:
    """A machine of one processor. mode: MODES; cpl: 0 or 3, the latter not in real mode.

    engine: "native" or "python". bus: answers accesses that are not memory's.
    """

    def __init__(
        self,
        mode: str = "long64",
        cpl: int = 0,
        engine: str = "native",
        model: str = "epyc-milan",
        bus: Bus | None = None,
    ) -> None:
        assert mode in MODES, mode
        self.mode, self.cpl = mode, cpl
        self.storage = Storage(RAM)
        self.complex = Complex(self.storage, MODELS[model], 1, engine, bus=bus)
        self.processor = self.complex.processors[0]
        self.raw = self.processor.raw
        self._tables()
        self.reset()

    def _tables(self) -> None:
        for selector, descriptor in DESCRIPTORS.items():
            self.put(GDT + selector, descriptor)
        self.write(HANDLERS, b"\xf4" * 256)
        for n in range(512):
            self.put(PAGES + 0x2000 + 8 * n, n << 21 | 0x87)
        self.put(PAGES, PAGES + 0x1007)
        self.put(PAGES + 0x1000, PAGES + 0x2007)
        for vector in range(256):
            handler = HANDLERS + vector
            if self.mode == "long64":
                gate = handler | K64 << 16 | 0xEE00 << 32
                self.write(IDT + 16 * vector, struct.pack("<QQ", gate, 0))
            elif self.mode == "protected32":
                self.put(IDT + 8 * vector, handler | K32 << 16 | 0xEE00 << 32)
            else:
                self.put(4 * vector, handler, 4)
        self.write(TSS, bytes(0x66) + b"\xff\xff")
        self.put(TSS + 4, KERNEL_STACK)
        if self.mode == "protected32":
            self.put(TSS + 4, KERNEL_STACK | KDATA << 32)

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into memory."""
        self.storage.write(address, data)

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory."""
        return self.storage.read(address, size)

    def put(self, address: int, value: int, size: int = 8) -> None:
        """Put a little-endian number into memory."""
        self.write(address, value.to_bytes(size, "little"))

    def get(self, address: int, size: int = 8) -> int:
        """A little-endian number from memory."""
        return int.from_bytes(self.read(address, size), "little")

    def reset(self) -> None:
        """The state of the mode: what a run starts from, apart from what it is given."""
        raw, level = self.raw, self.cpl
        self.processor.reset()
        raw.running, raw.halted, raw.check, raw.cpl = 1, 0, 0, level
        raw.gdtr_base, raw.gdtr_limit = GDT, 0x7F
        raw.idtr_base, raw.idtr_limit = IDT, 0xFFF
        raw.xcr0 = 7
        raw.x87_control, raw.x87_status, raw.x87_tags = 0x37F, 0, 0
        for n in range(64):
            raw.xmm[n] = 0
        if self.mode == "real16":
            raw.cr0 = 0x10
            raw.idtr_base, raw.idtr_limit = 0, 0x3FF
            raw.cr4 = 0x600
            raw.seg_selector[CS], raw.seg_base[CS] = 0, 0
        else:
            long = self.mode == "long64"
            code = (U64 if long else U32) if level else (K64 if long else K32)
            self.segment(CS, code | level)
            for n in (0, 2, 3, 4, 5):
                self.segment(n, (UDATA if level else KDATA) | level)
            raw.seg_selector[TR], raw.seg_base[TR], raw.seg_limit[TR] = TASK, TSS, 0x67
            raw.seg_attr[TR] = 0x8B
            raw.cr0 = 0x8001_0033 if long else 0x33
            raw.cr3, raw.cr4 = PAGES, 0x4_0620
            raw.efer = 0x501 if long else 0
        raw.jump_generation += 1
        self.processor.call("update_mode")

    def segment(self, number: int, selector: int) -> None:
        """Load a segment register with a descriptor of the GDT, unchecked."""
        raw, descriptor = self.raw, DESCRIPTORS[selector & ~7]
        raw.seg_selector[number] = selector
        raw.seg_base[number] = descriptor >> 16 & 0xFF_FFFF | descriptor >> 56 << 24
        limit = descriptor & 0xFFFF | descriptor >> 32 & 0xF_0000
        raw.seg_limit[number] = limit << 12 | 0xFFF if descriptor >> 55 & 1 else limit
        raw.seg_attr[number] = descriptor >> 40 & 0xFF | descriptor >> 44 & 0xF00

    def run(
        self,
        code: str | bytes,
        flags: int = 0,
        xmm: dict[int, int] | None = None,
        mxcsr: int = 0x1F80,
        limit: int = 10_000,
        fresh: bool = True,
        **registers: int,
    ) -> Result:
        """Run bytes (hexadecimal digits, or themselves) at CODE to a HLT or an exception.

        Registers that are not given are 0, RSP is STACK. fresh: `reset` comes first; with False
        what was set in `raw` stays.
        """
        text = bytes.fromhex(code) if isinstance(code, str) else code
        if fresh:
            self.reset()
        raw = self.raw
        self.write(CODE, text.ljust(0x1000, b"\xf4"))
        for n, name in enumerate(REGISTERS):
            raw.gr[n] = registers.pop(name, STACK if name == "rsp" else 0)
        assert not registers, registers
        for n, value in (xmm or {}).items():
            raw.xmm[4 * n], raw.xmm[4 * n + 1] = value & 2**64 - 1, value >> 64
        raw.mxcsr = mxcsr
        raw.rip = CODE
        raw.halted = raw.exit_record = 0
        self.processor.rflags = flags | 2
        reason = self.processor.run(limit)
        return self._result(reason)

    def _result(self, reason: Exit) -> Result:
        raw = self.raw
        found = {name: raw.gr[n] for n, name in enumerate(REGISTERS)}
        xmm = [raw.xmm[4 * n] | raw.xmm[4 * n + 1] << 64 for n in range(16)]
        rip = raw.rip - (reason == Exit.HALT)
        result = Result(
            found, self.processor.rflags, rip, reason, None, None, raw.cr2, xmm, raw.mxcsr
        )
        if reason == Exit.HALT and HANDLERS <= rip < HANDLERS + 256:
            self._delivered(result, rip - HANDLERS)
        return result

    def _delivered(self, result: Result, vector: int) -> None:
        """Take an exception's frame apart, as the handler's IRET would."""
        known = {int(v): info for v, info in EXCEPTIONS.items()}.get(vector)
        result.exception = known.vector if known else vector
        size = {"long64": 8, "protected32": 4, "real16": 2}[self.mode]
        at = result.rsp
        if known and known.error_code and self.mode != "real16":
            result.error = self.get(at, size) & 0xFFFF_FFFF
            at += size
        frame = [self.get(at + size * n, size) for n in range(5)]
        result.rip, selector, result.rflags = frame[:3]
        at += 3 * size
        if self.mode == "long64" or (self.mode == "protected32" and selector & 3):
            at = frame[3]
        result.registers["rsp"] = at
        ended = result.exception == Vector.GP and result.error == 0 and self.cpl == 3
        inside = CODE <= result.rip < CODE + 0x1000
        if ended and inside and self.get(result.rip, 1) == 0xF4:
            result.exception = result.error = None


def quadwords(*values: int) -> int:
    """A 128-bit value from two quadwords, low first."""
    return sum(value << 64 * n for n, value in enumerate(values))


def doublewords(*values: int) -> int:
    """A 128-bit value from four doublewords, low first."""
    return sum(value << 32 * n for n, value in enumerate(values))
