"""Opcodes EBxx: 64-bit LOAD CONTROL and STORE CONTROL, and runtime instrumentation's controls."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.instructions import control_registers
from worldswitch.hypervisor.sie.instructions.op_aa import runtime_instrumentation
from worldswitch.hypervisor.sie.instructions.privilege import Instructions

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcodes EB")
STCTG, LCTLG = 0x25, 0x2F
LRIC, STRIC, MRIC = 0x60, 0x61, 0x62


@group.on(LCTLG, "lctlg")
def lctlg(vcpu: "SieVcpu") -> Outcome:
    """Load doublewords."""
    return control_registers.load(vcpu, operands.storage_long(vcpu), 8)


@group.on(STCTG, "stctg")
def stctg(vcpu: "SieVcpu") -> Outcome:
    """Store doublewords."""
    return control_registers.store(vcpu, operands.storage_long(vcpu), 8)


for _code in (LRIC, STRIC, MRIC):
    group.on(_code, "ri", privileged=False)(runtime_instrumentation)
