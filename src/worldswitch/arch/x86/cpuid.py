"""CPUID: functions by name, and each feature bit by name.

A feature has the name that /proc/cpuinfo gives it where it has one there.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from worldswitch.arch.control_block import manual

Register = Literal["eax", "ebx", "ecx", "edx"]
REGISTERS: tuple[Register, ...] = ("eax", "ebx", "ecx", "edx")


@manual(ref="APM3 E CPUID Functions")
class Leaf(IntEnum):
    """Functions: the value of EAX."""

    VENDOR = 0x0000_0000
    FEATURES = 0x0000_0001
    MONITOR = 0x0000_0005
    POWER = 0x0000_0006
    STRUCTURED = 0x0000_0007
    TOPOLOGY = 0x0000_000B
    XSAVE = 0x0000_000D
    HYPERVISOR = 0x4000_0000
    EXTENDED_VENDOR = 0x8000_0000
    EXTENDED_FEATURES = 0x8000_0001
    BRAND_1 = 0x8000_0002
    BRAND_2 = 0x8000_0003
    BRAND_3 = 0x8000_0004
    L1_CACHE = 0x8000_0005
    L2_L3_CACHE = 0x8000_0006
    ADVANCED_POWER = 0x8000_0007
    ADDRESS_SIZES = 0x8000_0008
    SVM = 0x8000_000A
    TLB_1G = 0x8000_0019
    INSTRUCTION_OPTIMIZATION = 0x8000_001A
    IBS = 0x8000_001B
    CACHE_TOPOLOGY = 0x8000_001D
    EXTENDED_TOPOLOGY = 0x8000_001E
    ENCRYPTED_MEMORY = 0x8000_001F
    EXTENDED_FEATURES_2 = 0x8000_0021


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature bit: where CPUID reports it."""

    name: str
    leaf: int
    subleaf: int
    register: Register
    bit: int

    @property
    def mask(self) -> int:
        """The bit within its register."""
        return 1 << self.bit


_Place = tuple[int, int, Register]

# Names by bit, from bit 0 on; "-" stands for a bit that is reserved or nobody's here.
_WORDS: dict[_Place, str] = {
    (1, 0, "ecx"): (
        "sse3 pclmulqdq - monitor - vmx smx - - ssse3 - - fma cx16 - - - pcid - sse4_1 sse4_2 "
        "x2apic movbe popcnt tsc_deadline aes xsave osxsave avx f16c rdrand hypervisor"
    ),
    (1, 0, "edx"): (
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 - clflush - - "
        "- mmx fxsr sse sse2 - htt - - -"
    ),
    (6, 0, "eax"): "- - arat",
    (6, 0, "ecx"): "aperfmperf",
    (7, 0, "ebx"): (
        "fsgsbase tsc_adjust - bmi1 - avx2 - smep bmi2 erms invpcid - cqm - - rdt_a avx512f "
        "avx512dq rdseed adx smap avx512ifma - clflushopt clwb - - - avx512cd sha_ni avx512bw "
        "avx512vl"
    ),
    (7, 0, "ecx"): (
        "- avx512vbmi umip pku ospke - avx512_vbmi2 shstk gfni vaes vpclmulqdq avx512_vnni "
        "avx512_bitalg - avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect"
    ),
    (7, 0, "edx"): (
        "- - - - fsrm - - - avx512_vp2intersect - - - - - - - - - - - ibt - - - - - spec_ctrl "
        "intel_stibp flush_l1d arch_capabilities - ssbd"
    ),
    (7, 1, "eax"): "- - - - avx_vnni avx512_bf16",
    (0xD, 1, "eax"): "xsaveopt xsavec xgetbv1 xsaves",
    (0x8000_0001, 0, "ecx"): (
        "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs "
        "xop skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext "
        "ptsc perfctr_llc mwaitx addr_mask_ext"
    ),
    (0x8000_0001, 0, "edx"): (
        "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - "
        "lm 3dnowext 3dnow"
    ),
    (0x8000_0007, 0, "ebx"): "overflow_recov succor - smca",
    (0x8000_0007, 0, "edx"): "ts - ttp tm - 100mhzsteps hwpstate - constant_tsc cpb eff_freq_ro",
    (0x8000_0008, 0, "ebx"): (
        "clzero irperf xsaveerptr invlpgb rdpru - mba - mcommit wbnoinvd - - ibpb int_wbinvd ibrs "
        "stibp ibrs_always_on stibp_always_on ibrs_preferred ibrs_same_mode no_efer_lmsle "
        "invlpgb_nested - ppin amd_ssbd virt_ssbd amd_ssb_no cppc psfd btc_no ibpb_ret"
    ),
    (0x8000_000A, 0, "edx"): (
        "npt lbrv svm_lock nrip_save tsc_scale vmcb_clean flushbyasid decodeassists pmc_virt - "
        "pausefilter - pfthreshold avic - v_vmsave_vmload vgif gmet x2avic sss_check v_spec_ctrl "
        "ro_gpt - host_mce_override tlbi_ctl vnmi ibs_virt ext_lvt_avic vmcb_addr_chk "
        "bus_lock_threshold idle_hlt"
    ),
    (0x8000_001F, 0, "eax"): "sme sev vm_page_flush sev_es sev_snp vmpl",
    (0x8000_0021, 0, "eax"): (
        "no_nested_data_bp - lfence_rdtsc smm_pgcfg_lock - - null_sel_clr_base "
        "upper_address_ignore autoibrs no_smm_ctl_msr fsrs fsrc - prefetch_ctl_msr - - - cpuid_user"
    ),
}

