"""Programs in every mode and with every kind of paging: whose memory the hypervisor reads."""

import struct

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import CODE, DATA, GDT, STACK, SvmGuest
from worldswitch.hypervisor.x86.state import CpuMode, CpuState, SegmentState

TABLES, DIRECTORY, TOP_PAE, OLD_DIRECTORY = 0x30_0000, 0x30_2000, 0x30_3000, 0x30_4000
LINEAR = 0xA0_0000
"""Where DATA is in the linear addresses of programs with paging."""
SEND = f"""
    mov ${LINEAR:#x}, %esi
    mov $0x3f8, %edx
    mov $5, %ecx
    rep outsb
"""
PAE = "mov $0x20, %eax; mov %eax, %cr4"
PAGING = "mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0"
TWO_LEVELS = f"mov $0x10, %eax; mov %eax, %cr4; mov ${OLD_DIRECTORY:#x}, %eax; mov %eax, %cr3"
LONG = f"""
    {PAE}
    mov ${TABLES:#x}, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    {PAGING}
"""
USER_CODE, USER_DATA = 0x28, 0x30
TASK = 0x8000


def mapped(source: str) -> SvmGuest:
    """A guest with page tables of all kinds in storage: identity, but for LINEAR."""
    guest = SvmGuest(source)
    write = guest.vm.memory.write
    write(TABLES, struct.pack("<Q", TABLES + 0x1007))
    write(TABLES + 0x1000, struct.pack("<Q", DIRECTORY | 7))
    write(TOP_PAE, struct.pack("<4Q", DIRECTORY | 1, 0, 0, 0))
    pages = [n << 21 | 0x87 for n in range(512)]
    pages[LINEAR >> 21] = DATA | 0x87
    write(DIRECTORY, struct.pack("<512Q", *pages))
    old = [n << 22 | 0x87 for n in range(1024)]
    old[LINEAR >> 22] = 0x83
    write(OLD_DIRECTORY, struct.pack("<1024I", *old))
    write(GDT + 0x18, struct.pack("<Q", 0x00AF_9B00_0000_FFFF))
    write(GDT + USER_CODE, struct.pack("<2Q", 0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF))
    write(DATA, b"hello")
    return guest


@covers("paging/32", "paging/pae", "paging/64", "mode/compatibility", "mode/long",
        "exit/io-string-address-size")  # fmt: skip
@pytest.mark.parametrize(
    ("source", "mode"),
    [
        (f"{TWO_LEVELS}; {PAGING}; {SEND}; jmp done", CpuMode.PROTECTED),
        (f"{PAE}; mov ${TOP_PAE:#x}, %eax; mov %eax, %cr3; {PAGING}; {SEND}; jmp done",
         CpuMode.PROTECTED),
        (f"{LONG}; {SEND}; jmp done", CpuMode.COMPATIBILITY),
        (f"{LONG}; ljmp $0x18, $wide; .code64; wide: movabs ${LINEAR:#x}, %rsi; {SEND}",
         CpuMode.LONG),
    ],
    ids=["32", "pae", "compatibility", "64"],
)  # fmt: skip
def test_string_is_read_by_linear_addresses_as_the_mode_has_them(
    source: str, mode: CpuMode
) -> None:
    guest = mapped(source)
    guest.finish()
    assert bytes(value for _, _, value in guest.written) == b"hello"
    assert guest.cpu.mode() is mode


@covers("mode/real", "mode/protected", "paging/flat")
def test_string_is_read_by_linear_addresses_without_paging() -> None:
    guest = SvmGuest(f"mov ${DATA}, %esi; mov $0x3f8, %edx; outsb; jmp done", cpus=2)
    guest.vm.memory.write(DATA, b"Q")
    guest.finish()
    assert guest.written == [(0x3F8, 1, ord("Q"))]
    assert guest.cpu.mode() is CpuMode.PROTECTED
    # mov si, 5; mov dx, 0x3f8; outsb; hlt, in real mode with DS 1200h
    other = guest.vm.vcpus[1]
    guest.vm.memory.write(0x8000, bytes.fromhex("be0500baf8036ef4"))
    guest.vm.memory.write(0x12005, b"R")
    other.cr0, other.rip, other.state = 0x10, 0, CpuState.RUNNING
    for name, selector in (("cs", 0x800), ("ds", 0x1200)):
        attributes = 0x9B if name == "cs" else 0x93
        state = SegmentState(selector, selector << 4, 0xFFFF, attributes)
        guest.backend.setdesc(other, name, state)
    request = guest.request(cpu=1)
    assert request.value == ord("R")
    assert other.mode() is CpuMode.REAL


@covers("mode/cpl")
def test_string_at_level_3_does_not_read_the_supervisors_pages() -> None:
    guest = mapped(f"""
        {TWO_LEVELS}
        {PAGING}
        push ${USER_DATA | 3}
        push ${STACK - 0x800:#x}
        push $0x3002
        push ${USER_CODE | 3}
        push $user
        iret
        user: mov ${USER_DATA | 3}, %ax
        mov %ax, %ds
        {SEND}
        ud2
        on_14: pop %eax
        mov %eax, {DATA + 16}
        mov %cr2, %eax
        mov %eax, {DATA + 20}
        jmp done
    """)
    guest.vm.memory.write(TASK + 4, struct.pack("<II", STACK - 0x100, 0x10))
    guest.backend.setdesc(guest.cpu, "tr", SegmentState(0x18, TASK, 0x67, 0x8B))
    guest.finish()
    assert guest.written == []
    assert (guest.load(DATA + 16), guest.load(DATA + 20)) == (5, LINEAR)
    assert CODE
