"""Guest programs under SVM: timers, interrupts and NMIs."""

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest
from tests.guests.svm_interrupts import APIC, APIC_ON, EOI, Pic


@covers("exit/hlt", "run/halted", "run/timer", "exit/npf-apic")
def test_timer_of_the_local_apic_ends_hlt() -> None:
    guest = SvmGuest(f"""
        {APIC_ON}
        movl $0x20040, {APIC + 0x320:#x}
        movl $0xb, {APIC + 0x3E0:#x}
        movl $30000, {APIC + 0x380:#x}
        sti
        again: hlt
        cmpl $3, {DATA}
        jne again
        jmp done
        on_64: incl {DATA}
        {EOI}
        iret
    """)
    guest.finish()
    assert guest.load(DATA) == 3
    assert guest.cpu.lapic.isr == 0


@covers("run/timer", "inject/apic")
def test_timer_interrupts_a_loop() -> None:
    guest = SvmGuest(f"""
        {APIC_ON}
        movl $0x40, {APIC + 0x320:#x}
        movl $0xb, {APIC + 0x3E0:#x}
        movl $5000, {APIC + 0x380:#x}
        sti
        again: cmpl $0, {DATA}
        je again
        jmp done
        on_64: incl {DATA}
        {EOI}
        iret
    """)
    guest.finish(turns=1)
    assert guest.load(DATA) == 1


@covers("exit/msr-apic")
def test_x2apic_interrupts_itself_and_has_a_deadline() -> None:
    guest = SvmGuest(f"""
        mov $0x1b, %ecx
        rdmsr
        or $0xc00, %eax
        wrmsr
        mov $0x80f, %ecx
        mov $0x1ff, %eax
        xor %edx, %edx
        wrmsr
        sti
        mov $0x83f, %ecx
        mov $0x51, %eax
        wrmsr
        nop
        mov $0x832, %ecx
        mov $0x40040, %eax
        wrmsr
        rdtsc
        add $20000, %eax
        mov $0x6e0, %ecx
        wrmsr
        hlt
        jmp done
        on_64: incl {DATA}
        jmp end
        on_81: incl {DATA + 4}
        end: push %eax
        push %ecx
        push %edx
        mov $0x80b, %ecx
        xor %eax, %eax
        xor %edx, %edx
        wrmsr
        pop %edx
        pop %ecx
        pop %eax
        iret
    """)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (1, 1)


@covers("inject/apic-withdrawn")
def test_task_priority_holds_interrupts_back_until_cr8_or_tpr_lets_them() -> None:
    guest = SvmGuest(f"""
        {APIC_ON}
        sti
        movl $0x60, {APIC + 0x80:#x}
        movl $0x40051, {APIC + 0x300:#x}
        nop
        mov {DATA}, %eax
        mov %eax, {DATA + 4}
        movl $0, {APIC + 0x80:#x}
        nop
        jmp done
        on_81: incl {DATA}
        {EOI}
        iret
    """)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (1, 0)


@covers("inject/nmi", "inject/nmi-blocked", "exit/iret")
def test_second_nmi_comes_behind_the_iret_of_the_first() -> None:
    guest = SvmGuest(f"""
        {APIC_ON}
        movl $0x40400, {APIC + 0x300:#x}
        nop
        nop
        jmp done
        on_2: incl {DATA}
        cmpl $1, {DATA}
        jne end
        movl $0x40400, {APIC + 0x300:#x}
        nop
        mov {DATA}, %eax
        mov %eax, {DATA + 4}
        end: iret
    """)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (2, 1)
    assert not guest.cpu.nmi_pending


@covers(
    "inject/extint",
    "inject/extint-disabled",
    "inject/window-open",
    "inject/window-closed",
    "exit/vintr",
)
def test_interrupts_of_the_8259_pair_come_one_after_the_other() -> None:
    guest = SvmGuest(f"""
        {APIC_ON}
        movl $0x700, {APIC + 0x350:#x}
        mov $0x20, %al
        out %al, $0x20
        sti
        nop
        nop
        jmp done
        on_48: incl {DATA}
        iret
        on_49: mov {DATA}, %eax
        mov %eax, {DATA + 4}
        iret
    """)
    guest.vm.pic = Pic(0x30, 0x31)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (1, 1)
    assert guest.counted("inject_extint") == 2
    assert guest.vm.statistics()
