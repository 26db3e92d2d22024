"""Interruptions that are pending for one guest CPU. ref: PoP 6 Priority of Interruptions."""

from dataclasses import replace
from enum import IntEnum

from worldswitch.arch.s390x.machine_check import EXIGENT
from worldswitch.arch.s390x.program import PER
from worldswitch.hypervisor.sie.events import (
    BusyError,
    ClockComparator,
    CpuTimer,
    EmergencySignal,
    ExternalCall,
    InterruptKey,
    LocalEvent,
    MachineCheck,
    MalfunctionAlert,
    ProgramEvent,
    Restart,
    SetPrefix,
    Stop,
)


class Irq(IntEnum):
    """Kinds of interruptions, the highest priority first; each is a bit of a pending bitmap."""

    MCHK_EXIGENT = 0
    PROGRAM = 1
    MCHK_REPRESSIBLE = 2
    INTERRUPT_KEY = 3
    MALFUNCTION_ALERT = 4
    EMERGENCY_SIGNAL = 5
    EXTERNAL_CALL = 6
    CLOCK_COMPARATOR = 7
    CPU_TIMER = 8
    SERVICE_SIGNAL = 9
    CP_SERVICE = 10
    IO_0 = 11
    IO_1 = 12
    IO_2 = 13
    IO_3 = 14
    IO_4 = 15
    IO_5 = 16
    IO_6 = 17
    IO_7 = 18
    RESTART = 19
    SET_PREFIX = 20
    STOP = 21


def bit(irq: Irq) -> int:
    """The bit of a kind in a bitmap."""
    return 1 << irq


def highest(bitmap: int) -> Irq:
    """The kind of the highest priority in a bitmap that is not zero."""
    return Irq((bitmap & -bitmap).bit_length() - 1)


EXTERNAL = sum(1 << n for n in range(Irq.INTERRUPT_KEY, Irq.CP_SERVICE + 1))
IO = sum(1 << n for n in range(Irq.IO_0, Irq.IO_7 + 1))
MCHK = bit(Irq.MCHK_EXIGENT) | bit(Irq.MCHK_REPRESSIBLE)
TIMERS = bit(Irq.CLOCK_COMPARATOR) | bit(Irq.CPU_TIMER)
NOT_DELIVERED = bit(Irq.STOP)
"""Acted on at the stop interception, not by an interruption."""


def io_irq(subclass: int) -> Irq:
    """The kind of an I/O interruption of a subclass."""
    return Irq(Irq.IO_0 + subclass)


class LocalInterrupts:
    """What is pending for one CPU, with its parameters."""

    def __init__(self) -> None:
        self.pending = 0
        self.program: ProgramEvent | None = None
        self.call_source = 0
        self.emergency: set[int] = set()
        self.malfunction: set[int] = set()
        self.machine_check = MachineCheck(0)
        self.prefix = 0
        self.store_status = False

    def has(self, irq: Irq) -> bool:
        """Whether a kind is pending."""
        return bool(self.pending & bit(irq))

    def clear(self, irq: Irq) -> None:
        """A kind is no longer pending."""
        self.pending &= ~bit(irq)

    def clear_all(self) -> None:
        """Nothing is pending, as after a reset."""
        self.pending = 0
        self.program = None
        self.machine_check = MachineCheck(0)
        self.emergency.clear()
        self.malfunction.clear()
        self.store_status = False

    def inject(self, event: LocalEvent) -> str:
        """Make an event pending; what the counter of its kind is called. Raises BusyError."""
        match event:
            case ProgramEvent():
                self._inject_program(event)
                return "inject_program"
            case ExternalCall(source=source):
                self._once(Irq.EXTERNAL_CALL)
                self.call_source = source
                return "inject_external_call"
            case EmergencySignal(source=source):
                self.emergency.add(source)
                self.pending |= bit(Irq.EMERGENCY_SIGNAL)
                return "inject_emergency_signal"
            case MalfunctionAlert(source=source):
                self.malfunction.add(source)
                self.pending |= bit(Irq.MALFUNCTION_ALERT)
                return "inject_malfunction_alert"
            case ClockComparator():
                self.pending |= bit(Irq.CLOCK_COMPARATOR)
                return "inject_ckc"
            case CpuTimer():
                self.pending |= bit(Irq.CPU_TIMER)
                return "inject_cputm"
            case InterruptKey():
                self.pending |= bit(Irq.INTERRUPT_KEY)
                return "inject_interrupt_key"
            case Restart():
                self.pending |= bit(Irq.RESTART)
                return "inject_restart"
            case SetPrefix(prefix=prefix):
                self.prefix = prefix
                self.pending |= bit(Irq.SET_PREFIX)
                return "inject_set_prefix"
            case Stop(store_status=store):
                self._once(Irq.STOP)
                self.store_status = store
                return "inject_stop_signal"
            case MachineCheck():
                self._inject_machine_check(event)
                return "inject_mchk"

    def _once(self, irq: Irq) -> None:
        if self.has(irq):
            raise BusyError(irq.name)
        self.pending |= bit(irq)

    def _inject_program(self, event: ProgramEvent) -> None:
        """A PER event joins the program interruption that is pending, and the other way round."""
        self.pending |= bit(Irq.PROGRAM)
        old = self.program
        if old is None:
            self.program = event
        elif event.code == PER:
            self.program = _with_per(old, event)
        elif event.code & PER:
            self.program = event
        else:
            self.program = _with_per(event, old) if old.code & PER else event

    def _inject_machine_check(self, event: MachineCheck) -> None:
        """Conditions add up: one interruption reports them all."""
        old = self.machine_check if self.pending & MCHK else MachineCheck(0)
        self.machine_check = MachineCheck(
            old.code | event.code,
            old.subclasses | event.subclasses,
            event.damage or old.damage,
            event.failing_address or old.failing_address,
        )
        exigent = event.code & EXIGENT
        self.pending |= bit(Irq.MCHK_EXIGENT if exigent else Irq.MCHK_REPRESSIBLE)

    def take_program(self) -> ProgramEvent:
        """The pending program interruption, which is no longer pending."""
        event = self.program
        assert event is not None
        self.program = None
        self.clear(Irq.PROGRAM)
        return event

    def take_machine_check(self) -> MachineCheck:
        """The pending machine check, which is no longer pending."""
        event, self.machine_check = self.machine_check, MachineCheck(0)
        self.pending &= ~MCHK
        return event


def _with_per(event: ProgramEvent, per: ProgramEvent) -> ProgramEvent:
    """A program interruption with the PER event of another."""
    return replace(
        event,
        code=event.code | PER,
        per_code=per.per_code,
        per_atmid=per.per_atmid,
        per_address=per.per_address,
        per_access_id=per.per_access_id,
    )
