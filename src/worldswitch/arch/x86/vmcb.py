"""The virtual-machine control block: control area, save area, and lists of what each step moves.

A `Vmcb` is the 4 Kbytes that rAX designates for VMRUN. The rules that VMRUN checks it by are in
`worldswitch.arch.x86.consistency`. UNMODELLED: the save area of SEV-ES guests, which is encrypted
and in a page of its own.
"""

from worldswitch.arch.control_block import (
    ControlBlock,
    at,
    bits,
    control_block,
    u8,
    u16,
    u32,
    u64,
    u64s,
)
from worldswitch.arch.x86.registers import Cet, Cr0, Cr4, DebugCtl, Dr6, Dr7, Efer, Rflags, SpecCtrl
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.arch.x86.svm_controls import (
    Clean,
    CrIntercept,
    DrIntercept,
    EventType,
    ExceptionIntercept,
    Intercept1,
    Intercept2,
    Intercept3,
    IntState,
    NestedControl,
    TlbControl,
    VirtExt,
)
from worldswitch.arch.x86.svm_exits import SvmExit

SIZE = 0x1000
ALIGNMENT = 0x1000
SAVE_OFFSET = 0x400
MAP_BASE_MASK = 0x000F_FFFF_FFFF_F000
"""IOPM_BASE_PA and MSRPM_BASE_PA: bits 11:0 are ignored. ref: APM2 15.10.1; APM2 15.11."""


@control_block(size=0x10, byteorder="little", ref="APM2 B.2 Layout of VMCB State Save Area")
class Segment(ControlBlock):
    """A segment register with its hidden part; GDTR and IDTR have base and limit alone."""

    selector: u16 = at(0x0, ref="APM2 B.2 selector")
    attrib: u16 = at(0x2, ref="APM2 B.2 attrib", names=SegAttr)
    limit: u32 = at(0x4, ref="APM2 B.2 limit")
    base: u64 = at(0x8, ref="APM2 B.2 base")


