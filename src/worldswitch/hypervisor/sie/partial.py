"""Partial-execution interceptions: SIE did half of an instruction."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.hypervisor.outcome import Inject, Outcome, Resume, ToMachine
from worldswitch.hypervisor.requests import Intercepted
from worldswitch.hypervisor.sie.access import translate_logical
from worldswitch.hypervisor.sie.dat import Access
from worldswitch.hypervisor.sie.events import program
from worldswitch.hypervisor.sie.operands import registers_rre
from worldswitch.hypervisor.sie.sigp import sigp_partial

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

MVPG = 0xB254
SIGP = 0xAE


def exit_partial_execution(vcpu: "SieVcpu") -> Outcome:
    """MOVE PAGE whose pages the host has not mapped, or SIGP to a CPU that must be woken."""
    vcpu.statistics.count("exit_pei")
    if vcpu.sd.ipa == MVPG:
        return _move_page(vcpu)
    if vcpu.sd.ipa >> 8 == SIGP:
        return sigp_partial(vcpu)
    return ToMachine(Intercepted(Icpt.PARTEXEC, f"instruction {vcpu.sd.ipa:#06x}"))


def _move_page(vcpu: "SieVcpu") -> Outcome:
    """Map the source, then the destination, and have the guest execute the instruction again."""
    r1, r2 = registers_rre(vcpu)
    source = translate_logical(vcpu, vcpu.gr[r2], r2, Access.FETCH)
    if vcpu.vm.gmap.resolve(source, False) is None:
        return Inject(program(ProgramCode.ADDRESSING))
    destination = translate_logical(vcpu, vcpu.gr[r1], r1, Access.STORE)
    if vcpu.vm.gmap.resolve(destination, True) is None:
        return Inject(program(ProgramCode.ADDRESSING))
    return Resume(advance=-vcpu.instruction_length())
