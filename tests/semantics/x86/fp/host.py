"""Run an x86 instruction on many operands: on the host's processor, or in Unicorn elsewhere.

A case is 64 bytes: the control (MXCSR or the x87 control word) at 0, an immediate at 4, and the
operands at 16, 32 and 48. A result is 64 bytes: four values at 0, 16, 32 and 48.
"""

import ctypes
import mmap
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import unicorn
from unicorn import x86_const

from worldswitch.lab.x86_assembler import assemble

SIZE = 64
LOOP = """
        .text
        .globl run
run:    FIRST
        pushq %rbx
        subq $16, %rsp
        stmxcsr (%rsp)
        fninit
next:   BODY
        addq $64, %rdi
        addq $64, %rsi
        decq %rdx
        jnz next
        ldmxcsr (%rsp)
        addq $16, %rsp
        fninit
        popq %rbx
        ret
"""
NATIVE = platform.machine() in ("x86_64", "AMD64")
KNOWS_FLAGS = NATIVE
"""Unicorn does not show exceptions in MXCSR."""


@dataclass(frozen=True)
class Case:
    """What the instruction finds."""

    control: int
    a: int = 0
    b: int = 0
    c: int = 0
    immediate: int = 0

    def pack(self) -> bytes:
        """The case as the loop reads it."""
        numbers = b"".join(x.to_bytes(16, "little") for x in (self.a, self.b, self.c))
        return struct.pack("<IIQ", self.control, self.immediate, 0) + numbers


Result = tuple[int, int, int, int]


def loop(body: str, first: str = "") -> bytes:
    """Machine code, for any place, of the loop around instructions; `first` comes before it."""
    return assemble(LOOP.replace("FIRST", first).replace("BODY", body)).text


def unpack(data: bytes) -> list[Result]:
    """The results in a table."""
    words = struct.unpack(f"<{len(data) // 8}Q", data)
    whole = [low | high << 64 for low, high in zip(words[::2], words[1::2], strict=True)]
    return [(a, b, c, d) for a, b, c, d in zip(*[iter(whole)] * 4, strict=True)]


def on_host(code: bytes, table: bytes) -> bytes:
    """Run on the host's processor."""
    count = len(table) // SIZE
    area = mmap.mmap(-1, (len(code) + 4095) & ~4095, prot=mmap.PROT_READ | mmap.PROT_WRITE | 4)
    area.write(code)
    anchor = ctypes.c_char.from_buffer(area)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    out = ctypes.create_string_buffer(len(table))
    kind(ctypes.addressof(anchor))(table, ctypes.addressof(out), count)
    del anchor
    area.close()
    return out.raw


CODE = 0x1000
STACK = 0x8000
TABLE = 0x100000


def emulated(code: bytes, table: bytes) -> bytes:
    """Run in Unicorn."""
    # The package re-exports its class without saying so to type checkers.
    emulator = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    size = (len(table) + 4095) & ~4095
    emulator.mem_map(0, TABLE + 2 * size)
    emulator.mem_write(CODE, code)
    emulator.mem_write(TABLE, table)
    for register, value in (
        (x86_const.UC_X86_REG_RDI, TABLE),
        (x86_const.UC_X86_REG_RSI, TABLE + size),
        (x86_const.UC_X86_REG_RDX, len(table) // SIZE),
        (x86_const.UC_X86_REG_RSP, STACK - 8),
    ):
        emulator.reg_write(register, value)
    emulator.mem_write(STACK - 8, struct.pack("<Q", STACK))
    emulator.emu_start(CODE, STACK)
    return bytes(emulator.mem_read(TABLE + size, len(table)))


def run(body: str, cases: Sequence[Case]) -> list[Result]:
    """Results of the instructions `body` on the cases."""
    table = b"".join(case.pack() for case in cases)
    return unpack((on_host if NATIVE else emulated)(loop(body), table))
