"""Opcode B6: STORE CONTROL, 32 bits."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.instructions import control_registers
from worldswitch.hypervisor.sie.instructions.privilege import Instructions

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcode B6")


@group.on(0, "stctl")
def stctl(vcpu: "SieVcpu") -> Outcome:
    """Store words."""
    return control_registers.store(vcpu, operands.storage(vcpu), 4)
