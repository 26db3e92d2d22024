"""The TOD clock as instructions see it. ref: PoP 4 TOD Clock."""

from worldswitch.engine import typed, u64
from worldswitch.metal.s390x.state import Cpu

TOD_PER_INSTRUCTION = 4
"""TOD-clock units (2**-12 microseconds) that an instruction takes in virtual time."""


@typed
def tod_now(cpu: Cpu) -> u64:
    """Bits 0-63 of the TOD clock, with the epoch difference."""
    return cpu.tod_base + u64(cpu.limit - u64(cpu.budget)) * TOD_PER_INSTRUCTION + cpu.epoch