@control_block(size=0x400, byteorder="little", ref="APM2 B.1 Layout of VMCB Control Area")
class VmcbControl(ControlBlock):
    """What the hypervisor asks for, and what the processor reports at #VMEXIT."""

    intercept_cr: u32 = at(0x000, ref="APM2 15.9", names=CrIntercept)
    intercept_dr: u32 = at(0x004, ref="APM2 15.9", names=DrIntercept)
    intercept_exceptions: u32 = at(0x008, ref="APM2 15.12", names=ExceptionIntercept)
    intercept_1: u32 = at(0x00C, ref="APM2 15.9; APM2 15.13", names=Intercept1)
    intercept_2: u32 = at(0x010, ref="APM2 15.9", names=Intercept2)
    intercept_3: u32 = at(0x014, ref="APM2 15.9", names=Intercept3)
    pause_filter_threshold: u16 = at(0x03C, ref="APM2 15.14.4", doc="cycles between PAUSEs")
    pause_filter_count: u16 = at(0x03E, ref="APM2 15.14.4")
    iopm_base_pa: u64 = at(0x040, ref="APM2 15.10.1", doc="I/O permission map")
    msrpm_base_pa: u64 = at(0x048, ref="APM2 15.11", doc="MSR permission map")
    tsc_offset: u64 = at(0x050, ref="APM2 15.30.5", doc="added to the guest's time stamps")
    asid: u32 = at(0x058, ref="APM2 15.16", doc="address space of the guest's TLB entries")
    tlb_control: u8 = at(0x05C, ref="APM2 15.16.2", names=TlbControl)
    rap_control: u8 = at(0x05D, ref="APM2 B.1 return address predictor")
    v_intr: u64 = at(0x060, ref="APM2 15.21")
    v_tpr: u64 = bits("v_intr", 0, 7, ref="APM2 15.21.2")
    v_irq: u64 = bits("v_intr", 8, ref="APM2 15.21.4", doc="virtual interrupt pending")
    v_gif: u64 = bits("v_intr", 9, ref="APM2 15.33.2", doc="virtual GIF")
    v_nmi: u64 = bits("v_intr", 11, ref="APM2 15.21.10", doc="virtual NMI pending")
    v_nmi_mask: u64 = bits("v_intr", 12, ref="APM2 15.21.10", doc="virtual NMIs are blocked")
    v_intr_prio: u64 = bits("v_intr", 16, 19, ref="APM2 15.21.4")
    v_ign_tpr: u64 = bits("v_intr", 20, ref="APM2 15.21.4", doc="V_TPR does not hold it back")
    v_intr_masking: u64 = bits("v_intr", 24, ref="APM2 15.21.1")
    v_gif_enable: u64 = bits("v_intr", 25, ref="APM2 15.33.2")
    v_nmi_enable: u64 = bits("v_intr", 26, ref="APM2 15.21.10")
    x2avic_enable: u64 = bits("v_intr", 30, ref="APM2 15.29.10")
    avic_enable: u64 = bits("v_intr", 31, ref="APM2 15.29")
    v_intr_vector: u64 = bits("v_intr", 32, 39, ref="APM2 15.21.4")
    int_state: u64 = at(0x068, ref="APM2 15.21.5", names=IntState)
    interrupt_shadow: u64 = bits("int_state", 0, ref="APM2 15.21.5")
    guest_interrupt_mask: u64 = bits("int_state", 1, ref="APM2 15.35", doc="SEV-ES: RFLAGS.IF")
    exit_code: u64 = at(0x070, ref="APM2 15.6; APM2 C", names=SvmExit)
    exit_info_1: u64 = at(0x078, ref="APM2 15.6; APM2 C")
    exit_info_2: u64 = at(0x080, ref="APM2 15.6; APM2 C")
    exit_int_info: u64 = at(0x088, ref="APM2 15.7.2", doc="event whose delivery was interrupted")
    exit_int_vector: u64 = bits("exit_int_info", 0, 7, ref="APM2 15.7.2")
    exit_int_type: u64 = bits("exit_int_info", 8, 10, ref="APM2 15.7.2", names=EventType)
    exit_int_ev: u64 = bits("exit_int_info", 11, ref="APM2 15.7.2", doc="has error code")
    exit_int_valid: u64 = bits("exit_int_info", 31, ref="APM2 15.7.2")
    exit_int_error: u64 = bits("exit_int_info", 32, 63, ref="APM2 15.7.2")
    nested_control: u64 = at(0x090, ref="APM2 15.25.3; APM2 15.34", names=NestedControl)
    avic_apic_bar: u64 = at(0x098, ref="APM2 15.29.2")
    ghcb_pa: u64 = at(0x0A0, ref="APM2 15.35", doc="SEV-ES: guest-hypervisor block")
    event_inj: u64 = at(0x0A8, ref="APM2 15.20", doc="event to deliver at VMRUN")
    event_inj_vector: u64 = bits("event_inj", 0, 7, ref="APM2 15.20")
    event_inj_type: u64 = bits("event_inj", 8, 10, ref="APM2 15.20", names=EventType)
    event_inj_ev: u64 = bits("event_inj", 11, ref="APM2 15.20", doc="has error code")
    event_inj_valid: u64 = bits("event_inj", 31, ref="APM2 15.20")
    event_inj_error: u64 = bits("event_inj", 32, 63, ref="APM2 15.20")
    nested_cr3: u64 = at(0x0B0, ref="APM2 15.25.4", doc="nested page tables")
    virt_ext: u64 = at(0x0B8, ref="APM2 15.23; APM2 15.33.1", names=VirtExt)
    clean: u32 = at(0x0C0, ref="APM2 15.15.3", names=Clean)
    next_rip: u64 = at(0x0C8, ref="APM2 15.7.1", doc="next instruction, if the exit saves it")
    insn_len: u8 = at(0x0D0, ref="APM2 15.8.4", doc="bytes fetched")
    insn_bytes: bytes = at(0x0D1, size=15, ref="APM2 15.8.4", doc="guest instruction bytes")
    avic_backing_page: u64 = at(0x0E0, ref="APM2 15.29.3")
    avic_logical_table: u64 = at(0x0F0, ref="APM2 15.29.4")
    avic_physical_table: u64 = at(0x0F8, ref="APM2 15.29.4")
    avic_physical_max_index: u64 = bits("avic_physical_table", 0, 11, ref="APM2 15.29.4")
    vmsa_pa: u64 = at(0x108, ref="APM2 15.35", doc="SEV-ES: save area")
    vmgexit_rax: u64 = at(0x110, ref="APM2 B.1 VMGEXIT_RAX")
    vmgexit_cpl: u8 = at(0x118, ref="APM2 B.1 VMGEXIT_CPL")
    bus_lock_counter: u16 = at(0x120, ref="APM2 15.14.5")
    update_irr: u32 = at(0x134, ref="APM2 B.1 UPDATE_IRR")
    allowed_sev_features: u64 = at(0x138, ref="APM2 15.36.20")
    guest_sev_features: u64 = at(0x140, ref="APM2 15.36.20")
    requested_irr: bytes = at(0x150, size=32, ref="APM2 B.1 REQUESTED_IRR")
    host_use: bytes = at(0x3E0, size=32, ref="APM2 B.1 reserved for host usage")


