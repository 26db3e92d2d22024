"""Elements that change places: unpack, shuffle, align. ref: APM4"""

from typing import Any

from worldswitch.engine import typed, u8, u32, u64, u128
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.packed import given
from worldswitch.metal.x86.lanes import L8, L16, L32
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide


def _unpack(name: str, low: str, high: str, function: Any) -> None:
    """Interleave the low or the high halves; `function` does so with the low halves of u64."""

    @typed(inline=True, name=f"{function.name}_low")
    def low_half(cpu: Cpu, a: u128, b: u128) -> u128:
        x = u64(a)
        y = u64(b)
        return wide(function(x, y), function(x >> 32, y >> 32))

    @typed(inline=True, name=f"{function.name}_high")
    def high_half(cpu: Cpu, a: u128, b: u128) -> u128:
        x = high_of(a)
        y = high_of(b)
        return wide(function(x, y), function(x >> 32, y >> 32))

    @typed(inline=True, name=f"{function.name}_mmx_low")
    def mmx_low(cpu: Cpu, a: u64, b: u32) -> u64:
        return function(a, u64(b))

    @typed(inline=True, name=f"{function.name}_mmx_high")
    def mmx_high(cpu: Cpu, a: u64, b: u64) -> u64:
        return function(a >> 32, b >> 32)

    for part, opcode, whole, half, size in (
        ("L", low, low_half, mmx_low, "d"), ("H", high, high_half, mmx_high, "q"),
    ):  # fmt: skip
        full = f"PUNPCK{part}{name}"
        insn(full, f"66 0F {opcode} /r Vx,Wx", ref=f"APM4 {full}", unit="sse")(given(whole))
        insn(full, f"NP 0F {opcode} /r Pq,Q{size}", ref=f"APM5 {full}", unit="mmx")(given(half))


_unpack("BW", "60", "68", L8.interleave)
_unpack("WD", "61", "69", L16.interleave)
_unpack("DQ", "62", "6A", L32.interleave)


@insn("PUNPCKLQDQ", "66 0F 6C /r Vx,Wx", ref="APM4 PUNPCKLQDQ", unit="sse", split=True)
@insn("UNPCKLPD", "66 0F 14 /r Vx,Wx", ref="APM4 UNPCKLPD", unit="sse")
def low_quadwords() -> Any:
    """The low quadwords of both."""

    @typed(inline=True)
    def low_quadwords(cpu: Cpu, a: u128, b: u128) -> u128:
        return wide(u64(a), u64(b))

    return low_quadwords


@insn("PUNPCKHQDQ", "66 0F 6D /r Vx,Wx", ref="APM4 PUNPCKHQDQ", unit="sse")
@insn("UNPCKHPD", "66 0F 15 /r Vx,Wx", ref="APM4 UNPCKHPD", unit="sse")
def high_quadwords() -> Any:
    """The high quadwords of both."""

    @typed(inline=True)
    def high_quadwords(cpu: Cpu, a: u128, b: u128) -> u128:
        return wide(high_of(a), high_of(b))

    return high_quadwords


@insn("UNPCKLPS", "NP 0F 14 /r Vx,Wx", ref="APM4 UNPCKLPS", unit="sse")
def unpcklps() -> Any:
    """The low doublewords of both in turn."""

    @typed(inline=True)
    def unpcklps(cpu: Cpu, a: u128, b: u128) -> u128:
        x = u64(a)
        y = u64(b)
        return wide(L32.interleave(x, y), L32.interleave(x >> 32, y >> 32))

    return unpcklps


@insn("UNPCKHPS", "NP 0F 15 /r Vx,Wx", ref="APM4 UNPCKHPS", unit="sse")
def unpckhps() -> Any:
    """The high doublewords of both in turn."""

    @typed(inline=True)
    def unpckhps(cpu: Cpu, a: u128, b: u128) -> u128:
        x = high_of(a)
        y = high_of(b)
        return wide(L32.interleave(x, y), L32.interleave(x >> 32, y >> 32))

    return unpckhps


@typed(inline=True)
def doubleword(low: u64, high: u64, number: u8) -> u64:
    """One of the four doublewords of 128 bits."""
    half = high if number & 2 != 0 else low
    return (half >> u64((number & 1) * 32)) & 0xFFFF_FFFF


@typed(inline=True)
def two_doublewords(value: u128, order: u8) -> u64:
    """Two doublewords that two numbers of two bits select."""
    low = u64(value)
    high = high_of(value)
    return doubleword(low, high, order & 3) | (doubleword(low, high, (order >> 2) & 3) << 32)


@typed(inline=True)
def shuffled_words(value: u64, order: u8) -> u64:
    """Four words that four numbers of two bits select."""
    result: u64 = 0
    for n in range(0, 8, 2):
        result = result | (((value >> u64(((order >> n) & 3) * 16)) & 0xFFFF) << (n * 8))
    return result


