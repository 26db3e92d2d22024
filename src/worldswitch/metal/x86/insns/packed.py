"""How instructions on packed integers are entered: once for MMX, once for SSE registers."""

from collections.abc import Callable, Iterable
from typing import Any

from worldswitch.engine import Typed, typed, u8, u64, u128
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.vector_memory import high_of, wide


def given(function: Any) -> Callable[[], Any]:
    """A template that gives just this function."""
    return lambda: function


def both_halves(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """A function of u64 operands on both halves of 128-bit ones."""
    if len(function.parameters) == 1:

        @typed(inline=True, name=f"{function.name}_both")
        def both(cpu: Cpu, b: u128) -> u128:
            return wide(function(u64(b)), function(high_of(b)))
    else:

        @typed(inline=True, name=f"{function.name}_both")
        def both(cpu: Cpu, a: u128, b: u128) -> u128:
            return wide(function(u64(a), u64(b)), function(high_of(a), high_of(b)))

    return both


def one_half(function: Typed[Any, Any]) -> Typed[Any, Any]:
    """The same function on an MMX register."""
    if len(function.parameters) == 1:

        @typed(inline=True, name=f"{function.name}_mmx")
        def one(cpu: Cpu, b: u64) -> u64:
            return function(b)
    else:

        @typed(inline=True, name=f"{function.name}_mmx")
        def one(cpu: Cpu, a: u64, b: u64) -> u64:
            return function(a, b)

    return one


def packed(
    name: str, opcode: str, function: Typed[Any, Any], feature: str = "sse2",
    mmx: str | None = "mmx", split: bool = False,
) -> None:  # fmt: skip
    """An instruction that works on each 64 bits apart, without and with prefix 66.

    opcode: with its map. feature: of the form with XMM registers; mmx: of that with MMX
    registers, None if there is none.
    """
    whole, half = both_halves(function), one_half(function)
    insn(name, f"66 {opcode} /r Vx,Wx", ref=f"APM4 {name}", unit="sse", feature=feature,
         split=split)(given(whole))  # fmt: skip
    if mmx is not None:
        insn(name, f"NP {opcode} /r Pq,Qq", ref=f"APM5 {name}", unit="mmx", feature=mmx)(
            given(half)
        )


def shift_forms(name: str, opcode: str, immediate: str, function: Typed[Any, Any]) -> None:
    """A shift of lanes: by an operand's low 64 bits, and by an immediate (opcode, digit)."""

    @typed(inline=True, name=f"{function.name}_by_vector")
    def by_vector(cpu: Cpu, a: u128, count: u128) -> u128:
        return wide(function(u64(a), u64(count)), function(high_of(a), u64(count)))

    @typed(inline=True, name=f"{function.name}_by_immediate")
    def by_immediate(cpu: Cpu, a: u128, count: u8) -> u128:
        return wide(function(u64(a), u64(count)), function(high_of(a), u64(count)))

    @typed(inline=True, name=f"{function.name}_mmx_by_immediate")
    def mmx_by_immediate(cpu: Cpu, a: u64, count: u8) -> u64:
        return function(a, u64(count))

    half = one_half(function)
    sse: dict[str, Any] = {"ref": f"APM4 {name}", "unit": "sse", "feature": "sse2"}
    mmx: dict[str, Any] = {"ref": f"APM5 {name}", "unit": "mmx"}
    insn(name, f"66 0F {opcode} /r Vx,Wx", **sse)(given(by_vector))
    insn(name, f"66 0F {immediate} /R Ux,Ib", **sse)(given(by_immediate))
    insn(name, f"NP 0F {opcode} /r Pq,Qq", **mmx)(given(half))
    insn(name, f"NP 0F {immediate} /R Nq,Ib", **mmx)(given(mmx_by_immediate))


def entries(table: str) -> Iterable[list[str]]:
    """The words of each line."""
    return (line.split() for line in table.strip().splitlines())
