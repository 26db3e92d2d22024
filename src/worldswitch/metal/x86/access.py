"""Accesses of 1 to 8 bytes in a translation context that is chosen at run time.

What instructions do is in memory.py; these are for implicit accesses: stacks of another privilege
level, descriptor tables, task-state segments. `context` is one of `cpu.ctx`, or `level_context`.
"""

from worldswitch.arch.x86.registers import Efer
from worldswitch.engine import (
    likely,
    peek_u16,
    peek_u32,
    peek_u64,
    poke_u16,
    poke_u32,
    poke_u64,
    typed,
    u16,
    u32,
    u64,
)
from worldswitch.metal.x86.memory import slow_load, slow_store
from worldswitch.metal.x86.mode import PAGE
from worldswitch.metal.x86.paging import check_write
from worldswitch.metal.x86.state import DATA, SYSTEM, TLB_SIZE, USER_DATA, Cpu


@typed
def system_linear(cpu: Cpu, address: u64) -> u64:
    """A linear address of an implicit access: 64 bits wide in long mode, else 32."""
    if cpu.efer & Efer.LMA != 0:
        return address
    return address & 0xFFFF_FFFF


@typed
def level_context(cpu: Cpu, level: u64) -> u64:
    """The context of data accesses at a privilege level that is entered."""
    if level == u64(cpu.cpl):
        return cpu.ctx[DATA]
    if level == 3:
        return (cpu.ctx[SYSTEM] & ~u64(7)) | USER_DATA
    return cpu.ctx[SYSTEM]


@typed(leaves=True, inline=False)
def load_sized(cpu: Cpu, context: u64, seg: u64, address: u64, size: u64) -> u64:
    """Load 1 to 8 bytes at a linear address, zero-extended."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.read_key == ((address + size - 1) & PAGE) | context):
        if size == 8:
            return peek_u64(address + entry.addend)
        if size == 4:
            return u64(peek_u32(address + entry.addend))
        if size == 2:
            return u64(peek_u16(address + entry.addend))
    return slow_load(cpu, context, seg, address, size)


@typed(leaves=True, inline=False)
def store_sized(cpu: Cpu, context: u64, seg: u64, address: u64, size: u64, value: u64) -> None:
    """Store the low 1 to 8 bytes of a value at a linear address."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.write_key == ((address + size - 1) & PAGE) | context):
        if size == 8:
            poke_u64(address + entry.addend, value)
            return
        if size == 4:
            poke_u32(address + entry.addend, u32(value))
            return
        if size == 2:
            poke_u16(address + entry.addend, u16(value))
            return
    slow_store(cpu, context, seg, address, size, value)


@typed(leaves=True, inline=False)
def check_store(cpu: Cpu, context: u64, seg: u64, address: u64, size: u64) -> None:
    """Recognize the faults of writing up to 4096 bytes, before any of them is written."""
    check_write(cpu, context, seg, address)
    last = system_linear(cpu, address + size - 1)
    if (address ^ last) & PAGE != 0:
        check_write(cpu, context, seg, last)


@typed(leaves=True, inline=False)
def system_load(cpu: Cpu, address: u64, size: u64) -> u64:
    """Load from a descriptor table or a task-state segment."""
    return load_sized(cpu, cpu.ctx[SYSTEM], 8, system_linear(cpu, address), size)


@typed(leaves=True, inline=False)
def system_store(cpu: Cpu, address: u64, size: u64, value: u64) -> None:
    """Store to a descriptor table or a task-state segment."""
    store_sized(cpu, cpu.ctx[SYSTEM], 8, system_linear(cpu, address), size, value)
