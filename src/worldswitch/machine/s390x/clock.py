"""Where the machine's TOD clock starts, and what drives it.

Virtual time, the default, advances with executed instructions and jumps when all processors wait.
Real time follows the host's clock. ref: PoP 4 TOD Clock.
"""

import time

TOD_EPOCH = 0x7D91_048B_CA00_0000
"""The TOD clock at 1970-01-01."""
VIRTUAL_SECONDS = 1_767_225_600
"""Seconds since 1970 at which virtual time begins: 2026-01-01."""
TOD_PER_MICROSECOND = 4096
TOD_PER_SECOND = 4096 * 1_000_000


def tod_at(nanoseconds: int) -> int:
    """The TOD clock so many nanoseconds after 1970-01-01."""
    return TOD_EPOCH + nanoseconds * 512 // 125


VIRTUAL_START = tod_at(VIRTUAL_SECONDS * 1_000_000_000)
"""The TOD clock when virtual time begins."""


class RealClock:
    """The TOD clock tied to the host's time; it never runs backwards."""

    def __init__(self) -> None:
        self._start = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """The TOD clock at this moment."""
        return tod_at(self._start + time.monotonic_ns())
