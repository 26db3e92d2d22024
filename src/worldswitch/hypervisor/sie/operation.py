"""Operation-exception interceptions."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.psw import AS_MASK, PswMask
from worldswitch.arch.s390x.sthyi import STHYI_OPCODE
from worldswitch.hypervisor.outcome import Inject, Outcome, ToMachine
from worldswitch.hypervisor.requests import ProgramLoop, UnknownInstruction
from worldswitch.hypervisor.sie import lowcore
from worldswitch.hypervisor.sie.events import program
from worldswitch.hypervisor.sie.registers import MASK64
from worldswitch.hypervisor.sie.sthyi import sthyi

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

LOOP_WINDOW = 6
"""Bytes behind the new PSW's address in which the same instruction may fault again."""


def exit_operation(vcpu: "SieVcpu") -> Outcome:
    """An opcode that does not exist: STHYI, which the hypervisor provides, or an exception."""
    sd = vcpu.sd
    vcpu.statistics.count("exit_operation_exception")
    if vcpu.vm.sink is not None:
        vcpu.trace("operation exception", ipa=sd.ipa, ipb=sd.ipb)
    if sd.ipa == STHYI_OPCODE:
        return sthyi(vcpu)
    if sd.ipa == 0 and vcpu.vm.options.user_instr0:
        return ToMachine(UnknownInstruction(sd.ipa, sd.ipb))
    mask, address = lowcore.new_psw(vcpu, "pgm")
    if _would_loop(vcpu, mask, address):
        return ToMachine(ProgramLoop("program", int(ProgramCode.OPERATION), mask, address))
    return Inject(program(ProgramCode.OPERATION))


def _would_loop(vcpu: "SieVcpu", mask: int, address: int) -> bool:
    """Whether the new PSW leads to the instruction that has just faulted.

    A heuristic: it points to at most six bytes before the old one, with the same translation and
    address space, does not wait, and the fault was not the problem state's.
    """
    old_mask, old_address = vcpu.psw
    if (old_address - address) & MASK64 > LOOP_WINDOW:
        return False
    if mask & PswMask.WAIT or old_mask & PswMask.PROBLEM:
        return False
    return not (mask ^ old_mask) & (AS_MASK | PswMask.DAT)
