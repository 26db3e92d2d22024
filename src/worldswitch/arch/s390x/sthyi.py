"""STORE HYPERVISOR INFORMATION: the sections of the response page."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import (
    ControlBlock,
    at,
    control_block,
    manual,
    u8,
    u16,
    u32,
)

STHYI_OPCODE = 0xB256
RESPONSE_SIZE = 4096


@manual(ref="STHYI function codes")
class FunctionCode(IntEnum):
    """Bits 48-63 of general register R1."""

    CPU_CAPACITY = 0


@manual(ref="STHYI return codes")
class ReturnCode(IntEnum):
    """General register R2 + 1."""

    OK = 0
    UNSUPPORTED_FUNCTION = 4


@manual(ref="STHYI header section")
class HeaderFlags(IntFlag):
    """infhflg1: what is missing from the response, and why."""

    PERFORMANCE_DATA_UNAVAILABLE = 0x80
    STSI_UNAVAILABLE = 0x40
    STACK_INCOMPLETE = 0x20
    NOT_IN_PARTITION = 0x10


@manual(ref="STHYI machine section")
class MachineValidity(IntFlag):
    """infmval1: which fields of the machine section are valid."""

    COUNTS = 0x80
    ID = 0x40
    NAME = 0x20


@manual(ref="STHYI partition section")
class PartitionFlags(IntFlag):
    """infpflg1."""

    MULTITHREADING = 0x80


@manual(ref="STHYI partition section")
class PartitionValidity(IntFlag):
    """infpval1: which fields of the partition section are valid."""

    COUNTS = 0x80
    WEIGHT_CAPS = 0x40
    ABSOLUTE_CAPS = 0x20
    ID = 0x10
    GROUP = 0x08


@control_block(size=48, byteorder="big", ref="STHYI header section")
class HeaderSection(ControlBlock):
    """The first section: where the others are. Offsets count from the response's start."""

    infhflg1: u8 = at(0x00, ref="STHYI header section", names=HeaderFlags)
    infhflg2: u8 = at(0x01, ref="STHYI header section")
    infhval1: u8 = at(0x02, ref="STHYI header section")
    infhval2: u8 = at(0x03, ref="STHYI header section")
    infhygct: u8 = at(0x07, ref="STHYI header section", doc="hypervisor and guest section pairs")
    infhtotl: u16 = at(0x08, ref="STHYI header section", doc="total length")
    infhdln: u16 = at(0x0A, ref="STHYI header section", doc="header's length")
    infmoff: u16 = at(0x0C, ref="STHYI header section", doc="machine section")
    infmlen: u16 = at(0x0E, ref="STHYI header section")
    infpoff: u16 = at(0x10, ref="STHYI header section", doc="partition section")
    infplen: u16 = at(0x12, ref="STHYI header section")
    infhoff1: u16 = at(0x14, ref="STHYI header section", doc="first hypervisor section")
    infhlen1: u16 = at(0x16, ref="STHYI header section")
    infgoff1: u16 = at(0x18, ref="STHYI header section", doc="first guest section")
    infglen1: u16 = at(0x1A, ref="STHYI header section")
    infhoff2: u16 = at(0x1C, ref="STHYI header section")
    infhlen2: u16 = at(0x1E, ref="STHYI header section")
    infgoff2: u16 = at(0x20, ref="STHYI header section")
    infglen2: u16 = at(0x22, ref="STHYI header section")
    infhoff3: u16 = at(0x24, ref="STHYI header section")
    infhlen3: u16 = at(0x26, ref="STHYI header section")
    infgoff3: u16 = at(0x28, ref="STHYI header section")
    infglen3: u16 = at(0x2A, ref="STHYI header section")


@control_block(size=64, byteorder="big", ref="STHYI machine section")
class MachineSection(ControlBlock):
    """The machine: its CPUs and its identification."""

    infmflg1: u8 = at(0x00, ref="STHYI machine section")
    infmflg2: u8 = at(0x01, ref="STHYI machine section")
    infmval1: u8 = at(0x02, ref="STHYI machine section", names=MachineValidity)
    infmval2: u8 = at(0x03, ref="STHYI machine section")
    infmscps: u16 = at(0x04, ref="STHYI machine section", doc="shared CPs")
    infmdcps: u16 = at(0x06, ref="STHYI machine section", doc="dedicated CPs")
    infmsifl: u16 = at(0x08, ref="STHYI machine section", doc="shared IFLs")
    infmdifl: u16 = at(0x0A, ref="STHYI machine section", doc="dedicated IFLs")
    infmname: str = at(0x0C, size=8, ref="STHYI machine section", doc="machine name")
    infmtype: str = at(0x14, size=4, ref="STHYI machine section", doc="machine type")
    infmmanu: str = at(0x18, size=16, ref="STHYI machine section", doc="manufacturer")
    infmseq: str = at(0x28, size=16, ref="STHYI machine section", doc="sequence code")
    infmpman: str = at(0x38, size=4, ref="STHYI machine section", doc="plant")


