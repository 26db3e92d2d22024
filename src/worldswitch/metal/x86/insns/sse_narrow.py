"""Instructions that make half as much of each operand, or twice as much: pack, horizontal sums,
extension with zeros and signs. ref: APM4"""

from typing import Any

from worldswitch.engine import Typed, typed, u16, u32, u64, u128
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.packed import given
from worldswitch.metal.x86.lanes import L8, L16, L32, repeated
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide


def narrowing(
    name: str, opcode: str, function: Typed[Any, Any], feature: str, mmx: str | None
) -> None:
    """An instruction that makes 32 bits of each 64: first those of operand 1, then of operand 2."""

    @typed(inline=True, name=f"{name}_whole")
    def whole(cpu: Cpu, a: u128, b: u128) -> u128:
        low = function(u64(a)) | (function(high_of(a)) << 32)
        return wide(low, function(u64(b)) | (function(high_of(b)) << 32))

    @typed(inline=True, name=f"{name}_half")
    def half(cpu: Cpu, a: u64, b: u64) -> u64:
        return function(a) | (function(b) << 32)

    insn(name, f"66 {opcode} /r Vx,Wx", ref=f"APM4 {name}", unit="sse", feature=feature)(
        given(whole)
    )
    if mmx is not None:
        insn(name, f"NP {opcode} /r Pq,Qq", ref=f"APM5 {name}", unit="mmx", feature=mmx)(
            given(half)
        )


def _clamp(bits: int, least: int, most: int, name: str) -> Typed[Any, Any]:
    """Signed lanes of `bits` bits within limits, cut to half their size."""
    lanes = {16: L16, 32: L32}[bits]
    smin, smax, compress = lanes.smin, lanes.smax, lanes.compress
    low, high = repeated(least & ((1 << bits) - 1), bits), repeated(most, bits)

    @typed(inline=False, name=name)
    def clamp(a: u64) -> u64:
        return compress(smax(smin(a, u64(high)), u64(low)))

    return clamp


narrowing("PACKSSWB", "0F 63", _clamp(16, -128, 127, "pack_ss16"), "sse2", "mmx")
narrowing("PACKUSWB", "0F 67", _clamp(16, 0, 255, "pack_us16"), "sse2", "mmx")
narrowing("PACKSSDW", "0F 6B", _clamp(32, -32768, 32767, "pack_ss32"), "sse2", "mmx")
narrowing("PACKUSDW", "0F 38 2B", _clamp(32, 0, 65535, "pack_us32"), "sse4_1", None)


def _pairs(function: Typed[Any, Any], name: str) -> Typed[Any, Any]:
    """A function of a word and the one above it."""
    compress = L32.compress

    @typed(inline=True, name=name)
    def pairs(a: u64) -> u64:
        return compress(function(a, a >> 16))

    return pairs


@typed(inline=True)
def sum_of_doublewords(a: u64) -> u64:
    """The sum of a quadword's doublewords."""
    return (a + (a >> 32)) & 0xFFFF_FFFF


@typed(inline=True)
def difference_of_doublewords(a: u64) -> u64:
    """A quadword's low doubleword minus its high one."""
    return (a - (a >> 32)) & 0xFFFF_FFFF


narrowing("PHADDW", "0F 38 01", _pairs(L16.add, "pairs_add"), "ssse3", "ssse3")
narrowing("PHADDD", "0F 38 02", sum_of_doublewords, "ssse3", "ssse3")
narrowing("PHADDSW", "0F 38 03", _pairs(L16.sadds, "pairs_sadds"), "ssse3", "ssse3")
narrowing("PHSUBW", "0F 38 05", _pairs(L16.sub, "pairs_sub"), "ssse3", "ssse3")
narrowing("PHSUBD", "0F 38 06", difference_of_doublewords, "ssse3", "ssse3")
narrowing("PHSUBSW", "0F 38 07", _pairs(L16.ssubs, "pairs_ssubs"), "ssse3", "ssse3")


@typed(inline=True)
def expand_bw(a: u64) -> u128:
    """Eight bytes to words."""
    return wide(L8.expand(a), L8.expand(a >> 32))


@typed(inline=True)
def expand_bd(a: u32) -> u128:
    """Four bytes to doublewords."""
    words = L8.expand(u64(a))
    return wide(L16.expand(words), L16.expand(words >> 32))


@typed(inline=True)
def expand_bq(a: u16) -> u128:
    """Two bytes to quadwords."""
    return wide(u64(a & 0xFF), u64(a >> 8))


@typed(inline=True)
def expand_wd(a: u64) -> u128:
    """Four words to doublewords."""
    return wide(L16.expand(a), L16.expand(a >> 32))


@typed(inline=True)
def expand_wq(a: u32) -> u128:
    """Two words to quadwords."""
    return wide(u64(a & 0xFFFF), u64(a >> 16))


@typed(inline=True)
def expand_dq(a: u64) -> u128:
    """Two doublewords to quadwords."""
    return wide(a & 0xFFFF_FFFF, a >> 32)


@typed(inline=True)
def sub_quadwords(a: u64, b: u64) -> u64:
    """Difference of quadwords."""
    return a - b


SUBTRACT: dict[int, Any] = {16: L16.sub, 32: L32.sub, 64: sub_quadwords}


def _extension(
    number: int, kinds: str, size: str, source: int, target: int, function: Typed[Any, Any]
) -> None:  # fmt: skip
    """PMOVSX and PMOVZX of one kind; `size` is that of the memory operand."""
    kind: Any = {"w": u16, "d": u32, "q": u64}[size]
    sign = repeated(1 << (source - 1), target)
    sub = SUBTRACT[target]

    @typed(inline=True, name=f"zero_extend_{kinds}")
    def zeros(cpu: Cpu, a: kind) -> u128:
        return function(a)

    @typed(inline=True, name=f"sign_extend_{kinds}")
    def signs(cpu: Cpu, a: kind) -> u128:
        wider = function(a)
        low = sub(u64(wider) ^ sign, u64(sign))
        return wide(low, sub(high_of(wider) ^ sign, u64(sign)))

    for name, opcode, made in (("PMOVSX", 0x20, signs), ("PMOVZX", 0x30, zeros)):
        full = name + kinds
        insn(full, f"66 0F 38 {opcode + number:02X} /r Vx,W{size}", ref=f"APM4 {full}",
             unit="sse", feature="sse4_1")(given(made))  # fmt: skip


_extension(0, "BW", "q", 8, 16, expand_bw)
_extension(1, "BD", "d", 8, 32, expand_bd)
_extension(2, "BQ", "w", 8, 64, expand_bq)
_extension(3, "WD", "q", 16, 32, expand_wd)
_extension(4, "WQ", "d", 16, 64, expand_wq)
_extension(5, "DQ", "q", 32, 64, expand_dq)
