"""Guest programs under SVM on modelled processors."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import NotOperating, Preempted, Stopped, ToMachine
from worldswitch.hypervisor.requests import TripleFault

DEVICE = 0xE000_0000
APIC = 0xFEE0_0000
APIC_ON = f"movl $0x1ff, {APIC + 0xF0:#x}"
EOI = f"movl $0, {APIC + 0xB0:#x}"


class Pic:
    """An 8259 pair with interrupts in a list."""

    def __init__(self, *vectors: int) -> None:
        self.vectors = list(vectors)

    @property
    def intr(self) -> bool:
        """Whether there is one."""
        return bool(self.vectors)

    def acknowledge(self) -> int:
        """Take the first."""
        return self.vectors.pop(0)


@covers("exit/cpuid", "run/handled")
def test_cpuid_names_the_hypervisor_and_hides_svm() -> None:
    guest = SvmGuest(f"""
        mov $0x40000000, %eax
        cpuid
        mov %ebx, {DATA}
        mov %ecx, {DATA + 4}
        mov %edx, {DATA + 8}
        mov $0x80000001, %eax
        cpuid
        mov %ecx, {DATA + 12}
        jmp done
    """)
    guest.finish()
    assert guest.vm.memory.read(DATA, 12) == b"WorldSwitch\0"
    assert not guest.load(DATA + 12) & 4


@covers(
    "exit/io",
    "exit/io-string",
    "exit/io-string-repeat",
    "vminit/iopm",
    "paging/flat",
    "mode/protected",
)
def test_ports_are_read_and_written_in_every_size_and_as_strings() -> None:
    guest = SvmGuest(f"""
        mov $0x11223344, %eax
        out %al, $0x80
        out %ax, $0x81
        out %eax, $0x82
        in $0x60, %al
        mov %eax, {DATA}
        mov $0x3f8, %dx
        mov $text, %esi
        mov $5, %ecx
        cld
        rep outsb
        mov $0x1f0, %dx
        mov ${DATA + 0x100}, %edi
        mov $3, %ecx
        rep insw
        mov %ecx, {DATA + 4}
        jmp done
        text: .ascii "hello"
    """)
    guest.answers = [0x99, 0x1111, 0x2222, 0x3333]
    guest.finish()
    first, second = guest.written[:3], guest.written[3:]
    assert first == [(0x80, 1, 0x44), (0x81, 2, 0x3344), (0x82, 4, 0x1122_3344)]
    assert bytes(value for _, _, value in second) == b"hello"
    assert guest.load(DATA) == 0x1122_3399
    assert guest.vm.memory.read(DATA + 0x100, 6) == bytes.fromhex("111122223333")
    assert guest.load(DATA + 4) == 0


@covers("exit/npf-emulate", "exit/npf-no-assists", "exit/npf-storage")
@pytest.mark.parametrize("model", ["epyc-milan", "epyc-milan,-decodeassists"])
def test_devices_in_storages_space_are_reached_by_many_instructions(model: str) -> None:
    guest = SvmGuest(
        f"""
        mov ${DEVICE:#x}, %ebx
        mov $0x55667788, %eax
        mov %eax, 4(%ebx)
        movw $0x1234, (%ebx)
        movzbl (%ebx), %ecx
        mov %ecx, {DATA}
        movswl (%ebx), %ecx
        mov %ecx, {DATA + 4}
        orl $0x10, (%ebx)
        testb $1, (%ebx)
        setnz {DATA + 8}
        xchg %eax, (%ebx)
        mov %eax, {DATA + 12}
        pushl (%ebx)
        popl {DATA + 16}
        mov $0x77, %al
        mov %ebx, %edi
        mov $2, %ecx
        rep stosb
        jmp done
        """,
        model=model,
    )
    guest.answers = [0x181, 0x8001, 0x1, 0x3, 0xCAFE, 0xBEEF]
    guest.finish()
    assert guest.written == [
        (DEVICE + 4, 4, 0x5566_7788),
        (DEVICE, 2, 0x1234),
        (DEVICE, 4, 0x11),
        (DEVICE, 4, 0x5566_7788),
        (DEVICE, 1, 0x77),
        (DEVICE + 1, 1, 0x77),
    ]
    values = [guest.load(DATA + 4 * n) for n in range(5)]
    assert values == [0x81, 0xFFFF_8001, 1, 0xCAFE, 0xBEEF]


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


@covers("exit/undefined", "inject/exception", "inject/error-code", "exit/rdmsr-machine")
def test_instructions_that_the_guest_does_not_have_are_refused() -> None:
    guest = SvmGuest(f"""
        mov $0xc0015555, %ecx
        rdmsr
        vmmcall
        stgi
        xor %eax, %eax
        vmload
        jmp done
        on_6: incl {DATA}
        addl $3, (%esp)
        iret
        on_13: incl {DATA + 4}
        pop %eax
        addl $2, (%esp)
        iret
    """)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (3, 1)
    assert guest.counted("unknown_msr") == 1


@covers("exit/int-info-saved", "inject/int-info", "exit/soft-interrupt")
def test_events_are_delivered_through_storage_that_is_not_mapped_yet() -> None:
    guest = SvmGuest(f"""
        int $0x40
        incl {DATA + 8}
        int3
        incl {DATA + 12}
        ud2
        jmp done
        on_64: incl {DATA}
        iret
        on_3: incl {DATA + 4}
        iret
        on_6: addl $2, (%esp)
        iret
    """)
    guest.finish()
    assert [guest.load(DATA + 4 * n) for n in range(4)] == [1, 1, 1, 1]
    assert guest.counted("exit_int_info") >= 1


@covers("vminit/trace-exceptions", "exit/error-code", "exit/int3", "exit/exception")
def test_exceptions_that_are_traced_are_the_guests_all_the_same() -> None:
    guest = SvmGuest(
        f"""
        int3
        mov $0x20, %ax
        mov %ax, %fs
        xor %ecx, %ecx
        div %ecx
        jmp done
        on_3: incl {DATA}
        iret
        on_13: pop %eax
        mov %eax, {DATA + 4}
        addl $2, (%esp)
        iret
        on_0: addl $2, (%esp)
        incl {DATA + 8}
        iret
        """,
        trace_exceptions=True,
    )
    guest.vm.memory.write(0x7000 + 0x20, bytes(8))
    guest.finish()
    assert [guest.load(DATA + 4 * n) for n in range(3)] == [1, 0x20, 1]
    # INT3 twice: the first delivery finds that the IDT is not mapped yet.
    assert guest.counted("exit_exception") == 4


@covers("exit/single-step")
def test_single_step_traps_behind_an_intercepted_instruction() -> None:
    guest = SvmGuest(f"""
        pushf
        orl $0x100, (%esp)
        popf
        cpuid
        after: nop
        pushf
        andl $0xfffffeff, (%esp)
        popf
        jmp done
        on_1: mov (%esp), %eax
        cmp $after, %eax
        jne end
        incl {DATA}
        end: iret
    """)
    guest.finish()
    assert guest.load(DATA) == 1


@covers("run/init", "mode/real")
def test_other_processor_is_started_in_real_mode() -> None:
    guest = SvmGuest(
        f"""
        {APIC_ON}
        movl $0x1000000, {APIC + 0x310:#x}
        movl $0x4500, {APIC + 0x300:#x}
        movl $0x1000000, {APIC + 0x310:#x}
        movl $0x4608, {APIC + 0x300:#x}
        again: pause
        cmpw $0x5aa5, 0x8800
        jne again
        jmp done
        """,
        cpus=2,
    )
    # mov ax, cs; mov ds, ax; mov word [0x800], 0x5aa5; hlt; jmp $-1
    guest.vm.memory.write(0x8000, bytes.fromhex("8cc88ed8c7060008a55af4ebfd"))
    guest.finish()
    other = guest.vm.vcpus[1]
    assert other.save.cs.base == 0x8000


@covers("run/registers", "run/migration")
def test_registers_move_with_the_virtual_cpu_between_processors() -> None:
    guest = SvmGuest(
        f"""
        movdqu pattern, %xmm3
        fninit
        fldpi
        mov $0x12345678, %ebp
        mov $0x1000, %ecx
        mov %ecx, %dr2
        again: incl {DATA}
        cmpl $40000, {DATA}
        jb again
        movdqu %xmm3, {DATA + 16}
        mov %ebp, {DATA + 4}
        fstpl {DATA + 8}
        mov %dr2, %eax
        mov %eax, {DATA + 32}
        jmp done
        pattern: .octa 0x112233445566778899aabbccddeeff00
        """,
        hosts=2,
    )
    guest.cpu.cr4 = 0x600
    turn = 0
    while True:
        end = guest.run(host=turn % 2, size=7000)
        turn += 1
        if isinstance(end, ToMachine):
            break
        assert isinstance(end, Preempted)
    assert turn > 8
    assert guest.load(DATA + 16, 16) == 0x1122_3344_5566_7788_99AA_BBCC_DDEE_FF00
    assert guest.load(DATA + 4) == 0x1234_5678
    assert guest.load(DATA + 8, 8) == 0x4009_21FB_5444_2D18
    assert guest.load(DATA + 32) == 0x1000
    assert guest.counted("migrations") == turn


def test_unmapped_page_is_not_reached_by_an_old_translation() -> None:
    guest = SvmGuest(f"""
        mov {DATA}, %eax
        out %al, $0x80
        mov {DATA}, %eax
        out %al, $0x80
        jmp done
    """)
    guest.vm.memory.write(DATA, b"\x11")
    first = guest.run()
    assert isinstance(first, ToMachine)
    guest.answer(guest.cpu, first.request)
    guest.vm.memory.write(DATA + 0x1000, b"\x22")
    backing = guest.vm.memory.host_address(DATA + 0x1000)
    assert backing is not None
    old = guest.vm.npt.memory.slots[0]
    guest.vm.npt.remove(0)
    guest.vm.map(0, old.host, DATA)
    guest.vm.map(DATA, backing, 0x1000)
    guest.vm.map(DATA + 0x1000, old.host + DATA + 0x1000, old.size - DATA - 0x1000)
    guest.finish()
    assert [value for _, _, value in guest.written] == [0x11, 0x22]


@covers("exit/shutdown", "run/reset")
def test_triple_fault_is_told_and_reset_begins_again() -> None:
    guest = SvmGuest("""
        lidt nothing
        ud2
        nothing: .word 0, 0, 0
    """)
    assert guest.run() == ToMachine(TripleFault())
    assert guest.run() == NotOperating()
    guest.vm.reset()
    assert guest.cpu.runnable()


@covers("exit/invalid")
def test_invalid_vmcb_stops_with_the_rule_that_it_breaks() -> None:
    guest = SvmGuest("jmp done")
    guest.cpu.set_system("dr7", 1 << 32)
    end = guest.run()
    assert isinstance(end, Stopped)
    assert "dr7" in end.diagnosis
    assert end.code == SvmExit.INVALID


def test_virtual_cpus_share_a_processor_with_asids_of_their_own() -> None:
    guest = SvmGuest(
        f"""
        again: lock incl {DATA}
        cmpl $60000, {DATA}
        jb again
        jmp done
        """,
        cpus=3,
    )
    guest.start_all()
    guest.finish()
    assert guest.counted("new_asid") == 3
    assert guest.load(DATA) >= 60_000


@covers("run/host-state", "run/lazy-state", "run/switch-always", "vminit/msrpm-pass-through")
@pytest.mark.parametrize("always", [False, True])
def test_state_that_vmload_loads_is_the_guests_either_way(always: bool) -> None:
    guest = SvmGuest(
        f"""
        mov $0xc0000082, %ecx
        mov $0x12345678, %eax
        xor %edx, %edx
        wrmsr
        cpuid
        mov $0xc0000082, %ecx
        rdmsr
        mov %eax, {DATA}
        jmp done
        """,
        switch_always=always,
    )
    own = guest.hosts[0].rdmsr(0xC000_0082)
    guest.finish()
    assert guest.load(DATA) == 0x1234_5678
    assert guest.backend.getreg(guest.cpu, "lstar") == 0x1234_5678
    guest.backend.cleanup()
    assert guest.hosts[0].rdmsr(0xC000_0082) == own
