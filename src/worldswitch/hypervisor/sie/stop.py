"""Stop interceptions: a SIGP stop order takes effect."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import RESUME, Outcome, ToMachine
from worldswitch.hypervisor.requests import CpuStopped
from worldswitch.hypervisor.sie.delivery import has_interrupt
from worldswitch.hypervisor.sie.interrupts import Irq

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu


def exit_stop(vcpu: "SieVcpu") -> Outcome:
    """Stop the CPU, unless an interruption is to be taken first; store its status if asked to."""
    local = vcpu.local
    vcpu.statistics.count("exit_stop_request")
    if has_interrupt(vcpu, exclude_stop=True):
        return RESUME
    pending, store = local.has(Irq.STOP), local.store_status
    if vcpu.vm.sink is not None:
        vcpu.trace("stop request", pending=int(pending), store_status=int(store))
    if not pending:
        return RESUME
    if store:
        vcpu.store_status()
    if not vcpu.vm.options.user_cpu_state:
        vcpu.stop()
    return ToMachine(CpuStopped(store))
