"""Nested page faults of guest programs."""

import pytest

from tests.conformance.hypervisor.svm.test_asids import leaf
from tests.conformance.hypervisor.svm_paths import covers
from tests.guests.svm_guest import DATA, SvmGuest
from worldswitch.arch.x86.svm_exits import NpfInfo, SvmExit
from worldswitch.hypervisor.outcome import Stopped
from worldswitch.hypervisor.requests import MmioWrite, UnclaimedExit
from worldswitch.hypervisor.svm.vcpu import SvmVcpu
from worldswitch.hypervisor.x86.state import SegmentState

DEVICE = 0xE000_0000
ROM = 0xFFF0_0000
READ, WRITTEN, FETCHED = 0x30_0000, 0x50_0000, 0x70_0000


def unclaimed(guest: SvmGuest) -> str:
    """Why an exit is nobody's."""
    request = guest.request()
    assert isinstance(request, UnclaimedExit), request
    assert request.code == SvmExit.NPF
    return request.reason


@covers("exit/npf-storage", "exit/npf-access")
def test_storage_is_mapped_for_a_read_a_write_and_a_fetch() -> None:
    guest = SvmGuest(
        f"mov {READ}, %eax; mov %eax, {WRITTEN}; mov ${FETCHED}, %ebx; call *%ebx; jmp done"
    )
    guest.vm.memory.write(READ, b"\x77")
    guest.vm.memory.write(FETCHED, b"\xc3")
    seen: dict[int, int] = {}

    def hook(cpu: SvmVcpu) -> None:
        control = cpu.vmcb.control
        seen[control.exit_info_2 & ~0xFFF] = control.exit_info_1 & (NpfInfo.RW | NpfInfo.ID)

    guest.vm.on_exit(SvmExit.NPF)(hook)
    guest.finish()
    assert (seen[READ], seen[WRITTEN], seen[FETCHED]) == (0, NpfInfo.RW, NpfInfo.ID)
    assert guest.load(WRITTEN) == 0x77
    assert guest.counted("nested_fault") == len(seen)


@covers("exit/npf-reserved")
def test_reserved_bits_in_the_nested_tables_are_unclaimed() -> None:
    guest = SvmGuest(f"mov {DATA}, %eax; out %al, $0x80; mov {DATA}, %eax; jmp done")
    guest.request()
    at = leaf(guest, DATA)
    storage = guest.vm.storage
    storage.write(at + 6, bytes([storage.read(at + 6, 1)[0] | 8]))  # bit 51
    guest.cpu.flush_translations()
    assert "reserved bits" in unclaimed(guest)


@covers("exit/npf-assist-off", "exit/npf-no-assists")
@pytest.mark.parametrize(
    ("model", "assist"), [("epyc-milan", False), ("epyc-milan,-decodeassists", True)]
)
def test_instruction_is_fetched_where_the_assists_are_not_there_or_off(
    model: str, assist: bool
) -> None:
    guest = SvmGuest(f"movl $0x1234, {DEVICE:#x}; jmp done", model=model, npf_assist=assist)
    guest.finish()
    assert guest.written == [(DEVICE, 4, 0x1234)]


@covers("exit/npf-code-size")
def test_instruction_of_a_16_bit_segment_is_executed_as_such() -> None:
    guest = SvmGuest(f"""
        .code16
        movl ${DEVICE:#x}, %ebx
        movw $0x1234, (%ebx)
        movl $0x12345678, (%ebx)
    """)
    guest.backend.setdesc(guest.cpu, "cs", SegmentState(8, 0, 0xFFFF_FFFF, 0x89B))
    guest.finish()
    assert guest.written == [(DEVICE, 2, 0x1234), (DEVICE, 4, 0x1234_5678)]


@covers("exit/npf-rom")
def test_store_to_read_only_storage_is_the_machines() -> None:
    guest = SvmGuest(
        f"mov {ROM:#x}, %eax; inc %eax; mov %eax, {ROM:#x}; mov %eax, {DATA}; jmp done"
    )
    backing = guest.vm.storage.allocate(0x1000)
    guest.vm.storage.write(backing, b"\x41")
    guest.vm.map(ROM, backing, 0x1000, writable=False)
    assert guest.request() == MmioWrite(ROM, 4, 0x42)
    guest.finish()
    assert guest.load(DATA) == 0x42
    assert guest.vm.storage.read(backing, 1) == b"\x41"


@covers("exit/npf-fetch")
def test_instruction_fetched_from_nowhere_is_undefined() -> None:
    guest = SvmGuest(f"mov ${DEVICE:#x}, %eax; jmp *%eax; on_6: incl {DATA}; jmp done")
    guest.finish()
    assert guest.load(DATA) == 1


@covers("exit/npf-guest-table")
def test_page_tables_outside_storage_are_unclaimed() -> None:
    guest = SvmGuest(f"mov ${DEVICE:#x}, %eax; mov %eax, %cr3; mov $0x80000011, %eax;"
                     "mov %eax, %cr0; jmp done")  # fmt: skip
    assert "page tables" in unclaimed(guest)


@covers("exit/npf-delivery")
def test_delivery_of_an_event_outside_storage_is_unclaimed() -> None:
    guest = SvmGuest(f"lidt table; ud2; table: .word 0x7ff; .long {DEVICE:#x}")
    assert "delivery" in unclaimed(guest)


@covers("exit/npf-undecodable")
def test_instruction_that_cannot_be_executed_stops_with_its_bytes() -> None:
    guest = SvmGuest(f"mov $0x600, %eax; mov %eax, %cr4; mov ${DEVICE:#x}, %ebx; fxsave (%ebx)")
    end = guest.run()
    assert isinstance(end, Stopped)
    assert f"{DEVICE:#x}" in end.diagnosis
    assert "opcode 0f ae" in end.diagnosis
