"""Exits: from the code in the VMCB to the handler. ref: APM2 15.6; APM2 C."""

from worldswitch.arch.x86.svm_exits import SvmExit
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
from worldswitch.hypervisor.svm.vcpu import OtherExit

__all__ = ["EXITS", "HANDLERS", "events", "exceptions", "instructions", "io", "msr", "npf"]

EXITS.seal(refused.exit_unknown)
HANDLERS = {int(code): EXITS[code] for code in SvmExit} | {
    int(OtherExit.UNKNOWN): refused.exit_unknown
}
"""The sealed table as it is looked up at each exit."""
