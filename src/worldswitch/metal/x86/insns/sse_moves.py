"""Moves of SSE, SSE2, SSE3 and MMX: between registers, memory and general registers. ref: APM4"""

from typing import Any

from worldswitch.engine import typed, u8, u32, u64, u128
from worldswitch.metal.x86.decode_bits import PREFIX_ADDRESS
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.memory import STORE, linear, store_u8
from worldswitch.metal.x86.mode import MODE_CODE32, MODE_LONG
from worldswitch.metal.x86.operands import effective
from worldswitch.metal.x86.paging import check_write
from worldswitch.metal.x86.segment_checks import check_segment
from worldswitch.metal.x86.state import DATA, FLAT, RDI, Cpu, Record
from worldswitch.metal.x86.vector_memory import high_of, wide
from worldswitch.metal.x86.vector_operands import mmx_pending, mmx_used, xmm

store_u64, store_u32 = STORE[64], STORE[32]


@insn("MOVAPS", "NP 0F 28 /r Vx,Wx", "NP 0F 29 /r Wx,Vx", ref="APM4 MOVAPS", unit="sse",
      split=True)  # fmt: skip
@insn("MOVAPD", "66 0F 28 /r Vx,Wx", "66 0F 29 /r Wx,Vx", ref="APM4 MOVAPD", unit="sse",
      split=True)  # fmt: skip
@insn("MOVDQA", "66 0F 6F /r Vx,Wx", "66 0F 7F /r Wx,Vx", ref="APM4 MOVDQA", unit="sse",
      split=True)  # fmt: skip
@insn("MOVUPS", "NP 0F 10 /r Vx,Wx", "NP 0F 11 /r Wx,Vx", ref="APM4 MOVUPS", unit="sse",
      split=True, anywhere=True)  # fmt: skip
@insn("MOVUPD", "66 0F 10 /r Vx,Wx", "66 0F 11 /r Wx,Vx", ref="APM4 MOVUPD", unit="sse",
      split=True, anywhere=True)  # fmt: skip
@insn("MOVDQU", "F3 0F 6F /r Vx,Wx", "F3 0F 7F /r Wx,Vx", ref="APM4 MOVDQU", unit="sse",
      split=True, anywhere=True)  # fmt: skip
@insn("LDDQU", "F2 0F F0 /r /m Vx,Mx", ref="APM4 LDDQU", unit="sse", feature="sse3",
      anywhere=True)  # fmt: skip
@insn("MOVNTPS", "NP 0F 2B /r /m Mx,Vx", ref="APM4 MOVNTPS", unit="sse")
@insn("MOVNTPD", "66 0F 2B /r /m Mx,Vx", ref="APM4 MOVNTPD", unit="sse")
@insn("MOVNTDQ", "66 0F E7 /r /m Mx,Vx", ref="APM4 MOVNTDQ", unit="sse")
@insn("MOVNTDQA", "66 0F 38 2A /r /m Vx,Mx", ref="APM4 MOVNTDQA", unit="sse", feature="sse4_1")
@insn("MOVSD", "F2 0F 10 /r /R Vq,Uq", "F2 0F 11 /r Wq,Vq", ref="APM4 MOVSD", unit="sse",
      split=True)  # fmt: skip
@insn("MOVSS", "F3 0F 10 /r /R Vd,Ud", "F3 0F 11 /r Wd,Vd", ref="APM4 MOVSS", unit="sse",
      split=True)  # fmt: skip
@insn("MOVLPS", "NP 0F 12 /r /m Vq,Mq", "NP 0F 13 /r /m Mq,Vq", ref="APM4 MOVLPS", unit="sse")
@insn("MOVLPD", "66 0F 12 /r /m Vq,Mq", "66 0F 13 /r /m Mq,Vq", ref="APM4 MOVLPD", unit="sse")
@insn("MOVQ", "66 0F D6 /r /m Mq,Vq", ref="APM4 MOVQ", unit="sse")
@insn("MOVD", "66 0F 7E /r Ey,Vy", ref="APM4 MOVD", unit="sse")
def copy(w: Width) -> Any:
    """Copy; a part of a register leaves the rest as it is."""
    u = w.u

    @typed(inline=True)
    def copy(cpu: Cpu, a: u) -> u:
        return a

    return copy


@insn("MOVD", "66 0F 6E /r Vx,Ey", ref="APM4 MOVD", unit="sse")
@insn("MOVQ", "F3 0F 7E /r Vx,Wq", "66 0F D6 /r /R Ux,Vq", ref="APM4 MOVQ", unit="sse", split=True)
@insn("MOVSD", "F2 0F 10 /r /m Vx,Mq", ref="APM4 MOVSD", unit="sse")
@insn("MOVSS", "F3 0F 10 /r /m Vx,Md", ref="APM4 MOVSS", unit="sse")
def extend(w: Width, s: Width) -> Any:
    """Copy into a register's low part; the rest becomes zero."""
    u = s.u

    @typed(inline=True)
    def extend(cpu: Cpu, a: u) -> u128:
        return u128(a)

    return extend


