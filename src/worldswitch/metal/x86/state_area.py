"""Components of the processor's extended state in memory, as FXSAVE and XSAVE lay them out.

`area` gives the linear address with all faults recognized: what comes behind it does not fault
half-way, and uses FLAT. ref: APM2 11.4.4, 11.5.2
"""

from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.x86.decode_text import address_mask
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.memory import (
    linear,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    store_u16,
    store_u32,
    store_u64,
)
from worldswitch.metal.x86.mode import MODE_LONG, PAGE
from worldswitch.metal.x86.paging import check_write
from worldswitch.metal.x86.segment_checks import check_segment
from worldswitch.metal.x86.state import DATA, FLAT, Cpu, Record

X87 = 1
SSE = 2
AVX = 4
PKRU = 512
"""State components: bits of XCR0, XSTATE_BV and XCOMP_BV."""
CONTROL_INITIAL = 0x37F
MXCSR_INITIAL = 0x1F80
MXCSR_VALID = 0xFFFF
"""The bits of MXCSR that are not reserved, which is MXCSR_MASK in an image."""
LEGACY = 512
"""Bytes of an FXSAVE image; behind it is XSAVE's header."""
EXTENDED = 576
"""Where components beyond those of the legacy region begin."""
SIZE_AVX = 256
SIZE_PKRU = 8
AT_PKRU = EXTENDED + SIZE_AVX
"""In the standard form."""


@typed(leaves=True, inline=False)
def area(cpu: Cpu, rec: Record, size: u64, alignment: u64, write: bool) -> u64:
    """Linear address of an `address=False` instruction's operand, which may lie in two pages."""
    offset = cpu.gr[rec.base] + (cpu.gr[rec.index] << u64(rec.scale)) + u64(rec.disp)
    offset = offset & address_mask(u64(rec.spare2 >> 8))
    at = linear(cpu, offset + cpu.seg_base[rec.seg])
    if at & (alignment - 1) != 0:
        general_protection(cpu)
    if cpu.mode & MODE_LONG == 0:
        check_segment(cpu, u64(rec.seg), offset, size, write)
    last = linear(cpu, at + size - 1)
    if write:
        check_write(cpu, cpu.ctx[DATA], u64(rec.seg), at)
        if (at ^ last) & PAGE != 0:
            check_write(cpu, cpu.ctx[DATA], u64(rec.seg), last)
    else:
        load_u8(cpu, rec.seg, at)
        load_u8(cpu, rec.seg, last)
    return at


@typed
def area_size(compact: bool, components: u64) -> u64:
    """Bytes from the area's start to the end of its last component."""
    size: u64 = EXTENDED
    if compact:
        if components & AVX != 0:
            size = size + SIZE_AVX
        if components & PKRU != 0:
            size = size + SIZE_PKRU
    elif components & PKRU != 0:
        size = AT_PKRU + SIZE_PKRU
    elif components & AVX != 0:
        size = EXTENDED + SIZE_AVX
    return size


@typed
def pkru_place(compact: bool, components: u64) -> u64:
    """Where in the area PKRU is."""
    if compact and components & AVX == 0:
        return EXTENDED
    return AT_PKRU


@typed(leaves=True, inline=False)
def put_64(cpu: Cpu, at: u64, value: u64) -> None:
    """Store a quadword of the area."""
    store_u64(cpu, u8(FLAT), linear(cpu, at), value)


@typed(leaves=True, inline=False)
def get_64(cpu: Cpu, at: u64) -> u64:
    """Load a quadword of the area."""
    return load_u64(cpu, u8(FLAT), linear(cpu, at))


@typed(leaves=True, inline=False)
def put_16(cpu: Cpu, at: u64, value: u16) -> None:
    """Store a word of the area."""
    store_u16(cpu, u8(FLAT), linear(cpu, at), value)


@typed(leaves=True, inline=False)
def get_16(cpu: Cpu, at: u64) -> u16:
    """Load a word of the area."""
    return load_u16(cpu, u8(FLAT), linear(cpu, at))


@typed(leaves=True, inline=False)
def put_32(cpu: Cpu, at: u64, value: u32) -> None:
    """Store a doubleword of the area."""
    store_u32(cpu, u8(FLAT), linear(cpu, at), value)


@typed(leaves=True, inline=False)
def get_32(cpu: Cpu, at: u64) -> u32:
    """Load a doubleword of the area."""
    return load_u32(cpu, u8(FLAT), linear(cpu, at))


@typed
def register_count(cpu: Cpu) -> u64:
    """How many XMM registers there are in this mode."""
    if cpu.mode & MODE_LONG != 0:
        return 16
    return 8


@typed(leaves=True, inline=False)
def save_registers(cpu: Cpu, at: u64, half: u64) -> None:
    """Store 16 bytes of each YMM register: the low ones (half 0), or the high ones (half 2)."""
    n: u64 = 0
    while n < register_count(cpu):
        put_64(cpu, at + n * 16, cpu.xmm[n * 4 + half])
        put_64(cpu, at + n * 16 + 8, cpu.xmm[n * 4 + half + 1])
        n += 1


@typed(leaves=True, inline=False)
def load_registers(cpu: Cpu, at: u64, half: u64) -> None:
    """Load 16 bytes of each YMM register."""
    n: u64 = 0
    while n < register_count(cpu):
        cpu.xmm[n * 4 + half] = get_64(cpu, at + n * 16)
        cpu.xmm[n * 4 + half + 1] = get_64(cpu, at + n * 16 + 8)
        n += 1


@typed(inline=False)
def clear_registers(cpu: Cpu, half: u64) -> None:
    """Zeros in half of each YMM register."""
    n: u64 = 0
    while n < register_count(cpu):
        cpu.xmm[n * 4 + half] = 0
        cpu.xmm[n * 4 + half + 1] = 0
        n += 1


@typed(leaves=True)
def save_mxcsr(cpu: Cpu, at: u64) -> None:
    """Store MXCSR and its mask."""
    put_32(cpu, at + 24, cpu.mxcsr)
    put_32(cpu, at + 28, u32(MXCSR_VALID))


@typed(leaves=True)
def check_mxcsr(cpu: Cpu, value: u32) -> None:
    """#GP(0) for reserved bits."""
    if value & ~u32(MXCSR_VALID) != 0:
        general_protection(cpu)


@typed(inline=False)
def in_use(cpu: Cpu) -> u64:
    """The components that are not in their initial configuration (XINUSE). ref: APM2 11.5.2"""
    n: u64 = 0
    numbers: u64 = 0
    low: u64 = 0
    high: u64 = 0
    while n < 16:
        if n < 8:
            numbers = numbers | cpu.st[n] | u64(cpu.st_exponent[n])
        low = low | cpu.xmm[n * 4] | cpu.xmm[n * 4 + 1]
        high = high | cpu.xmm[n * 4 + 2] | cpu.xmm[n * 4 + 3]
        n += 1
    words = u64(cpu.x87_control ^ CONTROL_INITIAL) | u64(cpu.x87_status) | u64(cpu.x87_tags)
    pointers = cpu.x87_ip | cpu.x87_dp | u64(cpu.x87_cs | cpu.x87_ds | cpu.x87_opcode)
    result: u64 = 0
    if numbers | words | pointers != 0:
        result = X87
    if low != 0:
        result = result | SSE
    if high != 0:
        result = result | AVX
    if cpu.pkru != 0:
        result = result | PKRU
    return result
