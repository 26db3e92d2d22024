"""A 16550A serial port. ref: National Semiconductor PC16550D.

Characters leave at once: the transmitter is never busy. Received characters wait on the line until
the receiver has room.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum

from worldswitch.machine.x86.clock import NANOSECONDS, Clock

COM1, COM1_IRQ = 0x3F8, 4
PORTS = 8
FIFO_SIZE = 16
CLOCK_HZ = 1_843_200
TIMEOUT_CHARACTERS = 4


class Register(IntEnum):
    """Offsets; with DLAB the first two are the divisor's latches."""

    DATA = 0
    IER = 1
    IIR_FCR = 2
    LCR = 3
    MCR = 4
    LSR = 5
    MSR = 6
    SCR = 7


# Bits of registers are plain integers: calculating with flags of an enumeration would take most of
# the time that a character takes.


class Ier:
    """Interrupts that are enabled."""

    RDA = 1
    THRE = 2
    LINE = 4
    MODEM = 8


class Iir(IntEnum):
    """The pending interrupt of highest priority, in bits 3:0."""

    NONE = 1
    MODEM = 0
    THRE = 2
    RDA = 4
    LINE = 6
    TIMEOUT = 12


class Fcr:
    """FIFO control."""

    ENABLE = 1
    CLEAR_RECEIVER = 2
    CLEAR_TRANSMITTER = 4


class Mcr:
    """Modem control."""

    DTR = 1
    RTS = 2
    OUT1 = 4
    OUT2 = 8
    LOOP = 16


class Lsr:
    """Line status."""

    DR = 1
    OE = 2
    PE = 4
    FE = 8
    BI = 16
    THRE = 32
    TEMT = 64


class Msr:
    """Modem status: changes in the low half, lines in the high half."""

    DCTS = 1
    DDSR = 2
    TERI = 4
    DDCD = 8
    CTS = 16
    DSR = 32
    RI = 64
    DCD = 128


DLAB = 0x80
FIFOS_ON = 0xC0
TRIGGERS = (1, 4, 8, 14)
CONNECTED = Msr.CTS | Msr.DSR | Msr.DCD


