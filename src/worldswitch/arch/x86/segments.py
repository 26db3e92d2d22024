"""Segment descriptors: attributes in a descriptor's own places and in the VMCB's packed form."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="APM2 15.5.1 Basic Operation; APM2 4.7 Legacy Segment Descriptors")
class SegAttr(IntFlag):
    """The attribute word of a segment in the VMCB: descriptor bits 47:40 and 55:52, packed."""

    TYPE_A = 1 << 0
    TYPE_W = 1 << 1  # data: writable; code: readable
    TYPE_E = 1 << 2  # data: expand down; code: conforming
    TYPE_CODE = 1 << 3
    S = 1 << 4
    DPL_LOW = 1 << 5
    DPL_HIGH = 1 << 6
    P = 1 << 7
    AVL = 1 << 8
    L = 1 << 9
    DB = 1 << 10
    G = 1 << 11


ATTR_TYPE = 0x00F
ATTR_DPL_SHIFT = 5
ATTR_DPL = SegAttr.DPL_LOW | SegAttr.DPL_HIGH
ATTR_DEFINED = 0xFFF


@manual(ref="APM2 4.8.3 System Descriptors")
class SystemType(IntEnum):
    """The type field of system descriptors (S is 0)."""

    TSS16_AVAILABLE = 0x1
    LDT = 0x2
    TSS16_BUSY = 0x3
    CALL_GATE16 = 0x4
    TASK_GATE = 0x5
    INTERRUPT_GATE16 = 0x6
    TRAP_GATE16 = 0x7
    TSS_AVAILABLE = 0x9
    TSS_BUSY = 0xB
    CALL_GATE = 0xC
    INTERRUPT_GATE = 0xE
    TRAP_GATE = 0xF


@manual(ref="APM3 1.2.1 Instruction prefixes; APM2 15.10.2 IOIO Intercept Information")
class SegmentNumber(IntEnum):
    """The standard encoding of segment registers."""

    ES = 0
    CS = 1
    SS = 2
    DS = 3
    FS = 4
    GS = 5


SELECTOR_RPL = 0x3
SELECTOR_TI = 0x4
SELECTOR_INDEX = 0xFFF8


def packed_attributes(descriptor: int) -> int:
    """The VMCB's attribute word of an eight-byte descriptor. ref: APM2 4.7."""
    return ((descriptor >> 40) & 0xFF) | ((descriptor >> 44) & 0xF00)


def descriptor_attributes(attributes: int) -> int:
    """Descriptor bits, in their places, of a VMCB's attribute word."""
    return ((attributes & 0xFF) << 40) | ((attributes & 0xF00) << 44)


def descriptor_base(descriptor: int) -> int:
    """The 32-bit base address in an eight-byte descriptor."""
    return ((descriptor >> 16) & 0xFF_FFFF) | ((descriptor >> 32) & 0xFF00_0000)


def descriptor_limit(descriptor: int) -> int:
    """The limit in bytes, as a segment register holds it: scaled if G is one."""
    limit = (descriptor & 0xFFFF) | ((descriptor >> 32) & 0xF_0000)
    return (limit << 12) | 0xFFF if descriptor & (1 << 55) else limit


# Limits of IDT entries and of the task-state segment. ref: APM2 12.2.
TSS_MINIMUM_LIMIT = 0x67
TSS16_MINIMUM_LIMIT = 0x2B
TSS_IO_MAP_BASE = 0x66
TSS64_RSP0 = 0x04
TSS64_IST1 = 0x24
