"""Memory accesses of instructions: loads and stores through the software TLB.

The fast path is inlined into every instruction; what it cannot answer (a miss, a page crossing, a
device, a page that holds decoded code) goes to paging.py. `address` is linear; `seg` is the segment
it came from, which decides between #SS and #GP.
"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.engine import (
    address_of,
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
)
from worldswitch.metal.x86.codecache import code_written
from worldswitch.metal.x86.leave import fault_with
from worldswitch.metal.x86.mode import MODE_LONG, PAGE
from worldswitch.metal.x86.paging import (
    canonical,
    check_write,
    fill,
    read_slowly,
    resolve,
    watched,
    write_slowly,
)
from worldswitch.metal.x86.physical import is_memory, read_device, write_device
from worldswitch.metal.x86.state import DATA, SYSTEM, TLB_SIZE, USER_DATA_ALIGNED, Cpu

PEEK: dict[int, Any] = {8: peek_u8, 16: peek_u16, 32: peek_u32, 64: peek_u64}
POKE: dict[int, Any] = {8: poke_u8, 16: poke_u16, 32: poke_u32, 64: poke_u64}
KINDS: dict[int, Any] = {8: u8, 16: u16, 32: u32, 64: u64}


@typed
def linear(cpu: Cpu, address: u64) -> u64:
    """A linear address as wide as the mode has them.

    In compatibility mode, what lies above 4 GiB is an implicit access: to descriptor tables.
    """
    if cpu.mode & MODE_LONG != 0 or address > 0x1_0000_0FFF:
        return address
    return address & 0xFFFF_FFFF


@typed(leaves=True)
def check_alignment(cpu: Cpu, context: u64, address: u64, size: u64) -> None:
    """#AC(0) for a user's access that is not aligned, if the context says so. ref: APM2 8.2.18

    An address that is not canonical is #GP or #SS, which come first.
    """
    if context & 7 == USER_DATA_ALIGNED and address & (size - 1) != 0:
        if cpu.mode & MODE_LONG == 0 or canonical(cpu, address):
            fault_with(cpu, Vector.AC, 0)


@typed(leaves=True, inline=False)
def slow_load(cpu: Cpu, context: u64, seg: u64, address: u64, size: u64) -> u64:
    """Load 1 to 8 bytes past the fast path; they may lie in two pages."""
    check_alignment(cpu, context, address, size)
    if (address ^ (address + size - 1)) & PAGE == 0:
        return read_slowly(cpu, context, seg, address, size)
    here = 0x1000 - (address & 0xFFF)
    low = read_parts(cpu, context, seg, address, here)
    high = read_parts(cpu, context, seg, linear(cpu, address + here), size - here)
    return low | (high << (here * 8))


@typed(leaves=True, inline=False)
def read_parts(cpu: Cpu, context: u64, seg: u64, address: u64, count: u64) -> u64:
    """Load 1 to 7 bytes within a page, one by one."""
    value: u64 = 0
    n: u64 = 0
    while n < count:
        byte = read_slowly(cpu, context, seg, address + n, 1)
        value = value | (byte << (n * 8))
        n += 1
    return value


@typed(leaves=True, inline=False)
def slow_store(cpu: Cpu, context: u64, seg: u64, address: u64, size: u64, value: u64) -> None:
    """Store 1 to 8 bytes past the fast path; both pages are looked up before a byte changes."""
    check_alignment(cpu, context, address, size)
    if (address ^ (address + size - 1)) & PAGE == 0:
        write_slowly(cpu, context, seg, address, size, value)
        return
    here = 0x1000 - (address & 0xFFF)
    check_write(cpu, context, seg, address)
    check_write(cpu, context, seg, linear(cpu, address + here))
    n: u64 = 0
    left = value
    while n < size:
        write_slowly(cpu, context, seg, linear(cpu, address + n), 1, left & 0xFF)
        left = left >> 8
        n += 1


def _load(bits: int, which: int, name: str) -> Any:
    kind, peek, last = KINDS[bits], PEEK[bits], bits // 8 - 1

    @typed(leaves=True, inline=True, name=f"{name}{bits}")
    def load(cpu: Cpu, seg: u8, address: u64) -> kind:
        entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
        if likely(entry.read_key == ((address + last) & PAGE) | cpu.ctx[which]):
            return peek(address + entry.addend)
        return kind(slow_load(cpu, cpu.ctx[which], u64(seg), address, last + 1))

    return load


def _store(bits: int, which: int, name: str) -> Any:
    kind, poke, last = KINDS[bits], POKE[bits], bits // 8 - 1

    @typed(leaves=True, inline=True, name=f"{name}{bits}")
    def store(cpu: Cpu, seg: u8, address: u64, value: kind) -> None:
        entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
        if likely(entry.write_key == ((address + last) & PAGE) | cpu.ctx[which]):
            poke(address + entry.addend, value)
        else:
            slow_store(cpu, cpu.ctx[which], u64(seg), address, last + 1, u64(value))

    return store


LOAD = {bits: _load(bits, DATA, "load") for bits in (8, 16, 32, 64)}
STORE = {bits: _store(bits, DATA, "store") for bits in (8, 16, 32, 64)}
load_u8, load_u16, load_u32, load_u64 = LOAD.values()
store_u8, store_u16, store_u32, store_u64 = STORE.values()
SYSTEM_LOAD = {bits: _load(bits, SYSTEM, "system_load") for bits in (8, 16, 32, 64)}
SYSTEM_STORE = {bits: _store(bits, SYSTEM, "system_store") for bits in (8, 16, 32, 64)}
system_load_u8, system_load_u16, system_load_u32, system_load_u64 = SYSTEM_LOAD.values()
system_store_u8, system_store_u16, system_store_u32, system_store_u64 = SYSTEM_STORE.values()
"""Implicit supervisor accesses: descriptor tables, the TSS, stacks of a more privileged level."""


@typed(leaves=True, inline=False)
def slow_modify(cpu: Cpu, seg: u64, address: u64, size: u64) -> u64:
    """`modify` past the fast path: in place if it can be, else in the bounce buffer."""
    context = cpu.ctx[DATA]
    check_alignment(cpu, context, address, size)
    if (address ^ (address + size - 1)) & PAGE == 0 and not watched(cpu, address):
        physical, writable = resolve(cpu, context, seg, address, True)
        if is_memory(cpu, physical):
            if code_at(cpu, physical):
                code_written(cpu, physical, size)
            fill(cpu, context, address, physical, True, writable)
            return cpu.ram + physical
        cpu.bounce[0] = read_device(cpu, physical, size)
        cpu.bounce_address = physical
        cpu.bounce_size = size | BOUNCE_DEVICE
        return address_of(cpu) + BOUNCE
    check_write(cpu, context, seg, address)
    check_write(cpu, context, seg, linear(cpu, (address + size - 1) & PAGE))
    cpu.bounce[0] = slow_load(cpu, context, seg, address, size)
    cpu.bounce_address = address
    cpu.bounce_size = size
    cpu.bounce_seg = seg
    return address_of(cpu) + BOUNCE


BOUNCE = Cpu.fields["bounce"].offset
BOUNCE_DEVICE = 256


@typed
def code_at(cpu: Cpu, physical: u64) -> bool:
    """Whether the frame of a physical address holds decoded code."""
    return peek_u64(cpu.code_map + ((physical & PAGE) >> 9)) != 0


def _modify(bits: int) -> Any:
    last = bits // 8 - 1

    @typed(leaves=True, inline=True, name=f"modify{bits}")
    def modify(cpu: Cpu, seg: u8, address: u64) -> u64:
        """Host address at which to read and then write the operand; end with `modified`."""
        entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
        if likely(entry.write_key == ((address + last) & PAGE) | cpu.ctx[DATA]):
            return address + entry.addend
        return slow_modify(cpu, u64(seg), address, last + 1)

    return modify


MODIFY = {bits: _modify(bits) for bits in (8, 16, 32, 64)}


@typed(leaves=True, inline=True)
def modified(cpu: Cpu, host: u64) -> None:
    """The operand that `modify` has given out was written."""
    if not likely(host != address_of(cpu) + BOUNCE):
        write_back(cpu)


@typed(leaves=True, inline=False)
def write_back(cpu: Cpu) -> None:
    """Put the bounce buffer where it belongs."""
    if cpu.bounce_size & BOUNCE_DEVICE != 0:
        write_device(cpu, cpu.bounce_address, cpu.bounce_size & 0xFF, cpu.bounce[0])
    else:
        size = cpu.bounce_size
        slow_store(cpu, cpu.ctx[DATA], cpu.bounce_seg, cpu.bounce_address, size, cpu.bounce[0])


@typed(leaves=True, inline=True)
def read_page(cpu: Cpu, seg: u8, address: u64) -> u64:
    """Host address of the byte at `address`, good for reading to its page's end; 0: a device."""
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.read_key == (address & PAGE) | cpu.ctx[DATA]):
        return address + entry.addend
    return slow_page(cpu, u64(seg), address, False, 1)


