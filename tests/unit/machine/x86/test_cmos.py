"""The MC146818 by its data sheet."""

import pytest

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.clock import ManualClock
from worldswitch.machine.x86.cmos import Cmos, periodic_hz

SECOND = 1_000_000_000
MEBIBYTE = 1 << 20
A, B, C, D = 0x0A, 0x0B, 0x0C, 0x0D


class Board:
    """A clock chip at 2026-01-01 00:00:00, a Thursday, and its interrupt line."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.levels: list[bool] = []
        self.cmos = Cmos(self.clock, self.levels.append)
        self.ports = PortBus()
        self.cmos.attach(self.ports)

    def read(self, register: int) -> int:
        self.ports.write(0x70, 1, register | 0x80)
        return self.ports.read(0x71, 1)

    def write(self, register: int, value: int) -> None:
        self.ports.write(0x70, 1, register)
        self.ports.write(0x71, 1, value)

    def date(self) -> list[int]:
        return [self.read(register) for register in (0x32, 9, 8, 7, 4, 2, 0)]

    def at(self, nanoseconds: int) -> None:
        self.clock.now = nanoseconds
        self.cmos.run_events()


def test_date_starts_where_virtual_time_begins() -> None:
    board = Board()
    assert board.date() == [0x20, 0x26, 1, 1, 0, 0, 0]
    assert board.read(6) == 5
    assert (board.read(A), board.read(B), board.read(D)) == (0x26, 0x02, 0x80)


def test_date_advances_with_the_clock() -> None:
    board = Board()
    board.clock.now = (31 * 86400 + 13 * 3600 + 45 * 60 + 59) * SECOND
    assert board.date() == [0x20, 0x26, 2, 1, 0x13, 0x45, 0x59]


@pytest.mark.parametrize(
    ("mode", "hour", "shown"),
    [(0x02, 15, 0x15), (0x06, 15, 15), (0x00, 15, 0x83), (0x04, 12, 0x8C), (0x00, 0, 0x12)],
)
def test_hours_in_each_representation(mode: int, hour: int, shown: int) -> None:
    board = Board()
    board.clock.now = hour * 3600 * SECOND
    board.write(B, mode)
    assert board.read(4) == shown
    board.write(4, shown)
    assert board.read(4) == shown


def test_date_set_runs_on_from_what_was_written() -> None:
    board = Board()
    board.write(B, 0x82)
    for register, value in ((0x32, 0x19), (9, 0x99), (8, 0x12), (7, 0x31), (4, 0x23), (2, 0x59)):
        board.write(register, value)
    board.write(0, 0x59)
    board.clock.now += 5 * SECOND
    assert board.date() == [0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x59]
    board.write(B, 0x02)
    board.clock.now += SECOND // 2
    assert board.date() == [0x20, 0, 1, 1, 0, 0, 0]


def test_divider_held_stops_time() -> None:
    board = Board()
    board.write(A, 0x76)
    board.clock.now = 10 * SECOND
    assert board.read(0) == 0
    board.write(A, 0x26)
    board.clock.now += SECOND // 2 - 1
    assert board.read(0) == 0
    board.clock.now += 1
    assert board.read(0) == 1


def test_date_written_while_it_runs_takes_effect() -> None:
    board = Board()
    board.clock.now = SECOND // 4
    board.write(0, 0x30)
    board.clock.now = SECOND
    assert board.read(0) == 0x31


def test_update_in_progress_shows_before_the_second_ends() -> None:
    board = Board()
    for now, shown in ((0, 0x26), (SECOND - 2_228_001, 0x26), (SECOND - 2_228_000, 0xA6)):
        board.clock.now = now
        assert board.read(A) == shown
    board.write(B, 0x82)
    assert board.read(A) == 0x26


@pytest.mark.parametrize(
    ("select", "hz"), [(0, 0), (1, 256), (2, 128), (3, 8192), (6, 1024), (15, 2)]
)
def test_periodic_rate_by_its_selection(select: int, hz: int) -> None:
    assert periodic_hz(0x20 | select) == hz


def test_periodic_interrupt_asks_until_c_is_read() -> None:
    board = Board()
    board.write(B, 0x42)
    event = board.cmos.next_event()
    assert event == -(-SECOND // 1024)
    board.at(event)
    assert board.levels == [True]
    assert board.cmos.next_event() is None
    assert board.read(C) == 0xC0
    assert board.levels == [True, False]
    assert board.read(C) == 0
    assert board.cmos.next_event() == -(-2 * SECOND // 1024)


def test_flags_are_set_without_their_interrupts() -> None:
    board = Board()
    assert board.cmos.next_event() is None
    board.at(3 * SECOND)
    assert board.levels == []
    assert board.read(C) == 0x50


def test_update_ended_interrupt_comes_each_second() -> None:
    board = Board()
    board.clock.now = SECOND // 3
    board.write(B, 0x12)
    board.read(C)
    assert board.cmos.next_event() == SECOND
    board.at(SECOND)
    assert board.read(C) & 0x90 == 0x90
    board.write(B, 0x92)
    assert board.read(B) == 0x82


@pytest.mark.parametrize(
    ("alarm", "seconds"),
    [
        ((0x01, 0x30, 0x15), 3600 + 30 * 60 + 15),
        ((0xFF, 0xFF, 0x15), 15),
        ((0xC0, 0x05, 0x00), 300),
        ((0x00, 0x00, 0x00), 86400),
        ((0xFF, 0xFF, 0xFF), 1),
    ],
)
def test_alarm_comes_when_the_time_matches(alarm: tuple[int, ...], seconds: int) -> None:
    board = Board()
    for register, value in zip((5, 3, 1), alarm, strict=True):
        board.write(register, value)
    board.write(B, 0x22)
    board.read(C)
    assert board.cmos.next_event() == seconds * SECOND
    board.at(seconds * SECOND)
    assert board.levels == [True]
    assert board.read(C) & 0xA0 == 0xA0


@pytest.mark.parametrize("alarm", [(0x24, 0, 0), (0xFF, 0x7F, 0), (0xFF, 0xFF, 0x60)])
def test_alarm_that_no_time_matches_never_comes(alarm: tuple[int, ...]) -> None:
    board = Board()
    for register, value in zip((5, 3, 1), alarm, strict=True):
        board.write(register, value)
    board.write(B, 0x22)
    assert board.cmos.next_event() is None


def test_memory_sizes_are_where_firmware_leaves_them() -> None:
    board = Board()
    board.cmos.set_memory(512 * MEBIBYTE, 3 << 30)

    def number(*registers: int) -> int:
        return sum(board.read(register) << 8 * at for at, register in enumerate(registers))

    assert number(0x15, 0x16) == 640
    assert number(0x17, 0x18) == number(0x30, 0x31) == 0xFFFF
    assert number(0x34, 0x35) == 496 * 16
    assert number(0x5B, 0x5C, 0x5D) == (3 << 30) >> 16
    board.cmos.set_memory(8 * MEBIBYTE, 0)
    assert number(0x17, 0x18) == 7168
    assert number(0x34, 0x35) == 0


def test_ram_keeps_bytes_and_c_and_d_do_not() -> None:
    board = Board()
    for register in (0x0F, 0x40, C, D):
        board.write(register, 0x5A)
    assert [board.read(register) for register in (0x0F, 0x40, D)] == [0x5A, 0x5A, 0x80]
    assert board.ports.read(0x70, 1) == 0xFF


def test_reset_keeps_date_and_ram_and_turns_interrupts_off() -> None:
    board = Board()
    board.write(0x40, 1)
    board.write(B, 0x72)
    board.at(SECOND)
    assert board.levels == [True]
    board.cmos.reset()
    assert board.levels == [True, False]
    assert (board.read(0x40), board.read(0), board.read(B)) == (1, 1, 2)


def test_every_byte_in_every_register_is_survived() -> None:
    board = Board()
    for mode in (0x00, 0x02, 0x06, 0x82):
        board.write(B, mode)
        for register in (0x32, 9, 8, 7, 4, 2, 0, 1, 3, 5):
            for value in range(256):
                board.write(register, value)
                board.clock.now += 7 * SECOND
                board.read(register)
                board.cmos.next_event()
