"""The 8254 interval timer and the speaker's port. ref: Intel 8254 data sheet; PIIX4 port 61h.

Counters are not stepped: what a counter shows is worked out from the guest's time when it is
looked at.
"""

from collections.abc import Callable
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.clock import Clock, ticks_at, time_of_tick

PIT_HZ = 1_193_182
PIT_PORT, SPEAKER_PORT = 0x40, 0x61
REFRESH_NS = 15_085
"""Nanoseconds after which the refresh bit of port 61h toggles."""
CONTROL = 3
READ_BACK = 3
BOTH_BYTES = 3


class Mode(IntEnum):
    """What a counter does at its end."""

    TERMINAL_COUNT = 0
    ONE_SHOT = 1
    RATE = 2
    SQUARE = 3
    SOFTWARE_STROBE = 4
    HARDWARE_STROBE = 5


PERIODIC = frozenset({Mode.RATE, Mode.SQUARE})
RETRIGGERABLE = frozenset({Mode.ONE_SHOT, Mode.HARDWARE_STROBE})


class SpeakerPort(IntFlag):
    """Port 61h."""

    GATE2 = 1
    DATA = 2
    REFRESH = 16
    OUT2 = 32


def from_bcd(value: int) -> int:
    """The number that four decimal digits of four bits are."""
    return sum((value >> 4 * place & 0xF) * 10**place for place in range(4))


