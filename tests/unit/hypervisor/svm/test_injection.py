"""What an entry brings the guest, and in which order."""

from collections.abc import Callable

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import (
    FakeHost,
    Guest,
    Step,
    interrupted,
    leave,
    preempt,
)
from worldswitch.arch.x86.apic import ApicRegister, Svr
from worldswitch.arch.x86.registers import Cr0, Rflags
from worldswitch.arch.x86.svm_controls import Clean, EventType, Intercept1, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import Vmcb, VmcbControl
from worldswitch.hypervisor.outcome import NotOperating, Preempted, ToMachine
from worldswitch.hypervisor.requests import TripleFault
from worldswitch.hypervisor.svm.injection import InvariantError, inject_event
from worldswitch.hypervisor.x86.apic_bus import ApicBus
from worldswitch.hypervisor.x86.events import (
    ExceptionEvent,
    ExternalInterrupt,
    NonMaskable,
)

VINTR = int(Intercept1.VINTR)
IRET_INTERCEPT = int(Intercept1.IRET)
ENABLED = int(Rflags.IF | Rflags.ONE)
NMI = event(EventType.NMI, 2)
V_IRQ = VmcbControl.mask_of("v_irq")
V_IGN_TPR = VmcbControl.mask_of("v_ign_tpr")
FAULT = ExceptionEvent(14, 2, 0x1000)
NOTHING = leave(SvmExit.NMI)


class FakePic:
    """An 8259 pair with interrupts in a list."""

    def __init__(self, *vectors: int) -> None:
        self.vectors = list(vectors)
        self.accepted: list[int] = []

    def intr_pending(self) -> int | None:
        """The first."""
        return self.vectors[0] if self.vectors else None

    def acknowledge(self) -> None:
        """Take it."""
        self.accepted.append(self.vectors.pop(0))


def protected(guest: Guest) -> Guest:
    """The guest is in protected mode, so that exceptions have error codes."""
    guest.cpu.cr0 = int(Cr0.PE | Cr0.ET)
    return guest


def with_apic(*steps: Step, flags: int = ENABLED) -> Guest:
    """A guest with interrupts enabled and its local APIC in use."""
    guest = Guest(*steps)
    guest.cpu.rflags = flags
    guest.cpu.lapic.write(ApicRegister.SVR, int(Svr.ASE) | 0xFF)
    return guest


def with_pic(*vectors: int, flags: int = ENABLED) -> tuple[Guest, FakePic]:
    """And with an 8259 pair behind LINT0."""
    guest = with_apic(flags=flags)
    guest.cpu.lapic.virtual_wire()
    guest.vm.pic = pic = FakePic(*vectors)
    return guest, pic


def irq(word: int) -> tuple[int, int, int]:
    """V_IRQ, its vector and its priority."""
    return int(bool(word & V_IRQ)), word >> 32 & 0xFF, word >> 16 & 0xF


def accept(host: FakeHost, block: Vmcb) -> None:
    """The guest takes the virtual interrupt."""
    block.control.v_irq = 0
    block.save.rflags = 2
    NOTHING(host, block)


# Interrupt shadows.


@covers("inject/shadow-cleared", "inject/shadow-kept")
@pytest.mark.parametrize("work", [False, True])
@pytest.mark.parametrize(("moved", "kept"), [(False, 1), (True, 0)])
def test_interrupt_shadow_ends_when_rip_has_moved(work: bool, moved: bool, kept: int) -> None:
    code = SvmExit.CPUID if moved else SvmExit.NMI
    guest = Guest(leave(code, length=2, interrupt_shadow=1))
    if work:
        guest.vm.on_exit(code)(lambda cpu: cpu.interrupts_changed())
    guest.run()
    assert guest.last.shadow == kept


# Exceptions, and events that an exit interrupted.


@covers("inject/exception")
def test_exception_is_injected_with_its_error_code_and_cr2() -> None:
    guest = protected(Guest())
    guest.cpu.interrupt_shadow = True
    guest.cpu.inject(FAULT)
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 14, 2)
    assert guest.cpu.cr2 == 0x1000
    assert not guest.last.shadow
    assert guest.counted("inject_exception") == guest.counted("int_info_injected") == 1
    guest.run()
    assert not guest.last.event_inj


