"""What a guest is interrupted by: physical events, intercepted or not, and virtual ones.

ref: APM2 15.13 Interrupt Intercepts; APM2 15.17 Global Interrupt Flag; APM2 15.21 Interrupt and
Local APIC Support
"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.msrs import VmCr
from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.svm_controls import (
    EVENT_ERROR_SHIFT,
    EVENT_TYPE_MASK,
    EVENT_TYPE_SHIFT,
    Event,
    EventType,
    Intercept1,
)
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import VmcbControl
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.exceptions import (
    EVENT_EXCEPTION,
    EVENT_EXTERNAL,
    EVENT_NMI,
    EVENT_SOFTWARE,
    deliver_event,
)
from worldswitch.metal.x86.leave import vmexit
from worldswitch.metal.x86.pending import PENDING_INIT, PENDING_NMI, PENDING_SMI
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.svm.features import (
    SVM_NEXT_RIP,
    SVM_VIRTUAL_GIF,
    SVM_VIRTUAL_NMI,
)

V_IRQ, V_GIF = VmcbControl.mask_of("v_irq"), VmcbControl.mask_of("v_gif")
V_NMI, V_IGN_TPR = VmcbControl.mask_of("v_nmi"), VmcbControl.mask_of("v_ign_tpr")
V_INTR_MASKING = VmcbControl.mask_of("v_intr_masking")
V_GIF_ENABLE = VmcbControl.mask_of("v_gif_enable")
V_NMI_ENABLE = VmcbControl.mask_of("v_nmi_enable")
V_TPR = 15
PRIORITY_SHIFT, VECTOR_SHIFT = 16, 32
REDIRECTED_INIT = 1
"""Error code of #SX. ref: APM2 8.2.24"""


@typed
def virtual_gif(cpu: Cpu) -> bool:
    """Whether virtual interrupts and NMIs may be taken. ref: APM2 15.33.2"""
    if cpu.svm_features & SVM_VIRTUAL_GIF == 0 or cpu.v_intr & V_GIF_ENABLE == 0:
        return True
    return cpu.v_intr & V_GIF != 0


@typed
def masks_virtually(cpu: Cpu) -> bool:
    """V_INTR_MASKING: RFLAGS.IF and CR8 of the guest are about virtual interrupts alone."""
    return cpu.v_intr & V_INTR_MASKING != 0


@typed
def physical_enabled(cpu: Cpu) -> bool:
    """Whether physical maskable interrupts are enabled while a guest executes. ref: APM2 15.21.1"""
    if masks_virtually(cpu):
        return cpu.host_if != 0
    return cpu.flags & Rflags.IF != 0


@typed(leaves=True, inline=False)
def inject(cpu: Cpu) -> None:
    """Deliver the event that VMRUN was given. ref: APM2 15.20"""
    event = cpu.inject
    kind = (event >> EVENT_TYPE_SHIFT) & EVENT_TYPE_MASK
    vector = event & 0xFF
    if kind == EventType.NMI:
        vector = 2
        cpu.nmi_blocked = 1
    cpu.halted = 0
    given: u64 = EVENT_EXTERNAL
    soft = kind == EventType.SOFTWARE
    if kind == EventType.EXCEPTION:
        given = EVENT_EXCEPTION
        soft = vector == Vector.BP or vector == Vector.OF
    elif kind == EventType.NMI:
        given = EVENT_NMI
    elif soft:
        given = EVENT_SOFTWARE
    cpu.software_rip = cpu.rip
    if soft and cpu.svm_features & SVM_NEXT_RIP != 0:
        cpu.rip = cpu.inject_rip
    deliver_event(cpu, vector, given, event & Event.EV != 0, event >> EVENT_ERROR_SHIFT)


