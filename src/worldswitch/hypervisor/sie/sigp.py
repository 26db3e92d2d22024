"""SIGNAL PROCESSOR: a guest CPU's orders to another. ref: PoP 4 Signal-Processor Orders."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.psw import INTERRUPTS, PswMask
from worldswitch.arch.s390x.sie_controls import CpuStat
from worldswitch.arch.s390x.sigp import SigpOrder, SigpStatus
from worldswitch.hypervisor.outcome import RESUME, Inject, Outcome, ToMachine
from worldswitch.hypervisor.requests import Intercepted, SignalProcessor
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.delivery import deliver_set_prefix
from worldswitch.hypervisor.sie.events import (
    BusyError,
    EmergencySignal,
    ExternalCall,
    Restart,
    SetPrefix,
    Stop,
    program,
)
from worldswitch.hypervisor.sie.guest_storage import OutsideStorageError
from worldswitch.hypervisor.sie.interrupts import Irq

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

ACCEPTED, STATUS_STORED, BUSY, NOT_OPERATIONAL = range(4)
STATUS = 0xFFFF_FFFF
PREFIX = 0x7FFF_E000
STATUS_ADDRESS = 0x7FFF_FE00
STATUS_SIZE = 0x200
ASN = 0xFFFF
QUICK = frozenset(
    {
        SigpOrder.SENSE, SigpOrder.EXTERNAL_CALL, SigpOrder.EMERGENCY_SIGNAL,
        SigpOrder.CONDITIONAL_EMERGENCY_SIGNAL, SigpOrder.SENSE_RUNNING_STATUS,
    }
)  # fmt: skip
"""Orders that the hypervisor carries out even where the machine has the others."""
CPU_STATE = frozenset(
    {
        SigpOrder.START, SigpOrder.RESTART, SigpOrder.INITIAL_CPU_RESET, SigpOrder.CPU_RESET,
    }
)  # fmt: skip
"""Orders that change what state a CPU is in, besides the stop orders."""


class Code(int):
    """A condition code without status: 0, 2 or 3."""


Result = Code | SigpStatus
"""A condition code, or the status bits that go with condition code 1."""
Order = Callable[["SieVcpu", "SieVcpu", int], Result]


def sigp(vcpu: "SieVcpu") -> Outcome:
    """SIGP: the order is in the second operand's address, the CPU in R3, the parameter in the
    odd one of R1 and R1 + 1."""
    if vcpu.problem_state():
        return Inject(program(ProgramCode.PRIVILEGED_OPERATION))
    r1, r3 = operands.registers_rs(vcpu)
    order = operands.storage(vcpu)[0] & 0xFF
    address = vcpu.gr[r3] & 0xFFFF
    parameter = vcpu.gr[r1 | 1]
    _count(vcpu, order)
    if vcpu.vm.sink is not None:
        vcpu.trace("sigp", order=order, target=address, parameter=parameter)
    if vcpu.vm.options.user_sigp and order not in QUICK:
        return ToMachine(SignalProcessor(order, address, parameter, r1))
    if order == SigpOrder.SET_ARCHITECTURE:
        # All CPUs are in the z/Architecture mode for good.
        return _finish(vcpu, r1, SigpStatus.INVALID_PARAMETER)
    target = vcpu.vm.vcpu(address)
    if target is None:
        return _finish(vcpu, r1, Code(NOT_OPERATIONAL))
    if order in CPU_STATE:
        if target.local.has(Irq.STOP):
            return _finish(vcpu, r1, Code(BUSY))
        if vcpu.vm.options.user_cpu_state:
            return ToMachine(SignalProcessor(order, address, parameter, r1))
    handler = _ORDERS.get(order)
    if handler is None:
        return _finish(vcpu, r1, SigpStatus.INVALID_ORDER)
    return _finish(vcpu, r1, handler(vcpu, target, parameter))


def _count(vcpu: "SieVcpu", order: int) -> None:
    try:
        name = SigpOrder(order).name.lower()
    except ValueError:
        name = "unknown"
    vcpu.statistics.count(f"instruction_sigp_{name}")


def _finish(vcpu: "SieVcpu", r1: int, result: Result) -> Outcome:
    if isinstance(result, SigpStatus):
        vcpu.gr[r1] = vcpu.gr[r1] & ~STATUS | int(result)
        vcpu.set_cc(STATUS_STORED)
    else:
        vcpu.set_cc(int(result))
    return RESUME


def sigp_partial(vcpu: "SieVcpu") -> Outcome:
    """SIE has made an external call pending for a CPU that waits: it must only be woken.

    The scheduler looks at what is pending, so waking is nothing to do. The guest's order is done.
    """
    if operands.storage(vcpu)[0] & 0xFF != SigpOrder.EXTERNAL_CALL:
        return ToMachine(Intercepted(vcpu.sd.icptcode, "partial execution of another SIGP order"))
    vcpu.set_cc(ACCEPTED)
    return RESUME


def _sense(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    status = 0
    if target.any_external_call():
        status |= SigpStatus.EXTERNAL_CALL_PENDING
    if target.stopped:
        status |= SigpStatus.STOPPED
    return SigpStatus(status) if status else Code(ACCEPTED)


def _external_call(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    try:
        target.inject(ExternalCall(vcpu.address))
    except BusyError:
        return SigpStatus.EXTERNAL_CALL_PENDING
    return Code(ACCEPTED)


def _emergency_signal(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    target.inject(EmergencySignal(vcpu.address))
    return Code(ACCEPTED)


def _conditional_emergency(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    """Signal unless the target is stopped with interruptions on and another program's ASN."""
    mask, address = target.psw
    needed = INTERRUPTS & (PswMask.IO | PswMask.EXT)
    idle = target.waiting()
    primary, secondary = target.sd.gcr[4] & ASN, target.sd.gcr[3] & ASN
    asn = parameter & ASN
    if (
        not target.stopped
        or mask & needed != needed
        or (idle and address != 0)
        or (not idle and asn in (primary, secondary))
    ):
        return _emergency_signal(vcpu, target, parameter)
    return SigpStatus.INCORRECT_STATE