@control_block(size=0xC00, byteorder="little", ref="APM2 B.2 Layout of VMCB State Save Area")
class VmcbSave(ControlBlock):
    """The guest's state."""

    es: Segment = at(0x000, ref="APM2 B.2 ES")
    cs: Segment = at(0x010, ref="APM2 B.2 CS")
    ss: Segment = at(0x020, ref="APM2 B.2 SS")
    ds: Segment = at(0x030, ref="APM2 B.2 DS")
    fs: Segment = at(0x040, ref="APM2 B.2 FS")
    gs: Segment = at(0x050, ref="APM2 B.2 GS")
    gdtr: Segment = at(0x060, ref="APM2 B.2 GDTR")
    ldtr: Segment = at(0x070, ref="APM2 B.2 LDTR")
    idtr: Segment = at(0x080, ref="APM2 B.2 IDTR")
    tr: Segment = at(0x090, ref="APM2 B.2 TR")
    vmpl: u8 = at(0x0CA, ref="APM2 B.2 VMPL", doc="SEV-SNP: privilege level")
    cpl: u8 = at(0x0CB, ref="APM2 15.5.1", doc="privilege level, whatever the segments say")
    efer: u64 = at(0x0D0, ref="APM2 3.1.7", names=Efer)
    perf_ctl_ctr: u64s = at(0x0E0, count=12, ref="APM2 B.2 PERF_CTL0 to PERF_CTR5")
    cr4: u64 = at(0x148, ref="APM2 3.1.3", names=Cr4)
    cr3: u64 = at(0x150, ref="APM2 3.1.2")
    cr0: u64 = at(0x158, ref="APM2 3.1.1", names=Cr0)
    dr7: u64 = at(0x160, ref="APM2 13.1.1", names=Dr7)
    dr6: u64 = at(0x168, ref="APM2 13.1.1", names=Dr6)
    rflags: u64 = at(0x170, ref="APM2 3.1.6", names=Rflags)
    rip: u64 = at(0x178, ref="APM2 B.2 RIP")
    instr_retired_ctr: u64 = at(0x1C0, ref="APM2 B.2 INSTR_RETIRED_CTR")
    perf_ctr_global_sts: u64 = at(0x1C8, ref="APM2 B.2 PERF_CTR_GLOBAL_STS")
    perf_ctr_global_ctl: u64 = at(0x1D0, ref="APM2 B.2 PERF_CTR_GLOBAL_CTL")
    rsp: u64 = at(0x1D8, ref="APM2 B.2 RSP")
    s_cet: u64 = at(0x1E0, ref="APM2 18.12", names=Cet)
    ssp: u64 = at(0x1E8, ref="APM2 18.2", doc="shadow-stack pointer")
    isst_addr: u64 = at(0x1F0, ref="APM2 18.12", doc="interrupt shadow-stack table")
    rax: u64 = at(0x1F8, ref="APM2 B.2 RAX")
    star: u64 = at(0x200, ref="APM2 6.1.1")
    lstar: u64 = at(0x208, ref="APM2 6.1.1")
    cstar: u64 = at(0x210, ref="APM2 6.1.1")
    sfmask: u64 = at(0x218, ref="APM2 6.1.1")
    kernel_gs_base: u64 = at(0x220, ref="APM2 6.4")
    sysenter_cs: u64 = at(0x228, ref="APM2 6.1.2")
    sysenter_esp: u64 = at(0x230, ref="APM2 6.1.2")
    sysenter_eip: u64 = at(0x238, ref="APM2 6.1.2")
    cr2: u64 = at(0x240, ref="APM2 3.1.2")
    g_pat: u64 = at(0x268, ref="APM2 15.25.2", doc="guest PAT, with nested paging")
    dbgctl: u64 = at(0x270, ref="APM2 15.23", names=DebugCtl)
    br_from: u64 = at(0x278, ref="APM2 15.23")
    br_to: u64 = at(0x280, ref="APM2 15.23")
    last_excp_from: u64 = at(0x288, ref="APM2 15.23")
    last_excp_to: u64 = at(0x290, ref="APM2 15.23")
    dbg_extn_cfg: u64 = at(0x298, ref="APM2 15.23")
    spec_ctrl: u64 = at(0x2E0, ref="APM2 15.37", names=SpecCtrl)
    lbr_stack: u64s = at(0x670, count=32, ref="APM2 15.23", doc="pairs of from and to")
    lbr_select: u64 = at(0x770, ref="APM2 15.23")
    ibs_fetch_ctl: u64 = at(0x778, ref="APM2 B.2 IBS_FETCH_CTL")
    ibs_fetch_linaddr: u64 = at(0x780, ref="APM2 B.2 IBS_FETCH_LINADDR")
    ibs_op_ctl: u64 = at(0x788, ref="APM2 B.2 IBS_OP_CTL")
    ibs_op_rip: u64 = at(0x790, ref="APM2 B.2 IBS_OP_RIP")
    ibs_op_data: u64 = at(0x798, ref="APM2 B.2 IBS_OP_DATA")
    ibs_op_data2: u64 = at(0x7A0, ref="APM2 B.2 IBS_OP_DATA2")
    ibs_op_data3: u64 = at(0x7A8, ref="APM2 B.2 IBS_OP_DATA3")
    ibs_dc_linaddr: u64 = at(0x7B0, ref="APM2 B.2 IBS_DC_LINADDR")
    bp_ibstgt_rip: u64 = at(0x7B8, ref="APM2 B.2 BP_IBSTGT_RIP")
    ic_ibs_extd_ctl: u64 = at(0x7C0, ref="APM2 B.2 IC_IBS_EXTD_CTL")


