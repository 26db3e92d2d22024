"""The virtual task priority of a guest. ref: APM2 15.21.2 TPR Register Virtualization"""

from worldswitch.arch.x86.vmcb import VmcbControl
from worldswitch.engine import typed, u32, u64
from worldswitch.metal.x86.state import Cpu

V_INTR_MASKING = VmcbControl.mask_of("v_intr_masking")
V_TPR = VmcbControl.mask_of("v_tpr")


@typed
def read_tpr(cpu: Cpu) -> u64:
    """CR8: the virtual one of a guest with V_INTR_MASKING, else the local APIC's."""
    if cpu.v_intr & V_INTR_MASKING != 0:
        return cpu.v_intr & 15
    return u64(cpu.apic_tpr) >> 4


@typed
def write_tpr(cpu: Cpu, value: u64) -> None:
    """Write CR8, four bits."""
    if cpu.v_intr & V_INTR_MASKING != 0:
        cpu.v_intr = (cpu.v_intr & ~u64(V_TPR)) | value
    else:
        cpu.apic_tpr = u32(value) << 4
