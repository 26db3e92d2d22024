"""Exit codes of SVM, and what EXITINFO1 and EXITINFO2 mean with each."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="APM2 C SVM Intercept Exit Codes")
class SvmExit(IntEnum):
    """EXITCODE. The negative codes are given as the 64 bits that the VMCB holds."""

    CR0_READ = 0x000
    CR1_READ = 0x001
    CR2_READ = 0x002
    CR3_READ = 0x003
    CR4_READ = 0x004
    CR5_READ = 0x005
    CR6_READ = 0x006
    CR7_READ = 0x007
    CR8_READ = 0x008
    CR9_READ = 0x009
    CR10_READ = 0x00A
    CR11_READ = 0x00B
    CR12_READ = 0x00C
    CR13_READ = 0x00D
    CR14_READ = 0x00E
    CR15_READ = 0x00F
    CR0_WRITE = 0x010
    CR1_WRITE = 0x011
    CR2_WRITE = 0x012
    CR3_WRITE = 0x013
    CR4_WRITE = 0x014
    CR5_WRITE = 0x015
    CR6_WRITE = 0x016
    CR7_WRITE = 0x017
    CR8_WRITE = 0x018
    CR9_WRITE = 0x019
    CR10_WRITE = 0x01A
    CR11_WRITE = 0x01B
    CR12_WRITE = 0x01C
    CR13_WRITE = 0x01D
    CR14_WRITE = 0x01E
    CR15_WRITE = 0x01F
    DR0_READ = 0x020
    DR1_READ = 0x021
    DR2_READ = 0x022
    DR3_READ = 0x023
    DR4_READ = 0x024
    DR5_READ = 0x025
    DR6_READ = 0x026
    DR7_READ = 0x027
    DR8_READ = 0x028
    DR9_READ = 0x029
    DR10_READ = 0x02A
    DR11_READ = 0x02B
    DR12_READ = 0x02C
    DR13_READ = 0x02D
    DR14_READ = 0x02E
    DR15_READ = 0x02F
    DR0_WRITE = 0x030
    DR1_WRITE = 0x031
    DR2_WRITE = 0x032
    DR3_WRITE = 0x033
    DR4_WRITE = 0x034
    DR5_WRITE = 0x035
    DR6_WRITE = 0x036
    DR7_WRITE = 0x037
    DR8_WRITE = 0x038
    DR9_WRITE = 0x039
    DR10_WRITE = 0x03A
    DR11_WRITE = 0x03B
    DR12_WRITE = 0x03C
    DR13_WRITE = 0x03D
    DR14_WRITE = 0x03E
    DR15_WRITE = 0x03F
    EXCP_DE = 0x040
    EXCP_DB = 0x041
    EXCP_NMI = 0x042
    EXCP_BP = 0x043
    EXCP_OF = 0x044
    EXCP_BR = 0x045
    EXCP_UD = 0x046
    EXCP_NM = 0x047
    EXCP_DF = 0x048
    EXCP_9 = 0x049
    EXCP_TS = 0x04A
    EXCP_NP = 0x04B
    EXCP_SS = 0x04C
    EXCP_GP = 0x04D
    EXCP_PF = 0x04E
    EXCP_15 = 0x04F
    EXCP_MF = 0x050
    EXCP_AC = 0x051
    EXCP_MC = 0x052
    EXCP_XF = 0x053
    EXCP_20 = 0x054
    EXCP_CP = 0x055
    EXCP_22 = 0x056
    EXCP_23 = 0x057
    EXCP_24 = 0x058
    EXCP_25 = 0x059
    EXCP_26 = 0x05A
    EXCP_27 = 0x05B
    EXCP_HV = 0x05C
    EXCP_VC = 0x05D
    EXCP_SX = 0x05E
    EXCP_31 = 0x05F
    INTR = 0x060
    NMI = 0x061
    SMI = 0x062
    INIT = 0x063
    VINTR = 0x064
    CR0_SEL_WRITE = 0x065
    IDTR_READ = 0x066
    GDTR_READ = 0x067
    LDTR_READ = 0x068
    TR_READ = 0x069
    IDTR_WRITE = 0x06A
    GDTR_WRITE = 0x06B
    LDTR_WRITE = 0x06C
    TR_WRITE = 0x06D
    RDTSC = 0x06E
    RDPMC = 0x06F
    PUSHF = 0x070
    POPF = 0x071
    CPUID = 0x072
    RSM = 0x073
    IRET = 0x074
    SWINT = 0x075
    INVD = 0x076
    PAUSE = 0x077
    HLT = 0x078
    INVLPG = 0x079
    INVLPGA = 0x07A
    IOIO = 0x07B
    MSR = 0x07C
    TASK_SWITCH = 0x07D
    FERR_FREEZE = 0x07E
    SHUTDOWN = 0x07F
    VMRUN = 0x080
    VMMCALL = 0x081
    VMLOAD = 0x082
    VMSAVE = 0x083
    STGI = 0x084
    CLGI = 0x085
    SKINIT = 0x086
    RDTSCP = 0x087
    ICEBP = 0x088
    WBINVD = 0x089
    MONITOR = 0x08A
    MWAIT = 0x08B
    MWAIT_CONDITIONAL = 0x08C
    XSETBV = 0x08D
    RDPRU = 0x08E
    EFER_WRITE_TRAP = 0x08F
    CR0_WRITE_TRAP = 0x090
    CR1_WRITE_TRAP = 0x091
    CR2_WRITE_TRAP = 0x092
    CR3_WRITE_TRAP = 0x093
    CR4_WRITE_TRAP = 0x094
    CR5_WRITE_TRAP = 0x095
    CR6_WRITE_TRAP = 0x096
    CR7_WRITE_TRAP = 0x097
    CR8_WRITE_TRAP = 0x098
    CR9_WRITE_TRAP = 0x099
    CR10_WRITE_TRAP = 0x09A
    CR11_WRITE_TRAP = 0x09B
    CR12_WRITE_TRAP = 0x09C
    CR13_WRITE_TRAP = 0x09D
    CR14_WRITE_TRAP = 0x09E
    CR15_WRITE_TRAP = 0x09F
    INVLPGB = 0x0A0
    INVLPGB_ILLEGAL = 0x0A1
    INVPCID = 0x0A2
    MCOMMIT = 0x0A3
    TLBSYNC = 0x0A4
    BUS_LOCK = 0x0A5
    IDLE_HLT = 0x0A6
    NPF = 0x400
    AVIC_INCOMPLETE_IPI = 0x401
    AVIC_NOACCEL = 0x402
    VMGEXIT = 0x403
    INVALID = 0xFFFF_FFFF_FFFF_FFFF
    BUSY = 0xFFFF_FFFF_FFFF_FFFE
    IDLE_REQUIRED = 0xFFFF_FFFF_FFFF_FFFD
    INVALID_PMC = 0xFFFF_FFFF_FFFF_FFFC


FIRST_EXCEPTION, LAST_EXCEPTION = SvmExit.EXCP_DE, SvmExit.EXCP_DE + 31


@dataclass(frozen=True, slots=True)
class ExitInfo:
    """What EXITINFO1 and EXITINFO2 hold with an exit code; empty if nothing is defined.

    ``nrip`` says whether nRIP is the address of the next instruction, on a processor that saves it.
    """

    info1: str = ""
    info2: str = ""
    nrip: bool = False
    ref: str = "APM2 15.6 #VMEXIT"


_CR = ExitInfo(
    "with decode assists: bit 63 MOV CRn, bits 3:0 general register",
    nrip=True,
    ref="APM2 15.8.1 MOV CRx/DRx Intercepts",
)
_DR = ExitInfo(
    "with decode assists: bits 3:0 general register",
    nrip=True,
    ref="APM2 15.8.1 MOV CRx/DRx Intercepts",
)
_EXCEPTION = ExitInfo(ref="APM2 15.12 Exception Intercepts")
_ERROR = ExitInfo("error code", ref="APM2 15.12 Exception Intercepts")
_SOFTWARE = ExitInfo(nrip=True, ref="APM2 15.12 Exception Intercepts")
_INTERRUPT = ExitInfo(ref="APM2 15.13 Interrupt Intercepts")
_INSTRUCTION = ExitInfo(nrip=True, ref="APM2 15.9 Instruction Intercepts")
_WRITE_TRAP = ExitInfo("value written", ref="APM2 15.9 Instruction Intercepts")
_FAILED_ENTRY = ExitInfo(ref="APM2 15.5.1 Basic Operation")

_SPECIAL: dict[SvmExit, ExitInfo] = {
    SvmExit.EXCP_BP: _SOFTWARE,
    SvmExit.EXCP_OF: _SOFTWARE,
    SvmExit.EXCP_BR: _SOFTWARE,
    SvmExit.EXCP_PF: ExitInfo("error code", "linear address", ref="APM2 15.12.15 #PF"),
    SvmExit.SMI: ExitInfo("bit 0 internal", ref="APM2 15.13.3 SMI Intercept"),
    SvmExit.SWINT: ExitInfo(
        "with decode assists: vector", nrip=True, ref="APM2 15.8.2 INTn Intercepts"
    ),
    SvmExit.INVLPG: ExitInfo(
        "with decode assists: linear address", nrip=True, ref="APM2 15.8.3 INVLPG Intercepts"
    ),
    SvmExit.IOIO: ExitInfo(
        "port and form of the access",
        "rIP of the next instruction",
        nrip=True,
        ref="APM2 15.10.2 IOIO Intercept Information",
    ),
    SvmExit.MSR: ExitInfo("0 RDMSR, 1 WRMSR", nrip=True, ref="APM2 15.11 MSR Intercepts"),
    SvmExit.TASK_SWITCH: ExitInfo(
        "bits 15:0 selector of the new TSS",
        "reason, and error code if one is to be pushed",
        ref="APM2 15.14.1 Task Switch Intercept",
    ),
    SvmExit.FERR_FREEZE: ExitInfo(ref="APM2 15.14.2 Ferr_Freeze Intercept"),
    SvmExit.SHUTDOWN: ExitInfo(ref="APM2 15.14.3 Shutdown Intercept"),
    SvmExit.MWAIT: ExitInfo(
        "1 if the monitor was armed", nrip=True, ref="APM2 15.9 Instruction Intercepts"
    ),
    SvmExit.NPF: ExitInfo(
        "error code; bit 32 final translation, bit 33 guest table walk",
        "guest physical address",
        ref="APM2 15.25.6 Nested versus Guest Page Faults",
    ),
    SvmExit.AVIC_INCOMPLETE_IPI: ExitInfo(
        "interrupt command register",
        "bits 63:32 reason, bits 8:0 index of the target",
        ref="APM2 15.29.9.1 AVIC IPI Delivery Not Completed",
    ),
    SvmExit.AVIC_NOACCEL: ExitInfo(
        "bit 32 write, bits 11:4 register",
        "bits 7:0 vector of an EOI",
        ref="APM2 15.29.9.2 AVIC Access to Un-accelerated vAPIC Register",
    ),
    SvmExit.VMGEXIT: ExitInfo(ref="APM2 15.35.4 VMGEXIT"),
    SvmExit.EFER_WRITE_TRAP: _WRITE_TRAP,
    SvmExit.BUS_LOCK: ExitInfo(ref="APM2 15.14.5 Bus Lock Threshold"),
}
_WITH_ERROR_CODE = frozenset(
    {
        SvmExit.EXCP_DF,
        SvmExit.EXCP_TS,
        SvmExit.EXCP_NP,
        SvmExit.EXCP_SS,
        SvmExit.EXCP_GP,
        SvmExit.EXCP_AC,
        SvmExit.EXCP_CP,
        SvmExit.EXCP_VC,
        SvmExit.EXCP_SX,
    }
)


def _info(code: SvmExit) -> ExitInfo:
    if code in _SPECIAL:
        return _SPECIAL[code]
    if code <= SvmExit.CR15_WRITE:
        return _CR
    if code <= SvmExit.DR15_WRITE:
        return _DR
    if code <= LAST_EXCEPTION:
        return _ERROR if code in _WITH_ERROR_CODE else _EXCEPTION
    if code <= SvmExit.VINTR:
        return _INTERRUPT
    if SvmExit.CR0_WRITE_TRAP <= code <= SvmExit.CR15_WRITE_TRAP:
        return _WRITE_TRAP
    return _INSTRUCTION if code < SvmExit.NPF else _FAILED_ENTRY


EXIT_INFO: dict[SvmExit, ExitInfo] = {code: _info(code) for code in SvmExit}


@manual(ref="APM2 15.10.2 IOIO Intercept Information")
class IoioInfo(IntFlag):
    """EXITINFO1 with IOIO, beside the segment in bits 12:10 and the port in bits 31:16."""

    IN = 1 << 0
    STR = 1 << 2
    REP = 1 << 3
    SZ8 = 1 << 4
    SZ16 = 1 << 5
    SZ32 = 1 << 6
    A16 = 1 << 7
    A32 = 1 << 8
    A64 = 1 << 9


IOIO_SIZE_SHIFT, IOIO_SIZE_MASK = 4, 0x7
IOIO_ADDRESS_SHIFT, IOIO_ADDRESS_MASK = 7, 0x7
IOIO_SEGMENT_SHIFT, IOIO_SEGMENT_MASK = 10, 0x7
IOIO_PORT_SHIFT = 16
MOV_CR = 1 << 63
"""In EXITINFO1 of a control register's exit: the instruction was MOV, not CLTS, LMSW or SMSW."""


