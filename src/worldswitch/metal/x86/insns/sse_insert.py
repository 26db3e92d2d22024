"""Single elements of vectors, blends, and what is left of SSE4.1's integers. ref: APM4"""

from typing import Any

from worldswitch.arch.x86.registers import Rflags
from worldswitch.engine import typed, u8, u16, u32, u64, u128
from worldswitch.metal.x86.flags import Width, set_status
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.packed import given
from worldswitch.metal.x86.lanes import L8, L32
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import wide
from worldswitch.metal.x86.vector_operands import mmx_used


def _insert(bits: int, source: Any) -> Any:
    """Replace the element of `bits` bits that an immediate numbers."""
    last, full = 128 // bits - 1, (1 << bits) - 1

    @typed(inline=True, name=f"insert{bits}")
    def insert(cpu: Cpu, a: u128, b: source, number: u8) -> u128:
        shift = u128(number & last) * bits
        return (a & ~(u128(full) << shift)) | ((u128(b) & full) << shift)

    return insert


@insn("PINSRB", "66 0F 3A 20 /r /R Vx,Rd,Ib", "66 0F 3A 20 /r /m Vx,Mb,Ib", ref="APM4 PINSRB",
      unit="sse", feature="sse4_1")  # fmt: skip
def pinsrb(w: Width, s: Width) -> Any:
    """Replace a byte."""
    return _insert(8, s.u)


@insn("PINSRW", "66 0F C4 /r /R Vx,Rd,Ib", "66 0F C4 /r /m Vx,Mw,Ib", ref="APM4 PINSRW", unit="sse")
def pinsrw(w: Width, s: Width) -> Any:
    """Replace a word."""
    return _insert(16, s.u)


@insn("PINSRD", "66 0F 3A 22 /r Vx,Ey,Ib", ref="APM4 PINSRD", unit="sse", feature="sse4_1")
def pinsrd(w: Width, s: Width) -> Any:
    """Replace a doubleword or quadword."""
    return _insert(s.bits, s.u)


@insn("PINSRW", "NP 0F C4 /r /R Pq,Rd,Ib", "NP 0F C4 /r /m Pq,Mw,Ib", ref="APM5 PINSRW", unit="mmx",
      feature="sse")  # fmt: skip
def pinsrw_mmx(w: Width, s: Width) -> Any:
    """Replace a word of an MMX register."""
    source = s.u

    @typed(inline=True)
    def pinsrw_mmx(cpu: Cpu, a: u64, b: source, number: u8) -> u64:
        shift = u64(number & 3) * 16
        return (a & ~(u64(0xFFFF) << shift)) | ((u64(b) & 0xFFFF) << shift)

    return pinsrw_mmx


def _extract(bits: int, target: Any) -> Any:
    """The element of `bits` bits that an immediate numbers."""
    last = 128 // bits - 1
    kind = {8: u8, 16: u16, 32: u32, 64: u64}[bits]

    @typed(inline=True, name=f"extract{bits}")
    def extract(cpu: Cpu, a: u128, number: u8) -> target:
        return target(kind(a >> (u128(number & last) * bits)))

    return extract


@insn("PEXTRB", "66 0F 3A 14 /r /R Rd,Vx,Ib", "66 0F 3A 14 /r /m Mb,Vx,Ib", ref="APM4 PEXTRB",
      unit="sse", feature="sse4_1")  # fmt: skip
def pextrb(w: Width) -> Any:
    """A byte, extended with zeros."""
    return _extract(8, w.u)


@insn("PEXTRW", "66 0F C5 /r /R Gd,Ux,Ib", ref="APM4 PEXTRW", unit="sse")
@insn("PEXTRW", "66 0F 3A 15 /r /R Rd,Vx,Ib", "66 0F 3A 15 /r /m Mw,Vx,Ib", ref="APM4 PEXTRW",
      unit="sse", feature="sse4_1")  # fmt: skip
