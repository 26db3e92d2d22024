"""What a guest is given with an entry: exceptions, NMIs, interrupts. ref: APM2 15.20; APM2 15.21"""

from typing import TYPE_CHECKING

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.svm_controls import Clean, Event, EventType, Intercept1, event
from worldswitch.hypervisor.outcome import RunEnd
from worldswitch.hypervisor.svm import controls, words
from worldswitch.hypervisor.svm.words import (
    EVENT_INJ,
    PRIO_SHIFT,
    RFLAGS,
    RIP,
    V_IGN_TPR,
    V_INTERRUPT,
    V_INTR,
    V_INTR_VECTOR,
    V_IRQ,
    V_TPR,
    VECTOR_SHIFT,
)
from worldswitch.hypervisor.x86.events import Shutdown, describe, repeats_instruction

if TYPE_CHECKING:
    from worldswitch.hypervisor.svm.vcpu import SvmVcpu

VALID, IF = int(Event.V), int(Rflags.IF)
EXCEPTION = int(EventType.EXCEPTION)
EVENT_TYPES = frozenset(int(kind) for kind in EventType)
IRET, VINTR = int(Intercept1.IRET), int(Intercept1.VINTR)
TPR_GROUP = int(Clean.TPR)
LOWEST_APIC_VECTOR = 16
HIGHEST_EXCEPTION = 31
SOON = 1
"""Instructions after which a physical interrupt takes the processor back: a self-IPI."""


class InvariantError(AssertionError):
    """The hypervisor contradicts itself."""


def ensure(condition: object, what: str) -> None:
    """Raise InvariantError unless a condition holds."""
    if not condition:
        raise InvariantError(what)


def inject_event(vcpu: "SvmVcpu", info: int) -> None:
    """Have VMRUN deliver an event, in the form of EVENTINJ. ref: APM2 15.20."""
    ensure(not vcpu.q[EVENT_INJ] & VALID, "an event is injected already")
    kind, vector = info >> 8 & 7, info & 0xFF
    ensure(kind in EVENT_TYPES, f"event type {kind} is reserved")
    if kind == EXCEPTION:
        ensure(vector <= HIGHEST_EXCEPTION and vector != Vector.NMI, f"no exception {vector}")
    vcpu.q[EVENT_INJ] = info
    vcpu.injected = True
    if vcpu.vm.sink is not None:
        vcpu.trace("inject_event", event=describe(info))


def _nmi(vcpu: "SvmVcpu") -> bool:
    """An NMI is pending: inject it if that is possible; whether an interrupt window is needed."""
    if vcpu.nmi_blocked:
        return False  # until the IRET of the one before
    if vcpu.interrupt_shadow:
        if not vcpu.q[RFLAGS] & IF:
            # The window would open no sooner than the guest enables interrupts.
            self_ipi(vcpu)
        return True
    if vcpu.q[EVENT_INJ] & VALID:
        self_ipi(vcpu)
        return False
    vcpu.nmi_pending = False
    inject_event(vcpu, event(EventType.NMI, Vector.NMI))
    block_nmis(vcpu)
    return False


def self_ipi(vcpu: "SvmVcpu") -> None:
    """Have the guest be left as soon as what is injected has been delivered."""
    if vcpu.usual_slice is None:
        host = vcpu.host
        vcpu.usual_slice = host.time_slice
        host.time_slice = SOON
        vcpu.statistics.count("self_ipi")


def block_nmis(vcpu: "SvmVcpu") -> None:
    """An NMI was injected: the next has to wait for the guest's IRET, which is intercepted."""
    ensure(not vcpu.nmi_blocked, "NMIs are blocked already")
    controls.set_intercept(vcpu, controls.FIRST, IRET, True)


def unblock_nmis(vcpu: "SvmVcpu") -> None:
    """The guest is about to execute IRET, once the intercept is gone.

    The interrupt shadow keeps an NMI from being injected before that. One could still be if IRET
    itself leaves the guest, for a nested page fault on the stack.
    """
    ensure(vcpu.nmi_blocked, "NMIs are not blocked")
    controls.set_intercept(vcpu, controls.FIRST, IRET, False)
    vcpu.interrupt_shadow = True
    vcpu.work = True


