"""ACPI's fixed hardware."""

from worldswitch.machine.x86.acpi import PM_TIMER_HZ, PowerManagement
from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.clock import ManualClock, time_of_tick

STATUS, ENABLE, CONTROL, TIMER = 0x600, 0x602, 0x604, 0x608
SLP_EN, S5 = 1 << 13, 5 << 10


class Board:
    """The power-management ports, the SCI and how often the power went off."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.levels: list[bool] = []
        self.offs: list[bool] = []
        self.power = PowerManagement(self.clock, self.levels.append, lambda: self.offs.append(True))
        self.levels.clear()
        self.ports = PortBus()
        self.power.attach(self.ports)


def test_timer_counts_at_its_frequency() -> None:
    board = Board()
    assert board.ports.read(TIMER, 4) == 0
    board.clock.now = 1_000_000_000
    assert board.ports.read(TIMER, 4) == PM_TIMER_HZ
    board.clock.now = time_of_tick((1 << 32) + 5, PM_TIMER_HZ)
    assert board.ports.read(TIMER, 4) == 5


def test_timer_carry_sets_its_status_and_interrupts_if_enabled() -> None:
    board = Board()
    assert board.power.next_event() is None
    board.ports.write(ENABLE, 2, 1)
    event = board.power.next_event()
    assert event == time_of_tick(1 << 31, PM_TIMER_HZ)
    board.clock.now = event
    board.power.run_events()
    assert board.levels == [True]
    assert board.ports.read(STATUS, 2) == 1
    board.ports.write(STATUS, 2, 1)
    assert board.levels == [True, False]
    assert board.power.next_event() == time_of_tick(1 << 32, PM_TIMER_HZ)


def test_power_button_interrupts_when_it_is_enabled() -> None:
    board = Board()
    board.power.press_power_button()
    assert board.levels == []
    board.ports.write(STATUS, 4, 0x100 << 16)
    assert board.levels == [True]
    assert board.ports.read(STATUS, 4) == 0x0100_0100
    board.ports.write(STATUS + 1, 1, 1)
    assert board.levels == [True, False]


def test_control_says_that_acpi_is_on() -> None:
    board = Board()
    assert board.ports.read(CONTROL, 2) == 1
    board.ports.write(CONTROL, 2, 0x1C02)
    assert board.ports.read(CONTROL, 2) == 0x1C03


def test_sleep_enable_with_the_soft_off_type_turns_off() -> None:
    board = Board()
    board.ports.write(CONTROL, 2, 3 << 10 | SLP_EN)
    board.ports.write(CONTROL, 2, S5)
    assert board.offs == []
    board.ports.write(CONTROL, 2, S5 | SLP_EN)
    assert board.offs == [True]


def test_sleep_enable_written_by_bytes_turns_off() -> None:
    board = Board()
    board.ports.write(CONTROL, 1, 1)
    board.ports.write(CONTROL + 1, 1, (S5 | SLP_EN) >> 8)
    assert board.offs == [True]


def test_timer_cannot_be_written_and_reset_clears_events() -> None:
    board = Board()
    board.ports.write(TIMER, 4, 0xFFFF_FFFF)
    assert board.ports.read(TIMER, 4) == 0
    board.ports.write(ENABLE, 2, 0xFFFF)
    assert board.ports.read(ENABLE, 2) == 0x0721
    board.power.press_power_button()
    board.power.reset()
    assert board.ports.read(STATUS, 4) == 0
    assert board.levels == [True, False]
