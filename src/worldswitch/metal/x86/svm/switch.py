"""World switches of SVM: into a guest and out of it. ref: APM2 15.5, 15.6"""

from worldswitch.engine import typed
from worldswitch.metal.x86.leave import vmexit
from worldswitch.metal.x86.state import Cpu, Record


@typed(inline=False)
def enter_guest(cpu: Cpu) -> bool:
    """VMRUN of the VMCB in `cpu.vm_request`; False to return to Python."""
    cpu.vm_request = 0
    return True


@typed(inline=False)
def leave_guest(cpu: Cpu) -> bool:
    """#VMEXIT with `exit_code`; False to return to Python."""
    return False


@typed(leaves=True, inline=False)
def looked_at(cpu: Cpu, rec: Record) -> None:
    """#VMEXIT if the instruction behind `rec` is intercepted (`rec.imm`: which intercept)."""
    if cpu.guest == 0:
        vmexit(cpu, 0, 0, 0)
