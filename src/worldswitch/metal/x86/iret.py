"""IRET. ref: APM2 8.7, 8.9.4; APM3 3 IRET"""

from worldswitch.arch.x86.registers import RFLAGS_IOPL, RFLAGS_STATUS, Cr0, Cr4, Efer, Rflags
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.code_segments import check_target, return_code
from worldswitch.metal.x86.far import return_outer
from worldswitch.metal.x86.flags import set_status
from worldswitch.metal.x86.frames import put_pointer, read_stack
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.mode import MODE_LONG, update_mode
from worldswitch.metal.x86.segments import mark_accessed, put_code, put_real
from worldswitch.metal.x86.state import CS, DS, ES, FS, GS, RSP, SS, Cpu
from worldswitch.metal.x86.task_switch import task_return

ALWAYS = int(RFLAGS_STATUS | Rflags.TF | Rflags.DF | Rflags.NT)
"""What IRET loads at every privilege level, with every operand size."""
WIDER = int(Rflags.RF | Rflags.AC | Rflags.ID)
"""What the operand sizes of 32 and 64 bits load in addition."""


@typed(inline=False)
def load_flags(cpu: Cpu, image: u64, mask: u64) -> None:
    """Load the bits of RFLAGS that `mask` has; a newly enabled interrupt is looked at.

    RF is kept only where it matters: where an instruction breakpoint is enabled.
    """
    old = cpu.flags
    flags = (old & ~mask) | (image & mask)
    if cpu.dr[7] & 0xFF == 0:
        flags = flags & ~u64(Rflags.RF)
    cpu.flags = (flags & ~u64(RFLAGS_STATUS)) | 2
    set_status(cpu, image)
    if flags & ~old & (Rflags.IF | Rflags.VIF) != 0:
        cpu.check = 1


@typed(inline=True)
def io_level(cpu: Cpu) -> u64:
    """IOPL."""
    return (cpu.flags >> 12) & 3


@typed(inline=False)
def unblock_nmi(cpu: Cpu) -> None:
    """The end of an NMI handler: the next one may come. ref: APM2 8.2.3"""
    if cpu.nmi_blocked != 0:
        cpu.nmi_blocked = 0
        cpu.check = 1


@typed(leaves=True, inline=False)
def interrupt_return(cpu: Cpu, size: u64) -> None:
    """IRET with an operand size of 2, 4 or 8 bytes."""
    if cpu.cr0 & Cr0.PE == 0:
        return_real(cpu, size, u64(ALWAYS | Rflags.IF | RFLAGS_IOPL))
    elif cpu.flags & Rflags.VM != 0:
        return_in_v86(cpu, size)
    elif cpu.flags & Rflags.NT != 0:
        if cpu.efer & Efer.LMA != 0:
            general_protection(cpu)
        task_return(cpu)
    else:
        return_protected(cpu, size)
    unblock_nmi(cpu)


@typed(leaves=True, inline=False)
def return_real(cpu: Cpu, size: u64, loaded: u64) -> None:
    """IRET in real mode, and in virtual-8086 mode; `loaded`: bits of FLAGS that it changes."""
    target = read_stack(cpu, 0, size)
    selector = read_stack(cpu, size, size) & 0xFFFF
    image = read_stack(cpu, size * 2, size)
    if target > u64(cpu.seg_limit[CS]):
        general_protection(cpu)
    mask = loaded
    if size != 2:
        mask = mask | WIDER
    put_pointer(cpu, cpu.stack_mask, cpu.gr[RSP] + size * 3)
    put_real(cpu, CS, selector)
    cpu.rip = target
    load_flags(cpu, image, mask)
    update_mode(cpu)


@typed(leaves=True, inline=False)
def return_in_v86(cpu: Cpu, size: u64) -> None:
    """IRET in virtual-8086 mode, which stays there. ref: APM3 3 IRET"""
    if io_level(cpu) == 3:
        return_real(cpu, size, u64(ALWAYS | Rflags.IF))
        return
    if cpu.cr4 & Cr4.VME == 0 or size != 2:
        general_protection(cpu)
    image = read_stack(cpu, 4, 2)
    if image & Rflags.TF != 0:
        general_protection(cpu)
    if image & Rflags.IF != 0 and cpu.flags & Rflags.VIP != 0:
        general_protection(cpu)
    return_real(cpu, size, ALWAYS)
    cpu.flags = cpu.flags & ~u64(Rflags.VIF)
    if image & Rflags.IF != 0:
        cpu.flags = cpu.flags | Rflags.VIF


@typed(leaves=True, inline=False)
def return_protected(cpu: Cpu, size: u64) -> None:
    """IRET in protected mode and long mode: to this level, an outer one, or V86 mode."""
    target = read_stack(cpu, 0, size)
    selector = read_stack(cpu, size, size) & 0xFFFF
    image = read_stack(cpu, size * 2, size)
    level = u64(cpu.cpl)
    mask: u64 = ALWAYS
    if size != 2:
        mask = mask | WIDER
    if level <= io_level(cpu):
        mask = mask | Rflags.IF
    if level == 0:
        mask = mask | RFLAGS_IOPL
        if size != 2:
            mask = mask | Rflags.VIF | Rflags.VIP
    if image & Rflags.VM != 0 and level == 0 and size == 4 and cpu.efer & Efer.LMA == 0:
        return_to_v86(cpu, target, selector, image, mask)
        return
    descriptor = return_code(cpu, selector)
    check_target(cpu, descriptor, target)
    if selector & 3 == level and cpu.mode & MODE_LONG == 0:
        marked = mark_accessed(cpu, selector, descriptor)
        put_pointer(cpu, cpu.stack_mask, cpu.gr[RSP] + size * 3)
        put_code(cpu, selector, marked, level)
    else:
        pointer = read_stack(cpu, size * 3, size)
        stack = read_stack(cpu, size * 4, size) & 0xFFFF
        return_outer(cpu, selector, descriptor, stack, pointer)
    cpu.rip = target
    load_flags(cpu, image, mask)
    update_mode(cpu)


@typed(leaves=True, inline=False)
def return_to_v86(cpu: Cpu, target: u64, selector: u64, image: u64, mask: u64) -> None:
    """IRET from level 0 to virtual-8086 mode. ref: APM3 3 IRET"""
    pointer = read_stack(cpu, 12, 4)
    stack = read_stack(cpu, 16, 2)
    extra = read_stack(cpu, 20, 2)
    data = read_stack(cpu, 24, 2)
    fs = read_stack(cpu, 28, 2)
    gs = read_stack(cpu, 32, 2)
    if target > 0xFFFF:
        general_protection(cpu)
    load_flags(cpu, image, mask | Rflags.VM)
    put_real(cpu, CS, selector)
    put_real(cpu, SS, stack)
    put_real(cpu, ES, extra)
    put_real(cpu, DS, data)
    put_real(cpu, FS, fs)
    put_real(cpu, GS, gs)
    cpu.gr[RSP] = pointer
    cpu.cpl = 3
    cpu.rip = target
    update_mode(cpu)
