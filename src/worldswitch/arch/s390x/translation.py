"""Dynamic address translation: table entries, space controls, storage keys, access lists."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import (
    ControlBlock,
    at,
    bits,
    control_block,
    ibm_bit,
    manual,
    u8,
    u16,
    u32,
    u64,
)

PAGE_SIZE = 4096
SEGMENT_SIZE = 1 << 20
REGION3_SIZE = 1 << 31
REGION2_SIZE = 1 << 42
REGION1_SIZE = 1 << 53

# Virtual-address parts: (shift, mask) of each index.
RFX = (53, 0x7FF)
RSX = (42, 0x7FF)
RTX = (31, 0x7FF)
SX = (20, 0x7FF)
PX = (12, 0xFF)


@manual(ref="PoP 3 Address-Space-Control Element")
class TableType(IntEnum):
    """Designation type (bits 60-61) of an ASCE and table type of a region or segment entry."""

    SEGMENT = 0
    REGION_THIRD = 1
    REGION_SECOND = 2
    REGION_FIRST = 3


@manual(ref="PoP 3 Address-Space-Control Element")
class Asce(IntFlag):
    """Bits of an address-space-control element; the origin is `ASCE_ORIGIN`."""

    SUBSPACE_GROUP = ibm_bit(54)
    PRIVATE_SPACE = ibm_bit(55)
    STORAGE_ALTERATION_EVENT = ibm_bit(56)
    SPACE_SWITCH_EVENT = ibm_bit(57)
    REAL_SPACE = ibm_bit(58)


ASCE_ORIGIN = 0xFFFF_FFFF_FFFF_F000
ASCE_TYPE = 0x0C
ASCE_TYPE_SHIFT = 2
ASCE_LENGTH = 0x03


@manual(ref="PoP 3 Region-Table Entries")
class RegionEntry(IntFlag):
    """Bits of a region-table entry of any level."""

    PROTECTED = 0x200  # with EDAT
    INVALID = 0x020
    TYPE = 0x00C
    LENGTH = 0x003


REGION_ORIGIN = 0xFFFF_FFFF_FFFF_F000
REGION_OFFSET = 0x0C0
REGION_OFFSET_SHIFT = 6


@manual(ref="PoP 3 Region-Third-Table Entry")
class Region3Format1(IntFlag):
    """Bits of a region-third-table entry that maps a 2 GiB frame (EDAT-2)."""

    ACCESS_VALIDITY = 0x1_0000
    FETCH_PROTECTED = 0x0800
    FORMAT = 0x0400
    PROTECTED = 0x0200
    IEP = 0x0100
    COMMON_REGION = 0x0010


REGION3_FRAME = 0xFFFF_FFFF_8000_0000


@manual(ref="PoP 3 Segment-Table Entries")
class SegmentEntry(IntFlag):
    """Bits of a segment-table entry; those from ACCESS_VALIDITY to IEP need format 1 (EDAT)."""

    ACCESS_VALIDITY = 0x1_0000
    FETCH_PROTECTED = 0x0800
    FORMAT = 0x0400  # one: maps a 1 MiB frame
    PROTECTED = 0x0200
    IEP = 0x0100
    INVALID = 0x0020
    COMMON_SEGMENT = 0x0010
    TYPE = 0x000C


SEGMENT_PAGE_TABLE = 0xFFFF_FFFF_FFFF_F800
SEGMENT_FRAME = 0xFFFF_FFFF_FFF0_0000
SEGMENT_ACCESS_KEY = 0xF000


@manual(ref="PoP 3 Page-Table Entries")
class PageEntry(IntFlag):
    """Bits of a page-table entry."""

    ZERO = 0x800  # must be zero, else translation specification
    INVALID = 0x400
    PROTECTED = 0x200
    IEP = 0x100


PAGE_FRAME = 0xFFFF_FFFF_FFFF_F000


@manual(ref="PoP 3 Storage Key")
class StorageKey(IntFlag):
    """The storage key of a 4 KiB block, as one byte; the access-control bits are `KEY_ACC`."""

    FETCH_PROTECTED = 0x08
    REFERENCE = 0x04
    CHANGE = 0x02


KEY_ACC = 0xF0
KEY_ACC_SHIFT = 4

# Low-address protection covers these ranges of effective addresses in both 4 KiB blocks.
LOW_ADDRESS_PROTECTED = ((0x0000, 0x01FF), (0x1000, 0x11FF))
FETCH_OVERRIDE_LIMIT = 0x7FF


@control_block(size=4, byteorder="big", ref="PoP 5 Access-List-Entry Token")
class Alet(ControlBlock):
    """An access-list-entry token, the content of an access register."""

    value: u32 = at(0, ref="PoP 5 Access-List-Entry Token")
    zeros: u32 = bits("value", 0, 6, ref="PoP 5 Access-List-Entry Token", doc="must be zero")
    primary_list: u32 = bits("value", 7, ref="PoP 5 Access-List-Entry Token")
    sequence: u32 = bits("value", 8, 15, ref="PoP 5 Access-List-Entry Token", doc="ALESN")
    number: u32 = bits("value", 16, 31, ref="PoP 5 Access-List-Entry Token", doc="ALEN")


ALET_PRIMARY = 0
ALET_SECONDARY = 1


@control_block(size=16, byteorder="big", ref="PoP 5 Access-List Entry")
class AccessListEntry(ControlBlock):
    """An access-list entry."""

    controls: u32 = at(0x0, ref="PoP 5 Access-List Entry")
    aste_origin: u32 = at(0x8, ref="PoP 5 Access-List Entry", doc="bits 1-25")
    aste_sequence: u32 = at(0xC, ref="PoP 5 Access-List Entry")
    invalid: u32 = bits("controls", 0, ref="PoP 5 Access-List Entry")
    fetch_only: u32 = bits("controls", 6, ref="PoP 5 Access-List Entry")
    private: u32 = bits("controls", 7, ref="PoP 5 Access-List Entry")
    sequence: u32 = bits("controls", 8, 15, ref="PoP 5 Access-List Entry", doc="ALESN")
    authorization_index: u32 = bits("controls", 16, 31, ref="PoP 5 Access-List Entry")


@control_block(size=64, byteorder="big", ref="PoP 3 ASN-Second-Table Entry")
class AsnSecondTableEntry(ControlBlock):
    """An ASN-second-table entry."""

    authority: u32 = at(0x00, ref="PoP 3 ASN-Second-Table Entry", doc="authority-table origin")
    authorization_index: u16 = at(0x04, ref="PoP 3 ASN-Second-Table Entry")
    authority_length: u16 = at(0x06, ref="PoP 3 ASN-Second-Table Entry")
    asce: u64 = at(0x08, ref="PoP 3 ASN-Second-Table Entry")
    access_list: u32 = at(0x10, ref="PoP 5 Access-List Designation")
    sequence: u32 = at(0x14, ref="PoP 3 ASN-Second-Table Entry", doc="ASTESN")
    linkage_table: u32 = at(0x18, ref="PoP 3 ASN-Second-Table Entry")
    program_area: u32 = at(0x1C, ref="PoP 3 ASN-Second-Table Entry")
    instance: u32 = at(0x2C, ref="PoP 3 ASN-Second-Table Entry", doc="ASTEIN")
    invalid: u32 = bits("authority", 0, ref="PoP 3 ASN-Second-Table Entry")
    base_space: u32 = bits("authority", 31, ref="PoP 3 ASN-Second-Table Entry")


ACCESS_LIST_ORIGIN = 0x7FFF_FF80
ACCESS_LIST_LENGTH = 0x7F


@control_block(size=64, byteorder="big", ref="PoP 5 Dispatchable-Unit Control Table")
class DispatchableUnitTable(ControlBlock):
    """The dispatchable-unit control table, designated by control register 2."""

    base_aste_origin: u32 = at(0x00, ref="PoP 5 Dispatchable-Unit Control Table")
    subspace_aste_origin: u32 = at(0x04, ref="PoP 5 Dispatchable-Unit Control Table")
    subspace_sequence: u32 = at(0x0C, ref="PoP 5 Dispatchable-Unit Control Table")
    access_list: u32 = at(0x10, ref="PoP 5 Access-List Designation")
    key: u8 = at(0x17, ref="PoP 5 Dispatchable-Unit Control Table", doc="PSW key, RA, P")
    trap_control_block: u32 = at(0x2C, ref="PoP 5 Dispatchable-Unit Control Table")
