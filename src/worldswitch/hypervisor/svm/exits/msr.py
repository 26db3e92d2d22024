"""RDMSR and WRMSR. ref: APM2 15.11 MSR Intercepts"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import ADVANCE, Outcome, ToMachine
from worldswitch.hypervisor.requests import MsrRead, MsrWrite
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.words import EXIT_INFO_1, RAX
from worldswitch.hypervisor.x86.events import general_protection
from worldswitch.hypervisor.x86.msrs import UnknownMsr
from worldswitch.hypervisor.x86.state import MASK32, Gr

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

RCX, RDX = int(Gr.RCX), int(Gr.RDX)


@EXITS.on(SvmExit.MSR)
def exit_msr(vcpu: "SvmVcpu") -> Outcome:
    """The local APIC's registers, EFER, and what else the hypervisor keeps; the rest is handed on.

    A register that the machine does not know either is refused with #GP.
    """
    q, gr = vcpu.q, vcpu.registers.bank
    msr = gr[RCX] & MASK32
    if not q[EXIT_INFO_1]:
        vcpu.statistics.count("exit_rdmsr")
        try:
            value = vcpu.msrs.read(vcpu, msr)
        except UnknownMsr:
            return _hand_on_read(vcpu, msr)
        q[RAX], gr[RDX] = value & MASK32, value >> 32
        return vcpu.skip()
    vcpu.statistics.count("exit_wrmsr")
    value = (gr[RDX] & MASK32) << 32 | q[RAX] & MASK32
    try:
        vcpu.msrs.write(vcpu, msr, value)
    except UnknownMsr:
        return _hand_on_write(vcpu, msr, value)
    return vcpu.skip()


def _refused(vcpu: "SvmVcpu", msr: int) -> Outcome:
    vcpu.statistics.count("unknown_msr")
    if vcpu.vm.sink is not None:
        vcpu.trace("unknown_msr", msr=msr)
    raise general_protection()


def _hand_on_read(vcpu: "SvmVcpu", msr: int) -> Outcome:
    length = vcpu.instruction_length()

    def answered(value: int | None) -> Outcome:
        if value is None:
            return _refused(vcpu, msr)
        vcpu.gr[Gr.RAX], vcpu.gr[Gr.RDX] = value & MASK32, value >> 32 & MASK32
        return ADVANCE[length]

    vcpu.completion = answered
    return ToMachine(MsrRead(msr))


def _hand_on_write(vcpu: "SvmVcpu", msr: int, value: int) -> Outcome:
    length = vcpu.instruction_length()

    def answered(done: int | None) -> Outcome:
        return _refused(vcpu, msr) if done is None else ADVANCE[length]

    vcpu.completion = answered
    return ToMachine(MsrWrite(msr, value))
