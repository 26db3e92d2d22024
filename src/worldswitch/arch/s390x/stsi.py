"""STORE SYSTEM INFORMATION: function codes and the system-information blocks."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import (
    Blocks,
    ControlBlock,
    at,
    bits,
    control_block,
    manual,
    u8,
    u16,
    u16s,
    u32,
)

STSI = "PoP 10 STORE SYSTEM INFORMATION"
SYSIB_SIZE = 4096
RESERVED_R0 = 0x0FFF_FF00
RESERVED_R1 = 0xFFFF_0000


@manual(ref="PoP 10 STORE SYSTEM INFORMATION")
class Level(IntEnum):
    """The function code: bits 32-35 of general register 0."""

    CURRENT = 0
    MACHINE = 1
    PARTITION = 2
    VIRTUAL_MACHINE = 3
    TOPOLOGY = 15


@control_block(size=SYSIB_SIZE, byteorder="big", ref=STSI)
class Sysib111(ControlBlock):
    """1.1.1, basic machine configuration. Text is EBCDIC, padded with blanks."""

    flags: u8 = at(0x00, ref="PoP 10 SYSIB 1.1.1")
    change_reason: u8 = at(0x02, ref="PoP 10 SYSIB 1.1.1", doc="capacity-change reason")
    adjustment_indication: u8 = at(0x03, ref="PoP 10 SYSIB 1.1.1")
    manufacturer: str = at(0x20, size=16, ref="PoP 10 SYSIB 1.1.1")
    type: str = at(0x30, size=4, ref="PoP 10 SYSIB 1.1.1", doc="machine type")
    model_capacity: str = at(0x40, size=16, ref="PoP 10 SYSIB 1.1.1")
    sequence: str = at(0x50, size=16, ref="PoP 10 SYSIB 1.1.1")
    plant: str = at(0x60, size=4, ref="PoP 10 SYSIB 1.1.1")
    model: str = at(0x64, size=16, ref="PoP 10 SYSIB 1.1.1")
    model_permanent_capacity: str = at(0x74, size=16, ref="PoP 10 SYSIB 1.1.1")
    model_temporary_capacity: str = at(0x84, size=16, ref="PoP 10 SYSIB 1.1.1")
    capacity_rating: u32 = at(0x94, ref="PoP 10 SYSIB 1.1.1")
    permanent_rating: u32 = at(0x98, ref="PoP 10 SYSIB 1.1.1")
    temporary_rating: u32 = at(0x9C, ref="PoP 10 SYSIB 1.1.1")
    type_percentages: bytes = at(0xA0, size=5, ref="PoP 10 SYSIB 1.1.1")
    nominal_rating: u32 = at(0xA8, ref="PoP 10 SYSIB 1.1.1")
    nominal_permanent_rating: u32 = at(0xAC, ref="PoP 10 SYSIB 1.1.1")
    nominal_temporary_rating: u32 = at(0xB0, ref="PoP 10 SYSIB 1.1.1")


@control_block(size=SYSIB_SIZE, byteorder="big", ref=STSI)
class Sysib121(ControlBlock):
    """1.2.1, one CPU of the basic machine."""

    sequence: str = at(0x50, size=16, ref="PoP 10 SYSIB 1.2.1")
    plant: str = at(0x60, size=4, ref="PoP 10 SYSIB 1.2.1")
    cpu_address: u16 = at(0x66, ref="PoP 10 SYSIB 1.2.1")


@control_block(size=SYSIB_SIZE, byteorder="big", ref=STSI)
class Sysib122(ControlBlock):
    """1.2.2, the CPUs of the basic machine."""

    format: u8 = at(0x00, ref="PoP 10 SYSIB 1.2.2")
    alternate_offset: u16 = at(0x02, ref="PoP 10 SYSIB 1.2.2", doc="format 1")
    multithreading: u16 = at(0x04, ref="PoP 10 SYSIB 1.2.2")
    nominal_capability: u32 = at(0x18, ref="PoP 10 SYSIB 1.2.2")
    secondary_capability: u32 = at(0x1C, ref="PoP 10 SYSIB 1.2.2")
    capability: u32 = at(0x20, ref="PoP 10 SYSIB 1.2.2")
    total_cpus: u16 = at(0x24, ref="PoP 10 SYSIB 1.2.2")
    configured_cpus: u16 = at(0x26, ref="PoP 10 SYSIB 1.2.2")
    standby_cpus: u16 = at(0x28, ref="PoP 10 SYSIB 1.2.2")
    reserved_cpus: u16 = at(0x2A, ref="PoP 10 SYSIB 1.2.2")
    adjustment: u16s = at(0x2C, count=256, ref="PoP 10 SYSIB 1.2.2", doc="factor")


@control_block(size=SYSIB_SIZE, byteorder="big", ref=STSI)
class Sysib221(ControlBlock):
    """2.2.1, one CPU of the logical partition."""

    sequence: str = at(0x50, size=16, ref="PoP 10 SYSIB 2.2.1")
    plant: str = at(0x60, size=4, ref="PoP 10 SYSIB 2.2.1")
    cpu_id: u16 = at(0x64, ref="PoP 10 SYSIB 2.2.1", doc="logical CPU ID")
    cpu_address: u16 = at(0x66, ref="PoP 10 SYSIB 2.2.1")


@manual(ref="PoP 10 SYSIB 2.2.2")
class PartitionCharacteristics(IntFlag):
    """How the partition's CPUs are provided."""

    DEDICATED = 0x80
    SHARED = 0x40
    LIMITED = 0x20


