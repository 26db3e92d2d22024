"""MOVS, STOS, LODS, CMPS, SCAS and their repetition. ref: APM3 3; APM3 1.2.6 Repeat Prefixes

A repeated instruction that takes long gives way to events between its iterations, and is executed
again for what is left. MOVS and STOS upwards do as much at a time as lies within one page.
"""

from collections.abc import Callable
from typing import Any

from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import address_of, copy_bytes, fill_bytes, i64, typed, u8, u64
from worldswitch.metal.x86.codecache import RECORD_SIZE
from worldswitch.metal.x86.decode_bits import PREFIX_REP, PREFIX_REPNE
from worldswitch.metal.x86.flags import B, Width, flags_sub, zf
from worldswitch.metal.x86.flow import resume
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.memory import LOAD, PEEK, POKE, STORE, read_page, write_page
from worldswitch.metal.x86.mode import MODE_LONG, MODE_SINGLE
from worldswitch.metal.x86.offsets import extra_segment, offset_mask, place, put_offset
from worldswitch.metal.x86.operands import WRITE_A
from worldswitch.metal.x86.single import single_end
from worldswitch.metal.x86.state import RAX, RCX, RDI, RSI, Cpu, Record

REPEATED = PREFIX_REP | PREFIX_REPNE
TURN = 4096
"""Bytes, or iterations one by one, after which a repeated instruction gives way."""


@typed(inline=True)
def step_of(cpu: Cpu, size: u64) -> u64:
    """What is added to an offset for the next element."""
    if cpu.flags & Rflags.DF != 0:
        return 0 - size
    return size


@typed(inline=True)
def following(rec: Record) -> u64:
    """The record behind this one."""
    return address_of(rec) + RECORD_SIZE


@typed(inline=True)
def gives_way(cpu: Cpu, done: u64) -> bool:
    """Whether the iterations so far are enough for one turn."""
    return done >= TURN or cpu.check != 0 or cpu.mode & MODE_SINGLE != 0


@typed(inline=False)
def again(cpu: Cpu, rec: Record) -> u64:
    """Events first, then this instruction once more."""
    cpu.budget -= i64(rec.count)
    cpu.rip = rec.pc
    if cpu.mode & MODE_SINGLE != 0:
        single_end(cpu)
    return resume(cpu)


@typed(inline=False)
def room(cpu: Cpu, seg: u64, offset: u64, mask: u64) -> u64:
    """Bytes that an ascending string may have before offsets wrap or the segment may end."""
    if cpu.mode & MODE_LONG == 0:
        if cpu.seg_attr[seg] & (SegAttr.TYPE_CODE | SegAttr.TYPE_E) == SegAttr.TYPE_E:
            return 0
        limit = u64(cpu.seg_limit[seg])
        if offset > limit:
            return 0
        if limit < mask:
            return limit - offset
    return mask - offset


@typed(inline=True)
def least(a: u64, b: u64) -> u64:
    """The smaller one."""
    if a < b:
        return a
    return b


def _entries(name: str, opcode: int, make: Callable[[Width], Any]) -> None:
    """Enter a string instruction: bytes, and words by operand size."""
    insn(name, f"{opcode:02X}", ref=f"APM3 3 {name}", raw=True)(lambda: make(B))
    insn(name, f"{opcode + 1:02X}", ref=f"APM3 3 {name}", raw=True, sized=True)(lambda w: make(w))


def _handler(name: str, w: Width, one: Any, block: Any) -> Any:
    """The handler: one element, or a loop over blocks of them where `block` gives any."""

    @typed(leaves=True, inline=False, name=f"repeat_{name}_{w.letter}")
    def repeat(cpu: Cpu, rec: Record) -> u64:
        mask = offset_mask(cpu, rec)
        left = cpu.gr[RCX] & mask
        done: u64 = 0
        while left != 0:
            count = block(cpu, rec, mask, left)
            if count == 0:
                one(cpu, rec, mask)
                count = 1
                done += 1
            else:
                done += TURN
            left = left - count
            put_offset(cpu, RCX, left, mask)
            if left != 0 and gives_way(cpu, done):
                return again(cpu, rec)
        return following(rec)

    @typed(leaves=True, inline=True)
    def handler(cpu: Cpu, rec: Record) -> u64:
        if rec.prefixes & REPEATED != 0:
            return repeat(cpu, rec)
        one(cpu, rec, offset_mask(cpu, rec))
        return following(rec)

    return handler


