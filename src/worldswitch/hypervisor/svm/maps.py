"""The permission maps that all virtual CPUs of a guest share. ref: APM2 15.10.1; APM2 15.11"""

from worldswitch.arch.x86.msrs import Msr
from worldswitch.arch.x86.permission_maps import IOPM_SIZE, MSRPM_SIZE, READ, WRITE, msrpm_bit
from worldswitch.metal.interface import HostStorage

PASSED = (
    Msr.GS_BASE, Msr.FS_BASE, Msr.KERNEL_GS_BASE, Msr.STAR, Msr.LSTAR, Msr.CSTAR, Msr.SFMASK,
    Msr.SYSENTER_CS, Msr.SYSENTER_ESP, Msr.SYSENTER_EIP, Msr.PAT,
)  # fmt: skip
"""Registers that the VMCB holds while the guest executes: it may read and write them itself."""
READABLE = (Msr.TSC, Msr.EFER)
"""Registers that it may read alone: a write of EFER must not clear SVME, and one of the time-stamp
counter sets an offset."""
EVERYTHING = b"\xff"


class PermissionMaps:
    """Both maps: everything is intercepted but for what `permit` takes out."""

    def __init__(self, storage: HostStorage) -> None:
        self.msrpm = storage.allocate(MSRPM_SIZE)
        self.iopm = storage.allocate(IOPM_SIZE)
        view = storage.view
        view[self.msrpm : self.msrpm + MSRPM_SIZE] = EVERYTHING * MSRPM_SIZE
        view[self.iopm : self.iopm + IOPM_SIZE] = EVERYTHING * IOPM_SIZE
        self._msrs = view[self.msrpm : self.msrpm + MSRPM_SIZE]
        for msr in PASSED:
            self.permit(msr, read=True, write=True)
        for msr in READABLE:
            self.permit(msr, read=True)

    def permit(self, msr: int, read: bool = False, write: bool = False) -> None:
        """Let guests read or write an MSR without leaving; ValueError if no map has it."""
        for access, wanted in ((READ, read), (WRITE, write)):
            if not wanted:
                continue
            place = msrpm_bit(msr, access)
            if place is None:
                raise ValueError(f"MSR {msr:#x} is in no permission map")
            offset, mask = place
            self._msrs[offset] &= ~mask & 0xFF

    def intercepted(self, msr: int, access: int) -> bool:
        """Whether an access (READ or WRITE) leaves the guest."""
        place = msrpm_bit(msr, access)
        return place is None or bool(self._msrs[place[0]] & place[1])
