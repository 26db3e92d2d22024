"""What the entry checks need to know of the host, and the validity reason codes."""

from dataclasses import dataclass
from enum import IntEnum

from worldswitch.arch.control_block import manual
from worldswitch.arch.s390x.models import CpuModel, SieFeatures


@manual(ref="VSIE validity reason codes")
class ValidityReason(IntEnum):
    """The reason code in bits 0-15 of ipb with the validity interception.

    Codes below 0F00 and from 1000 on are those that Linux sets or tests for the same condition.
    IMPDEF: 0F00 to 0FFF and 20F0 to 20FF are this project's own, for conditions whose codes no
    public document gives; PV conditions are in 2000 to 2FFF as on real machines.
    """

    MODE = 0x0001
    VM_STORAGE_LIMITS = 0x0007
    SCA_IS_PREFIX = 0x0011
    CRYCB_FORMAT = 0x0022
    SCA_INACCESSIBLE = 0x0034
    CRYCB_INACCESSIBLE = 0x0035
    PREFIX_INACCESSIBLE = 0x0037
    SCA_IN_LOWCORE = 0x0038
    CRYCB_ZERO = 0x0039
    SCA_BOUNDARY = 0x003B
    CRYCB_BOUNDARY = 0x003C
    RICCB_INACCESSIBLE = 0x0043
    RUNTIME_INSTRUMENTATION = 0x0044
    ITDB_INACCESSIBLE = 0x0080
    GISA = 0x1011
    FACILITY_LIST_INACCESSIBLE = 0x1090
    SDNX_INACCESSIBLE = 0x10B0
    SDNX_SIZE = 0x10B1
    SDNX_ALIGNMENT = 0x10B2
    VECTOR_SAVE_AREA = 0x1310

    # IMPDEF from here on.
    SD_FORMAT = 0x0F00
    MAIN_STORAGE_EXTENT = 0x0F01
    IBC = 0x0F02
    SCA_MISSING = 0x0F03
    SCA_ALIGNMENT = 0x0F04
    FACILITY_LIST_FORMAT = 0x0F05
    CMMA_LIST = 0x0F06
    MODE_CONTROL_NOT_INSTALLED = 0x0F10
    ECA_NOT_INSTALLED = 0x0F11
    ECB_NOT_INSTALLED = 0x0F12
    ECB2_NOT_INSTALLED = 0x0F13
    ECB3_NOT_INSTALLED = 0x0F14
    ECD_NOT_INSTALLED = 0x0F15
    FPF_NOT_INSTALLED = 0x0F16
    PV_HANDLES = 0x20F0
    PV_SCA = 0x20F1
    PV_INSTRUCTION_DATA = 0x20F2
    PV_INJECTION_CODE = 0x20F3
    PV_INJECTION_DISABLED = 0x20F4


VALIDITY_IPA = 0x1000  # what ipa holds with a validity interception: detected by the CPU, at entry


@dataclass(frozen=True, eq=False, slots=True)
class SieHost:
    """The host CPU that would execute SIE.

    ``storage_limit`` is the number of bytes of host storage; ``prefix`` the host CPU's own prefix.
    ``ibc`` is the lowest and the highest instruction-blocking level, (0, 0) without the facility.
    """

    facilities: frozenset[int]
    sie: SieFeatures
    storage_limit: int = 1 << 64
    prefix: int = 0
    ibc: tuple[int, int] = (0, 0)
    protected: bool = False  # the Ultravisor facility is active

    def has(self, facility: int) -> bool:
        """Whether the host has a facility bit."""
        return facility in self.facilities

    @classmethod
    def of(
        cls,
        model: CpuModel,
        *,
        storage_limit: int = 1 << 64,
        prefix: int = 0,
        protected: bool = False,
    ) -> "SieHost":
        """A host of a CPU model."""
        levels = (1, model.ibc) if model.ibc else (0, 0)
        return cls(model.facilities, model.sie, storage_limit, prefix, levels, protected)


# A host that has everything: for checking a block without knowing where it would run.
EVERYTHING = SieHost(
    facilities=frozenset(range(256)),
    sie=SieFeatures(
        gsls=True, esop=True, kss=True, sca_64bit=True, cmma=True, pfmfi=True, ibs=True,
        siif=True, sigpif=True, aiv=True,
    ),
    ibc=(1, 0xFFF),
    protected=True,
)  # fmt: skip
