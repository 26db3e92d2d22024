"""The local APIC: registers by offset and as x2APIC MSRs, and the bits of each."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual

DEFAULT_BASE = 0xFEE0_0000
SIZE = 0x1000
VERSION = 0x10
SPURIOUS_RESET = 0xFF
LVT_RESET = 0x0001_0000
X2APIC_FIRST, X2APIC_LAST = 0x800, 0x8FF


@manual(ref="APM2 16.3.2 APIC Registers")
class ApicRegister(IntEnum):
    """Offsets in the APIC's page. ISR, TMR and IRR are eight registers each, 10h apart."""

    ID = 0x020
    VERSION = 0x030
    TPR = 0x080
    APR = 0x090
    PPR = 0x0A0
    EOI = 0x0B0
    REMOTE_READ = 0x0C0
    LDR = 0x0D0
    DFR = 0x0E0
    SVR = 0x0F0
    ISR = 0x100
    TMR = 0x180
    IRR = 0x200
    ESR = 0x280
    LVT_CMCI = 0x2F0
    ICR_LOW = 0x300
    ICR_HIGH = 0x310
    LVT_TIMER = 0x320
    LVT_THERMAL = 0x330
    LVT_PERFORMANCE = 0x340
    LVT_LINT0 = 0x350
    LVT_LINT1 = 0x360
    LVT_ERROR = 0x370
    TIMER_INITIAL_COUNT = 0x380
    TIMER_CURRENT_COUNT = 0x390
    TIMER_DIVIDE = 0x3E0
    SELF_IPI = 0x3F0  # x2APIC alone
    EXTENDED_FEATURE = 0x400
    EXTENDED_CONTROL = 0x410
    SPECIFIC_EOI = 0x420
    IER = 0x480
    EXTENDED_LVT0 = 0x500


BITMAP_REGISTERS = 8
"""Registers in each of ISR, TMR and IRR."""

# x2APIC has no DFR, no second half of ICR, and no arbitration priority. ref: APM2 16.11.1.
ABSENT_IN_X2APIC = frozenset({ApicRegister.DFR, ApicRegister.ICR_HIGH, ApicRegister.APR})
READ_ONLY = frozenset(
    {
        ApicRegister.VERSION,
        ApicRegister.APR,
        ApicRegister.PPR,
        ApicRegister.REMOTE_READ,
        ApicRegister.TIMER_CURRENT_COUNT,
    }
)
WRITE_ONLY = frozenset({ApicRegister.EOI, ApicRegister.SELF_IPI})


def x2apic_msr(offset: int) -> int:
    """The MSR number of an APIC register. ref: APM2 16.11.1."""
    return X2APIC_FIRST + (offset >> 4)


def x2apic_offset(msr: int) -> int:
    """The offset of the APIC register that an x2APIC MSR is."""
    return (msr - X2APIC_FIRST) << 4


@manual(ref="APM2 16.3.1 Local APIC Enable")
class ApicBase(IntFlag):
    """APIC_BASE (MSR 1B), beside the address in bits 51:12."""

    BSC = 1 << 8
    EXTD = 1 << 10
    AE = 1 << 11


@manual(ref="APM2 16.4.7 Spurious Interrupts")
class Svr(IntFlag):
    """The spurious-interrupt register, beside the vector in bits 7:0."""

    ASE = 1 << 8
    FCC = 1 << 9
    EOI_BROADCAST_DISABLE = 1 << 12


@manual(ref="APM2 16.4 Local Interrupts")
class Lvt(IntFlag):
    """An entry of the local vector table, beside the vector and the message type."""

    DS = 1 << 12
    POLARITY = 1 << 13
    RIR = 1 << 14
    TGM = 1 << 15
    M = 1 << 16
    TMM = 1 << 17
    TSC_DEADLINE = 1 << 18


@manual(ref="APM2 16.5 Interprocessor Interrupts")
class DeliveryMode(IntEnum):
    """The message type of ICR, LVT entries and I/O APIC entries, in bits 10:8."""

    FIXED = 0
    LOWEST_PRIORITY = 1
    SMI = 2
    REMOTE_READ = 3
    NMI = 4
    INIT = 5
    STARTUP = 6
    EXTINT = 7


@manual(ref="APM2 16.5 Interprocessor Interrupts")
class Icr(IntFlag):
    """The interrupt command register's low half, beside vector, type and shorthand."""

    DM = 1 << 11
    DS = 1 << 12
    L = 1 << 14
    TGM = 1 << 15


@manual(ref="APM2 16.5 Interprocessor Interrupts")
class Shorthand(IntEnum):
    """The destination shorthand of ICR, in bits 19:18."""

    NONE = 0
    SELF = 1
    ALL = 2
    OTHERS = 3


DELIVERY_SHIFT = 8
SHORTHAND_SHIFT = 18
DESTINATION_SHIFT = 56
"""The xAPIC destination in the 64-bit ICR; x2APIC's is all of bits 63:32."""


@manual(ref="APM2 16.4.6 Error Status Register")
class Esr(IntFlag):
    """Errors that the APIC reports. LVT_ERROR is raised for them."""

    SENT_ACCEPT = 1 << 2
    RECEIVE_ACCEPT = 1 << 3
    SENT_ILLEGAL_VECTOR = 1 << 5
    RECEIVED_ILLEGAL_VECTOR = 1 << 6
    ILLEGAL_REGISTER = 1 << 7


TIMER_DIVISORS = {0x0: 2, 0x1: 4, 0x2: 8, 0x3: 16, 0x8: 32, 0x9: 64, 0xA: 128, 0xB: 1}
"""The divisor by bits 3, 1 and 0 of the divide-configuration register. ref: APM2 16.4.1."""

DFR_FLAT = 0xFFFF_FFFF
DFR_CLUSTER = 0x0FFF_FFFF
LOWEST_VECTOR = 16
"""Vectors below are illegal for fixed delivery."""


def x2apic_logical_id(apic_id: int) -> int:
    """The read-only LDR of an x2APIC: cluster in bits 31:16, one bit of 15:0. ref: APM2 16.14."""
    return ((apic_id & 0xFFFF0) << 12) | (1 << (apic_id & 0xF))
