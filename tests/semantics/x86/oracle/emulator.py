"""The emulator: Unicorn runs the driver in a worker process, at privilege level 3.

It has no page tables and delivers no exceptions: those come to Python, which notes them and lets
the driver store the rest.
"""

import ctypes
import mmap
import struct

from tests.semantics.x86.oracle.driver import driver
from tests.semantics.x86.oracle.layout import (
    BACK,
    BASE,
    CR2,
    CS32,
    CS64,
    ERROR,
    GS_BASE,
    READ_ONLY,
    READ_ONLY_SIZE,
    RESULT,
    RIP,
    SIZE,
    SS,
    TAKEN,
    VARS,
    VECTOR,
)
from tests.semantics.x86.oracle.worker import AGAIN, NARROW, Worker, serve_batches

SYSTEM, SYSTEM_SIZE = 0x20_0000, 0x1_0000
GDT, START, STACK = SYSTEM, SYSTEM + 0x1000, SYSTEM + 0x2000
"""Descriptors, an IRETQ into the driver, and what that pops."""
KERNEL_CS, KERNEL_SS = 0x10, 0x18
DESCRIPTORS = {
    KERNEL_CS: 0x00AF_9B00_0000_FFFF, KERNEL_SS: 0x00CF_9300_0000_FFFF,
    CS32 & ~3: 0x00CF_FB00_0000_FFFF, SS & ~3: 0x00CF_F300_0000_FFFF,
    CS64 & ~3: 0x00AF_FB00_0000_FFFF,
}  # fmt: skip
DRIVER_STACK = VARS + 0x1000
PROBE = SYSTEM + 0x3000
MOV_DS, WRONG_SELECTOR = b"\x8e\xd8", 0x1234
IRETQ = b"\x48\xcf"
INVALID_OPCODE, PAGE_FAULT, PROTECTION = 6, 14, 13
NOTHING = 0xFFFF_FFFF


def emulator() -> Worker:
    """The emulator as a worker."""
    return Worker(__name__)


class Unicorn:
    """One Unicorn engine over the shared image."""

    def __init__(self, memory: int) -> None:
        import unicorn
        import unicorn.x86_const as names

        self.names, self.error = names, unicorn.UcError
        self.image = mmap.mmap(memory, SIZE + READ_ONLY_SIZE)
        where = ctypes.addressof(ctypes.c_char.from_buffer(self.image))
        self.uc = uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
        uc.ctl_set_cpu_model(names.UC_CPU_X86_EPYC_ROME)
        uc.mem_map_ptr(BASE, SIZE, unicorn.UC_PROT_ALL, where)
        rights = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
        uc.mem_map_ptr(READ_ONLY, READ_ONLY_SIZE, rights, where + SIZE)
        uc.mem_map(SYSTEM, SYSTEM_SIZE)
        for selector, descriptor in DESCRIPTORS.items():
            uc.mem_write(GDT + selector, struct.pack("<Q", descriptor))
        uc.mem_write(START, IRETQ)
        uc.reg_write(names.UC_X86_REG_GDTR, (0, GDT, 0x4F, 0))
        uc.hook_add(unicorn.UC_HOOK_INTR, self._interrupt)
        uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._invalid)
        self.taken: tuple[int, int] | None = None
        """Vector, and CR2 if that is a page fault."""
        self._context = uc.context_save()
        self._raw = ctypes.cast(self._context._context, ctypes.c_void_p).value or 0
        self._find_places()
        self._clean = uc.context_save()

    def _interrupt(self, uc: object, number: int, data: object) -> None:
        self.taken = self.taken or (number, 0)
        self.uc.emu_stop()

    def _invalid(self, uc: object, kind: int, address: int, *_: object) -> bool:
        self.taken = self.taken or (PAGE_FAULT, address)
        return False

    def _bytes(self) -> bytes:
        self.uc.context_update(self._context)
        return ctypes.string_at(self._raw, self._context.size)

    def _find_places(self) -> None:
        """Where a saved context holds the error code, and the last exception for double faults.

        No register of the interface has them: a known exception tells the places.
        """
        self.uc.mem_write(PROBE, MOV_DS)
        self.uc.reg_write(self.names.UC_X86_REG_RAX, WRONG_SELECTOR)
        self._prepare(PROBE)
        before = self._bytes()
        self.uc.emu_start(START, PROBE + len(MOV_DS))
        after = self._bytes()
        assert self.taken == (PROTECTION, 0), self.taken
        words = [struct.unpack(f"<{len(b) // 4}I", b[: len(b) & ~3]) for b in (before, after)]
        changed = [(n, a, b) for n, (a, b) in enumerate(zip(*words, strict=True)) if a != b]
        errors = [4 * n for n, _, b in changed if b == WRONG_SELECTOR]
        lasts = [4 * n for n, a, b in changed if (a, b) == (NOTHING, PROTECTION)]
        assert len(errors) == 1 and len(lasts) == 1, changed
        self._error, self._last = errors[0], lasts[0]
        self._settle()

    def _settle(self) -> int:
        """Forget that an exception was taken; its error code."""
        data = self._bytes()
        ctypes.memmove(self._raw + self._last, b"\xff" * 4, 4)
        self.uc.context_restore(self._context)
        return struct.unpack_from("<I", data, self._error)[0]

    def _prepare(self, target: int) -> None:
        """Let START enter `target` at privilege level 3."""
        uc, names = self.uc, self.names
        for register, selector in (("SS", KERNEL_SS), ("CS", KERNEL_CS)):
            uc.reg_write(getattr(names, f"UC_X86_REG_{register}"), selector)
        for register in ("DS", "ES", "FS", "GS"):
            uc.reg_write(getattr(names, f"UC_X86_REG_{register}"), 0)
        uc.reg_write(names.UC_X86_REG_GS_BASE, GS_BASE)
        uc.mem_write(STACK, struct.pack("<5Q", target, CS64, 0x202, DRIVER_STACK, SS))
        uc.reg_write(names.UC_X86_REG_RSP, STACK)

    def run(self, kind: bytes) -> bool:
        """Let the driver run; False if it did not come to its end."""
        if kind != AGAIN:
            self.labels = driver(kind == NARROW).labels
            self.uc.ctl_flush_tb()
        self.uc.context_restore(self._clean)
        self._prepare(self.labels["start"])
        here, uc, names = START, self.uc, self.names
        while True:
            self.taken = None
            try:
                uc.emu_start(here, self.labels["end"])
            except self.error as error:
                if error.errno == self._invalid_opcode:
                    self.taken = (INVALID_OPCODE, 0)
                elif self.taken is None:
                    return False
            rip = uc.reg_read(names.UC_X86_REG_RIP)
            if self.taken is None:
                return rip == self.labels["end"]
            self._note(rip)
            narrow = uc.reg_read(names.UC_X86_REG_CS) == CS32
            here = BACK if narrow else self.labels["epilogue"]

    @property
    def _invalid_opcode(self) -> int:
        import unicorn

        return unicorn.UC_ERR_INSN_INVALID

    def _note(self, rip: int) -> None:
        """Put an exception into the case's result."""
        assert self.taken is not None
        error = self._settle()
        vector, address = self.taken
        result = struct.unpack_from("<Q", self.image, RESULT - BASE)[0] - BASE
        values = {VECTOR: vector | TAKEN, RIP: rip, ERROR: error, CR2: address}
        for where, value in values.items():
            struct.pack_into("<Q", self.image, result + where, value)


def serve(memory: int) -> None:
    """The worker."""
    serve_batches(Unicorn(memory).run)
