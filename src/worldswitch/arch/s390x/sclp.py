"""The service-call logical processor: command words, responses, events, and their blocks."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import (
    ControlBlock,
    at,
    bits,
    control_block,
    manual,
    u8,
    u16,
    u32,
    u64,
)

SCCB_ALIGNMENT = 8
SCCB_MAX = 4096  # without the extended-length-SCCB facility an SCCB stays in its page

# The class and the low byte of the command word; bits 16-23 carry a parameter.
COMMAND_MASK = 0xFFFF_00FF


@manual(ref="SCLP commands")
class SclpCommand(IntEnum):
    """Command words of SERVICE CALL (SERVC)."""

    READ_CPU_INFO = 0x0001_0001
    READ_SCP_INFO = 0x0002_0001
    READ_STORAGE_ELEMENT_INFO = 0x0004_0001
    ATTACH_STORAGE_ELEMENT = 0x0008_0001
    UNASSIGN_STORAGE = 0x000C_0001
    ASSIGN_STORAGE = 0x000D_0001
    DECONFIGURE_CPU = 0x0010_0001
    CONFIGURE_CPU = 0x0011_0001
    READ_SCP_INFO_FORCED = 0x0012_0001
    CONFIGURE_PCI = 0x001A_0001
    DECONFIGURE_PCI = 0x001B_0001
    WRITE_EVENT_DATA = 0x0076_0005
    READ_EVENT_DATA = 0x0077_0005
    WRITE_EVENT_MASK = 0x0078_0005


@manual(ref="SCLP response codes")
class SclpResponse(IntEnum):
    """The response code: class in the low byte, reason in the high byte."""

    NORMAL_READ_COMPLETION = 0x0010
    NORMAL_COMPLETION = 0x0020
    SCCB_BOUNDARY_VIOLATION = 0x0100
    NO_ACTION_REQUIRED = 0x0120
    INVALID_COMMAND = 0x01F0
    INSUFFICIENT_SCCB_LENGTH = 0x0300
    CONTAINED_EQUIPMENT_CHECK = 0x0340
    STANDBY_READ_COMPLETION = 0x0410
    ADAPTER_IN_RESERVED_STATE = 0x05F0
    ADAPTER_ID_NOT_RECOGNIZED = 0x09F0
    INVALID_FUNCTION = 0x40F0
    NO_EVENT_BUFFERS_STORED = 0x60F0
    EVENTS_SUPPRESSED = 0x62F0
    INVALID_SELECTION_MASK = 0x70F0
    EVENT_BUFFER_EXCEEDS_SCCB = 0x71F0
    INCONSISTENT_LENGTHS = 0x72F0
    EVENT_BUFFER_SYNTAX_ERROR = 0x73F0
    INVALID_MASK_LENGTH = 0x74F0


@manual(ref="SCLP event types")
class EventType(IntEnum):
    """The type byte of an event buffer."""

    OPERATOR_COMMAND = 0x01
    MESSAGE = 0x02
    CONFIGURATION_MANAGEMENT = 0x04
    STATE_CHANGE = 0x08
    PRIORITY_MESSAGE_COMMAND = 0x09
    CONTROL_PROGRAM_IDENTIFICATION = 0x0B
    ASCII_CONSOLE = 0x1A
    DUMP_SAVE_AREA = 0x1C
    SIGNAL_QUIESCE = 0x1D
    OPEN_FOR_BUSINESS = 0x1E
    CONTROL_PROGRAM_COMMAND = 0x20


def event_mask(event: EventType) -> int:
    """The event type's bit in a 32-bit event mask: type 1 is the most significant bit."""
    return 1 << (32 - event)


@manual(ref="SCLP event buffer")
class EventFlags(IntFlag):
    """The flag byte of an event buffer."""

    ACCEPTED = 0x80


@control_block(size=8, byteorder="big", ref="SCLP SCCB header")
class SccbHeader(ControlBlock):
    """The start of every service-call control block."""

    length: u16 = at(0, ref="SCLP SCCB header", doc="of the whole block, in bytes")
    function_code: u8 = at(2, ref="SCLP SCCB header")
    control_mask: bytes = at(3, size=3, ref="SCLP SCCB header", doc="80 in byte 2: variable length")
    response_code: u16 = at(6, ref="SCLP response codes", names=SclpResponse)


