"""Events that guest programs are given: shadows, NMIs, double faults, virtual interrupts."""

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest
from tests.guests.svm_interrupts import APIC, APIC_ON, EOI, Pic
from worldswitch.arch.x86.svm_controls import Clean, EventType, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.requests import TripleFault
from worldswitch.hypervisor.x86.events import NonMaskable

NEW_PAGE = 0x50_0000
"""Storage that nothing has been mapped for when it is first used."""
IN_SHADOW = f"sti; mov {NEW_PAGE}, %eax; nop; nop; jmp done"
NMI = event(EventType.NMI, 2)
UD = event(EventType.EXCEPTION, 6)
EXTINT = f"{APIC_ON}; movl $0x700, {APIC + 0x350:#x}"
"""The 8259 pair's line reaches the processor through LINT0."""
READ_CR8, WRITE_CR8 = ".byte 0xf0, 0x0f, 0x20, 0xc0", ".byte 0xf0, 0x0f, 0x22, 0xc0"


def once(guest: SvmGuest, code: SvmExit, action: object) -> None:
    """Have something done at the first exit with a code."""
    left = [action]

    def hook(_cpu: object) -> None:
        if left:
            left.pop()()  # type: ignore[operator]

    guest.vm.on_exit(code)(hook)


# Interrupt shadows.


@covers("inject/shadow-cleared")
def test_shadow_ends_behind_an_instruction_that_is_executed_for_the_guest() -> None:
    guest = SvmGuest("nop; sti; cpuid; nop; jmp done")
    entries = guest.watch()
    shadows: list[bool] = []
    guest.vm.on_exit(SvmExit.CPUID)(lambda cpu: shadows.append(cpu.interrupt_shadow))
    guest.finish()
    assert shadows == [True]
    after = [entry for entry in entries if entry.rip == guest.program.symbols["done"] - 3]
    assert not any(entry.shadow for entry in after or entries[-1:])


@covers("inject/shadow-kept")
def test_shadow_lasts_while_the_instruction_in_it_is_executed_again() -> None:
    guest = SvmGuest(IN_SHADOW)
    entries = guest.watch()
    guest.finish()
    assert [entry.shadow for entry in entries if entry.shadow] == [1]


# Exceptions that meet others.

FAULT = "mov $0x20, %ax; mov %ax, %fs"
"""#GP(20h), for an empty descriptor."""


@covers("inject/double-fault")
def test_exception_in_the_delivery_of_another_is_a_double_fault() -> None:
    guest = SvmGuest(
        f"{FAULT}; hlt; on_8: pop %eax; or $0x100, %eax; mov %eax, {DATA}; jmp done",
        trace_exceptions=True,
    )
    guest.finish()
    assert guest.load(DATA) == 0x100


@covers("inject/serial")
def test_exception_in_the_delivery_of_a_benign_one_takes_its_place() -> None:
    guest = SvmGuest(
        f"ud2; hlt; on_13: pop %eax; mov %eax, {DATA}; jmp done", trace_exceptions=True
    )
    guest.finish()
    assert guest.load(DATA) & ~1 == 6 * 8 + 2


@covers("inject/triple-fault")
def test_exception_in_the_delivery_of_a_double_fault_is_a_triple_fault() -> None:
    guest = SvmGuest(f"{FAULT}; hlt", trace_exceptions=True)
    assert guest.request() == TripleFault()
    assert guest.exits(SvmExit.EXCP_GP) == 3


# NMIs.


@covers("inject/nmi-shadow")
def test_nmi_in_a_shadow_comes_when_the_window_opens() -> None:
    guest = SvmGuest(f"{IN_SHADOW}; on_2: incl {DATA}; iret")
    entries = guest.watch()
    once(guest, SvmExit.NPF, lambda: None)
    guest.vm.on_exit(SvmExit.NPF)(
        lambda cpu: cpu.signal(NonMaskable()) if cpu.interrupt_shadow else None
    )
    guest.finish()
    assert guest.load(DATA) == 1
    held = next(entry for entry in entries if entry.shadow)
    assert held.window
    assert not held.event_inj
    assert guest.exits(SvmExit.VINTR) == 1
    assert NMI in [entry.event_inj for entry in entries]


@covers("inject/nmi-pending-event")
def test_nmi_behind_another_event_comes_with_a_self_ipi() -> None:
    guest = SvmGuest(f"""
        vmmcall
        jmp done
        on_6: mov {DATA + 4}, %eax
        mov %eax, {DATA}
        addl $3, (%esp)
        iret
        on_2: incl {DATA + 4}
        iret
    """)
    entries = guest.watch()
    usual = guest.hosts[0].time_slice
    once(guest, SvmExit.VMMCALL, lambda: guest.cpu.signal(NonMaskable()))
    guest.finish()
    events = [entry.event_inj for entry in entries if entry.event_inj]
    assert events[0] == UD
    assert events[-1] == NMI
    assert next(entry.time_slice for entry in entries if entry.event_inj == UD) == 1
    assert guest.hosts[0].time_slice == usual
    assert guest.counted("self_ipi") == 1
    assert guest.load(DATA + 4) == 1


