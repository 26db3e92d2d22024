"""The VMCB as compiled code reads and writes it; offsets come from the declaration in `arch`.

Two blocks of the same layout are at hand: the VMCB in memory, at host address `cpu.vmcb`, and what
the processor holds of it, `cpu.vmcb_image` (image.py).
"""

from worldswitch.arch.x86.vmcb import SAVE_OFFSET, VmcbControl, VmcbSave
from worldswitch.engine import (
    address_of,
    peek_u8,
    peek_u16,
    peek_u32,
    peek_u64,
    poke_u64,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.x86.codecache import code_written
from worldswitch.metal.x86.mode import PAGE
from worldswitch.metal.x86.state import Cpu

IMAGE = Cpu.fields["vmcb_image"].offset
PAGE_SIZE = 4096


def control(name: str) -> int:
    """Offset in the VMCB of a field of the control area."""
    return VmcbControl.offset_of(name)


def save(name: str) -> int:
    """Offset in the VMCB of a field of the save area."""
    return SAVE_OFFSET + VmcbSave.offset_of(name)


@typed(inline=True)
def image(cpu: Cpu) -> u64:
    """Host address of what the processor holds of the VMCB."""
    return address_of(cpu) + IMAGE


@typed(inline=True)
def held_u8(cpu: Cpu, where: u64) -> u8:
    """The byte at an offset of what the processor holds."""
    return peek_u8(address_of(cpu) + IMAGE + where)


@typed(inline=True)
def held_u16(cpu: Cpu, where: u64) -> u16:
    """16 bits at an offset of what the processor holds."""
    return peek_u16(address_of(cpu) + IMAGE + where)


@typed(inline=True)
def held_u32(cpu: Cpu, where: u64) -> u32:
    """32 bits at an offset of what the processor holds."""
    return peek_u32(address_of(cpu) + IMAGE + where)


@typed(inline=True)
def held_u64(cpu: Cpu, where: u64) -> u64:
    """64 bits at an offset of what the processor holds."""
    return peek_u64(address_of(cpu) + IMAGE + where)


@typed(inline=True)
def put_u64(cpu: Cpu, where: u64, value: u64) -> None:
    """Store 64 bits at an offset of the VMCB."""
    poke_u64(cpu.vmcb + where, value)


@typed
def page_changes(cpu: Cpu, physical: u64) -> None:
    """The processor is about to write to a page of memory past the TLB: decoded code there goes."""
    if peek_u64(cpu.code_map + ((physical & PAGE) >> 9)) != 0:
        code_written(cpu, physical & PAGE, PAGE_SIZE)
