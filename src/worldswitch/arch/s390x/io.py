"""The channel subsystem's blocks, as far as a machine without channel devices answers them."""

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


@control_block(size=4, byteorder="big", ref="PoP 14 Subsystem-Identification Word")
class SubsystemId(ControlBlock):
    """General register 1 of every I/O instruction that names a subchannel."""

    high: u16 = at(0, ref="PoP 14 Subsystem-Identification Word")
    number: u16 = at(2, ref="PoP 14 Subsystem-Identification Word", doc="subchannel number")
    cssid: u16 = bits("high", 0, 7, ref="PoP 14 Subsystem-Identification Word")
    multiple: u16 = bits("high", 12, ref="PoP 14 Subsystem-Identification Word")
    ssid: u16 = bits("high", 13, 14, ref="PoP 14 Subsystem-Identification Word")
    one: u16 = bits("high", 15, ref="PoP 14 Subsystem-Identification Word", doc="must be one")


@control_block(size=28, byteorder="big", ref="PoP 15 Path-Management-Control Word")
class Pmcw(ControlBlock):
    """Path-management-control word: what software may set of a subchannel."""

    interruption_parameter: u32 = at(0, ref="PoP 15 Path-Management-Control Word")
    flags: u16 = at(4, ref="PoP 15 Path-Management-Control Word")
    device_number: u16 = at(6, ref="PoP 15 Path-Management-Control Word")
    logical_path_mask: u8 = at(8, ref="PoP 15 Path-Management-Control Word")
    path_not_operational: u8 = at(9, ref="PoP 15 Path-Management-Control Word")
    last_path_used: u8 = at(10, ref="PoP 15 Path-Management-Control Word")
    path_installed: u8 = at(11, ref="PoP 15 Path-Management-Control Word")
    measurement_block_index: u16 = at(12, ref="PoP 15 Path-Management-Control Word")
    path_operational: u8 = at(14, ref="PoP 15 Path-Management-Control Word")
    path_available: u8 = at(15, ref="PoP 15 Path-Management-Control Word")
    chpids: bytes = at(16, size=8, ref="PoP 15 Path-Management-Control Word")
    controls: u32 = at(24, ref="PoP 15 Path-Management-Control Word")
    subclass: u16 = bits("flags", 2, 4, ref="PoP 15 Path-Management-Control Word", doc="ISC")
    enabled: u16 = bits("flags", 8, ref="PoP 15 Path-Management-Control Word")
    limit_mode: u16 = bits("flags", 9, 10, ref="PoP 15 Path-Management-Control Word")
    measurement_mode: u16 = bits("flags", 11, 12, ref="PoP 15 Path-Management-Control Word")
    multipath: u16 = bits("flags", 13, ref="PoP 15 Path-Management-Control Word")
    timing: u16 = bits("flags", 14, ref="PoP 15 Path-Management-Control Word")
    device_number_valid: u16 = bits("flags", 15, ref="PoP 15 Path-Management-Control Word")


@control_block(size=12, byteorder="big", ref="PoP 16 Subchannel-Status Word")
class Scsw(ControlBlock):
    """Subchannel-status word."""

    control: u32 = at(0, ref="PoP 16 Subchannel-Status Word")
    ccw_address: u32 = at(4, ref="PoP 16 Subchannel-Status Word")
    device_status: u8 = at(8, ref="PoP 16 Subchannel-Status Word")
    subchannel_status: u8 = at(9, ref="PoP 16 Subchannel-Status Word")
    count: u16 = at(10, ref="PoP 16 Subchannel-Status Word", doc="residual count")
    key: u32 = bits("control", 0, 3, ref="PoP 16 Subchannel-Status Word")
    deferred_cc: u32 = bits("control", 6, 7, ref="PoP 16 Subchannel-Status Word")
    function_control: u32 = bits("control", 17, 19, ref="PoP 16 Subchannel-Status Word")
    activity_control: u32 = bits("control", 20, 26, ref="PoP 16 Subchannel-Status Word")
    status_control: u32 = bits("control", 27, 31, ref="PoP 16 Subchannel-Status Word")