def _comparing(name: str, w: Width, one: Any, skip: Any) -> Any:
    """The handler of an instruction that REPE and REPNE end by ZF.

    `skip` passes elements that do not end it, and leaves the last of them to `one` and its flags.
    """

    @typed(leaves=True, inline=False, name=f"repeat_{name}_{w.letter}")
    def repeat(cpu: Cpu, rec: Record) -> u64:
        mask = offset_mask(cpu, rec)
        left = cpu.gr[RCX] & mask
        wanted = rec.prefixes & PREFIX_REP != 0
        done: u64 = 0
        while left != 0:
            passed = skip(cpu, rec, mask, left, wanted)
            left = left - passed
            put_offset(cpu, RCX, left, mask)
            one(cpu, rec, mask)
            left = left - 1
            put_offset(cpu, RCX, left, mask)
            if zf(cpu) != wanted:
                return following(rec)
            done += passed + 1
            if left != 0 and gives_way(cpu, done):
                return again(cpu, rec)
        return following(rec)

    @typed(leaves=True, inline=True)
    def handler(cpu: Cpu, rec: Record) -> u64:
        if rec.prefixes & REPEATED != 0:
            return repeat(cpu, rec)
        one(cpu, rec, offset_mask(cpu, rec))
        return following(rec)

    return handler


@typed(inline=True)
def no_block(cpu: Cpu, rec: Record, mask: u64, left: u64) -> u64:
    """Elements are processed one by one."""
    return 0


