"""Facility bits: what STORE FACILITY LIST EXTENDED reports."""

from collections.abc import Iterable
from enum import IntEnum

from worldswitch.arch.control_block import manual


@manual(ref="PoP 4 Facility Indications")
class Facility(IntEnum):
    """The bit number of each facility in the facility list."""

    N3 = 0
    ZARCH_INSTALLED = 1
    ZARCH_ACTIVE = 2
    DAT_ENHANCEMENT_1 = 3
    IDTE_SEGMENT_CLEARING = 4
    IDTE_REGION_CLEARING = 5
    ASN_AND_LX_REUSE = 6
    STFLE = 7
    EDAT_1 = 8
    SENSE_RUNNING_STATUS = 9
    CONDITIONAL_SSKE = 10
    CONFIGURATION_TOPOLOGY = 11
    AP_QUERY = 12
    IPTE_RANGE = 13
    NONQUIESCING_KEY_SETTING = 14
    AP_FACILITIES_TEST = 15
    EXTENDED_TRANSLATION_2 = 16
    MSA = 17
    LONG_DISPLACEMENT = 18
    LONG_DISPLACEMENT_FAST = 19
    HFP_MULTIPLY_ADD = 20
    EXTENDED_IMMEDIATE = 21
    EXTENDED_TRANSLATION_3 = 22
    HFP_UNNORMALIZED = 23
    ETF2_ENHANCEMENT = 24
    STORE_CLOCK_FAST = 25
    PARSING_ENHANCEMENT = 26
    MVCOS = 27
    TOD_CLOCK_STEERING = 28
    ETF3_ENHANCEMENT = 30
    EXTRACT_CPU_TIME = 31
    CSST = 32
    CSST_2 = 33
    GENERAL_INSTRUCTIONS_EXTENSION = 34
    EXECUTE_EXTENSIONS = 35
    ENHANCED_MONITOR = 36
    FLOATING_POINT_EXTENSION = 37
    ORDER_PRESERVING_COMPRESSION = 38
    LOAD_PROGRAM_PARAMETER = 40
    FLOATING_POINT_SUPPORT_ENHANCEMENT = 41
    DFP = 42
    DFP_FAST = 43
    PFPO = 44
    DISTINCT_OPERANDS = 45  # with fast BCR, high word, interlocked access 1, LOC 1, popcount
    CMPSC_ENHANCEMENT = 47
    DFP_ZONED = 48
    MISCELLANEOUS_1 = 49  # with execution hint, load and trap, processor assist
    CONSTRAINED_TRANSACTION = 50
    LOCAL_TLB_CLEARING = 51
    INTERLOCKED_ACCESS_2 = 52
    LOAD_STORE_ON_CONDITION_2 = 53  # with load and zero rightmost byte
    ENTROPY_ENCODING = 54
    MSA_5 = 57
    MISCELLANEOUS_2 = 58
    SEMAPHORE_ASSIST = 59
    TIME_SLICE_INSTRUMENTATION = 60
    MISCELLANEOUS_3 = 61
    RUNTIME_INSTRUMENTATION = 64
    AP_QUEUE_INTERRUPTION = 65
    RESET_REFERENCE_BITS_MULTIPLE = 66
    CPU_MEASUREMENT_COUNTER = 67
    CPU_MEASUREMENT_SAMPLING = 68
    ZPCI = 69
    ADAPTER_EVENT_NOTIFICATION = 71
    ADAPTER_INTERRUPTION_SUPPRESSION = 72
    TRANSACTIONAL_EXECUTION = 73
    STORE_HYPERVISOR_INFORMATION = 74
    ACCESS_EXCEPTION_FETCH_STORE = 75
    MSA_3 = 76
    MSA_4 = 77
    EDAT_2 = 78
    DFP_PACKED = 80
    PPA_IN_ORDER = 81
    BRANCH_PREDICTION_BLOCKING = 82
    VECTOR = 129
    INSTRUCTION_EXECUTION_PROTECTION = 130
    SIDE_EFFECT_ACCESS = 131  # and enhanced suppression on protection 2
    GUARDED_STORAGE = 133
    VECTOR_PACKED_DECIMAL = 134
    VECTOR_ENHANCEMENTS_1 = 135
    MULTIPLE_EPOCH = 139
    EXTENDED_LENGTH_SCCB = 140
    TEST_PENDING_EXTERNAL = 144
    INSERT_REFERENCE_BITS_MULTIPLE = 145
    MSA_8 = 146
    CMM_NO_TRANSLATE = 147
    VECTOR_ENHANCEMENTS_2 = 148
    ENHANCED_SORT = 150
    DEFLATE_CONVERSION = 151
    VECTOR_PACKED_DECIMAL_ENHANCEMENT = 152
    MSA_9 = 155
    ETOKEN = 156
    UNPACK = 161
    NNPA = 165
    VECTOR_PACKED_DECIMAL_ENHANCEMENT_2 = 192
    BEAR_ENHANCEMENT = 193
    RESET_DAT_PROTECTION = 194
    PROCESSOR_ACTIVITY_INSTRUMENTATION = 196
    PROCESSOR_ACTIVITY_INSTRUMENTATION_1 = 197


