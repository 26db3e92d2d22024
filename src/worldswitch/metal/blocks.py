"""Blocks of decoded code, for any processor: how they are linked, found stale, and dropped.

A block is a header and its records, back to back in an arena that all processors of a machine
share. It is found by physical address, virtual address and mode. Invalidation overwrites the
handlers of its records, so that whoever still points at one, a chained branch or the record
before it, looks the address up anew.
"""

from dataclasses import dataclass
from typing import Any

from worldswitch.engine import (
    Struct,
    Typed,
    address_of,
    fill_bytes,
    peek_u64,
    poke_u64,
    typed,
    u8,
    u64,
)

HASH_SIZE = 65536
HEADER_SIZE = 64
DROPPED = 0xFFFF_FFFF_FFFF_FFFF
PAGE = 0xFFFF_FFFF_FFFF_F000


class Block(Struct):
    """Header of a decoded block; its records follow."""

    absolute: u64
    """Physical address of the text."""
    pc: u64
    mode: u64
    second: u64
    """Physical address of the second page of an instruction that crosses pages, else 0."""
    hash_next: u64
    records: u64
    text_size: u64
    spare: u64


class PageLink(Struct):
    """One block in the list of a frame."""

    block: u64
    next: u64


class AddressPointer(Struct):
    """One entry of the array of processors."""

    cpu: u64


@typed(inline=True)
def bucket_of(absolute: u64, pc: u64, mode: u64) -> u64:
    """Hash of a block's identity."""
    return (absolute ^ (absolute >> 15) ^ (pc >> 11) ^ (mode << 5)) & (HASH_SIZE - 1)


@dataclass(frozen=True)
class BlockFunctions:
    """The functions of `block_functions`; assign each to a name of a module that is compiled."""

    drop_block: Typed[Any, Any]
    code_written: Typed[Any, Any]
    forget_jumps: Typed[Any, Any]
    link_frame: Typed[Any, Any]
    flush_code: Typed[Any, Any]


def block_functions(
    arch: str, Cpu: Any, Record: Any, CodeCache: Any, retag: Typed[Any, Any], tlb_size: int
) -> BlockFunctions:  # fmt: skip
    """The block handling of one architecture's `Cpu`, `Record` and `CodeCache`.

    The Cpu has `code_cache`, `code_map`, `machine_cpus`, `cpu_count`, `jump_generation` and `tlb`,
    the CodeCache `arena`, `used`, `pages`, `frames`, `buckets`, `stale_handler`, `stale_insn` and
    `flushes`. `retag` recomputes a processor's jump-cache tag.
    """
    record_size = Record.size

    @typed(inline=False, name=f"{arch}_drop_block")
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
            rec = Record.at(address_of(block) + HEADER_SIZE + i * record_size)
            rec.handler = cache.stale_handler
            rec.insn = cache.stale_insn
            rec.chain = 0
            i += 1

    @typed(inline=False, name=f"{arch}_forget_jumps")
    def forget_jumps(cpu: Cpu) -> None:
        """Make every processor's jump cache stop matching: records may be gone."""
        n: u64 = 0
        while n < cpu.cpu_count:
            other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
            other.jump_generation += 1
            retag(other)
            n += 1

    @typed(inline=False, name=f"{arch}_code_written")
    def code_written(cpu: Cpu, absolute: u64, count: u64) -> None:
        """Storage is about to change: drop the frame's blocks if it touches decoded text."""
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

    @typed(inline=False, name=f"{arch}_forbid_writes")
    def forbid_writes(cpu: Cpu, frame: u64) -> None:
        """Make every processor's stores to a frame take the slow path, which looks for code."""
        n: u64 = 0
        while n < cpu.cpu_count:
            other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
            i: u64 = 0
            while i < tlb_size:
                if other.tlb[i].absolute & PAGE == frame:
                    other.tlb[i].write_key = DROPPED
                i += 1
            n += 1

    @typed(inline=False, name=f"{arch}_link_frame")
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

    @typed(inline=False, name=f"{arch}_flush_code")
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

    return BlockFunctions(drop_block, code_written, forget_jumps, link_frame, flush_code)
