"""CPU models: machine types, identification and facilities of real machines.

A model lists what the machine had at the level of firmware named in its description. What this
project does not model is taken away when a machine is created (`CpuModel.limited_to`), so a model
stays true to the machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from worldswitch.arch.s390x.facilities import Facility, with_prerequisites

F = Facility


@dataclass(frozen=True, slots=True)
class SieFeatures:
    """Interpretive-execution facilities, which STFLE does not report but READ SCP INFO."""

    gsls: bool = False  # guest-storage-limit suppression
    esop: bool = False  # enhanced suppression on protection
    kss: bool = False  # keyless subset
    sca_64bit: bool = False  # 64-bit SCA origin, extended SCA
    cmma: bool = False  # collaborative memory management assist
    pfmfi: bool = False  # PFMF interpretation
    ibs: bool = False  # interlock-and-broadcast suppression
    skey: bool = True  # storage-key facility
    gpere: bool = True  # guest-PER enhancement
    siif: bool = False  # shared IPTE interlock
    sigpif: bool = False  # SIGP interpretation
    ib: bool = True  # intervention bypass
    cei: bool = True  # conditional external interception
    aiv: bool = False  # adapter-interruption virtualization, reported by CHSC


@dataclass(frozen=True, slots=True)
class CpuModel:
    """A machine generation at one firmware level.

    ``address_bits`` is the width of a real address; ``generation`` counts as the machines' own
    internal level (z900 is 7); ``ibc`` is the level for instruction blocking, 0 before z10.
    """

    name: str
    description: str
    machine_type: int
    generation: int
    ga: int
    address_bits: int
    facilities: frozenset[int]
    sie: SieFeatures

    @property
    def ibc(self) -> int:
        """The instruction-blocking level: generations count from z10 (ref: SCLP read SCP info)."""
        return ((self.generation - 10) << 4) + self.ga if self.generation >= 10 else 0

    def cpu_id(self, serial: int = 0, version: int = 0) -> int:
        """The doubleword that STIDP stores. ref: PoP 10, STORE CPU ID.

        ``serial`` has 24 bits; ``version`` is 0 for a machine and FF for a guest of a hypervisor.
        """
        return (version << 56) | ((serial & 0xFF_FFFF) << 32) | (self.machine_type << 16)

    def limited_to(self, modelled: Iterable[int] | None) -> "CpuModel":
        """The model without facilities outside ``modelled`` and what depends on them."""
        if modelled is None:
            return self
        kept = with_prerequisites(self.facilities & frozenset(modelled))
        return replace(self, facilities=kept)


_Z900 = frozenset(
    {F.N3, F.ZARCH_INSTALLED, F.ZARCH_ACTIVE, F.EXTENDED_TRANSLATION_2, F.LONG_DISPLACEMENT}
)
_Z990 = _Z900 | {
    F.DAT_ENHANCEMENT_1,
    F.MSA,
    F.LONG_DISPLACEMENT_FAST,
    F.HFP_MULTIPLY_ADD,
    F.ASN_AND_LX_REUSE,
    F.EXTENDED_TRANSLATION_3,
}
_Z9_109 = _Z990 | {
    F.IDTE_SEGMENT_CLEARING,
    F.STFLE,
    F.SENSE_RUNNING_STATUS,
    F.EXTENDED_IMMEDIATE,
    F.HFP_UNNORMALIZED,
    F.ETF2_ENHANCEMENT,
    F.STORE_CLOCK_FAST,
    F.TOD_CLOCK_STEERING,
    F.ETF3_ENHANCEMENT,
}
_Z9_EC = _Z9_109 | {
    F.MVCOS,
    F.EXTRACT_CPU_TIME,
    F.CSST,
    F.FLOATING_POINT_SUPPORT_ENHANCEMENT,
    F.DFP,
    F.CONDITIONAL_SSKE,
    F.PFPO,
}
_Z10 = _Z9_EC | {
    F.EDAT_1,
    F.CONFIGURATION_TOPOLOGY,
    F.PARSING_ENHANCEMENT,
    F.CSST_2,
    F.GENERAL_INSTRUCTIONS_EXTENSION,
    F.EXECUTE_EXTENSIONS,
    F.LOAD_PROGRAM_PARAMETER,
    F.DFP_FAST,
    F.CPU_MEASUREMENT_COUNTER,
    F.CPU_MEASUREMENT_SAMPLING,
    F.MSA_3,
}
_Z196 = _Z10 | {
    F.IPTE_RANGE,
    F.NONQUIESCING_KEY_SETTING,
    F.ENHANCED_MONITOR,
    F.FLOATING_POINT_EXTENSION,
    F.DISTINCT_OPERANDS,
    F.CMPSC_ENHANCEMENT,
    F.INTERLOCKED_ACCESS_2,
    F.RESET_REFERENCE_BITS_MULTIPLE,
    F.ACCESS_EXCEPTION_FETCH_STORE,
    F.MSA_4,
}
_ZEC12 = _Z196 | {
    F.AP_QUERY,
    F.AP_FACILITIES_TEST,
    F.DFP_ZONED,
    F.MISCELLANEOUS_1,
    F.CONSTRAINED_TRANSACTION,
    F.LOCAL_TLB_CLEARING,
    F.MSA_5,
    F.RUNTIME_INSTRUMENTATION,
    F.ZPCI,
    F.ADAPTER_EVENT_NOTIFICATION,
    F.ADAPTER_INTERRUPTION_SUPPRESSION,
    F.TRANSACTIONAL_EXECUTION,
    F.EDAT_2,
    F.SIDE_EFFECT_ACCESS,
}
_Z13 = _ZEC12 | {F.LOAD_STORE_ON_CONDITION_2, F.AP_QUEUE_INTERRUPTION, F.DFP_PACKED, F.VECTOR}
_Z14 = _Z13 | {
    F.ORDER_PRESERVING_COMPRESSION,
    F.ENTROPY_ENCODING,
    F.MISCELLANEOUS_2,
    F.SEMAPHORE_ASSIST,
    F.TIME_SLICE_INSTRUMENTATION,
    F.PPA_IN_ORDER,
    F.BRANCH_PREDICTION_BLOCKING,
    F.INSTRUCTION_EXECUTION_PROTECTION,
    F.GUARDED_STORAGE,
    F.VECTOR_PACKED_DECIMAL,
    F.VECTOR_ENHANCEMENTS_1,
    F.MULTIPLE_EPOCH,
    F.TEST_PENDING_EXTERNAL,
    F.INSERT_REFERENCE_BITS_MULTIPLE,
    F.MSA_8,
    F.CMM_NO_TRANSLATE,
    F.ETOKEN,
}

_SIE_Z900 = SieFeatures(siif=True)
_SIE_Z990 = replace(_SIE_Z900, gsls=True, sca_64bit=True)
_SIE_Z9 = replace(_SIE_Z990, cmma=True)
_SIE_Z10 = replace(_SIE_Z9, esop=True, pfmfi=True, sigpif=True, ibs=True)
_SIE_Z13 = replace(_SIE_Z10, aiv=True)
_SIE_Z14 = replace(_SIE_Z13, kss=True)

_MODELS = (
    CpuModel("z900", "IBM zSeries 900 GA3", 0x2064, 7, 3, 38, _Z900, _SIE_Z900),
    CpuModel("z990", "IBM zSeries 990 GA3", 0x2084, 8, 3, 38, _Z990, _SIE_Z990),
    CpuModel("z9-109", "IBM System z9 109 GA1", 0x2094, 9, 1, 40, _Z9_109, _SIE_Z9),
    CpuModel("z9-ec", "IBM System z9 EC GA3", 0x2094, 9, 3, 40, _Z9_EC, _SIE_Z9),
    CpuModel("z10", "IBM System z10 EC GA3", 0x2097, 10, 3, 43, _Z10, _SIE_Z10),
    CpuModel("z196", "IBM zEnterprise 196 GA2", 0x2817, 11, 2, 44, _Z196, _SIE_Z10),
    CpuModel("zEC12", "IBM zEnterprise EC12 GA2", 0x2827, 12, 2, 44, _ZEC12, _SIE_Z10),
    CpuModel("z13", "IBM z13 GA2", 0x2964, 13, 2, 44, _Z13, _SIE_Z13),
    CpuModel("z14", "IBM z14 GA2", 0x3906, 14, 2, 47, _Z14, _SIE_Z14),
)

MODELS: dict[str, CpuModel] = {model.name: model for model in _MODELS}
ALIASES: dict[str, str] = {"z10-EC": "z10", "z10EC": "z10"}


def cpu_model(name: str, modelled_facilities: Iterable[int] | None = None) -> CpuModel:
    """The model of that name, without facilities outside ``modelled_facilities`` if given."""
    try:
        model = MODELS[ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join(MODELS)
        raise ValueError(f"no CPU model {name!r}; the models are {known}") from None
    return model.limited_to(modelled_facilities)
