"""The consistency checks of VMRUN: is the VMCB legal, and if not, why.

VMRUN on a block that breaks a rule ends at once with #VMEXIT(INVALID). The rules are on `Vmcb`
itself and are pure functions of the block and the host. Bases of segments are none of them: VMRUN
makes them canonical. Selectors, limits, attributes but for CS.L with CS.D, RFLAGS, rIP, TLB_CONTROL
and reserved bits of the control area are not checked at all.

UNMODELLED: the rules for AVIC tables and for guests with encrypted memory.
"""

from typing import Any

from worldswitch.arch.control_block import Violation
from worldswitch.arch.x86.exceptions import EXCEPTIONS, Vector
from worldswitch.arch.x86.permission_maps import IOPM_SIZE, MSRPM_SIZE
from worldswitch.arch.x86.registers import CET_DEFINED, Cr0, Cr4, Efer, MemoryType, pat_entry
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.arch.x86.svm_controls import (
    EventType,
    Intercept1,
    Intercept2,
    NestedControl,
)
from worldswitch.arch.x86.svm_host import EVERYTHING, SvmHost
from worldswitch.arch.x86.vmcb import MAP_BASE_MASK, Vmcb

__all__ = ["EVERYTHING", "SvmHost", "all_violations", "first_violation"]

rule = Vmcb.rule
UPPER_HALF = 0xFFFF_FFFF_0000_0000
PAT_FIELDS = 8
MEMORY_TYPES = frozenset(MemoryType)
EVENT_TYPES = frozenset(EventType)
# Exceptions that a guest can be given only where the processor could raise them itself.
EXCEPTION_FEATURES: dict[int, str] = {Vector.CP: "shstk", Vector.VC: "sev_es", Vector.HV: "sev_snp"}


def all_violations(buf: Any, host: SvmHost = EVERYTHING) -> list[Violation]:
    """Every rule that the VMCB breaks, in the order of the checks."""
    return Vmcb.check(buf, host)


def first_violation(block: Vmcb, host: SvmHost = EVERYTHING) -> Violation | None:
    """The first rule that the VMCB breaks, or None if VMRUN would enter the guest."""
    for item in Vmcb.rules:
        message = item.test(block, host)
        if message is not None:
            return Violation(item.name, item.ref, message, item.code)
    return None


def _bits(value: int) -> str:
    return f"{value:#018x}"


# The save area.