@control_block(size=SYSIB_SIZE, byteorder="big", ref=STSI)
class Sysib222(ControlBlock):
    """2.2.2, the CPUs of the logical partition."""

    number: u16 = at(0x20, ref="PoP 10 SYSIB 2.2.2", doc="partition number")
    characteristics: u8 = at(0x23, ref="PoP 10 SYSIB 2.2.2", names=PartitionCharacteristics)
    total_cpus: u16 = at(0x24, ref="PoP 10 SYSIB 2.2.2")
    configured_cpus: u16 = at(0x26, ref="PoP 10 SYSIB 2.2.2")
    standby_cpus: u16 = at(0x28, ref="PoP 10 SYSIB 2.2.2")
    reserved_cpus: u16 = at(0x2A, ref="PoP 10 SYSIB 2.2.2")
    name: str = at(0x2C, size=8, ref="PoP 10 SYSIB 2.2.2", doc="partition name")
    capability_adjustment: u32 = at(0x34, ref="PoP 10 SYSIB 2.2.2")
    multithreading: bytes = at(0x40, size=3, ref="PoP 10 SYSIB 2.2.2")
    dedicated_cpus: u16 = at(0x48, ref="PoP 10 SYSIB 2.2.2")
    shared_cpus: u16 = at(0x4A, ref="PoP 10 SYSIB 2.2.2")
    extended_name_encoding: u8 = at(0x4F, ref="PoP 10 SYSIB 2.2.2")
    uuid: bytes = at(0x50, size=16, ref="PoP 10 SYSIB 2.2.2")
    extended_name: bytes = at(0x100, size=256, ref="PoP 10 SYSIB 2.2.2")


@control_block(size=64, byteorder="big", ref="PoP 10 SYSIB 3.2.2")
class VirtualMachine(ControlBlock):
    """A virtual-machine description block of SYSIB 3.2.2."""

    total_cpus: u16 = at(0x04, ref="PoP 10 SYSIB 3.2.2")
    configured_cpus: u16 = at(0x06, ref="PoP 10 SYSIB 3.2.2")
    standby_cpus: u16 = at(0x08, ref="PoP 10 SYSIB 3.2.2")
    reserved_cpus: u16 = at(0x0A, ref="PoP 10 SYSIB 3.2.2")
    name: str = at(0x0C, size=8, ref="PoP 10 SYSIB 3.2.2", doc="virtual machine's name")
    capability_adjustment: u32 = at(0x14, ref="PoP 10 SYSIB 3.2.2")
    control_program: str = at(0x18, size=16, ref="PoP 10 SYSIB 3.2.2", doc="e.g. KVM/Linux")
    extended_name_encoding: u8 = at(0x2B, ref="PoP 10 SYSIB 3.2.2", doc="1: UTF-8; 2: EBCDIC")
    uuid: bytes = at(0x30, size=16, ref="PoP 10 SYSIB 3.2.2")


@control_block(size=SYSIB_SIZE, byteorder="big", ref=STSI)
class Sysib322(ControlBlock):
    """3.2.2, the virtual machines; the one that asks is described first."""

    count_byte: u8 = at(0x1F, ref="PoP 10 SYSIB 3.2.2")
    machines: Blocks[VirtualMachine] = at(0x20, count=8, ref="PoP 10 SYSIB 3.2.2")
    extended_names: bytes = at(0x800, size=0x800, ref="PoP 10 SYSIB 3.2.2", doc="8 of 256 bytes")
    count: u8 = bits("count_byte", 4, 7, ref="PoP 10 SYSIB 3.2.2", doc="description blocks")
