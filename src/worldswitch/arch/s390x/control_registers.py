"""Control registers: the bits and fields of CR0 to CR15, as masks of the 64-bit register."""

from enum import IntFlag

from worldswitch.arch.control_block import ibm_bit, manual

COUNT = 16


@manual(ref="PoP 4 Control Registers")
class Cr0(IntFlag):
    """Control register 0."""

    TX_CONTROL = ibm_bit(8)
    TX_PIFO = ibm_bit(9)
    CLOCK_COMPARATOR_SIGN = ibm_bit(10)
    CRYPTO_COUNTER_CONTROL = ibm_bit(13)
    PAI_EXTENSION_CONTROL = ibm_bit(14)
    WARNING_TRACK_SUBMASK = ibm_bit(30)
    TRACE_TOD_CLOCK = ibm_bit(32)
    SSM_SUPPRESSION = ibm_bit(33)
    TOD_SYNC_CONTROL = ibm_bit(34)
    LOW_ADDRESS_PROTECTION = ibm_bit(35)
    EXTRACTION_AUTHORITY = ibm_bit(36)
    SECONDARY_SPACE = ibm_bit(37)
    FETCH_PROTECTION_OVERRIDE = ibm_bit(38)
    STORAGE_PROTECTION_OVERRIDE = ibm_bit(39)
    EDAT = ibm_bit(40)
    INSTRUCTION_EXECUTION_PROTECTION = ibm_bit(43)
    ASN_AND_LX_REUSE = ibm_bit(44)
    AFP_REGISTER = ibm_bit(45)
    VECTOR = ibm_bit(46)
    MALFUNCTION_ALERT_SUBMASK = ibm_bit(48)
    EMERGENCY_SIGNAL_SUBMASK = ibm_bit(49)
    EXTERNAL_CALL_SUBMASK = ibm_bit(50)
    TOD_SYNC_CHECK_SUBMASK = ibm_bit(51)
    CLOCK_COMPARATOR_SUBMASK = ibm_bit(52)
    CPU_TIMER_SUBMASK = ibm_bit(53)
    SERVICE_SIGNAL_SUBMASK = ibm_bit(54)
    UNUSED_56 = ibm_bit(56)  # one after reset
    INTERRUPT_KEY_SUBMASK = ibm_bit(57)
    MEASUREMENT_ALERT_SUBMASK = ibm_bit(58)
    TIMING_ALERT_SUBMASK = ibm_bit(59)
    CRYPTO_CONTROL = ibm_bit(61)
    IUCV_SUBMASK = ibm_bit(62)


@manual(ref="PoP 3 Control Register 1")
class Cr1(IntFlag):
    """Control register 1: the primary address-space-control element (see `translation`)."""

    SUBSPACE_GROUP = ibm_bit(54)
    PRIVATE_SPACE = ibm_bit(55)
    STORAGE_ALTERATION_EVENT = ibm_bit(56)
    SPACE_SWITCH_EVENT = ibm_bit(57)
    REAL_SPACE = ibm_bit(58)


@manual(ref="PoP 4 Control Registers")
class Cr2(IntFlag):
    """Control register 2: dispatchable-unit control table, guarded storage, transactions."""

    GUARDED_STORAGE_ENABLEMENT = ibm_bit(59)
    TRANSACTION_DIAGNOSTIC_SCOPE = ibm_bit(61)


CR2_DUCTO = 0x0000_0000_7FFF_FFC0
CR2_TRANSACTION_DIAGNOSTIC_CONTROL = 0x3

CR3_SECONDARY_ASTE_INSTANCE = 0xFFFF_FFFF_0000_0000
CR3_PSW_KEY_MASK = 0xFFFF_0000
CR3_SECONDARY_ASN = 0xFFFF

CR4_PRIMARY_ASTE_INSTANCE = 0xFFFF_FFFF_0000_0000
CR4_AUTHORIZATION_INDEX = 0xFFFF_0000
CR4_PRIMARY_ASN = 0xFFFF

CR5_PRIMARY_ASTE_ORIGIN = 0x0000_0000_7FFF_FFC0

CR6_IO_SUBCLASS_MASK = 0xFF00_0000
CR6_IO_SUBCLASS_SHIFT = 24

# Control register 7 is the secondary address-space-control element, 13 the home one.
CR8_ENHANCED_MONITOR_MASKS = 0x0000_FFFF_0000_0000
CR8_EXTENDED_AUTHORIZATION_INDEX = 0xFFFF_0000
CR8_MONITOR_MASKS = 0xFFFF


@manual(ref="PoP 4 Program-Event Recording")
class Cr9(IntFlag):
    """Control register 9: PER event masks and controls. CR10 and CR11 bound the storage area."""

    SUCCESSFUL_BRANCHING = ibm_bit(32)
    INSTRUCTION_FETCH = ibm_bit(33)
    STORAGE_ALTERATION = ibm_bit(34)
    STORAGE_KEY_ALTERATION = ibm_bit(35)
    STORE_USING_REAL_ADDRESS = ibm_bit(36)
    ZERO_ADDRESS_DETECTION = ibm_bit(37)
    TRANSACTION_END = ibm_bit(38)
    INSTRUCTION_FETCH_NULLIFICATION = ibm_bit(39)
    BRANCH_ADDRESS_CONTROL = ibm_bit(40)
    EVENT_SUPPRESSION = ibm_bit(41)
    STORAGE_ALTERATION_SPACE = ibm_bit(42)


@manual(ref="PoP 4 Control-Register Allocation for Tracing")
class Cr12(IntFlag):
    """Control register 12: tracing."""

    BRANCH_TRACE = ibm_bit(0)
    MODE_TRACE = ibm_bit(1)
    ASN_TRACE = ibm_bit(62)
    EXPLICIT_TRACE = ibm_bit(63)


CR12_TRACE_ENTRY_ADDRESS = 0x3FFF_FFFF_FFFF_FFFC


@manual(ref="PoP 4 Control Registers")
class Cr14(IntFlag):
    """Control register 14: machine-check subclass masks and ASN translation."""

    UNUSED_32 = ibm_bit(32)  # one after reset
    UNUSED_33 = ibm_bit(33)  # one after reset
    CHANNEL_REPORT_SUBMASK = ibm_bit(35)
    RECOVERY_SUBMASK = ibm_bit(36)
    DEGRADATION_SUBMASK = ibm_bit(37)
    EXTERNAL_DAMAGE_SUBMASK = ibm_bit(38)
    WARNING_SUBMASK = ibm_bit(39)
    TOD_CLOCK_CONTROL_OVERRIDE = ibm_bit(42)
    ASN_TRANSLATION = ibm_bit(44)


CR14_ASN_FIRST_TABLE_ORIGIN = 0x0007_FFFF
CR15_LINKAGE_STACK_ENTRY = 0xFFFF_FFFF_FFFF_FFF8

# After initial CPU reset; all other registers are zero. ref: PoP 4, Resets.
RESET_VALUE: dict[int, int] = {
    0: Cr0.UNUSED_56 | Cr0.INTERRUPT_KEY_SUBMASK | Cr0.MEASUREMENT_ALERT_SUBMASK,
    14: Cr14.UNUSED_32 | Cr14.UNUSED_33 | Cr14.EXTERNAL_DAMAGE_SUBMASK,
}
