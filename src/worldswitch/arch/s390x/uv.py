"""The Ultravisor: call commands, return codes, and the control blocks of its calls."""

from enum import IntEnum

from worldswitch.arch.control_block import (
    ControlBlock,
    at,
    control_block,
    manual,
    u8,
    u16,
    u32,
    u64,
    u64s,
)

UV_CALL_OPCODE = 0xB9A4


@manual(ref="UV commands")
class UvCommand(IntEnum):
    """The command code of an Ultravisor call."""

    QUERY = 0x0001
    INITIALIZE = 0x000F
    CREATE_CONFIGURATION = 0x0100
    DESTROY_CONFIGURATION = 0x0101
    CREATE_CPU = 0x0120
    DESTROY_CPU = 0x0121
    CONVERT_TO_SECURE = 0x0200
    CONVERT_FROM_SECURE = 0x0201
    DESTROY_SECURE_STORAGE = 0x0202
    SET_CONFIGURATION_PARAMETERS = 0x0300
    UNPACK_IMAGE = 0x0301
    VERIFY_IMAGE = 0x0302
    CPU_RESET = 0x0310
    CPU_INITIAL_RESET = 0x0311
    PREPARE_RESET = 0x0320
    CPU_CLEAR_RESET = 0x0321
    SET_CPU_STATE = 0x0330
    UNSHARE_ALL = 0x0340
    PIN_SHARED = 0x0341
    UNPIN_SHARED = 0x0342
    DUMP_INITIALIZE = 0x0400
    DUMP_STORAGE_STATE = 0x0401
    DUMP_CPU = 0x0402
    DUMP_COMPLETE = 0x0403
    SHARE = 0x1000
    UNSHARE = 0x1001
    ATTEST = 0x1020


# Commands that a protected guest issues; all others are the hypervisor's.
GUEST_COMMANDS = frozenset({UvCommand.SHARE, UvCommand.UNSHARE, UvCommand.ATTEST})

# The command's bit in `QueryInformation.installed_calls`, counted from bit 0 of the first word.
INSTALLED_BIT: dict[UvCommand, int] = {
    UvCommand.QUERY: 0,
    UvCommand.INITIALIZE: 1,
    UvCommand.CREATE_CONFIGURATION: 2,
    UvCommand.DESTROY_CONFIGURATION: 3,
    UvCommand.CREATE_CPU: 4,
    UvCommand.DESTROY_CPU: 5,
    UvCommand.CONVERT_TO_SECURE: 6,
    UvCommand.CONVERT_FROM_SECURE: 7,
    UvCommand.SHARE: 8,
    UvCommand.UNSHARE: 9,
    UvCommand.DESTROY_SECURE_STORAGE: 10,
    UvCommand.SET_CONFIGURATION_PARAMETERS: 11,
    UvCommand.UNPACK_IMAGE: 13,
    UvCommand.VERIFY_IMAGE: 14,
    UvCommand.CPU_RESET: 15,
    UvCommand.CPU_INITIAL_RESET: 16,
    UvCommand.SET_CPU_STATE: 17,
    UvCommand.PREPARE_RESET: 18,
    UvCommand.CPU_CLEAR_RESET: 19,
    UvCommand.UNSHARE_ALL: 20,
    UvCommand.PIN_SHARED: 21,
    UvCommand.UNPIN_SHARED: 22,
    UvCommand.DUMP_INITIALIZE: 24,
    UvCommand.DUMP_STORAGE_STATE: 25,
    UvCommand.DUMP_CPU: 26,
    UvCommand.DUMP_COMPLETE: 27,
    UvCommand.ATTEST: 28,
}


@manual(ref="UV return codes")
class UvReturn(IntEnum):
    """Return codes common to the commands.

    IMPDEF: the codes above NO_RESUME differ between commands and firmware levels; those here are
    the ones that Linux tests for.
    """

    EXECUTED = 0x0001
    INVALID_COMMAND = 0x0002
    INVALID_STATE = 0x0003
    INVALID_ADDRESS = 0x0004
    INVALID_LENGTH = 0x0005
    NO_RESUME = 0x0007
    INVALID_CONFIGURATION_HANDLE = 0x0020
    INVALID_CPU_HANDLE = 0x0021
    ALREADY_DONE = 0x0104
    PAGE_NOT_SECURE = 0x0107
    PAGE_BUSY = 0x010A


NEED_DESTROY = 0x8000  # or-ed into a return code: the handle exists and must be destroyed


