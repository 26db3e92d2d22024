"""External-interruption interceptions: timers and external calls that SIE does not present."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.external import ExternalCode
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import RESUME, Inject, Outcome, ToMachine
from worldswitch.hypervisor.requests import Intercepted, ProgramLoop
from worldswitch.hypervisor.sie import lowcore
from worldswitch.hypervisor.sie.events import ClockComparator, CpuTimer, ExternalCall

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu


def exit_external_interruption(vcpu: "SieVcpu") -> Outcome:
    """The guest enables an external condition that SIE leaves to the hypervisor.

    It does so if the hypervisor has asked for external interceptions, or because the new PSW
    enables external interruptions too: then a timer's would be taken again and again.
    """
    sd = vcpu.sd
    code = sd.eic
    vcpu.statistics.count("exit_external_interrupt")
    mask, address = lowcore.new_psw(vcpu, "ext")
    timer = code in (ExternalCode.CLOCK_COMPARATOR, ExternalCode.CPU_TIMER)
    if timer and mask & PswMask.EXT:
        return ToMachine(ProgramLoop("external", code, mask, address))
    if code == ExternalCode.CLOCK_COMPARATOR:
        return Inject(ClockComparator())
    if code == ExternalCode.CPU_TIMER:
        return Inject(CpuTimer())
    if code == ExternalCode.EXTERNAL_CALL:
        # Not by way of the system-control area, from where SIE would present it again. One that is
        # pending already is as good.
        if not vcpu.any_external_call():
            vcpu.statistics.count(vcpu.local.inject(ExternalCall(sd.extcpuaddr)))
        return RESUME
    return ToMachine(Intercepted(Icpt.EXTINT, f"external interruption {code:#06x}"))
