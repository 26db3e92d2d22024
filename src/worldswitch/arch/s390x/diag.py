"""DIAGNOSE: function codes that guests use, and their subcodes and return codes."""

from enum import IntEnum

from worldswitch.arch.control_block import manual


@manual(ref="DIAG function codes")
class DiagCode(IntEnum):
    """Bits 48-63 of the second-operand address."""

    CP_COMMAND = 0x008
    RELEASE_PAGES = 0x010
    YIELD = 0x044
    DIRECTED_YIELD = 0x09C
    MONITOR_STREAM = 0x0DC
    LPAR_INFORMATION = 0x204
    DEVICE_INFORMATION = 0x210
    LPAR_NAME_TABLE = 0x224
    BLOCK_IO = 0x250
    PAGE_FAULT_HANDSHAKE = 0x258
    STORAGE_SIZE = 0x260
    SYSTEM_INFORMATION = 0x26C
    WATCHDOG = 0x288
    FILE_TRANSFER = 0x2C4
    GUEST_PERFORMANCE = 0x2FC
    PARTITION_RESOURCE = 0x304
    IPL = 0x308
    CONTROL_PROGRAM_NAME = 0x318
    CERTIFICATE_STORE = 0x320
    WARNING_TRACK = 0x49C
    KVM_HYPERCALL = 0x500
    KVM_BREAKPOINT = 0x501
    SECURE_IPL = 0x508


@manual(ref="DIAG 308")
class Diag308Subcode(IntEnum):
    """DIAGNOSE X'308' subcodes: reset, IPL, and its parameters."""

    MODIFIED_CLEAR = 0
    LOAD_NORMAL_RESET = 1
    LOAD_CLEAR = 3
    LOAD_NORMAL_DUMP = 4
    SET_PARAMETERS = 5
    STORE_PARAMETERS = 6
    SET_PROTECTED_PARAMETERS = 8
    STORE_PROTECTED_PARAMETERS = 9
    START_PROTECTED = 10


@manual(ref="DIAG 308")
class Diag308Response(IntEnum):
    """What DIAGNOSE X'308' leaves in general register R1 + 1."""

    OK = 0x0001
    NO_CONFIGURATION = 0x0102
    INVALID = 0x0402
    NO_PROTECTED_CONFIGURATION = 0x0902
    INVALID_FOR_PROTECTED = 0x0A02


@manual(ref="KVM s390 diagnose X'500'")
class KvmHypercall(IntEnum):
    """The function in general register 1 of DIAGNOSE X'500'."""

    VIRTIO_NOTIFY = 0
    VIRTIO_RESET = 1
    VIRTIO_SET_STATUS = 2
    VIRTIO_CCW_NOTIFY = 3
    STORAGE_LIMIT = 4


@manual(ref="DIAG 258")
class Diag258Subcode(IntEnum):
    """DIAGNOSE X'258' subcodes."""

    TOKEN = 0
    CANCEL = 1
