"""What a handler of an exit says, and what a run of a virtual CPU ends with.

A handler never advances the guest and never returns an integer: it returns one of these, and
`Vcpu.apply` does what it says.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Resume:
    """Handled: the guest goes on.

    advance: by how many bytes to move the guest's instruction address first; negative to execute
    the intercepted instruction again where the facility has already moved it.
    """

    advance: int = 0


@dataclass(frozen=True, slots=True)
class Inject:
    """The guest takes this event before its next instruction. `event` is the facility's own."""

    event: Any


@dataclass(frozen=True, slots=True)
class Wait:
    """The virtual CPU has nothing to do until an event that it enables arrives.

    advance: as with `Resume`.
    """

    advance: int = 0


@dataclass(frozen=True, slots=True)
class Yield:
    """The guest gives up the rest of its slice, to the virtual CPU with address `to` if given.

    advance: as with `Resume`.
    """

    to: int | None = None
    advance: int = 0


@dataclass(frozen=True, slots=True)
class ToMachine:
    """The machine must answer `request`, one of `worldswitch.hypervisor.requests`."""

    request: Any


@dataclass(frozen=True, slots=True)
class Stopped:
    """The virtual CPU cannot go on.

    diagnosis: a sentence for people. code: the facility's own number for it, 0 if it has none.
    """

    diagnosis: str
    code: int = 0


@dataclass(frozen=True, slots=True)
class Preempted:
    """The time slice ended: run the virtual CPU again when it is its turn.

    to: the address of the virtual CPU that this one gave the rest of its slice to, if it did so.
    """

    to: int | None = None


@dataclass(frozen=True, slots=True)
class NotOperating:
    """The virtual CPU is in the stopped state, which another one or the machine must end."""


Outcome = Resume | Inject | Wait | Yield | ToMachine | Stopped
"""What a handler returns."""
RunEnd = ToMachine | Stopped | Wait | Preempted | NotOperating
"""What `Vcpu.run` returns."""

RESUME = Resume()
"""The commonest outcome: what the handler did is all there is to do."""

ADVANCE = (RESUME, *(Resume(distance) for distance in range(1, 16)))
"""Handled, with the guest's instruction address moved by 0 to 15 bytes."""
