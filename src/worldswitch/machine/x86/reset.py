"""Ports that restart the machine: the chip set's CF9h, and 92h. ref: PIIX4 RC; PS/2 port 92h."""

from collections.abc import Callable

from worldswitch.machine.x86.bus import PortBus

RESET_PORT, RESET_VALUE = 0xCF9, 0x06
RESET_CPU = 0x04
KEPT = 0x0A
FAST_PORT = 0x92
FAST_RESET, A20 = 1, 2


class ResetControl:
    """Port CF9h. The host bridge has the ports around it and passes this one on."""

    def __init__(self, reset: Callable[[], None]) -> None:
        self._reset = reset
        self._value = 0

    def read(self) -> int:
        """The port."""
        return self._value

    def write(self, value: int) -> None:
        """Store the port; the rising edge of bit 2 resets."""
        rising = value & RESET_CPU and not self._value & RESET_CPU
        self._value = value & KEPT
        if rising:
            self._reset()


class FastReset:
    """Port 92h.

    UNMODELLED: address line 20 is always enabled; the bit only keeps its value.
    """

    def __init__(self, reset: Callable[[], None]) -> None:
        self._reset = reset
        self._value = A20

    def attach(self, ports: PortBus) -> None:
        """Answer at the usual port."""
        ports.add(FAST_PORT, 1, self, "port 92h", width=1)

    def read(self, offset: int, size: int) -> int:
        """The port."""
        return self._value

    def write(self, offset: int, size: int, value: int) -> None:
        """Store the port; the rising edge of bit 0 resets."""
        rising = value & FAST_RESET and not self._value & FAST_RESET
        self._value = value & (FAST_RESET | A20)
        if rising:
            self._reset()
