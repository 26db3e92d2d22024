"""Operand functions of SSE and MMX: V, W, U are XMM registers, P, Q, N are MMX registers.

A V, W or U of 32 or 64 bits is the register's low part: reading takes it, writing leaves the rest
of the register as it is. An instruction that clears the rest gives 128 bits. Bits above 127 of the
YMM registers never change. W and Q stand for register and memory in one handler, which asks the
record (RECORD_MEMORY), unless the rules say `split`; readers of N and Q also look for a pending
x87 exception. ref: APM1 4.2; APM3 A.1
"""

from functools import cache
from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr0
from worldswitch.engine import Typed, likely, typed, u16, u32, u64, u128
from worldswitch.metal.x86.decode_bits import RECORD_MEMORY
from worldswitch.metal.x86.leave import fault
from worldswitch.metal.x86.memory import LOAD, STORE
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.vector_memory import (
    high_of,
    load_aligned,
    load_u128,
    store_aligned,
    store_u128,
    wide,
)

KIND: dict[int, Any] = {16: u16, 32: u32, 64: u64, 128: u128}
MMX_EXPONENT = 0xFFFF
TOP_MASK = 0x3800
X87_ES = 0x80
"""Exception summary of the x87 status word."""

load_half = LOAD[64]
load_word = LOAD[32]
load_short = LOAD[16]


@typed(inline=True)
def xmm(cpu: Cpu, number: u64) -> u128:
    """XMM register `number`."""
    return wide(cpu.xmm[number * 4], cpu.xmm[number * 4 + 1])


@typed(inline=True)
def put_xmm(cpu: Cpu, number: u64, value: u128) -> None:
    """Write XMM register `number`."""
    cpu.xmm[number * 4] = u64(value)
    cpu.xmm[number * 4 + 1] = high_of(value)


@typed(leaves=True, inline=True)
def mmx_pending(cpu: Cpu) -> None:
    """#MF if an x87 exception is pending: every MMX instruction begins with it. ref: APM2 8.2.17"""
    if not likely(cpu.x87_status & X87_ES == 0):
        # UNMODELLED: FERR#, which tells the PC of an exception with CR0.NE = 0.
        if cpu.cr0 & Cr0.NE != 0:
            fault(cpu, Vector.MF)


@typed(inline=True)
def mmx_used(cpu: Cpu) -> None:
    """What every MMX instruction but EMMS leaves: all tags valid, TOP 0. ref: APM1 5.15"""
    cpu.x87_tags = 0xFF
    cpu.x87_status = cpu.x87_status & u16(~TOP_MASK)


@typed(inline=True)
def put_mm(cpu: Cpu, number: u64, value: u64) -> None:
    """Write MMX register `number`."""
    cpu.st[number] = value
    cpu.st_exponent[number] = MMX_EXPONENT
    mmx_used(cpu)


@typed(leaves=True, inline=False)
def vector_at(cpu: Cpu, rec: Record) -> u128:
    """The aligned memory operand of 128 bits."""
    return load_aligned(cpu, rec.seg, effective(cpu, rec))


@typed(leaves=True, inline=False)
def vector_anywhere(cpu: Cpu, rec: Record) -> u128:
    """The memory operand of 128 bits, at any address."""
    return load_u128(cpu, rec.seg, effective(cpu, rec))


@typed(leaves=True, inline=False)
def half_at(cpu: Cpu, rec: Record) -> u64:
    """The memory operand of 64 bits."""
    return load_half(cpu, rec.seg, effective(cpu, rec))


@typed(leaves=True, inline=False)
def word_at(cpu: Cpu, rec: Record) -> u32:
    """The memory operand of 32 bits."""
    return load_word(cpu, rec.seg, effective(cpu, rec))


@typed(leaves=True, inline=False)
def short_at(cpu: Cpu, rec: Record) -> u16:
    """The memory operand of 16 bits."""
    return load_short(cpu, rec.seg, effective(cpu, rec))


def _register(bits: int, member: str) -> tuple[Any, Any]:
    """Reader and writer of the XMM register that `rec.reg` or `rec.rm` numbers."""
    kind, in_reg = KIND[bits], member == "reg"
    kept = 0xFFFF_FFFF_FFFF_FFFF & ~((1 << bits) - 1)

    @typed(inline=True, name=f"xmm_number_{member}_{bits}")
    def number(rec: Record) -> u64:
        if in_reg:
            return u64(rec.reg)
        return u64(rec.rm)

    if bits == 128:

        @typed(inline=True, name=f"read_xmm_{member}_{bits}")
        def read(cpu: Cpu, rec: Record) -> kind:
            return xmm(cpu, number(rec))

        @typed(inline=True, name=f"write_xmm_{member}_{bits}")
        def write(cpu: Cpu, rec: Record, value: kind) -> None:
            put_xmm(cpu, number(rec), value)
    else:

        @typed(inline=True, name=f"read_xmm_{member}_{bits}")
        def read(cpu: Cpu, rec: Record) -> kind:
            return kind(cpu.xmm[number(rec) * 4])

        @typed(inline=True, name=f"write_xmm_{member}_{bits}")
        def write(cpu: Cpu, rec: Record, value: kind) -> None:
            n = number(rec) * 4
            cpu.xmm[n] = (cpu.xmm[n] & kept) | u64(value)

    return read, write


