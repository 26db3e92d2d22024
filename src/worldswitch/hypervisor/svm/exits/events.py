"""Exits that no instruction of the guest asked for: interrupts, and the end of NMI handlers."""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import RESUME, Outcome
from worldswitch.hypervisor.svm.exits.table import EXITS
from worldswitch.hypervisor.svm.injection import unblock_nmis

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu


@EXITS.on(SvmExit.INTR)
def exit_interrupt(vcpu: "SvmVcpu") -> Outcome:
    """A physical interrupt, which the host has taken when it set the global interrupt flag."""
    vcpu.physical_interrupt()
    return RESUME


@EXITS.on(SvmExit.NMI, SvmExit.SMI, SvmExit.INIT)
def exit_host_event(vcpu: "SvmVcpu") -> Outcome:
    """A physical NMI, SMI or INIT, which the host has taken likewise."""
    return RESUME


@EXITS.on(SvmExit.VINTR)
def exit_interrupt_window(vcpu: "SvmVcpu") -> Outcome:
    """The guest can take an interrupt now."""
    vcpu.work = True
    return RESUME


@EXITS.on(SvmExit.IRET)
def exit_iret(vcpu: "SvmVcpu") -> Outcome:
    """The guest's NMI handler ends: IRET is executed again without the intercept."""
    unblock_nmis(vcpu)
    return RESUME


@EXITS.on(SvmExit.SHUTDOWN)
def exit_shutdown(vcpu: "SvmVcpu") -> Outcome:
    """A triple fault. The guest's state in the VMCB is undefined. ref: APM2 15.14.3."""
    return vcpu.triple_fault()
