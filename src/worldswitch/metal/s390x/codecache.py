"""Decoded blocks: where they lie, how they are found, and how a store to their text drops them.

A block is a header and its records, back to back in an arena that all processors of a machine
share. It is found by absolute address, virtual address and mode. Invalidation overwrites the
handlers of its records, so that whoever still points at one, a chained branch or the record
before it, looks the address up anew.
"""

from worldswitch.engine import (
    Array,
    Struct,
    address_of,
    fill_bytes,
    peek_u64,
    poke_u64,
    typed,
    u8,
    u16,
    u64,
)
from worldswitch.metal.s390x.mode import AddressPointer, retag
from worldswitch.metal.s390x.state import TLB_SIZE, Cpu, Record

HASH_SIZE = 65536
RECORD_SIZE = 64
HEADER_SIZE = 64
BLOCK_LIMIT = 32
"""Instructions a block holds at most."""
ROOM = HEADER_SIZE + (BLOCK_LIMIT + 4) * RECORD_SIZE + 64
DROPPED = 0xFFFF_FFFF_FFFF_FFFF
PAGE = 0xFFFF_FFFF_FFFF_F000


class Block(Struct):
    """Header of a decoded block; its records follow."""

    absolute: u64
    pc: u64
    mode: u64
    second: u64
    """Absolute address of the second page of an instruction that crosses pages, else 0."""
    hash_next: u64
    records: u64
    text_size: u64
    spare: u64


class PageLink(Struct):
    """One block in the list of a frame."""

    block: u64
    next: u64


class InsnInfo(Struct):
    """What decoding needs of one instruction."""

    handler: u64
    first_field: u16
    field_count: u8
    kind: u8
    """INSN_* bits."""
    intercept: u8
    """0: never, 1: always, 2: by a control of the state description."""
    intercept_when: u8
    intercept_offset: u16
    """Offset of the controlling byte or word in the state description."""
    intercept_mask: u64
    """Mask over eight big-endian bytes at the offset."""
    access1: u8
    access2: u8
    """Offsets in the record of the access-register numbers of OP1 and OP2."""
    installed: u8
    """0 if the CPU model lacks its facility."""
    afp: u8
    """AFP_* bits: the record's members that number floating-point registers."""


class FieldInfo(Struct):
    """One operand field: where in the text, how extended, where in the record."""

    shift: u8
    width: u8
    kind: u8
    member_size: u8
    """Bytes that the record's member has: 1 or 8."""
    member: u16


class Opcodes(Struct):
    """How the first byte of an opcode leads to an instruction."""

    shift: u8
    mask: u8
    base: u16


class CodeCache(Struct):
    """The decoded code of a machine."""

    arena: u64
    used: u64
    capacity: u64
    stale_handler: u64
    stale_insn: u16
    operation_insn: u16
    privileged_insn: u16
    goto_insn: u16
    after_execute_insn: u16
    intercept_insn: u16
    conditional_intercept_insn: u16
    bfp_insn: u16
    afp_insn: u16
    access_register_insn: u16
    per_before_insn: u16
    per_insn: u16
    pages: u64
    """Host address of an array: head PageLink of each frame of storage."""
    frames: u64
    infos: u64
    field_infos: u64
    sub_opcodes: u64
    blocks_decoded: u64
    flushes: u64
    opcodes: Array[Opcodes, 256]
    buckets: Array[u64, HASH_SIZE]


@typed(inline=True)
def bucket_of(absolute: u64, pc: u64, mode: u64) -> u64:
    """Hash of a block's identity."""
    return ((absolute >> 1) ^ (absolute >> 15) ^ (pc >> 11) ^ (mode << 5)) & (HASH_SIZE - 1)


@typed(inline=False)
def drop_block(cache: CodeCache, block: Block) -> None:
    """Make a block unfindable and its records lead back to the lookup."""
    if block.absolute == DROPPED:
        return
    h = bucket_of(block.absolute, block.pc, block.mode)
    at = cache.buckets[h]
    if at == address_of(block):
        cache.buckets[h] = block.hash_next
    else:
        while at != 0:
            previous = Block.at(at)
            at = previous.hash_next
            if at == address_of(block):
                previous.hash_next = block.hash_next
    block.absolute = DROPPED
    i: u64 = 0
    while i < block.records:
        rec = Record.at(address_of(block) + HEADER_SIZE + i * RECORD_SIZE)
        rec.handler = cache.stale_handler
        rec.insn = cache.stale_insn
        rec.chain = 0
        i += 1


@typed(inline=False)
def code_written(cpu: Cpu, absolute: u64, count: u64) -> None:
    """Storage is about to change: drop the blocks of the frame if it touches decoded text."""
    frame = absolute >> 12
    first = (absolute >> 6) & 63
    last = ((absolute + count - 1) >> 6) & 63
    span = (u64(0xFFFF_FFFF_FFFF_FFFF) << first) & (u64(0xFFFF_FFFF_FFFF_FFFF) >> (63 - last))
    if peek_u64(cpu.code_map + frame * 8) & span == 0:
        return
    cache = CodeCache.at(cpu.code_cache)
    link = peek_u64(cache.pages + frame * 8)
    while link != 0:
        entry = PageLink.at(link)
        drop_block(cache, Block.at(entry.block))
        link = entry.next
    poke_u64(cache.pages + frame * 8, 0)
    poke_u64(cpu.code_map + frame * 8, 0)
    forget_jumps(cpu)


@typed(inline=False)
def forget_jumps(cpu: Cpu) -> None:
    """Make every processor's jump cache stop matching: records may be gone."""
    n: u64 = 0
    while n < cpu.cpu_count:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        other.jump_generation += 1
        retag(other)
        n += 1


@typed(inline=False)
def link_frame(cpu: Cpu, block: u64, absolute: u64, count: u64) -> None:
    """Note that `count` bytes of text at `absolute` (within a frame) belong to a block."""
    cache = CodeCache.at(cpu.code_cache)
    frame = absolute >> 12
    link = PageLink.at(cache.arena + cache.used)
    cache.used += 16
    link.block = block
    link.next = peek_u64(cache.pages + frame * 8)
    poke_u64(cache.pages + frame * 8, cache.arena + cache.used - 16)
    first = (absolute >> 6) & 63
    last = ((absolute + count - 1) >> 6) & 63
    span = (u64(0xFFFF_FFFF_FFFF_FFFF) << first) & (u64(0xFFFF_FFFF_FFFF_FFFF) >> (63 - last))
    before = peek_u64(cpu.code_map + frame * 8)
    poke_u64(cpu.code_map + frame * 8, before | span)
    if before == 0:
        forbid_writes(cpu, absolute & PAGE)


@typed(inline=False)
def forbid_writes(cpu: Cpu, frame: u64) -> None:
    """Make every processor's stores to a frame take the slow path, which looks for code."""
    n: u64 = 0
    while n < cpu.cpu_count:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        i: u64 = 0
        while i < TLB_SIZE:
            if other.tlb[i].absolute == frame:
                other.tlb[i].write_key = DROPPED
            i += 1
        n += 1


@typed(inline=False)
def flush_code(cpu: Cpu) -> None:
    """Forget all decoded code. No record may be executing."""
    cache = CodeCache.at(cpu.code_cache)
    cache.used = 0
    cache.flushes += 1
    i: u64 = 0
    while i < HASH_SIZE:
        cache.buckets[i] = 0
        i += 1
    fill_bytes(cache.pages, u8(0), cache.frames * 8)
    fill_bytes(cpu.code_map, u8(0), cache.frames * 8)
    forget_jumps(cpu)
