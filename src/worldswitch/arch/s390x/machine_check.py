"""The machine-check interruption code."""

from enum import IntFlag

from worldswitch.arch.control_block import ibm_bit, manual


@manual(ref="PoP 11 Machine-Check Interruption Code")
class MachineCheckCode(IntFlag):
    """Bits of the doubleword at real location 232."""

    SYSTEM_DAMAGE = ibm_bit(0)
    INSTRUCTION_PROCESSING_DAMAGE = ibm_bit(1)
    SYSTEM_RECOVERY = ibm_bit(2)
    TIMING_FACILITY_DAMAGE = ibm_bit(4)
    EXTERNAL_DAMAGE = ibm_bit(5)
    DEGRADATION = ibm_bit(7)
    WARNING = ibm_bit(8)
    CHANNEL_REPORT_PENDING = ibm_bit(9)
    SERVICE_PROCESSOR_DAMAGE = ibm_bit(10)
    CHANNEL_SUBSYSTEM_DAMAGE = ibm_bit(11)
    BACKED_UP = ibm_bit(14)
    STORAGE_ERROR_UNCORRECTED = ibm_bit(16)
    STORAGE_ERROR_CORRECTED = ibm_bit(17)
    KEY_ERROR_UNCORRECTED = ibm_bit(18)
    STORAGE_DEGRADATION = ibm_bit(19)
    PSW_MWP_VALID = ibm_bit(20)
    PSW_MASK_AND_KEY_VALID = ibm_bit(21)
    PROGRAM_MASK_AND_CC_VALID = ibm_bit(22)
    INSTRUCTION_ADDRESS_VALID = ibm_bit(23)
    FAILING_STORAGE_ADDRESS_VALID = ibm_bit(24)
    VECTOR_REGISTERS_VALID = ibm_bit(25)
    EXTERNAL_DAMAGE_CODE_VALID = ibm_bit(26)
    FLOATING_POINT_REGISTERS_VALID = ibm_bit(27)
    GENERAL_REGISTERS_VALID = ibm_bit(28)
    CONTROL_REGISTERS_VALID = ibm_bit(29)
    STORAGE_LOGICAL_VALID = ibm_bit(31)
    INDIRECT_STORAGE_ERROR = ibm_bit(32)
    ACCESS_REGISTERS_VALID = ibm_bit(33)
    DELAYED_ACCESS_EXCEPTION = ibm_bit(34)
    GUARDED_STORAGE_REGISTERS_VALID = ibm_bit(36)
    TOD_PROGRAMMABLE_REGISTER_VALID = ibm_bit(42)
    FLOATING_POINT_CONTROL_VALID = ibm_bit(43)
    ANCILLARY_REPORT = ibm_bit(44)
    CPU_TIMER_VALID = ibm_bit(46)
    CLOCK_COMPARATOR_VALID = ibm_bit(47)


# Checks that no mask but the PSW's M bit holds back: the CPU cannot go on.
EXIGENT = MachineCheckCode.SYSTEM_DAMAGE | MachineCheckCode.INSTRUCTION_PROCESSING_DAMAGE
