"""Facilities of z/Architecture that the modelled processor has. ref: PoP 4 Facility Indications.

A CPU model is limited to these: STFLE then tells the guest what is there.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.models import CpuModel, cpu_model

F = Facility
MODELLED_FACILITIES = frozenset(
    {
        F.N3,
        F.ZARCH_INSTALLED,
        F.ZARCH_ACTIVE,
        F.DAT_ENHANCEMENT_1,
        F.IDTE_SEGMENT_CLEARING,
        F.IDTE_REGION_CLEARING,
        F.ASN_AND_LX_REUSE,
        F.STFLE,
        F.EDAT_1,
        F.SENSE_RUNNING_STATUS,
        F.CONDITIONAL_SSKE,
        F.IPTE_RANGE,
        F.NONQUIESCING_KEY_SETTING,
        F.EXTENDED_TRANSLATION_2,
        F.MSA,
        F.LONG_DISPLACEMENT,
        F.HFP_MULTIPLY_ADD,
        F.EXTENDED_IMMEDIATE,
        F.EXTENDED_TRANSLATION_3,
        F.ETF2_ENHANCEMENT,
        F.STORE_CLOCK_FAST,
        F.PARSING_ENHANCEMENT,
        F.MVCOS,
        F.ETF3_ENHANCEMENT,
        F.EXTRACT_CPU_TIME,
        F.CSST,
        F.CSST_2,
        F.GENERAL_INSTRUCTIONS_EXTENSION,
        F.EXECUTE_EXTENSIONS,
        F.FLOATING_POINT_EXTENSION,
        F.LOAD_PROGRAM_PARAMETER,
        F.FLOATING_POINT_SUPPORT_ENHANCEMENT,
        F.DISTINCT_OPERANDS,
        F.MISCELLANEOUS_1,
        F.LOCAL_TLB_CLEARING,
        F.INTERLOCKED_ACCESS_2,
        F.LOAD_STORE_ON_CONDITION_2,
        F.MSA_5,
        F.MISCELLANEOUS_2,
        F.RESET_REFERENCE_BITS_MULTIPLE,
        F.ACCESS_EXCEPTION_FETCH_STORE,
        F.MSA_3,
        F.MSA_4,
        F.EDAT_2,
        F.INSERT_REFERENCE_BITS_MULTIPLE,
    }
)
DEFAULT_MODEL = "z14"
TRNG_GENERATION = 14


def modelled_cpu(name: str) -> CpuModel:
    """The CPU model of that name with what is modelled of it; raises ValueError for others.

    Of message-security assist 5 only the true random number generator is modelled, which came
    with the z14: earlier models go without.
    """
    model = cpu_model(name)
    modelled = MODELLED_FACILITIES
    if model.generation < TRNG_GENERATION:
        modelled = modelled - {Facility.MSA_5}
    return model.limited_to(modelled)