# The local APIC.


@covers("inject/apic-pending", "inject/apic-accepted", "inject/apic-higher")
def test_vector_waits_in_irr_gives_way_to_a_higher_one_and_is_in_service_once_taken() -> None:
    guest = SvmGuest(f"""
        {APIC_ON}
        movl $0x40041, {APIC + 0x300:#x}
        cpuid
        movl $0x40051, {APIC + 0x300:#x}
        cpuid
        sti
        nop
        jmp done
        on_81: incl {DATA}
        cpuid
        {EOI}
        iret
        on_65: mov {DATA}, %eax
        mov %eax, {DATA + 4}
        {EOI}
        iret
    """)
    entries = guest.watch()
    seen: list[tuple[int, int]] = []
    lapic = guest.cpu.lapic
    guest.vm.on_exit(SvmExit.CPUID)(
        lambda _cpu: seen.append((lapic.irr.bit_length() - 1, lapic.isr.bit_length() - 1))
    )
    guest.finish()
    # Before, with the first, with both; then the higher one is in service.
    assert seen == [(0x41, -1), (0x51, -1), (0x41, 0x51)]
    vectors = [entry.vector for entry in entries if entry.vector]
    assert vectors[0] == 0x41
    assert 0x51 in vectors
    assert (guest.load(DATA), guest.load(DATA + 4)) == (1, 1)
    assert lapic.isr == 0


@covers("inject/apic-withdrawn", "tpr/to-guest")
def test_vector_is_held_back_by_the_task_priority_and_withdrawn_with_the_local_apic() -> None:
    guest = SvmGuest(f"""
        {APIC_ON}
        movl $0x40041, {APIC + 0x300:#x}
        cpuid
        movl $0x50, {APIC + 0x80:#x}
        {READ_CR8}
        mov %eax, {DATA}
        sti
        nop
        cli
        mov $0x1b, %ecx
        rdmsr
        and $0xfffff7ff, %eax
        wrmsr
        cpuid
        jmp done
        on_65: incl {DATA + 4}
        iret
    """)
    entries = guest.watch()
    guest.finish()
    assert 0x41 in [entry.vector for entry in entries]
    assert entries[-1].vector == 0
    assert guest.load(DATA + 4) == 0
    assert guest.load(DATA) == 5


@covers("tpr/from-guest")
def test_cr8_of_the_guest_is_the_task_priority() -> None:
    guest = SvmGuest(f"""
        mov $7, %eax
        {WRITE_CR8}
        mov {APIC + 0x80:#x}, %eax
        mov %eax, {DATA}
        jmp done
    """)
    guest.finish()
    assert guest.load(DATA) == 0x70
    assert guest.cpu.lapic.tpr == 0x70


# The 8259 pair.


@covers("inject/extint-shadow")
def test_interrupt_of_the_8259_pair_waits_for_the_end_of_the_shadow() -> None:
    guest = SvmGuest(f"{EXTINT}; {IN_SHADOW}; on_48: incl {DATA}; iret")
    guest.vm.pic = pic = Pic()
    entries = guest.watch()
    guest.vm.on_exit(SvmExit.NPF)(
        lambda cpu: pic.vectors.append(0x30) if cpu.interrupt_shadow else None
    )
    guest.finish()
    held = next(entry for entry in entries if entry.shadow)
    assert (held.window, held.event_inj) == (True, 0)
    assert guest.load(DATA) == 1


@covers("inject/extint-pending-event")
def test_interrupt_of_the_8259_pair_waits_behind_another_event() -> None:
    guest = SvmGuest(f"""
        {EXTINT}
        sti
        nop
        vmmcall
        nop
        jmp done
        on_6: addl $3, (%esp)
        incl {DATA + 4}
        iret
        on_48: incl {DATA}
        iret
    """)
    guest.vm.pic = pic = Pic()
    entries = guest.watch()
    once(guest, SvmExit.VMMCALL, lambda: pic.vectors.append(0x30))
    guest.finish()
    first = next(entry for entry in entries if entry.event_inj == UD)
    assert first.window
    assert event(EventType.INTR, 0x30) in [entry.event_inj for entry in entries]
    assert (guest.load(DATA), guest.load(DATA + 4)) == (1, 1)


@covers("inject/window-kept")
def test_window_that_is_asked_for_already_changes_nothing() -> None:
    guest = SvmGuest(f"""
        {EXTINT}
        out %al, $0x80
        cpuid
        cpuid
        cpuid
        sti
        nop
        jmp done
        on_48: incl {DATA}
        iret
    """)
    guest.vm.pic = pic = Pic()
    guest.request()
    pic.vectors.append(0x30)
    entries = guest.watch()
    guest.cpu.put()
    guest.finish()
    windows = [entry for entry in entries if entry.window]
    assert len(windows) >= 4
    assert all(entry.clean & Clean.TPR for entry in windows[1:])
    assert guest.load(DATA) == 1
