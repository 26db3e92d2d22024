"""Validity interceptions: SIE refused the state description."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.sie_host import ValidityReason
from worldswitch.arch.s390x.validity import all_violations
from worldswitch.hypervisor.outcome import Outcome, Stopped

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu


def exit_validity(vcpu: "SieVcpu") -> Outcome:
    """The virtual CPU ends. The rules that its state description breaks say why."""
    reason = vcpu.sd.ipb >> 16
    vcpu.statistics.count("exit_validity")
    if vcpu.vm.sink is not None:
        vcpu.trace("validity", reason=reason)
    broken = next((v for v in all_violations(vcpu.sd) if v.code == reason), None)
    try:
        name = ValidityReason(reason).name.lower().replace("_", " ")
    except ValueError:
        name = "not a documented reason"
    why = broken.message if broken is not None else name
    if reason != ValidityReason.RUNTIME_INSTRUMENTATION and not vcpu.vm.warned_validity:
        vcpu.vm.warned_validity = True
        vcpu.vm.warn(f"unhandled validity interception {reason:#06x}: {why}")
    return Stopped(
        f"validity interception {reason:#06x} on guest CPU {vcpu.address}: {why}", reason
    )
