"""Status flags, computed when someone asks.

An instruction leaves its result in `cpu.result`, sign-extended to 64 bits, and where carries came
from in `cpu.carries`:

    bit 63      CF: the carry or borrow out of the operand's most significant bit
    bit 62      the carry into that bit: OF is the exclusive or of the two
    bit 35 or 3 AF: the carry out of bit 3
    bits 15:8   exclusive-ored with the result's low byte before its parity is taken
    bit 0       exclusive-ored with the result's sign

Other bits mean nothing. The last two are zero after arithmetic; they let any combination of flags
be loaded.
ref: APM1 3.1.4 Flags Register.
"""

from dataclasses import dataclass
from typing import Any

from worldswitch.arch.x86.registers import Rflags
from worldswitch.engine import (
    i8,
    i16,
    i32,
    i64,
    i128,
    popcount,
    signed,
    typed,
    u8,
    u16,
    u32,
    u64,
    u128,
)
from worldswitch.metal.x86.state import Cpu

CF = 1 << 63
PARTIAL = 1 << 62
AF, AF_32 = 1 << 3, 1 << 35
TOP = CF | PARTIAL


@dataclass(frozen=True)
class Width:
    """An operand size: its integer classes, its bits, and how its handlers are named."""

    u: Any
    i: Any
    bits: int
    letter: str

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.bits // 8


B, W, D, Q = (
    Width(u8, i8, 8, "b"),
    Width(u16, i16, 16, "w"),
    Width(u32, i32, 32, "d"),
    Width(u64, i64, 64, "q"),
)
WIDTHS = {8: B, 16: W, 32: D, 64: Q}
X = Width(u128, i128, 128, "x")
"""An XMM register as an operand; it has no flags."""


@typed(inline=True)
def cf(cpu: Cpu) -> bool:
    """Carry flag."""
    return cpu.carries >> 63 != 0


@typed(inline=True)
def zf(cpu: Cpu) -> bool:
    """Zero flag."""
    return cpu.result == 0


@typed(inline=True)
def sf(cpu: Cpu) -> bool:
    """Sign flag."""
    return (u64(cpu.result) >> 63) ^ (cpu.carries & 1) != 0


@typed(inline=True)
def of(cpu: Cpu) -> bool:
    """Overflow flag."""
    return i64(cpu.carries ^ (cpu.carries << 1)) < 0


@typed(inline=True)
def pf(cpu: Cpu) -> bool:
    """Parity flag: even parity of the low byte."""
    return popcount(u8(cpu.result) ^ u8(cpu.carries >> 8)) & 1 == 0


@typed(inline=True)
def af(cpu: Cpu) -> bool:
    """Auxiliary carry flag."""
    return cpu.carries & (AF | AF_32) != 0


@typed(inline=True)
def less(cpu: Cpu) -> bool:
    """SF differs from OF."""
    sign = u64(cpu.result) ^ (cpu.carries << 63)
    return i64(sign ^ cpu.carries ^ (cpu.carries << 1)) < 0


@typed(inline=False)
def status(cpu: Cpu) -> u64:
    """CF, PF, AF, ZF, SF and OF in their places."""
    value: u64 = 0
    if cf(cpu):
        value = value | Rflags.CF
    if pf(cpu):
        value = value | Rflags.PF
    if af(cpu):
        value = value | Rflags.AF
    if zf(cpu):
        value = value | Rflags.ZF
    if sf(cpu):
        value = value | Rflags.SF
    if of(cpu):
        value = value | Rflags.OF
    return value


@typed(inline=False)
def set_status(cpu: Cpu, value: u64) -> None:
    """Load CF, PF, AF, ZF, SF and OF from their places."""
    result: i64 = 0x100
    carries: u64 = 0
    if value & Rflags.ZF != 0:
        result = 0
    if value & Rflags.SF != 0:
        carries = carries | 1
    if value & Rflags.PF == 0:
        carries = carries | 0x100
    if value & Rflags.AF != 0:
        carries = carries | AF
    if value & Rflags.CF != 0:
        carries = carries ^ TOP
    if value & Rflags.OF != 0:
        carries = carries ^ PARTIAL
    cpu.result = result
    cpu.carries = carries


@typed(inline=True)
def rflags(cpu: Cpu) -> u64:
    """The whole of RFLAGS."""
    return cpu.flags | status(cpu)


@typed(inline=True)
def put_cf(cpu: Cpu, value: bool) -> None:
    """Change CF alone."""
    if value:
        cpu.carries = cpu.carries ^ (~cpu.carries & CF) ^ ((~cpu.carries & CF) >> 1)
    else:
        cpu.carries = cpu.carries ^ (cpu.carries & CF) ^ ((cpu.carries & CF) >> 1)