def test_exception_in_real_mode_has_no_error_code() -> None:
    guest = Guest()
    guest.cpu.inject(ExceptionEvent(13, 0))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 13)


@covers("inject/int-info", "exit/int-info-saved")
@pytest.mark.parametrize(
    "info", [event(EventType.INTR, 0x51), event(EventType.EXCEPTION, 13, 8), NMI]
)
def test_event_that_an_exit_interrupted_is_injected_again(info: int) -> None:
    guest = Guest(interrupted(NOTHING, info))
    guest.run()
    assert guest.last.event_inj == info
    assert guest.counted("exit_int_info") == guest.counted("int_info_injected") == 1


@covers("exit/soft-interrupt")
@pytest.mark.parametrize("info", [event(EventType.SOFTWARE, 0x80), event(EventType.EXCEPTION, 3)])
def test_software_interrupt_that_an_exit_interrupted_is_executed_again(info: int) -> None:
    guest = Guest(interrupted(NOTHING, info))
    guest.run()
    assert not guest.last.event_inj
    assert guest.last.rip == 0xFFF0


@covers("inject/double-fault", "inject/serial")
@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        (event(EventType.EXCEPTION, 14, 0), FAULT, event(EventType.EXCEPTION, 8, 0)),
        (event(EventType.EXCEPTION, 13, 0), ExceptionEvent(11, 8), event(3, 8, 0)),
        (event(EventType.EXCEPTION, 13, 0), FAULT, event(EventType.EXCEPTION, 14, 2)),
        (event(EventType.EXCEPTION, 1), FAULT, event(EventType.EXCEPTION, 14, 2)),
        (event(EventType.INTR, 0x51), FAULT, event(EventType.EXCEPTION, 14, 2)),
        (event(EventType.EXCEPTION, 14, 0), ExceptionEvent(1), event(EventType.EXCEPTION, 1)),
    ],
)
def test_exception_during_delivery_is_combined(
    first: int, second: ExceptionEvent, result: int
) -> None:
    guest = protected(Guest(interrupted(NOTHING, first)))
    guest.vm.on_exit(SvmExit.NMI)(lambda cpu: cpu.inject(second))
    guest.run()
    assert guest.last.event_inj == result


@covers("inject/triple-fault")
def test_exception_during_delivery_of_a_double_fault_is_a_triple_fault() -> None:
    guest = protected(Guest(interrupted(NOTHING, event(EventType.EXCEPTION, 8, 0))))
    guest.vm.on_exit(SvmExit.NMI)(lambda cpu: cpu.inject(FAULT))
    assert guest.run() == ToMachine(TripleFault())
    assert guest.run() == NotOperating()
    assert guest.host.gif
    assert not guest.cpu.runnable()
    guest.vm.reset()
    assert guest.run() == Preempted()


def test_two_pending_exceptions_are_combined_and_a_triple_fault_is_told_once() -> None:
    guest = protected(Guest())
    for _ in range(2):
        guest.cpu.inject(ExceptionEvent(13, 0))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 8, 0)
    for _ in range(3):
        guest.cpu.inject(ExceptionEvent(13, 0))
    assert guest.cpu.runnable()
    assert guest.run() == ToMachine(TripleFault())
    assert guest.run() == NotOperating()
    assert not guest.cpu.runnable()


# NMIs.


@covers("inject/nmi")
def test_nmi_is_injected_and_iret_intercepted() -> None:
    guest = Guest()
    guest.cpu.inject(NonMaskable())
    guest.run()
    assert guest.last.event_inj == NMI
    assert guest.last.intercept_1 & IRET_INTERCEPT
    assert not guest.cpu.nmi_pending


@covers("inject/nmi-blocked", "exit/iret")
def test_second_nmi_waits_for_iret_and_one_more_instruction() -> None:
    guest = Guest(
        NOTHING,
        leave(SvmExit.IRET, length=1, rip=0x7000, rflags=ENABLED),
        leave(SvmExit.VINTR, rip=0x7100, interrupt_shadow=0),
    )
    cpu = guest.cpu
    cpu.inject(NonMaskable())
    guest.vm.on_exit(SvmExit.NMI)(lambda _cpu: cpu.inject(NonMaskable()))
    guest.run()
    first, blocked, returning, second = guest.entries
    assert (first.event_inj, blocked.event_inj, returning.event_inj) == (NMI, 0, 0)
    assert blocked.intercept_1 & IRET_INTERCEPT
    assert not blocked.intercept_1 & VINTR
    assert returning.rip == 0x7000  # IRET is executed again
    assert not returning.intercept_1 & IRET_INTERCEPT
    assert returning.shadow
    assert returning.intercept_1 & VINTR
    assert second.event_inj == NMI
    assert second.intercept_1 & IRET_INTERCEPT


