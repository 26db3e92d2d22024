"""Whether a program may access a port, and breakpoints on ports.

ref: APM2 12.2.4 I/O-Permission Bitmap; APM2 13.1.2
"""

from worldswitch.arch.x86.registers import BreakpointType, Cr4
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.memory import system_load_u16
from worldswitch.metal.x86.mode import MODE_PROTECTED, MODE_V86
from worldswitch.metal.x86.state import FLAT, TR, Cpu

MAP_BASE = 0x66


@typed(leaves=True, inline=False)
def io_allowed(cpu: Cpu, port: u64, size: u64) -> None:
    """#GP(0) unless IOPL or the TSS's bitmap allow all `size` ports from `port` on.

    An access that is allowed may hit a breakpoint, whose trap follows the instruction.
    """
    check_permission(cpu, port, size)
    if cpu.dr[7] & 0xFF != 0 and cpu.cr4 & Cr4.DE != 0:
        note_port(cpu, port, size)


@typed(inline=False)
def note_port(cpu: Cpu, port: u64, size: u64) -> None:
    """The breakpoints on ports that an access hits become a debug trap."""
    n: u64 = 0
    while n < 4:
        kind = (cpu.dr[7] >> (16 + n * 4)) & 3
        span = ((cpu.dr[7] >> (18 + n * 4)) & 3) + 1
        start = cpu.dr[n] & ~(span - 1)
        if (cpu.dr[7] >> (n * 2)) & 3 != 0 and kind == BreakpointType.IO:
            if port < start + span and start < port + size:
                cpu.dr6_pending = cpu.dr6_pending | (u64(1) << n)
                cpu.check = 1
        n += 1


@typed(leaves=True, inline=False)
def check_permission(cpu: Cpu, port: u64, size: u64) -> None:
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
