"""Bits and kinds that decoding works with."""

from worldswitch.metal.x86.codecache import InsnInfo

SHAPE_PREFIX = 1
SHAPE_REG = 2
SHAPE_MOD = 4
SHAPE_RM = 8
SHAPE_SIZE = 16
SHAPE_LONG = 32
SHAPE_ASIZE = 64
SHAPE_VL = 128
"""What selects among an opcode's variants, from the most significant factor of the index down."""

OPCODE_MODRM = 1
OPCODE_KNOWN = 8

INSN_ENDS = 1
INSN_CONTROL = 2
INSN_CPL0 = 4
INSN_LOCK = 8
INSN_BYTE_REG = 16
INSN_BYTE_RM = 32
INSN_ADDRESS = 64
"""The memory operand is an access; an ADDRESS record prepares it where addresses are not flat."""
INSN_X87 = 128
INSN_SSE = 256
INSN_MMX = 512
INSN_AVX = 1024
INSN_WRITES = 2048
INSN_PROTECTED = 4096
INSN_OFFSET = 8192
"""The memory operand is an offset in the text (MOV AL,[offset])."""
INSN_PLUS_R = 16384

IMM_NONE = 0
IMM_8 = 1
IMM_16 = 2
IMM_32 = 3
IMM_64 = 4
IMM_16_8 = 5
IMM_FAR16 = 6
IMM_FAR32 = 7
IMM_BRANCH = 16
"""Added to IMM_8 to IMM_32: the immediate is an offset from the next instruction."""
IMM_8_8 = 8

INFO_SIZE = InsnInfo.size
RECORD_CONTROL = 2
"""The budget was taken down before the semantics ran."""
RECORD_LOCKED = 4
RECORD_MEMORY = 8
"""ModRM names memory."""

PREFIX_REP = 1
PREFIX_REPNE = 2
PREFIX_OPERAND = 4
PREFIX_ADDRESS = 8
PREFIX_REX_W = 16
PREFIX_LOCK = 32
PREFIX_REX = 64

TEXT_LIMIT = 15
NO_SEGMENT = 15
