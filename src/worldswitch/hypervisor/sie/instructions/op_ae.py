"""Opcode AE: SIGNAL PROCESSOR."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.sie import sigp as orders
from worldswitch.hypervisor.sie.instructions.privilege import Instructions

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcode AE")


@group.on(0, "sigp")
def sigp(vcpu: "SieVcpu") -> Outcome:
    """SIGP; counted by order as well."""
    return orders.sigp(vcpu)
