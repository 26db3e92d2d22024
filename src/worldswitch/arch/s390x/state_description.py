"""The SIE state description, format 2 and 4, field by field.

Names and places are those of the public Linux layout (struct kvm_s390_sie_block). Bytes with
several meanings are declared once for each: which one holds depends on the interception code, or on
whether the guest is protected. The checks at entry are in `worldswitch.arch.s390x.validity`.
"""

from worldswitch.arch.control_block import (
    ControlBlock,
    at,
    bits,
    control_block,
    i16,
    inside,
    u8,
    u16,
    u32,
    u64,
    u64s,
)
from worldswitch.arch.s390x.external import ExternalCode
from worldswitch.arch.s390x.machine_check import MachineCheckCode
from worldswitch.arch.s390x.program import PerAtmid, PerCode
from worldswitch.arch.s390x.psw import Psw
from worldswitch.arch.s390x.sie_controls import (
    CpuStat,
    Eca,
    Ecb,
    Ecb2,
    Ecb3,
    Ecd,
    Fpf,
    Hpid,
    Icpt,
    IcptStatus,
    Ictl,
    Iictl,
    Lctl,
    Prog0c,
    Prog20,
    SdFormat,
    Svcc,
)

SIZE = 0x200
ALIGNMENT = 0x200
PREFIX_SHIFT = 13
MAIN_STORAGE_MASK = 0xFFFF_FFFF_FFF0_0000  # mso and msl count in MiB; bits 44-63 are ignored


@control_block(size=SIZE, byteorder="big", ref="SIE state description")
class StateDescription(ControlBlock):
    """What the operand of START INTERPRETIVE EXECUTION designates."""

    cpuflags: u32 = at(0x000, ref="SIE cpuflags", names=CpuStat)
    prefix_ibc: u32 = at(0x004, ref="SIE prefix")
    prefix: u32 = bits("prefix_ibc", 1, 18, ref="SIE prefix", doc="guest prefix in 8 KiB")
    ibc: u32 = bits("prefix_ibc", 20, 31, ref="SIE ibc", doc="instruction blocking level")
    prog0c: u32 = at(0x00C, ref="SIE prog0c", names=Prog0c)
    pv_handle_cpu: u64 = at(0x010, ref="SIE protected guest")
    pv_handle_config: u64 = at(0x018, ref="SIE protected guest")
    prog20: u32 = at(0x020, ref="SIE prog20", names=Prog20)
    cputm: u64 = at(0x028, ref="SIE cputm", doc="guest CPU timer")
    ckc: u64 = at(0x030, ref="SIE ckc", doc="guest clock comparator")
    epoch: u64 = at(0x038, ref="SIE epoch", doc="guest TOD minus host TOD")
    svcc: u32 = at(0x040, ref="XA-IE SVC Controls", names=Svcc)
    lctl: u16 = at(0x044, ref="SIE lctl", names=Lctl)
    icpua: i16 = at(0x046, ref="SIE icpua", doc="guest CPU address")
    ictl: u32 = at(0x048, ref="XA-IE Interception Controls", names=Ictl)
    eca: u32 = at(0x04C, ref="SIE eca", names=Eca)
    icptcode: u8 = at(0x050, ref="SIE icptcode", names=Icpt)
    icptstatus: u8 = at(0x051, ref="SIE icptstatus", names=IcptStatus)
    ihcpu: u16 = at(0x052, ref="SIE ihcpu", doc="last host CPU; FFFF: flush this guest's TLB")
    iictl: u8 = at(0x055, ref="SIE iictl", names=Iictl)
    ipa: u16 = at(0x056, ref="SIE ipa", doc="intercepted instruction, bytes 0-1")
    ipb: u32 = at(0x058, ref="SIE ipb", doc="intercepted instruction, bytes 2-5")
    scaoh: u32 = at(0x05C, ref="SIE scao", doc="system-control area, bits 0-31")
    fpf: u8 = at(0x060, ref="SIE fpf", names=Fpf)
    ecb: u8 = at(0x061, ref="SIE ecb", names=Ecb)
    ecb2: u8 = at(0x062, ref="SIE ecb2", names=Ecb2)
    ecb3: u8 = at(0x063, ref="SIE ecb3", names=Ecb3)
    scaol: u32 = at(0x064, ref="SIE scao", doc="system-control area, bits 32-63")
    sdf: u8 = at(0x068, ref="SIE sdf", names=SdFormat)
    epdx: u8 = at(0x069, ref="SIE epdx", doc="epoch index")
    cpnc: u8 = at(0x06A, ref="SIE cpnc", doc="control-program name code")
    todpr: u32 = at(0x06C, ref="SIE todpr", doc="TOD programmable register")
    gd: u32 = at(0x070, ref="SIE gd", doc="guest interruption state area, format in bits 30-31")
    mso: u64 = at(0x080, ref="SIE mso", doc="main-storage origin")
    msl: u64 = at(0x088, ref="SIE msl", doc="main-storage limit, inclusive")
    gpsw: Psw = at(0x090, ref="SIE gpsw")
    gg14: u64 = at(0x0A0, ref="SIE gg14", doc="guest general register 14")
    gg15: u64 = at(0x0A8, ref="SIE gg15", doc="guest general register 15")
    hpid: u8 = at(0x0B8, ref="SIE hpid", names=Hpid)

    mcic: u64 = at(0x0C0, ref="SIE mcic", names=MachineCheckCode, variant="machine check")
    eiparams: u32 = at(0x0C0, ref="SIE eiparams", variant="external")
    extcpuaddr: u16 = at(0x0C4, ref="SIE extcpuaddr", variant="external")
    eic: u16 = at(0x0C6, ref="SIE eic", names=ExternalCode, variant="external")
    edc: u32 = at(0x0CC, ref="SIE edc", variant="machine check", doc="external damage")
    pgmilc: u16 = at(0x0CC, ref="SIE pgmilc", variant="program", doc="length, 0 2 4 or 6")
    iprcc: u16 = at(0x0CE, ref="SIE iprcc", variant="program", doc="interruption code")
    faddr: u64 = at(0x0D0, ref="SIE faddr", variant="machine check")
    dxc: u32 = at(0x0D0, ref="SIE dxc", variant="program", doc="data-exception code")
    mcn: u16 = at(0x0D4, ref="SIE mcn", variant="program", doc="monitor class")
    perc: u8 = at(0x0D6, ref="SIE perc", names=PerCode, variant="program")
    peratmid: u8 = at(0x0D7, ref="SIE peratmid", names=PerAtmid, variant="program")
    peraddr: u64 = at(0x0D8, ref="SIE peraddr")
    eai: u8 = at(0x0E0, ref="SIE eai", doc="exception access identification")
    peraid: u8 = at(0x0E1, ref="SIE peraid", doc="PER access identification")
    oai: u8 = at(0x0E2, ref="SIE oai", doc="operand access identification")
    armid: u8 = at(0x0E3, ref="SIE armid", doc="architectural-mode identification")
    tecmc: u64 = at(0x0E8, ref="SIE tecmc", variant="program", doc="TEID or monitor code")
    subchannel_id: u16 = at(0x0E8, ref="SIE I/O injection", variant="I/O")
    subchannel_nr: u16 = at(0x0EA, ref="SIE I/O injection", variant="I/O")
    io_int_parm: u32 = at(0x0EC, ref="SIE I/O injection", variant="I/O")
    io_int_word: u32 = at(0x0F0, ref="SIE I/O injection", variant="I/O")
    crycbd: u32 = at(0x0FC, ref="SIE crycbd", doc="crypto control block, format in bits 30-31")
    gcr: u64s = at(0x100, count=16, ref="SIE gcr")
    gbea: u64 = at(0x180, ref="SIE gbea", variant="format 2", doc="breaking-event address")
    sidad: u64 = at(0x180, ref="SIE sidad", variant="format 4", doc="instruction data area")
    sdnxo: u64 = at(0x190, ref="SIE sdnxo", doc="guarded storage and etoken; size in bits 60-63")
    fac: u32 = at(0x1A0, ref="SIE fac", doc="facility list, format in bits 29-31")
    cbrlo: u64 = at(0x1B8, ref="SIE cbrlo", doc="collaborative memory: block list origin")
    ecd: u32 = at(0x1C8, ref="SIE ecd", names=Ecd)
    pp: u64 = at(0x1DE, ref="SIE pp", doc="program parameter")
    itdba: u64 = at(0x1E8, ref="SIE itdba", doc="interception TDB")
    riccbd: u64 = at(0x1F0, ref="SIE riccbd", doc="runtime-instrumentation controls")
    gvrd: u64 = at(0x1F8, ref="SIE gvrd", doc="guest vector registers")

    gpsw_mask: u64 = inside("gpsw", "mask")
    gpsw_addr: u64 = inside("gpsw", "addr")
    gcr0: u64 = inside("gcr", 0)
    gcr1: u64 = inside("gcr", 1)
    gcr6: u64 = inside("gcr", 6)
    gcr14: u64 = inside("gcr", 14)


