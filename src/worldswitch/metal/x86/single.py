"""Blocks of one instruction: single step, instruction breakpoints. ref: APM2 13.1"""

from worldswitch.arch.x86.registers import Dr6, Rflags
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.state import CS, Cpu


@typed(inline=False)
def single_begin(cpu: Cpu) -> bool:
    """Before the instruction at `cpu.rip`: True if a breakpoint has to be taken first."""
    cpu.trap_armed = 0
    if cpu.flags & Rflags.TF != 0:
        cpu.trap_armed = 1
    if cpu.dr[7] & 0xFF != 0 and cpu.flags & Rflags.RF == 0:
        n: u64 = 0
        hit: u64 = 0
        while n < 4:
            enabled = (cpu.dr[7] >> (n * 2)) & 3 != 0
            if enabled and (cpu.dr[7] >> (16 + n * 4)) & 3 == 0:
                if cpu.dr[n] == cpu.seg_base[CS] + cpu.rip:
                    hit = hit | (u64(1) << n)
            n += 1
        if hit != 0:
            cpu.dr6_pending = cpu.dr6_pending | hit
            cpu.check = 1
            return True
    cpu.flags = cpu.flags & ~u64(Rflags.RF)
    return False


@typed(inline=False)
def single_end(cpu: Cpu) -> None:
    """Behind the instruction: a debug trap if TF was set before it."""
    if cpu.trap_armed != 0:
        cpu.trap_armed = 0
        cpu.dr6_pending = cpu.dr6_pending | Dr6.BS
        cpu.check = 1
