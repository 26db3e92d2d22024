"""Conversions between floating-point formats and integers, in XMM, MMX and general registers.

ref: APM4; APM1 4.6.4
"""

from typing import Any

from worldswitch.engine import Typed, typed, u32, u64, u128
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.fp import sse
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.packed import given
from worldswitch.metal.x86.sse_exceptions import settled
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide
from worldswitch.metal.x86.vector_operands import mmx_used


def _low(function: Typed[Any, Any], source: Any, target: Any) -> Any:
    """One number."""

    @typed(leaves=True, inline=True, name=f"low_{function.name}")
    def low(cpu: Cpu, b: source) -> target:
        result, flags = function(b, cpu.mxcsr)
        settled(cpu, flags)
        return result

    return low


@typed(inline=True)
def i32_to_f64(value: u32, mxcsr: u32) -> tuple[u64, u32]:
    """Always exact."""
    return sse.i32_to_f64(value), u32(0)


@insn("CVTSI2SD", "F2 0F 2A /r Vq,Ey", ref="APM4 CVTSI2SD", unit="sse", feature="sse2")
def cvtsi2sd(w: Width, s: Width) -> Any:
    """An integer of 32 or 64 bits to a double."""
    return _low({32: i32_to_f64, 64: sse.i64_to_f64}[s.bits], s.u, u64)


@insn("CVTSI2SS", "F3 0F 2A /r Vd,Ey", ref="APM4 CVTSI2SS", unit="sse")
def cvtsi2ss(w: Width, s: Width) -> Any:
    """An integer of 32 or 64 bits to a single."""
    return _low({32: sse.i32_to_f32, 64: sse.i64_to_f32}[s.bits], s.u, u32)


@insn("CVTSD2SI", "F2 0F 2D /r Gy,Wq", ref="APM4 CVTSD2SI", unit="sse", feature="sse2")
def cvtsd2si(w: Width) -> Any:
    """A double to an integer, rounded."""
    return _low({32: sse.f64_to_i32, 64: sse.f64_to_i64}[w.bits], u64, w.u)


@insn("CVTTSD2SI", "F2 0F 2C /r Gy,Wq", ref="APM4 CVTTSD2SI", unit="sse", feature="sse2")
def cvttsd2si(w: Width) -> Any:
    """A double to an integer, truncated."""
    table = {32: sse.f64_to_i32_truncated, 64: sse.f64_to_i64_truncated}
    return _low(table[w.bits], u64, w.u)


@insn("CVTSS2SI", "F3 0F 2D /r Gy,Wd", ref="APM4 CVTSS2SI", unit="sse")
def cvtss2si(w: Width) -> Any:
    """A single to an integer, rounded."""
    return _low({32: sse.f32_to_i32, 64: sse.f32_to_i64}[w.bits], u32, w.u)


@insn("CVTTSS2SI", "F3 0F 2C /r Gy,Wd", ref="APM4 CVTTSS2SI", unit="sse")
def cvttss2si(w: Width) -> Any:
    """A single to an integer, truncated."""
    table = {32: sse.f32_to_i32_truncated, 64: sse.f32_to_i64_truncated}
    return _low(table[w.bits], u32, w.u)


@insn("CVTSD2SS", "F2 0F 5A /r Vd,Wq", ref="APM4 CVTSD2SS", unit="sse", feature="sse2")
def cvtsd2ss() -> Any:
    """A double to a single."""
    return _low(sse.f64_to_f32, u64, u32)


@insn("CVTSS2SD", "F3 0F 5A /r Vq,Wd", ref="APM4 CVTSS2SD", unit="sse", feature="sse2")
def cvtss2sd() -> Any:
    """A single to a double."""
    return _low(sse.f32_to_f64, u32, u64)


