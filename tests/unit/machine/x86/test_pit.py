"""The 8254 by its data sheet, and port 61h."""

import pytest

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.clock import ManualClock, time_of_tick
from worldswitch.machine.x86.pit import PIT_HZ, Pit, from_bcd, to_bcd


class Board:
    """A timer on a bus; `rises` counts rising edges of IRQ 0."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.levels: list[bool] = []
        self.pit = Pit(self.clock, self.levels.append)
        self.levels.clear()
        self.ports = PortBus()
        self.pit.attach(self.ports)

    def program(self, counter: int, mode: int, count: int) -> None:
        self.out(0x43, counter << 6 | 0x30 | mode << 1)
        self.out(0x40 + counter, count & 0xFF)
        self.out(0x40 + counter, count >> 8)

    def out(self, port: int, value: int) -> None:
        self.ports.write(port, 1, value)

    def tick(self, tick: int) -> None:
        self.clock.now = time_of_tick(tick, PIT_HZ)
        self.pit.run_events()

    def count(self, counter: int) -> int:
        self.out(0x43, counter << 6)
        low = self.ports.read(0x40 + counter, 1)
        return low | self.ports.read(0x40 + counter, 1) << 8

    def output(self, counter: int) -> bool:
        self.out(0x43, 0xE0 | 2 << counter)
        return bool(self.ports.read(0x40 + counter, 1) & 0x80)

    @property
    def rises(self) -> int:
        return self.levels.count(True)


def test_terminal_count_raises_the_output_once() -> None:
    board = Board()
    board.program(0, 0, 1000)
    assert not board.output(0)
    board.tick(400)
    assert board.count(0) == 600
    assert board.pit.next_event() == time_of_tick(1000, PIT_HZ)
    board.tick(999)
    assert board.rises == 0
    board.tick(1000)
    assert (board.rises, board.output(0)) == (1, True)
    assert board.pit.next_event() is None
    board.tick(1001)
    assert board.count(0) == 0xFFFF


def test_terminal_count_first_byte_of_a_new_count_stops_counting() -> None:
    board = Board()
    board.program(0, 0, 10)
    board.tick(10)
    assert board.output(0)
    board.out(0x40, 20)
    assert not board.output(0)
    board.tick(100)
    board.out(0x40, 0)
    board.tick(119)
    assert not board.output(0)
    board.tick(120)
    assert board.output(0)


def test_rate_generator_interrupts_each_period() -> None:
    board = Board()
    board.program(0, 2, 100)
    assert board.output(0)
    edges: list[int] = []
    for _ in range(3):
        event = board.pit.next_event()
        assert event is not None
        edges.append(event)
        board.clock.now = event
        before = board.rises
        board.pit.run_events()
        assert board.rises == before + 1
    assert edges == [time_of_tick(tick, PIT_HZ) for tick in (100, 200, 300)]
    assert board.count(0) == 100
    board.tick(399)
    assert (board.count(0), board.output(0)) == (1, False)


def test_rate_generator_periods_missed_come_as_one_interrupt() -> None:
    board = Board()
    board.program(0, 2, 100)
    before = board.rises
    board.tick(1050)
    assert board.rises == before + 1
    assert board.pit.next_event() == time_of_tick(1100, PIT_HZ)


def test_rate_generator_new_count_begins_with_the_next_period() -> None:
    board = Board()
    board.program(0, 2, 100)
    board.tick(30)
    board.out(0x40, 50)
    board.out(0x40, 0)
    assert board.count(0) == 70
    board.out(0x43, 0xE2)
    assert board.ports.read(0x40, 1) & 0x40
    assert board.pit.next_event() == time_of_tick(100, PIT_HZ)
    board.tick(110)
    assert board.count(0) == 40
    assert board.pit.next_event() == time_of_tick(150, PIT_HZ)


@pytest.mark.parametrize(("count", "high"), [(100, 50), (101, 51)])
def test_square_wave_is_high_for_its_first_half(count: int, high: int) -> None:
    board = Board()
    board.program(1, 3, count)
    board.tick(high - 1)
    assert board.output(1)
    board.tick(high)
    assert not board.output(1)
    board.tick(count)
    assert board.output(1)


def test_square_wave_counts_by_two() -> None:
    board = Board()
    board.program(0, 3, 100)
    board.tick(10)
    assert board.count(0) == 80
    board.tick(60)
    assert board.count(0) == 80


def test_software_strobe_is_low_for_one_tick() -> None:
    board = Board()
    board.program(0, 4, 10)
    before = board.rises
    board.tick(9)
    assert board.output(0)
    board.tick(10)
    assert not board.output(0)
    assert board.pit.next_event() == time_of_tick(11, PIT_HZ)
    board.tick(11)
    assert (board.output(0), board.rises) == (True, before + 1)
    assert board.pit.next_event() is None


@pytest.mark.parametrize("mode", [1, 5])
def test_hardware_triggered_modes_wait_for_the_gate(mode: int) -> None:
    board = Board()
    board.program(2, mode, 100)
    board.tick(500)
    assert board.output(2)
    board.out(0x61, 1)
    assert board.output(2) is (mode == 5)
    board.tick(600)
    assert board.output(2) is (mode == 1)
    board.tick(601)
    assert board.output(2)
    board.out(0x61, 0)
    board.out(0x61, 1)
    board.tick(650)
    assert board.count(2) == 51


def test_hardware_triggered_modes_without_a_trigger_never_interrupt() -> None:
    board = Board()
    board.program(0, 1, 100)
    assert board.pit.next_event() is None


def test_gate_holds_the_count() -> None:
    board = Board()
    board.program(2, 0, 100)
    board.tick(50)
    assert board.count(2) == 100
    board.out(0x61, 1)
    board.tick(80)
    assert board.count(2) == 70
    board.out(0x61, 0)
    board.tick(1000)
    assert board.count(2) == 70
    board.out(0x61, 1)
    board.tick(1069)
    assert not board.ports.read(0x61, 1) & 0x20
    board.tick(1070)
    assert board.ports.read(0x61, 1) & 0x20


def test_gate_starts_a_square_wave_anew() -> None:
    board = Board()
    board.program(2, 3, 100)
    assert board.output(2)
    board.tick(30)
    board.out(0x61, 3)
    assert board.ports.read(0x61, 1) & 3 == 3
    board.tick(80)
    assert not board.output(2)
    board.out(0x61, 2)
    assert board.output(2)


def test_latched_count_stays_until_it_is_read() -> None:
    board = Board()
    board.program(0, 2, 1000)
    board.tick(100)
    board.out(0x43, 0)
    board.tick(300)
    board.out(0x43, 0)
    assert board.ports.read(0x40, 1) | board.ports.read(0x40, 1) << 8 == 900
    assert board.count(0) == 700


def test_count_without_a_latch_reads_byte_by_byte() -> None:
    board = Board()
    board.program(0, 4, 0x1234)
    assert [board.ports.read(0x40, 1) for _ in range(3)] == [0x34, 0x12, 0x34]


def test_one_byte_access_reads_and_writes_that_byte() -> None:
    board = Board()
    board.out(0x43, 0x18)  # counter 0, low byte, mode 4
    board.out(0x40, 200)
    board.tick(100)
    assert board.ports.read(0x40, 1) == 100
    board.out(0x43, 0x28)  # high byte
    board.out(0x40, 2)
    assert [board.ports.read(0x40, 1) for _ in range(2)] == [2, 2]
    board.out(0x43, 0)
    assert board.ports.read(0x40, 1) == 2


def test_read_back_gives_status_then_count() -> None:
    board = Board()
    board.out(0x43, 0x34)
    board.out(0x43, 0xE2)
    assert board.ports.read(0x40, 1) == 0xF4
    board.out(0x40, 100)
    board.out(0x40, 0)
    board.tick(10)
    board.out(0x43, 0xC2)
    assert [board.ports.read(0x40, 1) for _ in range(3)] == [0xB4, 90, 0]
    assert board.ports.read(0x43, 1) == 0xFF


def test_count_of_zero_is_the_largest() -> None:
    board = Board()
    board.program(0, 2, 0)
    assert board.pit.next_event() == time_of_tick(0x10000, PIT_HZ)
    board.out(0x43, 0x35)  # decimal
    board.out(0x40, 0)
    board.out(0x40, 0)
    assert board.pit.next_event() == time_of_tick(10_000, PIT_HZ)


def test_decimal_count_counts_in_decimal() -> None:
    board = Board()
    board.out(0x43, 0x31)
    board.out(0x40, 0x00)
    board.out(0x40, 0x10)
    board.tick(1)
    assert board.count(0) == 0x0999
    assert (from_bcd(0x9999), to_bcd(9999)) == (9999, 0x9999)


@pytest.mark.parametrize("mode", [6, 7])
def test_mode_numbers_with_a_dont_care_bit_are_the_periodic_modes(mode: int) -> None:
    board = Board()
    board.program(0, mode, 10)
    board.out(0x43, 0xE2)
    assert board.ports.read(0x40, 1) >> 1 & 7 == mode - 4


def test_refresh_bit_toggles_with_time() -> None:
    board = Board()
    first = board.ports.read(0x61, 1) & 0x10
    board.clock.now += 15_085
    assert board.ports.read(0x61, 1) & 0x10 != first


def test_reset_stops_counting() -> None:
    board = Board()
    board.program(0, 2, 10)
    board.pit.reset()
    assert board.pit.next_event() is None
