"""World switches of SVM: into a guest and out of it. ref: APM2 15.5, 15.6"""

from worldswitch.arch.x86.registers import DR7_RESET, Cr0, Efer, Rflags
from worldswitch.arch.x86.svm_controls import (
    Event,
    Intercept1,
    IntState,
    NestedControl,
    TlbControl,
    VirtExt,
)
from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.arch.x86.vmcb import MAP_BASE_MASK, VmcbControl
from worldswitch.engine import (
    Leave,
    copy_bytes,
    peek_u64,
    poke_u64,
    typed,
    u8,
    u64,
)
from worldswitch.metal.x86.control import load_pdptes, pae_paging
from worldswitch.metal.x86.leave import Exit, vmexit
from worldswitch.metal.x86.mode import purge_all, purge_space, update_mode
from worldswitch.metal.x86.physical import is_memory
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.svm.block import (
    control,
    held_u8,
    held_u16,
    held_u32,
    held_u64,
    image,
    page_changes,
    put_u64,
)
from worldswitch.metal.x86.svm.checks import (
    ASID,
    DR6,
    DR7,
    EVENT_INJ,
    G_PAT,
    IOPM,
    MSRPM,
    NESTED_CONTROL,
    NESTED_CR3,
    V_INTR,
    V_NMI_ENABLE,
    is_legal,
)
from worldswitch.metal.x86.svm.compiled import dealt_with
from worldswitch.metal.x86.svm.exits import following_rip, store_text, was_in_shadow
from worldswitch.metal.x86.svm.features import (
    SVM_FLUSH_BY_ASID,
    SVM_LBR,
    SVM_NESTED_PAGING,
    SVM_TSC_RATIO,
    SVM_VIRTUAL_NMI,
)
from worldswitch.metal.x86.svm.image import IMAGE_SIZE, read_block
from worldswitch.metal.x86.svm.intercepts import is_intercepted
from worldswitch.metal.x86.svm.transfer import (
    CR2,
    load_branches,
    load_state,
    store_branches,
    store_state,
)
from worldswitch.metal.x86.timers import instructions

TSC_OFFSET, TLB_CONTROL = control("tsc_offset"), control("tlb_control")
PAUSE_THRESHOLD, PAUSE_COUNT = control("pause_filter_threshold"), control("pause_filter_count")
INT_STATE, VIRT_EXT = control("int_state"), control("virt_ext")
EXIT_CODE, EXIT_INFO_1 = control("exit_code"), control("exit_info_1")
EXIT_INFO_2, EXIT_INT_INFO = control("exit_info_2"), control("exit_int_info")
NEXT_RIP, INSN_LEN = control("next_rip"), control("insn_len")
V_NMI, V_NMI_MASK = VmcbControl.mask_of("v_nmi"), VmcbControl.mask_of("v_nmi_mask")
V_INTR_MASKING = VmcbControl.mask_of("v_intr_masking")
SAVE_AREA = 0x400
NMI_MASK_SHIFT = V_NMI_MASK.bit_length() - 1


@typed
def is_page(cpu: Cpu, physical: u64) -> bool:
    """Whether a physical address is that of a page of memory.

    IMPDEF: a VMCB or a host save area outside of memory is refused as a bad address is.
    """
    return physical & 0xFFF == 0 and physical & ~cpu.physical_mask == 0 and is_memory(cpu, physical)


@typed(inline=False)
def run_block(cpu: Cpu, physical: u64) -> bool:
    """VMRUN of the VMCB at a page of memory; False if it has ended at once.

    `cpu.rip` is the host's way back. The guest's state is loaded; an event to inject is pending.
    """
    cpu.vmcb_physical = physical
    cpu.vmcb = cpu.ram + physical
    read_block(cpu)
    if not is_legal(cpu):
        refuse(cpu)
        return False
    lbr = cpu.svm_features & SVM_LBR != 0 and held_u64(cpu, VIRT_EXT) & VirtExt.LBR != 0
    page_changes(cpu, cpu.hsave)
    host = cpu.ram + cpu.hsave
    store_state(cpu, host)
    poke_u64(host + G_PAT, cpu.pat)
    cpu.virtual_lbr = 0
    if lbr:
        cpu.virtual_lbr = 1
        store_branches(cpu, host)
        load_branches(cpu, image(cpu))
    cpu.host_cr4 = cpu.cr4
    cpu.host_efer = cpu.efer
    cpu.host_if = u8(cpu.flags & Rflags.IF != 0)
    cpu.host_nmi_blocked = cpu.nmi_blocked
    load_controls(cpu)
    load_state(cpu, image(cpu))
    cpu.cr2 = held_u64(cpu, CR2)
    cpu.dr[6] = held_u64(cpu, DR6)
    cpu.dr[7] = held_u64(cpu, DR7) | DR7_RESET
    cpu.guest = 1
    cpu.gif = 1
    cpu.halted = 0
    cpu.shadow_at = 0
    if held_u64(cpu, INT_STATE) & IntState.INTERRUPT_SHADOW != 0:
        cpu.shadow_at = instructions(cpu)
    cpu.event_info = 0
    cpu.inject = 0
    if held_u64(cpu, EVENT_INJ) & Event.V != 0:
        cpu.inject = held_u64(cpu, EVENT_INJ)
        cpu.inject_rip = held_u64(cpu, NEXT_RIP)
    cpu.check = 1
    update_mode(cpu)
    if cpu.nested == 0 and pae_paging(cpu.cr0, cpu.cr4, cpu.efer):
        try:
            load_pdptes(cpu, cpu.cr3)
        except Leave:
            return_to_host(cpu)
            refuse(cpu)
            return False
    return True


