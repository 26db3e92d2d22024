"""Blocks of one instruction: single step, instruction breakpoints. ref: APM2 13.1"""

from worldswitch.arch.x86.registers import Dr6, Efer, Rflags
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.state import CS, Cpu
from worldswitch.metal.x86.timers import instructions


@typed(inline=True)
def in_shadow(cpu: Cpu) -> bool:
    """Whether the last instruction was STI or a load of SS, which delays interrupts by one."""
    return cpu.shadow_at == instructions(cpu) and cpu.shadow_at != 0


@typed
def in_stack_shadow(cpu: Cpu) -> bool:
    """Whether it was a load of SS, which delays debug exceptions, too."""
    return cpu.shadow_of_ss != 0 and in_shadow(cpu)


@typed
def arm_trap(cpu: Cpu) -> None:
    """A trap follows the present instruction if TF is set now.

    For all but SYSCALL and SYSRET, TF as it was before the instruction decides.
    """
    cpu.trap_armed = 0
    if cpu.flags & Rflags.TF != 0:
        cpu.trap_armed = 1


@typed(inline=False)
def single_begin(cpu: Cpu) -> bool:
    """Before the instruction at `cpu.rip`: True if a breakpoint has to be taken first."""
    cpu.trap_armed = 0
    if cpu.dr[7] & 0xFF != 0 and cpu.flags & Rflags.RF == 0 and not in_stack_shadow(cpu):
        address = cpu.seg_base[CS] + cpu.rip
        if cpu.efer & Efer.LMA == 0:
            address = address & 0xFFFF_FFFF
        n: u64 = 0
        hit: u64 = 0
        while n < 4:
            enabled = (cpu.dr[7] >> (n * 2)) & 3 != 0
            if enabled and (cpu.dr[7] >> (16 + n * 4)) & 3 == 0 and cpu.dr[n] == address:
                hit = hit | (u64(1) << n)
            n += 1
        if hit != 0:
            cpu.dr6_pending = cpu.dr6_pending | hit
            cpu.check = 1
            return True
    cpu.flags = cpu.flags & ~u64(Rflags.RF)
    arm_trap(cpu)
    return False


@typed(inline=False)
def single_end(cpu: Cpu) -> None:
    """Behind the instruction: a debug trap if TF was set before it."""
    if cpu.trap_armed != 0:
        cpu.trap_armed = 0
        cpu.dr6_pending = cpu.dr6_pending | Dr6.BS
        cpu.check = 1