def pextrw(w: Width) -> Any:
    """A word, extended with zeros."""
    return _extract(16, w.u)


@insn("PEXTRD", "66 0F 3A 16 /r Ey,Vx,Ib", ref="APM4 PEXTRD", unit="sse", feature="sse4_1")
@insn("EXTRACTPS", "66 0F 3A 17 /r Ed,Vx,Ib", ref="APM4 EXTRACTPS", unit="sse", feature="sse4_1")
def pextrd(w: Width) -> Any:
    """A doubleword or quadword."""
    return _extract(w.bits, w.u)


@insn("PEXTRW", "NP 0F C5 /r /R Gd,Nq,Ib", ref="APM5 PEXTRW", unit="mmx", feature="sse")
def pextrw_mmx() -> Any:
    """A word of an MMX register."""

    @typed(inline=True)
    def pextrw_mmx(cpu: Cpu, a: u64, number: u8) -> u32:
        mmx_used(cpu)
        return u32(u16(a >> (u64(number & 3) * 16)))

    return pextrw_mmx


@typed(inline=False)
def inserted(a: u128, b: u32, how: u8) -> u128:
    """A doubleword put in its place, and others made zero. ref: APM4 INSERTPS"""
    shift = u128((how >> 4) & 3) * 32
    result = (a & ~(u128(0xFFFF_FFFF) << shift)) | (u128(b) << shift)
    for n in range(4):
        if (how >> n) & 1 != 0:
            result = result & ~(u128(0xFFFF_FFFF) << (n * 32))
    return result


@insn("INSERTPS", "66 0F 3A 21 /r /R Vx,Ux,Ib", ref="APM4 INSERTPS", unit="sse", feature="sse4_1")
def insertps() -> Any:
    """Insert one of a register's doublewords."""

    @typed(inline=True)
    def insertps(cpu: Cpu, a: u128, b: u128, how: u8) -> u128:
        return inserted(a, u32(b >> (u128(how >> 6) * 32)), how)

    return insertps


@insn("INSERTPS", "66 0F 3A 21 /r /m Vx,Md,Ib", ref="APM4 INSERTPS", unit="sse", feature="sse4_1")
def insertps_memory() -> Any:
    """Insert a doubleword of memory."""

    @typed(inline=True)
    def insertps_memory(cpu: Cpu, a: u128, b: u32, how: u8) -> u128:
        return inserted(a, b, how)

    return insertps_memory


@typed(inline=True)
def chosen(mask: u128, a: u128, b: u128) -> u128:
    """b where the mask has ones, a elsewhere."""
    return a ^ ((a ^ b) & mask)


@insn("PBLENDVB", "66 0F 38 10 /r Vx,Wx", ref="APM4 PBLENDVB", unit="sse", feature="sse4_1")
def pblendvb() -> Any:
    """Bytes chosen by the signs in XMM0."""

    @typed(inline=True)
    def pblendvb(cpu: Cpu, a: u128, b: u128) -> u128:
        mask = wide(L8.spread(cpu.xmm[0] & L8.sign), L8.spread(cpu.xmm[1] & L8.sign))
        return chosen(mask, a, b)

    return pblendvb


@insn("BLENDVPS", "66 0F 38 14 /r Vx,Wx", ref="APM4 BLENDVPS", unit="sse", feature="sse4_1")
def blendvps() -> Any:
    """Doublewords chosen by the signs in XMM0."""

    @typed(inline=True)
    def blendvps(cpu: Cpu, a: u128, b: u128) -> u128:
        mask = wide(L32.spread(cpu.xmm[0] & L32.sign), L32.spread(cpu.xmm[1] & L32.sign))
        return chosen(mask, a, b)

    return blendvps


