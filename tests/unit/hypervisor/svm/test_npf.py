"""Nested page faults: storage that is mapped, and what is no storage."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest, Step, interrupted, leave
from worldswitch.arch.x86.apic import ApicRegister, Svr
from worldswitch.arch.x86.svm_controls import EventType, event
from worldswitch.arch.x86.svm_exits import NpfInfo, SvmExit
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.outcome import Preempted, RunEnd, Stopped, ToMachine
from worldswitch.hypervisor.requests import MmioRead, MmioWrite, UnclaimedExit
from worldswitch.hypervisor.svm.backend import SvmBackEnd
from worldswitch.hypervisor.x86.state import SegmentState
from worldswitch.metal.interface import EntryResult

FINAL, TABLE = NpfInfo.FINAL | NpfInfo.US, NpfInfo.GUEST_TABLE | NpfInfo.US
DEVICE = 0xE000_0000
RBX, RCX = 3, 1
FLAT = SegmentState(0, 0, 0xFFFF_FFFF, 0xC93)


def npf(address: int, info: int = FINAL, text: str = "", **fields: int) -> Step:
    """A nested page fault of a 32-bit guest, with instruction bytes."""

    def step(host: object, block: Vmcb) -> EntryResult | None:
        data = bytes.fromhex(text)
        block.control.insn_len = len(data)
        block.control.insn_bytes = data.ljust(15, b"\x90")
        return leave(SvmExit.NPF, int(info), address, **fields)(host, block)  # type: ignore[arg-type]

    return step


def guest_with(*steps: Step, model: str = "epyc-milan", **options: bool) -> Guest:
    guest = Guest(*steps, model=model, **options)
    cpu = guest.cpu
    cpu.cr0, cpu.rip = 0x11, 0x1000
    for name in ("ds", "es", "ss"):
        guest.backend.setdesc(cpu, name, FLAT)
    guest.backend.setdesc(cpu, "cs", SegmentState(8, 0, 0xFFFF_FFFF, 0xC9B))
    cpu.gr[RBX] = DEVICE
    return guest


def reason(end: RunEnd) -> str:
    assert isinstance(end, ToMachine)
    assert isinstance(end.request, UnclaimedExit)
    return end.request.reason


@covers("exit/npf-storage")
@pytest.mark.parametrize("info", [FINAL, FINAL | NpfInfo.RW, FINAL | NpfInfo.ID, TABLE])
def test_storage_is_mapped_and_the_access_made_again(info: int) -> None:
    guest = guest_with(npf(0x20_3456, info))
    assert guest.run() == Preempted()
    assert guest.last.rip == 0x1000
    assert guest.counted("nested_fault") == 1
    assert guest.counted("inst_emul") == 0


@covers("exit/npf-reserved")
def test_reserved_bits_are_unclaimed() -> None:
    guest = guest_with(npf(0x1000, FINAL | NpfInfo.RSV))
    assert "reserved bits" in reason(guest.run())


@covers("exit/npf-emulate")
def test_store_to_a_device_is_the_machines() -> None:
    guest = guest_with(npf(DEVICE + 4, FINAL | NpfInfo.RW, "894304"))  # mov [ebx+4], eax
    guest.cpu.gr[0] = 0x1234_5678
    assert guest.run() == ToMachine(MmioWrite(DEVICE + 4, 4, 0x1234_5678))
    assert guest.cpu.rip == 0x1000
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0x1003
    assert guest.counted("inst_emul") == 1


@covers("exit/npf-emulate")
@pytest.mark.parametrize(
    ("text", "size", "answer", "result"),
    [
        ("8b0b", 4, 0x1_89AB_CDEF, 0x89AB_CDEF),
        ("668b0b", 2, 0xCDEF, 0x1111_CDEF),
        ("8a0b", 1, 0xEF, 0x1111_11EF),
        ("8a2b", 1, 0xEF, 0x1111_EF11),
        ("0fb60b", 1, 0xEF, 0xEF),
        ("0fbe0b", 1, 0xEF, 0xFFFF_FFEF),
        ("0fb70b", 2, 0xCDEF, 0xCDEF),
        ("0fbf0b", 2, 0xCDEF, 0xFFFF_CDEF),
        ("8b0b", 4, None, 0xFFFF_FFFF),
        ("0fb60b", 1, None, 0xFF),
    ],
)
def test_load_from_a_device_reaches_its_register(
    text: str, size: int, answer: int | None, result: int
) -> None:
    guest = guest_with(npf(DEVICE, FINAL, text))
    guest.cpu.gr[RCX] = 0x1111_1111
    assert guest.run() == ToMachine(MmioRead(DEVICE, size))
    if answer is not None:
        guest.cpu.answer(answer)
    assert guest.run() == Preempted()
    assert guest.cpu.gr[RCX] == result
    assert guest.cpu.rip == 0x1000 + len(text) // 2


def test_store_of_an_immediate_value_and_of_a_high_byte() -> None:
    guest = guest_with(npf(DEVICE, FINAL, "c70378563412"), npf(DEVICE, FINAL, "8823"))
    guest.cpu.gr[0] = 0xABCD
    assert guest.run() == ToMachine(MmioWrite(DEVICE, 4, 0x1234_5678))
    assert guest.run() == ToMachine(MmioWrite(DEVICE, 1, 0xAB))


def test_read_modify_write_asks_twice() -> None:
    guest = guest_with(npf(DEVICE, FINAL | NpfInfo.RW, "830b08"))  # or dword [ebx], 8
    assert guest.run() == ToMachine(MmioRead(DEVICE, 4))
    guest.cpu.answer(0x21)
    assert guest.run() == ToMachine(MmioWrite(DEVICE, 4, 0x29))
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0x1003


@covers("exit/npf-no-assists", "exit/npf-assist-off")
@pytest.mark.parametrize(
    ("model", "assist"),
    [("epyc-milan,-decodeassists", True), ("epyc-milan", False), ("epyc-milan", True)],
)
def test_instruction_is_fetched_where_the_processor_does_not_give_it(
    model: str, assist: bool
) -> None:
    text = "" if assist and "-decode" not in model else "8b0b"  # what counts for nothing
    guest = guest_with(npf(DEVICE, FINAL, text), model=model, npf_assist=assist)
    guest.vm.memory.write(0x1000, bytes.fromhex("8903"))  # mov [ebx], eax
    assert guest.run() == ToMachine(MmioWrite(DEVICE, 4, 0))


def test_fetch_that_faults_is_the_guests_fault() -> None:
    guest = guest_with(npf(DEVICE, FINAL, rip=0x10))
    guest.backend.setdesc(guest.cpu, "cs", SegmentState(8, 0, 0x8, 0x49B))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 13, 0)


@covers("exit/npf-undecodable")
@pytest.mark.parametrize("text", ["0f0b", "89c3", "8b", "660f6f03", "ff13"])
def test_instruction_that_cannot_be_executed_stops_with_its_bytes(text: str) -> None:
    end = guest_with(npf(DEVICE, FINAL, text)).run()
    assert isinstance(end, Stopped)
    assert "0xe0000000" in end.diagnosis
    assert "0x1000" in end.diagnosis


@covers("exit/npf-apic")
def test_page_of_the_local_apic_needs_no_machine() -> None:
    svr = 0xFEE0_00F0
    store = npf(svr, FINAL | NpfInfo.RW, "8903")
    load = npf(svr, FINAL, "8b0b")
    guest = guest_with(store, load)
    guest.cpu.gr[0] = int(Svr.ASE) | 0x3F
    assert guest.run() == Preempted()
    assert guest.cpu.lapic.svr == guest.cpu.gr[RCX] == int(Svr.ASE) | 0x3F
    assert guest.cpu.rip == 0x1004


def test_read_modify_write_of_the_local_apic_needs_no_machine() -> None:
    guest = guest_with(npf(0xFEE0_00F0, FINAL | NpfInfo.RW, "810b00010000"))
    guest.cpu.gr[RBX] = 0xFEE0_00F0
    assert guest.run() == Preempted()
    assert guest.cpu.lapic.read(ApicRegister.SVR) == 0x1FF


@covers("exit/npf-rom")
def test_store_to_read_only_storage_is_the_machines() -> None:
    rom = 0xFFF0_0000
    guest = guest_with(
        npf(rom, FINAL), npf(rom, FINAL | NpfInfo.RW, "8903"), npf(rom, FINAL, "0103")
    )
    backing = guest.host.storage.allocate(0x1000)
    guest.vm.map(rom, backing, 0x1000, writable=False)
    assert guest.run() == ToMachine(MmioWrite(rom, 4, 0))
    assert guest.counted("nested_fault") == 1


@covers("exit/npf-fetch")
def test_instruction_fetched_from_nowhere_is_undefined() -> None:
    guest = guest_with(npf(DEVICE, FINAL | NpfInfo.ID))
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 6)


@covers("exit/npf-guest-table")
@pytest.mark.parametrize("info", [TABLE, TABLE | NpfInfo.RW, NpfInfo.US])
def test_page_tables_outside_storage_are_unclaimed(info: int) -> None:
    assert "page tables" in reason(guest_with(npf(DEVICE, info)).run())


@covers("exit/npf-delivery")
def test_delivery_of_an_event_outside_storage_is_unclaimed() -> None:
    step = interrupted(npf(DEVICE, FINAL, "8903"), event(EventType.INTR, 0x51))
    assert "delivery" in reason(guest_with(step).run())


def test_delivery_of_an_event_into_storage_goes_on_with_it() -> None:
    info = event(EventType.INTR, 0x51)
    guest = guest_with(interrupted(npf(0x5000), info))
    guest.run()
    assert guest.last.event_inj == info


def test_page_fault_of_a_device_access_is_reported_with_the_guests_address() -> None:
    guest = guest_with(npf(DEVICE, FINAL | NpfInfo.RW, "0103"))  # add [ebx], eax
    guest.cpu.cr0, guest.cpu.cr3 = 0x8000_0011, 0x9000  # tables that map nothing
    guest.run()
    assert guest.last.event_inj == event(EventType.EXCEPTION, 14, 2)
    assert guest.cpu.cr2 == DEVICE


def test_access_that_crosses_a_page_is_made_in_pieces() -> None:
    guest = guest_with(npf(DEVICE + 0xFFE, FINAL | NpfInfo.RW, "8903"))
    guest.cpu.gr[RBX] = DEVICE + 0xFFE
    guest.cpu.gr[0] = 0x4433_2211
    assert guest.run() == ToMachine(MmioWrite(DEVICE + 0xFFE, 2, 0x2211))
    assert guest.run() == ToMachine(MmioWrite(DEVICE + 0x1000, 2, 0x4433))
    assert guest.run() == Preempted()


def test_string_from_storage_to_a_device_moves_element_by_element() -> None:
    guest = guest_with(npf(DEVICE, FINAL | NpfInfo.RW, "f3a5"))
    cpu = guest.cpu
    cpu.gr[6], cpu.gr[7], cpu.gr[RCX] = 0x2000, DEVICE, 2
    guest.vm.memory.write(0x2000, bytes(range(8)))
    assert guest.run() == ToMachine(MmioWrite(DEVICE, 4, 0x0302_0100))
    assert guest.run() == ToMachine(MmioWrite(DEVICE + 4, 4, 0x0706_0504))
    assert guest.run() == Preempted()
    assert (cpu.gr[6], cpu.gr[7], cpu.gr[RCX], cpu.rip) == (0x2008, DEVICE + 8, 0, 0x1002)


def test_tables_are_those_of_the_back_end() -> None:
    guest = guest_with()
    backend: SvmBackEnd = guest.backend
    assert backend.second_level(guest.vm).resolve(0x1234, False) is not None
    assert backend.second_level(guest.vm).resolve(DEVICE, False) is None
