"""Events in real, virtual-8086 and 32-bit protected mode. ref: APM2 8.6, 8.7"""

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.state import Cpu


@typed(leaves=True, inline=False)
def deliver_legacy(cpu: Cpu, vector: u64, software: bool, has_error: bool, error: u64) -> None:
    """Enter the handler of a vector outside of long mode."""
    general_protection(cpu)
