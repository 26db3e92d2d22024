"""Delivering interruptions to a guest CPU before it is entered. ref: PoP 6 Interruption Action.

For a protected guest, whose PSW and lowcore are out of reach, delivering is asking SIE to inject.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.external import SUBCLASS_MASK, ExternalCode
from worldswitch.arch.s390x.program import PER, ProgramCode
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import CpuStat, Iictl
from worldswitch.hypervisor.sie import lowcore
from worldswitch.hypervisor.sie.events import ProgramEvent
from worldswitch.hypervisor.sie.interrupts import (
    EXTERNAL,
    IO,
    MCHK,
    NOT_DELIVERED,
    TIMERS,
    Irq,
    bit,
    highest,
    io_irq,
)
from worldswitch.hypervisor.sie.status import save_for_machine_check

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

_C = ProgramCode
_EXTERNAL_MASKS: tuple[tuple[Irq, Cr0], ...] = (
    (Irq.INTERRUPT_KEY, SUBCLASS_MASK[ExternalCode.INTERRUPT_KEY]),
    (Irq.MALFUNCTION_ALERT, SUBCLASS_MASK[ExternalCode.MALFUNCTION_ALERT]),
    (Irq.EMERGENCY_SIGNAL, SUBCLASS_MASK[ExternalCode.EMERGENCY_SIGNAL]),
    (Irq.EXTERNAL_CALL, SUBCLASS_MASK[ExternalCode.EXTERNAL_CALL]),
    (Irq.CLOCK_COMPARATOR, SUBCLASS_MASK[ExternalCode.CLOCK_COMPARATOR]),
    (Irq.CPU_TIMER, SUBCLASS_MASK[ExternalCode.CPU_TIMER]),
    (Irq.SERVICE_SIGNAL, SUBCLASS_MASK[ExternalCode.SERVICE_SIGNAL]),
    (Irq.CP_SERVICE, SUBCLASS_MASK[ExternalCode.CP_SERVICE]),
)


def all_pending(vcpu: "SieVcpu") -> int:
    """The bitmap of everything pending for a CPU, enabled or not; timers by their conditions."""
    pending = vcpu.local.pending | vcpu.vm.floating.deliverable_kinds()
    if vcpu.timers.clock_comparator_due():
        pending |= bit(Irq.CLOCK_COMPARATOR)
    if vcpu.timers.cpu_timer_due():
        pending |= bit(Irq.CPU_TIMER)
    return pending


def enabled(vcpu: "SieVcpu", pending: int) -> int:
    """Of a bitmap, what the PSW and the control registers enable."""
    if not pending:
        return 0
    sd = vcpu.sd
    mask = sd.gpsw_mask
    if not mask & PswMask.EXT:
        pending &= ~EXTERNAL
    elif pending & EXTERNAL:
        cr0 = sd.gcr0
        for irq, submask in _EXTERNAL_MASKS:
            if not cr0 & submask:
                pending &= ~bit(irq)
    if not mask & PswMask.IO:
        pending &= ~IO
    elif pending & IO:
        for n in range(8):
            if not sd.gcr6 & 0x8000_0000 >> n:
                pending &= ~bit(io_irq(n))
    if not mask & PswMask.MCHECK:
        pending &= ~MCHK
    elif pending & bit(Irq.MCHK_REPRESSIBLE):
        local, floating = vcpu.local, vcpu.vm.floating
        subclasses = local.machine_check.subclasses | floating.machine_check.subclasses
        if not sd.gcr14 & subclasses:
            pending &= ~bit(Irq.MCHK_REPRESSIBLE)
    if vcpu.protected and sd.iictl != Iictl.NONE:
        pending &= ~(EXTERNAL | IO | MCHK)
    return pending


def deliverable(vcpu: "SieVcpu") -> int:
    """The bitmap of interruptions that the guest would take now."""
    return enabled(vcpu, all_pending(vcpu) & ~NOT_DELIVERED)


def has_interrupt(vcpu: "SieVcpu", exclude_stop: bool = False) -> bool:
    """Whether anything would be delivered now, or a stop is pending unless that is excluded."""
    if deliverable(vcpu):
        return True
    if vcpu.external_call_pending() and enabled(vcpu, bit(Irq.EXTERNAL_CALL)):
        return True
    return not exclude_stop and vcpu.local.has(Irq.STOP)


def deliver_all(vcpu: "SieVcpu") -> None:
    """Deliver what is enabled, one after the other, the highest priority first.

    Each timer is delivered once at most, even if its condition holds on and the new PSW enables it
    again: then SIE comes back for it.
    """
    local, floating = vcpu.local, vcpu.vm.floating
    local.pending = local.pending & ~TIMERS | all_pending(vcpu) & TIMERS
    while True:
        pending = local.pending | floating.deliverable_kinds()
        kinds = enabled(vcpu, pending & ~NOT_DELIVERED)
        if not kinds:
            break
        vcpu.sd.cpuflags &= ~CpuStat.WAIT
        _DELIVER[highest(kinds)](vcpu)
    local.pending &= ~TIMERS


def _external(vcpu: "SieVcpu", code: ExternalCode, source: int = 0, parameter: int = 0) -> None:
    if vcpu.protected:
        sd = vcpu.sd
        sd.iictl = Iictl.EXT
        sd.eic, sd.extcpuaddr, sd.eiparams = int(code), source, parameter
        return
    lowcore.store(vcpu, ext_int_code=int(code), ext_cpu_addr=source, ext_params=parameter)
    lowcore.swap_psw(vcpu, "ext")


def _deliver_program(vcpu: "SieVcpu") -> None:
    event = vcpu.local.take_program()
    vcpu.statistics.count("deliver_program")
    if vcpu.vm.sink is not None:
        vcpu.trace("deliver program", code=event.code)
    if vcpu.protected:
        specification = event.plain_code == _C.SPECIFICATION
        vcpu.sd.iictl = Iictl.SPECIFICATION if specification else Iictl.OPERAND
        return
    length = vcpu.instruction_length() if event.length is None else event.length
    distance = -length if event.nullifies and not event.rewound else event.forward
    if distance:
        vcpu.advance(distance)
    _store_program(vcpu, event, length)
    lowcore.swap_psw(vcpu, "pgm")


_BY_TEID = frozenset(
    {
        _C.AFX_TRANSLATION, _C.ASX_TRANSLATION, _C.EX_TRANSLATION, _C.LFX_TRANSLATION,
        _C.LSTE_SEQUENCE, _C.LSX_TRANSLATION, _C.LX_TRANSLATION, _C.PRIMARY_AUTHORITY,
        _C.SECONDARY_AUTHORITY, _C.SPACE_SWITCH,
    }
)  # fmt: skip
_BY_ACCESS_ID = frozenset(
    {
        _C.ALEN_TRANSLATION, _C.ALE_SEQUENCE, _C.ASTE_INSTANCE, _C.ASTE_SEQUENCE,
        _C.ASTE_VALIDITY, _C.EXTENDED_AUTHORITY,
    }
)  # fmt: skip
_BY_BOTH = frozenset(
    {
        _C.ASCE_TYPE, _C.PAGE_TRANSLATION, _C.REGION_FIRST_TRANSLATION,
        _C.REGION_SECOND_TRANSLATION, _C.REGION_THIRD_TRANSLATION, _C.SEGMENT_TRANSLATION,
    }
)  # fmt: skip


def _store_program(vcpu: "SieVcpu", event: ProgramEvent, length: int) -> None:
    code = event.plain_code
    if code in _BY_TEID:
        lowcore.store(vcpu, teid=event.teid)
    elif code in _BY_ACCESS_ID:
        lowcore.store(vcpu, exc_access_id=event.exc_access_id)
    elif code in _BY_BOTH:
        lowcore.store(
            vcpu,
            teid=event.teid,
            exc_access_id=event.exc_access_id,
            op_access_id=event.op_access_id,
        )
    elif code == _C.MONITOR_EVENT:
        lowcore.store(vcpu, mon_class=event.mon_class, monitor_code=event.mon_code)
    elif code in (_C.DATA, _C.VECTOR_PROCESSING):
        lowcore.store(vcpu, data_exc_code=event.data_exc_code)
    elif code == _C.PROTECTION:
        lowcore.store(vcpu, teid=event.teid, exc_access_id=event.exc_access_id)
    if event.code & PER:
        lowcore.store(
            vcpu,
            per_code=event.per_code,
            per_atmid=event.per_atmid,
            per_address=event.per_address,
            per_access_id=event.per_access_id,
        )
    lowcore.store(vcpu, pgm_ilc=length, pgm_code=event.code, breaking_event_addr=vcpu.sd.gbea)


def _deliver_machine_check(vcpu: "SieVcpu") -> None:
    """Local and floating machine checks are reported together."""
    vcpu.statistics.count("deliver_machine_check")
    local = vcpu.local.take_machine_check()
    code, damage, failing = local.code, local.damage, local.failing_address
    floating = vcpu.vm.floating.take_machine_check(vcpu.sd.gcr14)
    if floating is not None:
        code |= floating.code
    if vcpu.protected:
        sd = vcpu.sd
        sd.iictl = Iictl.MCHK
        sd.mcic, sd.faddr, sd.edc = code, failing, damage
        return
    code |= save_for_machine_check(vcpu)
    lowcore.store(vcpu, mcck_code=code, ext_damage_code=damage, failing_storage_address=failing)
    lowcore.swap_psw(vcpu, "mcck")


def _deliver_interrupt_key(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_interrupt_key")
    vcpu.local.clear(Irq.INTERRUPT_KEY)
    _external(vcpu, ExternalCode.INTERRUPT_KEY)


def _deliver_malfunction_alert(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_malfunction_alert")
    source = min(vcpu.local.malfunction)
    vcpu.local.malfunction.remove(source)
    if not vcpu.local.malfunction:
        vcpu.local.clear(Irq.MALFUNCTION_ALERT)
    _external(vcpu, ExternalCode.MALFUNCTION_ALERT, source)


def _deliver_emergency_signal(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_emergency_signal")
    source = min(vcpu.local.emergency)
    vcpu.local.emergency.remove(source)
    if not vcpu.local.emergency:
        vcpu.local.clear(Irq.EMERGENCY_SIGNAL)
    _external(vcpu, ExternalCode.EMERGENCY_SIGNAL, source)


def _deliver_external_call(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_external_call")
    vcpu.local.clear(Irq.EXTERNAL_CALL)
    _external(vcpu, ExternalCode.EXTERNAL_CALL, vcpu.local.call_source)


def _deliver_clock_comparator(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_ckc")
    vcpu.local.clear(Irq.CLOCK_COMPARATOR)
    _external(vcpu, ExternalCode.CLOCK_COMPARATOR)


def _deliver_cpu_timer(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_cputm")
    vcpu.local.clear(Irq.CPU_TIMER)
    _external(vcpu, ExternalCode.CPU_TIMER)


def _deliver_service_signal(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_service_signal")
    parameter = vcpu.vm.floating.take_service(vcpu.protected)
    _external(vcpu, ExternalCode.SERVICE_SIGNAL, 0, parameter)


def _deliver_cp_service(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_virtio")
    event = vcpu.vm.floating.take_cp_service()
    if not vcpu.protected:
        lowcore.store(vcpu, ext_params2=event.parameter64)
    _external(vcpu, ExternalCode.CP_SERVICE, event.subcode, event.parameter)


def _deliver_io(vcpu: "SieVcpu") -> None:
    vcpu.statistics.count("deliver_io")
    event = vcpu.vm.floating.take_io(vcpu.sd.gcr6 >> 24 & 0xFF)
    if event is None:
        return
    if vcpu.protected:
        sd = vcpu.sd
        sd.iictl = Iictl.IO
        sd.subchannel_id, sd.subchannel_nr = event.subchannel_id, event.subchannel_nr
        sd.io_int_parm, sd.io_int_word = event.parameter, event.word
        return
    lowcore.store(
        vcpu,
        subchannel_id=event.subchannel_id,
        subchannel_nr=event.subchannel_nr,
        io_int_parm=event.parameter,
        io_int_word=event.word,
    )
    lowcore.swap_psw(vcpu, "io")


def deliver_restart(vcpu: "SieVcpu") -> None:
    """The restart interruption; also called for a stopped CPU, before it starts."""
    vcpu.statistics.count("deliver_restart_signal")
    vcpu.local.clear(Irq.RESTART)
    if vcpu.protected:
        vcpu.sd.iictl = Iictl.RESTART
    else:
        lowcore.swap_psw(vcpu, "restart")


def deliver_set_prefix(vcpu: "SieVcpu") -> None:
    """Carry out the SIGP order SET PREFIX."""
    vcpu.statistics.count("deliver_prefix_signal")
    vcpu.local.clear(Irq.SET_PREFIX)
    vcpu.set_prefix(vcpu.local.prefix)


_DELIVER: dict[int, Callable[["SieVcpu"], None]] = {
    Irq.MCHK_EXIGENT: _deliver_machine_check,
    Irq.PROGRAM: _deliver_program,
    Irq.MCHK_REPRESSIBLE: _deliver_machine_check,
    Irq.INTERRUPT_KEY: _deliver_interrupt_key,
    Irq.MALFUNCTION_ALERT: _deliver_malfunction_alert,
    Irq.EMERGENCY_SIGNAL: _deliver_emergency_signal,
    Irq.EXTERNAL_CALL: _deliver_external_call,
    Irq.CLOCK_COMPARATOR: _deliver_clock_comparator,
    Irq.CPU_TIMER: _deliver_cpu_timer,
    Irq.SERVICE_SIGNAL: _deliver_service_signal,
    Irq.CP_SERVICE: _deliver_cp_service,
    **{io_irq(n): _deliver_io for n in range(8)},
    Irq.RESTART: deliver_restart,
    Irq.SET_PREFIX: deliver_set_prefix,
}
