"""The virtual local APIC's timer: one-shot, periodic and TSC-deadline. ref: APM2 16.4.1.

Times are values of the host's time-stamp counter.
"""

from collections.abc import Callable

from worldswitch.arch.x86.apic import TIMER_DIVISORS, Lvt
from worldswitch.hypervisor.x86.state import MASK32, MASK64

DIVIDE_BITS = 0xB
MASKED, PERIODIC, TSC_DEADLINE = int(Lvt.M), int(Lvt.TMM), int(Lvt.TSC_DEADLINE)
MODES = PERIODIC | TSC_DEADLINE


class ApicTimer:
    """One timer.

    now: the host's time-stamp counter. tsc_hz, apic_hz: the frequencies of that and of the timer's
    input before it is divided. changed: called when `due` may be another.
    """

    def __init__(
        self, now: Callable[[], int], tsc_hz: int, apic_hz: int, changed: Callable[[], None]
    ) -> None:
        self._now = now
        self._tsc_hz = tsc_hz
        self._apic_hz = apic_hz
        self._changed = changed
        self.lvt = int(Lvt.M)
        self.divide = 0
        self.initial = 0
        self.due: int | None = None
        """When it expires next; None while it does not run."""
        self.deadline = 0
        """The guest's time-stamp counter at which it expires, in TSC-deadline mode; 0: never."""
        self.tsc_offset = 0
        """The guest's time-stamp counter less the host's."""

    def reset(self) -> None:
        """RESET or INIT."""
        self.lvt = int(Lvt.M)
        self.divide = self.initial = self.deadline = 0
        self.due = None
        self._changed()

    @property
    def masked(self) -> bool:
        """Whether its interrupt is."""
        return bool(self.lvt & MASKED)

    @property
    def periodic(self) -> bool:
        """Whether it starts again by itself."""
        return self.lvt & MODES == PERIODIC

    @property
    def in_deadline_mode(self) -> bool:
        """Whether the TSC_DEADLINE register sets it."""
        return bool(self.lvt & TSC_DEADLINE)

    def _divisor(self) -> int:
        return TIMER_DIVISORS[self.divide & DIVIDE_BITS]

    def _ticks(self, count: int) -> int:
        """Ticks of the time-stamp counter that a count takes; at least one."""
        return max(1, count * self._divisor() * self._tsc_hz // self._apic_hz)

    def set_lvt(self, value: int) -> None:
        """Write the local vector table's entry. Changing to or from deadline mode stops it."""
        if (value ^ self.lvt) & TSC_DEADLINE:
            self.due = None
            self.deadline = 0
        self.lvt = value
        self._changed()

    def set_divide(self, value: int) -> None:
        """Write the divide configuration; a count that runs goes on from where it is."""
        left = self.current
        self.divide = value & DIVIDE_BITS
        if self.due is not None and not self.in_deadline_mode:
            self.due = self._now() + self._ticks(left)
            self._changed()

    def set_initial(self, value: int) -> None:
        """Write the initial count, which starts the timer; 0 stops it."""
        if self.in_deadline_mode:
            return
        self.initial = value & MASK32
        self.due = self._now() + self._ticks(self.initial) if self.initial else None
        self._changed()

    @property
    def current(self) -> int:
        """The current count."""
        if self.due is None or self.in_deadline_mode:
            return 0
        left = self.due - self._now()
        if left <= 0:
            return 0
        per_count = self._divisor() * self._tsc_hz
        return min(self.initial, -(-left * self._apic_hz // per_count))

    def set_deadline(self, value: int) -> None:
        """Write TSC_DEADLINE; what lies in the past expires at once. ref: APM2 16.4.1."""
        if not self.in_deadline_mode:
            return
        self.deadline = value & MASK64
        self.due = self.deadline - self.tsc_offset if value else None
        self._changed()

    def set_tsc_offset(self, offset: int) -> None:
        """The guest's time-stamp counter was changed: a deadline is a time of the new one."""
        self.tsc_offset = offset
        if self.in_deadline_mode and self.deadline:
            self.due = self.deadline - offset
            self._changed()

    def expire(self, now: int) -> bool:
        """Whether it has expired by `now`; a periodic timer is started again."""
        due = self.due
        if due is None or now < due:
            return False
        if self.periodic and self.initial:
            period = self._ticks(self.initial)
            # Expirations that nobody was there to see count once.
            self.due = due + period * ((now - due) // period + 1)
        else:
            self.due = None
            self.deadline = 0
        self._changed()
        return True
