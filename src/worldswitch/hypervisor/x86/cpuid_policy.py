"""What a guest's CPUID says: the processor's or a model's answers, less what guests do not get.

ref: APM3 E CPUID Functions
"""

from collections.abc import Callable, Sequence

from worldswitch.arch.x86.cpuid import (
    FEATURES,
    REGISTERS,
    REPEATED_IN_EXTENDED,
    Leaf,
    without_orphans,
    word,
)
from worldswitch.arch.x86.models import EFER_FEATURES
from worldswitch.arch.x86.registers import Cr4, Efer, Xcr0
from worldswitch.hypervisor.x86.options import Options
from worldswitch.hypervisor.x86.state import MASK32
from worldswitch.metal.interface import X86Host

Registers4 = tuple[int, int, int, int]
NOTHING: Registers4 = (0, 0, 0, 0)
TIMING_LEAF = 0x4000_0010
"""Kilohertz of the time-stamp counter in EAX and of the local APIC's timer in EBX."""
LEGACY_XSAVE_SIZE = 576
"""The legacy region and the header of an XSAVE area. ref: APM2 11.5.3."""
SMT_LEVEL, CORE_LEVEL = 1, 2
REMEMBERED = 256
"""Answers that are kept for a virtual CPU; a guest may ask for any number."""

_VIRTUALIZATION = frozenset(
    name for name, feature in FEATURES.items() if feature.leaf in (Leaf.SVM, Leaf.ENCRYPTED_MEMORY)
)
HIDDEN = _VIRTUALIZATION | frozenset(
    {
        # Facilities that the hypervisor has for itself, or that nothing here virtualizes.
        "svm", "skinit", "vmx", "smx", "monitor", "mwaitx", "extapic", "ibs", "wdt", "osvw",
        "perfctr_core", "perfctr_nb", "perfctr_llc", "bpext", "aperfmperf", "eff_freq_ro",
        "hwpstate", "cpb", "cppc", "rdt_a", "cqm", "mba", "ppin", "smca", "overflow_recov",
        "succor", "rdpru", "mcommit", "invlpgb", "invlpgb_nested", "int_wbinvd", "irperf",
        "addr_mask_ext", "topoext", "nodeid_msr", "cmp_legacy", "htt", "tsc_adjust",
        # State that FXSAVE does not hold, so that it could not be switched.
        "avx", "avx2", "fma", "f16c", "vaes", "vpclmulqdq", "pku", "ospke", "shstk", "ibt",
        "xsaves", "avx_vnni", "la57",
        # Control of speculation, whose register would have to be switched.
        "spec_ctrl", "intel_stibp", "ssbd", "ibpb", "ibrs", "stibp", "ibrs_always_on",
        "stibp_always_on", "ibrs_preferred", "ibrs_same_mode", "amd_ssbd", "virt_ssbd", "psfd",
        "ibpb_ret", "autoibrs", "arch_capabilities", "flush_l1d", "prefetch_ctl_msr",
    }
)  # fmt: skip
"""Features that no guest is told of. What depends on them goes too."""


