"""Decoded blocks of x86 code: the tables that decoding reads, and blocks.py for these."""

from worldswitch.engine import Array, Struct, u8, u16, u64
from worldswitch.metal.blocks import HASH_SIZE, HEADER_SIZE, block_functions
from worldswitch.metal.x86.mode import retag
from worldswitch.metal.x86.state import TLB_SIZE, Cpu, Record

RECORD_SIZE = 64
BLOCK_LIMIT = 32
"""Instructions a block holds at most."""
ROOM = HEADER_SIZE + (BLOCK_LIMIT * 3 + 4) * RECORD_SIZE + 64
OPCODES = 2048
"""Seven maps (one-byte, 0F, 0F38, 0F3A, and the last three VEX-coded) of 256 opcodes."""


class OpcodeEntry(Struct):
    """How an opcode leads to its variants: which of the dimensions SHAPE_* count."""

    shape: u16
    kind: u16
    """OPCODE_* bits."""
    base: u16
    """Of the variants: entries of u16, each an instruction's index plus one or 0."""
    d64: u8
    """By ModRM.reg, a bit each: the operand size in 64-bit mode is 64 unless a prefix makes it 16.
    Bit 0 without a ModRM byte."""
    f64: u8
    """The same: it is always 64."""


class InsnInfo(Struct):
    """What decoding needs of one instruction (one variant of an opcode)."""

    handler: u64
    kind: u64
    """INSN_* bits of decode.py."""
    immediate: u8
    """IMM_* of decode.py."""
    width: u8
    """Bytes of the memory operand."""
    intercept: u16
    """Bit of the intercept vectors (`32 * vector + bit`) plus one, or 0."""
    row: u16
    """Of the superinstructions that begin with it, or 0."""
    column: u16
    """Of those that go on with it, or 0."""


class Continuation(Struct):
    """A sequence of instructions: what stands in a row, which says how it begins, and a column."""

    handler: u64
    """Of the superinstruction, or 0 if longer ones alone exist."""
    row: u64
    """Of longer ones, or 0."""


class CodeCache(Struct):
    """The decoded code of a machine."""

    arena: u64
    used: u64
    capacity: u64
    stale_handler: u64
    stale_insn: u16
    undefined_insn: u16
    protection_insn: u16
    goto_insn: u16
    address_insn: u16
    intercept_insn: u16
    no_device_insn: u16
    single_begin_insn: u16
    single_end_insn: u16
    pages: u64
    """Host address of an array: head PageLink of each frame of memory."""
    frames: u64
    infos: u64
    variants: u64
    continuations: u64
    columns: u64
    """Of `continuations`, which lie row by row."""
    blocks_decoded: u64
    flushes: u64
    opcodes: Array[OpcodeEntry, OPCODES]
    buckets: Array[u64, HASH_SIZE]


_functions = block_functions("x86", Cpu, Record, CodeCache, retag, TLB_SIZE)
drop_block = _functions.drop_block
code_written = _functions.code_written
forget_jumps = _functions.forget_jumps
link_frame = _functions.link_frame
flush_code = _functions.flush_code