@rule("efer-svme", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def efer_svme(block: Vmcb, _host: SvmHost) -> str | None:
    """The guest runs with EFER.SVME."""
    efer = block.save.efer
    return None if efer & Efer.SVME else f"EFER {_bits(efer)}: SVME (bit 12) must be one"


@rule("efer-reserved", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def efer_reserved(block: Vmcb, host: SvmHost) -> str | None:
    """Bits of EFER that the processor does not have are zero."""
    # LME and LMA have a rule of their own; SVME must be one even where CPUID hides it.
    wrong = block.save.efer & ~(host.efer_mask | Efer.LME | Efer.LMA | Efer.SVME)
    return f"EFER {_bits(block.save.efer)}: bits {wrong:#x} must be zero" if wrong else None


@rule("efer-long-mode", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def efer_long_mode(block: Vmcb, host: SvmHost) -> str | None:
    """LME and LMA are for processors with long mode."""
    efer = block.save.efer
    if host.has("lm") or not efer & (Efer.LME | Efer.LMA):
        return None
    return f"EFER {_bits(efer)}: LME (bit 8) and LMA (bit 10) need long mode"


@rule("cr0-caching", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def cr0_caching(block: Vmcb, _host: SvmHost) -> str | None:
    """CR0.NW is not one without CR0.CD."""
    cr0 = block.save.cr0
    if cr0 & (Cr0.CD | Cr0.NW) != Cr0.NW:
        return None
    return f"CR0 {_bits(cr0)}: NW (bit 29) must be zero while CD (bit 30) is"


@rule("cr0-upper", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def cr0_upper(block: Vmcb, _host: SvmHost) -> str | None:
    """Bits 63:32 of CR0 are zero."""
    cr0 = block.save.cr0
    return f"CR0 {_bits(cr0)}: bits 63:32 must be zero" if cr0 & UPPER_HALF else None


@rule("cr3-reserved", ref="APM2 15.5.1 Canonicalization and Consistency Checks; APM2 3.1.2")
def cr3_reserved(block: Vmcb, host: SvmHost) -> str | None:
    """The upper bits of CR3 that no physical address has are zero."""
    cr3 = block.save.cr3
    if cr3 < host.physical_limit:
        return None
    return f"CR3 {_bits(cr3)}: bits 63:{host.physical_bits} must be zero"


@rule("cr4-reserved", ref="APM2 15.5.1 Canonicalization and Consistency Checks; APM2 3.1.3")
def cr4_reserved(block: Vmcb, host: SvmHost) -> str | None:
    """Bits of CR4 that the processor does not have are zero."""
    wrong = block.save.cr4 & ~host.cr4_mask
    return f"CR4 {_bits(block.save.cr4)}: bits {wrong:#x} must be zero" if wrong else None


@rule("dr6-upper", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def dr6_upper(block: Vmcb, _host: SvmHost) -> str | None:
    """Bits 63:32 of DR6 are zero."""
    dr6 = block.save.dr6
    return f"DR6 {_bits(dr6)}: bits 63:32 must be zero" if dr6 & UPPER_HALF else None


@rule("dr7-upper", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def dr7_upper(block: Vmcb, _host: SvmHost) -> str | None:
    """Bits 63:32 of DR7 are zero."""
    dr7 = block.save.dr7
    return f"DR7 {_bits(dr7)}: bits 63:32 must be zero" if dr7 & UPPER_HALF else None


def _long_mode_paging(block: Vmcb) -> bool:
    return bool(block.save.efer & Efer.LME and block.save.cr0 & Cr0.PG)


@rule("long-mode-pae", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def long_mode_pae(block: Vmcb, _host: SvmHost) -> str | None:
    """Paging in long mode is PAE paging."""
    if not _long_mode_paging(block) or block.save.cr4 & Cr4.PAE:
        return None
    return "EFER.LME and CR0.PG are one; CR4.PAE (bit 5) must be one"


@rule("long-mode-protection", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def long_mode_protection(block: Vmcb, _host: SvmHost) -> str | None:
    """Long mode is a protected mode. Without LME, paging in real mode is legal."""
    if not _long_mode_paging(block) or block.save.cr0 & Cr0.PE:
        return None
    return "EFER.LME and CR0.PG are one; CR0.PE (bit 0) must be one"


@rule("long-mode-code-segment", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def long_mode_code_segment(block: Vmcb, _host: SvmHost) -> str | None:
    """A code segment of long mode is not both a 64-bit and a 32-bit one."""
    attrib, both = block.save.cs.attrib, SegAttr.L | SegAttr.DB
    if not _long_mode_paging(block) or not block.save.cr4 & Cr4.PAE or attrib & both != both:
        return None
    return f"CS attributes {attrib:#06x}: L (bit 9) and D (bit 10) must not both be one"


@rule("cet-write-protection", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def cet_write_protection(block: Vmcb, _host: SvmHost) -> str | None:
    """Shadow stacks need CR0.WP."""
    if not block.save.cr4 & Cr4.CET or block.save.cr0 & Cr0.WP:
        return None
    return "CR4.CET is one; CR0.WP (bit 16) must be one"


@rule("s-cet-reserved", ref="APM2 15.5.1 Canonicalization and Consistency Checks; APM2 18.12")
def s_cet_reserved(block: Vmcb, host: SvmHost) -> str | None:
    """Reserved bits of S_CET are zero, on processors that load it."""
    wrong = block.save.s_cet & ~CET_DEFINED
    if not host.has("shstk") or not wrong:
        return None
    return f"S_CET {_bits(block.save.s_cet)}: bits {wrong:#x} must be zero"


# The control area.


@rule("vmrun-intercept", ref="APM2 15.5.1 Canonicalization and Consistency Checks")
def vmrun_intercept(block: Vmcb, _host: SvmHost) -> str | None:
    """VMRUN is intercepted."""
    word = block.control.intercept_2
    return None if word & Intercept2.VMRUN else f"intercepts {word:#010x}: VMRUN (bit 0) is clear"


def _map_extent(name: str, base: int, size: int, host: SvmHost) -> str | None:
    # All of the address counts here, but for the bits that are ignored.
    start = base & (MAP_BASE_MASK | UPPER_HALF)
    if start + size <= host.physical_limit:
        return None
    last = start + size - 1
    return f"{name} ends at {last:#x}, beyond {host.physical_bits} bits of physical address"


@rule("msrpm-extent", ref="APM2 15.5.1 Canonicalization and Consistency Checks; APM2 15.11")
def msrpm_extent(block: Vmcb, host: SvmHost) -> str | None:
    """The MSR permission map is where memory can be, whether it is in use or not."""
    return _map_extent("the MSR permission map", block.control.msrpm_base_pa, MSRPM_SIZE, host)


@rule("iopm-extent", ref="APM2 15.5.1 Canonicalization and Consistency Checks; APM2 15.10.1")
def iopm_extent(block: Vmcb, host: SvmHost) -> str | None:
    """The I/O permission map is where memory can be, whether it is in use or not."""
    return _map_extent("the I/O permission map", block.control.iopm_base_pa, IOPM_SIZE, host)


@rule("event-injection-type", ref="APM2 15.5.1; APM2 15.20 Event Injection")
def event_injection_type(block: Vmcb, _host: SvmHost) -> str | None:
    """An event to be injected has a type that is not reserved."""
    control = block.control
    if not control.event_inj_valid or control.event_inj_type in EVENT_TYPES:
        return None
    return f"EVENTINJ {_bits(control.event_inj)}: type {control.event_inj_type} is reserved"


@rule("event-injection-vector", ref="APM2 15.5.1; APM2 15.20 Event Injection")
def event_injection_vector(block: Vmcb, host: SvmHost) -> str | None:
    """An exception to be injected has the vector of one."""
    control = block.control
    if not control.event_inj_valid or control.event_inj_type != EventType.EXCEPTION:
        return None
    vector = control.event_inj_vector
    where = f"EVENTINJ {_bits(control.event_inj)}"
    if vector == Vector.NMI:
        return f"{where}: vector 2 is the NMI, which is not an exception"
    if vector not in EXCEPTIONS:
        return f"{where}: vector {vector} is no exception"
    needed = EXCEPTION_FEATURES.get(vector)
    if needed is None or host.has(needed):
        return None
    return f"{where}: vector {vector} is no exception on a processor without {needed}"


@rule("asid-zero", ref="APM2 15.5.1 Canonicalization and Consistency Checks; APM2 15.16")
def asid_zero(block: Vmcb, _host: SvmHost) -> str | None:
    """The guest does not use the host's ASID."""
    return None if block.control.asid else "the guest's ASID is 0, which is the host's"


@rule("asid-range", ref="APM2 15.16 TLB Control; APM3 E.4.9 Function 8000_000A")
def asid_range(block: Vmcb, host: SvmHost) -> str | None:
    """The ASID is one that the processor has."""
    asid = block.control.asid
    if asid < host.asids or asid == 0:
        return None
    return f"the guest's ASID is {asid}; the largest of this processor is {host.asids - 1}"


@rule("virtual-nmi-intercept", ref="APM2 15.21.10 NMI Virtualization")
def virtual_nmi_intercept(block: Vmcb, host: SvmHost) -> str | None:
    """Virtual NMIs need the intercept of physical ones."""
    control = block.control
    if not host.has("vnmi") or not control.v_nmi_enable or control.intercept_1 & Intercept1.NMI:
        return None
    return "V_NMI_ENABLE is one; the NMI intercept (bit 1 at 00C) must be set"


# Nested paging. A processor without it ignores NP_ENABLE.


def _nested(block: Vmcb, host: SvmHost) -> bool:
    return host.has("npt") and bool(block.control.nested_control & NestedControl.NP_ENABLE)


@rule("nested-host-paging", ref="APM2 15.25.3 Enabling Nested Paging")
def nested_host_paging(block: Vmcb, host: SvmHost) -> str | None:
    """Nested paging needs paging in the host."""
    if not _nested(block, host) or host.paging:
        return None
    return "NP_ENABLE is one; CR0.PG of the host must be one"


@rule("nested-cr3-reserved", ref="APM2 15.25.4 Nested Paging and VMRUN/#VMEXIT")
def nested_cr3_reserved(block: Vmcb, host: SvmHost) -> str | None:
    """The upper bits of nCR3 that no physical address has are zero."""
    ncr3 = block.control.nested_cr3
    if not _nested(block, host) or ncr3 < host.physical_limit:
        return None
    return f"N_CR3 {_bits(ncr3)}: bits 63:{host.physical_bits} must be zero"


@rule("nested-pat", ref="APM2 15.25.4 Nested Paging and VMRUN/#VMEXIT; APM2 7.8.1 PAT Register")
def nested_pat(block: Vmcb, host: SvmHost) -> str | None:
    """With nested paging each field of G_PAT is a memory type."""
    if not _nested(block, host):
        return None
    pat = block.save.g_pat
    for index in range(PAT_FIELDS):
        if pat_entry(pat, index) not in MEMORY_TYPES:
            return f"G_PAT {_bits(pat)}: PA{index} is {pat_entry(pat, index):#04x}, no memory type"
    return None