@manual(ref="APM2 15.25.6 Nested versus Guest Page Faults; APM2 15.36.10 RMP and VMPL Checks")
class NpfInfo(IntFlag):
    """EXITINFO1 with NPF; bits 31:0 are those of a page fault's error code."""

    P = 1 << 0
    RW = 1 << 1
    US = 1 << 2
    RSV = 1 << 3
    ID = 1 << 4
    SS = 1 << 6
    RMP = 1 << 31
    FINAL = 1 << 32
    GUEST_TABLE = 1 << 33
    ENC = 1 << 34
    SIZEM = 1 << 35
    VMPL = 1 << 36
    SSS = 1 << 37


@manual(ref="APM2 15.14.1 Task Switch Intercept")
class TaskSwitchInfo(IntFlag):
    """EXITINFO2 with TASK_SWITCH, above the error code in bits 31:0."""

    IRET = 1 << 36
    FAR_JMP = 1 << 38
    HAS_ERROR_CODE = 1 << 44
    RF = 1 << 48


@manual(ref="APM2 15.29.9.1 AVIC IPI Delivery Not Completed")
class IncompleteIpi(IntEnum):
    """Why AVIC could not deliver an interprocessor interrupt."""

    INVALID_TYPE = 0
    TARGET_NOT_RUNNING = 1
    INVALID_TARGET = 2
    INVALID_BACKING_PAGE = 3
    INVALID_VECTOR = 4
