"""Opcodes 01xx: clock steering and the TOD programmable field."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import RESUME, Outcome
from worldswitch.hypervisor.sie.instructions.privilege import Instructions, require

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcodes 01")
PTFF, SCKPF = 0x04, 0x07
FUNCTION_NOT_AVAILABLE = 3


@group.on(PTFF, "ptff", privileged=False)
def ptff(vcpu: "SieVcpu") -> Outcome:
    """No function of PERFORM TIMING FACILITY FUNCTION is offered to guests."""
    vcpu.set_cc(FUNCTION_NOT_AVAILABLE)
    return RESUME


@group.on(SCKPF, "sckpf")
def sckpf(vcpu: "SieVcpu") -> Outcome:
    """SET CLOCK PROGRAMMABLE FIELD from bits 48-63 of general register 0; bits 32-47 are zero."""
    value = vcpu.gr[0]
    require(not value & 0xFFFF_0000)
    vcpu.sd.todpr = value & 0xFFFF
    return RESUME
