"""The instructions of SVM, as programs execute them. ref: APM3 4

They are #UD without EFER.SVME and outside of protected mode, #GP(0) at another privilege level
than 0; then a guest's may be intercepted, and then their operand is checked.
"""

from worldswitch.arch.x86.registers import Efer
from worldswitch.arch.x86.svm_controls import NestedControl, VirtExt
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import VmcbControl
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.decode_bits import PREFIX_ADDRESS
from worldswitch.metal.x86.leave import general_protection, undefined
from worldswitch.metal.x86.mode import (
    MODE_CODE32,
    MODE_LONG,
    MODE_PROTECTED,
    MODE_V86,
    purge_page_of_asid,
)
from worldswitch.metal.x86.nested import USER, WRITE, nested_walk
from worldswitch.metal.x86.physical import is_memory
from worldswitch.metal.x86.state import RAX, RCX, Cpu
from worldswitch.metal.x86.svm.block import control, held_u64, page_changes
from worldswitch.metal.x86.svm.extra import vmload_from, vmsave_to
from worldswitch.metal.x86.svm.features import SVM_VIRTUAL_GIF, SVM_VIRTUAL_VMLOAD
from worldswitch.metal.x86.svm.intercepts import intercept_plain
from worldswitch.metal.x86.svm.switch import is_page, run_block

VIRT_EXT = control("virt_ext")
V_GIF, V_GIF_ENABLE = VmcbControl.mask_of("v_gif"), VmcbControl.mask_of("v_gif_enable")
NESTED = int(NestedControl.NP_ENABLE)


@typed(leaves=True, inline=False)
def check_svm(cpu: Cpu, number: u64) -> None:
    """What all of them check first; `number`: the intercept."""
    if cpu.efer & Efer.SVME == 0 or cpu.mode & (MODE_PROTECTED | MODE_V86) != MODE_PROTECTED:
        undefined(cpu)
    if cpu.cpl != 0:
        general_protection(cpu)
    intercept_plain(cpu, number)


@typed
def operand(cpu: Cpu, prefixes: u64) -> u64:
    """rAX, as wide as the address size."""
    value = cpu.gr[RAX]
    other = prefixes & PREFIX_ADDRESS != 0
    if cpu.mode & MODE_LONG != 0:
        if other:
            return value & 0xFFFF_FFFF
        return value
    if (cpu.mode & MODE_CODE32 != 0) == other:
        return value & 0xFFFF
    return value & 0xFFFF_FFFF


@typed(leaves=True, inline=False)
def run_guest(cpu: Cpu, prefixes: u64) -> None:
    """VMRUN; `cpu.rip` is the next instruction's, where #VMEXIT comes back to."""
    check_svm(cpu, SvmExit.VMRUN)
    physical = operand(cpu, prefixes)
    if not is_page(cpu, physical) or not is_page(cpu, cpu.hsave):
        general_protection(cpu)
    cpu.vm_native = 1
    run_block(cpu, physical)


@typed(leaves=True, inline=False)
def block_of(cpu: Cpu, prefixes: u64) -> u64:
    """Physical address of the block that VMLOAD and VMSAVE are given.

    A guest's is its own physical address if they are virtualized for it; else, if they are not
    intercepted, it is the host's. ref: APM2 15.33.1
    """
    physical = operand(cpu, prefixes)
    if physical & 0xFFF != 0 or physical & ~cpu.physical_mask != 0:
        general_protection(cpu)
    if cpu.nested != 0 and cpu.svm_features & SVM_VIRTUAL_VMLOAD != 0:
        if held_u64(cpu, VIRT_EXT) & VirtExt.VMSAVE_VMLOAD != 0:
            physical, _writable = nested_walk(cpu, physical, USER | WRITE)
    if not is_memory(cpu, physical):
        general_protection(cpu)
    return physical


@typed(leaves=True, inline=False)
def load_extra(cpu: Cpu, prefixes: u64) -> None:
    """VMLOAD."""
    check_svm(cpu, SvmExit.VMLOAD)
    vmload_from(cpu, cpu.ram + block_of(cpu, prefixes))


@typed(leaves=True, inline=False)
def save_extra(cpu: Cpu, prefixes: u64) -> None:
    """VMSAVE."""
    check_svm(cpu, SvmExit.VMSAVE)
    physical = block_of(cpu, prefixes)
    page_changes(cpu, physical)
    vmsave_to(cpu, cpu.ram + physical)


@typed(leaves=True, inline=False)
def set_gif(cpu: Cpu, on: bool) -> None:
    """STGI and CLGI: on the guest's virtual GIF if it has one. ref: APM2 15.17, 15.33.2"""
    if on:
        check_svm(cpu, SvmExit.STGI)
    else:
        check_svm(cpu, SvmExit.CLGI)
    virtual = cpu.guest != 0 and cpu.svm_features & SVM_VIRTUAL_GIF != 0
    if virtual and cpu.v_intr & V_GIF_ENABLE != 0:
        cpu.v_intr = cpu.v_intr & ~u64(V_GIF)
        if on:
            cpu.v_intr = cpu.v_intr | V_GIF
    else:
        cpu.gif = 0
        if on:
            cpu.gif = 1
    cpu.check = 1


@typed(leaves=True, inline=False)
def invalidate(cpu: Cpu, prefixes: u64) -> None:
    """INVLPGA: of all PCIDs of the ASID in ECX. ref: APM2 15.16.2"""
    check_svm(cpu, SvmExit.INVLPGA)
    purge_page_of_asid(cpu, cpu.gr[RCX] & 0xFFFF_FFFF, operand(cpu, prefixes))
