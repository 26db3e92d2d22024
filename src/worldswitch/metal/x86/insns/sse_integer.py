"""Packed integers of MMX, SSE2, SSSE3 and SSE4: arithmetic, comparison, logic, shifts. ref: APM4"""

from typing import Any

from worldswitch.engine import i64, signed, typed, u8, u16, u32, u64, u128
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.packed import entries, given, packed, shift_forms
from worldswitch.metal.x86.lanes import L8, L16, L32, lanes, signs_of_bytes
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide
from worldswitch.metal.x86.vector_operands import mmx_used

BY_LANES = """
0F_64 PCMPGTB greater 8     0F_65 PCMPGTW greater 16    0F_66 PCMPGTD greater 32
0F_74 PCMPEQB equal 8       0F_75 PCMPEQW equal 16      0F_76 PCMPEQD equal 32
0F_D8 PSUBUSB usubs 8       0F_D9 PSUBUSW usubs 16      0F_DC PADDUSB uadds 8
0F_DD PADDUSW uadds 16      0F_E8 PSUBSB ssubs 8        0F_E9 PSUBSW ssubs 16
0F_EC PADDSB sadds 8        0F_ED PADDSW sadds 16       0F_F8 PSUBB sub 8
0F_F9 PSUBW sub 16          0F_FA PSUBD sub 32          0F_FC PADDB add 8
0F_FD PADDW add 16          0F_FE PADDD add 32
"""
"""Of MMX and SSE2: opcode, mnemonic, function of Lanes, bits."""
OF_SSE = """
0F_DA PMINUB umin 8         0F_DE PMAXUB umax 8         0F_EA PMINSW smin 16
0F_EE PMAXSW smax 16        0F_E0 PAVGB average 8       0F_E3 PAVGW average 16
"""
"""On MMX registers these came with SSE."""
OF_SSSE3 = """
0F_38_08 PSIGNB signs 8     0F_38_09 PSIGNW signs 16    0F_38_0A PSIGND signs 32
0F_38_1C PABSB absolute 8   0F_38_1D PABSW absolute 16  0F_38_1E PABSD absolute 32
"""
OF_SSE41 = """
0F_38_38 PMINSB smin 8      0F_38_39 PMINSD smin 32     0F_38_3A PMINUW umin 16
0F_38_3B PMINUD umin 32     0F_38_3C PMAXSB smax 8      0F_38_3D PMAXSD smax 32
0F_38_3E PMAXUW umax 16     0F_38_3F PMAXUD umax 32
"""
COMMON = frozenset({"PCMPEQB", "PMINUB", "PADDD", "PADDB", "PSUBB"})
"""What string functions and checksums consist of: a handler each for registers and memory."""


def _by_lanes(table: str, feature: str, mmx: str | None) -> None:
    for line in entries(table):
        for n in range(0, len(line), 4):
            opcode, name, function, bits = line[n : n + 4]
            packed(name, opcode.replace("_", " "), getattr(lanes(int(bits)), function), feature,
                   mmx, name in COMMON)  # fmt: skip


_by_lanes(BY_LANES, "sse2", "mmx")
_by_lanes(OF_SSE, "sse2", "sse")
_by_lanes(OF_SSSE3, "ssse3", "ssse3")
_by_lanes(OF_SSE41, "sse4_1", None)


@typed(inline=True)
def add64(a: u64, b: u64) -> u64:
    """Sum of quadwords."""
    return a + b


@typed(inline=True)
def sub64(a: u64, b: u64) -> u64:
    """Difference of quadwords."""
    return a - b


@typed(inline=True)
def and64(a: u64, b: u64) -> u64:
    """And."""
    return a & b


@typed(inline=True)
def andn64(a: u64, b: u64) -> u64:
    """The complement of the first, and the second."""
    return ~a & b


@typed(inline=True)
def or64(a: u64, b: u64) -> u64:
    """Or."""
    return a | b


@typed(inline=True)
def xor64(a: u64, b: u64) -> u64:
    """Exclusive or."""
    return a ^ b


@typed(inline=True)
def equal64(a: u64, b: u64) -> u64:
    """All ones if the quadwords are equal."""
    return u64(0) - u64(a == b)


