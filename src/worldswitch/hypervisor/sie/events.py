"""Events that a guest CPU takes, with all that their interruption stores."""

from dataclasses import dataclass

from worldswitch.arch.s390x.program import ENDINGS, PER, Ending, ProgramCode


@dataclass(frozen=True, slots=True)
class ProgramEvent:
    """A program interruption. ref: PoP 6 Program Interruption.

    code: with PER or-ed in if a PER event goes along. rewound: the PSW already points at the
    instruction where the interruption nullifies. length: of the instruction, where it is not that
    of the interception. forward: bytes to move the PSW by first, where the host's nullification
    has left it before an instruction that is suppressed for the guest.
    """

    code: int
    teid: int = 0
    exc_access_id: int = 0
    op_access_id: int = 0
    data_exc_code: int = 0
    mon_class: int = 0
    mon_code: int = 0
    per_code: int = 0
    per_atmid: int = 0
    per_address: int = 0
    per_access_id: int = 0
    rewound: bool = False
    length: int | None = None
    forward: int = 0

    @property
    def plain_code(self) -> int:
        """The code without the PER bit."""
        return self.code & ~PER

    @property
    def nullifies(self) -> bool:
        """Whether the old PSW points at the instruction rather than behind it."""
        try:
            endings = ENDINGS[ProgramCode(self.plain_code)]
        except ValueError:
            return False
        return endings[0] is Ending.NULLIFYING


@dataclass(frozen=True, slots=True)
class ExternalCall:
    """External call from a CPU."""

    source: int


@dataclass(frozen=True, slots=True)
class EmergencySignal:
    """Emergency signal from a CPU."""

    source: int


@dataclass(frozen=True, slots=True)
class MalfunctionAlert:
    """Malfunction alert of a CPU that went into the check-stop state."""

    source: int


@dataclass(frozen=True, slots=True)
class ClockComparator:
    """Clock comparator; pending as long as its condition holds."""


@dataclass(frozen=True, slots=True)
class CpuTimer:
    """CPU timer; pending as long as its condition holds."""


@dataclass(frozen=True, slots=True)
class InterruptKey:
    """The operator's interrupt key."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Restart."""


@dataclass(frozen=True, slots=True)
class SetPrefix:
    """The SIGP order on a stopped CPU."""

    prefix: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The SIGP orders STOP and STOP AND STORE STATUS."""

    store_status: bool = False


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """A machine check; local ones may be exigent. ref: PoP 11 Machine-Check Interruption Code."""

    code: int
    subclasses: int = 0
    damage: int = 0
    failing_address: int = 0


@dataclass(frozen=True, slots=True)
class ServiceSignal:
    """Service signal: the control block's address, or-ed with 1 if an event is pending."""

    parameter: int


@dataclass(frozen=True, slots=True)
class CpService:
    """A control program's own external interruption, 2603: virtio and page-fault completion."""

    parameter: int
    parameter64: int = 0
    subcode: int = 0x0D00


@dataclass(frozen=True, slots=True)
class IoEvent:
    """An I/O interruption. The subclass is in bits 2-4 of `word`."""

    subchannel_id: int
    subchannel_nr: int
    parameter: int
    word: int

    @property
    def subclass(self) -> int:
        """Interruption subclass, 0 to 7."""
        return self.word >> 27 & 7


LocalEvent = (
    ProgramEvent
    | ExternalCall
    | EmergencySignal
    | MalfunctionAlert
    | ClockComparator
    | CpuTimer
    | InterruptKey
    | Restart
    | SetPrefix
    | Stop
    | MachineCheck
)
FloatingEvent = ServiceSignal | CpService | IoEvent | MachineCheck


class GuestException(Exception):  # noqa: N818 - named after the architecture's exception
    """The guest's instruction causes a program interruption."""

    def __init__(self, event: ProgramEvent) -> None:
        super().__init__(f"program interruption {event.code:#06x}")
        self.event = event


class BusyError(Exception):
    """The same event is pending already."""


def program(code: int) -> ProgramEvent:
    """A program interruption without parameters."""
    return ProgramEvent(int(code))
