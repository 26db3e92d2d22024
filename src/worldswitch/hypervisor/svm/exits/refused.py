"""Exits that nothing here is for, and entries that the processor has refused."""

from typing import TYPE_CHECKING

from worldswitch.arch.x86 import consistency
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.outcome import Outcome, Stopped, ToMachine
from worldswitch.hypervisor.requests import UnclaimedExit
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.words import EXIT_CODE, EXIT_INFO_1, EXIT_INFO_2

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

RULES = consistency
"""Imported for its rules, which `Vmcb.check` goes through."""


def unclaimed(vcpu: "SvmVcpu", reason: str) -> Outcome:
    """Hand an exit to the machine as it is."""
    vcpu.statistics.count("exit_unknown")
    q = vcpu.q
    return ToMachine(UnclaimedExit(q[EXIT_CODE], q[EXIT_INFO_1], q[EXIT_INFO_2], reason))


@EXITS.on(SvmExit.INVALID)
def exit_invalid(vcpu: "SvmVcpu") -> Outcome:
    """VMRUN has refused the VMCB: each rule that it breaks is named. ref: APM2 15.5.1."""
    vcpu.statistics.count("exit_invalid")
    cpu = vcpu.loaded_on
    assert cpu is not None
    broken = Vmcb.check(vcpu.vmcb, cpu.described())
    reasons = "; ".join(f"{violation.rule}: {violation.message}" for violation in broken)
    return Stopped(
        f"guest CPU {vcpu.address} cannot be entered: {reasons or 'no rule is broken'}",
        SvmExit.INVALID,
    )


@EXITS.on(SvmExit.BUSY, SvmExit.IDLE_REQUIRED, SvmExit.INVALID_PMC)
def exit_not_entered(vcpu: "SvmVcpu") -> Outcome:
    """VMRUN has refused the entry for the sake of another guest's state."""
    vcpu.statistics.count("exit_invalid")
    code = SvmExit(vcpu.q[EXIT_CODE])
    return Stopped(f"guest CPU {vcpu.address} cannot be entered: {code.name}", code)


def exit_not_expected(vcpu: "SvmVcpu") -> Outcome:
    """An exit whose intercept is never set here."""
    return unclaimed(vcpu, "not intercepted here")


def exit_unknown(vcpu: "SvmVcpu") -> Outcome:
    """An exit code that the architecture does not have."""
    return unclaimed(vcpu, "no exit code of the architecture")


EXITS.on(
    *(SvmExit(number + base) for number in (0, 2, 3, 4, 8) for base in (0x00, 0x10)),
    *(SvmExit(code) for code in range(SvmExit.DR0_READ, SvmExit.DR15_WRITE + 1)),
    *(SvmExit(code) for code in range(SvmExit.CR0_SEL_WRITE, SvmExit.RDTSC + 1)),
    *(SvmExit(code) for code in range(SvmExit.CR0_WRITE_TRAP, SvmExit.CR15_WRITE_TRAP + 1)),
    SvmExit.EXCP_NMI, SvmExit.PUSHF, SvmExit.POPF, SvmExit.SWINT, SvmExit.INVLPG,
    SvmExit.TASK_SWITCH, SvmExit.FERR_FREEZE, SvmExit.RDTSCP, SvmExit.ICEBP,
    SvmExit.EFER_WRITE_TRAP, SvmExit.INVPCID, SvmExit.BUS_LOCK, SvmExit.AVIC_INCOMPLETE_IPI,
    SvmExit.AVIC_NOACCEL, SvmExit.VMGEXIT,
)(exit_not_expected)  # fmt: skip
