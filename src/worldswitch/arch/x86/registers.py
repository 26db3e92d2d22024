"""Control, debug and flags registers, EFER, XCR0 and the page-attribute table, bit by bit."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual

WIDTH_32 = 0xFFFF_FFFF
WIDTH_64 = 0xFFFF_FFFF_FFFF_FFFF


@manual(ref="APM2 3.1.1 CR0 Register")
class Cr0(IntFlag):
    """CR0: operating mode and the state of the coprocessor and the caches."""

    PE = 1 << 0
    MP = 1 << 1
    EM = 1 << 2
    TS = 1 << 3
    ET = 1 << 4
    NE = 1 << 5
    WP = 1 << 16
    AM = 1 << 18
    NW = 1 << 29
    CD = 1 << 30
    PG = 1 << 31


CR0_RESET = Cr0.CD | Cr0.NW | Cr0.ET
CR0_SELECTIVE = Cr0.TS | Cr0.MP
"""A write that changes other bits is what the selective CR0 intercept is about."""


@manual(ref="APM2 3.1.2 CR2 and CR3 Registers")
class Cr3(IntFlag):
    """CR3: the bits beside the address of the top-level table."""

    PWT = 1 << 3
    PCD = 1 << 4


CR3_PCID = 0xFFF
CR3_BASE_LEGACY = 0xFFFF_F000
CR3_BASE_PAE = 0xFFFF_FFE0
CR3_BASE_LONG = 0x000F_FFFF_FFFF_F000
CR3_NO_FLUSH = 1 << 63
"""In the operand of MOV to CR3 with CR4.PCIDE; never in the register itself."""


@manual(ref="APM2 3.1.3 CR4 Register")
class Cr4(IntFlag):
    """CR4: extensions that software turns on."""

    VME = 1 << 0
    PVI = 1 << 1
    TSD = 1 << 2
    DE = 1 << 3
    PSE = 1 << 4
    PAE = 1 << 5
    MCE = 1 << 6
    PGE = 1 << 7
    PCE = 1 << 8
    OSFXSR = 1 << 9
    OSXMMEXCPT = 1 << 10
    UMIP = 1 << 11
    LA57 = 1 << 12
    FSGSBASE = 1 << 16
    PCIDE = 1 << 17
    OSXSAVE = 1 << 18
    SMEP = 1 << 20
    SMAP = 1 << 21
    PKE = 1 << 22
    CET = 1 << 23


@manual(ref="APM2 3.1.7 Extended Feature Enable Register")
class Efer(IntFlag):
    """EFER (MSR C000_0080)."""

    SCE = 1 << 0
    LME = 1 << 8
    LMA = 1 << 10
    NXE = 1 << 11
    SVME = 1 << 12
    LMSLE = 1 << 13
    FFXSR = 1 << 14
    TCE = 1 << 15
    MCOMMIT = 1 << 17
    INTWB = 1 << 18
    UAIE = 1 << 20
    AIBRSE = 1 << 21


@manual(ref="APM2 3.1.6 RFLAGS Register")
class Rflags(IntFlag):
    """RFLAGS. Bit 1 is always one; IOPL is two bits."""

    CF = 1 << 0
    ONE = 1 << 1
    PF = 1 << 2
    AF = 1 << 4
    ZF = 1 << 6
    SF = 1 << 7
    TF = 1 << 8
    IF = 1 << 9
    DF = 1 << 10
    OF = 1 << 11
    IOPL_LOW = 1 << 12
    IOPL_HIGH = 1 << 13
    NT = 1 << 14
    RF = 1 << 16
    VM = 1 << 17
    AC = 1 << 18
    VIF = 1 << 19
    VIP = 1 << 20
    ID = 1 << 21


RFLAGS_IOPL_SHIFT = 12
RFLAGS_IOPL = Rflags.IOPL_LOW | Rflags.IOPL_HIGH
RFLAGS_STATUS = Rflags.CF | Rflags.PF | Rflags.AF | Rflags.ZF | Rflags.SF | Rflags.OF


@manual(ref="APM2 13.1.1 Debug Registers")
class Dr6(IntFlag):
    """DR6: what the debug exception was for. BLD is active low."""

    B0 = 1 << 0
    B1 = 1 << 1
    B2 = 1 << 2
    B3 = 1 << 3
    BLD = 1 << 11
    BD = 1 << 13
    BS = 1 << 14
    BT = 1 << 15


DR6_RESET = 0xFFFF_0FF0


@manual(ref="APM2 13.1.1 Debug Registers")
class Dr7(IntFlag):
    """DR7: the enabling bits. Type and length of breakpoint N are at 16 + 4N and 18 + 4N."""

    L0 = 1 << 0
    G0 = 1 << 1
    L1 = 1 << 2
    G1 = 1 << 3
    L2 = 1 << 4
    G2 = 1 << 5
    L3 = 1 << 6
    G3 = 1 << 7
    LE = 1 << 8
    GE = 1 << 9
    ONE = 1 << 10
    GD = 1 << 13


DR7_RESET = 0x0000_0400
DR7_TYPE_SHIFT = 16
DR7_LENGTH_SHIFT = 18
DR7_STEP = 4


@manual(ref="APM2 13.1.1 Debug Registers")
class BreakpointType(IntEnum):
    """The R/W field of a breakpoint in DR7."""

    EXECUTE = 0
    WRITE = 1
    IO = 2
    ACCESS = 3


BREAKPOINT_LENGTHS = (1, 2, 8, 4)
"""Bytes by the LEN field of DR7."""


@manual(ref="APM2 13.1.1 Debug Registers; APM2 15.23 Last Branch Record Virtualization")
class DebugCtl(IntFlag):
    """DebugCtl (MSR 1D9)."""

    LBR = 1 << 0
    BTF = 1 << 1
    PB0 = 1 << 2
    PB1 = 1 << 3
    PB2 = 1 << 4
    PB3 = 1 << 5
    FREEZE_LBRS_ON_PMI = 1 << 11
    FREEZE_PERFMON_ON_PMI = 1 << 12


@manual(ref="APM2 11.5.2 XFEATURE_ENABLED_MASK")
class Xcr0(IntFlag):
    """XCR0: state components that XSAVE manages."""

    X87 = 1 << 0
    SSE = 1 << 1
    AVX = 1 << 2
    OPMASK = 1 << 5
    ZMM_HI256 = 1 << 6
    HI16_ZMM = 1 << 7
    PKRU = 1 << 9


@manual(ref="APM2 18.12 Shadow Stack MSRs")
class Cet(IntFlag):
    """U_CET and S_CET; AMD has the shadow-stack bits alone."""

    SH_STK_EN = 1 << 0
    WR_SHSTK_EN = 1 << 1


CET_DEFINED = Cet.SH_STK_EN | Cet.WR_SHSTK_EN


@manual(ref="APM2 7.8.1 PAT Register")
class MemoryType(IntEnum):
    """Memory types of PAT fields (and, without UC_MINUS, of MTRRs)."""

    UC = 0
    WC = 1
    WT = 4
    WP = 5
    WB = 6
    UC_MINUS = 7


PAT_RESET = 0x0007_0406_0007_0406


def pat_entry(pat: int, index: int) -> int:
    """The byte of PA0 to PA7 in a PAT value; its upper five bits are reserved."""
    return (pat >> (8 * index)) & 0xFF


def pat_value(*types: MemoryType) -> int:
    """The PAT value of eight memory types, PA0 first."""
    if len(types) != 8:
        raise ValueError(f"a PAT has eight fields, not {len(types)}")
    return sum(kind << (8 * index) for index, kind in enumerate(types))


@manual(ref="APM2 3.2.15 Speculation Control MSRs")
class SpecCtrl(IntFlag):
    """SPEC_CTRL (MSR 48)."""

    IBRS = 1 << 0
    STIBP = 1 << 1
    SSBD = 1 << 2
    PSFD = 1 << 7
