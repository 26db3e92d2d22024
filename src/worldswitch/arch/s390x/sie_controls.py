"""The bits of the state description: intervention, interception and execution controls."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="SIE cpuflags")
class CpuStat(IntFlag):
    """cpuflags: the guest CPU's state, requests from outside, and its mode."""

    STOPPED = 0x8000_0000
    WAIT = 0x1000_0000
    ECALL_PEND = 0x0800_0000
    STOP_INT = 0x0400_0000
    IO_INT = 0x0200_0000
    EXT_INT = 0x0100_0000
    RUNNING = 0x0080_0000
    RETAINED = 0x0040_0000
    TIMING_SUB = 0x0002_0000
    SIE_SUB = 0x0001_0000
    RRF = 0x0000_8000
    SLSV = 0x0000_4000
    SLSR = 0x0000_2000
    ZARCH = 0x0000_0800
    KSS = 0x0000_0200
    MCDS = 0x0000_0100
    SM = 0x0000_0080
    IBS = 0x0000_0040
    GED2 = 0x0000_0010
    G = 0x0000_0008
    GED = 0x0000_0004
    J = 0x0000_0002
    P = 0x0000_0001


# Requests that end interpretation as soon as the guest can be interrupted.
INTERVENTION_REQUESTS = CpuStat.STOP_INT | CpuStat.IO_INT | CpuStat.EXT_INT


@manual(ref="XA-IE Interception Controls")
class Ictl(IntFlag):
    """ictl: which instructions and interruptions are intercepted."""

    OPEREXC = 0x8000_0000
    PRIVOP = 0x4000_0000
    PINT = 0x2000_0000
    TS_CC1 = 0x0800_0000
    CS_CC1 = 0x0400_0000
    CDS_CC1 = 0x0200_0000
    IPTE = 0x0100_0000
    LPSW = 0x0040_0000
    PTLB = 0x0020_0000
    SSM = 0x0010_0000
    BSA = 0x0008_0000
    STCTL = 0x0004_0000
    STNSM = 0x0002_0000
    STOSM = 0x0001_0000
    STCK = 0x0000_8000
    ISKE = 0x0000_4000
    SSKE = 0x0000_2000
    RRBE = 0x0000_1000
    PC = 0x0000_0800
    PT = 0x0000_0400
    TPROT = 0x0000_0200
    LASP = 0x0000_0100
    VACSV = 0x0000_0080
    SPT = 0x0000_0040
    SCKC = 0x0000_0020
    VACRS = 0x0000_0010
    PR = 0x0000_0008
    BAKR = 0x0000_0004
    PGX = 0x0000_0002


@manual(ref="SIE lctl")
class Lctl(IntFlag):
    """lctl: which control registers LCTL and LCTLG may not load without interception."""

    CR0 = 0x8000
    CR1 = 0x4000
    CR2 = 0x2000
    CR3 = 0x1000
    CR4 = 0x0800
    CR5 = 0x0400
    CR6 = 0x0200
    CR7 = 0x0100
    CR8 = 0x0080
    CR9 = 0x0040
    CR10 = 0x0020
    CR11 = 0x0010
    CR12 = 0x0008
    CR13 = 0x0004
    CR14 = 0x0002
    CR15 = 0x0001


@manual(ref="XA-IE SVC Controls")
class Svcc(IntFlag):
    """svcc: which SUPERVISOR CALLs are intercepted; bytes 1 to 3 hold three call numbers."""

    ALL = 0x8000_0000
    FIRST = 0x4000_0000
    SECOND = 0x2000_0000
    THIRD = 0x1000_0000


@manual(ref="SIE eca")
class Eca(IntFlag):
    """eca, execution controls A."""

    CEI = 0x8000_0000  # conditional external interception
    IB = 0x4000_0000  # intervention bypass
    SIGPI = 0x1000_0000  # SIGP interpretation
    MVPGI = 0x0100_0000  # MOVE PAGE interpretation
    AIV = 0x0020_0000  # adapter interruption virtualization
    VX = 0x0002_0000  # vector facility
    PROTEXCI = 0x0000_2000  # protection exceptions interpreted
    APIE = 0x0000_0008  # adjunct-processor instructions interpreted
    SII = 0x0000_0001  # shared IPTE interlock