@manual(ref="SCLP read SCP info")
class SclpFacility(IntFlag):
    """The facilities doubleword of READ SCP INFO."""

    CHANNEL_PATH_INFO = 0x8000_0000_0000_0000
    CHANNEL_PATH_RECONFIGURATION = 0x2000_0000_0000_0000
    CPU_INFO = 0x0800_0000_0000_0000
    CPU_RECONFIGURATION = 0x0400_0000_0000_0000
    ASSIGN_STORAGE = 0x0000_8000_0000_0000
    STORAGE_ELEMENT_INFO = 0x0000_4000_0000_0000
    ATTACH_STORAGE = 0x0000_2000_0000_0000
    PCI_RECONFIGURATION = 0x0000_0000_4000_0000


@control_block(size=128, byteorder="big", ref="SCLP read SCP info")
class ReadScpInfo(ControlBlock):
    """READ SCP INFO: the fixed part; CPU entries follow at ``cpu_offset``."""

    header: SccbHeader = at(0, ref="SCLP SCCB header")
    rnmax: u16 = at(8, ref="SCLP read SCP info", doc="storage increments; 0: see rnmax2")
    rnsize: u8 = at(10, ref="SCLP read SCP info", doc="MiB in an increment; 0: see rnsize2")
    cpu_count: u16 = at(16, ref="SCLP read SCP info", doc="number of CPU entries")
    cpu_offset: u16 = at(18, ref="SCLP read SCP info", doc="offset of the first CPU entry")
    loadparm: str = at(24, size=8, ref="SCLP read SCP info", doc="EBCDIC load parameter")
    facility_bytes: bytes = at(42, size=2, ref="SCLP read SCP info")
    facilities: u64 = at(48, ref="SCLP read SCP info", names=SclpFacility)
    ibc: u32 = at(76, ref="SCLP read SCP info", doc="lowest and unblocked instruction level")
    configuration: bytes = at(80, size=18, ref="SCLP read SCP info", doc="characteristics")
    facility_98: u8 = at(98, ref="SCLP read SCP info", doc="01: keyless subset (KSS)")
    host_address_power: u8 = at(99, ref="SCLP read SCP info", doc="bits of a host address")
    rnsize2: u32 = at(100, ref="SCLP read SCP info")
    rnmax2: u64 = at(104, ref="SCLP read SCP info")
    hsa_size: u32 = at(112, ref="SCLP read SCP info", doc="hardware save area, pages + 1")
    configuration_extended: bytes = at(116, size=4, ref="SCLP read SCP info")
    highest_cpu: u16 = at(120, ref="SCLP read SCP info", doc="highest CPU address")
    hmfai: u32 = at(124, ref="SCLP read SCP info", doc="hypervisor-managed facilities")


# Bits of bytes of READ SCP INFO that Linux tests; (byte, mask).
CONFIG_GUEST_STORAGE_LIMIT_SUPPRESSION = (85, 0x80)
CONFIG_ESOP = (85, 0x02)
CONFIG_IPL_DUMP = (91, 0x02)
CONFIG_KEYLESS_SUBSET = (98, 0x01)
CONFIG_64BIT_SCA_ORIGIN = (116, 0x80)
CONFIG_CMMA = (116, 0x40)
CONFIG_PFMF_INTERPRETATION = (117, 0x40)
CONFIG_INTERLOCK_BROADCAST_SUPPRESSION = (117, 0x20)
FACILITY_134_DIAG_318 = 0x80


@control_block(size=16, byteorder="big", ref="SCLP CPU entry")
class CpuEntry(ControlBlock):
    """One CPU in READ SCP INFO and READ CPU INFO."""

    core_id: u8 = at(0, ref="SCLP CPU entry", doc="CPU address")
    features: bytes = at(2, size=6, ref="SCLP CPU entry")
    kind: u8 = at(14, ref="SCLP CPU entry", doc="0: general purpose; 3: IFL")


