"""The console at a person's terminal: raw mode, and a key to leave."""

import os
import select
import sys
import termios
import tty
from types import TracebackType
from typing import Self

QUIT = b"\x1d"
"""Ctrl-]: ends the run."""


class Terminal:
    """Standard input and output as the guest's console; raw while inside `with` on a terminal."""

    def __init__(self) -> None:
        self.interactive = sys.stdin.isatty()
        self.ended = False
        self._saved: list[object] | None = None

    def __enter__(self) -> Self:
        if self.interactive:
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
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._saved)  # type: ignore[arg-type]

    def write(self, data: bytes) -> None:
        """Show the guest's output."""
        os.write(sys.stdout.fileno(), data)

    def read(self) -> bytes:
        """What was typed since the last call; notes the key that ends the run."""
        if not self.interactive or self.ended:
            return b""
        ready, _, _ = select.select([sys.stdin], [], [], 0)
        if not ready:
            return b""
        data = os.read(sys.stdin.fileno(), 1024)
        if not data or QUIT in data:
            self.ended = True
            return b""
        return data
