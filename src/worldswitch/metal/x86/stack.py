"""PUSH and POP as other instructions use them, in every stack width. ref: APM2 2.4.5"""

from typing import Any

from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.memory import LOAD, STORE, load_u64, store_u64
from worldswitch.metal.x86.mode import MODE_LONG
from worldswitch.metal.x86.segment_checks import check_segment
from worldswitch.metal.x86.state import RSP, SS, Cpu


@typed(inline=True)
def put_sp(cpu: Cpu, value: u64) -> None:
    """Write as much of RSP as the stack is wide."""
    if cpu.stack_mask == 0xFFFF:
        cpu.gr[RSP] = (cpu.gr[RSP] & ~u64(0xFFFF)) | (value & 0xFFFF)
    else:
        cpu.gr[RSP] = value & cpu.stack_mask


@typed(leaves=True, inline=False)
def stack_address(cpu: Cpu, offset: u64, size: u64, write: bool) -> u64:
    """Linear address of an offset in the stack segment, checked."""
    if cpu.mode & MODE_LONG != 0:
        return offset
    check_segment(cpu, SS, offset, size, write)
    return (cpu.seg_base[SS] + offset) & 0xFFFF_FFFF


def _push(bits: int) -> Any:
    size, store = bits // 8, STORE[bits]
    u = {16: u16, 32: u32}[bits]

    @typed(leaves=True, inline=False, name=f"push{bits}")
    def push(cpu: Cpu, value: u) -> None:
        """Push onto a stack of any width."""
        offset = (cpu.gr[RSP] - size) & cpu.stack_mask
        store(cpu, u8(SS), stack_address(cpu, offset, size, True), value)
        put_sp(cpu, offset)

    return push


def _peek_stack(bits: int) -> Any:
    size, load = bits // 8, LOAD[bits]
    u = {16: u16, 32: u32}[bits]

    @typed(leaves=True, inline=False, name=f"peek_stack{bits}")
    def peek_stack(cpu: Cpu, depth: u64) -> u:
        """The value `depth` bytes above the top of the stack; RSP stays."""
        offset = (cpu.gr[RSP] + depth) & cpu.stack_mask
        return load(cpu, u8(SS), stack_address(cpu, offset, size, False))

    return peek_stack


@typed(leaves=True, inline=True)
def push_u64(cpu: Cpu, value: u64) -> None:
    """Push in 64-bit mode."""
    top = cpu.gr[RSP] - 8
    store_u64(cpu, u8(SS), top, value)
    cpu.gr[RSP] = top


@typed(leaves=True, inline=True)
def peek_stack_u64(cpu: Cpu, depth: u64) -> u64:
    """A value above the top of the stack in 64-bit mode."""
    return load_u64(cpu, u8(SS), cpu.gr[RSP] + depth)


push_u16, push_u32 = _push(16), _push(32)
peek_stack_u16, peek_stack_u32 = _peek_stack(16), _peek_stack(32)
PUSH = {16: push_u16, 32: push_u32, 64: push_u64}
PEEK_STACK = {16: peek_stack_u16, 32: peek_stack_u32, 64: peek_stack_u64}
"""By operand width; 64 is for 64-bit mode alone."""


@typed(inline=True)
def drop(cpu: Cpu, count: u64) -> None:
    """Take bytes off the stack."""
    if cpu.stack_mask == 0xFFFF_FFFF_FFFF_FFFF:
        cpu.gr[RSP] = cpu.gr[RSP] + count
    else:
        put_sp(cpu, (cpu.gr[RSP] + count) & cpu.stack_mask)
