"""The operand size of instructions that have one handler for all sizes. ref: APM3 1.2.2"""

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.decode_bits import PREFIX_OPERAND, PREFIX_REX_W
from worldswitch.metal.x86.mode import MODE_CODE32, MODE_LONG
from worldswitch.metal.x86.state import Cpu, Record


@typed
def far_size(cpu: Cpu, rec: Record) -> u64:
    """2 or 4 bytes: the offset of a far pointer in memory. REX.W does not count on AMD's."""
    prefixed = rec.prefixes & PREFIX_OPERAND != 0
    if cpu.mode & MODE_LONG != 0:
        if prefixed and rec.prefixes & PREFIX_REX_W == 0:
            return 2
        return 4
    if (cpu.mode & MODE_CODE32 != 0) == prefixed:
        return 2
    return 4


@typed
def operand_size(cpu: Cpu, rec: Record) -> u64:
    """2, 4 or 8 bytes; 4 in 64-bit mode without a prefix."""
    if cpu.mode & MODE_LONG != 0 and rec.prefixes & PREFIX_REX_W != 0:
        return 8
    return far_size(cpu, rec)