@typed(inline=True)
def greater64(a: u64, b: u64) -> u64:
    """All ones if a > b, signed."""
    return u64(0) - u64(i64(a) > i64(b))


@typed(inline=True)
def multiply_even(a: u64, b: u64) -> u64:
    """Product of the unsigned low doublewords."""
    return (a & 0xFFFF_FFFF) * (b & 0xFFFF_FFFF)


@typed(inline=True)
def multiply_even_signed(a: u64, b: u64) -> u64:
    """Product of the signed low doublewords."""
    return u64(i64(signed(u32(a))) * i64(signed(u32(b))))


@typed(inline=False)
def multiply_low(a: u64, b: u64) -> u64:
    """Low halves of the products of words."""
    result: u64 = 0
    for n in range(0, 64, 16):
        result = result | (u64(u16(a >> n) * u16(b >> n)) << n)
    return result


@typed(inline=False)
def multiply_high(a: u64, b: u64) -> u64:
    """High halves of the products of signed words."""
    result: u64 = 0
    for n in range(0, 64, 16):
        product = i64(signed(u16(a >> n))) * i64(signed(u16(b >> n)))
        result = result | ((u64(product >> 16) & 0xFFFF) << n)
    return result


@typed(inline=False)
def multiply_high_unsigned(a: u64, b: u64) -> u64:
    """High halves of the products of unsigned words."""
    result: u64 = 0
    for n in range(0, 64, 16):
        product = ((a >> n) & 0xFFFF) * ((b >> n) & 0xFFFF)
        result = result | ((product >> 16) << n)
    return result


@typed(inline=False)
def multiply_rounded(a: u64, b: u64) -> u64:
    """Bits 30:15 of the products of signed words, rounded. ref: APM4 PMULHRSW"""
    result: u64 = 0
    for n in range(0, 64, 16):
        product = i64(signed(u16(a >> n))) * i64(signed(u16(b >> n)))
        result = result | ((u64((product + 0x4000) >> 15) & 0xFFFF) << n)
    return result


@typed(inline=True)
def multiply_low32(a: u64, b: u64) -> u64:
    """Low halves of the products of doublewords."""
    return ((a * b) & 0xFFFF_FFFF) | (((a >> 32) * (b >> 32)) << 32)


@typed(inline=False)
def multiply_add(a: u64, b: u64) -> u64:
    """Sums of pairs of products of signed words."""
    result: u64 = 0
    for n in range(0, 64, 32):
        low = i64(signed(u16(a >> n))) * i64(signed(u16(b >> n)))
        high = i64(signed(u16(a >> (n + 16)))) * i64(signed(u16(b >> (n + 16))))
        result = result | (u64(u32(u64(low + high))) << n)
    return result


@typed(inline=False)
def multiply_add_bytes(a: u64, b: u64) -> u64:
    """Saturated sums of pairs of products of a's unsigned and b's signed bytes."""
    result: u64 = 0
    for n in range(0, 64, 16):
        low = i64((a >> n) & 0xFF) * i64(signed(u8(b >> n)))
        total = low + i64((a >> (n + 8)) & 0xFF) * i64(signed(u8(b >> (n + 8))))
        if total > 32767:
            total = i64(32767)
        elif total < -32768:
            total = i64(-32768)
        result = result | (u64(u16(u64(total))) << n)
    return result


@typed(inline=False)
def sum_differences(a: u64, b: u64) -> u64:
    """Sum of the absolute differences of eight bytes."""
    distances = L8.umax(a, b) - L8.umin(a, b)
    pairs = (distances & 0x00FF_00FF_00FF_00FF) + ((distances >> 8) & 0x00FF_00FF_00FF_00FF)
    return (pairs * 0x0001_0001_0001_0001) >> 48


