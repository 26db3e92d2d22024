"""The table of exits, which the modules beside this one fill in."""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.exits import ExitTable

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

EXITS: "ExitTable[SvmVcpu]" = ExitTable("exits", SvmExit)
