"""Storage accesses of instructions: big-endian fetches and stores through the software TLB.

The fast path is inlined into every instruction; what it cannot answer (a miss, a page crossing,
a page that holds decoded code) goes to `translate` in dat.py. `space` is an index of `Cpu.ctx`
(OP1, OP2, PRIMARY, ...); `address` is already masked to the addressing mode.
ref: PoP 3 Storage Addressing; PoP 5 Block-Concurrent References.
"""

from worldswitch.engine import (
    bswap,
    likely,
    peek_u8,
    peek_u16,
    peek_u32,
    peek_u64,
    poke_u8,
    poke_u16,
    poke_u32,
    poke_u64,
    typed,
    u8,
    u16,
    u32,
    u64,
    u128,
)
from worldswitch.metal.s390x.dat import host_for_read, host_for_write
from worldswitch.metal.s390x.state import TLB_SIZE, Cpu

PAGE_MASK = 0xFFFF_FFFF_FFFF_F000


@typed(leaves=True, inline=True)
def fetch_u8(cpu: Cpu, space: u32, address: u64) -> u8:
    """The byte at `address`."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.read_key == (address & PAGE_MASK) | cpu.ctx[space]):
        return peek_u8(address + entry.addend)
    return slow_fetch_u8(cpu, space, address)


@typed(leaves=True, inline=False)
def slow_fetch_u8(cpu: Cpu, space: u32, address: u64) -> u8:
    """`fetch_u8` past the fast path."""
    return peek_u8(host_for_read(cpu, space, address))


@typed(leaves=True, inline=True)
def store_u8(cpu: Cpu, space: u32, address: u64, value: u8) -> None:
    """Store a byte."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.write_key == (address & PAGE_MASK) | cpu.ctx[space]):
        poke_u8(address + entry.addend, value)
    else:
        slow_store_u8(cpu, space, address, value)


@typed(leaves=True, inline=False)
def slow_store_u8(cpu: Cpu, space: u32, address: u64, value: u8) -> None:
    """`store_u8` past the fast path."""
    poke_u8(host_for_write(cpu, space, address, 1), value)


def _fetch(kind, peek):  # type: ignore[no-untyped-def]
    size = kind.bits // 8
    last = size - 1

    @typed(leaves=True, inline=False, name=f"slow_fetch_u{kind.bits}")
    def slow(cpu: Cpu, space: u32, address: u64) -> kind:
        if ((address + last) ^ address) & PAGE_MASK == 0:
            return bswap(peek(host_for_read(cpu, space, address)))
        value: kind = 0
        for i in range(size):
            byte = slow_fetch_u8(cpu, space, (address + i) & cpu.address_mask)
            value = (value << 8) | kind(byte)
        return value

    @typed(leaves=True, inline=True, name=f"fetch_u{kind.bits}")
    def fetch(cpu: Cpu, space: u32, address: u64) -> kind:
        entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
        if likely(entry.read_key == ((address + last) & PAGE_MASK) | cpu.ctx[space]):
            return bswap(peek(address + entry.addend))
        return slow(cpu, space, address)

    return fetch


def _store(kind, poke):  # type: ignore[no-untyped-def]
    size = kind.bits // 8
    last = size - 1

    @typed(leaves=True, inline=False, name=f"slow_store_u{kind.bits}")
    def slow(cpu: Cpu, space: u32, address: u64, value: kind) -> None:
        if ((address + last) ^ address) & PAGE_MASK == 0:
            poke(host_for_write(cpu, space, address, size), bswap(value))
        else:
            # Both pages are looked up before the first byte changes.
            host_for_write(cpu, space, (address + last) & cpu.address_mask, 1)
            host_for_write(cpu, space, address, 1)
            for i in range(size):
                byte = u8(value >> (8 * (last - i)))
                slow_store_u8(cpu, space, (address + i) & cpu.address_mask, byte)

    @typed(leaves=True, inline=True, name=f"store_u{kind.bits}")
    def store(cpu: Cpu, space: u32, address: u64, value: kind) -> None:
        entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
        if likely(entry.write_key == ((address + last) & PAGE_MASK) | cpu.ctx[space]):
            poke(address + entry.addend, bswap(value))
        else:
            slow(cpu, space, address, value)

    return store


fetch_u16 = _fetch(u16, peek_u16)
fetch_u32 = _fetch(u32, peek_u32)
fetch_u64 = _fetch(u64, peek_u64)
store_u16 = _store(u16, poke_u16)
store_u32 = _store(u32, poke_u32)
store_u64 = _store(u64, poke_u64)


@typed(leaves=True)
def fetch_u128(cpu: Cpu, space: u32, address: u64) -> u128:
    """The quadword at `address`; two doubleword accesses, both checked by the first use."""
    high = fetch_u64(cpu, space, address)
    low = fetch_u64(cpu, space, (address + 8) & cpu.address_mask)
    return (u128(high) << 64) | u128(low)


@typed(leaves=True)
def store_u128(cpu: Cpu, space: u32, address: u64, value: u128) -> None:
    """Store a quadword; nothing is stored if either half cannot be."""
    second = (address + 8) & cpu.address_mask
    if (address ^ (address + 15)) & PAGE_MASK != 0:
        check_write(cpu, space, address, 16)
    store_u64(cpu, space, address, u64(value >> 64))
    store_u64(cpu, space, second, u64(value))


@typed(leaves=True, inline=True)
def read_page(cpu: Cpu, space: u32, address: u64) -> u64:
    """Host address of the byte at `address`, good for reading to the end of its 4 KiB page."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.read_key == (address & PAGE_MASK) | cpu.ctx[space]):
        return address + entry.addend
    return host_for_read(cpu, space, address)


@typed(leaves=True, inline=True)
def write_page(cpu: Cpu, space: u32, address: u64, count: u64) -> u64:
    """Host address of the byte at `address`, good for writing `count` bytes within its page.

    The caller writes them before it does anything else: decoded code there is already dropped.
    """
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.write_key == (address & PAGE_MASK) | cpu.ctx[space]):
        return address + entry.addend
    return host_for_write(cpu, space, address, count)


@typed(leaves=True, inline=False)
def check_read(cpu: Cpu, space: u32, address: u64, count: u64) -> None:
    """Recognize access exceptions for fetching `count` (1 or more) bytes."""
    host_for_read(cpu, space, address)
    last = (address + count - 1) & cpu.address_mask
    page = address & PAGE_MASK
    while page != last & PAGE_MASK:
        page = (page + 4096) & cpu.address_mask
        host_for_read(cpu, space, page)


@typed(leaves=True, inline=False)
def check_write(cpu: Cpu, space: u32, address: u64, count: u64) -> None:
    """Recognize access exceptions for storing `count` (1 or more) bytes; no byte changes."""
    host_for_write(cpu, space, address, 1)
    last = (address + count - 1) & cpu.address_mask
    page = address & PAGE_MASK
    while page != last & PAGE_MASK:
        page = (page + 4096) & cpu.address_mask
        host_for_write(cpu, space, page, 1)
