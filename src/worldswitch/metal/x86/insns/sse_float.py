"""Floating-point arithmetic and comparison of SSE, SSE2, SSE3 and SSE4.1. ref: APM4; APM1 4.10

The functions of fp.sse compute; here operands are split into elements, and the flags of all these
are settled at once: with an unmasked exception nothing but MXCSR changes.
"""

from typing import Any

from worldswitch.engine import Typed, typed, u8, u32, u64, u128
from worldswitch.metal.x86.flags import set_status
from worldswitch.metal.x86.fp import sse
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.packed import given
from worldswitch.metal.x86.sse_exceptions import settled
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide


def scalar(name: str, encoding: str, function: Typed[Any, Any], bits: int, feature: str) -> None:
    """An operation on the low elements of two operands, or of the second alone."""
    kind: Any = {32: u32, 64: u64}[bits]

    if len(function.parameters) == 3:

        @typed(leaves=True, inline=True, name=f"scalar_{function.name}")
        def one(cpu: Cpu, a: kind, b: kind) -> kind:
            result, flags = function(a, b, cpu.mxcsr)
            settled(cpu, flags)
            return result
    else:

        @typed(leaves=True, inline=True, name=f"scalar_{function.name}")
        def one(cpu: Cpu, b: kind) -> kind:
            result, flags = function(b, cpu.mxcsr)
            settled(cpu, flags)
            return result

    insn(name, encoding, ref=f"APM4 {name}", unit="sse", feature=feature)(given(one))


def pair(function: Typed[Any, Any], other: Typed[Any, Any]) -> Typed[Any, Any]:
    """Two elements of 64 bits: `function` on the low ones, `other` on the high ones."""

    @typed(inline=False, name=f"pair_{function.name}_{other.name}")
    def both(a: u128, b: u128, mxcsr: u32) -> tuple[u64, u64, u32]:
        low, flags = function(u64(a), u64(b), mxcsr)
        high, more = other(high_of(a), high_of(b), mxcsr)
        return low, high, flags | more

    return both