def _stop(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    return _stop_with(target, store_status=False)


def _stop_and_store(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    return _stop_with(target, store_status=True)


def _stop_with(target: "SieVcpu", store_status: bool) -> Result:
    if target.stopped:
        if target.local.has(Irq.STOP):
            return Code(BUSY)
        if store_status:
            target.store_status()
        return Code(ACCEPTED)
    try:
        target.inject(Stop(store_status))
    except BusyError:
        return Code(BUSY)
    return Code(ACCEPTED)


def _start(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    if target.stopped:
        target.start()
    return Code(ACCEPTED)


def _restart(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    if target.stopped:
        target.restart()
    else:
        target.inject(Restart())
    return Code(ACCEPTED)


def _initial_reset(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    target.reset(initial=True)
    return Code(ACCEPTED)


def _cpu_reset(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    target.reset(initial=False)
    return Code(ACCEPTED)


def _set_prefix(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    address = parameter & PREFIX
    if not vcpu.vm.memory.has(address, 0x2000):
        return SigpStatus.INVALID_PARAMETER
    if not target.stopped:
        return SigpStatus.INCORRECT_STATE
    # At once: an order that follows, such as RESTART, finds the new prefix area.
    target.inject(SetPrefix(address))
    deliver_set_prefix(target)
    return Code(ACCEPTED)


def _store_status(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    if not target.stopped:
        return SigpStatus.INCORRECT_STATE
    try:
        target.store_status(parameter & STATUS_ADDRESS)
    except OutsideStorageError:
        return SigpStatus.INVALID_PARAMETER
    return Code(ACCEPTED)


def _sense_running(vcpu: "SieVcpu", target: "SieVcpu", parameter: int) -> Result:
    if not vcpu.vm.has(Facility.SENSE_RUNNING_STATUS):
        return SigpStatus.INVALID_ORDER
    if target.sd.cpuflags & CpuStat.RUNNING:
        return Code(ACCEPTED)
    return SigpStatus.NOT_RUNNING


_ORDERS: dict[int, Order] = {
    SigpOrder.SENSE: _sense,
    SigpOrder.EXTERNAL_CALL: _external_call,
    SigpOrder.EMERGENCY_SIGNAL: _emergency_signal,
    SigpOrder.START: _start,
    SigpOrder.STOP: _stop,
    SigpOrder.RESTART: _restart,
    SigpOrder.STOP_AND_STORE_STATUS: _stop_and_store,
    SigpOrder.INITIAL_CPU_RESET: _initial_reset,
    SigpOrder.CPU_RESET: _cpu_reset,
    SigpOrder.SET_PREFIX: _set_prefix,
    SigpOrder.STORE_STATUS_AT_ADDRESS: _store_status,
    SigpOrder.CONDITIONAL_EMERGENCY_SIGNAL: _conditional_emergency,
    SigpOrder.SENSE_RUNNING_STATUS: _sense_running,
}
