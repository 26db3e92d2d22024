"""How a run ended, and the exit statuses of the command."""

from dataclasses import dataclass

STATUS_CRASHED = 3
STATUS_RESTART = 4
STATUS_TIMEOUT = 124


@dataclass(frozen=True)
class Result:
    """How a run ended: the exit status, and why in a sentence."""

    status: int
    reason: str
