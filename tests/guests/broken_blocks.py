"""State descriptions that break each validity rule, and the hosts that they break it on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from worldswitch.arch.s390x.models import SieFeatures
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
)
from worldswitch.arch.s390x.sie_host import EVERYTHING
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.s390x.validity import SieHost, ValidityReason

GIB = 1 << 30
HOST = replace(EVERYTHING, storage_limit=4 * GIB, prefix=0x20_0000, ibc=(0x11, 0x31))
BARE = SieHost(
    facilities=frozenset(),
    sie=SieFeatures(skey=False, gpere=False, ib=False, cei=False),
    storage_limit=4 * GIB,
)


def ordinary() -> StateDescription:
    """A format-2 state description with every designation in use and none broken."""
    return StateDescription.new(
        cpuflags=CpuStat.ZARCH | CpuStat.GED,
        prefix=4,
        ibc=0x21,
        mso=GIB,
        msl=2 * GIB - 1,
        eca=Eca.SIGPI | Eca.SII | Eca.VX | Eca.AIV | Eca.APIE,
        ecb=Ecb.TE | Ecb.GS,
        ecb2=Ecb2.ESCA | Ecb2.CMMA,
        ecb3=Ecb3.RI,
        scaol=0x40_0000,
        itdba=0x10_0000,
        gvrd=0x10_0200,
        riccbd=0x10_0400,
        sdnxo=0x10_0800 | 11,
        crycbd=0x10_1000 | 3,
        gd=0x10_2000 | 1,
        fac=0x10_3000,
        cbrlo=0x10_4000,
    )


def protected() -> StateDescription:
    """A format-4 state description without a broken rule."""
    return StateDescription.new(
        cpuflags=CpuStat.ZARCH,
        sdf=2,
        pv_handle_cpu=1,
        pv_handle_config=2,
        msl=GIB - 1,
        ecb2=Ecb2.ESCA,
        scaol=0x40_0000,
        sidad=0x50_0000 | 1,
        iictl=Iictl.EXT,
    )


def secured(**values: Any) -> StateDescription:
    block = protected()
    block.gpsw.mask = PswMask.EXT
    for name, value in values.items():
        setattr(block, name, value)
    return block


def plain(**values: Any) -> StateDescription:
    block = ordinary()
    for name, value in values.items():
        setattr(block, name, value)
    return block


R = ValidityReason
Make = Callable[[], StateDescription]

# Rule, reason code, block, and a piece of the message.
BROKEN: list[tuple[str, int, Make, str]] = [
    ("mode-zarch", R.MODE, lambda: plain(cpuflags=CpuStat.GED), "ZARCH (bit 20) must be one"),
    ("mode-combination", R.MODE, lambda: plain(cpuflags=CpuStat.ZARCH | CpuStat.MCDS), "MCDS"),
    (
        "mode-storage-limits",
        R.VM_STORAGE_LIMITS,
        lambda: plain(cpuflags=CpuStat.ZARCH | CpuStat.SLSV),
        "SLSV",
    ),
    (
        "mode-edat",
        R.MODE,
        lambda: plain(cpuflags=CpuStat.ZARCH | CpuStat.GED | CpuStat.GED2),
        "must not both be one",
    ),
    ("state-description-format", R.SD_FORMAT, lambda: plain(sdf=1), "sdf is 0x01"),
    ("instruction-blocking-level", R.IBC, lambda: plain(ibc=0x41), "between 0x011 and 0x031"),
    ("main-storage-extent", R.MAIN_STORAGE_EXTENT, lambda: plain(mso=3 * GIB), "above msl"),
    (
        "prefix-in-storage",
        R.PREFIX_INACCESSIBLE,
        lambda: plain(prefix=0x3FFFF),
        "0x7fffe000 is outside",
    ),
    ("sca-present", R.SCA_MISSING, lambda: plain(scaol=0), "SCA origin is zero"),
    ("sca-alignment", R.SCA_ALIGNMENT, lambda: plain(scaol=0x40_0020), "multiple of 64"),
    ("sca-above-lowcore", R.SCA_IN_LOWCORE, lambda: plain(scaol=0x1000), "0x1000 is below"),
    ("sca-not-prefix", R.SCA_IS_PREFIX, lambda: plain(scaol=0x20_1000), "host's prefix area"),
    ("sca-in-page", R.SCA_BOUNDARY, lambda: plain(scaol=0x40_0F40), "cross a page boundary"),
    ("sca-in-storage", R.SCA_INACCESSIBLE, lambda: plain(scaoh=1), "0x100400000 is outside"),
    ("itdb-accessible", R.ITDB_INACCESSIBLE, lambda: plain(itdba=0x1F00), "below 0x2000"),
    ("vector-save-area", R.VECTOR_SAVE_AREA, lambda: plain(gvrd=0), "gvrd 0x0 is below"),
    ("riccb-accessible", R.RICCB_INACCESSIBLE, lambda: plain(riccbd=4 * GIB), "outside"),
    ("sdnx-accessible", R.SDNX_INACCESSIBLE, lambda: plain(sdnxo=11), "sdnxo 0x0 is below"),
    ("sdnx-size", R.SDNX_SIZE, lambda: plain(sdnxo=0x10_0800 | 5), "it must be 6 to 12"),
    ("sdnx-alignment", R.SDNX_ALIGNMENT, lambda: plain(sdnxo=0x10_0800 | 12), "4096"),
    ("crycb-present", R.CRYCB_ZERO, lambda: plain(crycbd=3), "must not be zero"),
    ("crycb-format", R.CRYCB_FORMAT, lambda: plain(crycbd=0x10_1000 | 2), "no format"),
    ("crycb-in-page", R.CRYCB_BOUNDARY, lambda: plain(crycbd=0x10_1F80 | 3), "crosses a page"),
    ("gisa-designation", R.GISA, lambda: plain(gd=1), "address must not be zero"),
    ("facility-list-format", R.FACILITY_LIST_FORMAT, lambda: plain(fac=0x10_3002), "format 2"),
    ("cmma-list", R.CMMA_LIST, lambda: plain(cbrlo=0), "cbrlo 0x0 is below"),
    ("protected-handles", R.PV_HANDLES, lambda: secured(pv_handle_cpu=0), "handles"),
    ("protected-sca", R.PV_SCA, lambda: secured(ecb2=0), "extended SCA is required"),
    (
        "protected-instruction-data",
        R.PV_INSTRUCTION_DATA,
        lambda: secured(sidad=0x50_0100),
        "bits 52-55",
    ),
    ("protected-injection-code", R.PV_INJECTION_CODE, lambda: secured(iictl=5), "0x05"),
    (
        "protected-injection-enabled",
        R.PV_INJECTION_DISABLED,
        lambda: secured(iictl=Iictl.IO),
        "IO, which the guest PSW",
    ),
]

# Rule, field, bit and reason code of the controls that need a facility; BARE has none.
UNINSTALLED: list[tuple[str, str, int, int]] = [
    ("edat-1-installed", "cpuflags", CpuStat.GED, R.MODE_CONTROL_NOT_INSTALLED),
    ("edat-2-installed", "cpuflags", CpuStat.GED2, R.MODE_CONTROL_NOT_INSTALLED),
    ("guest-per-installed", "cpuflags", CpuStat.P, R.MODE_CONTROL_NOT_INSTALLED),
    ("storage-limit-suppression-installed", "cpuflags", CpuStat.SM, R.MODE_CONTROL_NOT_INSTALLED),
    ("interlock-suppression-installed", "cpuflags", CpuStat.IBS, R.MODE_CONTROL_NOT_INSTALLED),
    ("keyless-subset-installed", "cpuflags", CpuStat.KSS, R.MODE_CONTROL_NOT_INSTALLED),
    ("external-interception-installed", "eca", Eca.CEI, R.ECA_NOT_INSTALLED),
    ("intervention-bypass-installed", "eca", Eca.IB, R.ECA_NOT_INSTALLED),
    ("sigp-interpretation-installed", "eca", Eca.SIGPI, R.ECA_NOT_INSTALLED),
    ("shared-ipte-interlock-installed", "eca", Eca.SII, R.ECA_NOT_INSTALLED),
    ("vector-installed", "eca", Eca.VX, R.ECA_NOT_INSTALLED),
    ("adapter-interruption-installed", "eca", Eca.AIV, R.ECA_NOT_INSTALLED),
    ("ap-interpretation-installed", "eca", Eca.APIE, R.ECA_NOT_INSTALLED),
    ("branch-prediction-installed", "fpf", Fpf.BPBC, R.FPF_NOT_INSTALLED),
    ("guarded-storage-installed", "ecb", Ecb.GS, R.ECB_NOT_INSTALLED),
    ("transactions-installed", "ecb", Ecb.TE, R.ECB_NOT_INSTALLED),
    ("sense-running-installed", "ecb", Ecb.SRSI, R.ECB_NOT_INSTALLED),
    ("host-protection-installed", "ecb", Ecb.HOSTPROTINT, R.ECB_NOT_INSTALLED),
    ("topology-installed", "ecb", Ecb.PTF, R.ECB_NOT_INSTALLED),
    ("cmma-installed", "ecb2", Ecb2.CMMA, R.ECB2_NOT_INSTALLED),
    ("iep-installed", "ecb2", Ecb2.IEP, R.ECB2_NOT_INSTALLED),
    ("pfmf-interpretation-installed", "ecb2", Ecb2.PFMFI, R.ECB2_NOT_INSTALLED),
    ("extended-sca-installed", "ecb2", Ecb2.ESCA, R.ECB2_NOT_INSTALLED),
    ("pci-interpretation-installed", "ecb2", Ecb2.ZPCI_LSI, R.ECB2_NOT_INSTALLED),
    ("adapter-events-installed", "ecb3", Ecb3.AISII, R.ECB3_NOT_INSTALLED),
    ("key-wrapping-installed", "ecb3", Ecb3.AES, R.ECB3_NOT_INSTALLED),
    ("runtime-instrumentation-installed", "ecb3", Ecb3.RI, R.RUNTIME_INSTRUMENTATION),
    ("host-registers-installed", "ecd", Ecd.HOSTREGMGMT, R.ECD_NOT_INSTALLED),
    ("multiple-epoch-installed", "ecd", Ecd.MEF, R.ECD_NOT_INSTALLED),
    ("etoken-installed", "ecd", Ecd.ETOKENF, R.ECD_NOT_INSTALLED),
    ("ecc-wrapping-installed", "ecd", Ecd.HMAC, R.ECD_NOT_INSTALLED),
]

# Two designations are 31-bit addresses, which reach the end of storage on a small host alone.
SMALL = replace(HOST, storage_limit=0x50_0000)
OUTSIDE_SMALL: list[tuple[str, int, Make]] = [
    ("crycb-in-storage", R.CRYCB_INACCESSIBLE, lambda: plain(crycbd=0x60_0000 | 3)),
    ("facility-list-in-storage", R.FACILITY_LIST_INACCESSIBLE, lambda: plain(fac=0x60_0000)),
]


def minimal(**values: Any) -> StateDescription:
    values["cpuflags"] = values.get("cpuflags", 0) | CpuStat.ZARCH
    return StateDescription.new(msl=GIB - 1, **values)
