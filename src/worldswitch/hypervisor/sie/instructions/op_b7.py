"""Opcode B7: LOAD CONTROL, 32 bits."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.instructions import control_registers
from worldswitch.hypervisor.sie.instructions.privilege import Instructions

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcode B7")


@group.on(0, "lctl")
def lctl(vcpu: "SieVcpu") -> Outcome:
    """Load words."""
    return control_registers.load(vcpu, operands.storage(vcpu), 4)
