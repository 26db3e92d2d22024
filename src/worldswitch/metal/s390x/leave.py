"""Ways out of an instruction: program interruptions and exits to the world outside."""

from enum import IntEnum

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import Leave, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.state import Cpu

LEAVE_PROGRAM = 1
"""A program interruption with `fault_code`."""
LEAVE_EXIT = 2
"""Native code returns to Python with `exit_reason`; the instruction counts as completed."""
LEAVE_RETRY = 3
"""As LEAVE_EXIT, but the PSW still designates the instruction: it runs again on resumption."""
LEAVE_INTERCEPT = 4
"""In SIE: the guest is left with interception `sie_intercept`."""
LEAVE_HOST_FAULT = 5
"""In SIE: a host translation exception (`fault_code`, `translation_code`) is due to the host."""

LEAVE_SVC = 6
"""A supervisor-call interruption with the number in `fault_code`."""


class Exit(IntEnum):
    """Why native code returned to Python."""

    NONE = 0
    BUDGET = 1
    """The budget is used up, or `check` asks for a look at pending work."""
    WAIT = 2
    """A wait PSW is loaded and nothing that it enables is pending."""
    STOPPED = 3
    SERVICE_CALL = 4
    """SERVC: args: command word, absolute SCCB address."""
    DIAGNOSE = 5
    """args: function code, r1, r3, the instruction's text."""
    SIGP = 6
    """args: order, CPU address, parameter, r1."""
    STSI = 7
    """args: function code/selectors (gr0), gr1, operand address."""
    IO = 8
    """args: the instruction's first halfword, operand address."""
    SIE_DONE = 9
    """SIE issued from Python has ended with an interception."""
    SIE_HOST_FAULT = 10
    """SIE issued from Python ended with a host program interruption."""
    SIE_PREEMPTED = 18
    """SIE issued from Python ended because the slice was over; no interception."""
    SIE_CHECK = 20
    """SIE issued from Python has to check the state description first."""
    SIE = 19
    """START INTERPRETIVE EXECUTION: args: the state description's absolute address."""
    PROGRAM_LOOP = 11
    """A program interruption whose new PSW raises it again at once."""
    PTF = 12
    UVC = 13
    """Ultravisor call: args: r1 value, r2 value (UV control block address)."""
    CODE_CACHE_FULL = 14
    CHECK_STOP = 15
    BREAKPOINT = 16
    STHYI = 17


@typed(leaves=True, inline=False)
def program(cpu: Cpu, code: u16) -> None:
    """Leave the instruction with a program interruption. ref: PoP 6, "Program Interruption"."""
    cpu.leave = LEAVE_PROGRAM
    cpu.fault_code = code
    raise Leave


@typed(leaves=True)
def operation(cpu: Cpu) -> None:
    """Operation exception."""
    program(cpu, ProgramCode.OPERATION)


@typed(leaves=True)
def specification(cpu: Cpu) -> None:
    """Specification exception."""
    program(cpu, ProgramCode.SPECIFICATION)


@typed(leaves=True)
def data_exception(cpu: Cpu, dxc: u8) -> None:
    """Data exception with a data-exception code. ref: PoP 6, "Data Exception"."""
    cpu.data_code = dxc
    program(cpu, ProgramCode.DATA)


@typed(leaves=True, inline=False)
def exit_to_machine(cpu: Cpu, reason: u32, a: u64, b: u64, c: u64, d: u64) -> None:
    """Complete the instruction and return to Python, which does the rest (`Exit`)."""
    cpu.leave = LEAVE_EXIT
    cpu.exit_reason = reason
    cpu.exit_args[0] = a
    cpu.exit_args[1] = b
    cpu.exit_args[2] = c
    cpu.exit_args[3] = d
    raise Leave