def _same_size(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """Two numbers of 32 bits to two of 32 bits."""

    @typed(inline=False, name=f"two_{function.name}")
    def two(b: u64, mxcsr: u32) -> tuple[u64, u32]:
        low, flags = function(u32(b), mxcsr)
        high, more = function(u32(b >> 32), mxcsr)
        return u64(low) | (u64(high) << 32), flags | more

    return two


def _widening(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """Two numbers of 32 bits to two of 64 bits."""

    @typed(inline=False, name=f"wider_{function.name}")
    def wider(b: u64, mxcsr: u32) -> tuple[u64, u64, u32]:
        low, flags = function(u32(b), mxcsr)
        high, more = function(u32(b >> 32), mxcsr)
        return low, high, flags | more

    return wider


def _narrowing(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """Two numbers of 64 bits to two of 32 bits."""

    @typed(inline=False, name=f"narrower_{function.name}")
    def narrower(b: u128, mxcsr: u32) -> tuple[u64, u32]:
        low, flags = function(u64(b), mxcsr)
        high, more = function(high_of(b), mxcsr)
        return u64(low) | (u64(high) << 32), flags | more

    return narrower


def _four(name: str, encoding: str, two: Typed[Any, Any]) -> None:
    """Four numbers of 32 bits to four of 32 bits."""

    @typed(leaves=True, inline=True, name=f"four_{two.name}")
    def four(cpu: Cpu, b: u128) -> u128:
        low, flags = two(u64(b), cpu.mxcsr)
        high, more = two(high_of(b), cpu.mxcsr)
        settled(cpu, flags | more)
        return wide(low, high)

    insn(name, encoding, ref=f"APM4 {name}", unit="sse", feature="sse2")(given(four))


def _to_pair(name: str, encoding: str, wider: Typed[Any, Any]) -> None:
    """A quadword's two numbers to two of 64 bits."""

    @typed(leaves=True, inline=True, name=f"pair_{wider.name}")
    def pair(cpu: Cpu, b: u64) -> u128:
        low, high, flags = wider(b, cpu.mxcsr)
        settled(cpu, flags)
        return wide(low, high)

    insn(name, encoding, ref=f"APM4 {name}", unit="sse", feature="sse2")(given(pair))


def _from_pair(name: str, encoding: str, narrower: Typed[Any, Any]) -> None:
    """Two numbers of 64 bits to a quadword; the upper half becomes zero."""

    @typed(leaves=True, inline=True, name=f"half_{narrower.name}")
    def half(cpu: Cpu, b: u128) -> u128:
        low, flags = narrower(b, cpu.mxcsr)
        settled(cpu, flags)
        return u128(low)

    insn(name, encoding, ref=f"APM4 {name}", unit="sse", feature="sse2")(given(half))


two_i32_to_f32 = _same_size(sse.i32_to_f32)
two_f32_to_i32 = _same_size(sse.f32_to_i32)
two_f32_to_i32_truncated = _same_size(sse.f32_to_i32_truncated)
two_i32_to_f64 = _widening(i32_to_f64)
two_f64_to_i32 = _narrowing(sse.f64_to_i32)
two_f64_to_i32_truncated = _narrowing(sse.f64_to_i32_truncated)
_four("CVTDQ2PS", "NP 0F 5B /r Vx,Wx", two_i32_to_f32)
_four("CVTPS2DQ", "66 0F 5B /r Vx,Wx", two_f32_to_i32)
_four("CVTTPS2DQ", "F3 0F 5B /r Vx,Wx", two_f32_to_i32_truncated)
_to_pair("CVTPS2PD", "NP 0F 5A /r Vx,Wq", _widening(sse.f32_to_f64))
_to_pair("CVTDQ2PD", "F3 0F E6 /r Vx,Wq", two_i32_to_f64)
_from_pair("CVTPD2PS", "66 0F 5A /r Vx,Wx", _narrowing(sse.f64_to_f32))
_from_pair("CVTPD2DQ", "F2 0F E6 /r Vx,Wx", two_f64_to_i32)
_from_pair("CVTTPD2DQ", "66 0F E6 /r Vx,Wx", two_f64_to_i32_truncated)


def _integers_to_singles(in_memory: bool) -> Any:
    @typed(leaves=True, inline=True, name=f"cvtpi2ps_{in_memory}")
    def cvtpi2ps(cpu: Cpu, b: u64) -> u64:
        result, flags = two_i32_to_f32(b, cpu.mxcsr)
        settled(cpu, flags)
        if not in_memory:
            mmx_used(cpu)
        return result

    return cvtpi2ps


@insn("CVTPI2PS", "NP 0F 2A /r /R Vq,Nq", ref="APM5 CVTPI2PS", unit="sse")
def cvtpi2ps() -> Any:
    """Two integers of an MMX register to singles."""
    return _integers_to_singles(False)


@insn("CVTPI2PS", "NP 0F 2A /r /m Vq,Mq", ref="APM5 CVTPI2PS", unit="sse")
def cvtpi2ps_memory() -> Any:
    """Two integers of memory to singles; the x87 and MMX state is not touched."""
    return _integers_to_singles(True)


def _integers_to_doubles(in_memory: bool) -> Any:
    @typed(inline=True, name=f"cvtpi2pd_{in_memory}")
    def cvtpi2pd(cpu: Cpu, b: u64) -> u128:
        if not in_memory:
            mmx_used(cpu)
        low, high, _flags = two_i32_to_f64(b, cpu.mxcsr)
        return wide(low, high)

    return cvtpi2pd


@insn("CVTPI2PD", "66 0F 2A /r /R Vx,Nq", ref="APM5 CVTPI2PD", unit="sse", feature="sse2")
def cvtpi2pd() -> Any:
    """Two integers of an MMX register to doubles."""
    return _integers_to_doubles(False)


@insn("CVTPI2PD", "66 0F 2A /r /m Vx,Mq", ref="APM5 CVTPI2PD", unit="sse", feature="sse2")
def cvtpi2pd_memory() -> Any:
    """Two integers of memory to doubles; the x87 and MMX state is not touched."""
    return _integers_to_doubles(True)


def _to_mmx(name: str, encoding: str, function: Typed[Any, Any], source: Any) -> None:
    """Two numbers to integers in an MMX register."""

    @typed(leaves=True, inline=True, name=f"mmx_{function.name}")
    def to_mmx(cpu: Cpu, b: source) -> u64:
        result, flags = function(b, cpu.mxcsr)
        settled(cpu, flags)
        return result

    insn(name, encoding, ref=f"APM5 {name}", unit="sse")(given(to_mmx))


_to_mmx("CVTTPS2PI", "NP 0F 2C /r Pq,Wq", two_f32_to_i32_truncated, u64)
_to_mmx("CVTPS2PI", "NP 0F 2D /r Pq,Wq", two_f32_to_i32, u64)
_to_mmx("CVTTPD2PI", "66 0F 2C /r Pq,Wx", two_f64_to_i32_truncated, u128)
_to_mmx("CVTPD2PI", "66 0F 2D /r Pq,Wx", two_f64_to_i32, u128)