@manual(ref="UV condition codes")
class UvCondition(IntEnum):
    """The condition code that the ULTRAVISOR CALL instruction sets."""

    OK = 0
    ERROR = 1
    BUSY = 2
    PARTIAL = 3


@manual(ref="UV set CPU state")
class UvCpuState(IntEnum):
    """The states of SET_CPU_STATE."""

    OPERATING = 1
    STOPPED = 2
    CHECK_STOP = 3
    OPERATING_LOAD = 5


@control_block(size=8, byteorder="big", ref="UV control-block header")
class UvHeader(ControlBlock):
    """The start of every Ultravisor control block."""

    length: u16 = at(0, ref="UV control-block header")
    command: u16 = at(2, ref="UV commands", names=UvCommand)
    rc: u16 = at(4, ref="UV return codes", names=UvReturn)
    rrc: u16 = at(6, ref="UV control-block header", doc="return reason code")


@control_block(size=0x100, byteorder="big", ref="UV query")
class QueryInformation(ControlBlock):
    """QUERY: what the Ultravisor offers and how much storage it wants."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    installed_calls: u64s = at(0x10, count=4, ref="UV query")
    base_storage_length: u64 = at(0x40, ref="UV query")
    configuration_base_length: u64 = at(0x50, ref="UV query")
    configuration_virtual_length: u64 = at(0x58, ref="UV query")
    configuration_variable_length: u64 = at(0x60, ref="UV query", doc="per MiB of the guest")
    cpu_storage_length: u64 = at(0x68, ref="UV query")
    max_configurations: u32 = at(0x7C, ref="UV query")
    max_guest_address: u64 = at(0x80, ref="UV query")
    max_cpu_id: u16 = at(0x9E, ref="UV query")
    features: u64 = at(0xA0, ref="UV query", doc="bit 0: miscellaneous; bit 1: AIV")
    header_versions: u64 = at(0xB0, ref="UV query")
    header_control_flags: u64 = at(0xB8, ref="UV query")
    dump_storage_state_length: u64 = at(0xC8, ref="UV query")
    dump_complete_length: u64 = at(0xD0, ref="UV query")
    attestation_versions: u64 = at(0xE0, ref="UV query")
    attestation_flags: u64 = at(0xE8, ref="UV query")


@control_block(size=0x48, byteorder="big", ref="UV initialize")
class Initialize(ControlBlock):
    """INITIALIZE: donate storage to the Ultravisor."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    storage_origin: u64 = at(0x18, ref="UV initialize")
    storage_length: u64 = at(0x20, ref="UV initialize")


@control_block(size=0x80, byteorder="big", ref="UV create configuration")
class CreateConfiguration(ControlBlock):
    """CREATE_CONFIGURATION: a protected guest."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    handle: u64 = at(0x18, ref="UV create configuration", doc="set by the Ultravisor")
    base_storage_origin: u64 = at(0x20, ref="UV create configuration")
    virtual_storage_origin: u64 = at(0x28, ref="UV create configuration")
    guest_storage_origin: u64 = at(0x38, ref="UV create configuration")
    guest_storage_length: u64 = at(0x40, ref="UV create configuration")
    guest_sca: u64 = at(0x48, ref="UV create configuration", doc="extended SCA")
    guest_asce: u64 = at(0x50, ref="UV create configuration")


@control_block(size=0x60, byteorder="big", ref="UV create CPU")
class CreateCpu(ControlBlock):
    """CREATE_CPU: a CPU of a protected guest."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    cpu_handle: u64 = at(0x18, ref="UV create CPU", doc="set by the Ultravisor")
    configuration_handle: u64 = at(0x20, ref="UV create CPU")
    storage_origin: u64 = at(0x28, ref="UV create CPU")
    number: u16 = at(0x36, ref="UV create CPU", doc="CPU address")
    state_origin: u64 = at(0x38, ref="UV create CPU", doc="state description")


@control_block(size=0x28, byteorder="big", ref="UV convert to secure")
class ConvertToSecure(ControlBlock):
    """CONVERT_TO_SECURE, UNPIN_SHARED: a page of a guest, by guest address."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    configuration_handle: u64 = at(0x18, ref="UV convert to secure")
    guest_address: u64 = at(0x20, ref="UV convert to secure")


@control_block(size=0x20, byteorder="big", ref="UV convert from secure")
class ConvertFromSecure(ControlBlock):
    """CONVERT_FROM_SECURE, PIN_SHARED, DESTROY_SECURE_STORAGE: a page, by host address."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    host_address: u64 = at(0x18, ref="UV convert from secure")


