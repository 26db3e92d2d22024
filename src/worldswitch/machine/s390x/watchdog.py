"""The watchdog of DIAGNOSE X'288': a guest that does not tend it in time is taken for hung.

ref: DIAG 288.
"""

from enum import IntEnum

from worldswitch.machine.s390x.clock import TOD_PER_SECOND

END_OF_TIME = (1 << 64) - 1
"""Beyond it the TOD clock starts anew."""
SHORTEST = 15
"""Seconds that the guest has to ask for at least."""


class WatchdogFunction(IntEnum):
    """What the even register of R1 says."""

    INIT = 0
    CHANGE = 1
    CANCEL = 2


class Watchdog:
    """Counts down in the machine's time."""

    def __init__(self) -> None:
        self.expires: int | None = None
        """TOD clock value at which the guest is taken for hung; None while it is not watched."""

    def command(self, now: int, function: int, seconds: int, action: int) -> bool:
        """Carry out a function at TOD clock value `now`; False for one that is not valid.

        IMPDEF: the only action is 0, with which the machine ends the run.
        """
        if action or function not in tuple(WatchdogFunction):
            return False
        if function != WatchdogFunction.INIT and self.expires is None:
            return False
        if function == WatchdogFunction.CANCEL:
            self.expires = None
            return True
        if seconds < SHORTEST:
            return False
        self.expires = min(now + seconds * TOD_PER_SECOND, END_OF_TIME)
        return True

    def due(self, now: int) -> bool:
        """Whether the time is over."""
        return self.expires is not None and now >= self.expires
