"""The x86-64 processor's state: one declaration, native layout and Python view alike."""

from worldswitch.engine import Array, Struct, i64, u8, u16, u32, u64

TLB_SIZE = 1024
"""Direct-mapped TLB entries; a power of two."""
JUMP_CACHE_SIZE = 4096
"""Entries of the cache from instruction pointer to decoded record."""
MAX_SPACES = 256
"""Address spaces (ASID and PCID) that the TLB tells apart; their number is in bits 3 up of a
context, the kind of access in the bits below, and the context in the low 12 bits of a TLB key."""
NO_REGISTER = 16
"""Register number of an absent base or index: `gr[16]` is always zero."""
SCRATCH = 17
"""`gr[17]`: the linear address that an ADDRESS record has computed for the instruction after it."""

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI = range(8)
ES, CS, SS, DS, FS, GS, LDTR, TR, FLAT, ENTERED, FLAT_STACK = range(11)
"""Segment registers by number. FLAT's base is always zero, and so is FLAT_STACK's: that stands for
SS in 64-bit mode, where it only decides between #SS and #GP. ENTERED is the stack segment that a
transfer of control is about to enter (frames.py)."""
FRAME_SIZE = 40
"""Values that are pushed at once, at most: 31 parameters of a call gate, and four registers."""

# Indices of `Cpu.ctx`: which translation context an access uses.
DATA = 0
"""Data of the current privilege level."""
CODE = 1
"""Instruction fetch."""
SYSTEM = 2
"""Implicit supervisor access: descriptor tables, the TSS, the stack of a more privileged level."""
CONTEXTS = 3

# Kinds of access: the low three bits of a context.
USER_DATA = 0
USER_CODE = 1
SUPERVISOR_DATA = 2
SUPERVISOR_DATA_AC = 3
"""Supervisor data access with RFLAGS.AC set: SMAP does not forbid user pages."""
SUPERVISOR_CODE = 4
USER_DATA_ALIGNED = 5
"""User data access with alignment checking: never in the TLB, so that every access is looked at."""


class TlbEntry(Struct):
    """One page's translation. A key is the page's linear address plus the context, or all ones."""

    read_key: u64
    write_key: u64
    addend: u64
    """Host address minus linear address, modulo 2**64."""
    absolute: u64
    """Physical address of the frame in the metal's own memory; in the low bits ENTRY_*."""


ENTRY_GLOBAL = 1
ENTRY_LARGE = 2
"""Part of a page of 2 or 4 MiB."""
ENTRY_HUGE = 4
"""Part of a page of 1 GiB."""


class JumpEntry(Struct):
    """One entry of the jump cache: valid if both the address and the tag are equal."""

    pc: u64
    tag: u64
    record: u64


class Record(Struct):
    """One decoded instruction: 64 bytes, first the native handler's address."""

    apart = True

    handler: u64
    pc: u64
    """RIP of the instruction."""
    imm: i64
    """Immediate, sign-extended; for a relative branch the target RIP."""
    disp: i64
    """Displacement; with RIP-relative addressing the whole offset. Far pointers: the selector."""
    chain: u64
    """Record at the branch target, once linked; 0 before."""
    reg: u8
    """ModRM.reg with REX.R: a general, XMM, segment, control or debug register."""
    rm: u8
    """ModRM.rm with REX.B if it names a register, else 0; also the register of `+r` opcodes."""
    base: u8
    index: u8
    scale: u8
    """Shift count of the index, 0 to 3."""
    seg: u8
    """Segment of the memory operand: FLAT where its base does not count."""
    ilen: u8
    """Length in bytes, prefixes included."""
    reg_shift: u8
    """8 if `reg` names AH, CH, DH or BH (as 0 to 3), else 0."""
    rm_shift: u8
    """The same for `rm`."""
    vvvv: u8
    """VEX.vvvv as a register number."""
    prefixes: u8
    """PREFIX_* bits of decode.py."""
    width: u8
    """Bytes of the memory operand, for ADDRESS records."""
    insn: u16
    """Index into the table of instructions."""
    count: u16
    """Instructions from the block's start through this one."""
    flags: u16
    """RECORD_* bits of decode.py."""
    opcode: u16
    """x87 instructions: what the last-opcode register gets (the low bits of the opcode byte, and
    ModRM) in bits 10:0; the segment of the memory operand in bits 15:12."""
    spare2: u32


