"""Exits: from the code in the VMCB to the handler. ref: APM2 15.6; APM2 C."""

from enum import IntEnum
from typing import TYPE_CHECKING

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Inject, Outcome
from worldswitch.hypervisor.svm.exits import (
    events,
    exceptions,
    instructions,
    io,
    msr,
    npf,
    refused,
)
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.words import EXIT_CODE
from worldswitch.hypervisor.x86.events import GuestException

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

__all__ = ["EXITS", "dispatch", "events", "exceptions", "instructions", "io", "msr", "npf"]

EXITS.seal(refused.exit_unknown)
_HANDLERS = {int(code): EXITS[code] for code in SvmExit}


def dispatch(vcpu: "SvmVcpu", reason: IntEnum) -> Outcome:
    """The outcome of an exit."""
    try:
        # A hook may have changed the code.
        code = vcpu.q[EXIT_CODE] if vcpu.vm.hooks else reason
        return _HANDLERS.get(code, refused.exit_unknown)(vcpu)
    except GuestException as exception:
        return Inject(exception.event)
