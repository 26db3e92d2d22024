"""Ports for guest programs under test: an exit with a status, and a byte to the host.

ref: QEMU isa-debug-exit, isa-debugcon.
"""

from collections.abc import Callable

from worldswitch.machine.x86.bus import PortBus

EXIT_PORT, EXIT_PORTS = 0x501, 1
DEBUG_PORT = 0xE9


class DebugExit:
    """Ends the run when it is written: `finish` gets the status, (value << 1) | 1."""

    def __init__(self, finish: Callable[[int], None]) -> None:
        self._finish = finish

    def attach(self, ports: PortBus, base: int = EXIT_PORT, size: int = EXIT_PORTS) -> None:
        """Answer at `base`; raises BusConflictError where something else does."""
        ports.add(base, size, self, "debug exit")

    def read(self, offset: int, size: int) -> int:
        """Zero."""
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """End the run. The host's exit status is its low byte."""
        self._finish(value << 1 | 1)


class DebugPort:
    """Port E9h: each byte goes to `output`; it reads as its own number, so guests can find it."""

    def __init__(self, output: Callable[[bytes], None]) -> None:
        self._output = output

    def attach(self, ports: PortBus, base: int = DEBUG_PORT) -> None:
        """Answer at the usual port."""
        ports.add(base, 1, self, "debug console", width=1)

    def read(self, offset: int, size: int) -> int:
        """The port's number."""
        return DEBUG_PORT

    def write(self, offset: int, size: int, value: int) -> None:
        """Print a byte."""
        self._output(bytes([value]))