packed("PADDQ", "0F D4", add64, mmx="sse2", split=True)
packed("PSUBQ", "0F FB", sub64, mmx="sse2")
packed("PAND", "0F DB", and64, split=True)
packed("PANDN", "0F DF", andn64, split=True)
packed("POR", "0F EB", or64, split=True)
packed("PXOR", "0F EF", xor64, split=True)
packed("PMULLW", "0F D5", multiply_low)
packed("PMULHW", "0F E5", multiply_high)
packed("PMULHUW", "0F E4", multiply_high_unsigned, mmx="sse")
packed("PMULUDQ", "0F F4", multiply_even, mmx="sse2")
packed("PMADDWD", "0F F5", multiply_add)
packed("PSADBW", "0F F6", sum_differences, mmx="sse")
packed("PMADDUBSW", "0F 38 04", multiply_add_bytes, "ssse3", "ssse3")
packed("PMULHRSW", "0F 38 0B", multiply_rounded, "ssse3", "ssse3")
packed("PMULDQ", "0F 38 28", multiply_even_signed, "sse4_1", None)
packed("PCMPEQQ", "0F 38 29", equal64, "sse4_1", None)
packed("PMULLD", "0F 38 40", multiply_low32, "sse4_1", None)
packed("PCMPGTQ", "0F 38 37", greater64, "sse4_2", None)


def _logic(name: str, opcode: str, function: Any) -> None:
    """The same logic under its floating-point names."""

    @typed(inline=True, name=f"{function.name}_float")
    def whole(cpu: Cpu, a: u128, b: u128) -> u128:
        return wide(function(u64(a), u64(b)), function(high_of(a), high_of(b)))

    insn(f"{name}PS", f"NP 0F {opcode} /r Vx,Wx", ref=f"APM4 {name}PS", unit="sse")(given(whole))
    insn(f"{name}PD", f"66 0F {opcode} /r Vx,Wx", ref=f"APM4 {name}PD", unit="sse")(given(whole))


_logic("AND", "54", and64)
_logic("ANDN", "55", andn64)
_logic("OR", "56", or64)
_logic("XOR", "57", xor64)


@typed(inline=True)
def left64(a: u64, count: u64) -> u64:
    """Shift a quadword left; zero from 64 on."""
    if count > 63:
        return u64(0)
    return a << count


@typed(inline=True)
def right64(a: u64, count: u64) -> u64:
    """Shift a quadword right; zero from 64 on."""
    if count > 63:
        return u64(0)
    return a >> count


shift_forms("PSRLW", "D1", "71 /2", L16.right)
shift_forms("PSRLD", "D2", "72 /2", L32.right)
shift_forms("PSRLQ", "D3", "73 /2", right64)
shift_forms("PSRAW", "E1", "71 /4", L16.arithmetic)
shift_forms("PSRAD", "E2", "72 /4", L32.arithmetic)
shift_forms("PSLLW", "F1", "71 /6", L16.left)
shift_forms("PSLLD", "F2", "72 /6", L32.left)
shift_forms("PSLLQ", "F3", "73 /6", left64)


@insn("PSRLDQ", "66 0F 73 /3 /R Ux,Ib", ref="APM4 PSRLDQ", unit="sse")
def psrldq() -> Any:
    """Shift right by bytes."""

    @typed(inline=True)
    def psrldq(cpu: Cpu, a: u128, count: u8) -> u128:
        if count > 15:
            return u128(0)
        return a >> u128(count * 8)

    return psrldq


@insn("PSLLDQ", "66 0F 73 /7 /R Ux,Ib", ref="APM4 PSLLDQ", unit="sse")
def pslldq() -> Any:
    """Shift left by bytes."""

    @typed(inline=True)
    def pslldq(cpu: Cpu, a: u128, count: u8) -> u128:
        if count > 15:
            return u128(0)
        return a << u128(count * 8)

    return pslldq


@insn("PMOVMSKB", "66 0F D7 /r Gd,Ux", ref="APM4 PMOVMSKB", unit="sse")
def pmovmskb() -> Any:
    """The signs of sixteen bytes."""

    @typed(inline=True)
    def pmovmskb(cpu: Cpu, a: u128) -> u32:
        return u32(signs_of_bytes(u64(a)) | (signs_of_bytes(high_of(a)) << 8))

    return pmovmskb


@insn("PMOVMSKB", "NP 0F D7 /r Gd,Nq", ref="APM5 PMOVMSKB", unit="mmx", feature="sse")
def pmovmskb_mmx() -> Any:
    """The signs of eight bytes."""

    @typed(inline=True)
    def pmovmskb_mmx(cpu: Cpu, a: u64) -> u32:
        mmx_used(cpu)
        return u32(signs_of_bytes(a))

    return pmovmskb_mmx
