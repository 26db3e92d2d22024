"""What the flags of an SSE floating-point instruction lead to: MXCSR and #XF. ref: APM1 4.10"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr4
from worldswitch.engine import likely, typed, u32
from worldswitch.metal.x86.fp.sse import settle
from worldswitch.metal.x86.leave import fault, undefined
from worldswitch.metal.x86.state import Cpu


@typed(leaves=True, inline=False)
def settle_flags(cpu: Cpu, flags: u32) -> None:
    """Set flags of MXCSR; an unmasked one is #XF, or #UD if the system does not handle that."""
    mxcsr, unmasked = settle(cpu.mxcsr, flags)
    cpu.mxcsr = mxcsr
    if unmasked:
        if cpu.cr4 & Cr4.OSXMMEXCPT == 0:
            undefined(cpu)
        fault(cpu, Vector.XF)


@typed(leaves=True, inline=True)
def settled(cpu: Cpu, flags: u32) -> None:
    """Before the results are written."""
    if not likely(flags == 0):
        settle_flags(cpu, flags)