@insn("MOVHLPS", "NP 0F 12 /r /R Vq,Ux", ref="APM4 MOVHLPS", unit="sse")
@insn("MOVHPS", "NP 0F 17 /r /m Mq,Vx", ref="APM4 MOVHPS", unit="sse")
@insn("MOVHPD", "66 0F 17 /r /m Mq,Vx", ref="APM4 MOVHPD", unit="sse")
def upper() -> Any:
    """Copy the upper half."""

    @typed(inline=True)
    def upper(cpu: Cpu, a: u128) -> u64:
        return high_of(a)

    return upper


@insn("MOVLHPS", "NP 0F 16 /r /R Vx,Uq", ref="APM4 MOVLHPS", unit="sse")
@insn("MOVHPS", "NP 0F 16 /r /m Vx,Mq", ref="APM4 MOVHPS", unit="sse")
@insn("MOVHPD", "66 0F 16 /r /m Vx,Mq", ref="APM4 MOVHPD", unit="sse")
def to_upper() -> Any:
    """Replace the upper half."""

    @typed(inline=True)
    def to_upper(cpu: Cpu, a: u128, b: u64) -> u128:
        return wide(u64(a), b)

    return to_upper


@insn("MOVDDUP", "F2 0F 12 /r Vx,Wq", ref="APM4 MOVDDUP", unit="sse", feature="sse3")
def movddup() -> Any:
    """The low quadword twice."""

    @typed(inline=True)
    def movddup(cpu: Cpu, a: u64) -> u128:
        return wide(a, a)

    return movddup


ODD = 0xFFFF_FFFF_0000_0000_FFFF_FFFF_0000_0000
EVEN = ODD >> 32


@insn("MOVSLDUP", "F3 0F 12 /r Vx,Wx", ref="APM4 MOVSLDUP", unit="sse", feature="sse3")
def movsldup() -> Any:
    """Doublewords 0 and 2, each twice."""

    @typed(inline=True)
    def movsldup(cpu: Cpu, a: u128) -> u128:
        low = a & EVEN
        return low | (low << 32)

    return movsldup


@insn("MOVSHDUP", "F3 0F 16 /r Vx,Wx", ref="APM4 MOVSHDUP", unit="sse", feature="sse3")
def movshdup() -> Any:
    """Doublewords 1 and 3, each twice."""

    @typed(inline=True)
    def movshdup(cpu: Cpu, a: u128) -> u128:
        high = a & ODD
        return high | (high >> 32)

    return movshdup


@insn("MOVMSKPS", "NP 0F 50 /r Gd,Ux", ref="APM4 MOVMSKPS", unit="sse")
def movmskps() -> Any:
    """The signs of four doublewords."""

    @typed(inline=True)
    def movmskps(cpu: Cpu, a: u128) -> u32:
        low = u64(a)
        high = high_of(a)
        pair = ((low >> 31) & 1) | ((low >> 62) & 2)
        return u32(pair | ((high >> 29) & 4) | ((high >> 60) & 8))

    return movmskps


@insn("MOVMSKPD", "66 0F 50 /r Gd,Ux", ref="APM4 MOVMSKPD", unit="sse")
def movmskpd() -> Any:
    """The signs of two quadwords."""

    @typed(inline=True)
    def movmskpd(cpu: Cpu, a: u128) -> u32:
        return u32((u64(a) >> 63) | ((high_of(a) >> 62) & 2))

    return movmskpd


@insn("MOVQ", "NP 0F 6F /r Pq,Qq", "NP 0F 7F /r /R Nq,Pq", ref="APM5 MOVQ", unit="mmx")
@insn("MOVD", "NP 0F 6E /r Pq,Ey", ref="APM5 MOVD", unit="mmx")
def to_mmx(w: Width, s: Width) -> Any:
    """Copy into an MMX register, with zeros in front."""
    u = s.u

    @typed(inline=True)
    def to_mmx(cpu: Cpu, a: u) -> u64:
        return u64(a)

    return to_mmx


@insn("MOVD", "NP 0F 7E /r /R Ey,Py", ref="APM5 MOVD", unit="mmx")
def from_mmx(w: Width) -> Any:
    """Copy out of an MMX register."""
    u = w.u

    @typed(inline=True)
    def from_mmx(cpu: Cpu, a: u) -> u:
        mmx_used(cpu)
        return a

    return from_mmx


