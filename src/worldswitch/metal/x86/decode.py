"""Blocks of records, and from RIP to the record that executes it."""

from worldswitch.engine import (
    copy_bytes,
    fill_bytes,
    i64,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.blocks import Block, bucket_of
from worldswitch.metal.x86.codecache import (
    BLOCK_LIMIT,
    HEADER_SIZE,
    RECORD_SIZE,
    ROOM,
    CodeCache,
    Continuation,
    InsnInfo,
    link_frame,
)
from worldswitch.metal.x86.decode_bits import (
    INFO_SIZE,
    INSN_ENDS,
    INSN_WRITES,
    TEXT_LIMIT,
)
from worldswitch.metal.x86.decode_text import address_mask, decode_one
from worldswitch.metal.x86.leave import Exit, general_protection
from worldswitch.metal.x86.mode import (
    MODE_CODE32,
    MODE_GUEST,
    MODE_LONG,
    MODE_SINGLE,
    PAGE,
)
from worldswitch.metal.x86.paging import fetch_host
from worldswitch.metal.x86.state import (
    CODE,
    CS,
    FLAT,
    FLAT_STACK,
    JUMP_CACHE_SIZE,
    NO_REGISTER,
    SCRATCH,
    SS,
    Cpu,
    Record,
)

CONTINUATION_SIZE = Continuation.size


@typed(inline=False)
def set_pseudo(cache: CodeCache, rec: Record, index: u16, pc: u64) -> None:
    """Make `rec` a record of the engine's own: no text, no length."""
    rec.handler = InsnInfo.at(cache.infos + u64(index) * INFO_SIZE).handler
    rec.pc = pc
    rec.imm = 0
    rec.disp = 0
    rec.chain = 0
    rec.ilen = 0
    rec.insn = index
    rec.flags = 0


@typed(inline=False)
def prepare_address(cache: CodeCache, rec: Record, copy: Record) -> None:
    """Make `rec` the ADDRESS record of the instruction in `copy`, which then uses its result."""
    set_pseudo(cache, rec, cache.address_insn, copy.pc)
    rec.base = copy.base
    rec.index = copy.index
    rec.scale = copy.scale
    rec.seg = copy.seg
    rec.disp = copy.disp
    rec.width = copy.width
    rec.imm = i64(address_mask(u64(copy.spare2)))
    rec.flags = 0
    if InsnInfo.at(cache.infos + u64(copy.insn) * INFO_SIZE).kind & INSN_WRITES != 0:
        rec.flags = 1
    copy.base = SCRATCH
    copy.index = NO_REGISTER
    copy.scale = 0
    copy.disp = 0
    if copy.seg == SS or copy.seg == FLAT_STACK:
        copy.seg = FLAT_STACK
    else:
        copy.seg = FLAT


@typed(inline=False)
def combine(cache: CodeCache, first: u64, count: u64) -> None:
    """Give the first record of every sequence for which there is one a superinstruction's handler.

    first, count: the block's records.
    """
    i: u64 = 0
    while i < count:
        rec = Record.at(first + i * RECORD_SIZE)
        row = u64(InsnInfo.at(cache.infos + u64(rec.insn) * INFO_SIZE).row)
        end = i + 1
        following = end
        while row != 0 and following < count:
            other = Record.at(first + following * RECORD_SIZE)
            column = u64(InsnInfo.at(cache.infos + u64(other.insn) * INFO_SIZE).column)
            where = (row * cache.columns + column) * CONTINUATION_SIZE
            found = Continuation.at(cache.continuations + where)
            following += 1
            row = found.row
            if found.handler != 0:
                rec.handler = found.handler
                end = following
        i = end


@typed(leaves=True, inline=False)
def decode_block(cpu: Cpu, pc: u64, physical: u64) -> u64:
    """Decode the block at RIP `pc`, whose text is at `physical`; returns its first record.

    0 if the arena is full: `exit_reason` says so.
    """
    cache = CodeCache.at(cpu.code_cache)
    if cache.used + ROOM > cache.capacity:
        cpu.exit_reason = u32(Exit.CODE_CACHE_FULL)
        return 0
    where = cache.arena + cache.used
    block = Block.at(where)
    block.absolute = physical
    block.pc = pc
    block.mode = cpu.mode
    block.second = 0
    left = 0x1000 - (physical & 0xFFF)
    # The text of one instruction is copied to the end of the block's room, padded with zeros.
    text = where + ROOM - 64
    at: u64 = 0
    n: u64 = 0
    count: u64 = 0
    limit: u64 = BLOCK_LIMIT
    if cpu.mode & MODE_SINGLE != 0:
        limit = 1
        rec = Record.at(where + HEADER_SIZE)
        set_pseudo(cache, rec, cache.single_begin_insn, pc)
        rec.count = 0
        n = 1
    going = True
    crossing: u64 = 0
    while going:
        rec = Record.at(where + HEADER_SIZE + n * RECORD_SIZE)
        have = left - at
        if have > TEXT_LIMIT:
            have = 16
        fill_bytes(text, u8(0), 24)
        copy_bytes(text, cpu.ram + physical + at, have)
        kind = decode_one(cpu, rec, text, pc + at)
        size = u64(rec.ilen)
        if size > have and have < 16:
            if count != 0:
                break
            # The one instruction that lies in two pages has a block of its own.
            following = cpu.seg_base[CS] + pc + have
            if cpu.mode & MODE_LONG == 0:
                following = following & 0xFFFF_FFFF
            crossing = fetch_host(cpu, cpu.ctx[CODE], following)
            copy_bytes(text + have, cpu.ram + crossing, 16 - have)
            kind = decode_one(cpu, rec, text, pc)
            size = u64(rec.ilen)
            going = False
        index = u64(rec.insn)
        intercept = InsnInfo.at(cache.infos + index * INFO_SIZE).intercept
        if intercept != 0 and cpu.mode & MODE_GUEST != 0:
            moved = Record.at(where + HEADER_SIZE + (n + 1) * RECORD_SIZE)
            copy_bytes(
                where + HEADER_SIZE + (n + 1) * RECORD_SIZE,
                where + HEADER_SIZE + n * RECORD_SIZE,
                RECORD_SIZE,
            )
            set_pseudo(cache, rec, cache.intercept_insn, pc + at)
            rec.imm = i64(u64(intercept) - 1)
            rec.ilen = u8(size)
            rec.count = u16(count + 1)
            n += 1
            rec = moved
        if rec.spare2 != 0 and rec.spare2 < 256:
            copy_bytes(
                where + HEADER_SIZE + (n + 1) * RECORD_SIZE,
                where + HEADER_SIZE + n * RECORD_SIZE,
                RECORD_SIZE,
            )
            moved = Record.at(where + HEADER_SIZE + (n + 1) * RECORD_SIZE)
            prepare_address(cache, rec, moved)
            rec.count = u16(count + 1)
            rec.ilen = u8(size)
            n += 1
            rec = moved
        n += 1
        count += 1
        rec.count = u16(count)
        at += size
        if kind & INSN_ENDS != 0 or count >= limit or at >= left:
            going = False
    last = Record.at(where + HEADER_SIZE + n * RECORD_SIZE)
    after = pc + at
    if cpu.mode & MODE_LONG == 0:
        after = after & 0xFFFF_FFFF
        if cpu.mode & MODE_CODE32 == 0:
            after = after & 0xFFFF
    if cpu.mode & MODE_SINGLE != 0:
        set_pseudo(cache, last, cache.single_end_insn, after)
    else:
        set_pseudo(cache, last, cache.goto_insn, after)
        combine(cache, where + HEADER_SIZE, n)
    last.count = u16(count)
    block.records = n + 1
    block.text_size = at
    block.second = crossing
    cache.used += HEADER_SIZE + (n + 1) * RECORD_SIZE
    cache.blocks_decoded += 1
    h = bucket_of(physical, pc, cpu.mode)
    block.hash_next = cache.buckets[h]
    cache.buckets[h] = where
    if crossing != 0:
        link_frame(cpu, where, physical, left)
        link_frame(cpu, where, crossing, at - left)
    else:
        link_frame(cpu, where, physical, at)
    return where + HEADER_SIZE


@typed(leaves=True, inline=False)
def find_block(cpu: Cpu, pc: u64) -> u64:
    """The first record of the block at RIP `pc`, decoded if need be.

    Faults of the fetch leave. The result goes into the jump cache.
    """
    cache = CodeCache.at(cpu.code_cache)
    address = pc
    if cpu.mode & MODE_LONG == 0:
        if pc > u64(cpu.seg_limit[CS]):
            general_protection(cpu)
        address = (cpu.seg_base[CS] + pc) & 0xFFFF_FFFF
    physical = fetch_host(cpu, cpu.ctx[CODE], address)
    where = cache.buckets[bucket_of(physical, pc, cpu.mode)]
    found: u64 = 0
    while where != 0 and found == 0:
        block = Block.at(where)
        if block.absolute == physical and block.pc == pc and block.mode == cpu.mode:
            if (
                block.second == 0
                or fetch_host(cpu, cpu.ctx[CODE], (address & PAGE) + 0x1000) == block.second
            ):
                found = where + HEADER_SIZE
        where = block.hash_next
    if found == 0:
        found = decode_block(cpu, pc, physical)
    if found != 0 and cpu.mode & MODE_SINGLE == 0:
        jump = cpu.jumps[pc & (JUMP_CACHE_SIZE - 1)]
        jump.pc = pc
        jump.tag = cpu.tag
        jump.record = found
    return found


@typed(inline=True)
def cached(cpu: Cpu, pc: u64) -> u64:
    """The record for `pc` in the jump cache, 0 if it is not there."""
    jump = cpu.jumps[pc & (JUMP_CACHE_SIZE - 1)]
    if jump.pc == pc and jump.tag == cpu.tag:
        return jump.record
    return 0