def _legacy(vcpu: "SvmVcpu") -> None:
    """The 8259 pair's interrupt, which is injected as an event if the guest can take it now.

    Either way an interrupt window is needed: for this one, or for what comes behind it.
    """
    q = vcpu.q
    ready = q[RFLAGS] & IF and not vcpu.interrupt_shadow and not q[EVENT_INJ] & VALID
    if not ready:
        return
    pic = vcpu.vm.pic
    if pic is None:
        raise InvariantError("an interrupt of an 8259 pair that is not there")
    inject_event(vcpu, event(EventType.INTR, pic.acknowledge()))
    vcpu.extint_pending = False
    vcpu.statistics.count("inject_extint")


def inject(vcpu: "SvmVcpu") -> RunEnd | None:
    """Everything that the next entry is to bring; the end of the run for a triple fault.

    The order: what the last exit interrupted and exceptions, an NMI, then interrupts. Interrupts of
    the local APIC are virtual ones: the processor takes them as soon as RFLAGS.IF, the shadow and
    V_TPR allow, and V_IRQ tells at the next exit whether it has. They stay in the APIC's IRR till
    then. The 8259 pair's are events.
    """
    vcpu.work = False
    q = vcpu.q
    vcpu.see_wiring()
    if q[RIP] != vcpu.left_at:  # an interrupt shadow holds for one instruction
        vcpu.interrupt_shadow = False
    try:
        info = vcpu.entry_event()
    except Shutdown:
        return vcpu.triple_fault()
    if info:
        inject_event(vcpu, info)
        vcpu.statistics.count("int_info_injected")
    need_window = vector = 0
    if vcpu.nmi_pending:
        need_window = _nmi(vcpu)
    if not need_window:
        if vcpu.external_interrupt():
            need_window = 1
            _legacy(vcpu)
        else:
            vector = vcpu.lapic.offered_vector()
    _set_virtual_interrupt(vcpu, vector, bool(need_window))
    return None


def _set_virtual_interrupt(vcpu: "SvmVcpu", vector: int, need_window: bool) -> None:
    q = vcpu.q
    old = q[V_INTR]
    new = old & ~V_INTERRUPT | vcpu.lapic.tpr >> 4
    if vector:
        ensure(vector >= LOWEST_APIC_VECTOR, f"vector {vector} from the local APIC")
        ensure(not need_window, "an interrupt window beside an interrupt")
        new |= V_IRQ | vector >> 4 << PRIO_SHIFT | vector << VECTOR_SHIFT
    elif need_window:
        closed = q[EVENT_INJ] & VALID or not q[RFLAGS] & IF or vcpu.interrupt_shadow
        ensure(closed, "an interrupt window that is open already")
        # An event that is injected is not subject to intercepts, a virtual interrupt is.
        new |= V_IRQ | V_IGN_TPR
    controls.set_intercept(vcpu, controls.FIRST, VINTR, need_window)
    if new != old:
        q[V_INTR] = new
        vcpu.dirty |= TPR_GROUP
        if vcpu.vm.sink is not None:
            vcpu.trace("virtual_interrupt", vector=vector, window=int(need_window))
    vcpu.v_intr = new


def interrupts_after_exit(vcpu: "SvmVcpu", word: int) -> None:
    """V_INTR has changed: the guest has written CR8, or taken the virtual interrupt, or both."""
    vcpu.v_intr = word
    vcpu.work = True
    tpr = word & V_TPR & 0xF
    if vcpu.lapic.tpr >> 4 != tpr:
        vcpu.lapic.set_cr8(tpr)
    vector = (word & V_INTR_VECTOR) >> VECTOR_SHIFT
    if not vector:
        return
    ensure(vector >= LOWEST_APIC_VECTOR, f"virtual interrupt with vector {vector}")
    ensure(not word & V_IGN_TPR, "a virtual interrupt that V_TPR does not hold back")
    if not word & V_IRQ:
        # Clear the vector, so that it is not taken for another one that was accepted.
        vcpu.v_intr = word & ~(V_INTR_VECTOR | words.V_INTR_PRIO)
        vcpu.q[V_INTR] = vcpu.v_intr
        vcpu.dirty |= TPR_GROUP
        vcpu.lapic.accepted(vector)


def save_interrupted(vcpu: "SvmVcpu", info: int) -> None:
    """The exit came while an event was delivered: it is to be delivered again. ref: APM2 15.7.2."""
    vcpu.statistics.count("exit_int_info")
    vcpu.work = True
    if vcpu.vm.sink is not None:
        vcpu.trace("interrupted", event=describe(info))
    if not repeats_instruction(info):
        vcpu.int_info = info
