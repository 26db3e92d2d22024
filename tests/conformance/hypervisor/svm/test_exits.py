"""Exits of guest programs, but for those of the local APIC's and of nested paging."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest
from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import EventType, Intercept1, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Resume, Stopped, ToMachine
from worldswitch.hypervisor.requests import MsrRead, MsrWrite, PortWrite, UnclaimedExit
from worldswitch.hypervisor.svm import controls
from worldswitch.hypervisor.svm.injection import InvariantError, inject_event
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.hypervisor.x86.events import ExceptionEvent
from worldswitch.metal.x86.pending import PENDING_MACHINE_CHECK, PENDING_NMI


def rewritten(guest: SvmGuest, code: int) -> None:
    """Have each CPUID exit taken for another, as a processor with more intercepts would."""

    def hook(cpu: SvmVcpu) -> None:
        cpu.vmcb.control.exit_code = code

    guest.vm.on_exit(SvmExit.CPUID)(hook)


# What the host's processor meets.


@covers("exit/nmi")
def test_physical_nmi_is_the_hosts_and_the_program_goes_on() -> None:
    guest = SvmGuest(f"out %al, $0x80; incl {DATA}; jmp done")
    guest.request()
    guest.hosts[0].processor.make_pending(PENDING_NMI)
    guest.finish()
    assert guest.load(DATA) == 1
    assert guest.exits(SvmExit.NMI) == 1


@covers("exit/machine-check")
def test_machine_check_is_the_hosts_and_the_program_goes_on() -> None:
    guest = SvmGuest(f"""
        mov $0x40, %eax
        mov %eax, %cr4
        out %al, $0x80
        incl {DATA}
        jmp done
        on_18: incl {DATA + 4}
        iret
    """)
    hosts: list[object] = []
    guest.vm.on_machine_check = hosts.append
    guest.request()
    guest.hosts[0].processor.make_pending(PENDING_MACHINE_CHECK)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (1, 0)
    assert hosts == [guest.hosts[0]]
    assert guest.exits(SvmExit.EXCP_MC) == 1


# Exceptions.


@covers("exit/page-fault")
def test_page_fault_that_is_traced_is_reflected_with_its_address() -> None:
    guest = SvmGuest(
        f"""
        mov $0x10, %eax
        mov %eax, %cr4
        mov $0x300000, %eax
        mov %eax, %cr3
        mov $0x80000011, %eax
        mov %eax, %cr0
        movb $1, 0x40000123
        on_14: pop %eax
        mov %eax, {DATA}
        mov %cr2, %eax
        mov %eax, {DATA + 4}
        jmp done
        """,
        trace_exceptions=True,
    )
    guest.vm.memory.write(0x30_0000, b"".join((n << 22 | 0x83).to_bytes(4, "little")
                                              for n in range(2)))  # fmt: skip
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (2, 0x4000_0123)
    assert guest.exits(SvmExit.EXCP_PF) == 1


@covers("exit/double-fault")
def test_double_fault_is_reflected_with_error_code_0() -> None:
    guest = SvmGuest(f"""
        mov $0x20, %ax
        mov %ax, %fs
        hlt
        on_8: pop %eax
        or $0x100, %eax
        mov %eax, {DATA}
        jmp done
    """)
    controls.set_intercept(guest.cpu, controls.EXCEPTIONS, 1 << 8, True)
    guest.finish()
    assert guest.load(DATA) == 0x100
    assert guest.exits(SvmExit.EXCP_DF) == 1


# Registers.


@covers("exit/msr-efer")
def test_efer_keeps_svme_whatever_the_guest_writes() -> None:
    guest = SvmGuest(f"""
        mov $0xc0000080, %ecx
        mov $1, %eax
        xor %edx, %edx
        wrmsr
        rdmsr
        mov %eax, {DATA}
        mov $0x2, %eax
        wrmsr
        jmp done
        on_13: incl {DATA + 4}
        pop %eax
        addl $2, (%esp)
        iret
    """)
    guest.finish()
    assert guest.load(DATA) == Efer.SVME | Efer.SCE
    assert guest.load(DATA + 4) == 1


@covers("exit/rdmsr-machine", "exit/wrmsr-machine")
def test_registers_that_the_hypervisor_does_not_know_are_the_machines() -> None:
    guest = SvmGuest(f"""
        mov $0xc0015555, %ecx
        rdmsr
        mov %eax, {DATA}
        mov %edx, {DATA + 4}
        wrmsr
        wrmsr
        jmp done
        on_13: incl {DATA + 8}
        pop %eax
        addl $2, (%esp)
        iret
    """)
    assert guest.request() == MsrRead(0xC001_5555)
    guest.cpu.answer(0x1122_3344_5566_7788)
    assert guest.request() == MsrWrite(0xC001_5555, 0x1122_3344_5566_7788)
    guest.cpu.answer(0)
    assert guest.request() == MsrWrite(0xC001_5555, 0x1122_3344_5566_7788)
    guest.finish()
    assert guest.load(DATA, 8) == 0x1122_3344_5566_7788
    assert guest.load(DATA + 8) == 1
    assert guest.counted("unknown_msr") == 1


@covers("exit/xsetbv", "exit/xsetbv-refused")
def test_xcr0_takes_what_cpuid_tells_of_and_nothing_else() -> None:
    guest = SvmGuest(f"""
        mov $0x40000, %eax
        mov %eax, %cr4
        xor %ecx, %ecx
        xor %edx, %edx
        mov $3, %eax
        xsetbv
        xgetbv
        mov %eax, {DATA}
        mov $0x80000001, %eax
        xsetbv
        jmp done
        on_13: incl {DATA + 4}
        pop %eax
        addl $3, (%esp)
        iret
    """)
    guest.finish()
    assert (guest.load(DATA), guest.load(DATA + 4)) == (3, 1)


# Strings of ports.


@covers("exit/io-string-segment", "exit/io-string-address-size")
def test_outs_reads_from_its_segment_with_addresses_of_its_size() -> None:
    guest = SvmGuest("""
        mov $0x3f8, %dx
        mov $0x12340004, %esi
        fs outsb %ds:(%si), %dx
        mov $4, %esi
        fs outsb
        movl $3, %ecx
        mov $0x50001, %esi
        std
        .byte 0x64, 0xf3, 0x67, 0x6e
        jmp done
    """.replace("fs outsb %ds:(%si), %dx", ".byte 0x64, 0x67, 0x6e"))  # fmt: skip
    backend, cpu = guest.backend, guest.cpu
    backend.setdesc(cpu, "fs", type(backend.getdesc(cpu, "fs"))(16, DATA, 0xFFFF_FFFF, 0xC93))
    guest.vm.memory.write(DATA, b"ABCDEFGH")
    guest.vm.memory.write(DATA + 0xFFFF, b"Z")
    guest.finish()
    assert bytes(value for _, _, value in guest.written) == b"EEBAZ"
    assert cpu.gr[6] == 0x5FFFE


@covers("exit/io-string-no-assists")
def test_string_without_decode_assists_is_unclaimed() -> None:
    guest = SvmGuest("mov $0x3f8, %dx; outsb; jmp done", model="epyc-milan,-decodeassists")
    request = guest.request()
    assert isinstance(request, UnclaimedExit)
    assert request.code == SvmExit.IOIO
    assert "decode assists" in request.reason


# What the hypervisor does not expect, and what it may not do.


@covers("exit/unknown")
def test_exit_that_is_not_expected_is_unclaimed() -> None:
    guest = SvmGuest("pushf; jmp done")
    controls.set_intercept(guest.cpu, controls.FIRST, Intercept1.PUSHF, True)
    assert guest.request() == UnclaimedExit(SvmExit.PUSHF, 0, 0, "not intercepted here")
    assert guest.counted("exit_unknown") == 1


@covers("exit/unknown", "hooks/change")
@pytest.mark.parametrize("code", [0x300, 1 << 63])
def test_code_that_the_architecture_does_not_have_is_unclaimed(code: int) -> None:
    guest = SvmGuest("cpuid; jmp done")
    rewritten(guest, code)
    request = guest.request()
    assert isinstance(request, UnclaimedExit)
    assert request.code == code


@covers("exit/reserved-cr", "hooks/change")
@pytest.mark.parametrize("code", [SvmExit.CR1_READ, SvmExit.CR15_WRITE])
def test_control_register_that_does_not_exist_is_undefined(code: SvmExit) -> None:
    guest = SvmGuest(f"cpuid; jmp done; on_6: incl {DATA}; addl $2, (%esp); iret")
    rewritten(guest, code)
    guest.finish()
    assert guest.load(DATA) == 1


@covers("exit/refused-entry")
@pytest.mark.parametrize("code", [SvmExit.BUSY, SvmExit.IDLE_REQUIRED, SvmExit.INVALID_PMC])
def test_entry_that_is_refused_for_another_guest_stops(code: SvmExit) -> None:
    guest = SvmGuest("cpuid; jmp done")
    rewritten(guest, code)
    end = guest.run()
    assert isinstance(end, Stopped)
    assert code.name in end.diagnosis
    assert guest.run() == end


@covers("invariant/length")
def test_instruction_of_impossible_length_is_an_error() -> None:
    guest = SvmGuest("cpuid; jmp done")

    def hook(cpu: SvmVcpu) -> None:
        cpu.vmcb.control.next_rip = cpu.rip + 16

    guest.vm.on_exit(SvmExit.CPUID)(hook)
    with pytest.raises(InvariantError):
        guest.run()


@covers("invariant/code")
def test_handler_that_moves_rip_after_an_interrupt_is_an_error() -> None:
    guest = SvmGuest("1: jmp 1b")
    guest.vm.on_exit(SvmExit.INTR)(lambda _cpu: Resume(2))
    with pytest.raises(InvariantError, match="after exit 0x60"):
        guest.run(size=1000)


@covers("invariant/event")
def test_event_over_another_is_an_error() -> None:
    guest = SvmGuest("cpuid; jmp done")

    def hook(cpu: SvmVcpu) -> None:
        cpu.vmcb.control.event_inj = event(EventType.NMI, 2)
        cpu.inject(ExceptionEvent(6))

    guest.vm.on_exit(SvmExit.CPUID)(hook)
    with pytest.raises(InvariantError, match="injected already"):
        guest.run()


@covers("invariant/event-kind")
@pytest.mark.parametrize("info", [event(EventType.EXCEPTION, 2), 1 << 31 | 1 << 8, 1 << 31 | 0x320])
def test_event_that_vmrun_would_refuse_is_an_error(info: int) -> None:
    guest = SvmGuest("cpuid; jmp done")
    guest.vm.on_exit(SvmExit.CPUID)(lambda cpu: inject_event(cpu, info))
    with pytest.raises(InvariantError):
        guest.run()


def test_hook_in_the_handlers_place_takes_the_exit_over() -> None:
    guest = SvmGuest(f"cpuid; mov %eax, {DATA}; out %al, $0x80; jmp done")

    def hook(cpu: SvmVcpu) -> Resume:
        cpu.gr[0] = 0x1234
        return Resume(2)

    guest.vm.on_exit(SvmExit.CPUID)(hook)
    assert guest.run() == ToMachine(PortWrite(0x80, 1, 0x34))
    assert guest.load(DATA) == 0x1234
