"""The pair of 8259A interrupt controllers, with the chip set's edge/level registers.

ref: Intel 8259A data sheet; 82371AB (PIIX4) ELCR.
"""

from collections.abc import Callable
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.bus import PortBus

MASTER_PORT, SLAVE_PORT, ELCR_PORT = 0x20, 0xA0, 0x4D0
CASCADE = 2
"""The master's input that the slave's output is wired to."""
ELCR_MASKS = (0xF8, 0xDE)
"""Inputs that may be level-triggered: not the timer, keyboard, cascade, clock and FPU."""
SPURIOUS = 7


class Icw1(IntFlag):
    """The initialization command word that is written to the first port."""

    IC4 = 1
    SNGL = 2
    LTIM = 8  # UNMODELLED: the chip set takes edge or level from the ELCR alone
    INITIALIZE = 16


class Icw4(IntFlag):
    """The last initialization command word."""

    MICROPROCESSOR = 1
    AEOI = 2
    SFNM = 16


class Ocw2(IntEnum):
    """The command in bits 7:5 of an operation command word whose bits 4:3 are 0."""

    ROTATE_AEOI_CLEAR = 0
    EOI = 1
    NOTHING = 2
    SPECIFIC_EOI = 3
    ROTATE_AEOI_SET = 4
    ROTATE_EOI = 5
    SET_PRIORITY = 6
    ROTATE_SPECIFIC_EOI = 7


class Ocw3(IntFlag):
    """An operation command word whose bits 4:3 are 01."""

    RIS = 1
    RR = 2
    POLL = 4
    MARK = 8
    SMM = 32
    ESMM = 64


class Pic:
    """One 8259A, behind two ports."""

    def __init__(self, slave: bool, changed: Callable[[], None]) -> None:
        self.slave = slave
        self.elcr = 0
        self.lines = 0
        """Levels of the inputs."""
        self._changed = changed
        self.base = 0
        self.imr = self.isr = self.irr = 0
        self._step = 0
        """Which ICW is awaited; 0: none."""
        self._icw1 = 0
        self._aeoi = self._rotate_aeoi = self._sfnm = False
        self._lowest = 7
        self._special_mask = self._read_isr = self._poll = False

    def set_line(self, number: int, level: bool) -> None:
        """An input's level; IRR latches rising edges, or follows a level-triggered input."""
        bit = 1 << number
        if self.elcr & bit:
            self.irr = self.irr | bit if level else self.irr & ~bit
        elif level and not self.lines & bit:
            self.irr |= bit
        self.lines = self.lines | bit if level else self.lines & ~bit

    def set_elcr(self, value: int) -> None:
        """Which inputs are level-triggered."""
        self.elcr = value & ELCR_MASKS[self.slave]
        self.irr = self.irr & ~self.elcr | self.lines & self.elcr

    def _rank(self, bits: int) -> int:
        """Priority of the most urgent of some inputs, 0 being the highest; 8: none."""
        for rank in range(8):
            if bits >> ((self._lowest + 1 + rank) & 7) & 1:
                return rank
        return 8

    def pending(self) -> int | None:
        """The input that asks for service now."""
        wanted = self._rank(self.irr & ~self.imr)
        if wanted == 8:
            return None
        number = (self._lowest + 1 + wanted) & 7
        served = self.isr
        if self._special_mask:
            served &= ~self.imr
        if self._sfnm and not self.slave:
            served &= ~(1 << CASCADE)
        return number if wanted < self._rank(served) else None

    def acknowledge(self) -> int:
        """The interrupt-acknowledge cycle: the input that is served; 7 if none asks any more."""
        number = self.pending()
        if number is None:
            return SPURIOUS
        self._serve(number)
        return number

    def _serve(self, number: int) -> None:
        bit = 1 << number
        if not self.elcr & bit:
            self.irr &= ~bit
        if not self._aeoi:
            self.isr |= bit
        elif self._rotate_aeoi:
            self._lowest = number

    # --- ports -------------------------------------------------------------------------------

    def read(self, offset: int, size: int) -> int:
        """IRR, ISR or, at the second port, IMR; the answer to a poll at either."""
        if self._poll:
            self._poll = False
            number = self.pending()
            if number is None:
                return 0
            self._serve(number)
            self._changed()
            return 0x80 | number
        if offset == 1:
            return self.imr
        return self.isr if self._read_isr else self.irr

    def write(self, offset: int, size: int, value: int) -> None:
        """A command word."""
        if offset == 0 and value & Icw1.INITIALIZE:
            self._initialize(value)
        elif offset == 0 and value & Ocw3.MARK:
            self._write_ocw3(value)
        elif offset == 0:
            self._write_ocw2(value >> 5, value & 7)
        elif self._step == 0:
            self.imr = value
        else:
            self._continue(value)
        self._changed()

    def _initialize(self, value: int) -> None:
        self._icw1, self._step = value, 2
        self.imr = self.isr = 0
        self.irr = self.lines & self.elcr
        self._lowest = 7
        self._special_mask = self._read_isr = self._poll = False
        self._aeoi = self._rotate_aeoi = self._sfnm = False

    def _continue(self, value: int) -> None:
        behind_icw3 = 4 if self._icw1 & Icw1.IC4 else 0
        if self._step == 2:
            self.base = value & 0xF8
            self._step = behind_icw3 if self._icw1 & Icw1.SNGL else 3
        elif self._step == 3:
            self._step = behind_icw3  # ICW3 has nothing to tell: the pair is wired as it is
        else:
            self._aeoi = bool(value & Icw4.AEOI)
            self._sfnm = bool(value & Icw4.SFNM)
            self._step = 0

    def _write_ocw2(self, command: int, number: int) -> None:
        match command:
            case Ocw2.ROTATE_AEOI_CLEAR | Ocw2.ROTATE_AEOI_SET:
                self._rotate_aeoi = command == Ocw2.ROTATE_AEOI_SET
            case Ocw2.EOI | Ocw2.ROTATE_EOI:
                served = self.isr & ~self.imr if self._special_mask else self.isr
                rank = self._rank(served)
                if rank < 8:
                    number = (self._lowest + 1 + rank) & 7
                    self.isr &= ~(1 << number)
                    if command == Ocw2.ROTATE_EOI:
                        self._lowest = number
            case Ocw2.SPECIFIC_EOI | Ocw2.ROTATE_SPECIFIC_EOI:
                self.isr &= ~(1 << number)
                if command == Ocw2.ROTATE_SPECIFIC_EOI:
                    self._lowest = number
            case Ocw2.SET_PRIORITY:
                self._lowest = number
            case _:
                pass

    def _write_ocw3(self, value: int) -> None:
        if value & Ocw3.POLL:
            self._poll = True
        elif value & Ocw3.RR:
            self._read_isr = bool(value & Ocw3.RIS)
        if value & Ocw3.ESMM:
            self._special_mask = bool(value & Ocw3.SMM)