@typed(inline=True)
def put_cf_of(cpu: Cpu, carry: bool, overflow: bool) -> None:
    """Change CF and OF alone, as rotates do."""
    kept = cpu.carries & (CF - 1) & ~PARTIAL
    if carry:
        kept = kept | CF
    if carry != overflow:
        kept = kept | PARTIAL
    cpu.carries = kept


def _by_width(make: Any) -> dict[int, Any]:
    return {bits: make(width) for bits, width in WIDTHS.items()}


def _logic(w: Width) -> Any:
    @typed(inline=True, name=f"flags_logic{w.letter}")
    def logic(cpu: Cpu, result: w.u) -> None:
        """After AND, OR, XOR, TEST: CF and OF are zero."""
        cpu.result = i64(signed(result))
        cpu.carries = 0

    return logic


def _carry(w: Width) -> Any:
    """With a carry in nothing but the operands and the result tells where carries came from."""
    shift = 64 - w.bits

    @typed(inline=True, name=f"flags_carry{w.letter}")
    def carry(cpu: Cpu, a: w.u, b: w.u, result: w.u) -> None:
        """After result = a + b, with or without a carry in."""
        carries = (a & b) | ((a | b) & ~result)
        cpu.result = i64(signed(result))
        cpu.carries = ((u64(carries) << shift) & TOP) | (u64(carries) & AF)

    return carry


def _borrow(w: Width) -> Any:
    shift = 64 - w.bits

    @typed(inline=True, name=f"flags_borrow{w.letter}")
    def borrow(cpu: Cpu, a: w.u, b: w.u, result: w.u) -> None:
        """After result = a - b, with or without a borrow in."""
        borrows = (~a & b) | (~(a ^ b) & result)
        cpu.result = i64(signed(result))
        cpu.carries = ((u64(borrows) << shift) & TOP) | (u64(borrows) & AF)

    return borrow


def _carries_of(w: Width) -> Any:
    """`cpu.carries` from the carries into each bit of a result, and out of the highest."""
    shift = 63 - w.bits

    @typed(inline=True, name=f"carries_of{w.letter}")
    def carries_of(moves: u64) -> u64:
        if w.bits == 32:
            return moves << shift  # which puts AF in its place, too
        return (moves << shift) | ((moves >> 1) & AF)

    return carries_of


def _add(w: Width) -> Any:
    if w.bits == 64:
        return flags_carry[64]
    carries_of = _carries_of(w)

    @typed(inline=True, name=f"flags_add{w.letter}")
    def add(cpu: Cpu, a: w.u, b: w.u, result: w.u) -> None:
        """After result = a + b. There is room for the carry out in 64 bits."""
        wide = u64(a) + u64(b)
        cpu.result = i64(signed(result))
        cpu.carries = carries_of(u64(a) ^ u64(b) ^ wide)

    return add


def _sub(w: Width) -> Any:
    if w.bits == 64:
        return flags_borrow[64]
    carries_of = _carries_of(w)

    @typed(inline=True, name=f"flags_sub{w.letter}")
    def sub(cpu: Cpu, a: w.u, b: w.u, result: w.u) -> None:
        """After result = a - b. There is room for the borrow in 64 bits."""
        wide = u64(a) - u64(b)
        cpu.result = i64(signed(result))
        cpu.carries = carries_of(u64(a) ^ u64(b) ^ wide)

    return sub


@typed(inline=True)
def keep_cf(cpu: Cpu, moved: u64, overflow: u64) -> None:
    """CF stays; `moved` has the carry into bit 4, bit 62 of `overflow` is OF."""
    kept = cpu.carries & CF
    cpu.carries = kept | (((kept >> 1) ^ overflow) & PARTIAL) | ((moved >> 1) & AF)


def _inc(w: Width) -> Any:
    up, down = max(63 - w.bits, 0), max(w.bits - 63, 0)

    @typed(inline=True, name=f"flags_inc{w.letter}")
    def inc(cpu: Cpu, a: w.u, result: w.u) -> None:
        """After result = a + 1."""
        cpu.result = i64(signed(result))
        keep_cf(cpu, u64(a ^ result), (u64(~a & result) << up) >> down)

    return inc


def _dec(w: Width) -> Any:
    up, down = max(63 - w.bits, 0), max(w.bits - 63, 0)

    @typed(inline=True, name=f"flags_dec{w.letter}")
    def dec(cpu: Cpu, a: w.u, result: w.u) -> None:
        """After result = a - 1."""
        cpu.result = i64(signed(result))
        keep_cf(cpu, u64(a ^ result), (u64(a & ~result) << up) >> down)

    return dec


flags_logic = _by_width(_logic)
flags_carry = _by_width(_carry)
flags_borrow = _by_width(_borrow)
flags_add = _by_width(_add)
flags_sub = _by_width(_sub)
flags_inc = _by_width(_inc)
flags_dec = _by_width(_dec)
"""By width: what the instructions of a kind leave behind."""
