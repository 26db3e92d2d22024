"""From instruction text to records, and from an address to the record that executes it."""

from worldswitch.engine import (
    Struct,
    address_of,
    bswap,
    i64,
    peek_u16,
    poke_u8,
    poke_u64,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.blocks import HEADER_SIZE, Block, bucket_of
from worldswitch.metal.s390x.codecache import (
    BLOCK_LIMIT,
    RECORD_SIZE,
    ROOM,
    CodeCache,
    FieldInfo,
    InsnInfo,
    link_frame,
)
from worldswitch.metal.s390x.dat import host_for_read
from worldswitch.metal.s390x.leave import Exit, specification
from worldswitch.metal.s390x.mode import (
    MODE_ACCESS_REGISTER,
    MODE_AFP,
    MODE_PER,
    MODE_PROBLEM,
    MODE_PROTECTED,
    MODE_SIE,
    MODE_STEP,
)
from worldswitch.metal.s390x.state import INSN, JUMP_CACHE_SIZE, Cpu, Record

KIND_UNSIGNED = 0
KIND_SIGNED = 1
KIND_RELATIVE = 2
KIND_BASE = 3
KIND_LONG = 4

INSN_ENDS = 1
"""The block ends behind it."""
INSN_CONTROL = 2
INSN_PRIVILEGED = 4
INSN_BFP = 8
INSN_RELATIVE = 16
"""An operand depends on the instruction's address."""
INSN_CONDITIONAL = 32
"""In SIE: whether it is intercepted has to be looked at each time."""

AFP_BITS = {"r1": 1, "r2": 2, "r3": 4}
"""Bits of `InsnInfo.afp`."""
ADDITIONAL = 9
"""A floating-point register's number has none of these bits if it is 0, 2, 4 or 6."""

RECORD_EXECUTED = 1
"""The target of EXECUTE or EXECUTE RELATIVE LONG."""
RECORD_CONTROL = 2
"""The budget was taken down before the semantics ran."""
RECORD_EXRL = 4

PAGE = 0xFFFF_FFFF_FFFF_F000


class OpcodeEntry(Struct):
    """An instruction's index plus one, or 0 for an unassigned opcode."""

    insn: u16


@typed(inline=True)
def text_length(first: u8) -> u64:
    """Instruction length in bytes from its first byte. ref: PoP 5 Instruction Formats."""
    if first < 0x40:
        return 2
    if first < 0xC0:
        return 4
    return 6


@typed(inline=False)
def find_insn(cache: CodeCache, text: u64) -> u64:
    """Index into the instruction table of an instruction's text; the operation-exception
    entry if the opcode is not assigned or its facility not installed."""
    entry = cache.opcodes[u64(text >> 56)]
    slot = u64(entry.base) + ((text >> u64(entry.shift)) & u64(entry.mask))
    found = OpcodeEntry.at(cache.sub_opcodes + slot * 2).insn
    if found == 0:
        return u64(cache.operation_insn)
    index = u64(found) - 1
    if InsnInfo.at(cache.infos + index * 32).installed == 0:
        return u64(cache.operation_insn)
    return index


@typed(inline=False)
def decode_operands(cache: CodeCache, rec: Record, info: InsnInfo, text: u64, base: u64) -> None:
    """Fill the operand members of a record; `base` is what relative operands start from."""
    n: u64 = 0
    while n < u64(info.field_count):
        f = FieldInfo.at(cache.field_infos + (u64(info.first_field) + n) * 6)
        width = u64(f.width)
        raw = (text >> u64(f.shift)) & ((u64(1) << width) - 1)
        kind = f.kind
        if kind == KIND_BASE:
            if raw == 0:
                raw = 16
        elif kind == KIND_LONG:
            # DH follows DL and is the signed high-order part.
            high = (text >> (u64(f.shift) - 8)) & 0xFF
            raw = u64(i64(((high << 12) | raw) << 44) >> 44)
        elif kind != KIND_UNSIGNED:
            raw = u64(i64(raw << (64 - width)) >> (64 - width))
            if kind == KIND_RELATIVE:
                raw = base + raw * 2
        where = address_of(rec) + u64(f.member)
        if f.member_size == 1:
            poke_u8(where, u8(raw))
        else:
            poke_u64(where, raw)
        n += 1


@typed
def uses_additional(rec: Record, registers: u8) -> bool:
    """Whether one of these registers is an additional floating-point register."""
    used: u8 = 0
    if registers & 1 != 0:
        used = used | rec.r1
    if registers & 2 != 0:
        used = used | rec.r2
    if registers & 4 != 0:
        used = used | rec.r3
    return used & ADDITIONAL != 0


@typed(inline=False)
def decode_record(cpu: Cpu, rec: Record, text: u64, pc: u64, base: u64) -> u64:
    """Decode one instruction into `rec`; returns its INSN_* bits.

    Rules that depend on the mode are settled here, once: privilege, interception, registers.
    """
    cache = CodeCache.at(cpu.code_cache)
    index = find_insn(cache, text)
    info = InsnInfo.at(cache.infos + index * 32)
    kind = u64(info.kind)
    rec.pc = pc
    rec.text = text
    rec.chain = 0
    rec.flags = u16(kind & INSN_CONTROL)
    rec.ilen = u8(text_length(u8(text >> 56)))
    rec.spare = u16(index)
    decode_operands(cache, rec, info, text, base)
    if kind & INSN_PRIVILEGED != 0 and cpu.mode & MODE_PROBLEM != 0:
        index = u64(cache.privileged_insn)
        kind = INSN_ENDS
        rec.flags = 0
    elif cpu.mode & (MODE_SIE | MODE_PROTECTED) == MODE_SIE and info.intercept != 0:
        if info.intercept == 1:
            index = u64(cache.intercept_insn)
            kind = INSN_ENDS
            rec.flags = 0
        else:
            kind = kind | INSN_CONDITIONAL
    elif kind & INSN_BFP != 0 and cpu.mode & MODE_AFP == 0:
        index = u64(cache.bfp_insn)
        kind = INSN_ENDS
        rec.flags = 0
    elif cpu.mode & MODE_AFP == 0 and uses_additional(rec, info.afp):
        index = u64(cache.afp_insn)
        kind = INSN_ENDS
        rec.flags = 0
    rec.insn = u16(index)
    rec.handler = InsnInfo.at(cache.infos + index * 32).handler
    return kind


@typed(inline=False)
def set_pseudo(cache: CodeCache, rec: Record, index: u16, pc: u64) -> None:
    """Make `rec` a record of the engine's own: no text, no length."""
    rec.handler = InsnInfo.at(cache.infos + u64(index) * 32).handler
    rec.pc = pc
    rec.imm = 0
    rec.imm2 = 0
    rec.chain = 0
    rec.text = 0
    rec.ilen = 0
    rec.insn = index
    rec.flags = 0


@typed(leaves=True, inline=False)
def decode_block(cpu: Cpu, pc: u64, host: u64) -> u64:
    """Decode the block at virtual `pc`, whose text is at `host`; returns its first record.

    0 if the arena is full: `exit_reason` says so.
    """
    cache = CodeCache.at(cpu.code_cache)
    if cache.used + ROOM > cache.capacity:
        cpu.exit_reason = u32(Exit.CODE_CACHE_FULL)
        return 0
    where = cache.arena + cache.used
    block = Block.at(where)
    block.absolute = host - cpu.ram
    block.pc = pc
    block.mode = cpu.mode
    block.second = 0
    end = (pc & PAGE) + 4096
    at = pc
    n: u64 = 0
    limit: u64 = BLOCK_LIMIT
    if cpu.mode & (MODE_PER | MODE_ACCESS_REGISTER | MODE_STEP) != 0:
        limit = 1
    going = True
    crossing: u64 = 0
    leading: u64 = 0
    if cpu.mode & MODE_PER != 0:
        leading = 1
    if cpu.mode & MODE_ACCESS_REGISTER != 0:
        leading += 1
    while going:
        first = bswap(peek_u16(host + (at - pc)))
        size = text_length(u8(first >> 8))
        text = u64(first) << 48
        if at + size > end:
            if n != 0:
                break
            # The one instruction that lies in two pages has a block of its own.
            second = host_for_read(cpu, INSN, end & cpu.address_mask)
            crossing = second - cpu.ram
            if size == 6 and at + 4 == end:
                text = text | (u64(bswap(peek_u16(host + 2))) << 32)
                text = text | (u64(bswap(peek_u16(second))) << 16)
            elif size == 6:
                text = text | (u64(bswap(peek_u16(second))) << 32)
                text = text | (u64(bswap(peek_u16(second + 2))) << 16)
            else:
                text = text | (u64(bswap(peek_u16(second))) << 32)
        elif size > 2:
            text = text | (u64(bswap(peek_u16(host + (at - pc) + 2))) << 32)
            if size > 4:
                text = text | (u64(bswap(peek_u16(host + (at - pc) + 4))) << 16)
        rec = Record.at(where + HEADER_SIZE + n * RECORD_SIZE)
        if n == 0 and leading != 0:
            # Records of the engine's own stand before the one instruction of such a block.
            if cpu.mode & MODE_PER != 0:
                set_pseudo(cache, rec, cache.per_before_insn, pc)
                rec.r1 = u8(size)
                rec.count = 0
                n += 1
                rec = Record.at(where + HEADER_SIZE + n * RECORD_SIZE)
            if cpu.mode & MODE_ACCESS_REGISTER != 0:
                set_pseudo(cache, rec, cache.access_register_insn, pc)
                rec.count = 0
                n += 1
                rec = Record.at(where + HEADER_SIZE + n * RECORD_SIZE)
            limit += leading
        kind = decode_record(cpu, rec, text, at, at)
        if kind & INSN_CONDITIONAL != 0:
            # A record of its own looks at the controls, then goes on to the instruction's.
            set_pseudo(cache, rec, cache.conditional_intercept_insn, at)
            rec.ilen = u8(size)
            rec.count = u16(n + 1 - leading)
            n += 1
            leading += 1
            rec = Record.at(where + HEADER_SIZE + n * RECORD_SIZE)
            kind = decode_record(cpu, rec, text, at, at)
        n += 1
        rec.count = u16(n - leading)
        at += size
        if kind & INSN_ENDS != 0 or n >= limit or at >= end:
            going = False
    last = Record.at(where + HEADER_SIZE + n * RECORD_SIZE)
    if cpu.mode & MODE_PER != 0:
        set_pseudo(cache, last, cache.per_insn, at & cpu.address_mask)
    else:
        set_pseudo(cache, last, cache.goto_insn, at & cpu.address_mask)
    last.count = u16(n - leading)
    block.records = n + 1
    block.text_size = at - pc
    block.second = crossing
    cache.used += HEADER_SIZE + (n + 1) * RECORD_SIZE
    cache.blocks_decoded += 1
    h = bucket_of(block.absolute, pc, cpu.mode)
    block.hash_next = cache.buckets[h]
    cache.buckets[h] = where
    if crossing != 0:
        link_frame(cpu, where, block.absolute, end - pc)
        link_frame(cpu, where, crossing, at - end)
    else:
        link_frame(cpu, where, block.absolute, at - pc)
    return where + HEADER_SIZE


@typed(leaves=True, inline=False)
def find_block(cpu: Cpu, pc: u64) -> u64:
    """The first record of the block at virtual address `pc`, decoded if need be.

    Access exceptions of the fetch leave. The result goes into the jump cache.
    """
    if pc & 1 != 0:
        specification(cpu)
    cache = CodeCache.at(cpu.code_cache)
    host = host_for_read(cpu, INSN, pc)
    absolute = host - cpu.ram
    where = cache.buckets[bucket_of(absolute, pc, cpu.mode)]
    found: u64 = 0
    while where != 0 and found == 0:
        block = Block.at(where)
        if block.absolute == absolute and block.pc == pc and block.mode == cpu.mode:
            if block.second == 0:
                found = where + HEADER_SIZE
            else:
                next_page = ((pc & PAGE) + 4096) & cpu.address_mask
                if host_for_read(cpu, INSN, next_page) - cpu.ram == block.second:
                    found = where + HEADER_SIZE
        where = block.hash_next
    if found == 0:
        found = decode_block(cpu, pc, host)
    if found != 0 and cpu.mode & MODE_PER == 0:
        # With PER on every branch comes this way: it may be an event.
        jump = cpu.jumps[(pc >> 1) & (JUMP_CACHE_SIZE - 1)]
        jump.pc = pc
        jump.tag = cpu.tag
        jump.record = found
    return found


@typed(inline=True)
def cached(cpu: Cpu, pc: u64) -> u64:
    """The record for `pc` in the jump cache, 0 if it is not there."""
    jump = cpu.jumps[(pc >> 1) & (JUMP_CACHE_SIZE - 1)]
    if jump.pc == pc and jump.tag == cpu.tag:
        return jump.record
    return 0
