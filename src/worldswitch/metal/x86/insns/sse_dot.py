"""DPPS and DPPD: dot products of chosen elements. ref: APM4 DPPS, DPPD"""

from typing import Any

from worldswitch.engine import typed, u8, u32, u64, u128
from worldswitch.metal.x86.fp import sse
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.sse_exceptions import settled
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide


@typed(inline=False)
def product32(a: u128, b: u128, number: u64, which: u8, mxcsr: u32) -> tuple[u32, u32]:
    """The product of elements `number`, or zero without bit 4 + number of the immediate."""
    if (which >> number) & 0x10 == 0:
        return u32(0), u32(0)
    shift = number * 32
    result, flags = sse.mul32(u32(a >> shift), u32(b >> shift), mxcsr)
    return result, flags


@typed(leaves=True, inline=False)
def dot32(cpu: Cpu, a: u128, b: u128, which: u8) -> u32:
    """(0 + 1) + (2 + 3) of the products; exceptions are presented after each of the three steps.

    IMPDEF: which NaN is the result if several products are NaNs; here the first in this order.
    """
    mxcsr = cpu.mxcsr
    p0, f0 = product32(a, b, u64(0), which, mxcsr)
    p1, f1 = product32(a, b, u64(1), which, mxcsr)
    p2, f2 = product32(a, b, u64(2), which, mxcsr)
    p3, f3 = product32(a, b, u64(3), which, mxcsr)
    settled(cpu, f0 | f1 | f2 | f3)
    low, f4 = sse.add32(p0, p1, mxcsr)
    high, f5 = sse.add32(p2, p3, mxcsr)
    settled(cpu, f4 | f5)
    result, f6 = sse.add32(low, high, mxcsr)
    settled(cpu, f6)
    return result


@insn("DPPS", "66 0F 3A 40 /r Vx,Wx,Ib", ref="APM4 DPPS", unit="sse", feature="sse4_1")
def dpps() -> Any:
    """A dot product of singles, copied to the chosen elements."""

    @typed(leaves=True, inline=True)
    def dpps(cpu: Cpu, a: u128, b: u128, which: u8) -> u128:
        value = dot32(cpu, a, b, which)
        result: u128 = 0
        for n in range(4):
            if (which >> n) & 1 != 0:
                result = result | (u128(value) << (n * 32))
        return result

    return dpps


@typed(leaves=True, inline=False)
def dot64(cpu: Cpu, a: u128, b: u128, which: u8) -> u64:
    """The sum of the chosen products; exceptions are presented after each of the two steps."""
    mxcsr = cpu.mxcsr
    p0: u64 = 0
    p1: u64 = 0
    f0: u32 = 0
    f1: u32 = 0
    if which & 0x10 != 0:
        p0, f0 = sse.mul64(u64(a), u64(b), mxcsr)
    if which & 0x20 != 0:
        p1, f1 = sse.mul64(high_of(a), high_of(b), mxcsr)
    settled(cpu, f0 | f1)
    result, f2 = sse.add64(p0, p1, mxcsr)
    settled(cpu, f2)
    return result


@insn("DPPD", "66 0F 3A 41 /r Vx,Wx,Ib", ref="APM4 DPPD", unit="sse", feature="sse4_1")
def dppd() -> Any:
    """A dot product of doubles, copied to the chosen elements."""

    @typed(leaves=True, inline=True)
    def dppd(cpu: Cpu, a: u128, b: u128, which: u8) -> u128:
        value = dot64(cpu, a, b, which)
        low = value if which & 1 != 0 else u64(0)
        high = value if which & 2 != 0 else u64(0)
        return wide(low, high)

    return dppd
