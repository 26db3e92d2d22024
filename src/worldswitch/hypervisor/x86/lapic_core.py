"""A virtual local APIC's states: what it accepts, and what the processor is to take of it.

ref: APM2 16 Advanced Programmable Interrupt Controller
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worldswitch.arch.x86.apic import (
    DEFAULT_BASE,
    DELIVERY_SHIFT,
    DFR_FLAT,
    LOWEST_VECTOR,
    LVT_RESET,
    SPURIOUS_RESET,
    VERSION,
    ApicBase,
    ApicRegister,
    DeliveryMode,
    Esr,
    Icr,
    Lvt,
    Svr,
    x2apic_logical_id,
)
from worldswitch.hypervisor.x86.apic_bus import ApicBus
from worldswitch.hypervisor.x86.events import (
    ExternalInterrupt,
    NonMaskable,
    X86Event,
    general_protection,
)
from worldswitch.hypervisor.x86.lapic_timer import ApicTimer
from worldswitch.hypervisor.x86.state import MASK32, MASK64

R = ApicRegister
PAGE = ~0xFFF
BUSY = int(Icr.DS)
AE, EXTD, BSC = int(ApicBase.AE), int(ApicBase.EXTD), int(ApicBase.BSC)
ASE, MASKED, TSC_DEADLINE = int(Svr.ASE), int(Lvt.M), int(Lvt.TSC_DEADLINE)
SVR_WRITABLE = int(0xFF | Svr.ASE | Svr.FCC)
LVT_ENTRIES = 6
VERSION_REGISTER = VERSION | (LVT_ENTRIES - 1) << 16
LVT_FIXED = int(0xFF | Lvt.M)
_LVT_FIELDS: dict[int, int] = {
    R.LVT_TIMER: LVT_FIXED | Lvt.TMM | Lvt.TSC_DEADLINE,
    R.LVT_THERMAL: LVT_FIXED | 7 << DELIVERY_SHIFT,
    R.LVT_PERFORMANCE: LVT_FIXED | 7 << DELIVERY_SHIFT,
    R.LVT_LINT0: LVT_FIXED | 7 << DELIVERY_SHIFT | Lvt.POLARITY | Lvt.TGM,
    R.LVT_LINT1: LVT_FIXED | 7 << DELIVERY_SHIFT | Lvt.POLARITY | Lvt.TGM,
    R.LVT_ERROR: LVT_FIXED,
}
LVT_WRITABLE = {offset: int(mask) for offset, mask in _LVT_FIELDS.items()}
ALL_PHYSICAL = 0xFF
ALL_X2APIC = MASK32


class Owner(Protocol):
    """What a local APIC is part of."""

    def interrupts_changed(self) -> None:
        """What the APIC wants the processor to take may have changed."""
        ...

    def timer_changed(self) -> None:
        """The time at which the timer expires may have changed."""
        ...

    def signal(self, event: X86Event) -> None:
        """An NMI, INIT, start-up IPI or external interrupt arrives."""
        ...


@dataclass(frozen=True, slots=True)
class ApicOptions:
    """What a local APIC has, and its clocks in hertz."""

    x2apic: bool
    tsc_deadline: bool
    tsc_hz: int
    apic_hz: int


class ApicCore:
    """The local APIC of the virtual CPU `number`, which is its APIC ID too."""

    def __init__(
        self, number: int, bus: ApicBus, owner: Owner, now: Callable[[], int], options: ApicOptions
    ) -> None:
        self.number = number
        self.bus = bus
        self.options = options
        self._owner = owner
        self.changed = owner.interrupts_changed
        self.signal = owner.signal
        self.timer = ApicTimer(now, options.tsc_hz, options.apic_hz, owner.timer_changed)
        self.base = 0
        self.page = -1
        """The guest physical address of its registers, -1 if they are not in storage's space."""
        self.irr = self.isr = self.tmr = 0
        """One bit for each vector."""
        self.tpr = 0
        self.lvt: dict[int, int] = {}
        bus.apics.append(self)
        self.reset()

    # States.

    def reset(self) -> None:
        """RESET: everything, with the APIC enabled and its page at the usual place."""
        self.base = DEFAULT_BASE | AE | (BSC if self.number == 0 else 0)
        self.apic_id = self.number & 0xFF
        self.initialize()

    def initialize(self) -> None:
        """INIT: all but the base and the ID. ref: APM2 16.3.4 Local APIC Enable."""
        self.irr = self.isr = self.tmr = 0
        self.tpr = 0
        self.ldr = 0
        self.dfr = DFR_FLAT
        self.svr = SPURIOUS_RESET
        self.esr = self.errors = 0
        self.icr = 0
        self.lvt = dict.fromkeys(LVT_WRITABLE, LVT_RESET)
        del self.lvt[R.LVT_TIMER]
        self.timer.reset()
        self.mode_changed()
        self.changed()

    def mode_changed(self) -> None:
        """The base register was set."""
        on, x2apic = self.base & AE, self.base & EXTD
        self.enabled = bool(on)
        self.x2apic = bool(x2apic)
        self.page = self.base & PAGE & MASK64 if on and not x2apic else -1

    def at(self, address: int) -> bool:
        """Whether a guest physical address is one of its registers."""
        return address & PAGE == self.page

    @property
    def software_enabled(self) -> bool:
        """Whether it accepts interrupts."""
        return self.enabled and bool(self.svr & ASE)

    def set_base(self, value: int) -> None:
        """Write APIC_BASE; #GP for modes that cannot follow each other. ref: APM2 16.9."""
        modes = AE | EXTD
        allowed = 0x000F_FFFF_FFFF_F000 | BSC | modes
        if not self.options.x2apic:
            allowed &= ~EXTD
        if value & ~allowed:
            raise general_protection()
        old, new = self.base & modes, value & modes
        if new == EXTD or (new == modes and not old):
            raise general_protection()
        if old == modes and new == AE:
            raise general_protection()
        self.base = value
        if new != old:
            if not new:
                self.initialize()
            elif new == modes:
                self.icr &= MASK32
            self.mode_changed()
            self.changed()

    def virtual_wire(self) -> None:
        """What firmware sets up: enabled, LINT0 for the 8259 pair, LINT1 for NMIs."""
        self.svr |= ASE
        self.lvt[R.LVT_LINT0] = DeliveryMode.EXTINT << DELIVERY_SHIFT
        self.lvt[R.LVT_LINT1] = DeliveryMode.NMI << DELIVERY_SHIFT
        self.changed()

    # Interrupts that arrive.

    def accept(self, vector: int, trigger: bool = False) -> None:
        """A fixed interrupt; `trigger`: level-triggered."""
        if not self.software_enabled:
            return
        if vector < LOWEST_VECTOR:
            self.error(Esr.RECEIVED_ILLEGAL_VECTOR)
            return
        bit = 1 << vector
        self.irr |= bit
        if trigger:
            self.tmr |= bit
        else:
            self.tmr &= ~bit
        self.changed()

    def is_meant(self, destination: int, logical: bool) -> bool:
        """Whether a message's destination is this APIC. ref: APM2 16.6.1; APM2 16.14."""
        if not self.enabled:
            return False
        if self.x2apic:
            if destination == ALL_X2APIC:
                return True
            if not logical:
                return destination in (self.number, ALL_PHYSICAL)
            own = x2apic_logical_id(self.number)
            return own >> 16 == destination >> 16 and bool(own & destination & 0xFFFF)
        if not logical:
            return destination in (self.apic_id, ALL_PHYSICAL, ALL_X2APIC)
        own = self.ldr >> 24
        if self.dfr == DFR_FLAT:
            return bool(own & destination)
        if destination == ALL_PHYSICAL:
            return True
        return own >> 4 == destination >> 4 and bool(own & destination & 0xF)

    def lint(self, pin: int) -> None:
        """A pulse on the pin LINT0 or LINT1."""
        self._local(R.LVT_LINT1 if pin else R.LVT_LINT0)

    def _local(self, entry: int) -> None:
        """An event of the local vector table."""
        value = self.timer.lvt if entry == R.LVT_TIMER else self.lvt[entry]
        if value & MASKED or not self.enabled:
            return
        mode = value >> DELIVERY_SHIFT & 7
        if mode == DeliveryMode.FIXED or entry == R.LVT_TIMER:
            self.accept(value & 0xFF)
        elif mode == DeliveryMode.NMI:
            self.signal(NonMaskable())
        elif mode == DeliveryMode.EXTINT:
            self.signal(ExternalInterrupt())

    @property
    def accepts_extint(self) -> bool:
        """Whether the 8259 pair's INTR line, on LINT0, gets through."""
        if not self.enabled:
            return self.number == 0
        lint0 = self.lvt[R.LVT_LINT0]
        return not lint0 & MASKED and lint0 >> DELIVERY_SHIFT & 7 == DeliveryMode.EXTINT

    def check_timer(self, now: int) -> None:
        """The time is `now`: deliver the timer's interrupt if it has expired."""
        if self.timer.expire(now):
            self._local(R.LVT_TIMER)

    def error(self, bits: int) -> None:
        """An error is detected. ref: APM2 16.4.6 Error Status Register."""
        self.errors |= bits
        self._local(R.LVT_ERROR)

    # Interrupts that the processor takes.

    @property
    def processor_priority(self) -> int:
        """PPR. ref: APM2 16.6.4 Processor Priority Register."""
        isr = self.isr
        if not isr:
            return self.tpr
        in_service = isr.bit_length() - 1 & 0xF0
        return self.tpr if self.tpr & 0xF0 >= in_service else in_service

    def pending_vector(self) -> int:
        """The vector that the processor is to take, 0 if there is none."""
        irr = self.irr
        if not irr:
            return 0
        vector = irr.bit_length() - 1
        return vector if vector & 0xF0 > self.processor_priority & 0xF0 else 0

    def offered_vector(self) -> int:
        """The vector that the processor may take as soon as TPR allows it, 0 if there is none."""
        irr = self.irr
        if not irr:
            return 0
        vector = irr.bit_length() - 1
        isr = self.isr
        return vector if not isr or vector & 0xF0 > isr.bit_length() - 1 & 0xF0 else 0

    def accepted(self, vector: int) -> None:
        """The processor has taken the interrupt: it is in service."""
        bit = 1 << vector
        self.irr &= ~bit
        self.isr |= bit
        self.changed()

    def end_of_interrupt(self) -> None:
        """EOI: the highest interrupt in service ends. ref: APM2 16.6.5 End of Interrupt."""
        isr = self.isr
        if not isr:
            return
        vector = isr.bit_length() - 1
        bit = 1 << vector
        self.isr = isr & ~bit
        if self.tmr & bit:
            self.tmr &= ~bit
            self.bus.end_of_interrupt(vector)
        if self.irr:
            self.changed()

    def set_cr8(self, value: int) -> None:
        """CR8 was written: the upper half of TPR, with the lower half zero."""
        self.tpr = value << 4
