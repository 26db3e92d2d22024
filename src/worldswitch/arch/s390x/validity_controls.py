"""Validity rules for modes and controls: combinations, and controls without their facility."""

from collections.abc import Callable

from worldswitch.arch.fields import meaning
from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import (
    CpuStat,
    Eca,
    Ecb,
    Ecb2,
    Ecb3,
    Ecd,
    Fpf,
    Iictl,
    SdFormat,
)
from worldswitch.arch.s390x.sie_host import SieHost, ValidityReason
from worldswitch.arch.s390x.state_description import StateDescription, is_protected

rule = StateDescription.rule
Has = Callable[[SieHost], bool]


@rule("mode-zarch", ref="VSIE prepare_cpuflags", code=ValidityReason.MODE)
def mode_zarch(block: StateDescription, _host: SieHost) -> str | None:
    """The guest runs in the z/Architecture mode."""
    if block.cpuflags & CpuStat.ZARCH:
        return None
    # UNMODELLED: ESA/390 guests, which machines from z14 on no longer have either.
    return f"cpuflags {block.cpuflags:#010x}: ZARCH (bit 20) must be one"


@rule("mode-combination", ref="VSIE prepare_cpuflags", code=ValidityReason.MODE)
def mode_combination(block: StateDescription, _host: SieHost) -> str | None:
    """Region relocate and multiple controlled data spaces are not for format 2."""
    if not block.cpuflags & (CpuStat.RRF | CpuStat.MCDS):
        return None
    return f"cpuflags {block.cpuflags:#010x}: RRF (bit 16) and MCDS (bit 23) must be zero"


@rule("mode-storage-limits", ref="VSIE prepare_cpuflags", code=ValidityReason.VM_STORAGE_LIMITS)
def mode_storage_limits(block: StateDescription, _host: SieHost) -> str | None:
    """The storage-limit bits of preferred guests are zero."""
    if not block.cpuflags & (CpuStat.SLSV | CpuStat.SLSR):
        return None
    return f"cpuflags {block.cpuflags:#010x}: SLSV (bit 17) and SLSR (bit 18) must be zero"


@rule("mode-edat", ref="VSIE prepare_cpuflags", code=ValidityReason.MODE)
def mode_edat(block: StateDescription, _host: SieHost) -> str | None:
    """A guest has EDAT 1 or EDAT 2, not both controls."""
    both = CpuStat.GED | CpuStat.GED2
    if block.cpuflags & both != both:
        return None
    return f"cpuflags {block.cpuflags:#010x}: GED (bit 29) and GED2 (bit 27) must not both be one"


@rule("state-description-format", ref="SIE sdf", code=ValidityReason.SD_FORMAT)
def state_description_format(block: StateDescription, host: SieHost) -> str | None:
    """The format is 2, or 4 where the Ultravisor is active."""
    if block.sdf == SdFormat.FORMAT_2:
        return None
    if block.sdf != SdFormat.FORMAT_4:
        return f"sdf is {block.sdf:#04x}; it must be 00 (format 2) or 02 (format 4)"
    if not host.protected:
        return "sdf is 0x02 (format 4), which needs an active Ultravisor"
    return None


@rule("instruction-blocking-level", ref="VSIE prepare_ibc", code=ValidityReason.IBC)
def instruction_blocking_level(block: StateDescription, host: SieHost) -> str | None:
    """The level is zero or one that the host offers."""
    low, high = host.ibc
    if block.ibc == 0 or low <= block.ibc <= high != 0:
        return None
    offered = f"between {low:#05x} and {high:#05x}" if high else "zero on this host"
    return f"ibc is {block.ibc:#05x}; it must be {offered}"


def _needs(name: str, field: str, mask: int, reason: ValidityReason, what: str, has: Has) -> None:
    """Add the rule that a control bit is one only where ``has`` holds."""

    def check(block: StateDescription, host: SieHost) -> str | None:
        value: int = getattr(block, field)
        if not value & mask or has(host):
            return None
        return f"{field} {value:#x}: {meaning(names, value & mask, 32)} needs {what}"

    names = StateDescription.fields[field].names
    check.__doc__ = f"{meaning(names, mask, 32)} in {field} needs {what}."
    StateDescription.rule(name, ref=f"SIE {field}", code=reason)(check)


def _facility(facility: Facility) -> tuple[str, Has]:
    words = facility.name.lower().replace("_", "-")
    return f"facility {facility.value} ({words})", lambda host: host.has(facility)


_MODE = ValidityReason.MODE_CONTROL_NOT_INSTALLED
_ECA, _ECB = ValidityReason.ECA_NOT_INSTALLED, ValidityReason.ECB_NOT_INSTALLED
_ECB2, _ECB3 = ValidityReason.ECB2_NOT_INSTALLED, ValidityReason.ECB3_NOT_INSTALLED
_ECD = ValidityReason.ECD_NOT_INSTALLED
_F = Facility

