"""ACPI fixed hardware: PM1 events and control, the PM timer. ref: ACPI 6.5, 4.8.

The machine is in ACPI mode from the start, so there is no SMI command to switch it.
"""

from collections.abc import Callable
from enum import IntFlag

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.clock import Clock, ticks_at, time_of_tick

PM_TIMER_HZ = 3_579_545
PM_PORT, PM_PORTS = 0x600, 12
STATUS, ENABLE, CONTROL, TIMER = 0, 2, 4, 8
"""Offsets of the PM1 event and control registers and of the timer."""
HALF = 31
"""The timer bit whose change sets TMR_STS: the highest of 32."""
SLEEP_TYPE_S5 = 5


class Pm1(IntFlag):
    """Events in the status and enable registers."""

    TMR = 1 << 0
    BM = 1 << 4
    GBL = 1 << 5
    PWRBTN = 1 << 8
    SLPBTN = 1 << 9
    RTC = 1 << 10
    WAK = 1 << 15


ENABLES = int(Pm1.TMR | Pm1.GBL | Pm1.PWRBTN | Pm1.SLPBTN | Pm1.RTC)


class Pm1Control(IntFlag):
    """The control register, beside SLP_TYP in bits 12:10."""

    SCI_EN = 1 << 0
    BM_RLD = 1 << 1
    GBL_RLS = 1 << 2
    SLP_EN = 1 << 13


SLEEP_TYPE_SHIFT = 10
KEPT = int(Pm1Control.BM_RLD) | 7 << SLEEP_TYPE_SHIFT
"""Bits of the control register that keep what is written."""


class PowerManagement:
    """The PM1 registers and the timer, behind twelve ports.

    sci: told the level of the system control interrupt. power_off: called when the guest enters S5.
    """

    def __init__(
        self, clock: Clock, sci: Callable[[bool], None], power_off: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._sci = sci
        self._power_off = power_off
        self.reset()

    def attach(self, ports: PortBus) -> None:
        """Answer at the ports that the FADT names."""
        ports.add(PM_PORT, PM_PORTS, self, "ACPI PM1 and timer")

    def reset(self) -> None:
        """No event happened, none is enabled."""
        self._status = self._enable = self._control = 0
        self._done = self._ticks()
        self._level = False
        self._sci(False)

    def press_power_button(self) -> None:
        """The guest is asked to shut down."""
        self._status |= Pm1.PWRBTN
        self._update()

    def _ticks(self) -> int:
        return ticks_at(self._clock.now, PM_TIMER_HZ)

    def _carry(self) -> int:
        """The tick behind the last look at which the timer's highest bit changes."""
        return ((self._done >> HALF) + 1) << HALF

    def next_event(self) -> int | None:
        """When the timer's highest bit changes, if that interrupts."""
        if not self._enable & Pm1.TMR or self._status & Pm1.TMR:
            return None
        return time_of_tick(self._carry(), PM_TIMER_HZ)

    def run_events(self) -> None:
        """Set TMR_STS if the highest bit has changed."""
        now = self._ticks()
        if self._carry() <= now:
            self._status |= Pm1.TMR
        self._done = now
        self._update()

    def _update(self) -> None:
        level = bool(self._status & self._enable)
        if level != self._level:
            self._level = level
            self._sci(level)

    def read(self, offset: int, size: int) -> int:
        """Registers, by bytes of any number."""
        self.run_events()
        image = b"".join(
            value.to_bytes(width, "little")
            for value, width in (
                (self._status, 2),
                (self._enable, 2),
                (self._control | Pm1Control.SCI_EN, 4),
                (self._ticks() & 0xFFFF_FFFF, 4),
            )
        )
        return int.from_bytes(image[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Store registers; ones in the status register clear what they stand for."""
        self.run_events()
        for at, byte in enumerate(value.to_bytes(size, "little"), offset):
            shift = 8 * (at & 1)
            match at & ~1:
                case 0:
                    self._status &= ~(byte << shift)
                case 2:
                    self._enable = (self._enable & ~(0xFF << shift) | byte << shift) & ENABLES
                case 4:
                    self._write_control(byte, shift)
                case _:
                    pass
        self._update()

    def _write_control(self, byte: int, shift: int) -> None:
        written = byte << shift
        self._control = (self._control & ~(0xFF << shift) | written) & KEPT
        sleep_type = self._control >> SLEEP_TYPE_SHIFT & 7
        # Sleep types that no \_Sx object names do nothing.
        if written & Pm1Control.SLP_EN and sleep_type == SLEEP_TYPE_S5:
            self._power_off()
