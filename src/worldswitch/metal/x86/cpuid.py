"""CPUID: a table of the model's answers, to which the processor adds what depends on its state."""

import ctypes
from typing import Any

from worldswitch.arch.x86.cpuid import Leaf
from worldswitch.arch.x86.models import CpuModel
from worldswitch.arch.x86.registers import Cr4
from worldswitch.engine import Struct, typed, u32, u64
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.state_area import (
    AT_PKRU,
    AVX,
    EXTENDED,
    PKRU,
    SIZE_AVX,
    SIZE_PKRU,
    area_size,
)

OSXSAVE = 1 << 27
OSPKE = 1 << 4


class CpuidEntry(Struct):
    """One answer."""

    leaf: u32
    subleaf: u32
    eax: u32
    ebx: u32
    ecx: u32
    edx: u32


@typed(inline=False)
def find_leaf(cpu: Cpu, leaf: u64, subleaf: u64) -> u64:
    """Address of the answer to a function; that of the highest basic one if there is none."""
    n: u64 = 0
    while n < cpu.cpuid_count:
        entry = CpuidEntry.at(cpu.cpuid_table + n * 24)
        if u64(entry.leaf) == leaf and (u64(entry.subleaf) == subleaf or entry.subleaf == ANY):
            return cpu.cpuid_table + n * 24
        n += 1
    return 0


ANY = 0xFFFF_FFFF


@typed(inline=False)
def cpuid(cpu: Cpu, leaf: u64, subleaf: u64) -> tuple[u64, u64, u64, u64]:
    """EAX, EBX, ECX and EDX; zeros for a function that does not exist. ref: APM3 E"""
    at = find_leaf(cpu, leaf, subleaf)
    if at == 0:
        return u64(0), u64(0), u64(0), u64(0)
    entry = CpuidEntry.at(at)
    a = u64(entry.eax)
    b = u64(entry.ebx)
    c = u64(entry.ecx)
    d = u64(entry.edx)
    if leaf == Leaf.FEATURES:
        b = b | (u64(cpu.apic_id) << 24)
        if cpu.cr4 & Cr4.OSXSAVE != 0:
            c = c | OSXSAVE
        if cpu.apic_mode == 0:
            d = d & ~u64(1 << 9)
    elif leaf == Leaf.STRUCTURED and subleaf == 0:
        if cpu.cr4 & Cr4.PKE != 0:
            c = c | OSPKE
    elif leaf == Leaf.TOPOLOGY:
        c = c | (subleaf & 0xFF)
        d = u64(cpu.apic_id)
    elif leaf == Leaf.XSAVE and subleaf < 2:
        b = area_size(subleaf == 1, cpu.xcr0)
    elif leaf == Leaf.EXTENDED_TOPOLOGY:
        a = u64(cpu.apic_id)
        b = u64(cpu.apic_id)
    return a, b, c, d


def _xsave(model: CpuModel, mask: int) -> list[tuple[int, int, int, int, int]]:
    """Function D: components, their sizes and places. ref: APM3 E.3.8"""
    if not model.has("xsave"):
        return []
    size = int(area_size(False, u64(mask)))
    rows = [
        (0, mask, 0, size, 0),
        (1, model.cpuid(Leaf.XSAVE, 1)[0], 0, 0, 0),
    ]
    if mask & AVX:
        rows.append((2, SIZE_AVX, EXTENDED, 0, 0))
    if mask & PKRU:
        rows.append((9, SIZE_PKRU, AT_PKRU, 0, 0))
    return rows


def answers(model: CpuModel, count: int, xcr0_mask: int) -> list[tuple[int, ...]]:
    """(function, subfunction, EAX, EBX, ECX, EDX) of a processor among `count` of them."""
    basic = [0, 1, 5, 6, 7, 0xB, 0xD]
    if not model.has("xsave"):
        basic.remove(0xD)
    extended = [*range(0x8000_0000, 0x8000_000B), 0x8000_0019, 0x8000_001A, 0x8000_001E]
    extended.append(0x8000_0021)
    rows: list[tuple[int, ...]] = []
    bits = max(count - 1, 0).bit_length()
    for leaf in basic + extended:
        a, b, c, d = model.cpuid(leaf)
        if leaf == Leaf.VENDOR:
            a = max(basic)
        elif leaf == Leaf.EXTENDED_VENDOR:
            a = max(extended)
        elif leaf == Leaf.FEATURES:
            b |= count << 16
            d = d | 1 << 28 if count > 1 else d & ~(1 << 28)
        elif leaf == Leaf.TOPOLOGY:
            rows += [(leaf, 0, 0, 1, 1 << 8, 0), (leaf, 1, bits, count, 2 << 8, 0)]
            continue
        elif leaf == Leaf.XSAVE:
            rows += [(leaf, *row) for row in _xsave(model, xcr0_mask)]
            continue
        elif leaf == Leaf.ADDRESS_SIZES:
            c = bits << 12 | count - 1
        elif leaf == Leaf.L1_CACHE:
            a, b, c, d = 0xFF40_FF40, 0xFF40_FF40, 0x2008_0140, 0x2008_0140
        elif leaf == Leaf.L2_L3_CACHE:
            b, c = 0x6400_4200, 0x0200_8140
        subleaf = 0 if leaf == Leaf.STRUCTURED else ANY
        rows.append((leaf, subleaf, a, b, c, d))
    return rows


def install(raws: list[Any], model: CpuModel, xcr0_mask: int) -> Any:
    """Give processors (raw views) their table; keep the result as long as they live."""
    rows = answers(model, len(raws), xcr0_mask)
    table = ctypes.create_string_buffer(CpuidEntry.size * len(rows))
    for n, row in enumerate(rows):
        entry = CpuidEntry.raw_at(ctypes.addressof(table) + CpuidEntry.size * n)
        entry.leaf, entry.subleaf, entry.eax, entry.ebx, entry.ecx, entry.edx = row
    for raw in raws:
        raw.cpuid_table, raw.cpuid_count = ctypes.addressof(table), len(rows)
    return table