def _mmx_store(bits: int) -> Any:
    store, kind = STORE[bits], {32: u32, 64: u64}[bits]

    @typed(leaves=True, inline=True)
    def mmx_store(cpu: Cpu, rec: Record) -> None:
        mmx_pending(cpu)
        store(cpu, rec.seg, effective(cpu, rec), kind(cpu.st[rec.reg & 7]))
        mmx_used(cpu)

    return mmx_store


@insn("MOVQ", "NP 0F 7F /r /m Mq,Pq", ref="APM5 MOVQ", unit="mmx", raw=True, writes=True)
@insn("MOVNTQ", "NP 0F E7 /r /m Mq,Pq", ref="APM5 MOVNTQ", unit="mmx", raw=True, writes=True)
@insn("MOVD", "NP 0F 7E /r /m My,Py", ref="APM5 MOVD", unit="mmx", raw=True, writes=True)
def mmx_store(w: Width) -> Any:
    """Store an MMX register, or its low half."""
    return _mmx_store(w.bits)


@insn("MOVQ2DQ", "F3 0F D6 /r /R Vx,Nq", ref="APM4 MOVQ2DQ", unit="sse")
def movq2dq() -> Any:
    """Copy an MMX register into an XMM register."""

    @typed(inline=True)
    def movq2dq(cpu: Cpu, a: u64) -> u128:
        mmx_used(cpu)
        return u128(a)

    return movq2dq


@insn("MOVDQ2Q", "F2 0F D6 /r /R Pq,Uq", ref="APM4 MOVDQ2Q", unit="sse")
def movdq2q() -> Any:
    """Copy the low half of an XMM register into an MMX register."""

    @typed(inline=True)
    def movdq2q(cpu: Cpu, a: u64) -> u64:
        return a

    return movdq2q


@typed(leaves=True, inline=False)
def store_masked(cpu: Cpu, rec: Record, value: u128, mask: u128, size: u64) -> None:
    """Store at DS:rDI the bytes of `value` that the sign bits in `mask` select, or none.

    ref: APM4 MASKMOVDQU
    """
    offset = cpu.gr[RDI]
    if cpu.mode & MODE_LONG != 0:
        if rec.prefixes & PREFIX_ADDRESS != 0:
            offset = offset & 0xFFFF_FFFF
    elif (cpu.mode & MODE_CODE32 != 0) != (rec.prefixes & PREFIX_ADDRESS != 0):
        offset = offset & 0xFFFF_FFFF
    else:
        offset = offset & 0xFFFF
    if cpu.mode & MODE_LONG == 0:
        check_segment(cpu, u64(rec.seg), offset, size, True)
    where = offset + cpu.seg_base[rec.seg]
    n: u64 = 0
    while n < size:
        if u8(mask >> (n * 8)) & 0x80 != 0:
            check_write(cpu, cpu.ctx[DATA], u64(rec.seg), linear(cpu, where + n))
        n += 1
    n = 0
    while n < size:
        if u8(mask >> (n * 8)) & 0x80 != 0:
            store_u8(cpu, FLAT, linear(cpu, where + n), u8(value >> (n * 8)))
        n += 1


@insn("MASKMOVDQU", "66 0F F7 /r /R Vx,Ux", ref="APM4 MASKMOVDQU", unit="sse", raw=True)
def maskmovdqu() -> Any:
    """Store selected bytes."""

    @typed(leaves=True, inline=True)
    def maskmovdqu(cpu: Cpu, rec: Record) -> None:
        store_masked(cpu, rec, xmm(cpu, u64(rec.reg)), xmm(cpu, u64(rec.rm)), 16)

    return maskmovdqu


@insn("MASKMOVQ", "NP 0F F7 /r /R Pq,Nq", ref="APM5 MASKMOVQ", unit="mmx", raw=True)
def maskmovq() -> Any:
    """Store selected bytes of an MMX register."""

    @typed(leaves=True, inline=True)
    def maskmovq(cpu: Cpu, rec: Record) -> None:
        mmx_pending(cpu)
        store_masked(cpu, rec, u128(cpu.st[rec.reg & 7]), u128(cpu.st[rec.rm & 7]), 8)
        mmx_used(cpu)

    return maskmovq


@insn("EMMS", "NP 0F 77", ref="APM5 EMMS", unit="mmx", raw=True)
def emms() -> Any:
    """All x87 registers become empty, and TOP zero."""

    @typed(leaves=True, inline=True)
    def emms(cpu: Cpu, rec: Record) -> None:
        mmx_pending(cpu)
        mmx_used(cpu)
        cpu.x87_tags = 0

    return emms