@control_block(size=52, byteorder="big", ref="PoP 15 Subchannel-Information Block")
class Schib(ControlBlock):
    """Subchannel-information block: the operand of STORE and MODIFY SUBCHANNEL."""

    pmcw: Pmcw = at(0, ref="PoP 15 Path-Management-Control Word")
    scsw: Scsw = at(28, ref="PoP 16 Subchannel-Status Word")
    measurement_block_address: u64 = at(40, ref="PoP 15 Subchannel-Information Block")
    model_dependent: u32 = at(48, ref="PoP 15 Subchannel-Information Block")


@control_block(size=32, byteorder="big", ref="PoP 15 Operation-Request Block")
class Orb(ControlBlock):
    """Operation-request block: the operand of START SUBCHANNEL."""

    interruption_parameter: u32 = at(0, ref="PoP 15 Operation-Request Block")
    control: u32 = at(4, ref="PoP 15 Operation-Request Block")
    program_address: u32 = at(8, ref="PoP 15 Operation-Request Block", doc="first CCW")
    priority: u32 = at(12, ref="PoP 15 Operation-Request Block")
    key: u32 = bits("control", 0, 3, ref="PoP 15 Operation-Request Block")
    format_1: u32 = bits("control", 8, ref="PoP 15 Operation-Request Block")
    logical_path_mask: u32 = bits("control", 16, 23, ref="PoP 15 Operation-Request Block")


@control_block(size=96, byteorder="big", ref="PoP 16 Interruption-Response Block")
class Irb(ControlBlock):
    """Interruption-response block: the operand of TEST SUBCHANNEL."""

    scsw: Scsw = at(0, ref="PoP 16 Subchannel-Status Word")
    extended_status: bytes = at(12, size=20, ref="PoP 16 Extended-Status Word")
    extended_control: bytes = at(32, size=32, ref="PoP 16 Extended-Control Word")
    extended_measurement: bytes = at(64, size=32, ref="PoP 16 Extended-Measurement Word")


@control_block(size=12, byteorder="big", ref="PoP 14 TEST PENDING INTERRUPTION")
class InterruptionCode(ControlBlock):
    """The I/O-interruption code, as TEST PENDING INTERRUPTION and the lowcore have it."""

    subchannel_id: u16 = at(0, ref="PoP 6 I/O Interruption")
    subchannel_nr: u16 = at(2, ref="PoP 6 I/O Interruption")
    parameter: u32 = at(4, ref="PoP 6 I/O Interruption")
    identification: u32 = at(8, ref="PoP 6 I/O Interruption")
    adapter: u32 = bits("identification", 0, ref="PoP 6 I/O Interruption")
    subclass: u32 = bits("identification", 2, 4, ref="PoP 6 I/O Interruption", doc="ISC")


@manual(ref="PoP 16 Device-Status Field")
class DeviceStatus(IntFlag):
    """The device-status byte."""

    ATTENTION = 0x80
    STATUS_MODIFIER = 0x40
    CONTROL_UNIT_END = 0x20
    BUSY = 0x10
    CHANNEL_END = 0x08
    DEVICE_END = 0x04
    UNIT_CHECK = 0x02
    UNIT_EXCEPTION = 0x01


@manual(ref="PoP 14 I/O Instructions")
class IoInstruction(IntEnum):
    """Operation codes of the I/O instructions, all privileged; all but CHSC are of format S."""

    CSCH = 0xB230
    HSCH = 0xB231
    MSCH = 0xB232
    SSCH = 0xB233
    STSCH = 0xB234
    TSCH = 0xB235
    TPI = 0xB236
    SAL = 0xB237
    RSCH = 0xB238
    STCRW = 0xB239
    STCPS = 0xB23A
    RCHP = 0xB23B
    SCHM = 0xB23C
    CHSC = 0xB25F
    XSCH = 0xB276