@typed(leaves=True, inline=True)
def write_page(cpu: Cpu, seg: u8, address: u64, count: u64) -> u64:
    """Host address of the byte at `address`, good for writing `count` bytes in its page; 0: device.

    The caller writes them before it does anything else: decoded code there is already dropped.
    """
    entry = cpu.tlb[(address >> 12) & (TLB_SIZE - 1)]
    if likely(entry.write_key == (address & PAGE) | cpu.ctx[DATA]):
        return address + entry.addend
    return slow_page(cpu, u64(seg), address, True, count)


@typed(leaves=True, inline=False)
def slow_page(cpu: Cpu, seg: u64, address: u64, write: bool, count: u64) -> u64:
    """`read_page` and `write_page` past the fast path; 0 also where a data breakpoint lies."""
    context = cpu.ctx[DATA]
    physical, writable = resolve(cpu, context, seg, address, write)
    if not is_memory(cpu, physical) or watched(cpu, address):
        return 0
    if write and code_at(cpu, physical):
        code_written(cpu, physical, count)
    fill(cpu, context, address, physical, write, writable)
    return cpu.ram + physical


@typed(leaves=True, inline=False)
def touch_write(cpu: Cpu, seg: u8, address: u64, count: u64) -> None:
    """Recognize the faults of writing `count` (1 or more) bytes, without writing."""
    context = cpu.ctx[DATA]
    check_write(cpu, context, u64(seg), address)
    last = linear(cpu, address + count - 1)
    page = address & PAGE
    while page != last & PAGE:
        page = linear(cpu, page + 0x1000)
        check_write(cpu, context, u64(seg), page)