@control_block(size=56, byteorder="big", ref="STHYI partition section")
class PartitionSection(ControlBlock):
    """The logical partition: its CPUs and caps."""

    infpflg1: u8 = at(0x00, ref="STHYI partition section", names=PartitionFlags)
    infpflg2: u8 = at(0x01, ref="STHYI partition section")
    infpval1: u8 = at(0x02, ref="STHYI partition section", names=PartitionValidity)
    infpval2: u8 = at(0x03, ref="STHYI partition section")
    infppnum: u16 = at(0x04, ref="STHYI partition section", doc="partition number")
    infpscps: u16 = at(0x06, ref="STHYI partition section", doc="shared CPs")
    infpdcps: u16 = at(0x08, ref="STHYI partition section", doc="dedicated CPs")
    infpsifl: u16 = at(0x0A, ref="STHYI partition section", doc="shared IFLs")
    infpdifl: u16 = at(0x0C, ref="STHYI partition section", doc="dedicated IFLs")
    infppnam: str = at(0x10, size=8, ref="STHYI partition section", doc="partition name")
    infpwbcp: u32 = at(0x18, ref="STHYI partition section", doc="weight cap of the CPs")
    infpabcp: u32 = at(0x1C, ref="STHYI partition section", doc="absolute cap of the CPs")
    infpwbif: u32 = at(0x20, ref="STHYI partition section", doc="weight cap of the IFLs")
    infpabif: u32 = at(0x24, ref="STHYI partition section", doc="absolute cap of the IFLs")
    infplgnm: str = at(0x28, size=8, ref="STHYI partition section", doc="group name")
    infplgcp: u32 = at(0x30, ref="STHYI partition section", doc="group cap of the CPs")
    infplgif: u32 = at(0x34, ref="STHYI partition section", doc="group cap of the IFLs")


@manual(ref="STHYI hypervisor section")
class HypervisorType(IntEnum):
    """infytype. IMPDEF: a public number exists for z/VM alone."""

    ZVM = 1


@control_block(size=32, byteorder="big", ref="STHYI hypervisor section")
class HypervisorSection(ControlBlock):
    """A hypervisor between the partition and the guest."""

    infyflg1: u8 = at(0x00, ref="STHYI hypervisor section")
    infyflg2: u8 = at(0x01, ref="STHYI hypervisor section")
    infyval1: u8 = at(0x02, ref="STHYI hypervisor section")
    infyval2: u8 = at(0x03, ref="STHYI hypervisor section")
    infytype: u8 = at(0x04, ref="STHYI hypervisor section", names=HypervisorType)
    infycpt: u8 = at(0x06, ref="STHYI hypervisor section", doc="threads in use per CP core")
    infyiflt: u8 = at(0x07, ref="STHYI hypervisor section", doc="threads in use per IFL core")
    infysyid: str = at(0x08, size=8, ref="STHYI hypervisor section", doc="system identifier")
    infyclnm: str = at(0x10, size=8, ref="STHYI hypervisor section", doc="cluster name")
    infyscps: u16 = at(0x18, ref="STHYI hypervisor section", doc="shared CPs")
    infydcps: u16 = at(0x1A, ref="STHYI hypervisor section", doc="dedicated CPs")
    infysifl: u16 = at(0x1C, ref="STHYI hypervisor section", doc="shared IFLs")
    infydifl: u16 = at(0x1E, ref="STHYI hypervisor section", doc="dedicated IFLs")


@control_block(size=56, byteorder="big", ref="STHYI guest section")
class GuestSection(ControlBlock):
    """A guest of the hypervisor before it: its virtual CPUs and caps."""

    infgflg1: u8 = at(0x00, ref="STHYI guest section")
    infgflg2: u8 = at(0x01, ref="STHYI guest section")
    infgval1: u8 = at(0x02, ref="STHYI guest section")
    infgval2: u8 = at(0x03, ref="STHYI guest section")
    infgusid: str = at(0x04, size=8, ref="STHYI guest section", doc="user ID")
    infgscps: u16 = at(0x0C, ref="STHYI guest section", doc="shared CPs")
    infgdcps: u16 = at(0x0E, ref="STHYI guest section", doc="dedicated CPs")
    infgcpdt: u8 = at(0x10, ref="STHYI guest section", doc="dispatch type of the CPs")
    infgcpcc: u32 = at(0x14, ref="STHYI guest section", doc="cap of the CPs")
    infgsifl: u16 = at(0x18, ref="STHYI guest section", doc="shared IFLs")
    infgdifl: u16 = at(0x1A, ref="STHYI guest section", doc="dedicated IFLs")
    infgifdt: u8 = at(0x1C, ref="STHYI guest section", doc="dispatch type of the IFLs")
    infgifcc: u32 = at(0x20, ref="STHYI guest section", doc="cap of the IFLs")
    infgpflg: u8 = at(0x24, ref="STHYI guest section", doc="resource pool's flags")
    infgpnam: str = at(0x28, size=8, ref="STHYI guest section", doc="resource pool's name")
    infgpccc: u32 = at(0x30, ref="STHYI guest section", doc="resource pool's CP cap")
    infgpicc: u32 = at(0x34, ref="STHYI guest section", doc="resource pool's IFL cap")


WEIGHT_DEDICATED = 0xFFFF
CAP_UNIT = 0x1_0000  # one whole CPU in the cap fields
