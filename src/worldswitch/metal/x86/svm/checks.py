"""The consistency checks of VMRUN, compiled: `arch.x86.consistency` says the same with names.

ref: APM2 15.5.1 Canonicalization and Consistency Checks
"""

from worldswitch.arch.x86.consistency import EXCEPTION_FEATURES
from worldswitch.arch.x86.exceptions import EXCEPTIONS, Vector
from worldswitch.arch.x86.permission_maps import IOPM_SIZE, MSRPM_SIZE
from worldswitch.arch.x86.registers import CET_DEFINED, Cr0, Cr4, Efer, MemoryType
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.arch.x86.svm_controls import (
    EVENT_TYPE_MASK,
    EVENT_TYPE_SHIFT,
    Event,
    EventType,
    Intercept1,
    Intercept2,
    NestedControl,
)
from worldswitch.arch.x86.vmcb import MAP_BASE_MASK, VmcbControl
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.block import control, held_u16, held_u32, held_u64, save
from worldswitch.metal.x86.svm.features import (
    SVM_LONG_MODE,
    SVM_NESTED_PAGING,
    SVM_SEV_ES,
    SVM_SEV_SNP,
    SVM_SHADOW_STACKS,
    SVM_VIRTUAL_NMI,
)

CR0, CR3, CR4, EFER = save("cr0"), save("cr3"), save("cr4"), save("efer")
DR6, DR7 = save("dr6"), save("dr7")
CS_ATTRIB = save("cs") + 2
S_CET, G_PAT = save("s_cet"), save("g_pat")
INTERCEPT_1, INTERCEPT_2 = control("intercept_1"), control("intercept_2")
IOPM, MSRPM, ASID = control("iopm_base_pa"), control("msrpm_base_pa"), control("asid")
EVENT_INJ, V_INTR = control("event_inj"), control("v_intr")
NESTED_CONTROL, NESTED_CR3 = control("nested_control"), control("nested_cr3")

V_NMI_ENABLE = VmcbControl.mask_of("v_nmi_enable")
MAP_BASE = MAP_BASE_MASK | 0xFFFF_FFFF_0000_0000
LONG_AND_DEFAULT = int(SegAttr.L | SegAttr.DB)
EVENT_KINDS = sum(1 << kind for kind in EventType)
SOMETIMES = sum(1 << vector for vector in EXCEPTION_FEATURES)
EXCEPTION_VECTORS = sum(1 << v for v in EXCEPTIONS if v != Vector.NMI) & ~SOMETIMES
"""Vectors that every processor has an exception for."""
MEMORY_TYPES = sum(1 << kind for kind in MemoryType)


@typed(inline=False)
def is_legal(cpu: Cpu) -> bool:
    """Whether the guest can be entered as the processor's image of the VMCB has it."""
    return save_is_legal(cpu) and controls_are_legal(cpu) and nesting_is_legal(cpu)


@typed
def save_is_legal(cpu: Cpu) -> bool:
    """The rules about the save area."""
    efer = held_u64(cpu, EFER)
    cr0 = held_u64(cpu, CR0)
    cr4 = held_u64(cpu, CR4)
    if efer & Efer.SVME == 0:
        return False
    if efer & ~(cpu.efer_mask | u64(Efer.LME | Efer.LMA | Efer.SVME)) != 0:
        return False
    if cpu.svm_features & SVM_LONG_MODE == 0 and efer & (Efer.LME | Efer.LMA) != 0:
        return False
    if cr0 & (Cr0.CD | Cr0.NW) == Cr0.NW or cr0 >> 32 != 0:
        return False
    if held_u64(cpu, CR3) & ~cpu.physical_mask != 0 or cr4 & ~cpu.cr4_mask != 0:
        return False
    if (held_u64(cpu, DR6) | held_u64(cpu, DR7)) >> 32 != 0:
        return False
    if efer & Efer.LME != 0 and cr0 & Cr0.PG != 0:
        if cr4 & Cr4.PAE == 0 or cr0 & Cr0.PE == 0:
            return False
        if held_u16(cpu, CS_ATTRIB) & LONG_AND_DEFAULT == LONG_AND_DEFAULT:
            return False
    if cr4 & Cr4.CET != 0 and cr0 & Cr0.WP == 0:
        return False
    shadow_stacks = cpu.svm_features & SVM_SHADOW_STACKS != 0
    return not (shadow_stacks and held_u64(cpu, S_CET) & ~u64(CET_DEFINED) != 0)


@typed
def fits(cpu: Cpu, base: u64, size: u64) -> bool:
    """Whether a permission map ends within the physical address space."""
    start = base & MAP_BASE
    return start <= cpu.physical_mask and cpu.physical_mask - start >= size - 1


@typed
def controls_are_legal(cpu: Cpu) -> bool:
    """The rules about the control area, but for nested paging."""
    if held_u32(cpu, INTERCEPT_2) & Intercept2.VMRUN == 0:
        return False
    if not fits(cpu, held_u64(cpu, MSRPM), MSRPM_SIZE):
        return False
    if not fits(cpu, held_u64(cpu, IOPM), IOPM_SIZE):
        return False
    if not event_is_legal(cpu, held_u64(cpu, EVENT_INJ)):
        return False
    asid = u64(held_u32(cpu, ASID))
    if asid == 0 or asid >= cpu.asids:
        return False
    if cpu.svm_features & SVM_VIRTUAL_NMI != 0 and held_u64(cpu, V_INTR) & V_NMI_ENABLE != 0:
        return held_u32(cpu, INTERCEPT_1) & Intercept1.NMI != 0
    return True


@typed
def event_is_legal(cpu: Cpu, event: u64) -> bool:
    """Whether EVENTINJ holds nothing, or an event that can be injected. ref: APM2 15.20"""
    if event & Event.V == 0:
        return True
    kind = (event >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK
    if (u64(EVENT_KINDS) >> kind) & 1 == 0:
        return False
    if kind != EventType.EXCEPTION:
        return True
    vector = event & 0xFF
    if vector == Vector.CP:
        return cpu.svm_features & SVM_SHADOW_STACKS != 0
    if vector == Vector.VC:
        return cpu.svm_features & SVM_SEV_ES != 0
    if vector == Vector.HV:
        return cpu.svm_features & SVM_SEV_SNP != 0
    return vector < 32 and (u64(EXCEPTION_VECTORS) >> vector) & 1 != 0


@typed
def nesting_is_legal(cpu: Cpu) -> bool:
    """The rules about nested paging; a processor without it ignores NP_ENABLE."""
    if cpu.svm_features & SVM_NESTED_PAGING == 0:
        return True
    if held_u64(cpu, NESTED_CONTROL) & NestedControl.NP_ENABLE == 0:
        return True
    if cpu.cr0 & Cr0.PG == 0 or held_u64(cpu, NESTED_CR3) & ~cpu.physical_mask != 0:
        return False
    pat = held_u64(cpu, G_PAT)
    if pat & 0xF8F8_F8F8_F8F8_F8F8 != 0:
        return False
    n: u64 = 0
    while n < 64:
        if (u64(MEMORY_TYPES) >> ((pat >> n) & 7)) & 1 == 0:
            return False
        n += 8
    return True
