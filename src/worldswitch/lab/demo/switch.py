"""One world switch, as the hypervisor finds it."""

from dataclasses import dataclass
from enum import IntEnum

from worldswitch.metal.interface import EntryResult


@dataclass(frozen=True)
class Switch:
    """An exit from the guest.

    code: the interception or exit code. name: what the table calls it, or how the entry ended
    without one. did: what the guest did. details: what the control block and the host's registers
    say of it. answer: the hypervisor's part. block: the bytes of the control block.
    """

    result: EntryResult
    code: IntEnum
    name: str
    did: str
    details: tuple[str, ...]
    answer: str
    block: bytes

    @property
    def why(self) -> str:
        """The exit by name and code, or how the entry ended."""
        return self.name if self.result is EntryResult.EXIT else self.result.value
