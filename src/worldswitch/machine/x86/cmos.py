"""The MC146818 clock with its CMOS RAM. ref: Motorola MC146818A data sheet; PIIX4 RTC.

The date is worked out from the guest's time when it is looked at.
"""

from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.calendar import DAY, Moment, moment_at, seconds_of
from worldswitch.machine.x86.clock import NANOSECONDS, VIRTUAL_START, Clock

CMOS_PORT, CMOS_IRQ = 0x70, 8
OSCILLATOR_HZ = 32_768
UPDATE_NS = 2_228_000
"""How long before the end of a second UIP is set: 244 us of warning, 1984 us of work."""
MEBIBYTE = 1 << 20


class Register(IntEnum):
    """Bytes of the clock, and those of the CMOS RAM that firmware fills in."""

    SECONDS = 0x00
    SECONDS_ALARM = 0x01
    MINUTES = 0x02
    MINUTES_ALARM = 0x03
    HOURS = 0x04
    HOURS_ALARM = 0x05
    WEEKDAY = 0x06
    DAY = 0x07
    MONTH = 0x08
    YEAR = 0x09
    A = 0x0A
    B = 0x0B
    C = 0x0C
    D = 0x0D
    BASE_KIB = 0x15
    EXTENDED_KIB = 0x17
    EXTENDED_KIB_AGAIN = 0x30
    CENTURY = 0x32
    ABOVE_16M = 0x34
    ABOVE_4G = 0x5B


CLOCK_REGISTERS = frozenset(
    {
        Register.SECONDS, Register.MINUTES, Register.HOURS, Register.WEEKDAY, Register.DAY,
        Register.MONTH, Register.YEAR, Register.CENTURY,
    }
)  # fmt: skip
UIP = 0x80
DIVIDER_RESET = 0x60
"""Both bits of register A set: the divider is held, and time stands."""
DIVIDER_RUNS = 0x20
PM = 0x80
VRT = 0x80


class StatusB(IntFlag):
    """Register B."""

    DSE = 0x01  # UNMODELLED: daylight saving, which no system has used since its dates were law
    HOURS_24 = 0x02
    BINARY = 0x04
    SQWE = 0x08
    UIE = 0x10
    AIE = 0x20
    PIE = 0x40
    SET = 0x80


class StatusC(IntFlag):
    """Register C: what happened since it was last read."""

    UF = 0x10
    AF = 0x20
    PF = 0x40
    IRQF = 0x80


ENABLES = StatusB.UIE | StatusB.AIE | StatusB.PIE
CAUSES = (StatusC.PF, StatusC.UF, StatusC.AF)


def periodic_hz(register_a: int) -> int:
    """The rate of the periodic interrupt; 0: none."""
    select = register_a & 0xF
    if select == 0:
        return 0
    return OSCILLATOR_HZ >> (select + 6 if select < 3 else select - 1)


