"""The secure instruction data area: operands of a protected guest's intercepted instructions.

ref: UV secure instruction data area
"""

from worldswitch.arch.s390x.state_description import SIDA_ORIGIN, StateDescription, sida_size
from worldswitch.metal.interface import HostStorage


class InstructionData:
    """What a handler reads and writes in place of guest storage; operands begin at its start."""

    def __init__(self, storage: HostStorage, sd: StateDescription) -> None:
        self._storage = storage
        self._sd = sd
        self.size = sida_size(sd)

    def read(self, address: int, size: int) -> bytes:
        """The operand's first bytes, wherever the guest has it."""
        del address
        return self._storage.read(self._sd.sidad & SIDA_ORIGIN, min(size, self.size))

    def write(self, address: int, data: bytes) -> None:
        """Store the operand, which the Ultravisor copies to where the guest has it."""
        del address
        self._storage.write(self._sd.sidad & SIDA_ORIGIN, data[: self.size])