@typed(leaves=True, inline=False)
def redirect_init(cpu: Cpu) -> bool:
    """INIT with VM_CR.R_INIT is #SX; False without. ref: APM2 15.30.1"""
    if cpu.pending & PENDING_INIT == 0 or cpu.vm_cr & VmCr.R_INIT == 0:
        return False
    cpu.pending = cpu.pending & ~u64(PENDING_INIT)
    cpu.halted = 0
    deliver_event(cpu, u64(Vector.SX), u64(EVENT_EXCEPTION), True, REDIRECTED_INIT)
    return True


@typed(leaves=True, inline=False)
def take_before(cpu: Cpu) -> bool:
    """Events of a guest that come before all that are not SVM's; True if one was taken."""
    if cpu.inject != 0:
        inject(cpu)
        return True
    if cpu.gif == 0:
        return False
    if cpu.pending & PENDING_SMI != 0 and cpu.intercepts[3] & Intercept1.SMI != 0:
        vmexit(cpu, SvmExit.SMI, 0, 0)
    if cpu.pending & PENDING_INIT != 0 and cpu.intercepts[3] & Intercept1.INIT != 0:
        vmexit(cpu, SvmExit.INIT, 0, 0)
    return False


@typed(leaves=True, inline=False)
def exit_for_physical(cpu: Cpu, interrupt: bool) -> None:
    """#VMEXIT for an NMI, or for an interrupt if one is pending and enabled.

    Neither an interrupt shadow nor the guest's own NMI handler holds these back.
    """
    if cpu.pending & PENDING_NMI != 0 and cpu.intercepts[3] & Intercept1.NMI != 0:
        vmexit(cpu, SvmExit.NMI, 0, 0)
    if interrupt and cpu.intercepts[3] & Intercept1.INTR != 0:
        vmexit(cpu, SvmExit.INTR, 0, 0)


@typed
def virtual_event(cpu: Cpu) -> bool:
    """Whether a virtual interrupt or NMI is pending, enabled or not."""
    if cpu.v_intr & V_IRQ != 0:
        return True
    return cpu.v_intr & (V_NMI | V_NMI_ENABLE) == V_NMI | V_NMI_ENABLE


@typed(leaves=True, inline=False)
def take_virtual_nmi(cpu: Cpu) -> bool:
    """The virtual NMI, outside of an interrupt shadow. ref: APM2 15.21.10"""
    if cpu.svm_features & SVM_VIRTUAL_NMI == 0:
        return False
    if cpu.v_intr & (V_NMI | V_NMI_ENABLE) != V_NMI | V_NMI_ENABLE:
        return False
    if cpu.nmi_blocked != 0 or not virtual_gif(cpu):
        return False
    cpu.v_intr = cpu.v_intr & ~u64(V_NMI)
    cpu.nmi_blocked = 1
    cpu.halted = 0
    deliver_event(cpu, 2, u64(EVENT_NMI), False, 0)
    return True


@typed
def virtual_interrupt_due(cpu: Cpu) -> bool:
    """Whether the virtual interrupt can be taken but for an interrupt shadow. ref: APM2 15.21.4"""
    if cpu.v_intr & V_IRQ == 0 or cpu.flags & Rflags.IF == 0 or not virtual_gif(cpu):
        return False
    if cpu.v_intr & V_IGN_TPR != 0:
        return True
    return (cpu.v_intr >> PRIORITY_SHIFT) & 15 > cpu.v_intr & V_TPR


@typed(leaves=True, inline=False)
def take_virtual_interrupt(cpu: Cpu) -> bool:
    """The virtual interrupt, outside of an interrupt shadow."""
    if not virtual_interrupt_due(cpu):
        return False
    if cpu.intercepts[3] & Intercept1.VINTR != 0:
        vmexit(cpu, SvmExit.VINTR, 0, 0)
    cpu.v_intr = cpu.v_intr & ~u64(V_IRQ)
    cpu.halted = 0
    vector = (cpu.v_intr >> VECTOR_SHIFT) & 0xFF
    deliver_event(cpu, vector, u64(EVENT_EXTERNAL), False, 0)
    return True
