"""Port I/O."""

import pytest

from tests.conformance.hypervisor.svm_paths import covers
from tests.unit.hypervisor.svm.fake_host import Guest, leave
from worldswitch.arch.x86.registers import Rflags
from worldswitch.arch.x86.svm_controls import EventType, event
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.hypervisor.outcome import Preempted, RunEnd, ToMachine
from worldswitch.hypervisor.requests import PortRead, PortWrite, UnclaimedExit
from worldswitch.hypervisor.x86.emulate import MOST_ELEMENTS
from worldswitch.hypervisor.x86.state import SegmentState

IN, STR, REP = 1, 4, 8
SZ8, SZ16, SZ32 = 1 << 4, 1 << 5, 1 << 6
A16, A32, A64 = 1 << 7, 1 << 8, 1 << 9
ES, DS, FS = 0, 3, 4
FLAT = SegmentState(0, 0, 0xFFFF, 0x93)
RCX, RSI, RDI = 1, 6, 7


def info(port: int, *bits: int, segment: int = 0) -> int:
    return port << 16 | segment << 10 | sum(bits)


def io(value: int, gr: dict[int, int] | None = None, length: int = 2, **fields: int) -> Guest:
    guest = Guest(leave(SvmExit.IOIO, value, 0xFFF2, length, gr, **fields))
    guest.backend.setdesc(guest.cpu, "ds", FLAT)
    return guest


def drain(guest: Guest, answers: list[int | None]) -> list[object]:
    """Run with these answers to reads until the machine is not needed; all requests."""
    requests: list[object] = []
    while isinstance(end := guest.run(), ToMachine):
        requests.append(end.request)
        if isinstance(end.request, PortRead) and answers:
            answer = answers.pop(0)
            if answer is not None:
                guest.cpu.answer(answer)
    assert end == Preempted()
    return requests


@covers("exit/io")
@pytest.mark.parametrize(("bit", "size", "value"), [(SZ8, 1, 0x88), (SZ16, 2, 0x7788),
                                                    (SZ32, 4, 0x5566_7788)])  # fmt: skip
def test_out_hands_over_as_many_bytes_as_it_writes(bit: int, size: int, value: int) -> None:
    guest = io(info(0x3F8, bit), {0: 0x1122_3344_5566_7788})
    assert guest.run() == ToMachine(PortWrite(0x3F8, size, value))
    assert guest.cpu.rip == 0xFFF0
    assert guest.run() == Preempted()
    assert guest.cpu.rip == 0xFFF2


@covers("exit/io")
@pytest.mark.parametrize(
    ("bit", "size", "result"),
    [
        (SZ8, 1, 0x1122_3344_5566_77CD),
        (SZ16, 2, 0x1122_3344_5566_ABCD),
        (SZ32, 4, 0x89_ABCD),
    ],
)
def test_in_writes_the_answer_as_wide_as_it_is(bit: int, size: int, result: int) -> None:
    guest = io(info(0x60, IN, bit), {0: 0x1122_3344_5566_7788})
    assert guest.run() == ToMachine(PortRead(0x60, size))
    guest.cpu.answer(0x89_ABCD)
    assert guest.run() == Preempted()
    assert guest.cpu.gr[0] == result
    assert guest.cpu.rip == 0xFFF2


def test_in_from_nowhere_is_all_ones() -> None:
    guest = io(info(0x60, IN, SZ8), {0: 0x1100})
    drain(guest, [])
    assert guest.cpu.gr[0] == 0x11FF


def test_answer_belongs_to_one_request() -> None:
    guest = Guest(*[leave(SvmExit.IOIO, info(0x60, IN, SZ8), 0, 1)] * 2)
    assert isinstance(guest.run(), ToMachine)
    guest.cpu.answer(0x12)
    assert isinstance(guest.run(), ToMachine)
    guest.run()
    assert guest.cpu.gr[0] == 0xFF


def test_exception_that_the_machine_injects_restarts_the_instruction() -> None:
    from worldswitch.hypervisor.x86.events import ExceptionEvent

    guest = io(info(0x60, IN, SZ8))
    guest.run()
    guest.cpu.inject(ExceptionEvent(6))
    assert guest.run() == Preempted()
    assert guest.last.rip == 0xFFF0
    assert guest.last.event_inj == event(EventType.EXCEPTION, 6)


@covers("exit/io-string", "exit/io-string-segment")
def test_outs_reads_from_the_segment_of_the_exit() -> None:
    guest = io(info(0x70, STR, SZ16, A16, segment=FS), {RSI: 0x10, RCX: 9})
    guest.backend.setdesc(guest.cpu, "fs", SegmentState(0, 0x2000, 0xFFFF, 0x93))
    guest.vm.memory.write(0x2010, b"\x34\x12")
    assert drain(guest, []) == [PortWrite(0x70, 2, 0x1234)]
    assert (guest.cpu.gr[RSI], guest.cpu.gr[RCX], guest.cpu.rip) == (0x12, 9, 0xFFF2)