class Uart:
    """One serial port, behind eight ports of one byte.

    output: takes what the guest sends. interrupt: told the level of the interrupt line.
    """

    def __init__(
        self, clock: Clock, output: Callable[[bytes], None], interrupt: Callable[[bool], None]
    ) -> None:
        self._clock = clock
        self._output = output
        self._interrupt = interrupt
        self.waiting = bytearray()
        """Characters on the line, for which the receiver has no room yet."""
        self.reset()

    def reset(self) -> None:
        """Master reset."""
        self._receiver: deque[int] = deque()
        self._ier = self._lcr = self._mcr = self._scratch = 0
        self._fcr = 0
        self._trigger = 1
        self._divisor = 12
        self._errors = 0
        self._thre_pending = False
        self._modem = CONNECTED
        self._deadline: int | None = None
        self._timed_out = False
        self._level = False
        self._interrupt(False)

    # --- the line ----------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Characters arrive on the line."""
        self.waiting += data
        self._take_from_line()
        self._update()

    def _take_from_line(self) -> None:
        size = FIFO_SIZE if self._fcr & Fcr.ENABLE else 1
        room = size - len(self._receiver)
        if room > 0 and self.waiting and not self._mcr & Mcr.LOOP:
            self._receiver.extend(self.waiting[:room])
            del self.waiting[:room]
            self._restart_timeout()

    def _put(self, value: int) -> None:
        """A character reaches the receiver though there may be no room: the loopback's."""
        if not self._fcr & Fcr.ENABLE and self._receiver:
            self._receiver[0] = value
            self._errors |= Lsr.OE
        elif len(self._receiver) >= FIFO_SIZE:
            self._errors |= Lsr.OE
        else:
            self._receiver.append(value)
        self._restart_timeout()

    def _character_time(self) -> int:
        """Nanoseconds that a character takes on the line."""
        bits = 1 + 5 + (self._lcr & 3) + (self._lcr >> 3 & 1) + 1 + (self._lcr >> 2 & 1)
        return NANOSECONDS * bits * 16 * (self._divisor or 0x10000) // CLOCK_HZ

    def _restart_timeout(self) -> None:
        self._timed_out = False
        if self._fcr & Fcr.ENABLE and self._receiver:
            self._deadline = self._clock.now + TIMEOUT_CHARACTERS * self._character_time()
        else:
            self._deadline = None

    def next_event(self) -> int | None:
        """When the receiver's timeout is due."""
        return self._deadline if self._ier & Ier.RDA else None

    def run_events(self) -> None:
        """Let the timeout pass if it is due."""
        if self._deadline is not None and self._clock.now >= self._deadline:
            self._deadline = None
            self._timed_out = True
            self._update()

    # --- interrupts --------------------------------------------------------------------------

    def _identify(self) -> Iir:
        if self._ier & Ier.LINE and self._errors:
            return Iir.LINE
        if self._ier & Ier.RDA and self._receiver:
            if not self._fcr & Fcr.ENABLE or len(self._receiver) >= self._trigger:
                return Iir.RDA
            if self._timed_out:
                return Iir.TIMEOUT
        if self._ier & Ier.THRE and self._thre_pending:
            return Iir.THRE
        if self._ier & Ier.MODEM and self._modem & 0xF:
            return Iir.MODEM
        return Iir.NONE

    def _update(self) -> None:
        # OUT2 gates the line on every PC's serial port; in loopback it is taken for off.
        gate = self._mcr & Mcr.OUT2 and not self._mcr & Mcr.LOOP
        level = bool(gate) and self._identify() is not Iir.NONE
        if level != self._level:
            self._level = level
            self._interrupt(level)

    # --- registers ---------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """A register."""
        self.run_events()
        match offset:
            case Register.DATA:
                return self._divisor & 0xFF if self._lcr & DLAB else self._read_data()
            case Register.IER:
                return self._divisor >> 8 if self._lcr & DLAB else self._ier
            case Register.IIR_FCR:
                return self._read_iir()
            case Register.LCR:
                return self._lcr
            case Register.MCR:
                return self._mcr
            case Register.LSR:
                return self._read_lsr()
            case Register.MSR:
                return self._read_msr()
            case _:
                return self._scratch

    def _read_data(self) -> int:
        value = self._receiver.popleft() if self._receiver else 0
        self._take_from_line()
        self._restart_timeout()
        self._update()
        return value

    def _read_iir(self) -> int:
        found = self._identify()
        if found is Iir.THRE:
            self._thre_pending = False
            self._update()
        return found | (FIFOS_ON if self._fcr & Fcr.ENABLE else 0)

    def _read_lsr(self) -> int:
        value = Lsr.THRE | Lsr.TEMT | self._errors | (Lsr.DR if self._receiver else 0)
        self._errors = 0
        self._update()
        return value

    def _read_msr(self) -> int:
        value = self._modem
        self._modem &= 0xF0
        self._update()
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """Store a register."""
        self.run_events()
        match offset:
            case Register.DATA if self._lcr & DLAB:
                self._divisor = self._divisor & 0xFF00 | value
            case Register.IER if self._lcr & DLAB:
                self._divisor = self._divisor & 0xFF | value << 8
            case Register.DATA:
                self._write_data(value)
            case Register.IER:
                # Enabling the interrupt of an empty transmitter raises it.
                if value & Ier.THRE and not self._ier & Ier.THRE:
                    self._thre_pending = True
                self._ier = value & 0xF
            case Register.IIR_FCR:
                self._write_fcr(value)
            case Register.LCR:
                self._lcr = value
            case Register.MCR:
                self._write_mcr(value)
            case Register.SCR:
                self._scratch = value
            case _:
                pass  # LSR and MSR: writes are for the factory
        self._update()

    def _write_data(self, value: int) -> None:
        if self._mcr & Mcr.LOOP:
            self._put(value)
        else:
            self._output(bytes([value]))
        self._thre_pending = True

    def _write_fcr(self, value: int) -> None:
        if (value ^ self._fcr) & Fcr.ENABLE or value & Fcr.CLEAR_RECEIVER:
            self._receiver.clear()
        self._fcr = value & Fcr.ENABLE
        self._trigger = TRIGGERS[value >> 6] if self._fcr else 1
        self._take_from_line()
        self._restart_timeout()

    def _write_mcr(self, value: int) -> None:
        self._mcr = value & 0x1F
        if self._mcr & Mcr.LOOP:
            lines = {
                Mcr.RTS: Msr.CTS, Mcr.DTR: Msr.DSR, Mcr.OUT1: Msr.RI, Mcr.OUT2: Msr.DCD,
            }  # fmt: skip
            self._set_lines(sum(line for bit, line in lines.items() if self._mcr & bit))
        else:
            self._set_lines(CONNECTED)
            self._take_from_line()

    def _set_lines(self, lines: int) -> None:
        changed = (self._modem ^ lines) & 0xF0
        deltas = changed >> 4 & ~Msr.TERI
        if self._modem & Msr.RI and not lines & Msr.RI:
            deltas |= Msr.TERI
        self._modem = lines | self._modem & 0xF | deltas
