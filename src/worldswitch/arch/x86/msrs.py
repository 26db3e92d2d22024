"""Model-specific registers: numbers by name, and the bits of those that concern virtualization."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="APM2 A.1 MSR Cross-Reference")
class Msr(IntEnum):
    """MSR numbers, as ECX has them for RDMSR and WRMSR."""

    P5_MC_ADDR = 0x0000_0000
    P5_MC_TYPE = 0x0000_0001
    TSC = 0x0000_0010
    PLATFORM_ID = 0x0000_0017
    APIC_BASE = 0x0000_001B
    FEATURE_CONTROL = 0x0000_003A
    TSC_ADJUST = 0x0000_003B
    SPEC_CTRL = 0x0000_0048
    PRED_CMD = 0x0000_0049
    PATCH_LOADER_SIG = 0x0000_008B
    MPERF = 0x0000_00E7
    APERF = 0x0000_00E8
    MTRRCAP = 0x0000_00FE
    ARCH_CAPABILITIES = 0x0000_010A
    FLUSH_CMD = 0x0000_010B
    SYSENTER_CS = 0x0000_0174
    SYSENTER_ESP = 0x0000_0175
    SYSENTER_EIP = 0x0000_0176
    MCG_CAP = 0x0000_0179
    MCG_STATUS = 0x0000_017A
    MCG_CTL = 0x0000_017B
    MISC_ENABLE = 0x0000_01A0
    DEBUGCTL = 0x0000_01D9
    LAST_BRANCH_FROM = 0x0000_01DB
    LAST_BRANCH_TO = 0x0000_01DC
    LAST_EXCEPTION_FROM = 0x0000_01DD
    LAST_EXCEPTION_TO = 0x0000_01DE
    MTRR_PHYS_BASE0 = 0x0000_0200
    MTRR_PHYS_MASK0 = 0x0000_0201
    MTRR_FIX_64K_00000 = 0x0000_0250
    MTRR_FIX_16K_80000 = 0x0000_0258
    MTRR_FIX_16K_A0000 = 0x0000_0259
    MTRR_FIX_4K_C0000 = 0x0000_0268
    MTRR_FIX_4K_C8000 = 0x0000_0269
    MTRR_FIX_4K_D0000 = 0x0000_026A
    MTRR_FIX_4K_D8000 = 0x0000_026B
    MTRR_FIX_4K_E0000 = 0x0000_026C
    MTRR_FIX_4K_E8000 = 0x0000_026D
    MTRR_FIX_4K_F0000 = 0x0000_026E
    MTRR_FIX_4K_F8000 = 0x0000_026F
    PAT = 0x0000_0277
    MTRR_DEF_TYPE = 0x0000_02FF
    MC0_CTL = 0x0000_0400
    MC0_STATUS = 0x0000_0401
    MC0_ADDR = 0x0000_0402
    MC0_MISC = 0x0000_0403
    U_CET = 0x0000_06A0
    S_CET = 0x0000_06A2
    PL0_SSP = 0x0000_06A4
    PL1_SSP = 0x0000_06A5
    PL2_SSP = 0x0000_06A6
    PL3_SSP = 0x0000_06A7
    ISST_ADDR = 0x0000_06A8
    TSC_DEADLINE = 0x0000_06E0
    X2APIC_BASE = 0x0000_0800
    XSS = 0x0000_0DA0

    EFER = 0xC000_0080
    STAR = 0xC000_0081
    LSTAR = 0xC000_0082
    CSTAR = 0xC000_0083
    SFMASK = 0xC000_0084
    MPERF_READONLY = 0xC000_00E7
    APERF_READONLY = 0xC000_00E8
    FS_BASE = 0xC000_0100
    GS_BASE = 0xC000_0101
    KERNEL_GS_BASE = 0xC000_0102
    TSC_AUX = 0xC000_0103
    TSC_RATIO = 0xC000_0104
    AMD_DBG_EXTN_CFG = 0xC000_010F
    PERF_GLOBAL_STATUS = 0xC000_0300
    PERF_GLOBAL_CTL = 0xC000_0301
    PERF_GLOBAL_STATUS_CLR = 0xC000_0302

    PERF_LEGACY_CTL0 = 0xC001_0000
    PERF_LEGACY_CTL1 = 0xC001_0001
    PERF_LEGACY_CTL2 = 0xC001_0002
    PERF_LEGACY_CTL3 = 0xC001_0003
    PERF_LEGACY_CTR0 = 0xC001_0004
    PERF_LEGACY_CTR1 = 0xC001_0005
    PERF_LEGACY_CTR2 = 0xC001_0006
    PERF_LEGACY_CTR3 = 0xC001_0007
    SYSCFG = 0xC001_0010
    HWCR = 0xC001_0015
    IORR_BASE0 = 0xC001_0016
    IORR_MASK0 = 0xC001_0017
    TOP_MEM = 0xC001_001A
    TOP_MEM2 = 0xC001_001D
    NB_CFG = 0xC001_001F
    PATCH_LOADER = 0xC001_0020
    INT_PENDING = 0xC001_0055
    MMIO_CFG_BASE = 0xC001_0058
    PSTATE_LIMIT = 0xC001_0061
    PSTATE_CTL = 0xC001_0062
    PSTATE_STATUS = 0xC001_0063
    SMBASE = 0xC001_0111
    SMM_ADDR = 0xC001_0112
    SMM_MASK = 0xC001_0113
    VM_CR = 0xC001_0114
    IGNNE = 0xC001_0115
    SMM_CTL = 0xC001_0116
    VM_HSAVE_PA = 0xC001_0117
    SVM_KEY = 0xC001_0118
    DOORBELL = 0xC001_011B
    VIRT_SPEC_CTRL = 0xC001_011F
    GHCB = 0xC001_0130
    SEV_STATUS = 0xC001_0131
    OSVW_ID_LENGTH = 0xC001_0140
    OSVW_STATUS = 0xC001_0141
    PERF_CTL0 = 0xC001_0200
    PERF_CTR0 = 0xC001_0201
    LS_CFG = 0xC001_1020
    IC_CFG = 0xC001_1021
    DC_CFG = 0xC001_1022
    DE_CFG = 0xC001_1029
    DR0_ADDR_MASK = 0xC001_1027
    IBS_FETCH_CTL = 0xC001_1030
    IBS_OP_CTL = 0xC001_1033


@manual(ref="APM2 15.30.1 VM_CR MSR")
class VmCr(IntFlag):
    """VM_CR: debugging, and whether firmware has disabled SVM."""

    DPD = 1 << 0
    R_INIT = 1 << 1
    DIS_A20M = 1 << 2
    LOCK = 1 << 3
    SVMDIS = 1 << 4


@manual(ref="APM2 15.30.3 SMM_CTL MSR")
class SmmCtl(IntFlag):
    """SMM_CTL, a write-only register."""

    DISMISS = 1 << 0
    ENTER = 1 << 1
    SMI_CYCLE = 1 << 2
    EXIT = 1 << 3
    RSM_CYCLE = 1 << 4


@manual(ref="APM2 3.2.10 Hardware Configuration Register")
class Hwcr(IntFlag):
    """HWCR, the bits that software here has a use for."""

    SMM_LOCK = 1 << 0
    TLB_CACHE_DIS = 1 << 3
    INVDWBINVD = 1 << 4
    IGNNE_EM = 1 << 8
    MONMWAIT_DIS = 1 << 9
    MONMWAIT_USER_EN = 1 << 10
    TSC_FREQ_SEL = 1 << 24


@manual(ref="APM2 7.7.2 MTRR Type Field; APM2 7.7.3 MTRR Default Type Register")
class MtrrDefType(IntFlag):
    """MTRRdefType, beside the default type in bits 7:0."""

    FE = 1 << 10
    E = 1 << 11


MTRR_VALID = 1 << 11
"""In a variable-range mask register."""

TSC_RATIO_ONE = 1 << 32
"""The TSC ratio of 1.0: 8 integer and 32 fractional bits. ref: APM2 15.30.5."""
TSC_RATIO_RESERVED = 0xFFFF_FF00_0000_0000

HSAVE_ALIGNMENT = 0x1000


def msr_name(number: int) -> str:
    """The name of an MSR, or its number in hexadecimal."""
    try:
        return Msr(number).name
    except ValueError:
        return f"{number:#010x}"
