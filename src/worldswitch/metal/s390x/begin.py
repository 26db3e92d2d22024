"""What native code does first when it is called."""

from worldswitch.engine import i64, typed, u32
from worldswitch.metal.s390x.leave import Exit
from worldswitch.metal.s390x.mode import STALE, controls_changed
from worldswitch.metal.s390x.sie.known import is_known
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.s390x.timers import instructions

EXIT_COST = 1000
"""Instructions that an entry into a guest takes off what is left of the host's slice."""


@typed(inline=False)
def begin(cpu: Cpu) -> bool:
    """Take up the budget of `run_budget` instructions; False if nothing is to be executed.

    A guest that is asked for (`sie_request`) is not entered if the host's slice is over, or if its
    state description has to be checked first.
    """
    now = instructions(cpu)
    end = now + cpu.run_budget
    cpu.budget = 0
    cpu.limit = now
    cpu.check = 1
    cpu.exit_reason = 0
    if cpu.sie_request != 0 and cpu.sie_native == 0:
        if i64(cpu.deadline - now) <= 0:
            return refuse(cpu, Exit.SIE_PREEMPTED)
        if cpu.sie_checked == 0 and not is_known(cpu, cpu.sie_request):
            return refuse(cpu, Exit.SIE_CHECK)
        cpu.sie_checked = 0
        if i64(cpu.deadline - end) < 0:
            end = cpu.deadline
        cpu.deadline -= EXIT_COST
    elif cpu.context_key == STALE:
        controls_changed(cpu)
    cpu.slice_end = end
    return True


@typed(inline=False)
def refuse(cpu: Cpu, reason: u32) -> bool:
    """Go back to Python without having entered the guest."""
    cpu.exit_reason = reason
    cpu.sie_request = 0
    cpu.sie_checked = 0
    return False