def quad(function: Typed[Any, Any], other: Typed[Any, Any]) -> Typed[Any, Any]:
    """Four elements of 32 bits: `function` on the even ones, `other` on the odd ones."""

    @typed(inline=False, name=f"two_{function.name}_{other.name}")
    def two(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
        low, flags = function(u32(a), u32(b), mxcsr)
        high, more = other(u32(a >> 32), u32(b >> 32), mxcsr)
        return u64(low) | (u64(high) << 32), flags | more

    @typed(inline=True, name=f"quad_{function.name}_{other.name}")
    def four(a: u128, b: u128, mxcsr: u32) -> tuple[u64, u64, u32]:
        low, flags = two(u64(a), u64(b), mxcsr)
        high, more = two(high_of(a), high_of(b), mxcsr)
        return low, high, flags | more

    return four


def packed(name: str, encoding: str, function: Typed[Any, Any], feature: str) -> None:
    """An operation on all elements: `function` of both operands gives halves and flags."""

    @typed(leaves=True, inline=True, name=f"packed_{function.name}")
    def every(cpu: Cpu, a: u128, b: u128) -> u128:
        low, high, flags = function(a, b, cpu.mxcsr)
        settled(cpu, flags)
        return wide(low, high)

    insn(name, encoding, ref=f"APM4 {name}", unit="sse", feature=feature)(given(every))


for _name, _opcode, _function in (
    ("ADD", "58", "add"), ("MUL", "59", "mul"), ("SUB", "5C", "sub"), ("MIN", "5D", "min"),
    ("DIV", "5E", "div"), ("MAX", "5F", "max"),
):  # fmt: skip
    _single, _double = getattr(sse, f"{_function}32"), getattr(sse, f"{_function}64")
    scalar(f"{_name}SS", f"F3 0F {_opcode} /r Vd,Wd", _single, 32, "sse")
    scalar(f"{_name}SD", f"F2 0F {_opcode} /r Vq,Wq", _double, 64, "sse2")
    packed(f"{_name}PS", f"NP 0F {_opcode} /r Vx,Wx", quad(_single, _single), "sse")
    packed(f"{_name}PD", f"66 0F {_opcode} /r Vx,Wx", pair(_double, _double), "sse2")

packed("ADDSUBPS", "F2 0F D0 /r Vx,Wx", quad(sse.sub32, sse.add32), "sse3")
packed("ADDSUBPD", "66 0F D0 /r Vx,Wx", pair(sse.sub64, sse.add64), "sse3")


@typed(inline=False)
def sqrt_second32(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """The square root of the second operand."""
    result, flags = sse.sqrt32(b, mxcsr)
    return result, flags


@typed(inline=False)
def sqrt_second64(a: u64, b: u64, mxcsr: u32) -> tuple[u64, u32]:
    """The square root of the second operand."""
    result, flags = sse.sqrt64(b, mxcsr)
    return result, flags


@typed(inline=True)
def rcp_second(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """An estimate of the second operand's reciprocal; it raises nothing."""
    return sse.rcp32(b), u32(0)


@typed(inline=True)
def rsqrt_second(a: u32, b: u32, mxcsr: u32) -> tuple[u32, u32]:
    """An estimate of the reciprocal of the second operand's square root; it raises nothing."""
    return sse.rsqrt32(b), u32(0)


scalar("SQRTSS", "F3 0F 51 /r Vd,Wd", sse.sqrt32, 32, "sse")
scalar("SQRTSD", "F2 0F 51 /r Vq,Wq", sse.sqrt64, 64, "sse2")
scalar("RCPSS", "F3 0F 53 /r Vd,Wd", rcp_second, 32, "sse")
scalar("RSQRTSS", "F3 0F 52 /r Vd,Wd", rsqrt_second, 32, "sse")
packed("SQRTPS", "NP 0F 51 /r Vx,Wx", quad(sqrt_second32, sqrt_second32), "sse")
packed("SQRTPD", "66 0F 51 /r Vx,Wx", pair(sqrt_second64, sqrt_second64), "sse2")
packed("RCPPS", "NP 0F 53 /r Vx,Wx", quad(rcp_second, rcp_second), "sse")
packed("RSQRTPS", "NP 0F 52 /r Vx,Wx", quad(rsqrt_second, rsqrt_second), "sse")


def horizontal32(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """`function` of the neighbours in each operand: two results of the first, two of the second."""

    @typed(inline=False, name=f"neighbours_{function.name}")
    def neighbours(a: u128, mxcsr: u32) -> tuple[u64, u32]:
        low, flags = function(u32(a), u32(a >> 32), mxcsr)
        high, more = function(u32(a >> 64), u32(a >> 96), mxcsr)
        return u64(low) | (u64(high) << 32), flags | more

    @typed(inline=True, name=f"horizontal_{function.name}")
    def horizontal(a: u128, b: u128, mxcsr: u32) -> tuple[u64, u64, u32]:
        low, flags = neighbours(a, mxcsr)
        high, more = neighbours(b, mxcsr)
        return low, high, flags | more

    return horizontal


def horizontal64(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """`function` of the two elements of each operand."""

    @typed(inline=False, name=f"horizontal_{function.name}")
    def horizontal(a: u128, b: u128, mxcsr: u32) -> tuple[u64, u64, u32]:
        low, flags = function(u64(a), high_of(a), mxcsr)
        high, more = function(u64(b), high_of(b), mxcsr)
        return low, high, flags | more

    return horizontal


packed("HADDPS", "F2 0F 7C /r Vx,Wx", horizontal32(sse.add32), "sse3")
packed("HADDPD", "66 0F 7C /r Vx,Wx", horizontal64(sse.add64), "sse3")
packed("HSUBPS", "F2 0F 7D /r Vx,Wx", horizontal32(sse.sub32), "sse3")
packed("HSUBPD", "66 0F 7D /r Vx,Wx", horizontal64(sse.sub64), "sse3")


def _with_immediate(name: str, encoding: str, function: Typed[Any, Any], feature: str) -> None:
    """`function` takes both operands, the immediate and MXCSR."""

    @typed(leaves=True, inline=True, name=f"immediate_{function.name}")
    def every(cpu: Cpu, a: u128, b: u128, immediate: u8) -> u128:
        low, high, flags = function(a, b, u32(immediate), cpu.mxcsr)
        settled(cpu, flags)
        return wide(low, high)

    insn(name, encoding, ref=f"APM4 {name}", unit="sse", feature=feature)(given(every))


def _scalar_immediate(
    name: str, encoding: str, function: Typed[Any, Any], bits: int, feature: str
) -> None:  # fmt: skip
    """`function` takes the low elements, the immediate and MXCSR."""
    kind: Any = {32: u32, 64: u64}[bits]

    @typed(leaves=True, inline=True, name=f"immediate_{function.name}")
    def one(cpu: Cpu, a: kind, b: kind, immediate: u8) -> kind:
        result, flags = function(a, b, u32(immediate), cpu.mxcsr)
        settled(cpu, flags)
        return result

    insn(name, encoding, ref=f"APM4 {name}", unit="sse", feature=feature)(given(one))


@typed(inline=False)
def compared32(a: u32, b: u32, immediate: u32, mxcsr: u32) -> tuple[u32, u32]:
    """All ones if a predicate of three bits holds."""
    result, flags = sse.cmp32(a, b, immediate & 7, mxcsr)
    return result, flags


@typed(inline=False)
def compared64(a: u64, b: u64, immediate: u32, mxcsr: u32) -> tuple[u64, u32]:
    """All ones if a predicate of three bits holds."""
    result, flags = sse.cmp64(a, b, immediate & 7, mxcsr)
    return result, flags


@typed(inline=False)
def rounded32(a: u32, b: u32, immediate: u32, mxcsr: u32) -> tuple[u32, u32]:
    """The second operand, rounded to an integral number."""
    result, flags = sse.round32(b, immediate, mxcsr)
    return result, flags


@typed(inline=False)
def rounded64(a: u64, b: u64, immediate: u32, mxcsr: u32) -> tuple[u64, u32]:
    """The second operand, rounded to an integral number."""
    result, flags = sse.round64(b, immediate, mxcsr)
    return result, flags


def _pair_immediate(function: Typed[Any, Any]) -> Typed[Any, Any]:
    @typed(inline=False, name=f"pair_{function.name}")
    def both(a: u128, b: u128, immediate: u32, mxcsr: u32) -> tuple[u64, u64, u32]:
        low, flags = function(u64(a), u64(b), immediate, mxcsr)
        high, more = function(high_of(a), high_of(b), immediate, mxcsr)
        return low, high, flags | more

    return both


def _quad_immediate(function: Typed[Any, Any]) -> Typed[Any, Any]:
    @typed(inline=False, name=f"two_{function.name}")
    def two(a: u64, b: u64, immediate: u32, mxcsr: u32) -> tuple[u64, u32]:
        low, flags = function(u32(a), u32(b), immediate, mxcsr)
        high, more = function(u32(a >> 32), u32(b >> 32), immediate, mxcsr)
        return u64(low) | (u64(high) << 32), flags | more

    @typed(inline=False, name=f"quad_{function.name}")
    def four(a: u128, b: u128, immediate: u32, mxcsr: u32) -> tuple[u64, u64, u32]:
        low, flags = two(u64(a), u64(b), immediate, mxcsr)
        high, more = two(high_of(a), high_of(b), immediate, mxcsr)
        return low, high, flags | more

    return four


_scalar_immediate("CMPSS", "F3 0F C2 /r Vd,Wd,Ib", compared32, 32, "sse")
_scalar_immediate("CMPSD", "F2 0F C2 /r Vq,Wq,Ib", compared64, 64, "sse2")
_with_immediate("CMPPS", "NP 0F C2 /r Vx,Wx,Ib", _quad_immediate(compared32), "sse")
_with_immediate("CMPPD", "66 0F C2 /r Vx,Wx,Ib", _pair_immediate(compared64), "sse2")
_scalar_immediate("ROUNDSS", "66 0F 3A 0A /r Vd,Wd,Ib", rounded32, 32, "sse4_1")
_scalar_immediate("ROUNDSD", "66 0F 3A 0B /r Vq,Wq,Ib", rounded64, 64, "sse4_1")
_with_immediate("ROUNDPS", "66 0F 3A 08 /r Vx,Wx,Ib", _quad_immediate(rounded32), "sse4_1")
_with_immediate("ROUNDPD", "66 0F 3A 09 /r Vx,Wx,Ib", _pair_immediate(rounded64), "sse4_1")


def _compare_flags(name: str, encoding: str, function: Typed[Any, Any], bits: int) -> None:
    """COMISS and the like: ZF, PF and CF; the other status flags become zero."""
    kind: Any = {32: u32, 64: u64}[bits]

    @typed(leaves=True, inline=True, name=f"flags_of_{function.name}")
    def compare(cpu: Cpu, a: kind, b: kind) -> None:
        status, flags = function(a, b, cpu.mxcsr)
        settled(cpu, flags)
        set_status(cpu, status)

    insn(name, encoding, ref=f"APM4 {name}", unit="sse")(given(compare))


_compare_flags("UCOMISS", "NP 0F 2E /r Vd,Wd", sse.ucomis32, 32)
_compare_flags("UCOMISD", "66 0F 2E /r Vq,Wq", sse.ucomis64, 64)
_compare_flags("COMISS", "NP 0F 2F /r Vd,Wd", sse.comis32, 32)
_compare_flags("COMISD", "66 0F 2F /r Vq,Wq", sse.comis64, 64)