def movs(w: Width) -> Any:
    """Copy from the source string to the destination."""
    load, store, size = LOAD[w.bits], STORE[w.bits], w.bytes
    peek, poke = PEEK[w.bits], POKE[w.bits]

    @typed(leaves=True, inline=False, name=f"movs_{w.letter}")
    def one(cpu: Cpu, rec: Record, mask: u64) -> None:
        source = cpu.gr[RSI] & mask
        target = cpu.gr[RDI] & mask
        value = load(cpu, rec.seg, place(cpu, u64(rec.seg), source, size, False))
        extra = extra_segment(cpu)
        store(cpu, u8(extra), place(cpu, extra, target, size, True), value)
        step = step_of(cpu, size)
        put_offset(cpu, RSI, source + step, mask)
        put_offset(cpu, RDI, target + step, mask)

    @typed(leaves=True, inline=False, name=f"movs_block_{w.letter}")
    def block(cpu: Cpu, rec: Record, mask: u64, left: u64) -> u64:
        if cpu.flags & Rflags.DF != 0 or cpu.mode & MODE_SINGLE != 0:
            return 0
        source = cpu.gr[RSI] & mask
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        a = place(cpu, u64(rec.seg), source, size, False)
        b = place(cpu, extra, target, size, True)
        bytes = least(0x1000 - (a & 0xFFF), 0x1000 - (b & 0xFFF))
        bytes = least(bytes, room(cpu, u64(rec.seg), source, mask))
        bytes = least(bytes, room(cpu, extra, target, mask))
        count = least(bytes // size, left)
        if count == 0:
            return 0
        bytes = count * size
        start = read_page(cpu, rec.seg, a)
        to = write_page(cpu, u8(extra), b, bytes)
        if start == 0 or to == 0:
            return 0
        if to > start and to < start + bytes:
            n: u64 = 0
            while n < bytes:
                poke(to + n, peek(start + n))
                n += size
        else:
            copy_bytes(to, start, bytes)
        put_offset(cpu, RSI, source + bytes, mask)
        put_offset(cpu, RDI, target + bytes, mask)
        return count

    return _handler("movs", w, one, block)


def stos(w: Width) -> Any:
    """Store the accumulator."""
    store, poke, u, size = STORE[w.bits], POKE[w.bits], w.u, w.bytes
    repeated = 0x0101_0101_0101_0101 >> (64 - w.bits)

    @typed(leaves=True, inline=False, name=f"stos_{w.letter}")
    def one(cpu: Cpu, rec: Record, mask: u64) -> None:
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        store(cpu, u8(extra), place(cpu, extra, target, size, True), u(cpu.gr[RAX]))
        put_offset(cpu, RDI, target + step_of(cpu, size), mask)

    @typed(leaves=True, inline=False, name=f"stos_block_{w.letter}")
    def block(cpu: Cpu, rec: Record, mask: u64, left: u64) -> u64:
        if cpu.flags & Rflags.DF != 0 or cpu.mode & MODE_SINGLE != 0:
            return 0
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        b = place(cpu, extra, target, size, True)
        bytes = least(0x1000 - (b & 0xFFF), room(cpu, extra, target, mask))
        count = least(bytes // size, left)
        if count == 0:
            return 0
        bytes = count * size
        to = write_page(cpu, u8(extra), b, bytes)
        if to == 0:
            return 0
        value = u(cpu.gr[RAX])
        if value == (value & 0xFF) * repeated:
            fill_bytes(to, u8(value), bytes)
        else:
            n: u64 = 0
            while n < bytes:
                poke(to + n, value)
                n += size
        put_offset(cpu, RDI, target + bytes, mask)
        return count

    return _handler("stos", w, one, block)


def lods(w: Width) -> Any:
    """Load the accumulator."""
    load, write, size = LOAD[w.bits], WRITE_A[w.bits], w.bytes

    @typed(leaves=True, inline=False, name=f"lods_{w.letter}")
    def one(cpu: Cpu, rec: Record, mask: u64) -> None:
        source = cpu.gr[RSI] & mask
        value = load(cpu, rec.seg, place(cpu, u64(rec.seg), source, size, False))
        write(cpu, rec, value)
        put_offset(cpu, RSI, source + step_of(cpu, size), mask)

    return _handler("lods", w, one, no_block)


def cmps(w: Width) -> Any:
    """Compare the source string with the destination."""
    load, flags, size, peek = LOAD[w.bits], flags_sub[w.bits], w.bytes, PEEK[w.bits]

    @typed(leaves=True, inline=False, name=f"cmps_{w.letter}")
    def one(cpu: Cpu, rec: Record, mask: u64) -> None:
        source = cpu.gr[RSI] & mask
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        a = load(cpu, rec.seg, place(cpu, u64(rec.seg), source, size, False))
        b = load(cpu, u8(extra), place(cpu, extra, target, size, False))
        step = step_of(cpu, size)
        put_offset(cpu, RSI, source + step, mask)
        put_offset(cpu, RDI, target + step, mask)
        flags(cpu, a, b, a - b)

    @typed(leaves=True, inline=False, name=f"cmps_skip_{w.letter}")
    def skip(cpu: Cpu, rec: Record, mask: u64, left: u64, wanted: bool) -> u64:
        if cpu.flags & Rflags.DF != 0 or cpu.mode & MODE_SINGLE != 0:
            return 0
        source = cpu.gr[RSI] & mask
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        a = place(cpu, u64(rec.seg), source, size, False)
        b = place(cpu, extra, target, size, False)
        bytes = least(0x1000 - (a & 0xFFF), 0x1000 - (b & 0xFFF))
        bytes = least(bytes, room(cpu, u64(rec.seg), source, mask))
        count = least(least(bytes, room(cpu, extra, target, mask)) // size, left)
        if count < 2:
            return 0
        one_host = read_page(cpu, rec.seg, a)
        other_host = read_page(cpu, u8(extra), b)
        if one_host == 0 or other_host == 0:
            return 0
        end = (count - 1) * size
        n: u64 = 0
        while n < end and (peek(one_host + n) == peek(other_host + n)) == wanted:
            n += size
        put_offset(cpu, RSI, source + n, mask)
        put_offset(cpu, RDI, target + n, mask)
        return n // size

    return _comparing("cmps", w, one, skip)


def scas(w: Width) -> Any:
    """Compare the accumulator with the destination string."""
    load, flags, u, size = LOAD[w.bits], flags_sub[w.bits], w.u, w.bytes
    peek = PEEK[w.bits]

    @typed(leaves=True, inline=False, name=f"scas_{w.letter}")
    def one(cpu: Cpu, rec: Record, mask: u64) -> None:
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        a = u(cpu.gr[RAX])
        b = load(cpu, u8(extra), place(cpu, extra, target, size, False))
        put_offset(cpu, RDI, target + step_of(cpu, size), mask)
        flags(cpu, a, b, a - b)

    @typed(leaves=True, inline=False, name=f"scas_skip_{w.letter}")
    def skip(cpu: Cpu, rec: Record, mask: u64, left: u64, wanted: bool) -> u64:
        if cpu.flags & Rflags.DF != 0 or cpu.mode & MODE_SINGLE != 0:
            return 0
        target = cpu.gr[RDI] & mask
        extra = extra_segment(cpu)
        b = place(cpu, extra, target, size, False)
        bytes = least(0x1000 - (b & 0xFFF), room(cpu, extra, target, mask))
        count = least(bytes // size, left)
        if count < 2:
            return 0
        host = read_page(cpu, u8(extra), b)
        if host == 0:
            return 0
        a = u(cpu.gr[RAX])
        end = (count - 1) * size
        n: u64 = 0
        while n < end and (a == peek(host + n)) == wanted:
            n += size
        put_offset(cpu, RDI, target + n, mask)
        return n // size

    return _comparing("scas", w, one, skip)


_entries("MOVS", 0xA4, movs)
_entries("CMPS", 0xA6, cmps)
_entries("STOS", 0xAA, stos)
_entries("LODS", 0xAC, lods)
_entries("SCAS", 0xAE, scas)