@covers("exit/io-string")
@pytest.mark.parametrize(("flags", "places"), [(2, (0x10, 0x14)), (2 | Rflags.DF, (0x10, 0xC))])
def test_ins_writes_to_es_in_the_direction_of_df(flags: int, places: tuple[int, int]) -> None:
    guest = io(info(0x1F0, IN, STR, REP, SZ32, A32), {RDI: 0x10, RCX: 2}, rflags=int(flags))
    guest.backend.setdesc(guest.cpu, "es", SegmentState(0, 0x3000, 0xFFFF, 0x93))
    assert drain(guest, [0x1111_1111, None]) == [PortRead(0x1F0, 4)] * 2
    first, second = (guest.vm.memory.read(0x3000 + place, 4) for place in places)
    assert (first, second) == (b"\x11" * 4, b"\xff" * 4)
    assert guest.cpu.gr[RCX] == 0
    assert guest.cpu.gr[RDI] == (0x18 if flags == 2 else 0x8)
    assert guest.cpu.rip == 0xFFF2


@covers("exit/io-string-address-size")
@pytest.mark.parametrize(
    ("bit", "rcx", "left", "rsi"),
    [
        (A16, 0x1_0001, 0x1_0000, 0x5_0001),
        (A32, 0x1_0000_0001, 0, 0x5_0001),
        (A64, 1, 0, 0x7_0005_0001),
    ],
)
def test_addresses_are_as_wide_as_the_exit_says(bit: int, rcx: int, left: int, rsi: int) -> None:
    source = 0x7_0005_0000 if bit == A64 else 0x5_0000
    fields = {"efer": 0x1500} if bit == A64 else {}
    guest = io(info(0x70, STR, REP, SZ8, bit, segment=DS), {RSI: source, RCX: rcx}, **fields)
    if bit == A64:
        guest.backend.setdesc(guest.cpu, "cs", SegmentState(8, 0, 0xFFFF_FFFF, 0x29B))
        page_tables(guest, source, 0x5_0000)
    else:
        guest.backend.setdesc(guest.cpu, "ds", SegmentState(0, 0, 0xFFFF_FFFF, 0x93))
    guest.vm.memory.write(0 if bit == A16 else 0x5_0000, b"x")
    assert drain(guest, []) == [PortWrite(0x70, 1, ord("x"))]
    assert (guest.cpu.gr[RCX], guest.cpu.gr[RSI]) == (left, rsi)


def page_tables(guest: Guest, linear: int, physical: int) -> None:
    """Four levels of tables that map one page."""
    tables = (0x10_0000, 0x10_1000, 0x10_2000, 0x10_3000)
    for level, table in enumerate(tables):
        index = linear >> (39 - 9 * level) & 0x1FF
        entry = (tables[level + 1] if level < 3 else physical) | 3
        guest.vm.memory.write(table + 8 * index, entry.to_bytes(8, "little"))
    guest.cpu.cr0, guest.cpu.cr4, guest.cpu.cr3 = 0x8000_0011, 0x20, tables[0]


def test_repeated_string_of_no_elements_does_nothing() -> None:
    guest = io(info(0x70, STR, REP, SZ8, A32, segment=DS), {RCX: 1 << 32})
    assert drain(guest, []) == []
    assert guest.cpu.rip == 0xFFF2


def test_string_beyond_the_segment_is_refused_before_the_port_is_read() -> None:
    guest = io(info(0x70, IN, STR, SZ32, A32), {RDI: 0xFFFE})
    guest.cpu.cr0 = 0x11
    assert drain(guest, []) == []
    assert guest.last.event_inj == event(EventType.EXCEPTION, 13, 0)
    assert guest.last.rip == 0xFFF0


def test_page_fault_in_a_string_leaves_what_was_done() -> None:
    guest = Guest(
        leave(
            SvmExit.IOIO,
            info(0x70, IN, STR, REP, SZ8, A64),
            0,
            2,
            {RDI: 0x7_0005_0FFE, RCX: 4},
            efer=0x1500,
        )
    )
    guest.backend.setdesc(guest.cpu, "cs", SegmentState(8, 0, 0xFFFF_FFFF, 0x29B))
    page_tables(guest, 0x7_0005_0000, 0x5_0000)
    assert len(drain(guest, [])) == 2
    assert guest.last.event_inj == event(EventType.EXCEPTION, 14, 2)
    assert guest.cpu.cr2 == 0x7_0005_1000
    assert (guest.cpu.gr[RCX], guest.cpu.gr[RDI]) == (2, 0x7_0005_1000)


def test_long_string_lets_the_guests_interrupts_in() -> None:
    guest = io(info(0x70, STR, REP, SZ8, A32, segment=DS), {RCX: MOST_ELEMENTS + 7})
    assert len(drain(guest, [])) == MOST_ELEMENTS
    assert guest.cpu.gr[RCX] == 7
    assert guest.last.rip == 0xFFF0


@covers("exit/io-string-no-assists")
def test_string_without_decode_assists_is_unclaimed() -> None:
    guest = Guest(leave(SvmExit.IOIO, info(0x70, STR, SZ8, A16), 0, 1),
                  model="epyc-milan,-decodeassists")  # fmt: skip
    assert reason(guest.run()) == "string I/O on a processor without decode assists"


@pytest.mark.parametrize(
    "value",
    [
        info(0x70, SZ8, SZ16),
        info(0x70),
        info(0x70, STR, SZ8),
        info(0x70, STR, SZ8, A16, segment=6),
    ],
)
def test_information_that_is_reserved_is_unclaimed(value: int) -> None:
    assert reason(io(value).run())


def reason(end: RunEnd) -> str:
    assert isinstance(end, ToMachine)
    assert isinstance(end.request, UnclaimedExit)
    return end.request.reason
