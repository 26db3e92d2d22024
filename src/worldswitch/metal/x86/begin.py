"""What native code does first when it is called."""

from worldswitch.engine import typed
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.timers import instructions


@typed(inline=False)
def begin(cpu: Cpu) -> bool:
    """Take up the budget of `run_budget` instructions; False if nothing is to be executed."""
    now = instructions(cpu)
    cpu.budget = 0
    cpu.limit = now
    cpu.check = 1
    cpu.exit_reason = 0
    cpu.slice_end = now + cpu.run_budget
    return True
