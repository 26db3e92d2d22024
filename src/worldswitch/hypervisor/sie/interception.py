"""Interceptions: from the code in the state description to the handler. ref: SIE icptcode."""

from enum import IntEnum
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.psw import INTERRUPTS
from worldswitch.arch.s390x.sie_controls import Icpt, IcptStatus
from worldswitch.hypervisor.exits import ExitTable
from worldswitch.hypervisor.outcome import (
    RESUME,
    Inject,
    Outcome,
    Resume,
    Stopped,
    ToMachine,
    Wait,
    Yield,
)
from worldswitch.hypervisor.requests import DisabledWait, Intercepted, UnknownInstruction
from worldswitch.hypervisor.sie import delivery, keys, notification, per
from worldswitch.hypervisor.sie.events import GuestException
from worldswitch.hypervisor.sie.external import exit_external_interruption
from worldswitch.hypervisor.sie.guest_storage import OutsideStorageError
from worldswitch.hypervisor.sie.host_fault import exit_host_fault
from worldswitch.hypervisor.sie.instructions import groups
from worldswitch.hypervisor.sie.operation import exit_operation
from worldswitch.hypervisor.sie.partial import exit_partial_execution
from worldswitch.hypervisor.sie.program import exit_program
from worldswitch.hypervisor.sie.stop import exit_stop
from worldswitch.hypervisor.sie.ultravisor import UltravisorError
from worldswitch.hypervisor.sie.validity import exit_validity
from worldswitch.hypervisor.sie.vcpu import HostExit
from worldswitch.metal.interface import SecureStorageAccess

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

INTERCEPTIONS: "ExitTable[SieVcpu]" = ExitTable("interceptions", Icpt)
PER_AFTER = frozenset(
    {
        Icpt.INST, Icpt.IOINST, Icpt.OPEREXC, Icpt.PARTEXEC, Icpt.KSS, Icpt.MCHKREQ,
        Icpt.INT_ENABLE, Icpt.PV_INSTR, Icpt.PV_NOTIFY, Icpt.PV_PREF,
    }
)  # fmt: skip
"""After these the instruction's fetch may be a PER event that is still to be presented."""


@INTERCEPTIONS.on(Icpt.NONE)
def exit_none(vcpu: "SieVcpu") -> Outcome:
    """SIE ended for the host's own reasons."""
    vcpu.statistics.count("exit_null")
    return RESUME


@INTERCEPTIONS.on(Icpt.INST, Icpt.IOINST, Icpt.PV_INSTR)
def exit_instruction(vcpu: "SieVcpu") -> Outcome:
    """An instruction that the guest does not execute itself.

    TEST PENDING INTERRUPTION has a code of its own while an I/O interruption is pending.
    """
    sd = vcpu.sd
    vcpu.statistics.count("exit_instruction")
    if vcpu.vm.sink is not None:
        vcpu.trace("instruction", ipa=sd.ipa, ipb=sd.ipb)
    handler = groups.find(sd.ipa, sd.ipb)
    if handler is None:
        return ToMachine(UnknownInstruction(sd.ipa, sd.ipb))
    return handler(vcpu)


@INTERCEPTIONS.on(Icpt.EXTREQ)
def exit_external_request(vcpu: "SieVcpu") -> Outcome:
    """The guest enables external interruptions and one is pending: it is delivered next."""
    vcpu.statistics.count("exit_external_request")
    return RESUME


@INTERCEPTIONS.on(Icpt.IOREQ)
def exit_io_request(vcpu: "SieVcpu") -> Outcome:
    """The guest enables I/O interruptions and one is pending: it is delivered next."""
    vcpu.statistics.count("exit_io_request")
    return RESUME


@INTERCEPTIONS.on(Icpt.WAIT)
def exit_wait(vcpu: "SieVcpu") -> Outcome:
    """The guest has loaded a wait PSW."""
    vcpu.statistics.count("exit_wait_state")
    if delivery.has_interrupt(vcpu):
        return RESUME
    mask, address = vcpu.psw
    if not mask & INTERRUPTS:
        return ToMachine(DisabledWait(mask, address))
    vcpu.begin_wait()
    return Wait()


