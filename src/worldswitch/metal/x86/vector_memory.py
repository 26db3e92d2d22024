"""Memory operands of SSE and MMX instructions: 16 bytes at a time, aligned or not.

Legacy SSE instructions refuse a 16-byte operand that is not aligned with #GP(0), except those that
say otherwise. ref: APM1 4.3.2 Data Alignment; APM2 8.2.14
"""

from worldswitch.engine import (
    likely,
    peek_u64,
    poke_u64,
    typed,
    u8,
    u64,
    u128,
)
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.memory import linear, slow_load, slow_store
from worldswitch.metal.x86.mode import PAGE
from worldswitch.metal.x86.paging import check_write
from worldswitch.metal.x86.state import DATA, TLB_SIZE, Cpu


@typed(inline=True)
def wide(low: u64, high: u64) -> u128:
    """128 bits out of their halves."""
    return u128(low) | (u128(high) << 64)


@typed(inline=True)
def high_of(value: u128) -> u64:
    """The upper half of 128 bits."""
    return u64(value >> 64)


@typed(leaves=True, inline=False)
def slow_load_u128(cpu: Cpu, seg: u64, address: u64) -> u128:
    """Load 16 bytes past the fast path."""
    low = slow_load(cpu, cpu.ctx[DATA], seg, address, 8)
    high = slow_load(cpu, cpu.ctx[DATA], seg, linear(cpu, address + 8), 8)
    return wide(low, high)


@typed(leaves=True, inline=False)
def slow_store_u128(cpu: Cpu, seg: u64, address: u64, value: u128) -> None:
    """Store 16 bytes past the fast path; both pages are looked up before a byte changes."""
    context = cpu.ctx[DATA]
    last = linear(cpu, address + 15)
    if (address ^ last) & PAGE != 0:
        check_write(cpu, context, seg, address)
        check_write(cpu, context, seg, last & PAGE)
    slow_store(cpu, context, seg, address, 8, u64(value))
    slow_store(cpu, context, seg, linear(cpu, address + 8), 8, high_of(value))


@typed(leaves=True, inline=True)
def load_u128(cpu: Cpu, seg: u8, address: u64) -> u128:
    """Load 16 bytes at any address."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.read_key == ((address + 15) & PAGE) | cpu.ctx[DATA]):
        host = address + entry.addend
        return wide(peek_u64(host), peek_u64(host + 8))
    return slow_load_u128(cpu, u64(seg), address)


@typed(leaves=True, inline=True)
def store_u128(cpu: Cpu, seg: u8, address: u64, value: u128) -> None:
    """Store 16 bytes at any address."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.write_key == ((address + 15) & PAGE) | cpu.ctx[DATA]):
        host = address + entry.addend
        poke_u64(host, u64(value))
        poke_u64(host + 8, high_of(value))
    else:
        slow_store_u128(cpu, u64(seg), address, value)


@typed(leaves=True, inline=True)
def load_aligned(cpu: Cpu, seg: u8, address: u64) -> u128:
    """Load 16 bytes that have to be aligned."""
    if not likely(address & 15 == 0):
        general_protection(cpu)
    return load_u128(cpu, seg, address)


@typed(leaves=True, inline=True)
def store_aligned(cpu: Cpu, seg: u8, address: u64, value: u128) -> None:
    """Store 16 bytes that have to be aligned."""
    if not likely(address & 15 == 0):
        general_protection(cpu)
    store_u128(cpu, seg, address, value)
