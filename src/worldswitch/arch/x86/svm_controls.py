"""The VMCB's control bits: intercepts, TLB control, clean bits, event injection, nested paging."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual
from worldswitch.arch.x86.exceptions import Vector


@manual(ref="APM2 15.9 Instruction Intercepts; APM2 B.1 Layout of VMCB Control Area")
class CrIntercept(IntFlag):
    """Intercepts of reads (bits 15:0) and writes (bits 31:16) of CR0 to CR15."""

    CR0_READ = 1 << 0
    CR1_READ = 1 << 1
    CR2_READ = 1 << 2
    CR3_READ = 1 << 3
    CR4_READ = 1 << 4
    CR5_READ = 1 << 5
    CR6_READ = 1 << 6
    CR7_READ = 1 << 7
    CR8_READ = 1 << 8
    CR9_READ = 1 << 9
    CR10_READ = 1 << 10
    CR11_READ = 1 << 11
    CR12_READ = 1 << 12
    CR13_READ = 1 << 13
    CR14_READ = 1 << 14
    CR15_READ = 1 << 15
    CR0_WRITE = 1 << 16
    CR1_WRITE = 1 << 17
    CR2_WRITE = 1 << 18
    CR3_WRITE = 1 << 19
    CR4_WRITE = 1 << 20
    CR5_WRITE = 1 << 21
    CR6_WRITE = 1 << 22
    CR7_WRITE = 1 << 23
    CR8_WRITE = 1 << 24
    CR9_WRITE = 1 << 25
    CR10_WRITE = 1 << 26
    CR11_WRITE = 1 << 27
    CR12_WRITE = 1 << 28
    CR13_WRITE = 1 << 29
    CR14_WRITE = 1 << 30
    CR15_WRITE = 1 << 31


@manual(ref="APM2 15.9 Instruction Intercepts; APM2 B.1 Layout of VMCB Control Area")
class DrIntercept(IntFlag):
    """Intercepts of reads (bits 15:0) and writes (bits 31:16) of DR0 to DR15."""

    DR0_READ = 1 << 0
    DR1_READ = 1 << 1
    DR2_READ = 1 << 2
    DR3_READ = 1 << 3
    DR4_READ = 1 << 4
    DR5_READ = 1 << 5
    DR6_READ = 1 << 6
    DR7_READ = 1 << 7
    DR8_READ = 1 << 8
    DR9_READ = 1 << 9
    DR10_READ = 1 << 10
    DR11_READ = 1 << 11
    DR12_READ = 1 << 12
    DR13_READ = 1 << 13
    DR14_READ = 1 << 14
    DR15_READ = 1 << 15
    DR0_WRITE = 1 << 16
    DR1_WRITE = 1 << 17
    DR2_WRITE = 1 << 18
    DR3_WRITE = 1 << 19
    DR4_WRITE = 1 << 20
    DR5_WRITE = 1 << 21
    DR6_WRITE = 1 << 22
    DR7_WRITE = 1 << 23
    DR8_WRITE = 1 << 24
    DR9_WRITE = 1 << 25
    DR10_WRITE = 1 << 26
    DR11_WRITE = 1 << 27
    DR12_WRITE = 1 << 28
    DR13_WRITE = 1 << 29
    DR14_WRITE = 1 << 30
    DR15_WRITE = 1 << 31


@manual(ref="APM2 15.12 Exception Intercepts; APM2 B.1 Layout of VMCB Control Area")
class ExceptionIntercept(IntFlag):
    """Intercepts of exceptions, by vector."""

    DE = 1 << Vector.DE
    DB = 1 << Vector.DB
    NMI = 1 << Vector.NMI
    BP = 1 << Vector.BP
    OF = 1 << Vector.OF
    BR = 1 << Vector.BR
    UD = 1 << Vector.UD
    NM = 1 << Vector.NM
    DF = 1 << Vector.DF
    TS = 1 << Vector.TS
    NP = 1 << Vector.NP
    SS = 1 << Vector.SS
    GP = 1 << Vector.GP
    PF = 1 << Vector.PF
    MF = 1 << Vector.MF
    AC = 1 << Vector.AC
    MC = 1 << Vector.MC
    XF = 1 << Vector.XF
    CP = 1 << Vector.CP
    HV = 1 << Vector.HV
    VC = 1 << Vector.VC
    SX = 1 << Vector.SX


@manual(ref="APM2 15.9 Instruction Intercepts; APM2 B.1 Layout of VMCB Control Area")
class Intercept1(IntFlag):
    """Interrupts, instructions and conditions of the fourth vector, at 00C."""

    INTR = 1 << 0
    NMI = 1 << 1
    SMI = 1 << 2
    INIT = 1 << 3
    VINTR = 1 << 4
    CR0_SEL_WRITE = 1 << 5
    IDTR_READ = 1 << 6
    GDTR_READ = 1 << 7
    LDTR_READ = 1 << 8
    TR_READ = 1 << 9
    IDTR_WRITE = 1 << 10
    GDTR_WRITE = 1 << 11
    LDTR_WRITE = 1 << 12
    TR_WRITE = 1 << 13
    RDTSC = 1 << 14
    RDPMC = 1 << 15
    PUSHF = 1 << 16
    POPF = 1 << 17
    CPUID = 1 << 18
    RSM = 1 << 19
    IRET = 1 << 20
    INTN = 1 << 21
    INVD = 1 << 22
    PAUSE = 1 << 23
    HLT = 1 << 24
    INVLPG = 1 << 25
    INVLPGA = 1 << 26
    IOIO_PROT = 1 << 27
    MSR_PROT = 1 << 28
    TASK_SWITCH = 1 << 29
    FERR_FREEZE = 1 << 30
    SHUTDOWN = 1 << 31


@manual(ref="APM2 15.9 Instruction Intercepts; APM2 B.1 Layout of VMCB Control Area")
class Intercept2(IntFlag):
    """Instructions of the fifth vector, at 010, and traps after writes of registers."""

    VMRUN = 1 << 0
    VMMCALL = 1 << 1
    VMLOAD = 1 << 2
    VMSAVE = 1 << 3
    STGI = 1 << 4
    CLGI = 1 << 5
    SKINIT = 1 << 6
    RDTSCP = 1 << 7
    ICEBP = 1 << 8
    WBINVD = 1 << 9
    MONITOR = 1 << 10
    MWAIT = 1 << 11
    MWAIT_CONDITIONAL = 1 << 12
    XSETBV = 1 << 13
    RDPRU = 1 << 14
    EFER_WRITE_TRAP = 1 << 15
    CR0_WRITE_TRAP = 1 << 16
    CR1_WRITE_TRAP = 1 << 17
    CR2_WRITE_TRAP = 1 << 18
    CR3_WRITE_TRAP = 1 << 19
    CR4_WRITE_TRAP = 1 << 20
    CR5_WRITE_TRAP = 1 << 21
    CR6_WRITE_TRAP = 1 << 22
    CR7_WRITE_TRAP = 1 << 23
    CR8_WRITE_TRAP = 1 << 24
    CR9_WRITE_TRAP = 1 << 25
    CR10_WRITE_TRAP = 1 << 26
    CR11_WRITE_TRAP = 1 << 27
    CR12_WRITE_TRAP = 1 << 28
    CR13_WRITE_TRAP = 1 << 29
    CR14_WRITE_TRAP = 1 << 30
    CR15_WRITE_TRAP = 1 << 31


@manual(ref="APM2 15.9 Instruction Intercepts; APM2 B.1 Layout of VMCB Control Area")
class Intercept3(IntFlag):
    """Instructions of the sixth vector, at 014."""

    INVLPGB = 1 << 0
    INVLPGB_ILLEGAL = 1 << 1
    INVPCID = 1 << 2
    MCOMMIT = 1 << 3
    TLBSYNC = 1 << 4
    BUS_LOCK = 1 << 5
    IDLE_HLT = 1 << 6


INTERCEPT_VECTORS = (
    "intercept_cr",
    "intercept_dr",
    "intercept_exceptions",
    "intercept_1",
    "intercept_2",
    "intercept_3",
)
"""The fields of the VMCB's control area that hold intercepts, in order of offset."""


