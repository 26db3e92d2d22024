"""Exceptions, which are intercepted to be traced. ref: APM2 15.12 Exception Intercepts"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.svm_exits import FIRST_EXCEPTION, SvmExit
from worldswitch.hypervisor.outcome import RESUME, Inject, Outcome
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.words import EXIT_CODE, EXIT_INFO_1, EXIT_INFO_2
from worldswitch.hypervisor.x86.events import ExceptionEvent

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

WITH_ERROR_CODE = frozenset(
    {Vector.TS, Vector.NP, Vector.SS, Vector.GP, Vector.PF, Vector.AC, Vector.CP, Vector.VC,
     Vector.SX}
)  # fmt: skip
MASK32 = 0xFFFF_FFFF


@EXITS.on(SvmExit.EXCP_MC)
def exit_machine_check(vcpu: "SvmVcpu") -> Outcome:
    """A machine check is the host's: its handler is called by hand, and the guest goes on."""
    vcpu.statistics.count("exit_exception")
    handler = vcpu.vm.on_machine_check
    if handler is not None:
        handler(vcpu.host)
    return RESUME


def exit_exception(vcpu: "SvmVcpu") -> Outcome:
    """Any other is reflected: the guest takes it as if it had not been intercepted.

    That of INT3, INTO and BOUND is taken at the instruction, however long that is: nothing moves
    RIP. A double fault's error code is 0, and the processor does not report it.
    """
    vcpu.statistics.count("exit_exception")
    q = vcpu.q
    vector = q[EXIT_CODE] - FIRST_EXCEPTION
    error = address = None
    if vector == Vector.DF:
        error = 0
    elif vector in WITH_ERROR_CODE:
        error = q[EXIT_INFO_1] & MASK32
        if vector == Vector.PF:
            address = q[EXIT_INFO_2]
    if vcpu.vm.sink is not None:
        vcpu.trace("reflect", vector=vector, error=error or 0)
    return Inject(ExceptionEvent(vector, error, address))


EXITS.on(
    *(
        code
        for code in SvmExit
        if FIRST_EXCEPTION <= code < FIRST_EXCEPTION + 32
        and code not in (SvmExit.EXCP_MC, SvmExit.EXCP_NMI)
    )
)(exit_exception)
