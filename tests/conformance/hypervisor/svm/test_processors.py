"""Guest programs under SVM: several processors and virtual CPUs, and ends of runs."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest
from tests.guests.svm_interrupts import APIC, APIC_ON
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import NotOperating, Preempted, Stopped, ToMachine
from worldswitch.hypervisor.requests import TripleFault


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
