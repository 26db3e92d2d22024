"""Debugging a guest with its own PER facility: breakpoints, watchpoints and single steps.

While a guest is debugged, control registers 9 to 11 are the hypervisor's during each entry; what
the guest has put there is kept and put back. ref: PoP 4 Program-Event Recording
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import Cr9
from worldswitch.arch.s390x.program import PerCode
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import CpuStat
from worldswitch.hypervisor.requests import DebugEvent
from worldswitch.hypervisor.sie.access import read_logical
from worldswitch.hypervisor.sie.events import GuestException

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

EVERYWHERE = (0, 0xFFFF_FFFF_FFFF_FFFF)
EXTERNAL_SUBMASKS = 0xFFFF
"""Bits of control register 0 that a single step turns off, so that it does not end in a handler."""


LONGEST = 6
"""Bytes of the longest instruction."""


@dataclass
class Watchpoint:
    """A range of guest logical storage, and its content when it was last looked at."""

    address: int
    size: int
    content: bytes = b""


@dataclass
class GuestDebug:
    """What the person who debugs a guest CPU wants to see.

    single_step: every instruction. breakpoints: instruction addresses. watchpoints: stores that
    change a range.
    """

    single_step: bool = False
    breakpoints: set[int] = field(default_factory=set[int])
    watchpoints: list[Watchpoint] = field(default_factory=list[Watchpoint])
    hit: DebugEvent | None = None
    _saved: tuple[int, int, int, int] | None = None

    def patch(self, vcpu: "SieVcpu") -> None:
        """Before an entry: keep the guest's PER controls and put the hypervisor's in place."""
        gcr = vcpu.sd.gcr
        self._saved = (gcr[0], gcr[9], gcr[10], gcr[11])
        cr9 = gcr[9]
        if not vcpu.sd.gpsw_mask & PswMask.PER:
            cr9 = 0
        if self.single_step:
            gcr[0] &= ~EXTERNAL_SUBMASKS
            cr9 |= Cr9.INSTRUCTION_FETCH
            gcr[10], gcr[11] = EVERYWHERE
        if self.breakpoints:
            cr9 |= Cr9.SUCCESSFUL_BRANCHING | Cr9.INSTRUCTION_FETCH
            cr9 &= ~Cr9.BRANCH_ADDRESS_CONTROL
            # The event that shows a breakpoint is that of the instruction before it.
            self._include(vcpu, max(min(self.breakpoints) - LONGEST, 0), max(self.breakpoints))
        if self.watchpoints:
            cr9 |= Cr9.STORAGE_ALTERATION
            cr9 &= ~Cr9.STORAGE_ALTERATION_SPACE
            first = min(w.address for w in self.watchpoints)
            last = max(w.address + w.size - 1 for w in self.watchpoints)
            self._include(vcpu, first, last)
        gcr[9] = int(cr9)
        vcpu.sd.cpuflags |= CpuStat.P

    def _include(self, vcpu: "SieVcpu", first: int, last: int) -> None:
        """Widen the range of control registers 10 and 11; all of it if the guest uses its own."""
        gcr = vcpu.sd.gcr
        if self._saved is not None and self._saved[1]:
            gcr[10], gcr[11] = EVERYWHERE
        elif self.single_step:
            return
        elif self.breakpoints and self.watchpoints:
            gcr[10], gcr[11] = EVERYWHERE
        else:
            gcr[10], gcr[11] = first, last

    def restore(self, vcpu: "SieVcpu") -> None:
        """After an exit: the guest's own PER controls are back."""
        if self._saved is None:
            return
        gcr = vcpu.sd.gcr
        gcr[0], gcr[9], gcr[10], gcr[11] = self._saved
        self._saved = None
        vcpu.sd.cpuflags &= ~CpuStat.P

    def look(self, vcpu: "SieVcpu", events: int, address: int) -> None:
        """Note a PER event if it is one that is wanted. address: of the instruction."""
        next_address = vcpu.sd.gpsw_addr
        if events & PerCode.STORAGE_ALTERATION:
            changed = self._changed(vcpu)
            if changed is not None:
                self.hit = DebugEvent(next_address, "watchpoint", changed.address)
                return
        went_on = events & (PerCode.INSTRUCTION_FETCH | PerCode.SUCCESSFUL_BRANCHING)
        if went_on and next_address in self.breakpoints:
            self.hit = DebugEvent(next_address, "breakpoint")
            return
        if self.single_step:
            self.hit = DebugEvent(next_address, "single step", address)

    def _changed(self, vcpu: "SieVcpu") -> Watchpoint | None:
        found = None
        for watched in self.watchpoints:
            try:
                content = read_logical(vcpu, watched.address, 0, watched.size, key=0)
            except GuestException:
                continue
            if content != watched.content:
                watched.content = content
                found = watched
        return found

    def watch(self, vcpu: "SieVcpu", address: int, size: int) -> None:
        """Add a watchpoint with the content that it has now."""
        self.watchpoints.append(Watchpoint(address, size))
        self._changed(vcpu)

    def take_hit(self) -> DebugEvent:
        """The event to tell the machine about; it is told once."""
        hit = self.hit
        assert hit is not None
        self.hit = None
        return hit