READ_V, WRITE_V = ({b: _register(b, "reg")[n] for b in KIND} for n in (0, 1))
READ_U, WRITE_U = ({b: _register(b, "rm")[n] for b in KIND} for n in (0, 1))
"""By width: XMM registers, in ModRM.reg and in ModRM.rm."""


@cache
def _memory(bits: int, anywhere: bool) -> tuple[Any, Any]:
    """Reader and writer of a memory operand, as fast as they get."""
    kind = KIND[bits]
    load: Any = LOAD.get(bits, load_u128 if anywhere else load_aligned)
    store: Any = STORE.get(bits, store_u128 if anywhere else store_aligned)

    @typed(leaves=True, inline=True, name=f"read_vector_{bits}_{anywhere}")
    def read(cpu: Cpu, rec: Record) -> kind:
        return load(cpu, rec.seg, effective(cpu, rec))

    @typed(leaves=True, inline=True, name=f"write_vector_{bits}_{anywhere}")
    def write(cpu: Cpu, rec: Record, value: kind) -> None:
        store(cpu, rec.seg, effective(cpu, rec), value)

    return read, write


@cache
def _either(bits: int, anywhere: bool) -> Any:
    """Reader of an XMM register or memory, as the record says."""
    kind, register = KIND[bits], READ_U[bits]
    memory: Any = {16: short_at, 32: word_at, 64: half_at, 128: vector_at}[bits]
    if anywhere and bits == 128:
        memory = vector_anywhere

    @typed(leaves=True, inline=True, name=f"read_w_{bits}_{anywhere}")
    def read(cpu: Cpu, rec: Record) -> kind:
        if rec.flags & RECORD_MEMORY != 0:
            return memory(cpu, rec)
        return register(cpu, rec)

    return read


READ_W_ANYWHERE = _either(128, True)
"""An XMM register or 16 bytes of memory at any address."""


@typed(leaves=True, inline=False)
def mmx_operand(cpu: Cpu, rec: Record) -> u64:
    """An MMX register or 64 bits of memory, after a look for a pending x87 exception."""
    mmx_pending(cpu)
    if rec.flags & RECORD_MEMORY != 0:
        return load_half(cpu, rec.seg, effective(cpu, rec))
    return cpu.st[rec.rm & 7]


@typed(leaves=True, inline=False)
def mmx_operand_d(cpu: Cpu, rec: Record) -> u32:
    """The low half of an MMX register or 32 bits of memory, after the same look."""
    mmx_pending(cpu)
    if rec.flags & RECORD_MEMORY != 0:
        return load_word(cpu, rec.seg, effective(cpu, rec))
    return u32(cpu.st[rec.rm & 7])


@typed(inline=True)
def read_p(cpu: Cpu, rec: Record) -> u64:
    """The MMX register in ModRM.reg."""
    return cpu.st[rec.reg & 7]


@typed(inline=True)
def read_p_d(cpu: Cpu, rec: Record) -> u32:
    """The low half of the MMX register in ModRM.reg."""
    return u32(cpu.st[rec.reg & 7])


MMX_OPERAND: dict[int, Any] = {32: mmx_operand_d, 64: mmx_operand}
READ_P: dict[int, Any] = {32: read_p_d, 64: read_p}


VECTOR_LETTERS = frozenset("VWUPQN")


def reader(letter: str, bits: int, mod: str | None, anywhere: bool) -> Typed[Any, Any]:
    """The function that reads an operand; `anywhere`: 16 bytes need no alignment.

    mod None: register or memory as the record says.
    """
    if letter == "V":
        return READ_V[bits]
    if letter == "U" or (letter == "W" and mod == "reg"):
        return READ_U[bits]
    if letter == "P":
        return READ_P[bits]
    if letter in "NQ":
        return MMX_OPERAND[bits]
    if mod == "mem":
        return _memory(bits, anywhere)[0]
    return _either(bits, anywhere)


def writer(letter: str, bits: int, mod: str | None, anywhere: bool) -> Typed[Any, Any]:
    """The function that writes an operand."""
    if letter == "V":
        return WRITE_V[bits]
    if letter == "P":
        return write_p
    if letter == "U" or (letter == "W" and mod == "reg"):
        return WRITE_U[bits]
    if letter == "N" or (letter == "Q" and mod == "reg"):
        return write_q
    return _memory(bits, anywhere)[1]


@typed(inline=True)
def write_p(cpu: Cpu, rec: Record, value: u64) -> None:
    """Write the MMX register in ModRM.reg."""
    put_mm(cpu, u64(rec.reg & 7), value)


@typed(inline=True)
def write_q(cpu: Cpu, rec: Record, value: u64) -> None:
    """Write the MMX register in ModRM.rm."""
    put_mm(cpu, u64(rec.rm & 7), value)


@cache
def pending_first(read: Typed[Any, Any]) -> Typed[Any, Any]:
    """A reader that looks for a pending x87 exception before anything else."""
    kind = read.returns

    @typed(leaves=True, inline=True, name=f"pending_{read.name}")
    def checked(cpu: Cpu, rec: Record) -> kind:
        mmx_pending(cpu)
        return read(cpu, rec)

    return checked