def to_bcd(value: int) -> int:
    """Four decimal digits of four bits each."""
    return sum(value // 10**place % 10 << 4 * place for place in range(4))


class Counter:
    """One of the three counters. Times are guest nanoseconds, ticks are of 1.193182 MHz."""

    def __init__(self, clock: Clock, gate: bool) -> None:
        self._clock = clock
        self.gate = gate
        self.mode = Mode.TERMINAL_COUNT
        self.bcd = False
        self._access = BOTH_BYTES
        self._written = 0x10000
        """The count register: what the next period or trigger begins with, 1 to 10000h."""
        self._count = 0x10000
        """What the present period began with."""
        self._start: int | None = None
        """Tick at which counting from the initial count began; None: not loaded or triggered."""
        self._held = 0
        """Ticks that had gone by when the gate closed."""
        self._null = True
        """The count register was written and not yet taken: bit 6 of the status."""
        self._loaded = False
        """The count register was written since the control word."""
        self._output = False
        """OUT while nothing counts."""
        self._latch: list[int] = []
        self._status: int | None = None
        self._low: int | None = None
        """First byte of a count that is written in two."""
        self._high_next = False

    def _now(self) -> int:
        return ticks_at(self._clock.now, PIT_HZ)

    def _begin(self, tick: int) -> None:
        """Start counting from the count register at `tick`."""
        self._start, self._held = tick, 0
        self._count, self._null = self._written, False

    def _elapsed(self) -> int | None:
        """Ticks since counting began, without those while the gate was closed."""
        if self._null and self._start is not None and self.mode in PERIODIC and self.gate:
            # A count that came in the middle of a period counts from its end.
            end = self._start + self._count
            if self._now() >= end:
                self._begin(end)
        if self._start is None:
            return None
        if not self.gate and self.mode not in RETRIGGERABLE:
            return self._held
        return self._now() - self._start

    # --- what it shows -----------------------------------------------------------------------

    def output(self) -> bool:
        """The level of OUT."""
        elapsed = self._elapsed()
        if elapsed is None:
            return self._output
        if self.mode in PERIODIC and not self.gate:
            return True
        match self.mode:
            case Mode.TERMINAL_COUNT | Mode.ONE_SHOT:
                return elapsed >= self._count
            case Mode.RATE:
                return elapsed % self._count != self._count - 1
            case Mode.SQUARE:
                return elapsed % self._count < (self._count + 1) // 2
            case _:
                return elapsed != self._count

    def count(self) -> int:
        """The counting element (16 bits), as it is read: binary or decimal."""
        elapsed = self._elapsed()
        wrap = 10_000 if self.bcd else 0x10000
        if elapsed is None:
            value = self._count
        elif self.mode is Mode.RATE:
            value = self._count - elapsed % self._count
        elif self.mode is Mode.SQUARE:
            # The element steps by two, twice over the count in each period.
            half = (self._count + 1) // 2
            into = elapsed % self._count
            into = into if into < half else into - half
            value = (self._count & ~1) - 2 * into
        else:
            value = self._count - elapsed
        value %= wrap
        return to_bcd(value) if self.bcd else value

    def next_rise(self, after: int) -> int | None:
        """The first tick behind `after` at which OUT rises; None: it does not by itself."""
        if self._start is None or (not self.gate and self.mode not in RETRIGGERABLE):
            return None
        if self.mode in PERIODIC:
            first = self._start + self._count
            if after < first:
                return first
            period = self._written if self._null else self._count
            return first + ((after - first) // period + 1) * period
        strobes = self.mode in (Mode.SOFTWARE_STROBE, Mode.HARDWARE_STROBE)
        rise = self._start + self._count + strobes
        return rise if rise > after else None

    # --- what is done to it ------------------------------------------------------------------

    def set_gate(self, gate: bool) -> None:
        """The level of GATE: holds the count, or starts it anew with its rising edge."""
        if gate == self.gate:
            return
        elapsed = self._elapsed()
        self.gate = gate
        if self.mode in RETRIGGERABLE or self.mode in PERIODIC:
            if gate and self._loaded:
                self._begin(self._now())
            elif elapsed is not None:
                self._held = elapsed
        elif elapsed is not None:
            if gate:
                self._start = self._now() - elapsed
            else:
                self._held = elapsed

    def set_control(self, value: int) -> None:
        """A control word: stops the counter until it gets its count."""
        mode = value >> 1 & 7
        self.mode = Mode(mode & 3 if mode > 5 else mode)
        self.bcd = bool(value & 1)
        self._access = value >> 4 & 3
        self._start, self._null, self._loaded = None, True, False
        self._output = self.mode is not Mode.TERMINAL_COUNT
        self._latch, self._status, self._low, self._high_next = [], None, None, False

    def latch_count(self) -> None:
        """Keep the count for the next reads, unless one is kept."""
        if not self._latch:
            count = self.count()
            self._latch = {1: [count & 0xFF], 2: [count >> 8]}.get(
                self._access, [count & 0xFF, count >> 8]
            )

    def latch_status(self) -> None:
        """Keep the status byte for the next read, unless one is kept."""
        if self._status is None:
            self._status = (
                self.output() << 7 | self._null << 6 | self._access << 4 | self.mode << 1 | self.bcd
            )

    def read(self) -> int:
        """The next byte: the status, a latched count, or the count as it is."""
        if self._status is not None:
            value, self._status = self._status, None
            return value
        if self._latch:
            return self._latch.pop(0)
        count = self.count()
        if self._access == BOTH_BYTES:
            self._high_next = not self._high_next
            return count & 0xFF if self._high_next else count >> 8
        return count >> 8 if self._access == 2 else count & 0xFF

    def write(self, value: int) -> None:
        """A byte of the initial count; the last one loads it."""
        if self._access == BOTH_BYTES and self._low is None:
            self._low = value
            if self.mode is Mode.TERMINAL_COUNT:
                self._start, self._output = None, False
            return
        low = self._low if self._low is not None else 0
        count = value if self._access == 1 else low | value << 8
        self._low = None
        self._load((from_bcd(count) or 10_000) if self.bcd else (count or 0x10000))

    def _load(self, count: int) -> None:
        # IMPDEF: modes 2 and 3 do not allow a count of 1; it is taken for 2.
        if self.mode in PERIODIC and count == 1:
            count = 2
        self._elapsed()  # ends the period that the previous count was waiting for
        self._written, self._null, self._loaded = count, True, True
        if self.mode in RETRIGGERABLE or (self.mode in PERIODIC and self._start is not None):
            return
        # IMPDEF: the clock pulse that loads the counting element takes no time.
        self._begin(self._now())


class Pit:
    """Three counters behind four ports, and port 61h.

    interrupt: told the level of counter 0's output.
    """

    def __init__(self, clock: Clock, interrupt: Callable[[bool], None]) -> None:
        self._clock = clock
        self._interrupt = interrupt
        self.reset()

    def reset(self) -> None:
        """Counters that were never programmed; counter 2's gate is closed."""
        self.counters = [Counter(self._clock, gate) for gate in (True, True, False)]
        self._speaker = False
        self._done = ticks_at(self._clock.now, PIT_HZ)
        """The tick up to which counter 0's output was reported."""
        self._level = False
        self._interrupt(False)

    def attach(self, ports: PortBus) -> None:
        """Answer at the usual ports."""
        ports.add(PIT_PORT, 4, self, "8254", width=1)
        ports.add(SPEAKER_PORT, 1, SpeakerControl(self), "port 61h", width=1)

    # --- counter 0's interrupts --------------------------------------------------------------

    def next_event(self) -> int | None:
        """When counter 0's output rises next."""
        rise = self.counters[0].next_rise(self._done)
        return None if rise is None else time_of_tick(rise, PIT_HZ)

    def run_events(self) -> None:
        """Report counter 0's output. Rises that were missed come as one."""
        now = ticks_at(self._clock.now, PIT_HZ)
        rise = self.counters[0].next_rise(self._done)
        self._done = now
        if rise is not None and rise <= now:
            self._set_level(False)
            self._set_level(True)
        self._set_level(self.counters[0].output())

    def _set_level(self, level: bool) -> None:
        if level != self._level:
            self._level = level
            self._interrupt(level)

    # --- ports -------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """A byte of a counter; the control port cannot be read."""
        return 0xFF if offset == CONTROL else self.counters[offset].read()

    def write(self, offset: int, size: int, value: int) -> None:
        """A byte of a counter's initial count, or a control word."""
        self.run_events()
        if offset != CONTROL:
            self.counters[offset].write(value)
        elif value >> 6 == READ_BACK:
            for number, counter in enumerate(self.counters):
                if value >> number & 2:
                    if not value & 0x10:
                        counter.latch_status()
                    if not value & 0x20:
                        counter.latch_count()
        elif value & 0x30:
            self.counters[value >> 6].set_control(value)
        else:
            self.counters[value >> 6].latch_count()
        self.run_events()

    def read_speaker(self) -> int:
        """Port 61h."""
        counter = self.counters[2]
        value = SpeakerPort.GATE2 if counter.gate else SpeakerPort(0)
        if self._speaker:
            value |= SpeakerPort.DATA
        if self._clock.now // REFRESH_NS & 1:
            value |= SpeakerPort.REFRESH
        if counter.output():
            value |= SpeakerPort.OUT2
        return value

    def write_speaker(self, value: int) -> None:
        """Port 61h: counter 2's gate, and the speaker's data bit."""
        self._speaker = bool(value & SpeakerPort.DATA)
        self.counters[2].set_gate(bool(value & SpeakerPort.GATE2))


class SpeakerControl:
    """Port 61h on the bus."""

    def __init__(self, pit: Pit) -> None:
        self._pit = pit

    def read(self, offset: int, size: int) -> int:
        """The port."""
        return self._pit.read_speaker()

    def write(self, offset: int, size: int, value: int) -> None:
        """Store the port."""
        self._pit.write_speaker(value)
