"""Our processor on batches: in long mode at privilege level 3, as programs are under Linux."""

import ctypes
import struct

from tests.semantics.x86.oracle.layout import (
    BASE,
    CS32,
    CS64,
    EPILOGUE,
    FX,
    FX_SIZE,
    GS_BASE,
    NO_CASES,
    READ_ONLY,
    RIP,
    SIZE,
    SLOTS,
    SPARE,
    SS,
    STATE,
    TAKEN,
    WINDOWS,
    Answer,
    Batch,
)
from worldswitch.arch.x86.exceptions import EXCEPTIONS
from worldswitch.arch.x86.models import MODELS
from worldswitch.metal.x86.leave import Exit
from worldswitch.metal.x86.processor import Complex
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.storage import Storage

SYSTEM = 0x20_0000
"""Supervisor memory, 2 MiB: tables, handlers, the stack of level 0."""
GDT, IDT, TSS = SYSTEM, SYSTEM + 0x1000, SYSTEM + 0x2000
HANDLERS = SYSTEM + 0x3000
STACK = SYSTEM + 0x8000
PAGES = SYSTEM + 0x10_0000
EXIT = BASE + 0x4000
"""Where cases go when they are done."""
KERNEL_CS, TASK = 0x10, 0x40
DESCRIPTORS = {
    KERNEL_CS: 0x00AF_9B00_0000_FFFF, 0x18: 0x00CF_9300_0000_FFFF,
    CS32 & ~3: 0x00CF_FB00_0000_FFFF, SS & ~3: 0x00CF_F300_0000_FFFF,
    CS64 & ~3: 0x00AF_FB00_0000_FFFF, TASK: 0x0020_8B00_0000_0067 | TSS << 16,
}  # fmt: skip
WITH_ERROR = frozenset(int(v) for v, info in EXCEPTIONS.items() if info.error_code)
STATUS = 0x8D5
PAGE_FAULT = 14
ALIGNMENT_CHECK = 1 << 18
CORE = struct.Struct("<QqQQ")
"""RIP, result, carries, flags: neighbours in the state."""
GR = Cpu.fields["gr"].offset
CORE_AT = Cpu.fields["rip"].offset
XMM, XMM_SIZE = Cpu.fields["xmm"].offset, 512
TEMPLATE = Cpu.fields["tlb"].offset
"""Bytes of the state that every case starts from alike; the TLB is not among them."""
ROUNDS = 1000
BUDGET = 2
"""The instruction and the jump behind it."""
FX_HEAD = struct.Struct("<HHBxHQQII")


