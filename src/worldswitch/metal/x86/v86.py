"""Virtual-8086 mode: software interrupts and their redirection. ref: APM2 8.10, 10.5 VME"""

from worldswitch.arch.x86.registers import RFLAGS_IOPL, Cr4, Rflags
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.access import system_load
from worldswitch.metal.x86.flags import rflags
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.legacy_delivery import enter_real
from worldswitch.metal.x86.state import TR, Cpu

MAP_BASE = 0x66
REDIRECTION = 32
"""Bytes of the interrupt-redirection bitmap, which ends where the I/O-permission bitmap begins."""


@typed(leaves=True, inline=False)
def redirected(cpu: Cpu, vector: u64) -> bool:
    """INT n in virtual-8086 mode: True if it was sent to the program's own handler.

    #GP(0) if it may not leave the mode. The handler is named by the table at linear address 0.
    """
    trusted = cpu.flags & RFLAGS_IOPL == RFLAGS_IOPL
    if cpu.cr4 & Cr4.VME != 0 and not marked(cpu, vector):
        image = rflags(cpu)
        cleared = u64(Rflags.IF)
        if not trusted:
            cleared = u64(Rflags.VIF)
            image = (image | RFLAGS_IOPL) & ~u64(Rflags.IF)
            if image & Rflags.VIF != 0:
                image = image | Rflags.IF
        enter_real(cpu, system_load(cpu, vector * 4, 4), image, cleared)
        return True
    if not trusted:
        general_protection(cpu)
    return False


@typed(leaves=True)
def marked(cpu: Cpu, vector: u64) -> bool:
    """Whether the redirection bitmap says that the monitor handles a vector.

    #GP(0) if it lies outside of the task-state segment.
    """
    limit = u64(cpu.seg_limit[TR])
    if cpu.seg_attr[TR] & 8 == 0 or limit < MAP_BASE + 1:
        general_protection(cpu)
    start = system_load(cpu, cpu.seg_base[TR] + MAP_BASE, 2)
    at = start - REDIRECTION + (vector >> 3)
    if start < REDIRECTION or at > limit:
        general_protection(cpu)
    return (system_load(cpu, cpu.seg_base[TR] + at, 1) >> (vector & 7)) & 1 != 0
