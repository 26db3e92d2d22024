"""Opcodes AAx, E3xx and EBxx of facilities that are turned on when a guest first uses them."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ecb, Ecb3, Ecd
from worldswitch.hypervisor.outcome import Outcome, Resume
from worldswitch.hypervisor.sie.instructions.privilege import Instructions, fail

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcodes AA")
HIGHEST_RI = 4
"""The last digit of the first halfword: RINEXT 0, RION 1, TRIC 2, RIOFF 3, RIEMIT 4."""


def runtime_instrumentation(vcpu: "SieVcpu") -> Outcome:
    """Turn runtime instrumentation on and execute the instruction again."""
    if not vcpu.vm.has(Facility.RUNTIME_INSTRUMENTATION):
        raise fail(ProgramCode.OPERATION)
    vcpu.sd.ecb3 |= Ecb3.RI
    return Resume(advance=-vcpu.instruction_length())


def guarded_storage(vcpu: "SieVcpu") -> Outcome:
    """Turn guarded storage on and execute the instruction again."""
    if not vcpu.vm.has(Facility.GUARDED_STORAGE):
        raise fail(ProgramCode.OPERATION)
    vcpu.sd.ecb |= Ecb.GS
    vcpu.sd.ecd |= Ecd.HOSTREGMGMT
    return Resume(advance=-vcpu.instruction_length())


for _code in range(HIGHEST_RI + 1):
    group.on(_code, "ri", privileged=False)(runtime_instrumentation)