@covers("inject/nmi-shadow")
def test_nmi_in_an_interrupt_shadow_asks_for_the_window() -> None:
    guest = Guest(leave(SvmExit.NMI, interrupt_shadow=1, rflags=ENABLED))
    guest.vm.on_exit(SvmExit.NMI)(lambda cpu: cpu.inject(NonMaskable()))
    guest.run()
    assert guest.last.intercept_1 & VINTR
    assert guest.last.v_intr & (V_IRQ | V_IGN_TPR) == V_IRQ | V_IGN_TPR
    assert not guest.last.event_inj
    assert guest.counted("self_ipi") == 0


def test_nmi_in_a_shadow_with_interrupts_disabled_does_not_wait_for_them() -> None:
    guest = Guest(
        leave(SvmExit.NMI, interrupt_shadow=1),
        leave(SvmExit.INTR, interrupt_shadow=0, rip=0xFFF4),
    )
    guest.vm.on_exit(SvmExit.NMI)(lambda cpu: cpu.inject(NonMaskable()))
    guest.run()
    assert [entry.time_slice for entry in guest.entries] == [1_000_000, 1, 1_000_000]
    assert guest.last.event_inj == NMI
    assert not guest.last.intercept_1 & VINTR


@covers("inject/nmi-pending-event")
def test_nmi_behind_another_event_comes_with_a_self_ipi() -> None:
    guest = protected(Guest(leave(SvmExit.INTR)))
    guest.cpu.inject(NonMaskable())
    guest.cpu.inject(FAULT)
    assert guest.run() == Preempted()
    assert [entry.event_inj for entry in guest.entries] == [event(3, 14, 2), NMI]
    assert [entry.time_slice for entry in guest.entries] == [1, 1_000_000]
    assert guest.counted("self_ipi") == 1


def test_self_ipi_ends_when_the_virtual_cpu_leaves_the_processor() -> None:
    guest = protected(Guest(leave(SvmExit.IOIO, info1=1 << 4, length=1)))
    guest.cpu.inject(NonMaskable())
    guest.cpu.inject(FAULT)
    guest.run()
    assert guest.host.time_slice == 1
    guest.cpu.put()
    assert guest.host.time_slice == 1_000_000


# Interrupts of the local APIC.


@covers("inject/apic")
def test_vector_of_the_local_apic_is_a_virtual_interrupt() -> None:
    guest = with_apic()
    guest.cpu.lapic.accept(0x51)
    guest.run()
    assert irq(guest.last.v_intr) == (1, 0x51, 5)
    assert not guest.last.v_intr & V_IGN_TPR
    assert not guest.last.event_inj
    assert not guest.last.intercept_1 & VINTR


@covers("inject/apic-pending")
def test_virtual_interrupt_that_is_not_taken_stays_pending() -> None:
    guest = with_apic(NOTHING, flags=2)
    guest.cpu.lapic.accept(0x51)
    guest.run()
    assert [irq(entry.v_intr) for entry in guest.entries] == [(1, 0x51, 5)] * 2
    assert guest.last.clean & Clean.TPR
    assert guest.cpu.lapic.irr == 1 << 0x51
    assert guest.cpu.lapic.isr == 0


@covers("inject/apic-accepted")
def test_virtual_interrupt_that_was_taken_is_in_service() -> None:
    guest = with_apic(accept)
    guest.cpu.lapic.accept(0x51)
    guest.run()
    assert guest.cpu.lapic.irr == 0
    assert guest.cpu.lapic.isr == 1 << 0x51
    assert irq(guest.last.v_intr) == (0, 0, 0)