_NEEDED: tuple[tuple[str, str, int, ValidityReason, str, Has], ...] = (
    ("edat-1-installed", "cpuflags", CpuStat.GED, _MODE, *_facility(_F.EDAT_1)),
    ("edat-2-installed", "cpuflags", CpuStat.GED2, _MODE, *_facility(_F.EDAT_2)),
    ("guest-per-installed", "cpuflags", CpuStat.P, _MODE,
     "the guest-PER enhancement", lambda h: h.sie.gpere),
    ("storage-limit-suppression-installed", "cpuflags", CpuStat.SM, _MODE,
     "guest-storage-limit suppression", lambda h: h.sie.gsls),
    ("interlock-suppression-installed", "cpuflags", CpuStat.IBS, _MODE,
     "interlock-and-broadcast suppression", lambda h: h.sie.ibs),
    ("keyless-subset-installed", "cpuflags", CpuStat.KSS, _MODE,
     "the keyless subset", lambda h: h.sie.kss),
    ("external-interception-installed", "eca", Eca.CEI, _ECA,
     "conditional external interception", lambda h: h.sie.cei),
    ("intervention-bypass-installed", "eca", Eca.IB, _ECA,
     "intervention bypass", lambda h: h.sie.ib),
    ("sigp-interpretation-installed", "eca", Eca.SIGPI, _ECA,
     "SIGP interpretation", lambda h: h.sie.sigpif),
    ("shared-ipte-interlock-installed", "eca", Eca.SII, _ECA,
     "the shared IPTE interlock", lambda h: h.sie.siif),
    ("vector-installed", "eca", Eca.VX, _ECA, *_facility(_F.VECTOR)),
    ("adapter-interruption-installed", "eca", Eca.AIV, _ECA,
     "adapter-interruption virtualization", lambda h: h.sie.aiv),
    ("ap-interpretation-installed", "eca", Eca.APIE, _ECA, *_facility(_F.AP_QUERY)),
    ("branch-prediction-installed", "fpf", Fpf.BPBC, ValidityReason.FPF_NOT_INSTALLED,
     *_facility(_F.BRANCH_PREDICTION_BLOCKING)),
    ("guarded-storage-installed", "ecb", Ecb.GS, _ECB, *_facility(_F.GUARDED_STORAGE)),
    ("transactions-installed", "ecb", Ecb.TE, _ECB, *_facility(_F.TRANSACTIONAL_EXECUTION)),
    ("sense-running-installed", "ecb", Ecb.SRSI, _ECB, *_facility(_F.SENSE_RUNNING_STATUS)),
    ("host-protection-installed", "ecb", Ecb.HOSTPROTINT, _ECB,
     "enhanced suppression on protection", lambda h: h.sie.esop),
    ("topology-installed", "ecb", Ecb.PTF, _ECB, *_facility(_F.CONFIGURATION_TOPOLOGY)),
    ("cmma-installed", "ecb2", Ecb2.CMMA, _ECB2,
     "the collaborative-memory-management assist", lambda h: h.sie.cmma),
    ("iep-installed", "ecb2", Ecb2.IEP, _ECB2, *_facility(_F.INSTRUCTION_EXECUTION_PROTECTION)),
    ("pfmf-interpretation-installed", "ecb2", Ecb2.PFMFI, _ECB2,
     "PFMF interpretation", lambda h: h.sie.pfmfi),
    ("extended-sca-installed", "ecb2", Ecb2.ESCA, _ECB2,
     "the 64-bit SCA origin", lambda h: h.sie.sca_64bit),
    ("pci-interpretation-installed", "ecb2", Ecb2.ZPCI_LSI, _ECB2, *_facility(_F.ZPCI)),
    ("adapter-events-installed", "ecb3", Ecb3.AISI | Ecb3.AISII, _ECB3,
     *_facility(_F.ADAPTER_EVENT_NOTIFICATION)),
    ("key-wrapping-installed", "ecb3", Ecb3.DEA | Ecb3.AES, _ECB3, *_facility(_F.MSA_3)),
    ("runtime-instrumentation-installed", "ecb3", Ecb3.RI,
     ValidityReason.RUNTIME_INSTRUMENTATION, *_facility(_F.RUNTIME_INSTRUMENTATION)),
    ("host-registers-installed", "ecd", Ecd.HOSTREGMGMT, _ECD,
     "the vector or the guarded-storage facility",
     lambda h: h.has(_F.VECTOR) or h.has(_F.GUARDED_STORAGE)),
    ("multiple-epoch-installed", "ecd", Ecd.MEF, _ECD, *_facility(_F.MULTIPLE_EPOCH)),
    ("etoken-installed", "ecd", Ecd.ETOKENF, _ECD, *_facility(_F.ETOKEN)),
    ("ecc-wrapping-installed", "ecd", Ecd.ECC | Ecd.HMAC, _ECD, *_facility(_F.MSA_9)),
)  # fmt: skip

for _row in _NEEDED:
    _needs(*_row)


_INJECTION_MASK: dict[int, int] = {
    Iictl.MCHK: PswMask.MCHECK,
    Iictl.EXT: PswMask.EXT,
    Iictl.IO: PswMask.IO,
}


@rule("protected-injection-code", ref="SIE iictl", code=ValidityReason.PV_INJECTION_CODE)
def protected_injection_code(block: StateDescription, _host: SieHost) -> str | None:
    """The interruption to inject into a protected guest is one that exists."""
    if not is_protected(block) or block.iictl in tuple(Iictl):
        return None
    return f"iictl is {block.iictl:#04x}; it must be 00 to 04, 10 or 11"


@rule("protected-injection-enabled", ref="SIE iictl", code=ValidityReason.PV_INJECTION_DISABLED)
def protected_injection_enabled(block: StateDescription, _host: SieHost) -> str | None:
    """The guest PSW enables the interruption that the host injects."""
    if not is_protected(block):
        return None
    needed = _INJECTION_MASK.get(block.iictl, 0)
    if not needed or block.gpsw.mask & needed:
        return None
    name = Iictl(block.iictl).name
    return f"iictl asks for {name}, which the guest PSW mask {block.gpsw.mask:#018x} disables"
