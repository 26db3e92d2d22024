"""Small steps that many instructions share: register halves and condition codes."""

from worldswitch.engine import (
    Typed,
    add_overflows,
    i32,
    i64,
    likely,
    sub_overflows,
    typed,
    u8,
    u32,
    u64,
)
from worldswitch.metal.s390x.state import Cpu

HIGH = 0xFFFF_FFFF_0000_0000


@typed(inline=True)
def low(cpu: Cpu, r: u8) -> u32:
    """Bits 32-63 of general register `r`."""
    return u32(cpu.gr[r])


@typed(inline=True)
def set_low(cpu: Cpu, r: u8, value: u32) -> None:
    """Replace bits 32-63 of general register `r`; bits 0-31 stay."""
    cpu.gr[r] = (cpu.gr[r] & HIGH) | u64(value)


@typed(inline=True)
def high(cpu: Cpu, r: u8) -> u32:
    """Bits 0-31 of general register `r`."""
    return u32(cpu.gr[r] >> 32)


@typed(inline=True)
def set_high(cpu: Cpu, r: u8, value: u32) -> None:
    """Replace bits 0-31 of general register `r`; bits 32-63 stay."""
    cpu.gr[r] = (cpu.gr[r] & 0xFFFF_FFFF) | (u64(value) << 32)


def _signed_cc(kind: type) -> Typed:
    @typed(inline=True, name=f"set_cc_signed_{kind.__name__}")
    def set_cc(cpu: Cpu, result: kind, overflow: bool) -> None:
        if likely(not overflow):
            cpu.cc = 2 if result > 0 else u64(result < 0)
        else:
            cpu.cc = 3

    return set_cc


set_cc_i32 = _signed_cc(i32)
"""Condition code of signed arithmetic: 0 zero, 1 negative, 2 positive, 3 overflow."""
set_cc_i64 = _signed_cc(i64)
"""As `set_cc_i32`, for 64 bits."""


def _compare_cc(kind: type) -> Typed:
    @typed(inline=True, name=f"compare_{kind.__name__}")
    def compare(cpu: Cpu, a: kind, b: kind) -> None:
        cpu.cc = 2 if a > b else u64(a < b)

    return compare


compare_i32 = _compare_cc(i32)
"""Condition code of a comparison: 0 equal, 1 first low, 2 first high."""
compare_i64 = _compare_cc(i64)
compare_u32 = _compare_cc(u32)
compare_u64 = _compare_cc(u64)

__all__ = [
    "HIGH",
    "add_overflows",
    "compare_i32",
    "compare_i64",
    "compare_u32",
    "compare_u64",
    "high",
    "low",
    "set_cc_i32",
    "set_cc_i64",
    "set_high",
    "set_low",
    "sub_overflows",
]