# A facility on the left is never installed without those on the right.
PREREQUISITES: dict[Facility, tuple[Facility, ...]] = {
    Facility.IDTE_REGION_CLEARING: (Facility.IDTE_SEGMENT_CLEARING,),
    Facility.LONG_DISPLACEMENT_FAST: (Facility.LONG_DISPLACEMENT,),
    Facility.ETF2_ENHANCEMENT: (Facility.EXTENDED_TRANSLATION_2,),
    Facility.ETF3_ENHANCEMENT: (Facility.EXTENDED_TRANSLATION_3,),
    Facility.CSST_2: (Facility.CSST,),
    Facility.DFP_FAST: (Facility.DFP,),
    Facility.DFP_ZONED: (Facility.DFP,),
    Facility.DFP_PACKED: (Facility.DFP,),
    Facility.CONSTRAINED_TRANSACTION: (Facility.TRANSACTIONAL_EXECUTION,),
    Facility.MSA_3: (Facility.MSA,),
    Facility.MSA_4: (Facility.MSA_3,),
    Facility.MSA_5: (Facility.MSA_4,),
    Facility.MSA_8: (Facility.MSA_3,),
    Facility.MSA_9: (Facility.MSA_3, Facility.MSA_4),
    Facility.EDAT_2: (Facility.EDAT_1,),
    Facility.ADAPTER_INTERRUPTION_SUPPRESSION: (Facility.ADAPTER_EVENT_NOTIFICATION,),
    Facility.VECTOR_PACKED_DECIMAL: (Facility.VECTOR,),
    Facility.VECTOR_ENHANCEMENTS_1: (Facility.VECTOR,),
    Facility.VECTOR_ENHANCEMENTS_2: (Facility.VECTOR_ENHANCEMENTS_1,),
    Facility.VECTOR_PACKED_DECIMAL_ENHANCEMENT: (Facility.VECTOR_PACKED_DECIMAL,),
    Facility.VECTOR_PACKED_DECIMAL_ENHANCEMENT_2: (Facility.VECTOR_PACKED_DECIMAL_ENHANCEMENT,),
}

# What a hypervisor shows to its guests though the machine below does not have it.
HYPERVISOR_PROVIDED = frozenset({Facility.STORE_HYPERVISOR_INFORMATION})


def with_prerequisites(facilities: Iterable[int]) -> frozenset[int]:
    """The facilities without those that lack something they depend on."""
    kept = frozenset(facilities)
    while True:
        lacking = {
            facility
            for facility, needed in PREREQUISITES.items()
            if facility in kept and not kept.issuperset(needed)
        }
        if not lacking:
            return kept
        kept -= lacking


def facility_list(facilities: Iterable[int]) -> list[int]:
    """The doublewords that STFLE stores: bit 0 is the most significant of the first.

    ref: PoP 7, STORE FACILITY LIST EXTENDED.
    """
    installed = set(facilities)
    words = [0] * (max(installed, default=0) // 64 + 1)
    for number in installed:
        words[number // 64] |= 1 << (63 - number % 64)
    return words


def facilities_in(words: Iterable[int]) -> frozenset[int]:
    """The bit numbers that are one in a facility list of doublewords."""
    return frozenset(
        index * 64 + bit
        for index, word in enumerate(words)
        for bit in range(64)
        if word >> (63 - bit) & 1
    )