@typed(inline=False)
def load_controls(cpu: Cpu) -> None:
    """What the control area says about the time in the guest."""
    n: u64 = 0
    while n < 6:
        cpu.intercepts[n] = held_u32(cpu, n * 4)
        n += 1
    cpu.pause_count = held_u16(cpu, PAUSE_COUNT)
    cpu.pause_threshold = held_u16(cpu, PAUSE_THRESHOLD)
    cpu.pause_left = cpu.pause_count
    cpu.guest_tsc_offset = held_u64(cpu, TSC_OFFSET)
    cpu.scaled_tsc = u8(cpu.svm_features & SVM_TSC_RATIO != 0)
    cpu.iopm = held_u64(cpu, IOPM) & MAP_BASE_MASK
    cpu.msrpm = held_u64(cpu, MSRPM) & MAP_BASE_MASK
    cpu.asid = u64(held_u32(cpu, ASID))
    flush = held_u8(cpu, TLB_CONTROL)
    if flush != TlbControl.DO_NOTHING:
        flush_for(cpu, u64(flush))
    cpu.v_intr = held_u64(cpu, V_INTR)
    cpu.nmi_blocked = 0
    if cpu.svm_features & SVM_VIRTUAL_NMI != 0 and cpu.v_intr & V_NMI_ENABLE != 0:
        cpu.nmi_blocked = u8((cpu.v_intr >> NMI_MASK_SHIFT) & 1)
    cpu.nested = 0
    if cpu.svm_features & SVM_NESTED_PAGING != 0:
        cpu.nested = u8(held_u64(cpu, NESTED_CONTROL) & NestedControl.NP_ENABLE)
        cpu.nested_cr3 = held_u64(cpu, NESTED_CR3)
    if cpu.nested != 0:
        cpu.pat = held_u64(cpu, G_PAT)


@typed(inline=False)
def flush_for(cpu: Cpu, what: u64) -> None:
    """TLB_CONTROL. ref: APM2 15.16.2

    IMPDEF: reserved values do nothing, those for flush-by-ASID on a processor without it too.
    """
    if what == TlbControl.FLUSH_ALL:
        purge_all(cpu)
    elif cpu.svm_features & SVM_FLUSH_BY_ASID != 0:
        if what == TlbControl.FLUSH_GUEST:
            purge_space(cpu, cpu.asid, 0, True, True)
        elif what == TlbControl.FLUSH_GUEST_NON_GLOBAL:
            purge_space(cpu, cpu.asid, 0, False, True)


@typed(inline=False)
def refuse(cpu: Cpu) -> None:
    """#VMEXIT(INVALID): the guest has not been entered, its state in the VMCB stays."""
    page_changes(cpu, cpu.vmcb_physical)
    put_u64(cpu, EXIT_CODE, SvmExit.INVALID)
    put_u64(cpu, EXIT_INFO_1, 0)
    put_u64(cpu, EXIT_INFO_2, 0)
    put_u64(cpu, EXIT_INT_INFO, 0)
    cpu.exit_code = SvmExit.INVALID
    cpu.vmcb_cached = 0
    cpu.gif = 0
    cpu.check = 1