class Cpu(Struct):
    """A processor.

    RFLAGS is in three parts: `result` and `carries` say what the status flags are (flags.py), and
    `flags` holds the other bits.
    """

    apart = True

    gr: Array[u64, 18]
    rip: u64
    """Inside an instruction: not yet advanced; see `Record.pc`."""
    result: i64
    carries: u64
    flags: u64
    budget: i64
    """Instructions left before native code returns; taken down at block ends."""
    ctx: Array[u64, CONTEXTS]
    seg_base: Array[u64, 11]
    tag: u64
    """Tag of the current mode in the jump cache."""
    mode: u64
    """Mode bits that change decoding (MODE_* of mode.py)."""
    limit: u64
    """Count of executed instructions at which `budget` reaches zero."""
    jump_generation: u64
    """Raised on every change after which a cached jump target may be wrong."""
    stack_mask: u64
    """2**16-1, 2**32-1 or 2**64-1: how wide the stack pointer is."""
    xmm: Array[u64, 64]
    """YMM registers, four quadwords each: XMM n is the quadwords 4n and 4n+1."""
    seg_limit: Array[u32, 10]
    seg_attr: Array[u16, 10]
    """As in the VMCB (arch.x86.segments.SegAttr)."""
    seg_selector: Array[u16, 10]
    gdtr_base: u64
    idtr_base: u64
    gdtr_limit: u16
    idtr_limit: u16
    cpl: u8
    running: u8
    """0: waits for a start-up IPI, 1: executes, 2: shut down."""
    halted: u8
    """1: after HLT, until an interrupt; 2: after MWAIT."""
    check: u8
    """1: something may be pending that the next block boundary has to look at."""
    vector: u8
    """Vector of a `raise Leave` with LEAVE_FAULT or LEAVE_TRAP."""
    leave: u8
    """Why the last instruction left: a LEAVE_* value of leave.py."""
    has_error: u8
    """1: `error` belongs to the exception."""
    delivering: u8
    """What is being delivered, for double faults: a DELIVERING_* of exceptions.py."""
    delivering_vector: u8
    nmi_blocked: u8
    """1: from an NMI's delivery to the next IRET."""
    gif: u8
    """Global interrupt flag: 0 from CLGI (and #VMEXIT) to STGI."""
    guest: u8
    """1 while a guest of VMRUN executes."""
    smm: u8
    """1 in system-management mode."""
    stepping: u8
    """1: single instructions are asked for (Processor.step)."""
    trap_armed: u8
    """1: the block that was begun executes one instruction with TF set."""
    apic_mode: u8
    """0: disabled, 1: xAPIC, 2: x2APIC."""
    error: u32
    dr6_pending: u64
    """DR6 bits of a debug trap that the next instruction boundary takes; 0 if none."""
    shadow_at: u64
    """Count of executed instructions at which an interrupt shadow ends; see `in_shadow`."""
    shadow_stepping: u8
    """1: blocks are one instruction long because an event waits for the end of a shadow."""
    shadow_of_ss: u8
    """1: the last shadow is that of a load of SS, which holds off debug exceptions too."""
    cr0: u64
    cr2: u64
    cr3: u64
    cr4: u64
    efer: u64
    xcr0: u64
    pdpte: Array[u64, 4]
    """PAE page-directory pointers, loaded by a write to CR3."""
    dr: Array[u64, 8]
    pkru: u32
    mxcsr: u32
    physical_mask: u64
    """Ones in the bits of a page-table entry's address that the model supports."""
    cr4_mask: u64
    efer_mask: u64
    xcr0_mask: u64
    """The bits that are not reserved."""
    linear_bits: u8
    x87_control: u16
    x87_status: u16
    """With TOP; the registers are in the order of their physical numbers."""
    x87_tags: u8
    """One bit a physical register: 1 if it is not empty."""
    x87_opcode: u16
    x87_ip: u64
    x87_dp: u64
    x87_cs: u16
    x87_ds: u16
    st_exponent: Array[u16, 8]
    """Sign and exponent."""
    st: Array[u64, 8]
    """Significands; also the MMX registers."""
    star: u64
    lstar: u64
    cstar: u64
    sfmask: u64
    sysenter_cs: u64
    sysenter_esp: u64
    sysenter_eip: u64
    kernel_gs_base: u64
    pat: u64
    tsc_aux: u64
    apic_base: u64
    debugctl: u64
    last_branch_from: u64
    last_branch_to: u64
    last_exception_from: u64
    last_exception_to: u64
    mtrr_def_type: u64
    mtrr_fixed: Array[u64, 11]
    mtrr_variable: Array[u64, 16]
    misc_enable: u64
    spec_ctrl: u64
    syscfg: u64
    hwcr: u64
    smbase: u64
    u_cet: u64
    s_cet: u64
    ssp: u64
    pl_ssp: Array[u64, 4]
    interrupt_ssp_table: u64
    xss: u64
    features: Array[u32, 32]
    """CPUID feature words that decoding and instructions ask for (features.py)."""
    clock_base: u64
    """The machine's clock (nanoseconds) at instruction count 0."""
    tsc_offset: u64
    """Added to the clock for the time-stamp counter."""
    guest_tsc_offset: u64
    """What a hypervisor adds for its guest; 0 in the host."""
    cpuid_table: u64
    """Host address of CpuidEntry structs (cpuid.py)."""
    cpuid_count: u64
    misc_msrs: Array[u64, 32]
    """MSRs that keep what is written to them and do nothing; numbers in msrs.py."""
    pending: u64
    """Pending events: PENDING_* of interrupts.py."""
    pic_vector: u8
    """Vector that the 8259 pair gives next, while PENDING_INTR is set."""
    startup_vector: u8
    apic_id: u32
    apic_tpr: u32
    apic_svr: u32
    apic_ldr: u32
    apic_dfr: u32
    apic_esr: u32
    apic_esr_pending: u32
    apic_icr: u64
    apic_lvt: Array[u32, 8]
    """CMCI, timer, thermal, performance, LINT0, LINT1, error."""
    apic_irr: Array[u64, 4]
    apic_isr: Array[u64, 4]
    apic_tmr: Array[u64, 4]
    apic_divide: u32
    apic_initial: u32
    apic_timer_start: u64
    """Clock at which the timer was set."""
    apic_timer_due: u64
    """Clock at which it fires, or all ones."""
    apic_deadline: u64
    """IA32_TSC_DEADLINE, 0 if not armed."""
    exit_reason: u32
    """Why native code returned to Python: an Exit of leave.py."""
    exit_record: u64
    exit_args: Array[u64, 6]
    run_budget: u64
    """Instructions that native code is to execute before it gives the processor back."""
    deadline: u64
    """Count of executed instructions at which a host that enters guests wants it back."""
    slice_end: u64
    """Count of executed instructions at which native code gives the processor back."""
    bus: u64
    """Address of the function that answers device accesses (`call_native`), with the Cpu's
    address as its argument."""
    bus_kind: u64
    """BUS_* of bus.py."""
    bus_address: u64
    bus_size: u64
    bus_value: u64
    frame: Array[u64, FRAME_SIZE]
    """What a transfer of control is about to push, first to last."""
    entered_mask: u64
    """`stack_mask` of the stack in ENTERED."""
    software_rip: u64
    """RIP of the INT instruction whose interrupt is being delivered."""
    bounce: Array[u64, 4]
    """What a read-modify-write instruction works on where it cannot work in place."""
    bounce_address: u64
    bounce_size: u64
    bounce_seg: u64
    fault_address: u64
    """Linear address of the access that is being resolved."""
    entry_flags: u64
    """ENTRY_* bits of the translation that has just been made."""
    ram: u64
    """Host address of physical memory."""
    ram_low: u64
    """End of the memory from address 0."""
    ram_high: u64
    """End of the memory from 4 GiB, or 4 GiB."""
    code_map: u64
    """Host address of a bitmap of 64-byte granules that hold decoded code, 8 bytes a frame."""
    code_cache: u64
    """Host address of the CodeCache, shared by all processors of a machine."""
    constants: u64
    """Host address of constant tables (constants.py)."""
    machine_cpus: u64
    """Host address of an array of the addresses of all Cpu structs of the machine."""
    cpu_count: u64
    undefined_count: u64
    """Invalid-opcode exceptions on encodings that are not modelled."""
    undefined_text: u64
    """The first eight bytes of the last such instruction."""
    unknown_msr_count: u64
    unknown_msr: u64
    spaces_used: u64
    spaces: Array[u64, MAX_SPACES]
    """What the spaces stand for: ASID in bits 31:12, PCID in bits 11:0."""
    asid: u64
    """Of the guest that executes; 0 in the host."""
    nested: u8
    """1: nested paging translates the guest's physical addresses."""
    nested_cr3: u64
    vmcb: u64
    """Host address of the active VMCB."""
    vmcb_physical: u64
    hsave: u64
    """VM_HSAVE_PA."""
    vm_cr: u64
    vm_request: u64
    """Physical address plus one of a VMCB to VMRUN with the next instruction, issued from Python;
    0 if none."""
    vm_native: u8
    """1: VMRUN was executed by a program, which goes on behind it."""
    exit_code: u64
    exit_info1: u64
    exit_info2: u64
    intercepts: Array[u32, 6]
    """Intercept vectors 0 to 5 of the active VMCB, 0 in the host."""
    svm_features: u64
    """What of SVM the processor has: SVM_* of svm/features.py."""
    asids: u64
    """Number of ASIDs, the host's included."""
    iopm: u64
    msrpm: u64
    """Physical addresses of the active permission maps."""
    v_intr: u64
    """The word of the VMCB's control area about virtual interrupts, while a guest executes."""
    pause_count: u16
    pause_threshold: u16
    pause_left: u16
    pause_last: u64
    event_info: u64
    """The event that is being delivered, in the form of EXITINTINFO; 0 if none is."""
    virtual_lbr: u8
    """1: last-branch registers are switched."""
    scaled_tsc: u8
    """1: the TSC ratio applies."""
    inject: u64
    """EVENTINJ of the guest that was entered, until its event is delivered; 0: none."""
    inject_rip: u64
    """nRIP of the VMCB: what a software interrupt that is injected returns to."""
    host_if: u8
    """RFLAGS.IF of the host, for V_INTR_MASKING."""
    host_nmi_blocked: u8
    host_cr4: u64
    host_efer: u64
    """The host's, while a guest executes: they decide how nested tables are walked."""
    exit_handler: u64
    """Address of a compiled exit handler (svm/compiled.py), or 0."""
    vmcb_cached: u64
    """Physical address plus one of the VMCB that `vmcb_image` is of; 0 if of none."""
    vmcb_image: Array[u64, 224]
    """What the processor holds of the VMCB: fields that are said to be clean come from here."""
    random: u64
    """State of the generator of RDRAND and RDSEED."""
    tlb: Array[TlbEntry, TLB_SIZE]
    jumps: Array[JumpEntry, JUMP_CACHE_SIZE]