class Ours:
    """Our processor. engine: "native" or "python"."""

    def __init__(self, engine: str = "native") -> None:
        self.storage = Storage(SIZE + BASE + (4 << 20))
        self.complex = Complex(self.storage, MODELS["epyc-milan"], 1, engine)
        self.processor = self.complex.processors[0]
        self.raw = self.processor.raw
        self._address = self.processor.state.address
        state = (ctypes.c_ubyte * Cpu.size).from_address(self._address)
        self.memory = memoryview(state).cast("B")
        self._tables()

    def _put(self, address: int, value: int, size: int = 8) -> None:
        self.storage.write(address, value.to_bytes(size, "little"))

    def _tables(self) -> None:
        for selector, descriptor in DESCRIPTORS.items():
            self._put(GDT + selector, descriptor)
        self.storage.write(HANDLERS, b"\xf4" * 256)
        for vector in range(256):
            handler = HANDLERS + vector
            rights = 0xEE00 if vector in (3, 4) else 0x8E00
            gate = handler & 0xFFFF | KERNEL_CS << 16 | rights << 32 | handler >> 16 << 48
            self._put(IDT + 16 * vector, gate)
        self._put(TSS + 4, STACK)
        self._put(TSS + 0x66, 0xFFFF, 2)
        self._put(PAGES, PAGES + 0x1007)
        self._put(PAGES + 0x1000, PAGES + 0x2007)
        directory = PAGES + 0x2000
        for address, entry in (
            (SYSTEM, SYSTEM | 0x83),
            (BASE, BASE | 0x87),
            (BASE + 0x20_0000, BASE + 0x20_0000 | 0x87),
            (READ_ONLY, PAGES + 0x3007),
        ):
            self._put(directory + 8 * (address >> 21), entry)
        self._put(PAGES + 0x3000, READ_ONLY | 5)
        self.storage.write(EXIT, b"\xf4")
        self._put(EPILOGUE, EXIT)

    def _begin(self, narrow: bool) -> None:
        """The state that all cases of a batch start from."""
        raw, processor = self.raw, self.processor
        processor.reset()
        raw.running, raw.cpl = 1, 3
        raw.gdtr_base, raw.gdtr_limit, raw.idtr_base, raw.idtr_limit = GDT, 0x4F, IDT, 0xFFF
        raw.xcr0 = 7
        for n in range(6):
            raw.seg_selector[n], raw.seg_attr[n] = 0, 0
            raw.seg_base[n], raw.seg_limit[n] = 0, 0xFFFF_FFFF
        for n in (0, 2, 3) if narrow else (2,):
            raw.seg_selector[n], raw.seg_attr[n] = SS, 0xCF3
        raw.seg_selector[1], raw.seg_attr[1] = (CS32, 0xCFB) if narrow else (CS64, 0xAFB)
        raw.seg_base[5] = GS_BASE
        raw.seg_selector[7], raw.seg_base[7], raw.seg_limit[7] = TASK, TSS, 0x67
        raw.seg_attr[7] = 0x8B
        raw.seg_attr[6] = 0
        raw.x87_cs = raw.x87_ds = 0
        raw.x87_control, raw.x87_status = 0x37F, 0
        raw.cr0, raw.cr3, raw.cr4, raw.efer = 0x8005_0033, PAGES, 0x4_0628, 0xD01
        raw.jump_generation += 1
        processor.call("update_mode")
        raw.run_budget = BUDGET
        self._template = ctypes.string_at(self._address, TEMPLATE)

    def run(self, batch: Batch, again: bool = False) -> Answer:
        """What the processor makes of the cases. again: only the values are new."""
        view = self.storage.view
        first, count = batch.first, batch.count
        if not again:
            view[SLOTS : SLOTS + len(batch.slots)] = batch.slots
            self.processor.call("flush_code")
            self._begin(batch.narrow)
        view[WINDOWS : WINDOWS + len(batch.windows)] = batch.windows
        view[SPARE : SPARE + len(NO_CASES)] = NO_CASES
        results = bytearray(STATE * count)
        for number in range(first, count):
            self._one(batch, number, results)
        return Answer(bytes(results), bytes(view[WINDOWS : WINDOWS + len(batch.windows)]))

    def untouched(self, batch: Batch) -> bool:
        """Whether the texts are still what they were."""
        return self.storage.view[SLOTS : SLOTS + len(batch.slots)] == batch.slots

    def _one(self, batch: Batch, number: int, results: bytearray) -> None:
        at, memory, raw = STATE * number, self.memory, self.raw
        ctypes.memmove(self._address, self._template, TEMPLATE)
        head = batch.states[at : at + FX]
        memory[GR : GR + 128] = head[:128]
        flags, rip = struct.unpack_from("<QQ", head, 128)
        CORE.pack_into(memory, CORE_AT, rip, *split(flags))
        if flags & ALIGNMENT_CHECK:
            self.processor.call("update_mode")
        case = batch.cases.get(number)
        unit = case.unit if case else ""
        fx = batch.states[at + FX : at + FX + FX_SIZE]
        if unit:
            self._load_fx(fx)
        before = bytes(memory[XMM : XMM + XMM_SIZE]) if not unit else b""
        for _ in range(ROUNDS):
            reason = self.processor.run(BUDGET)
            rip = raw.rip
            if rip == EXIT:
                break
            if reason == Exit.HALT and HANDLERS < rip <= HANDLERS + 256:
                break
            assert reason == Exit.BUDGET, f"{reason!r} of {case}"
        results[at : at + 128] = memory[GR : GR + 128]
        vector = raw.rip - 1 - HANDLERS
        if 0 <= vector < 256:
            self._delivered(vector, results, at)
        else:
            struct.pack_into("<Q", results, at + 128, self.processor.rflags)
        if unit:
            self._store_fx(results, at + FX)
        else:
            assert before == memory[XMM : XMM + XMM_SIZE], f"an XMM register changed: {case}"
            results[at + FX : at + FX + FX_SIZE] = fx

    def _delivered(self, vector: int, results: bytearray, at: int) -> None:
        """An exception was taken: the frame says what the program was."""
        frame, error = self.raw.gr[4], 0
        if vector in WITH_ERROR:
            error = int.from_bytes(self.storage.read(frame, 8), "little")
            frame += 8
        rip, _, flags, stack, _ = struct.unpack("<5Q", self.storage.read(frame, 40))
        struct.pack_into("<Q", results, at + 32, stack)
        struct.pack_into("<Q", results, at + 128, flags)
        if vector == 13 and rip == EXIT:
            return
        cr2 = self.raw.cr2 if vector == PAGE_FAULT else 0
        struct.pack_into("<4Q", results, at + RIP, rip, vector | TAKEN, error, cr2)

    def _load_fx(self, fx: bytearray) -> None:
        raw, memory = self.raw, self.memory
        control, status, tags, opcode, ip, dp, mxcsr, _ = FX_HEAD.unpack_from(fx)
        raw.x87_control, raw.x87_status, raw.x87_tags = control, status, tags
        raw.x87_opcode, raw.x87_ip, raw.x87_dp, raw.mxcsr = opcode, ip, dp, mxcsr
        raw.x87_cs = raw.x87_ds = 0
        top = status >> 11 & 7
        for n in range(8):
            low, high = struct.unpack_from("<QH", fx, 32 + 16 * n)
            raw.st[(top + n) & 7], raw.st_exponent[(top + n) & 7] = low, high
        for n in range(16):
            memory[XMM + 32 * n : XMM + 32 * n + 16] = fx[160 + 16 * n : 176 + 16 * n]

    def _store_fx(self, results: bytearray, at: int) -> None:
        raw, memory = self.raw, self.memory
        status = raw.x87_status
        FX_HEAD.pack_into(
            results, at, raw.x87_control, status, raw.x87_tags, raw.x87_opcode, raw.x87_ip,
            raw.x87_dp, raw.mxcsr, 0,
        )  # fmt: skip
        top = status >> 11 & 7
        for n in range(8):
            number = (top + n) & 7
            struct.pack_into(
                "<QH", results, at + 32 + 16 * n, raw.st[number], raw.st_exponent[number]
            )
        for n in range(16):
            results[at + 160 + 16 * n : at + 176 + 16 * n] = memory[
                XMM + 32 * n : XMM + 32 * n + 16
            ]


def split(flags: int) -> tuple[int, int, int]:
    """RFLAGS as the processor keeps them (metal/x86/flags.py): result, carries, other flags."""
    carries = (flags >> 7 & 1) | (~flags << 6 & 0x100) | (flags >> 1 & 8)
    carries ^= 3 << 62 if flags & 1 else 0
    carries ^= 1 << 62 if flags & 0x800 else 0
    return 0 if flags & 0x40 else 0x100, carries, flags & ~STATUS & 0x3F_FFFF | 2
