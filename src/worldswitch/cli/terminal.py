"""The console at a person's terminal: raw mode, and keys to leave."""

import os
import select
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any, Self

QUIT = b"\x1d"
"""Ctrl-]: ends the run as if the guest had ended."""
INTERRUPT = b"\x03"
"""Ctrl-C: ends the run with the status for that."""
SEND_INTERRUPT = b"\x1c"
r"""Ctrl-\: the guest gets the Ctrl-C that it would have got."""


def _terminated(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


class Terminal:
    """Standard input and output as the guest's console; raw while inside `with` on a terminal.

    However the run ends, an end by SIGTERM or SIGHUP included, the terminal is left as it was.
    """

    def __init__(self) -> None:
        self.interactive = sys.stdin.isatty()
        self.ended = False
        self._mid_line = False
        self._saved: list[Any] | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if self.interactive:
            for number in (signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _terminated)
            self._saved = termios.tcgetattr(sys.stdin.fileno())
            tty.setraw(sys.stdin.fileno())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._saved is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)
            self._saved = None
        if self._mid_line:  # what is said next starts a line
            self.write(b"\n")
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def write(self, data: bytes) -> None:
        """Show the guest's output, all of it."""
        left = memoryview(data)
        if data:
            self._mid_line = data[-1:] not in b"\r\n"
        while left:
            left = left[os.write(sys.stdout.fileno(), left) :]

    def read(self) -> bytes:
        """What was typed since the last call, for the guest.

        Notes the key that ends the run; Ctrl-C raises KeyboardInterrupt.
        """
        if not self.interactive or self.ended:
            return b""
        ready, _, _ = select.select([sys.stdin], [], [], 0)
        if not ready:
            return b""
        data = os.read(sys.stdin.fileno(), 1024)
        if INTERRUPT in data:
            raise KeyboardInterrupt
        if not data or QUIT in data:
            self.ended = True
            return b""
        return data.replace(SEND_INTERRUPT, INTERRUPT)
