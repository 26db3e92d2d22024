"""The z/Architecture processor's state: one declaration, native layout and Python view alike."""

from worldswitch.engine import Array, Struct, i64, u8, u16, u32, u64

TLB_SIZE = 1024
HOST_FRAMES = 512
"""Direct-mapped TLB entries; a power of two."""
JUMP_CACHE_SIZE = 4096
"""Entries of the cache from virtual instruction address to decoded record."""
MAX_CONTEXTS = 512
"""Translation contexts: their id is in the low 12 bits of a TLB key."""
NO_REGISTER = 16
"""Register number of an absent base or index: `gr[16]` is always zero."""

# Indices of `Cpu.ctx`: which translation context an access uses.
OP1 = 0
"""First operand (equals the PSW's address space unless in access-register mode)."""
OP2 = 1
"""Second operand."""
INSN = 2
"""Instruction fetch."""
PRIMARY = 3
SECONDARY = 4
HOME = 5
REAL = 6
"""Real addresses: prefixing, no DAT, no key-controlled protection beyond the PSW key."""
ABSOLUTE = 7
SCRATCH1 = 8
"""For accesses with another key or space than the PSW's, within one instruction."""
SCRATCH2 = 9
SPACES = 10


class TlbEntry(Struct):
    """One page's translation. A key is the page's address plus the context id, or all ones."""

    read_key: u64
    write_key: u64
    addend: u64
    """Host address minus virtual address, modulo 2**64."""
    absolute: u64
    """Absolute address of the page (the metal's own storage), for invalidation."""


class HostFrame(Struct):
    """One page of the host's translation of guest storage. A key is its host virtual address, or
    all ones."""

    read_key: u64
    write_key: u64
    absolute: u64


class JumpEntry(Struct):
    """One entry of the jump cache: valid if both the address and the tag are equal."""

    pc: u64
    tag: u64
    record: u64


class Context(Struct):
    """What a translation context id stands for (`Cpu.ctx` holds ids)."""

    asce: u64
    """Address-space-control element; bit 58 (real-space) honoured. Unused with DAT off."""
    dat: u8
    """1: virtual, 0: real, 2: absolute."""
    key: u8
    """Access key in the left four of eight bits, as in storage keys."""
    space: u8
    """Address-space bits for the translation-exception id: 0 primary, 1 AR, 2 secondary, 3 home."""
    flags: u8
    """CONTEXT_* bits of mode.py."""
    pad: u32
    host: u64
    """Host identity: 0 natively; in SIE the state description that the guest belongs to."""
    host_asce: u64
    """In SIE, the host's primary ASCE at creation, which maps guest absolute storage."""
    prefix: u64
    """Prefix register's value at creation (real addresses depend on it)."""


class Record(Struct):
    """One decoded instruction: 64 bytes, first the native handler's address."""

    apart = True

    handler: u64
    pc: u64
    """Virtual address of the instruction (of the EXECUTE, for an executed one)."""
    imm: i64
    """First displacement or immediate, as the format says."""
    imm2: i64
    """Second displacement, immediate, or branch target."""
    chain: u64
    """Record at the branch target, once linked; 0 before."""
    text: u64
    """The instruction's bytes, left-aligned (bit 0 of the instruction is bit 63)."""
    r1: u8
    r2: u8
    r3: u8
    m4: u8
    x2: u8
    b1: u8
    b2: u8
    ilen: u8
    """Length in bytes that the PSW advances by (EXECUTE's for an executed instruction)."""
    insn: u16
    """Index into the table of instructions."""
    count: u16
    """Instructions from the block's start through this one."""
    flags: u16
    """RECORD_* bits of decode.py."""
    spare: u16


