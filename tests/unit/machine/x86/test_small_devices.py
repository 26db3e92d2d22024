"""Reset ports, keyboard controller, debug ports."""

import pytest

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.debug import DebugExit, DebugPort
from worldswitch.machine.x86.keyboard import KeyboardController
from worldswitch.machine.x86.reset import FastReset, ResetControl


class Counter:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1


def test_reset_control_resets_with_the_rising_edge() -> None:
    reset = Counter()
    control = ResetControl(reset)
    control.write(0x02)
    assert (control.read(), reset.calls) == (0x02, 0)
    control.write(0x06)
    assert reset.calls == 1


def test_fast_reset_keeps_a20_and_resets_with_bit_0() -> None:
    reset, ports = Counter(), PortBus()
    FastReset(reset).attach(ports)
    assert ports.read(0x92, 1) == 2
    ports.write(0x92, 1, 0xFC)
    assert (ports.read(0x92, 1), reset.calls) == (0, 0)
    ports.write(0x92, 1, 1)
    ports.write(0x92, 1, 1)
    assert reset.calls == 1


class Keyboard:
    """A keyboard controller on a bus."""

    def __init__(self) -> None:
        self.reset = Counter()
        self.levels: list[bool] = []
        self.ports = PortBus()
        KeyboardController(self.levels.append, self.reset).attach(self.ports)

    def command(self, value: int, *parameters: int) -> None:
        self.ports.write(0x64, 1, value)
        for parameter in parameters:
            self.ports.write(0x60, 1, parameter)

    def answers(self) -> list[int]:
        found: list[int] = []
        while self.ports.read(0x64, 1) & 1:
            found.append(self.ports.read(0x60, 1))
        return found


@pytest.mark.parametrize(
    ("command", "answer"),
    [(0xAA, [0x55]), (0xAB, [0]), (0x20, [0x44]), (0xD0, [3]), (0xA9, [0xFF]), (0xA7, [])],
)
def test_controller_command_gives_its_answer(command: int, answer: list[int]) -> None:
    keyboard = Keyboard()
    keyboard.command(command)
    assert keyboard.ports.read(0x64, 1) & 0x0C == 0x0C
    assert keyboard.answers() == answer


def test_controller_configuration_is_kept() -> None:
    keyboard = Keyboard()
    keyboard.command(0x60, 0x61)
    keyboard.command(0xAD)
    keyboard.command(0x20)
    assert keyboard.answers() == [0x71]
    keyboard.command(0xAE)
    keyboard.command(0x20)
    assert keyboard.answers() == [0x61]


@pytest.mark.parametrize("command", [0xFE, 0xF0, 0xFC])
def test_controller_pulse_of_line_0_resets(command: int) -> None:
    keyboard = Keyboard()
    keyboard.command(0xFF)
    keyboard.command(0xFD)
    assert keyboard.reset.calls == 0
    keyboard.command(command)
    assert keyboard.reset.calls == 1


def test_controller_output_port_resets_with_line_0_low() -> None:
    keyboard = Keyboard()
    keyboard.command(0xD1, 0x03)
    assert keyboard.reset.calls == 0
    keyboard.command(0xD1, 0x02)
    assert keyboard.reset.calls == 1


def test_keyboard_answers_as_one_does() -> None:
    keyboard = Keyboard()
    for sent, answer in (
        ((0xFF,), [0xFA, 0xAA]),
        ((0xF2,), [0xFA, 0xAB, 0x83]),
        ((0xED, 0x07), [0xFA, 0xFA]),
        ((0xF0, 0x00), [0xFA, 0xFA, 0x02]),
        ((0xEE,), [0xEE]),
        ((0x12,), [0xFE]),
    ):
        for value in sent:
            keyboard.ports.write(0x60, 1, value)
        assert keyboard.answers() == answer


def test_keyboard_interrupts_once_per_answer() -> None:
    keyboard = Keyboard()
    keyboard.command(0x60, 0x45)
    keyboard.ports.write(0x60, 1, 0xF2)
    keyboard.answers()
    assert keyboard.levels == [True, False] * 3


def test_keyboard_told_endlessly_keeps_few_answers() -> None:
    keyboard = Keyboard()
    for _ in range(1000):
        keyboard.ports.write(0x60, 1, 0xF2)
    assert len(keyboard.answers()) < 20


def test_auxiliary_device_is_not_there() -> None:
    keyboard = Keyboard()
    keyboard.command(0xD4, 0xF2)
    assert keyboard.answers() == []


@pytest.mark.parametrize(("value", "status"), [(0, 1), (0x10, 0x21), (0x7F, 0xFF)])
def test_debug_exit_ends_with_an_odd_status(value: int, status: int) -> None:
    ports, seen = PortBus(), list[int]()
    DebugExit(seen.append).attach(ports)
    assert ports.read(0x501, 1) == 0
    ports.write(0x501, 1, value)
    assert seen == [status]


def test_debug_exit_can_be_elsewhere_and_wider() -> None:
    ports, seen = PortBus(), list[int]()
    DebugExit(seen.append).attach(ports, 0xF4, 4)
    ports.write(0xF4, 4, 0x55)
    assert seen == [0xAB]


def test_debug_port_prints_and_tells_it_exists() -> None:
    ports, text = PortBus(), bytearray()
    DebugPort(text.extend).attach(ports)
    for byte in b"hi":
        ports.write(0xE9, 1, byte)
    assert (bytes(text), ports.read(0xE9, 1)) == (b"hi", 0xE9)
