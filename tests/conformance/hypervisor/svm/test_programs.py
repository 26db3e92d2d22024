"""Guest programs under SVM on modelled processors: instructions, exceptions, devices."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest

DEVICE = 0xE000_0000


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