def test_interrupt_of_a_lower_class_waits_for_the_end_of_the_first() -> None:
    guest = with_apic(accept, NOTHING)
    lapic = guest.cpu.lapic
    lapic.accept(0x51)
    lapic.accept(0x41)
    guest.run()
    assert irq(guest.last.v_intr) == (0, 0, 0)
    lapic.write(ApicRegister.EOI, 0)
    guest.run()
    assert irq(guest.last.v_intr) == (1, 0x41, 4)


@covers("inject/apic-higher")
def test_higher_vector_takes_the_place_of_one_that_was_not_taken() -> None:
    guest = with_apic(NOTHING, flags=2)
    guest.cpu.lapic.accept(0x51)
    guest.vm.on_exit(SvmExit.NMI)(lambda cpu: cpu.lapic.accept(0x71))
    guest.run()
    assert irq(guest.last.v_intr) == (1, 0x71, 7)
    assert guest.cpu.lapic.irr == 1 << 0x51 | 1 << 0x71


@covers("inject/apic-withdrawn")
def test_virtual_interrupt_is_taken_back_with_the_apic() -> None:
    guest = with_apic(NOTHING, flags=2)
    guest.cpu.lapic.accept(0x51)
    guest.vm.on_exit(SvmExit.NMI)(lambda cpu: cpu.lapic.set_base(0))
    guest.run()
    assert irq(guest.last.v_intr) == (0, 0, 0)


def test_vector_that_tpr_holds_back_is_offered_for_when_it_no_longer_does() -> None:
    guest = with_apic()
    guest.cpu.lapic.write(ApicRegister.TPR, 0x60)
    guest.cpu.lapic.accept(0x51)
    guest.run()
    assert irq(guest.last.v_intr) == (1, 0x51, 5)
    assert guest.last.v_intr & 0xFF == 6
    assert guest.cpu.lapic.pending_vector() == 0


def test_interrupted_delivery_of_a_virtual_interrupt_is_an_event_then() -> None:
    info = event(EventType.INTR, 0x51)
    guest = with_apic(interrupted(accept, info))
    guest.cpu.lapic.accept(0x51)
    guest.run()
    assert guest.last.event_inj == info
    assert guest.cpu.lapic.isr == 1 << 0x51


# TPR.


@covers("tpr/from-guest")
def test_cr8_of_the_guest_reaches_the_local_apic() -> None:
    guest = with_apic(leave(SvmExit.NMI, v_tpr=9))
    guest.run()
    assert guest.cpu.lapic.read(ApicRegister.TPR) == 0x90
    assert guest.backend.getreg(guest.cpu, "cr8") == 9


@covers("tpr/to-guest")
def test_tpr_of_the_local_apic_reaches_the_guest_and_keeps_its_lower_half() -> None:
    guest = with_apic(NOTHING)
    guest.vm.on_exit(SvmExit.NMI)(lambda cpu: cpu.lapic.write(ApicRegister.TPR, 0x3C))
    guest.run()
    assert guest.last.v_intr & 0xFF == 3
    assert not guest.last.clean & Clean.TPR
    assert guest.cpu.lapic.tpr == 0x3C


# The 8259 pair.


@covers("inject/extint", "inject/window-open")
def test_vector_of_the_8259_pair_is_an_event_with_the_window_behind_it() -> None:
    guest, pic = with_pic(0x30)
    guest.run()
    assert guest.last.event_inj == event(EventType.INTR, 0x30)
    assert guest.last.intercept_1 & VINTR
    assert pic.accepted == [0x30]
    assert guest.counted("inject_extint") == 1


@covers("exit/vintr", "inject/window-closed")
def test_window_opens_for_the_next_vector_and_is_given_up_behind_the_last() -> None:
    guest, pic = with_pic(0x30, 0x31)
    guest.script(leave(SvmExit.VINTR), leave(SvmExit.VINTR))
    guest.run()
    assert [entry.event_inj & 0xFF for entry in guest.entries] == [0x30, 0x31, 0]
    assert not guest.last.intercept_1 & VINTR
    assert not guest.last.v_intr & V_IRQ
    assert pic.accepted == [0x30, 0x31]


