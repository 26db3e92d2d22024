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


@dataclass(frozen=True, slots=True)
class PortRead:
    """IN, or one element of INS: `size` bytes (1, 2 or 4) from an I/O port.

    Without an answer it is all ones, as a bus has it where nothing is.
    """

    port: int
    size: int


@dataclass(frozen=True, slots=True)
class PortWrite:
    """OUT, or one element of OUTS."""

    port: int
    size: int
    value: int


@dataclass(frozen=True, slots=True)
class MmioRead:
    """A load of 1, 2, 4 or 8 bytes from a guest physical address that is no storage.

    Without an answer it is all ones.
    """

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class MmioWrite:
    """A store to a guest physical address that is no storage, or that is read-only storage."""

    address: int
    size: int
    value: int


@dataclass(frozen=True, slots=True)
class MsrRead:
    """RDMSR of a register that the hypervisor does not know.

    Without an answer it is a general-protection exception.
    """

    msr: int


@dataclass(frozen=True, slots=True)
class MsrWrite:
    """WRMSR of a register that the hypervisor does not know; any answer says that it is done.

    Without an answer it is a general-protection exception.
    """

    msr: int
    value: int


@dataclass(frozen=True, slots=True)
class Halt:
    """HLT with maskable interrupts disabled: only an NMI, INIT or a reset ends it."""

    rflags: int


@dataclass(frozen=True, slots=True)
class Monitor:
    """MONITOR or MWAIT, which the guest is told that it does not have.

    Without an answer it does nothing.
    """

    mwait: bool
    address: int


@dataclass(frozen=True, slots=True)
class TripleFault:
    """The guest's processor has shut down; a board resets it."""


@dataclass(frozen=True, slots=True)
class Suspended:
    """The virtual machine was told to cease, by `how`, and this virtual CPU has."""

    how: str


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """The virtual CPU has done what all were called together for; `missing` have not."""

    missing: int


@dataclass(frozen=True, slots=True)
class UnclaimedExit:
    """An exit that nothing in the hypervisor is for: the facility's code and information."""

    code: int
    info1: int
    info2: int
    reason: str


X86Request = (
    PortRead
    | PortWrite
    | MmioRead
    | MmioWrite
    | MsrRead
    | MsrWrite
    | Halt
    | Monitor
    | TripleFault
    | Suspended
    | Rendezvous
    | UnclaimedExit
)
"""What virtual CPUs of x86 ask for. An answer is given by `X86Vcpu.answer` before the next run."""

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
    | X86Request
)