@control_block(size=SIZE, byteorder="little", ref="APM2 B VMCB Layout")
class Vmcb(ControlBlock):
    """The whole block."""

    control: VmcbControl = at(0x000, ref="APM2 B.1 Layout of VMCB Control Area")
    save: VmcbSave = at(SAVE_OFFSET, ref="APM2 B.2 Layout of VMCB State Save Area")


# Fields of the save area that VMLOAD loads and VMSAVE stores; neither VMRUN nor #VMEXIT moves them.
VMLOAD_FIELDS = (
    "fs", "gs", "tr", "ldtr", "kernel_gs_base", "star", "lstar", "cstar", "sfmask",
    "sysenter_cs", "sysenter_esp", "sysenter_eip",
)  # fmt: skip
VMRUN_FIELDS = (
    "es", "cs", "ss", "ds", "gdtr", "idtr", "cpl", "efer", "cr4", "cr3", "cr0", "dr7", "dr6",
    "rflags", "rip", "rsp", "rax", "cr2",
)  # fmt: skip
"""What VMRUN loads and #VMEXIT stores always. ref: APM2 15.5.1; APM2 15.6."""
NESTED_FIELDS = ("g_pat",)
"""Loaded and stored with nested paging alone. ref: APM2 15.25.4."""
LBR_FIELDS = ("dbgctl", "br_from", "br_to", "last_excp_from", "last_excp_to")
"""Loaded and stored with LBR virtualization alone. ref: APM2 15.23."""
SHADOW_STACK_FIELDS = ("s_cet", "ssp", "isst_addr")
"""Loaded and stored on processors with shadow stacks alone. ref: APM2 15.5.1."""
CANONICALIZED_BASES = ("es", "cs", "ss", "ds", "gdtr", "idtr")
"""Segments whose bases VMRUN sign-extends instead of refusing them. ref: APM2 15.5.1."""
