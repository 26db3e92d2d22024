"""A guest CPU's clocks: TOD epoch, clock comparator and CPU timer. ref: PoP 4 Timing.

All times are in TOD units (2**-12 microseconds). While the guest runs, SIE counts the CPU timer
down; while the virtual CPU waits, this does; while others have its processor, it stands.
"""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.hypervisor.sie.registers import MASK64

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

SIGN = 1 << 63


class Timers:
    """The clocks of one guest CPU."""

    def __init__(self, vcpu: "SieVcpu") -> None:
        self._vcpu = vcpu
        self.waiting_since: int | None = None
        """Host time from which on the virtual CPU waits; None while it does not."""

    def tod(self) -> int:
        """The guest's TOD clock."""
        return (self._vcpu.now() + self._vcpu.sd.epoch) & MASK64

    def cpu_timer(self) -> int:
        """The guest's CPU timer now."""
        value = self._vcpu.sd.cputm
        if self.waiting_since is not None:
            value -= self._vcpu.now() - self.waiting_since
        return value & MASK64

    def set_cpu_timer(self, value: int) -> None:
        """Set the CPU timer."""
        self._vcpu.sd.cputm = value & MASK64
        if self.waiting_since is not None:
            self.waiting_since = self._vcpu.now()

    def begin_wait(self) -> None:
        """The virtual CPU waits from now on."""
        if self.waiting_since is None:
            self.waiting_since = self._vcpu.now()

    def end_wait(self) -> None:
        """The virtual CPU no longer waits: the wait counts for its CPU timer."""
        if self.waiting_since is not None:
            self._vcpu.sd.cputm = self.cpu_timer()
            self.waiting_since = None

    def clock_comparator_due(self) -> bool:
        """Whether the clock comparator's condition holds, whatever the masks say."""
        sd = self._vcpu.sd
        if sd.gcr0 & Cr0.CLOCK_COMPARATOR_SIGN:
            return self.tod() ^ SIGN > sd.ckc ^ SIGN
        return self.tod() > sd.ckc

    def cpu_timer_due(self) -> bool:
        """Whether the CPU timer's condition holds: it is negative."""
        return bool(self.cpu_timer() & SIGN)

    def clock_comparator_time(self) -> int | None:
        """Host time at which the clock comparator's condition begins; None if it never does."""
        vcpu = self._vcpu
        if self.clock_comparator_due():
            return vcpu.now()
        ahead = (vcpu.sd.ckc - self.tod()) & MASK64
        return None if ahead & SIGN or vcpu.sd.ckc == MASK64 else vcpu.now() + ahead + 1

    def cpu_timer_time(self) -> int:
        """Host time at which the CPU timer's condition begins if the CPU waits until then."""
        left = self.cpu_timer()
        return self._vcpu.now() + (0 if left & SIGN else left + 1)

    def next_time(self) -> int | None:
        """Host time at which a timer that the guest enables interrupts it; None if none will."""
        sd = self._vcpu.sd
        if not sd.gpsw_mask & PswMask.EXT:
            return None
        times: list[int] = []
        if sd.gcr0 & Cr0.CLOCK_COMPARATOR_SUBMASK:
            due = self.clock_comparator_time()
            if due is not None:
                times.append(due)
        if sd.gcr0 & Cr0.CPU_TIMER_SUBMASK:
            times.append(self.cpu_timer_time())
        return min(times, default=None)

    def set_tod(self, value: int) -> None:
        """Set the guest's TOD clock on all its CPUs, which share it."""
        epoch = (value - self._vcpu.now()) & MASK64
        for other in self._vcpu.vm.vcpus:
            other.sd.epoch = epoch