# Masks of addresses whose low bits mean something else.
SCA_ORIGIN_BASIC = 0xFFFF_FFFF_FFFF_FFF0
SCA_ORIGIN_EXTENDED = 0xFFFF_FFFF_FFFF_FFC0
GISA_ORIGIN = 0xFFFF_FFF0
GISA_FORMAT = 0x3
CRYCB_ORIGIN = 0x7FFF_FFF8
CRYCB_FORMAT = 0x3
FAC_ORIGIN = 0x7FFF_FFF8
FAC_FORMAT = 0x7
ITDB_ORIGIN = 0xFFFF_FFFF_FFFF_FF00
GVRD_ORIGIN = 0xFFFF_FFFF_FFFF_FE00
RICCB_ORIGIN = 0xFFFF_FFFF_FFFF_FFC0
SDNX_ORIGIN = 0xFFFF_FFFF_FFFF_FFF0
SDNX_SIZE = 0xF
SIDA_ORIGIN = 0xFFFF_FFFF_FFFF_F000
SIDA_SIZE = 0xFF
CBRL_ORIGIN = 0xFFFF_FFFF_FFFF_F000


def sca_origin(block: StateDescription) -> int:
    """The host address of the system-control area; 0 if there is none."""
    mask = SCA_ORIGIN_EXTENDED if block.ecb2 & Ecb2.ESCA else SCA_ORIGIN_BASIC
    return ((block.scaoh << 32) | block.scaol) & mask


def sida_size(block: StateDescription) -> int:
    """The length of a protected guest's instruction data area in bytes."""
    return ((block.sidad & SIDA_SIZE) + 1) * 4096


def is_protected(block: StateDescription) -> bool:
    """Whether the state description is a protected guest's (format 4)."""
    return block.sdf == SdFormat.FORMAT_4
