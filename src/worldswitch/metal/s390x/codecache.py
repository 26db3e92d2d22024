"""Decoded blocks of z/Architecture code: the tables of decoding, and blocks.py for these."""

from worldswitch.engine import Array, Struct, u8, u16, u64
from worldswitch.metal.blocks import HASH_SIZE, HEADER_SIZE, block_functions
from worldswitch.metal.s390x.mode import retag
from worldswitch.metal.s390x.state import TLB_SIZE, Cpu, Record

RECORD_SIZE = 64
BLOCK_LIMIT = 32
"""Instructions a block holds at most."""
ROOM = HEADER_SIZE + (BLOCK_LIMIT + 4) * RECORD_SIZE + 64


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


_functions = block_functions("s390x", Cpu, Record, CodeCache, retag, TLB_SIZE)
drop_block = _functions.drop_block
code_written = _functions.code_written
forget_jumps = _functions.forget_jumps
link_frame = _functions.link_frame
flush_code = _functions.flush_code