class Cpu(Struct):
    """A processor. `psw_mask` holds PSW bits 0-63 with the condition code kept apart in `cc`."""

    apart = True

    gr: Array[u64, 17]
    psw_addr: u64
    """Instruction address. Inside an instruction: not yet advanced; see `Record.pc`."""
    psw_mask: u64
    address_mask: u64
    """2**24-1, 2**31-1 or 2**64-1, as the addressing mode says."""
    cc: u64
    ctx: Array[u64, SPACES]
    budget: i64
    """Instructions left before native code returns; taken down at block ends."""
    limit: u64
    """Count of executed instructions at which `budget` reaches zero."""
    tag: u64
    """Tag of the current mode in the jump cache and block keys; see decode.py."""
    jump_generation: u64
    """Raised on every purge of translations: stale jump-cache entries stop matching."""
    fault_code: u16
    """Program-interruption code of a `raise Leave`."""
    leave: u8
    """Why the last instruction left: a LEAVE_* value of leave.py."""
    in_sie: u8
    """1 while interpretive execution runs a guest."""
    data_code: u8
    """DXC or VXC of a data or vector-processing exception."""
    exc_access_id: u8
    op_access_id: u8
    mon_class: u8
    running: u8
    """0: stopped, 1: operating, 2: check-stop."""
    per_active: u8
    """1 while a guest executes whose host has PER on in it, whatever its PSW says."""
    wait: u8
    """1 while a loaded PSW has the wait bit one."""
    check: u8
    """1: something may be pending that the next block boundary has to look at."""
    per_code: u16
    """PER events noted for the instruction that is executed; 0 if none."""
    per_length: u8
    """Length of that instruction."""
    per_start: u64
    """Its address."""
    per_atmid: u8
    per_access_id: u8
    per_address: u64
    translation_code: u64
    """Translation-exception identification (TEID) or monitor code."""
    exit_reason: u32
    """Why native code returned to Python: an Exit of leave.py."""
    exit_record: u64
    exit_args: Array[u64, 6]
    fpc: u32
    todpr: u32
    vr: Array[u64, 64]
    """Vector registers, two doublewords each: `vr[2 * i]` is floating-point register i."""
    ar: Array[u32, 16]
    cr: Array[u64, 16]
    prefix: u64
    breaking: u64
    """Breaking-event address."""
    cpu_address: u16
    tod_base: u64
    """TOD clock at instruction count 0 (bits 0-63 of the clock)."""
    tod_last: u64
    """Last TOD value stored, so that values are unique and monotonic."""
    epoch: u64
    """Added to the TOD clock (SIE epoch difference)."""
    clock_comparator: u64
    timer_deadline: u64
    """TOD value (without epoch) at which the CPU timer passes zero."""
    pending: u64
    """Pending interruption conditions; bits in interrupts.py."""
    ext_call: u16
    """CPU address of the pending external call."""
    emergency: Array[u64, 4]
    """Bitmap of the CPU addresses of pending emergency signals."""
    service_parameter: u32
    malfunction_cpu: u16
    """CPU address that a pending malfunction alert came from."""
    io_classes: u8
    """Interruption subclasses with an I/O interruption pending here: 0x80 is subclass 0."""
    io_subchannel: Array[u32, 8]
    """Subsystem-identification word of the pending I/O interruption, by subclass."""
    io_parameter: Array[u32, 8]
    io_word: Array[u32, 8]
    """I/O-interruption-identification word, by subclass."""
    mchk_code: u64
    """Machine-check interruption code that is pending."""
    mchk_damage_code: u32
    mchk_address: u64
    cp_parameter: u32
    """External parameter of a pending interruption of the hypervisor's own (code 2603)."""
    cp_parameter64: u64
    cp_subcode: u16
    cpu_id: u64
    """What STORE CPU ID stores."""
    random: u64
    """State of the generator behind PERFORM RANDOM NUMBER OPERATION."""
    program_parameter: u64
    """Set by LOAD PROGRAM PARAMETER."""
    entry_address: u64
    """Real address of the table entry that the last walk ended at; NO_ENTRY if at none."""
    ram: u64
    """Host address of absolute storage."""
    ram_size: u64
    keys: u64
    """Host address of the storage-key array, one byte a 4 KiB frame."""
    code_map: u64
    """Host address of a bitmap of 64-byte granules that hold decoded code, 8 bytes a frame."""
    code_cache: u64
    """Host address of the CodeCache (decode.py), shared by all processors of a machine."""
    machine_cpus: u64
    """Host address of an array of the addresses of all Cpu structs of the machine."""
    cpu_count: u64
    facilities: Array[u64, 4]
    """Facility list as STFLE stores it, host-order doublewords."""
    next_context: u64
    context_key: u64
    """What of the PSW the contexts in `ctx` were made for (`context_state`)."""
    mode: u64
    """Mode bits that change decoding (MODE_* of mode.py)."""
    contexts: Array[Context, MAX_CONTEXTS]
    executed: Array[Record, 2]
    """Scratch records for EXECUTE: the target, and the way back."""
    executed_mode: u64
    """Mode that `executed` was decoded in."""
    run_budget: u64
    """Instructions that native code is to execute before it gives the processor back."""
    deadline: u64
    """Count of executed instructions at which a host that enters guests wants it back."""
    slice_end: u64
    """Count of executed instructions at which native code gives the processor back."""
    sie_request: u64
    """Address in this process of a state description to enter with the next instruction, or 0."""
    exit_handler: u64
    """Address of a compiled handler of interceptions (sie/compiled.py), or 0."""
    sie_known: u64
    """Address in this process of the KnownBlocks (sie/known.py)."""
    sie_checked: u8
    """1: the state description of `sie_request` has just been checked."""
    sie_block: u64
    """Address in this process of the active state description, in SIE."""
    stepping: u8
    """1: single instructions are asked for (Processor.step)."""
    sie_native: u8
    """1: SIE was executed by a program, which goes on behind it; 0: issued from Python."""
    sie_protected: u8
    """1: a protected guest (format 4)."""
    sie_config: u16
    """Number of the protected guest's configuration."""
    sie_reason: u32
    """With an intercepted instruction of a protected guest: what it asks for, an Exit."""
    sie_secure: u64
    """Address in this process of the protected CPU's SecureState."""
    secure_owner: u64
    """Address of an array of halfwords, one a frame: the configuration that owns it, 0 for none,
    SECURE_SHARED added if the guest shares it with the host; 0 while there are no such guests."""
    secure_guest: u64
    """Address of an array of words, one a frame: the guest frame that an owned frame holds."""
    sie_tag: u64
    """Identity of the active state description for TLB tags."""
    sie_intercept: u64
    """Interception code that leaves SIE next, 0 if none."""
    sie_text: u64
    """The intercepted instruction's text, left-aligned."""
    sie_status: u8
    """Interception status (icptstatus)."""
    host_gr14: u64
    host_gr15: u64
    host_psw_mask: u64
    host_psw_addr: u64
    host_cc: u64
    host_cr: Array[u64, 16]
    host_prefix: u64
    host_asce: u64
    """Primary ASCE of the host: it maps guest absolute storage."""
    host_clock_comparator: u64
    host_timer_deadline: u64
    host_todpr: u32
    host_epoch: u64
    host_program_parameter: u64
    host_breaking: u64
    host_facilities: Array[u64, 4]
    host_pending_early: u64
    host_fault_address: u64
    """Guest absolute address plus origin that the host's translation failed for."""
    host_fault_store: u8
    dat_protection: u8
    """1 if the last protection exception was DAT protection."""
    mso: u64
    msl: u64
    undefined_count: u64
    """Operation exceptions on encodings that are not modelled."""
    undefined_text: u64
    """The last such instruction, left-aligned."""
    exits: u64
    tlb: Array[TlbEntry, TLB_SIZE]
    frames_asce: u64
    """The host's address space that `host_frames` are of."""
    frames_prefix: u64
    host_frames: Array[HostFrame, HOST_FRAMES]
    """What the host's tables said of guest storage, for the guest in SIE now or last."""
    jumps: Array[JumpEntry, JUMP_CACHE_SIZE]
