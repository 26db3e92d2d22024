"""Whether a program may access a port. ref: APM2 12.2.4 I/O-Permission Bitmap"""

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.memory import system_load_u16
from worldswitch.metal.x86.mode import MODE_PROTECTED, MODE_V86
from worldswitch.metal.x86.state import FLAT, TR, Cpu

MAP_BASE = 0x66


@typed(leaves=True, inline=False)
def io_allowed(cpu: Cpu, port: u64, size: u64) -> None:
    """#GP(0) unless IOPL or the TSS's bitmap allow all `size` ports from `port` on."""
    if cpu.mode & MODE_PROTECTED == 0:
        return
    if cpu.mode & MODE_V86 == 0 and u64(cpu.cpl) <= (cpu.flags >> 12) & 3:
        return
    limit = u64(cpu.seg_limit[TR])
    # Only a TSS of 32 or 64 bits has a bitmap.
    if cpu.seg_attr[TR] & 8 == 0 or limit < MAP_BASE + 1:
        general_protection(cpu)
    tss = cpu.seg_base[TR]
    at = u64(system_load_u16(cpu, FLAT, tss + MAP_BASE)) + (port >> 3)
    if at + 1 > limit:
        general_protection(cpu)
    bits = u64(system_load_u16(cpu, FLAT, tss + at)) >> (port & 7)
    if bits & ((u64(1) << size) - 1) != 0:
        general_protection(cpu)