@covers("inject/extint-disabled")
def test_vector_of_the_8259_pair_waits_for_interrupts_to_be_enabled() -> None:
    guest, pic = with_pic(0x30, flags=2)
    guest.script(leave(SvmExit.VINTR, rflags=ENABLED))
    guest.run()
    waiting, taken = guest.entries
    assert waiting.event_inj == 0
    assert waiting.intercept_1 & VINTR
    assert waiting.v_intr & (V_IRQ | V_IGN_TPR) == V_IRQ | V_IGN_TPR
    assert taken.event_inj == event(EventType.INTR, 0x30)
    assert pic.accepted == [0x30]


@covers("inject/extint-shadow")
def test_vector_of_the_8259_pair_waits_for_the_end_of_the_shadow() -> None:
    guest, pic = with_pic()
    guest.script(leave(SvmExit.NMI, interrupt_shadow=1))
    guest.vm.on_exit(SvmExit.NMI)(lambda _cpu: pic.vectors.append(0x30))
    guest.run()
    assert guest.last.event_inj == 0
    assert guest.last.intercept_1 & VINTR
    assert pic.vectors == [0x30]


@covers("inject/extint-pending-event")
def test_vector_of_the_8259_pair_waits_behind_another_event() -> None:
    guest, pic = with_pic(0x30)
    protected(guest)
    guest.script(leave(SvmExit.VINTR))
    guest.cpu.inject(FAULT)
    guest.run()
    assert [entry.event_inj & 0xFF for entry in guest.entries] == [14, 0x30]
    assert guest.entries[0].intercept_1 & VINTR
    assert pic.accepted == [0x30]


def test_local_apic_is_served_behind_the_8259_pair_without_the_window() -> None:
    guest, _pic = with_pic(0x30)
    guest.cpu.lapic.accept(0x51)
    guest.script(leave(SvmExit.VINTR))
    guest.run()
    first, second = guest.entries
    assert first.event_inj == event(EventType.INTR, 0x30)
    assert irq(second.v_intr) == (1, 0x51, 5)
    assert not second.intercept_1 & VINTR


def test_line_that_is_withdrawn_gives_up_the_window() -> None:
    guest, pic = with_pic(0x30, flags=2)
    guest.script(NOTHING, leave(SvmExit.VINTR))
    guest.vm.on_exit(SvmExit.VINTR)(lambda _cpu: pic.vectors.clear())
    guest.run()
    assert not guest.last.intercept_1 & VINTR
    assert not pic.accepted


@pytest.mark.parametrize(
    "deliver",
    [
        lambda cpu: cpu.inject(ExternalInterrupt()),
        lambda cpu: cpu.vm.deliver(0, False, 7, 0),
    ],
)
def test_message_for_the_8259_pair_is_served_whatever_lint0_says(
    deliver: Callable[[object], object],
) -> None:
    guest = with_apic()
    guest.vm.pic = pic = FakePic(0x30)
    guest.run()
    assert not guest.last.event_inj
    deliver(guest.cpu)
    guest.run()
    assert guest.last.event_inj == event(EventType.INTR, 0x30)
    assert pic.accepted == [0x30]


def test_message_for_an_8259_pair_with_nothing_pending_is_forgotten() -> None:
    guest = with_apic()
    guest.vm.pic = FakePic()
    guest.cpu.inject(ExternalInterrupt())
    guest.run()
    assert not guest.last.event_inj
    assert not guest.cpu.extint_pending


# Invariants.


@covers("invariant/event")
def test_event_over_another_is_an_error() -> None:
    guest = Guest()
    inject_event(guest.cpu, NMI)
    with pytest.raises(InvariantError, match="already"):
        inject_event(guest.cpu, NMI)


@pytest.mark.parametrize("info", [event(3, 2), event(3, 32), event(4, 0) ^ 0x500])
def test_event_that_vmrun_would_refuse_is_an_error(info: int) -> None:
    with pytest.raises(InvariantError):
        inject_event(Guest().cpu, info)


def test_event_that_is_still_there_after_the_exit_is_an_error() -> None:
    guest = Guest(lambda host, block: setattr(block.control, "event_inj", NMI))
    guest.cpu.inject(NonMaskable())
    with pytest.raises(InvariantError, match="still there"):
        guest.run()


def test_interrupts_of_every_processor_share_a_bus() -> None:
    guest = Guest(preempt, cpus=2)
    assert isinstance(guest.vm.bus, ApicBus)
    assert [apic.number for apic in guest.vm.bus.apics] == [0, 1]
