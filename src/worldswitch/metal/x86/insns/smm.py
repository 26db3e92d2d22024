"""RSM. ref: APM3 4 RSM"""

from typing import Any

from worldswitch.engine import typed
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import undefined
from worldswitch.metal.x86.smm import resume_from_smm
from worldswitch.metal.x86.state import Cpu, Record

RSM = 32 * 3 + 19
"""Its intercept."""


@insn("RSM", "0F AA", ref="APM3 4 RSM", raw=True, control=True, ends=True, intercept=RSM)
def rsm() -> Any:
    """Leave system-management mode; #UD outside of it."""

    @typed(leaves=True, inline=True)
    def rsm(cpu: Cpu, rec: Record) -> None:
        if cpu.smm == 0:
            undefined(cpu)
        resume_from_smm(cpu)

    return rsm