# Bits of a CPU entry's bytes 2-7; (byte of the entry, mask).
CPU_SIE_FORMAT_2 = (2, 0x08)
CPU_STORAGE_KEY_FACILITY = (2, 0x04)
CPU_GUEST_PER_ENHANCEMENT = (3, 0x20)
CPU_SHARED_IPTE_INTERLOCK = (3, 0x10)
CPU_SIGP_INTERPRETATION = (3, 0x08)
CPU_INTERVENTION_BYPASS = (7, 0x20)
CPU_CONDITIONAL_EXTERNAL_INTERCEPTION = (7, 0x10)


@control_block(size=24, byteorder="big", ref="SCLP read CPU info")
class ReadCpuInfo(ControlBlock):
    """READ CPU INFO: the fixed part; CPU entries follow."""

    header: SccbHeader = at(0, ref="SCLP SCCB header")
    configured_count: u16 = at(8, ref="SCLP read CPU info")
    configured_offset: u16 = at(10, ref="SCLP read CPU info")
    standby_count: u16 = at(12, ref="SCLP read CPU info")
    standby_offset: u16 = at(14, ref="SCLP read CPU info")


@control_block(size=16, byteorder="big", ref="SCLP storage element info")
class ReadStorageElementInfo(ControlBlock):
    """READ STORAGE ELEMENT INFO: the fixed part; one word per increment follows."""

    header: SccbHeader = at(0, ref="SCLP SCCB header")
    max_id: u16 = at(8, ref="SCLP storage element info")
    assigned: u16 = at(10, ref="SCLP storage element info")
    standby: u16 = at(12, ref="SCLP storage element info")


@control_block(size=12, byteorder="big", ref="SCLP write event mask")
class WriteEventMask(ControlBlock):
    """WRITE EVENT MASK: four masks of ``mask_length`` bytes follow.

    They are the program's receive and send masks, then SCLP's receive and send masks.
    """

    header: SccbHeader = at(0, ref="SCLP SCCB header")
    mask_length: u16 = at(10, ref="SCLP write event mask")


@control_block(size=6, byteorder="big", ref="SCLP event buffer")
class EventHeader(ControlBlock):
    """The start of every event buffer."""

    length: u16 = at(0, ref="SCLP event buffer", doc="of the buffer, header included")
    type: u8 = at(2, ref="SCLP event types", names=EventType)
    flags: u8 = at(3, ref="SCLP event buffer", names=EventFlags)


MDB_TAG = 0xD4C4_C240  # "MDB " in EBCDIC


@control_block(size=12, byteorder="big", ref="SCLP message data block")
class MdbHeader(ControlBlock):
    """A message data block, in a MESSAGE event; objects follow."""

    length: u16 = at(0, ref="SCLP message data block")
    type: u16 = at(2, ref="SCLP message data block", doc="1")
    tag: u32 = at(4, ref="SCLP message data block", doc="EBCDIC 'MDB '")
    revision: u32 = at(8, ref="SCLP message data block", doc="1")


@manual(ref="SCLP message data block")
class MdbObject(IntEnum):
    """Types of the objects in a message data block."""

    GENERAL = 1
    CONTROL_PROGRAM = 2
    NON_LAST_LINE_TEXT = 3
    MESSAGE_TEXT = 4


@control_block(size=6, byteorder="big", ref="SCLP message data block")
class MessageText(ControlBlock):
    """A line of text in a message data block: EBCDIC follows."""

    length: u16 = at(0, ref="SCLP message data block")
    type: u16 = at(2, ref="SCLP message data block", names=MdbObject)
    line_type: u16 = at(4, ref="SCLP message data block")
    control_text: u16 = bits("line_type", 0, ref="SCLP message data block")
    label_text: u16 = bits("line_type", 1, ref="SCLP message data block")
    data_text: u16 = bits("line_type", 2, ref="SCLP message data block")
    end_text: u16 = bits("line_type", 3, ref="SCLP message data block")
    prompt_text: u16 = bits("line_type", 4, ref="SCLP message data block")


# General data stream identifiers and keys in an OPERATOR_COMMAND event.
GDS_MDSMU = 0x1310
GDS_CPMSU = 0x1212
GDS_TEXT_COMMAND = 0x1320
GDS_KEY_SELF_DEFINING_TEXT = 0x31
GDS_KEY_TEXT_MESSAGE = 0x30
