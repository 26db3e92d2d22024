"""What native code does first when it is called."""

from worldswitch.engine import i64, typed
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.timers import instructions

EXIT_COST = 1000
"""Instructions that an entry into a guest takes off what is left of the host's slice."""


@typed(inline=False)
def begin(cpu: Cpu) -> bool:
    """Take up the budget of `run_budget` instructions; False if nothing is to be executed.

    A guest that is asked for (`vm_request`) is entered even when the host's slice is over: the
    interrupt is then pending when VMRUN executes.
    """
    now = instructions(cpu)
    end = now + cpu.run_budget
    cpu.budget = 0
    cpu.limit = now
    cpu.check = 1
    cpu.exit_reason = 0
    if cpu.vm_request != 0:
        if i64(cpu.deadline - end) < 0:
            end = cpu.deadline
        if i64(end - now) < 0:
            end = now
        cpu.deadline -= EXIT_COST
    cpu.slice_end = end
    return True