@control_block(size=0x50, byteorder="big", ref="UV set configuration parameters")
class SetParameters(ControlBlock):
    """SET_CONFIGURATION_PARAMETERS: the secure-execution header of the image."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    configuration_handle: u64 = at(0x18, ref="UV set configuration parameters")
    se_header_origin: u64 = at(0x20, ref="UV set configuration parameters")
    se_header_length: u32 = at(0x28, ref="UV set configuration parameters")


@control_block(size=0x50, byteorder="big", ref="UV unpack")
class Unpack(ControlBlock):
    """UNPACK_IMAGE: decrypt one page in place."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    configuration_handle: u64 = at(0x18, ref="UV unpack")
    guest_address: u64 = at(0x20, ref="UV unpack")
    tweak: u64s = at(0x28, count=2, ref="UV unpack")


@control_block(size=0x50, byteorder="big", ref="UV set CPU state")
class SetCpuState(ControlBlock):
    """SET_CPU_STATE: stop or start a CPU of a protected guest."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    cpu_handle: u64 = at(0x18, ref="UV set CPU state")
    state: u8 = at(0x27, ref="UV set CPU state", names=UvCpuState)


@control_block(size=0x40, byteorder="big", ref="UV commands without data")
class NoData(ControlBlock):
    """A command on a handle alone: destroy, verify, reset, unshare all."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    handle: u64 = at(0x18, ref="UV commands without data")


@control_block(size=0x30, byteorder="big", ref="UV share")
class Share(ControlBlock):
    """SHARE and UNSHARE: issued by the protected guest for one of its pages."""

    header: UvHeader = at(0x00, ref="UV control-block header")
    address: u64 = at(0x20, ref="UV share", doc="guest absolute address of the page")


# Block and length of each command; commands that are not here are not part of the model.
BLOCKS: dict[UvCommand, type[ControlBlock]] = {
    UvCommand.QUERY: QueryInformation,
    UvCommand.INITIALIZE: Initialize,
    UvCommand.CREATE_CONFIGURATION: CreateConfiguration,
    UvCommand.DESTROY_CONFIGURATION: NoData,
    UvCommand.CREATE_CPU: CreateCpu,
    UvCommand.DESTROY_CPU: NoData,
    UvCommand.CONVERT_TO_SECURE: ConvertToSecure,
    UvCommand.CONVERT_FROM_SECURE: ConvertFromSecure,
    UvCommand.DESTROY_SECURE_STORAGE: ConvertFromSecure,
    UvCommand.SET_CONFIGURATION_PARAMETERS: SetParameters,
    UvCommand.UNPACK_IMAGE: Unpack,
    UvCommand.VERIFY_IMAGE: NoData,
    UvCommand.CPU_RESET: NoData,
    UvCommand.CPU_INITIAL_RESET: NoData,
    UvCommand.PREPARE_RESET: NoData,
    UvCommand.CPU_CLEAR_RESET: NoData,
    UvCommand.SET_CPU_STATE: SetCpuState,
    UvCommand.UNSHARE_ALL: NoData,
    UvCommand.PIN_SHARED: ConvertFromSecure,
    UvCommand.UNPIN_SHARED: ConvertToSecure,
    UvCommand.SHARE: Share,
    UvCommand.UNSHARE: Share,
}


SE_HEADER_MAGIC = 0x4942_4D53_6563_4578  # "IBMSecEx" in ASCII


@control_block(size=0x80, byteorder="big", ref="UV set configuration parameters")
class SecureExecutionHeader(ControlBlock):
    """What SET_CONFIGURATION_PARAMETERS learns of an image.

    IMPDEF: of the real header only the magic and the initial PSW are here. The real one carries
    the image key encrypted for the machine; no machine key is modelled, so it stands in clear.
    """

    magic: u64 = at(0x00, ref="UV set configuration parameters")
    version: u32 = at(0x08, ref="UV set configuration parameters")
    length: u32 = at(0x0C, ref="UV set configuration parameters")
    pages: u64 = at(0x10, ref="UV set configuration parameters", doc="pages to unpack")
    key: bytes = at(0x18, size=32, ref="UV set configuration parameters", doc="image key")
    digest: bytes = at(0x38, size=32, ref="UV set configuration parameters", doc="of the pages")
    psw_mask: u64 = at(0x58, ref="UV set configuration parameters", doc="initial PSW")
    psw_addr: u64 = at(0x60, ref="UV set configuration parameters")