class PicPair:
    """Master and slave: sixteen inputs, one INTR line to the processor.

    interrupt: told each change of INTR.
    """

    def __init__(self, interrupt: Callable[[bool], None]) -> None:
        self._interrupt = interrupt
        self.intr = False
        self.master = Pic(slave=False, changed=self._update)
        self.slave = Pic(slave=True, changed=self._update)

    def attach(self, ports: PortBus) -> None:
        """Answer at the usual ports."""
        ports.add(MASTER_PORT, 2, self.master, "8259 master", width=1)
        ports.add(SLAVE_PORT, 2, self.slave, "8259 slave", width=1)
        ports.add(ELCR_PORT, 2, self, "ELCR", width=1)

    def reset(self) -> None:
        """Power-on state; the inputs keep their levels."""
        for pic in (self.master, self.slave):
            lines = pic.lines
            Pic.__init__(pic, pic.slave, self._update)
            pic.lines = lines
        self._update()

    def set_irq(self, number: int, level: bool) -> None:
        """The level of one of the inputs 0 to 15; input 2 is the cascade and takes none."""
        if number == CASCADE:
            return
        (self.slave if number & 8 else self.master).set_line(number & 7, level)
        self._update()

    def _update(self) -> None:
        self.master.set_line(CASCADE, self.slave.pending() is not None)
        level = self.master.pending() is not None
        if level != self.intr:
            self.intr = level
            self._interrupt(level)

    def acknowledge(self) -> int:
        """The processor takes the interrupt: its vector (8 bits)."""
        number = self.master.acknowledge()
        if number == CASCADE:
            vector = self.slave.base | self.slave.acknowledge()
            self.master.set_line(CASCADE, False)  # INT drops in the cycle, whatever comes next
        else:
            vector = self.master.base | number
        self._update()
        return vector

    def read(self, offset: int, size: int) -> int:
        """An edge/level register: the master's, then the slave's."""
        return (self.master, self.slave)[offset].elcr

    def write(self, offset: int, size: int, value: int) -> None:
        """Choose level-triggered inputs."""
        (self.master, self.slave)[offset].set_elcr(value)
        self._update()
