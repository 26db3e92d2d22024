"""What a hypervisor asks of the machine around it.

Each request carries what the machine needs; the machine answers through the virtual CPU that
made it (its registers, `set_cc`, `inject`), then runs that virtual CPU again. What the machine does
not know it answers as the architecture has it for a function that is not there: see each request.
"""

from dataclasses import dataclass
from enum import IntFlag


@dataclass(frozen=True, slots=True)
class ServiceCall:
    """SERVC: a command word and the guest absolute address of its control block.

    Addressing, alignment and overlap with the lowcore are checked. The block is in the virtual
    CPU's operand storage. Sets a condition code.
    """

    command: int
    address: int


@dataclass(frozen=True, slots=True)
class Diagnose:
    """DIAGNOSE with a code that the hypervisor leaves to the machine, and its register numbers.

    A code that the machine does not know is a specification exception.
    """

    code: int
    r1: int
    r3: int


@dataclass(frozen=True, slots=True)
class SignalProcessor:
    """SIGP whose effect on CPU states is the machine's to make. Sets a condition code.

    r1: the register that takes the status with condition code 1.
    """

    order: int
    target: int
    parameter: int
    r1: int


@dataclass(frozen=True, slots=True)
class IoInstruction:
    """An I/O instruction; operands are checked as far as the architecture has it.

    address: the operand's guest logical address. access_register: the one that goes with it.
    subchannel: the subsystem-identification word in general register 1. Sets a condition code.
    dequeued: for TEST SUBCHANNEL, whether its interruption was pending and is no longer.
    """

    opcode: int
    address: int
    access_register: int
    subchannel: int
    dequeued: bool = False


@dataclass(frozen=True, slots=True)
class StoreSystemInformation:
    """STSI with a function code above 0: fill the page at guest absolute address `where`.

    Checked: privilege, reserved bits, alignment, and that the page can be stored into, by way of
    the virtual CPU's operand storage. Sets
    condition code 0, or 3 if there is no such information.
    """

    function: int
    selector1: int
    selector2: int
    where: int


@dataclass(frozen=True, slots=True)
class TopologyFunction:
    """PERFORM TOPOLOGY FUNCTION with the code in bits 56-63 of register `r1`; see PoP 10."""

    function: int
    r1: int


@dataclass(frozen=True, slots=True)
class UnknownInstruction:
    """An intercepted instruction that the hypervisor has no handler for.

    text: its six bytes, left-aligned as intercepted. If the machine does not know it either, it
    is an operation exception.
    """

    ipa: int
    ipb: int


class ResetFlags(IntFlag):
    """What a re-IPL does besides stopping the CPU that asked for it."""

    CLEAR = 2
    SUBSYSTEM = 4
    CPU_INIT = 8
    IPL = 16


@dataclass(frozen=True, slots=True)
class Reset:
    """The guest asked for a re-IPL (DIAGNOSE X'308')."""

    flags: ResetFlags


@dataclass(frozen=True, slots=True)
class CpuStopped:
    """The virtual CPU carried out a stop order. stored: status was stored as part of it."""

    stored: bool


@dataclass(frozen=True, slots=True)
class DisabledWait:
    """The guest loaded a wait PSW that enables no interruption."""

    mask: int
    address: int


@dataclass(frozen=True, slots=True)
class ProgramLoop:
    """Injecting this interruption would make the guest take it again and again.

    code: the program- or external-interruption code. new_mask, new_address: the new PSW.
    """

    kind: str
    code: int
    new_mask: int
    new_address: int


@dataclass(frozen=True, slots=True)
class DebugEvent:
    """A breakpoint, watchpoint or single step that the person who debugs the guest asked for."""

    address: int
    reason: str
    storage_address: int = 0


@dataclass(frozen=True, slots=True)
class Intercepted:
    """An interception that the hypervisor refuses: its kind is unknown, or the virtual machine is
    user-controlled and every interception is the machine's."""

    code: int
    reason: str


Request = (
    ServiceCall
    | Diagnose
    | SignalProcessor
    | IoInstruction
    | StoreSystemInformation
    | TopologyFunction
    | UnknownInstruction
    | Reset
    | CpuStopped
    | DisabledWait
    | ProgramLoop
    | DebugEvent
    | Intercepted
)