class CpuidPolicy:
    """CPUID for a guest with `cpus` processors on `hosts`.

    A guest has no feature that one of the hosts lacks, but for those that are wholly virtual:
    x2APIC, the TSC deadline, and that the local APIC's timer never stops.
    """

    def __init__(self, hosts: Sequence[X86Host], cpus: int, options: Options) -> None:
        self.options = options
        self.cpus = cpus
        self.threads = options.threads
        self.cores = -(-cpus // options.threads)
        features = frozenset.intersection(*(host.features for host in hosts))
        self._source: Callable[[int, int], Registers4] = hosts[0].cpuid
        if options.model is not None:
            features &= options.model.features
            self._source = options.model.cpuid
        self.features = self._guest_features(without_orphans(features - HIDDEN))
        """The guest's features."""
        self.physical_bits = hosts[0].cpuid(Leaf.ADDRESS_SIZES)[0] & 0xFF
        self.xcr0_mask = int(Xcr0.X87 | Xcr0.SSE) if "xsave" in self.features else 0
        """The bits of XCR0 that the guest may set."""
        self.efer_mask = sum(
            bit for bit, name in EFER_FEATURES.items() if name in self.features
        ) | int(Efer.SVME)
        """The bits of EFER that a guest may write: it reads SVME as one."""
        self._words = {
            (item.leaf, item.subleaf) for item in FEATURES.values() if item.leaf != Leaf.SVM
        }

    def _guest_features(self, features: frozenset[str]) -> frozenset[str]:
        added = {"arat"}
        if self.options.x2apic:
            added.add("x2apic")
        else:
            features -= {"x2apic"}
        if self.options.tsc_deadline:
            added.add("tsc_deadline")
        if self.cpus > 1:
            added |= {"htt", "cmp_legacy"}
        if self.options.signature:
            added.add("hypervisor")
        return features | added

    def query(self, leaf: int, subleaf: int, apic_id: int, cr4: int, xcr0: int) -> Registers4:
        """EAX, EBX, ECX and EDX for a processor with these registers."""
        known = _LEAVES.get(leaf)
        if known is not None:
            return known(self, subleaf, apic_id, cr4, xcr0)
        if (leaf, subleaf) in self._words:
            eax, ebx, ecx, edx = (word(self.features, leaf, subleaf, name) for name in REGISTERS)
            return eax, ebx, ecx, edx
        if leaf in _PASSED:
            return self._source(leaf, 0)
        return NOTHING

    # Leaf by leaf.

    def leaf_vendor(self, _sub: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """The highest standard leaf, and the vendor."""
        highest, *name = self._source(Leaf.VENDOR, 0)
        return min(highest, Leaf.XSAVE), *name  # type: ignore[return-value]

    def leaf_features(self, _sub: int, apic_id: int, cr4: int, _xcr0: int) -> Registers4:
        """Features, the APIC ID and the number of processors."""
        eax, ebx, _, _ = self._source(Leaf.FEATURES, 0)
        ecx = word(self.features, Leaf.FEATURES, 0, "ecx")
        edx = word(self.features, Leaf.FEATURES, 0, "edx")
        if cr4 & Cr4.OSXSAVE:
            ecx |= FEATURES["osxsave"].mask
        count = min(self.cpus, 0xFF) if self.cpus > 1 else 0
        return eax, (apic_id & 0xFF) << 24 | count << 16 | ebx & 0xFF00, ecx, edx

    def leaf_structured(self, subleaf: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """More features."""
        if subleaf:
            return NOTHING
        _, ebx, ecx, edx = (word(self.features, Leaf.STRUCTURED, 0, name) for name in REGISTERS)
        return 0, ebx, ecx, edx

    def leaf_topology(self, subleaf: int, apic_id: int, _cr4: int, _xcr0: int) -> Registers4:
        """Threads and cores by level."""
        threads_shift = (self.threads - 1).bit_length()
        if subleaf == 0:
            return threads_shift, self.threads, SMT_LEVEL << 8, apic_id
        if subleaf == 1:
            shift = (self.cores - 1).bit_length() + threads_shift
            return shift, self.cpus, CORE_LEVEL << 8 | 1, apic_id
        return 0, 0, subleaf & 0xFF, apic_id

    def leaf_xsave(self, subleaf: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """State that XSAVE saves."""
        if not self.xcr0_mask:
            return NOTHING
        if subleaf == 0:
            return self.xcr0_mask, LEGACY_XSAVE_SIZE, LEGACY_XSAVE_SIZE, 0
        if subleaf == 1:
            eax = word(self.features, Leaf.XSAVE, 1, "eax")
            return eax, LEGACY_XSAVE_SIZE, 0, 0
        return NOTHING

    def leaf_hypervisor(self, _sub: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """The highest leaf of the hypervisor, and its name."""
        if not self.options.signature:
            return NOTHING
        name = self.options.signature.ljust(12, b"\0")
        ebx, ecx, edx = (int.from_bytes(name[n : n + 4], "little") for n in (0, 4, 8))
        return TIMING_LEAF, ebx, ecx, edx

    def leaf_timing(self, _sub: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """Frequencies."""
        if not self.options.signature:
            return NOTHING
        tsc, apic = self.options.tsc_hz // 1000, self.options.apic_hz // 1000
        return tsc & MASK32, apic & MASK32, 0, 0

    def leaf_extended_vendor(self, _sub: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """The highest extended leaf."""
        return self._source(Leaf.EXTENDED_VENDOR, 0)

    def leaf_extended(self, _sub: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """Extended features."""
        eax, _, _, host_edx = self._source(Leaf.EXTENDED_FEATURES, 0)
        ecx = word(self.features, Leaf.EXTENDED_FEATURES, 0, "ecx")
        edx = word(self.features, Leaf.EXTENDED_FEATURES, 0, "edx")
        if host_edx & REPEATED_IN_EXTENDED:
            edx |= word(self.features, Leaf.FEATURES, 0, "edx") & REPEATED_IN_EXTENDED
        return eax, 0, ecx, edx

    def leaf_sizes(self, _sub: int, _apic: int, _cr4: int, _xcr0: int) -> Registers4:
        """Widths of addresses, and the number of cores."""
        eax, _, _, _ = self._source(Leaf.ADDRESS_SIZES, 0)
        ebx = word(self.features, Leaf.ADDRESS_SIZES, 0, "ebx")
        ecx = (self.cpus - 1 & 0xFF) | (self.cpus - 1).bit_length() << 12
        linear = eax >> 8 & 0xFF
        return min(linear, 48) << 8 | self.physical_bits, ebx, ecx, 0


_Answer = Callable[[CpuidPolicy, int, int, int, int], Registers4]
_LEAVES: dict[int, _Answer] = {
    Leaf.VENDOR: CpuidPolicy.leaf_vendor,
    Leaf.FEATURES: CpuidPolicy.leaf_features,
    Leaf.STRUCTURED: CpuidPolicy.leaf_structured,
    Leaf.TOPOLOGY: CpuidPolicy.leaf_topology,
    Leaf.XSAVE: CpuidPolicy.leaf_xsave,
    Leaf.HYPERVISOR: CpuidPolicy.leaf_hypervisor,
    TIMING_LEAF: CpuidPolicy.leaf_timing,
    Leaf.EXTENDED_VENDOR: CpuidPolicy.leaf_extended_vendor,
    Leaf.EXTENDED_FEATURES: CpuidPolicy.leaf_extended,
    Leaf.ADDRESS_SIZES: CpuidPolicy.leaf_sizes,
}
_PASSED = frozenset(
    {
        Leaf.BRAND_1, Leaf.BRAND_2, Leaf.BRAND_3, Leaf.L1_CACHE, Leaf.L2_L3_CACHE, Leaf.TLB_1G,
        Leaf.INSTRUCTION_OPTIMIZATION,
    }
)  # fmt: skip
"""Leaves that say what the processor's caches, translation buffers and name are."""
DYNAMIC_LEAVES = frozenset({Leaf.FEATURES, Leaf.XSAVE})
"""Leaves that say what the guest's operating system has turned on."""