class Cmos:
    """The clock and 128 bytes of CMOS RAM, behind two ports.

    interrupt: told the level of IRQ 8. start: seconds since 1970 at guest time 0.
    """

    def __init__(
        self, clock: Clock, interrupt: Callable[[bool], None], start: int = VIRTUAL_START
    ) -> None:
        self._clock = clock
        self._interrupt = interrupt
        self._base = start * NANOSECONDS
        """Nanoseconds since 1970 at guest time 0."""
        self._stopped: Moment | None = None
        """The date while SET or a held divider stops the clock."""
        self._index = 0
        self._ram = bytearray(128)
        self._a = DIVIDER_RUNS | 6
        self._b = int(StatusB.HOURS_24)
        self._c = 0
        self._level = False
        self._done = clock.now
        """Guest time up to which events were looked at."""
        self._times: dict[StatusC, int | None] = {}
        """When each flag of register C is set next; empty: to be found anew."""

    def attach(self, ports: PortBus) -> None:
        """Answer at the usual ports."""
        ports.add(CMOS_PORT, 2, self, "CMOS", width=1)

    def reset(self) -> None:
        """The chip's RESET input: interrupts off; date and RAM stay, a battery holds them."""
        self._b &= ~int(ENABLES | StatusB.SQWE)
        self._c = 0
        self._set_level(False)

    def set_memory(self, low: int, high: int) -> None:
        """Fill in the sizes of RAM below and above 4 GiB, in bytes, as firmware does."""
        extended = min((low - MEBIBYTE) >> 10, 0xFFFF) if low > MEBIBYTE else 0
        above = (low - 16 * MEBIBYTE) >> 16 if low > 16 * MEBIBYTE else 0
        for at, size, value in (
            (Register.BASE_KIB, 2, 640),
            (Register.EXTENDED_KIB, 2, extended),
            (Register.EXTENDED_KIB_AGAIN, 2, extended),
            (Register.ABOVE_16M, 2, above),
            (Register.ABOVE_4G, 3, high >> 16),
        ):
            self._ram[at : at + size] = value.to_bytes(size, "little")

    # --- time --------------------------------------------------------------------------------

    def _date_ns(self, now: int) -> int:
        return self._base + now

    def _moment(self) -> Moment:
        if self._stopped is not None:
            return self._stopped
        return moment_at(self._date_ns(self._clock.now) // NANOSECONDS)

    def _stop_or_go(self) -> None:
        """After a write to A or B."""
        stop = self._b & StatusB.SET or self._a & DIVIDER_RESET == DIVIDER_RESET
        if stop and self._stopped is None:
            self._stopped = self._moment()
        elif not stop and self._stopped is not None:
            # The first second after the divider runs again is half a one.
            half = NANOSECONDS // 2
            self._base = seconds_of(self._stopped) * NANOSECONDS + half - self._clock.now
            self._stopped = None

    def _next_second(self, after: int) -> int:
        """The guest time behind `after` at which the next second begins."""
        return after + NANOSECONDS - self._date_ns(after) % NANOSECONDS

    def _next_alarm(self, after: int) -> int | None:
        """The guest time behind `after` at which the alarm matches; None: it never does."""
        wanted = [
            None if byte >= 0xC0 else self._decode_hour(byte) if hour else self._decode(byte)
            for byte, hour in (
                (self._ram[Register.HOURS_ALARM], True),
                (self._ram[Register.MINUTES_ALARM], False),
                (self._ram[Register.SECONDS_ALARM], False),
            )
        ]
        moduli = (24, 60, 60)
        if any(v is not None and v >= most for v, most in zip(wanted, moduli, strict=True)):
            return None
        second = self._date_ns(after) // NANOSECONDS + 1
        end = second + DAY + 3600
        while second < end:
            for unit, value, modulus in zip((3600, 60, 1), wanted, moduli, strict=True):
                if value is not None and second // unit % modulus != value:
                    second = (second // unit + 1) * unit
                    break
            else:
                return second * NANOSECONDS - self._base
        return None

    def _next_periodic(self, after: int) -> int | None:
        hz = periodic_hz(self._a)
        if hz == 0 or self._a & DIVIDER_RESET == DIVIDER_RESET:
            return None
        return -(-(after * hz // NANOSECONDS + 1) * NANOSECONDS // hz)

    def _next(self, flag: StatusC, after: int) -> int | None:
        """When a flag of register C is set next, behind `after`."""
        if flag is StatusC.PF:
            return self._next_periodic(after)
        if self._stopped is not None:
            return None
        return self._next_second(after) if flag is StatusC.UF else self._next_alarm(after)

    def _causes(self) -> dict[StatusC, int | None]:
        """When each flag of register C is set next."""
        if not self._times:
            self._times = {flag: self._next(flag, self._done) for flag in CAUSES}
        return self._times

    def next_event(self) -> int | None:
        """When the next interrupt is due; None: none is enabled, or one is already asked for."""
        if not self._b & ENABLES or self._c & StatusC.IRQF:
            return None
        times = [
            time for flag, time in self._causes().items() if self._b & flag and time is not None
        ]
        return min(times, default=None)

    def run_events(self) -> None:
        """Set the flags of what has happened, and ask for an interrupt if one is enabled."""
        now = self._clock.now
        causes = self._causes()
        for flag, time in causes.items():
            if time is not None and time <= now:
                self._c |= flag
                causes[flag] = self._next(flag, now)
        self._done = now
        self._update()

    def _update(self) -> None:
        # The enables in B stand where the flags stand in C.
        if self._c & self._b & ENABLES:
            self._c |= StatusC.IRQF
        else:
            self._c &= ~int(StatusC.IRQF)
        self._set_level(bool(self._c & StatusC.IRQF))

    def _set_level(self, level: bool) -> None:
        if level != self._level:
            self._level = level
            self._interrupt(level)

    # --- representation ----------------------------------------------------------------------

    def _encode(self, value: int) -> int:
        return value if self._b & StatusB.BINARY else value // 10 << 4 | value % 10

    def _decode(self, value: int) -> int:
        return value if self._b & StatusB.BINARY else (value >> 4) * 10 + (value & 0xF)

    def _encode_hour(self, hour: int) -> int:
        if self._b & StatusB.HOURS_24:
            return self._encode(hour)
        return self._encode((hour + 11) % 12 + 1) | (PM if hour >= 12 else 0)

    def _decode_hour(self, value: int) -> int:
        if self._b & StatusB.HOURS_24:
            return self._decode(value)
        return self._decode(value & ~PM) % 12 + (12 if value & PM else 0)

    def _read_clock(self, register: int) -> int:
        moment = self._moment()
        if register == Register.HOURS:
            return self._encode_hour(moment.hour)
        return self._encode(
            {
                Register.SECONDS: moment.second,
                Register.MINUTES: moment.minute,
                Register.WEEKDAY: moment.weekday,
                Register.DAY: moment.day,
                Register.MONTH: moment.month,
                Register.YEAR: moment.year % 100,
            }.get(Register(register), moment.year // 100 % 100)
        )

    def _write_clock(self, register: int, value: int) -> None:
        moment = self._moment()
        number = self._decode(value)
        match register:
            case Register.SECONDS:
                moment = replace(moment, second=number)
            case Register.MINUTES:
                moment = replace(moment, minute=number)
            case Register.HOURS:
                moment = replace(moment, hour=self._decode_hour(value))
            case Register.DAY:
                moment = replace(moment, day=number)
            case Register.MONTH:
                moment = replace(moment, month=number)
            case Register.YEAR:
                moment = replace(moment, year=moment.year // 100 * 100 + number % 100)
            case Register.CENTURY:
                moment = replace(moment, year=number % 100 * 100 + moment.year % 100)
            case _:
                return  # IMPDEF: the day of the week follows from the date
        if self._stopped is not None:
            self._stopped = moment
        else:
            fraction = self._date_ns(self._clock.now) % NANOSECONDS
            self._base = seconds_of(moment) * NANOSECONDS + fraction - self._clock.now

    # --- ports -------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """The byte that the index selects; the index itself cannot be read."""
        if offset == 0:
            return 0xFF
        self.run_events()
        if self._index in CLOCK_REGISTERS:
            return self._read_clock(self._index)
        match self._index:
            case Register.A:
                return self._a | (UIP if self._updating() else 0)
            case Register.B:
                return self._b
            case Register.C:
                value, self._c = self._c, 0
                self._update()
                return value
            case Register.D:
                return VRT
            case _:
                return self._ram[self._index]

    def _updating(self) -> bool:
        left = NANOSECONDS - self._date_ns(self._clock.now) % NANOSECONDS
        return self._stopped is None and left <= UPDATE_NS

    def write(self, offset: int, size: int, value: int) -> None:
        """Select a byte, or store the selected one."""
        if offset == 0:
            self._index = value & 0x7F
            return
        self.run_events()
        self._times.clear()
        if self._index in CLOCK_REGISTERS:
            self._write_clock(self._index, value)
            return
        match self._index:
            case Register.A:
                self._a = value & ~UIP
                self._stop_or_go()
            case Register.B:
                self._b = value & ~int(StatusB.UIE) if value & StatusB.SET else value
                self._stop_or_go()
                self._update()
            case Register.C | Register.D:
                pass
            case _:
                self._ram[self._index] = value