# Names by which others know them.
ALIASES = {
    "pni": "sse3",
    "pclmul": "pclmulqdq",
    "vmsave_vmload": "v_vmsave_vmload",
    "v_gif": "vgif",
    "cet_ss": "shstk",
    "cet_ibt": "ibt",
    "sha": "sha_ni",
    "sce": "syscall",
    "gbpages": "pdpe1gb",
    "lahf": "lahf_lm",
    "nrips": "nrip_save",
}


def _features() -> dict[str, Feature]:
    found: dict[str, Feature] = {}
    for (leaf, subleaf, register), text in _WORDS.items():
        for bit, name in enumerate(text.split()):
            if name == "-":
                continue
            if name in found or bit > 31:
                raise ValueError(f"CPUID {leaf:#x} {register} bit {bit}: {name} cannot be there")
            found[name] = Feature(name, leaf, subleaf, register, bit)
    return found


FEATURES: dict[str, Feature] = _features()
"""All features by name."""

# These bits report what software has enabled, or are set where a guest is told that it is one.
DYNAMIC = frozenset({"osxsave", "ospke", "hypervisor"})
# Features that only Intel's processors have.
INTEL_ONLY = frozenset(
    {
        "vmx", "smx", "tsc_adjust", "ibt", "spec_ctrl", "intel_stibp", "flush_l1d",
        "arch_capabilities", "ssbd", "avx512_vp2intersect", "avx_vnni", "bus_lock_detect",
        "tsc_deadline",
    }
)  # fmt: skip
# Features that AMD's processors of today no longer have.
RETIRED = frozenset({"3dnow", "3dnowext", "xop", "fma4", "tbm", "lwp", "mp", "ts", "ttp", "tm",
                     "100mhzsteps", "ptsc", "nodeid_msr"})  # fmt: skip

# Leaf 8000_0001 EDX repeats these bits of leaf 1 EDX on AMD's processors. ref: APM3 E.4.2.
REPEATED_IN_EXTENDED = 0x0183_F3FF


def feature(name: str) -> Feature:
    """A feature by its name, with any of ``-``, ``_`` and ``.`` in it.

    Raises ValueError for a name that is none.
    """
    plain = name.strip().lower().replace("-", "_").replace(".", "_")
    plain = ALIASES.get(plain, plain)
    try:
        return FEATURES[plain]
    except KeyError:
        raise ValueError(f"no CPU feature {name!r}") from None


# What a feature cannot be without.
REQUIRES: dict[str, tuple[str, ...]] = {
    "sse": ("fxsr",),
    "sse2": ("sse",),
    "sse3": ("sse2",),
    "ssse3": ("sse3",),
    "sse4_1": ("ssse3",),
    "sse4_2": ("sse4_1",),
    "sse4a": ("sse3",),
    "aes": ("sse2",),
    "pclmulqdq": ("sse2",),
    "sha_ni": ("sse2",),
    "gfni": ("sse2",),
    "xsave": ("fxsr",),
    "xsaveopt": ("xsave",),
    "xsavec": ("xsave",),
    "xgetbv1": ("xsave",),
    "xsaves": ("xsavec",),
    "avx": ("xsave", "sse4_2"),
    "avx2": ("avx",),
    "fma": ("avx",),
    "f16c": ("avx",),
    "vaes": ("avx", "aes"),
    "vpclmulqdq": ("avx", "pclmulqdq"),
    "avx512f": ("avx2", "fma", "f16c"),
    "pku": ("lm", "xsave"),
    "lm": ("pae", "sse2", "syscall"),
    "la57": ("lm",),
    "pdpe1gb": ("lm",),
    "lahf_lm": ("lm",),
    "cx16": ("lm",),
    "pcid": ("lm",),
    "invpcid": ("pcid",),
    "fsgsbase": ("lm",),
    "nx": ("pae",),
    "pse36": ("pse",),
    "x2apic": ("apic",),
    "extapic": ("apic",),
    "tsc_deadline": ("apic", "tsc"),
    "rdtscp": ("tsc",),
    "sev_es": ("sev",),
    "sev_snp": ("sev_es",),
    "x2avic": ("avic",),
    "vnmi": ("vgif",),
    **{name: ("avx512f",) for name in FEATURES if name.startswith("avx512") and name != "avx512f"},
    **{
        item.name: ("svm",)
        for item in FEATURES.values()
        if item.leaf == Leaf.SVM and item.name not in ("x2avic", "vnmi")
    },
    "skinit": ("svm",),
}


def with_requirements(names: frozenset[str]) -> frozenset[str]:
    """The features and everything that they need."""
    todo, found = list(names), set[str]()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(REQUIRES.get(name, ()))
    return frozenset(found)


def without_orphans(names: frozenset[str]) -> frozenset[str]:
    """The features without those that need one that is not there."""
    while True:
        kept = frozenset(name for name in names if names.issuperset(REQUIRES.get(name, ())))
        if kept == names:
            return kept
        names = kept


def word(names: frozenset[str], leaf: int, subleaf: int, register: Register) -> int:
    """The value of one CPUID register from the features alone."""
    place = (leaf, subleaf, register)
    value = 0
    for name in names:
        item = FEATURES[name]
        if (item.leaf, item.subleaf, item.register) == place:
            value |= item.mask
    return value
