"""CPU models: identification, address sizes and features of real and of idealized processors.

A model lists what the part has. What this project does not model is taken away when a machine is
created (`CpuModel.limited_to`), so that a model stays true to the part.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from worldswitch.arch.x86.cpuid import (
    DYNAMIC,
    FEATURES,
    INTEL_ONLY,
    REGISTERS,
    REPEATED_IN_EXTENDED,
    RETIRED,
    Leaf,
    feature,
    with_requirements,
    without_orphans,
    word,
)
from worldswitch.arch.x86.registers import Cr4, Efer

AMD = "AuthenticAMD"


@dataclass(frozen=True, slots=True)
class CpuModel:
    """A processor as CPUID describes it.

    ``family`` and ``model`` are the sums with their extended parts. ``asids`` is the number of
    ASIDs, the host's 0 included; 0 without SVM.
    """

    name: str
    description: str
    family: int
    model: int
    stepping: int
    physical_bits: int
    features: frozenset[str]
    asids: int = 0
    vendor: str = AMD
    brand: str = ""

    def has(self, name: str) -> bool:
        """Whether the model has a feature; raises ValueError for a name that is none."""
        return feature(name).name in self.features

    @property
    def linear_bits(self) -> int:
        """The width of linear addresses."""
        return 57 if "la57" in self.features else 48 if "lm" in self.features else 32

    @property
    def signature(self) -> int:
        """EAX of function 1: family, model and stepping. ref: APM3 E.3.2."""
        base_family = min(self.family, 0xF)
        return (
            (self.stepping & 0xF)
            | ((self.model & 0xF) << 4)
            | (base_family << 8)
            | ((self.model >> 4) << 16)
            | ((self.family - base_family) << 20)
        )

    @property
    def cr4_mask(self) -> int:
        """The bits of CR4 that are not reserved."""
        return Cr4.PCE | sum(bit for bit, name in CR4_FEATURES.items() if name in self.features)

    @property
    def efer_mask(self) -> int:
        """The bits of EFER that are not reserved."""
        mask = sum(bit for bit, name in EFER_FEATURES.items() if name in self.features)
        if "lm" in self.features and "no_efer_lmsle" not in self.features:
            mask |= Efer.LMSLE
        return mask

    def limited_to(self, modelled: Iterable[str] | None) -> "CpuModel":
        """The model without features outside ``modelled`` and what depends on them."""
        if modelled is None:
            return self
        return replace(self, features=without_orphans(self.features & frozenset(modelled)))

    def cpuid(self, leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
        """EAX, EBX, ECX and EDX, as far as the model alone determines them.

        The features of DYNAMIC, the APIC ID, the number of processors and the sizes of enabled
        XSAVE areas are the processor's to add. ref: APM3 E.
        """
        eax, ebx, ecx, edx = (word(self.features, leaf, subleaf, name) for name in REGISTERS)
        match leaf:
            case Leaf.VENDOR:
                return Leaf.XSAVE, *_vendor(self.vendor)
            case Leaf.FEATURES:
                eax = self.signature
                ebx = CLFLUSH_QUADWORDS << 8 if "clflush" in self.features else 0
            case Leaf.MONITOR if "monitor" in self.features:
                eax = ebx = 8 * CLFLUSH_QUADWORDS
            case Leaf.EXTENDED_VENDOR:
                return Leaf.EXTENDED_FEATURES_2, *_vendor(self.vendor)
            case Leaf.EXTENDED_FEATURES:
                eax = self.signature
                repeated = word(self.features, Leaf.FEATURES, 0, "edx") & REPEATED_IN_EXTENDED
                edx |= repeated if self.vendor == AMD else 0
            case Leaf.BRAND_1 | Leaf.BRAND_2 | Leaf.BRAND_3:
                text = (self.brand or self.description).encode("ascii").ljust(48, b"\0")
                part = text[16 * (leaf - Leaf.BRAND_1) :][:16]
                eax, ebx, ecx, edx = _words(part, 4)
            case Leaf.ADDRESS_SIZES:
                eax = (max(self.linear_bits, 32) << 8) | self.physical_bits
            case Leaf.SVM if "svm" in self.features:
                eax, ebx = SVM_REVISION, self.asids
            case _:
                pass
        return eax, ebx, ecx, edx


SVM_REVISION = 1
CLFLUSH_QUADWORDS = 8

CR4_FEATURES: dict[int, str] = {
    Cr4.VME: "vme", Cr4.PVI: "vme", Cr4.TSD: "tsc", Cr4.DE: "de", Cr4.PSE: "pse", Cr4.PAE: "pae",
    Cr4.MCE: "mce", Cr4.PGE: "pge", Cr4.OSFXSR: "fxsr", Cr4.OSXMMEXCPT: "sse", Cr4.UMIP: "umip",
    Cr4.LA57: "la57", Cr4.FSGSBASE: "fsgsbase", Cr4.PCIDE: "pcid", Cr4.OSXSAVE: "xsave",
    Cr4.SMEP: "smep", Cr4.SMAP: "smap", Cr4.PKE: "pku", Cr4.CET: "shstk",
}  # fmt: skip
"""The feature without which a bit of CR4 is reserved. ref: APM2 3.1.3."""
EFER_FEATURES: dict[int, str] = {
    Efer.SCE: "syscall", Efer.LME: "lm", Efer.LMA: "lm", Efer.NXE: "nx", Efer.SVME: "svm",
    Efer.FFXSR: "fxsr_opt", Efer.TCE: "tce", Efer.MCOMMIT: "mcommit", Efer.INTWB: "int_wbinvd",
    Efer.UAIE: "upper_address_ignore", Efer.AIBRSE: "autoibrs",
}  # fmt: skip
"""The feature without which a bit of EFER is reserved. ref: APM2 3.1.7."""


def _words(data: bytes, count: int) -> tuple[int, ...]:
    return tuple(int.from_bytes(data[4 * n : 4 * n + 4], "little") for n in range(count))


def _vendor(vendor: str) -> tuple[int, int, int]:
    """EBX, ECX and EDX of functions 0 and 8000_0000: the text is in EBX, EDX, ECX."""
    ebx, edx, ecx = _words(vendor.encode("ascii").ljust(12), 3)
    return ebx, ecx, edx


def _names(*texts: str) -> frozenset[str]:
    return frozenset(feature(name).name for text in texts for name in text.split())


_BASE = _names(
    "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse "
    "sse2 syscall nx lm"
)
_V2 = _BASE | _names("sse3 ssse3 sse4_1 sse4_2 cx16 lahf_lm popcnt")
_BY_REQUEST = _names("monitor")
"""No model has these unless they are added by name. MWAIT may end at any time, and on a processor
whose MWAIT always ends at once a kernel that idles by it never rests; firmware can hide it as well
(MonMwaitDis in MSR C001_0015)."""
_MILAN = _V2 | _names(
    "pclmulqdq fma pcid x2apic movbe aes xsave avx f16c rdrand htt",
    "arat aperfmperf",
    "fsgsbase bmi1 avx2 smep bmi2 erms invpcid cqm rdt_a rdseed adx smap clflushopt clwb sha_ni",
    "umip pku shstk vaes vpclmulqdq rdpid fsrm xsaveopt xsavec xgetbv1 xsaves",
    "svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs skinit wdt tce topoext",
    "perfctr_core perfctr_nb bpext perfctr_llc mwaitx mmxext fxsr_opt pdpe1gb rdtscp",
    "addr_mask_ext cmp_legacy",
    "overflow_recov succor smca hwpstate constant_tsc cpb eff_freq_ro",
    "clzero irperf xsaveerptr invlpgb rdpru mba wbnoinvd ibpb ibrs stibp stibp_always_on ppin",
    "amd_ssbd int_wbinvd no_efer_lmsle psfd",
    "npt lbrv svm_lock nrip_save tsc_scale vmcb_clean flushbyasid decodeassists pausefilter",
    "pfthreshold avic v_vmsave_vmload vgif v_spec_ctrl",
    "sme sev vm_page_flush sev_es sev_snp vmpl",
    "lfence_rdtsc null_sel_clr_base no_nested_data_bp",
)
_GENOA = _MILAN | _names(
    "avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl avx512vbmi avx512_vbmi2 gfni",
    "avx512_vnni avx512_bitalg avx512_vpopcntdq avx512_bf16 la57",
    "x2avic vnmi upper_address_ignore autoibrs cppc",
)
_MAX = frozenset(FEATURES) - INTEL_ONLY - RETIRED - DYNAMIC - _BY_REQUEST

_MODELS = (
    CpuModel("x86-64-v2", "x86-64 of the second level, without SVM", 0xF, 0x6B, 1, 40, _V2),
    CpuModel(
        "epyc-milan",
        "AMD EPYC, third generation (Zen 3)",
        0x19,
        0x01,
        1,
        48,
        _MILAN,
        0x8000,
        brand="AMD EPYC 7763 64-Core Processor",
    ),
    CpuModel(
        "epyc-genoa",
        "AMD EPYC, fourth generation (Zen 4)",
        0x19,
        0x11,
        1,
        52,
        _GENOA,
        0x8000,
        brand="AMD EPYC 9654 96-Core Processor",
    ),
    CpuModel("max", "everything that AMD defines", 0x1A, 0x02, 1, 52, _MAX, 0x1_0000),
)

MODELS: dict[str, CpuModel] = {model.name: model for model in _MODELS}
ALIASES = {"epyc": "epyc-milan", "EPYC": "epyc-milan", "EPYC-Milan": "epyc-milan",
           "EPYC-Genoa": "epyc-genoa"}  # fmt: skip


def cpu_model(text: str, modelled: Iterable[str] | None = None) -> CpuModel:
    """The model of ``MODEL,+feature,-feature``, without features outside ``modelled`` if given.

    An added feature brings what it needs; a removed one takes along what needs it. Raises
    ValueError for an unknown model or feature, and for changes that contradict each other.
    """
    name, *changes = (part.strip() for part in text.split(","))
    try:
        model = MODELS[ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join(MODELS)
        raise ValueError(f"no CPU model {name!r}; the models are {known}") from None
    added, removed = set[str](), set[str]()
    for change in changes:
        if change[:1] not in ("+", "-"):
            raise ValueError(f"{change!r} does not begin with + or -")
        (added if change[0] == "+" else removed).add(feature(change[1:]).name)
    if changes:
        wanted = with_requirements(frozenset(added))
        if clash := wanted & removed:
            raise ValueError(f"{', '.join(sorted(clash))}: needed and removed at once")
        features = without_orphans((model.features | wanted) - removed)
        asids = (model.asids or DEFAULT_ASIDS) if "svm" in features else 0
        model = replace(model, features=features, asids=asids)
    return model.limited_to(modelled)


DEFAULT_ASIDS = 0x8000
"""The ASIDs of a model that is given SVM and had none."""
