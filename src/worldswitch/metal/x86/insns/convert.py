"""CBW, CWDE, CDQE, CWD, CDQ, CQO, BSWAP, MOVBE, XLAT. ref: APM3 3"""

from typing import Any

from worldswitch.engine import bswap, i64, signed, typed, u8, u16, u32, u64
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.memory import load_u8
from worldswitch.metal.x86.offsets import offset_mask, place
from worldswitch.metal.x86.operands import PUT, put_b
from worldswitch.metal.x86.state import RAX, RBX, RDX, Cpu, Record

HALF = {16: u8, 32: u16, 64: u32}


@insn("CBW", "98", ref="APM3 3 CBW, CWDE, CDQE", raw=True, sized=True)
def cbw(w: Width) -> Any:
    """The lower half of the accumulator, sign-extended."""
    put, u, half = PUT[w.bits], w.u, HALF[w.bits]

    @typed(inline=True)
    def cbw(cpu: Cpu, rec: Record) -> None:
        put(cpu, u8(RAX), u(u64(i64(signed(half(cpu.gr[RAX]))))))

    return cbw


@insn("CWD", "99", ref="APM3 3 CWD, CDQ, CQO", raw=True, sized=True)
def cwd(w: Width) -> Any:
    """Copies of the accumulator's sign into rDX."""
    put, u = PUT[w.bits], w.u

    @typed(inline=True)
    def cwd(cpu: Cpu, rec: Record) -> None:
        put(cpu, u8(RDX), u(u64(i64(signed(u(cpu.gr[RAX]))) >> 63)))

    return cwd


@insn("BSWAP", "0F C8+r Zv", ref="APM3 3 BSWAP")
def bswap_(w: Width) -> Any:
    """The bytes in reverse. IMPDEF: 16 bits become zero."""
    u, bits = w.u, w.bits

    @typed(inline=True)
    def bswap_(cpu: Cpu, a: u) -> u:
        if bits == 16:
            return u(0)
        return bswap(a)

    return bswap_


@insn("MOVBE", "0F 38 F0 /r Gv,Mv", "0F 38 F1 /r Mv,Gv", ref="APM3 3 MOVBE", feature="movbe")
def movbe(w: Width) -> Any:
    """Copy, the bytes in reverse."""
    u = w.u

    @typed(inline=True)
    def movbe(cpu: Cpu, a: u) -> u:
        return bswap(a)

    return movbe


@insn("XLAT", "D7", ref="APM3 3 XLAT, XLATB", raw=True)
def xlat() -> Any:
    """AL becomes the byte at rBX + AL."""

    @typed(leaves=True, inline=True)
    def xlat(cpu: Cpu, rec: Record) -> None:
        offset = (cpu.gr[RBX] + (cpu.gr[RAX] & 0xFF)) & offset_mask(cpu, rec)
        value = load_u8(cpu, rec.seg, place(cpu, u64(rec.seg), offset, 1, False))
        put_b(cpu, u8(RAX), u8(0), value)

    return xlat
