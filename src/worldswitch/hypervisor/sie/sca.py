"""The system-control area: what the CPUs of a guest share. ref: SIE extended SCA; SIE basic SCA."""

from worldswitch.arch.s390x.sie_satellites import (
    BASIC_CPUS,
    EXTENDED_CPUS,
    BasicSca,
    ExtendedSca,
)
from worldswitch.metal.interface import HostStorage


class SystemControlArea:
    """A basic or an extended SCA in host storage."""

    def __init__(self, storage: HostStorage, extended: bool) -> None:
        self.extended = extended
        self.most_cpus = EXTENDED_CPUS if extended else BASIC_CPUS
        layout = ExtendedSca if extended else BasicSca
        self.origin = storage.allocate(layout.block_size)
        self.block = layout(storage.view, self.origin)

    def add(self, cpu: int, description: int) -> None:
        """Enter a CPU's state description."""
        self.block.cpu[cpu].sda = description
        block = self.block
        if isinstance(block, ExtendedSca):
            block.mcn[cpu // 64] |= 1 << 63 - cpu % 64
        else:
            block.mcn |= 1 << 63 - cpu

    def call_pending(self, cpu: int) -> bool:
        """Whether an external call is pending for a CPU."""
        return bool(self.block.cpu[cpu].call_pending)

    def call(self, cpu: int, source: int) -> bool:
        """Make an external call pending; False if one is."""
        entry = self.block.cpu[cpu]
        if entry.call_pending:
            return False
        entry.source_cpu = source
        entry.call_pending = 1
        return True

    def clear_call(self, cpu: int) -> None:
        """No external call is pending for a CPU."""
        self.block.cpu[cpu].sigp_control = 0

    def interlock_free(self) -> bool:
        """Whether no guest CPU holds the IPTE interlock, so that guest tables can be walked."""
        return not self.block.ipte_guests and not self.block.ipte_lock