@typed(inline=False)
def store_exit(cpu: Cpu) -> None:
    """#VMEXIT as the VMCB sees it: the guest's state, and why it was left. ref: APM2 15.6"""
    shadow = was_in_shadow(cpu)
    page_changes(cpu, cpu.vmcb_physical)
    following = following_rip(cpu)
    store_text(cpu)
    at = cpu.vmcb
    store_state(cpu, at)
    if cpu.nested != 0:
        poke_u64(at + G_PAT, cpu.pat)
    if cpu.virtual_lbr != 0:
        store_branches(cpu, at)
    state = peek_u64(at + INT_STATE) & ~u64(IntState.INTERRUPT_SHADOW)
    if shadow:
        state = state | IntState.INTERRUPT_SHADOW
    poke_u64(at + INT_STATE, state)
    if cpu.svm_features & SVM_VIRTUAL_NMI != 0 and cpu.v_intr & V_NMI_ENABLE != 0:
        cpu.v_intr = (cpu.v_intr & ~u64(V_NMI_MASK)) | (u64(cpu.nmi_blocked) << NMI_MASK_SHIFT)
    poke_u64(at + V_INTR, cpu.v_intr)
    poke_u64(at + EXIT_CODE, cpu.exit_code)
    poke_u64(at + EXIT_INFO_1, cpu.exit_info1)
    poke_u64(at + EXIT_INFO_2, cpu.exit_info2)
    poke_u64(at + EXIT_INT_INFO, cpu.event_info)
    poke_u64(at + EVENT_INJ, 0)
    poke_u64(at + NEXT_RIP, following)
    # What the processor holds from now on is what it has just stored.
    poke_u64(image(cpu) + V_INTR, cpu.v_intr)
    copy_bytes(image(cpu) + SAVE_AREA, at + SAVE_AREA, IMAGE_SIZE - SAVE_AREA)


@typed(inline=False)
def return_to_host(cpu: Cpu) -> None:
    """The host's state comes back from its save area; GIF is zero. ref: APM2 15.6

    A save area that cannot be read, or page-directory pointers that are wrong, shut the processor
    down.
    """
    n: u64 = 0
    while n < 6:
        cpu.intercepts[n] = 0
        n += 1
    cpu.guest = 0
    cpu.gif = 0
    cpu.nested = 0
    cpu.asid = 0
    cpu.v_intr = 0
    cpu.guest_tsc_offset = 0
    cpu.scaled_tsc = 0
    cpu.halted = 0
    cpu.delivering = 0
    cpu.dr6_pending = 0
    cpu.trap_armed = 0
    cpu.shadow_stepping = 0
    cpu.event_info = 0
    cpu.inject = 0
    cpu.shadow_at = 0
    cpu.nmi_blocked = cpu.host_nmi_blocked
    if not is_page(cpu, cpu.hsave):
        cpu.running = 2
        return
    at = cpu.ram + cpu.hsave
    load_state(cpu, at)
    cpu.cpl = 0
    cpu.cr0 = cpu.cr0 | Cr0.PE
    cpu.flags = cpu.flags & ~u64(Rflags.VM)
    cpu.dr[7] = DR7_RESET
    cpu.pat = peek_u64(at + G_PAT)
    if cpu.virtual_lbr != 0:
        load_branches(cpu, at)
        cpu.virtual_lbr = 0
    update_mode(cpu)
    cpu.check = 1
    if pae_paging(cpu.cr0, cpu.cr4, cpu.efer):
        try:
            load_pdptes(cpu, cpu.cr3)
        except Leave:
            cpu.running = 2


@typed(inline=False)
def enter_guest(cpu: Cpu) -> bool:
    """VMRUN of the VMCB in `cpu.vm_request`, for the host; False to return to it."""
    physical = cpu.vm_request - 1
    cpu.vm_request = 0
    if cpu.guest != 0:
        # The host interrupted this guest where the VMCB did not let it: it goes on.
        cpu.check = 1
        return True
    cpu.vm_native = 0
    if cpu.efer & Efer.SVME == 0 or not is_page(cpu, physical) or not is_page(cpu, cpu.hsave):
        cpu.exit_reason = Exit.VMRUN_FAULT
        return False
    if run_block(cpu, physical):
        return True
    cpu.exit_reason = Exit.VMEXIT
    return dealt_with(cpu)


@typed(inline=False)
def leave_guest(cpu: Cpu) -> bool:
    """#VMEXIT with `exit_code`; False to return to Python."""
    store_exit(cpu)
    return_to_host(cpu)
    if cpu.vm_native != 0:
        return True
    cpu.exit_reason = Exit.VMEXIT
    return dealt_with(cpu)


@typed(inline=False)
def preempt_guest(cpu: Cpu) -> None:
    """The host's slice is over: a physical interrupt, if the guest can be left with one."""
    enabled = cpu.flags & Rflags.IF != 0
    if cpu.v_intr & V_INTR_MASKING != 0:
        enabled = cpu.host_if != 0
    if not enabled or cpu.intercepts[3] & Intercept1.INTR == 0:
        cpu.exit_reason = Exit.PREEMPTED
        return
    cpu.exit_code = SvmExit.INTR
    cpu.exit_info1 = 0
    cpu.exit_info2 = 0
    store_exit(cpu)
    return_to_host(cpu)
    cpu.exit_reason = Exit.VMEXIT


@typed(leaves=True, inline=False)
def looked_at(cpu: Cpu, rec: Record) -> None:
    """#VMEXIT if the instruction behind `rec` is intercepted (`rec.imm`: which intercept)."""
    if is_intercepted(cpu, u64(rec.imm)):
        vmexit(cpu, u64(rec.imm), 0, 0)