@INTERCEPTIONS.on(Icpt.KSS)
def exit_keyless_subset(vcpu: "SieVcpu") -> Outcome:
    """The guest's first instruction on storage keys: keys are in use from now on.

    The PSW points at the instruction, which is executed again.
    """
    keys.enable(vcpu)
    return RESUME


@INTERCEPTIONS.on(Icpt.MCHKREQ, Icpt.INT_ENABLE)
def exit_enabled(vcpu: "SieVcpu") -> Outcome:
    """The guest enables something that is pending: it is delivered next."""
    return RESUME


@INTERCEPTIONS.on(Icpt.INSTPROGI)
def exit_refused(vcpu: "SieVcpu") -> Outcome:
    """An interception that never comes with the controls that are set here."""
    return ToMachine(Intercepted(vcpu.sd.icptcode, "not expected with these controls"))


def exit_unknown(vcpu: "SieVcpu") -> Outcome:
    """An interception code that the architecture does not have."""
    return ToMachine(Intercepted(vcpu.sd.icptcode, "not an interception code"))


INTERCEPTIONS.on(Icpt.PROGI)(exit_program)
INTERCEPTIONS.on(Icpt.EXTINT)(exit_external_interruption)
INTERCEPTIONS.on(Icpt.VALIDITY)(exit_validity)
INTERCEPTIONS.on(Icpt.STOP)(exit_stop)
INTERCEPTIONS.on(Icpt.OPEREXC)(exit_operation)
INTERCEPTIONS.on(Icpt.PARTEXEC)(exit_partial_execution)
INTERCEPTIONS.on(Icpt.PV_NOTIFY)(notification.exit_notification)
INTERCEPTIONS.on(Icpt.PV_PREF)(notification.exit_prefix)
INTERCEPTIONS.seal(exit_unknown)


def dispatch(vcpu: "SieVcpu", reason: IntEnum) -> Outcome:
    """The outcome of an exit, PER events of completed instructions included."""
    fetched = None
    if reason in PER_AFTER and vcpu.sd.icptstatus & IcptStatus.PER_IFETCH:
        fetched = per.fetched_address(vcpu)  # before a handler changes the PSW
    try:
        outcome = _handled(vcpu, reason)
    except GuestException as exception:
        outcome = Inject(exception.event)
    except OutsideStorageError as error:
        outcome = Stopped(f"guest CPU {vcpu.address} cannot go on: {error}")
    except (SecureStorageAccess, UltravisorError) as error:
        outcome = Stopped(f"guest CPU {vcpu.address} cannot go on: {error}")
    if fetched is not None:
        _instruction_fetch(vcpu, outcome, fetched)
    return vcpu.debug_end(outcome)


def _handled(vcpu: "SieVcpu", reason: IntEnum) -> Outcome:
    if int(reason) == HostExit.FAULT:
        return exit_host_fault(vcpu)
    if vcpu.vm.options.user_controlled:
        return ToMachine(Intercepted(vcpu.sd.icptcode, "the virtual machine is user-controlled"))
    # A hook may have changed the code.
    return INTERCEPTIONS[vcpu.sd.icptcode if vcpu.vm.hooks else reason](vcpu)


def _instruction_fetch(vcpu: "SieVcpu", outcome: Outcome, address: int) -> None:
    """Make the PER event of the fetch pending, also if the machine is to complete the instruction.

    An instruction that is executed again has its event then, and one that cannot be has none.
    """
    match outcome:
        case Resume(advance=0) | Inject() | Wait() | Yield() | ToMachine():
            pass
        case Resume() | Stopped():
            return
    event = per.instruction_fetch_event(vcpu, address)
    if event is not None:
        vcpu.inject(event)