@manual(ref="SIE ecb")
class Ecb(IntFlag):
    """ecb, execution controls B."""

    GS = 0x40  # guarded storage
    TE = 0x10  # transactional execution
    SPECI = 0x08  # specification exceptions interpreted
    SRSI = 0x04  # sense-running-status interpreted
    HOSTPROTINT = 0x02  # host protection interruption
    PTF = 0x01  # PERFORM TOPOLOGY FUNCTION interpreted


@manual(ref="SIE ecb2")
class Ecb2(IntFlag):
    """ecb2."""

    CMMA = 0x80  # collaborative memory management
    IEP = 0x20  # instruction-execution protection
    PFMFI = 0x08  # PFMF interpretation
    ESCA = 0x04  # extended system-control area
    ZPCI_LSI = 0x02  # PCI load/store interpretation


@manual(ref="SIE ecb3")
class Ecb3(IntFlag):
    """ecb3."""

    AISI = 0x20  # adapter-event-notification interpretation
    AISII = 0x10  # adapter-interruption suppression
    DEA = 0x08  # DEA key wrapping
    AES = 0x04  # AES key wrapping
    RI = 0x01  # runtime instrumentation


@manual(ref="SIE ecd")
class Ecd(IntFlag):
    """ecd, execution controls D."""

    HOSTREGMGMT = 0x2000_0000  # vector and guarded-storage registers are the host's to switch
    MEF = 0x0800_0000  # multiple-epoch facility
    ETOKENF = 0x0200_0000  # etoken
    ECC = 0x0020_0000  # ECC key wrapping
    HMAC = 0x0000_4000  # HMAC key wrapping


@manual(ref="SIE fpf")
class Fpf(IntFlag):
    """fpf."""

    BPBC = 0x20  # branch-prediction-blocking control


@manual(ref="SIE icptcode")
class Icpt(IntEnum):
    """icptcode: why interpretive execution ended."""

    NONE = 0x00
    INST = 0x04
    PROGI = 0x08
    INSTPROGI = 0x0C
    EXTREQ = 0x10
    EXTINT = 0x14
    IOREQ = 0x18
    WAIT = 0x1C
    VALIDITY = 0x20
    STOP = 0x28
    OPEREXC = 0x2C
    PARTEXEC = 0x38
    IOINST = 0x40
    KSS = 0x5C
    MCHKREQ = 0x60
    INT_ENABLE = 0x64
    PV_INSTR = 0x68
    PV_NOTIFY = 0x6C
    PV_PREF = 0x70


# Interceptions with the instruction's text in ipa and ipb.
ICPT_WITH_INSTRUCTION = frozenset(
    {Icpt.INST, Icpt.INSTPROGI, Icpt.OPEREXC, Icpt.PARTEXEC, Icpt.IOINST}
)


@manual(ref="SIE icptstatus")
class IcptStatus(IntFlag):
    """icptstatus; `EXECUTE_ILC` is a length and not a flag."""

    FORMAT_2 = 0x80
    PER_IFETCH = 0x02
    EXECUTE = 0x01


EXECUTE_ILC = 0x60  # length of the EXECUTE in halfwords, shifted left by 5; 0 means 4 bytes


@manual(ref="SIE iictl")
class Iictl(IntEnum):
    """iictl: the interruption that the host injects into a protected guest at entry."""

    NONE = 0x00
    MCHK = 0x01
    EXT = 0x02
    IO = 0x03
    RESTART = 0x04
    SPECIFICATION = 0x10
    OPERAND = 0x11


@manual(ref="SIE sdf")
class SdFormat(IntEnum):
    """sdf: the format of the state description."""

    FORMAT_2 = 0  # an ordinary z/Architecture guest
    FORMAT_4 = 2  # a protected guest


@manual(ref="SIE hpid")
class Hpid(IntEnum):
    """hpid: which hypervisor runs the guest."""

    KVM = 0x4
    VSIE = 0x5


@manual(ref="SIE prog0c")
class Prog0c(IntFlag):
    """prog0c: a word for the hypervisor's own use, as Linux uses it."""

    IN_SIE = 0x1


@manual(ref="SIE prog20")
class Prog20(IntFlag):
    """prog20: a word for the hypervisor's own use, as Linux uses it."""

    BLOCK_SIE = 0x1
    REQUEST = 0x2