@insn("PSHUFD", "66 0F 70 /r Vx,Wx,Ib", ref="APM4 PSHUFD", unit="sse")
def pshufd() -> Any:
    """Doublewords in a chosen order."""

    @typed(inline=True)
    def pshufd(cpu: Cpu, b: u128, order: u8) -> u128:
        return wide(two_doublewords(b, order), two_doublewords(b, order >> 4))

    return pshufd


@insn("PSHUFLW", "F2 0F 70 /r Vx,Wx,Ib", ref="APM4 PSHUFLW", unit="sse")
def pshuflw() -> Any:
    """Low words in a chosen order."""

    @typed(inline=True)
    def pshuflw(cpu: Cpu, b: u128, order: u8) -> u128:
        return wide(shuffled_words(u64(b), order), high_of(b))

    return pshuflw


@insn("PSHUFHW", "F3 0F 70 /r Vx,Wx,Ib", ref="APM4 PSHUFHW", unit="sse")
def pshufhw() -> Any:
    """High words in a chosen order."""

    @typed(inline=True)
    def pshufhw(cpu: Cpu, b: u128, order: u8) -> u128:
        return wide(u64(b), shuffled_words(high_of(b), order))

    return pshufhw


@insn("PSHUFW", "NP 0F 70 /r Pq,Qq,Ib", ref="APM5 PSHUFW", unit="mmx", feature="sse")
def pshufw() -> Any:
    """Words in a chosen order."""

    @typed(inline=True)
    def pshufw(cpu: Cpu, b: u64, order: u8) -> u64:
        return shuffled_words(b, order)

    return pshufw


@insn("SHUFPS", "NP 0F C6 /r Vx,Wx,Ib", ref="APM4 SHUFPS", unit="sse")
def shufps() -> Any:
    """Two doublewords of each operand."""

    @typed(inline=True)
    def shufps(cpu: Cpu, a: u128, b: u128, order: u8) -> u128:
        return wide(two_doublewords(a, order), two_doublewords(b, order >> 4))

    return shufps


@insn("SHUFPD", "66 0F C6 /r Vx,Wx,Ib", ref="APM4 SHUFPD", unit="sse")
def shufpd() -> Any:
    """A quadword of each operand."""

    @typed(inline=True)
    def shufpd(cpu: Cpu, a: u128, b: u128, order: u8) -> u128:
        low = high_of(a) if order & 1 != 0 else u64(a)
        high = high_of(b) if order & 2 != 0 else u64(b)
        return wide(low, high)

    return shufpd


@typed(inline=False)
def shuffled_bytes(low: u64, high: u64, order: u64) -> u64:
    """Eight bytes of sixteen; zero where a number's bit 7 is set. ref: APM4 PSHUFB"""
    result: u64 = 0
    n: u64 = 0
    while n < 64:
        number = (order >> n) & 0xFF
        if number & 0x80 == 0:
            half = high if number & 8 != 0 else low
            result = result | (((half >> ((number & 7) * 8)) & 0xFF) << n)
        n += 8
    return result


@insn("PSHUFB", "66 0F 38 00 /r Vx,Wx", ref="APM4 PSHUFB", unit="sse", feature="ssse3")
def pshufb() -> Any:
    """Bytes that the second operand numbers."""

    @typed(inline=True)
    def pshufb(cpu: Cpu, a: u128, b: u128) -> u128:
        low = u64(a)
        high = high_of(a)
        return wide(shuffled_bytes(low, high, u64(b)), shuffled_bytes(low, high, high_of(b)))

    return pshufb


@insn("PSHUFB", "NP 0F 38 00 /r Pq,Qq", ref="APM5 PSHUFB", unit="mmx", feature="ssse3")
def pshufb_mmx() -> Any:
    """Bytes that the second operand numbers, by three bits."""

    @typed(inline=True)
    def pshufb_mmx(cpu: Cpu, a: u64, b: u64) -> u64:
        return shuffled_bytes(a, a, b)

    return pshufb_mmx


@insn("PALIGNR", "66 0F 3A 0F /r Vx,Wx,Ib", ref="APM4 PALIGNR", unit="sse", feature="ssse3")
def palignr() -> Any:
    """Sixteen bytes out of both operands, the second below the first."""

    @typed(inline=True)
    def palignr(cpu: Cpu, a: u128, b: u128, count: u8) -> u128:
        if count == 0:
            return b
        if count < 16:
            return (b >> u128(count * 8)) | (a << u128(128 - count * 8))
        if count < 32:
            return a >> u128((count - 16) * 8)
        return u128(0)

    return palignr


@insn("PALIGNR", "NP 0F 3A 0F /r Pq,Qq,Ib", ref="APM5 PALIGNR", unit="mmx", feature="ssse3")
def palignr_mmx() -> Any:
    """Eight bytes out of both operands."""

    @typed(inline=True)
    def palignr_mmx(cpu: Cpu, a: u64, b: u64, count: u8) -> u64:
        if count > 15:
            return u64(0)
        return u64(((u128(a) << 64) | u128(b)) >> u128(count * 8))

    return palignr_mmx