def intercept_of(exit_code: int) -> tuple[str, int] | None:
    """The field and the bit that make a guest leave with an exit code; None if it needs none.

    The codes below C0 number the bits of the vectors. ref: APM2 C.
    """
    if not 0 <= exit_code < 32 * len(INTERCEPT_VECTORS):
        return None
    return INTERCEPT_VECTORS[exit_code // 32], 1 << (exit_code % 32)


@manual(ref="APM2 15.16.2 TLB Control")
class TlbControl(IntEnum):
    """TLB_CONTROL: what VMRUN flushes. The last two need flush-by-ASID.

    Other values are reserved; VMRUN does not refuse them, and real hypervisors rely on that.
    """

    DO_NOTHING = 0
    FLUSH_ALL = 1
    FLUSH_GUEST = 3
    FLUSH_GUEST_NON_GLOBAL = 7


FLUSH_BY_ASID = frozenset({TlbControl.FLUSH_GUEST, TlbControl.FLUSH_GUEST_NON_GLOBAL})


@manual(ref="APM2 15.15.3 VMCB Clean Bits")
class Clean(IntFlag):
    """VMCB clean bits: groups of fields that the processor may take from its cache."""

    INTERCEPTS = 1 << 0  # the manual's I
    IOPM = 1 << 1
    ASID = 1 << 2
    TPR = 1 << 3
    NP = 1 << 4
    CRX = 1 << 5
    DRX = 1 << 6
    DT = 1 << 7
    SEG = 1 << 8
    CR2 = 1 << 9
    LBR = 1 << 10
    AVIC = 1 << 11
    CET = 1 << 12


CLEAN_CONTROL: dict[Clean, tuple[str, ...]] = {
    Clean.INTERCEPTS: (
        *INTERCEPT_VECTORS,
        "pause_filter_threshold",
        "pause_filter_count",
        "tsc_offset",
    ),
    Clean.IOPM: ("iopm_base_pa", "msrpm_base_pa"),
    Clean.ASID: ("asid",),
    Clean.TPR: ("v_intr",),
    Clean.NP: ("nested_control", "nested_cr3"),
    Clean.AVIC: (
        "avic_apic_bar",
        "avic_backing_page",
        "avic_logical_table",
        "avic_physical_table",
    ),
}
"""The fields of the control area in each group."""
CLEAN_SAVE: dict[Clean, tuple[str, ...]] = {
    Clean.NP: ("g_pat",),
    Clean.CRX: ("cr0", "cr3", "cr4", "efer"),
    Clean.DRX: ("dr6", "dr7"),
    Clean.DT: ("gdtr", "idtr"),
    Clean.SEG: ("es", "cs", "ss", "ds", "cpl"),
    Clean.CR2: ("cr2",),
    Clean.LBR: ("dbgctl", "br_from", "br_to", "last_excp_from", "last_excp_to"),
    Clean.CET: ("s_cet", "ssp", "isst_addr"),
}
"""The fields of the save area in each group."""


@manual(ref="APM2 15.20 Event Injection")
class EventType(IntEnum):
    """The type of an event in EVENTINJ and EXITINTINFO; all others are reserved."""

    INTR = 0
    NMI = 2
    EXCEPTION = 3
    SOFTWARE = 4


@manual(ref="APM2 15.20 Event Injection")
class Event(IntFlag):
    """EVENTINJ and EXITINTINFO, beside vector, type and error code."""

    EV = 1 << 11
    V = 1 << 31


EVENT_VECTOR = 0xFF
EVENT_TYPE_SHIFT, EVENT_TYPE_MASK = 8, 0x7
EVENT_ERROR_SHIFT = 32


def event(kind: EventType, vector: int, error_code: int | None = None) -> int:
    """The value of EVENTINJ that injects an event, with an error code if one is given."""
    value = Event.V | (kind << EVENT_TYPE_SHIFT) | (vector & EVENT_VECTOR)
    if error_code is None:
        return value
    return value | Event.EV | ((error_code & 0xFFFF_FFFF) << EVENT_ERROR_SHIFT)


@manual(ref="APM2 15.25.3 Enabling Nested Paging; APM2 B.1 Layout of VMCB Control Area")
class NestedControl(IntFlag):
    """The word at 090: nested paging, and guests whose memory is encrypted."""

    NP_ENABLE = 1 << 0
    SEV = 1 << 1
    SEV_ES = 1 << 2
    GMET = 1 << 3
    SSS_CHECK = 1 << 4
    VTE = 1 << 5
    READ_ONLY_GPT = 1 << 6
    INVLPGB_ENABLE = 1 << 7


@manual(ref="APM2 15.23 Last Branch Record Virtualization; APM2 15.33.1 VMSAVE and VMLOAD")
class VirtExt(IntFlag):
    """The word at 0B8: virtualization of branch records, VMLOAD and VMSAVE, and sampling."""

    LBR = 1 << 0
    VMSAVE_VMLOAD = 1 << 1
    IBS = 1 << 2
    PMC = 1 << 3


@manual(ref="APM2 15.21.5 Interrupt Shadows; APM2 B.1 Layout of VMCB Control Area")
class IntState(IntFlag):
    """The word at 068."""

    INTERRUPT_SHADOW = 1 << 0
    GUEST_INTERRUPT_MASK = 1 << 1
