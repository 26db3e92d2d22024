"""The VMCB as the hypervisor sets it up, and changes of its intercepts.

ref: APM2 15.9; APM2 15.15.3
"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import DebugCtl, Efer, MemoryType, pat_value
from worldswitch.arch.x86.svm_controls import (
    INTERCEPT_VECTORS,
    Clean,
    Intercept1,
    Intercept2,
    Intercept3,
    NestedControl,
    VirtExt,
)

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.guest_state import SvmState

INTERCEPTS_GROUP = int(Clean.INTERCEPTS)
CR, DR, EXCEPTIONS, FIRST, SECOND, THIRD = range(len(INTERCEPT_VECTORS))
"""The words of intercepts in their order."""
PASSED_CRS = frozenset({0, 2, 3, 4, 8})
"""Control registers that the VMCB holds for the guest."""
NO_EXCEPTIONS = frozenset({2, 9})
"""Vectors below 32 that are no exceptions to trace: the NMI, and one that no longer exists."""
ALWAYS_1 = (
    Intercept1.IOIO_PROT,
    Intercept1.MSR_PROT,
    Intercept1.CPUID,
    Intercept1.INTR,
    Intercept1.INIT,
    Intercept1.NMI,
    Intercept1.SMI,
    Intercept1.SHUTDOWN,
    Intercept1.FERR_FREEZE,
    # EFER.SVME is one while the guest executes, so that these would do what they do for a host.
    Intercept1.INVLPGA,
    # It would throw the host's data away.
    Intercept1.INVD,
    # The guest is told that there are no counters.
    Intercept1.RDPMC,
)
ALWAYS_2 = (
    Intercept2.MONITOR,
    Intercept2.MWAIT,
    # VMRUN fails without it.
    Intercept2.VMRUN,
    # As with INVLPGA: these reach the host's storage, or its interrupts.
    Intercept2.VMMCALL,
    Intercept2.VMLOAD,
    Intercept2.VMSAVE,
    Intercept2.STGI,
    Intercept2.CLGI,
    Intercept2.SKINIT,
    # XCR0 is not switched, and must not get components that could not be.
    Intercept2.XSETBV,
)
BY_FEATURE_2 = {"rdpru": Intercept2.RDPRU, "mwaitx": Intercept2.MWAIT_CONDITIONAL}
BY_FEATURE_3 = {
    "invlpgb": Intercept3.INVLPGB | Intercept3.INVLPGB_ILLEGAL | Intercept3.TLBSYNC,
    "mcommit": Intercept3.MCOMMIT,
}
"""Instructions that a guest is not told of, on processors that have them."""
POWER_ON_PAT = pat_value(
    MemoryType.WB, MemoryType.WT, MemoryType.UC_MINUS, MemoryType.UC,
    MemoryType.WB, MemoryType.WT, MemoryType.UC_MINUS, MemoryType.UC,
)  # fmt: skip


def intercepted(vcpu: "SvmState", word: int, mask: int) -> bool:
    """Whether any intercept of `mask` is set."""
    return bool(vcpu.d[word] & mask)


def set_intercept(vcpu: "SvmState", word: int, mask: int, on: bool) -> None:
    """Set or clear intercepts; the group is declared dirty if that changes anything."""
    old = vcpu.d[word]
    new = old | mask if on else old & ~mask
    if new == old:
        return
    vcpu.d[word] = new
    vcpu.dirty |= INTERCEPTS_GROUP
    if vcpu.vm.sink is not None:
        name = INTERCEPT_VECTORS[word]
        vcpu.trace("intercept", word=name, before=old, after=new)


def set_up(vcpu: "SvmState") -> None:
    """The control area of a virtual CPU that has not run yet. ref: APM2 15.5.1"""
    vm, control, save = vcpu.vm, vcpu.vmcb.control, vcpu.vmcb.save
    control.iopm_base_pa = vm.maps.iopm
    control.msrpm_base_pa = vm.maps.msrpm
    control.nested_control = NestedControl.NP_ENABLE
    control.nested_cr3 = vm.npt.root
    for number in range(16):
        both = 1 << number | 1 << number + 16
        set_intercept(vcpu, CR, both, number not in PASSED_CRS)
    if vm.options.trace_exceptions:
        for number in range(32):
            if number not in NO_EXCEPTIONS:
                set_intercept(vcpu, EXCEPTIONS, 1 << number, True)
    else:
        set_intercept(vcpu, EXCEPTIONS, 1 << Vector.MC, True)
    set_intercept(vcpu, FIRST, sum(ALWAYS_1), True)
    set_intercept(vcpu, SECOND, sum(ALWAYS_2), True)
    for word, table in ((SECOND, BY_FEATURE_2), (THIRD, BY_FEATURE_3)):
        for feature, mask in table.items():
            set_intercept(vcpu, word, mask, any(feature in host.features for host in vm.hosts))
    set_intercept(vcpu, FIRST, Intercept1.HLT, vm.options.halt_exit)
    set_intercept(vcpu, FIRST, Intercept1.PAUSE, vm.options.pause_exit)
    control.asid = 0  # set before the first VMRUN
    control.v_intr_masking = 1
    if all("lbrv" in host.features for host in vm.hosts):
        control.virt_ext = VirtExt.LBR
    save.dbgctl = DebugCtl.LBR
    save.efer = Efer.SVME  # must be set while the guest executes
    save.g_pat = POWER_ON_PAT
