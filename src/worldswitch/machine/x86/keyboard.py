"""An 8042 keyboard controller with a keyboard on which nobody types.

Enough for guests that look for it, and for the reset that goes through it. ref: IBM PC/AT Technical
Reference, keyboard controller.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.bus import PortBus

DATA_PORT, COMMAND_PORT, KEYBOARD_IRQ = 0x60, 0x64, 1
MOST_ANSWERS = 16


class Status(IntFlag):
    """The status at port 64h."""

    OUTPUT_FULL = 0x01
    SYSTEM = 0x04
    COMMAND = 0x08
    UNLOCKED = 0x10


class Command(IntEnum):
    """What port 64h takes."""

    READ_CONFIGURATION = 0x20
    WRITE_CONFIGURATION = 0x60
    DISABLE_AUXILIARY = 0xA7
    ENABLE_AUXILIARY = 0xA8
    TEST_AUXILIARY = 0xA9
    TEST_CONTROLLER = 0xAA
    TEST_KEYBOARD = 0xAB
    DISABLE_KEYBOARD = 0xAD
    ENABLE_KEYBOARD = 0xAE
    READ_OUTPUT_PORT = 0xD0
    WRITE_OUTPUT_PORT = 0xD1
    WRITE_KEYBOARD_BUFFER = 0xD2
    WRITE_AUXILIARY = 0xD4
    PULSE = 0xF0
    """The low half says which lines stay high; line 0 is the processor's reset."""


class Configuration(IntFlag):
    """The command byte."""

    KEYBOARD_INTERRUPT = 0x01
    SYSTEM = 0x04
    KEYBOARD_DISABLED = 0x10
    TRANSLATE = 0x40


NOT_RESET, A20 = 1, 2
"""Lines of the output port."""
ACKNOWLEDGE, SELF_TEST_PASSED, RESEND = 0xFA, 0xAA, 0xFE
KEYBOARD_RESET, KEYBOARD_IDENTIFY, KEYBOARD_ECHO, SCAN_CODE_SET = 0xFF, 0xF2, 0xEE, 0xF0
TAKES_PARAMETER = frozenset({0xED, 0xF0, 0xF3})


class KeyboardController:
    """Ports 60h and 64h.

    interrupt: told the level of IRQ 1. reset: called when the guest pulses the reset line.
    """

    def __init__(self, interrupt: Callable[[bool], None], reset: Callable[[], None]) -> None:
        self._interrupt = interrupt
        self._reset = reset
        self._answers: deque[int] = deque()
        self._last = 0
        self._configuration = Configuration.TRANSLATE | Configuration.SYSTEM
        self._awaited: int | None = None
        """The command whose parameter port 60h is about to get."""
        self._keyboard_awaits: int | None = None
        self._was_command = False
        self._output_port = NOT_RESET | A20
        self._level = False

    def attach(self, ports: PortBus) -> None:
        """Answer at the usual ports."""
        ports.add(DATA_PORT, 1, self, "8042 data", width=1)
        ports.add(COMMAND_PORT, 1, CommandPort(self), "8042 command", width=1)

    def _answer(self, *values: int) -> None:
        if len(self._answers) < MOST_ANSWERS:
            self._answers.extend(values)
        self._update()

    def _update(self) -> None:
        wanted = self._configuration & Configuration.KEYBOARD_INTERRUPT
        level = bool(self._answers) and bool(wanted)
        if level != self._level:
            self._level = level
            self._interrupt(level)

    def read(self, offset: int, size: int) -> int:
        """Port 60h: the next answer, or the last once more."""
        if self._answers:
            self._last = self._answers.popleft()
            if self._level:  # the line drops between two answers
                self._level = False
                self._interrupt(False)
            self._update()
        return self._last

    def write(self, offset: int, size: int, value: int) -> None:
        """Port 60h: a command's parameter, or a byte for the keyboard."""
        awaited, self._awaited = self._awaited, None
        self._was_command = False
        match awaited:
            case Command.WRITE_CONFIGURATION:
                self._configuration = Configuration(value & 0x7F)
                self._update()
            case Command.WRITE_OUTPUT_PORT:
                self._output_port = value
                if not value & NOT_RESET:
                    self._reset()
            case Command.WRITE_KEYBOARD_BUFFER:
                self._answer(value)
            case Command.WRITE_AUXILIARY:
                pass  # no mouse hears it
            case _:
                self._tell_keyboard(value)

    def _tell_keyboard(self, value: int) -> None:
        awaits, self._keyboard_awaits = self._keyboard_awaits, None
        if awaits is not None:
            self._answer(ACKNOWLEDGE, *([2] if awaits == SCAN_CODE_SET and value == 0 else []))
        elif value == KEYBOARD_RESET:
            self._answer(ACKNOWLEDGE, SELF_TEST_PASSED)
        elif value == KEYBOARD_IDENTIFY:
            self._answer(ACKNOWLEDGE, 0xAB, 0x83)
        elif value == KEYBOARD_ECHO:
            self._answer(KEYBOARD_ECHO)
        elif value in TAKES_PARAMETER:
            self._keyboard_awaits = value
            self._answer(ACKNOWLEDGE)
        else:
            self._answer(ACKNOWLEDGE if value >= 0xED else RESEND)

    def status(self) -> int:
        """Port 64h: the input buffer is always empty."""
        value = Status.UNLOCKED | (self._configuration & Configuration.SYSTEM)
        if self._answers:
            value |= Status.OUTPUT_FULL
        return value | (Status.COMMAND if self._was_command else 0)

    def command(self, value: int) -> None:
        """Port 64h: a command."""
        self._was_command = True
        self._awaited = None
        match value:
            case Command.READ_CONFIGURATION:
                self._answer(int(self._configuration))
            case Command.TEST_CONTROLLER:
                self._configuration |= Configuration.SYSTEM
                self._answer(0x55)
            case Command.TEST_KEYBOARD:
                self._answer(0)
            case Command.TEST_AUXILIARY:
                self._answer(0xFF)
            case Command.DISABLE_KEYBOARD:
                self._configuration |= Configuration.KEYBOARD_DISABLED
            case Command.ENABLE_KEYBOARD:
                self._configuration &= ~int(Configuration.KEYBOARD_DISABLED)
            case Command.READ_OUTPUT_PORT:
                self._answer(self._output_port)
            case (
                Command.WRITE_CONFIGURATION
                | Command.WRITE_OUTPUT_PORT
                | Command.WRITE_KEYBOARD_BUFFER
                | Command.WRITE_AUXILIARY
            ):
                self._awaited = value
            case _ if value >= Command.PULSE and not value & 1:
                self._reset()
            case _:
                pass


class CommandPort:
    """Port 64h on the bus."""

    def __init__(self, controller: KeyboardController) -> None:
        self._controller = controller

    def read(self, offset: int, size: int) -> int:
        """The status."""
        return self._controller.status()

    def write(self, offset: int, size: int, value: int) -> None:
        """A command."""
        self._controller.command(value)