@insn("BLENDVPD", "66 0F 38 15 /r Vx,Wx", ref="APM4 BLENDVPD", unit="sse", feature="sse4_1")
def blendvpd() -> Any:
    """Quadwords chosen by the signs in XMM0."""

    @typed(inline=True)
    def blendvpd(cpu: Cpu, a: u128, b: u128) -> u128:
        mask = wide(u64(0) - (cpu.xmm[0] >> 63), u64(0) - (cpu.xmm[1] >> 63))
        return chosen(mask, a, b)

    return blendvpd


def _blend(bits: int) -> Any:
    """Elements chosen by an immediate's bits."""
    full = (1 << bits) - 1

    @typed(inline=False, name=f"blended{bits}")
    def blended(a: u128, b: u128, which: u8) -> u128:
        mask: u128 = 0
        for n in range(128 // bits):
            if (which >> n) & 1 != 0:
                mask = mask | (u128(full) << (n * bits))
        return chosen(mask, a, b)

    @typed(inline=True, name=f"blend{bits}")
    def blend(cpu: Cpu, a: u128, b: u128, which: u8) -> u128:
        return blended(a, b, which)

    return blend


for _name, _opcode, _bits in (("BLENDPS", "0C", 32), ("BLENDPD", "0D", 64), ("PBLENDW", "0E", 16)):
    insn(_name, f"66 0F 3A {_opcode} /r Vx,Wx,Ib", ref=f"APM4 {_name}", unit="sse",
         feature="sse4_1")(given(_blend(_bits)))  # fmt: skip


@insn("PTEST", "66 0F 38 17 /r Vx,Wx", ref="APM4 PTEST", unit="sse", feature="sse4_1")
def ptest() -> Any:
    """ZF: no common ones; CF: no ones of the second alone."""

    @typed(inline=True)
    def ptest(cpu: Cpu, a: u128, b: u128) -> None:
        status: u64 = 0
        if a & b == 0:
            status = Rflags.ZF
        if ~a & b == 0:
            status = status | Rflags.CF
        set_status(cpu, status)

    return ptest


@typed(inline=False)
def smallest(a: u128) -> u128:
    """The smallest of eight unsigned words and its number. ref: APM4 PHMINPOSUW"""
    least: u64 = 0xFFFF
    where: u64 = 0
    n: u64 = 8
    while n != 0:
        n = n - 1
        word = u64(u16(a >> u128(n * 16)))
        if word <= least:
            least = word
            where = n
    return u128(least | (where << 16))


@insn("PHMINPOSUW", "66 0F 38 41 /r Vx,Wx", ref="APM4 PHMINPOSUW", unit="sse", feature="sse4_1")
def phminposuw() -> Any:
    """Smallest word and its number."""

    @typed(inline=True)
    def phminposuw(cpu: Cpu, b: u128) -> u128:
        return smallest(b)

    return phminposuw


@typed(inline=False)
def sums_of_differences(a: u128, b: u128, how: u8) -> u128:
    """Eight sums of four absolute differences of bytes. ref: APM4 MPSADBW"""
    pattern = u64(b >> (u128(how & 3) * 32)) & 0xFFFF_FFFF
    text = a >> (u128((how >> 2) & 1) * 32)
    result: u128 = 0
    for n in range(8):
        here = u64(text >> (n * 8)) & 0xFFFF_FFFF
        distances = L8.umax(here, pattern) - L8.umin(here, pattern)
        pairs = (distances & 0x00FF_00FF) + ((distances >> 8) & 0x00FF_00FF)
        result = result | (u128((pairs + (pairs >> 16)) & 0xFFFF) << (n * 16))
    return result


@insn("MPSADBW", "66 0F 3A 42 /r Vx,Wx,Ib", ref="APM4 MPSADBW", unit="sse", feature="sse4_1")
def mpsadbw() -> Any:
    """Sums of absolute differences of a pattern and a text."""

    @typed(inline=True)
    def mpsadbw(cpu: Cpu, a: u128, b: u128, how: u8) -> u128:
        return sums_of_differences(a, b, how)

    return mpsadbw
