"""What of the processor's state decides how code is decoded and how memory is reached.

`update_mode` brings `cpu.mode`, the translation contexts and the jump cache's tag up to date; call
it after any change of CR0, CR4, EFER, RFLAGS (VM, TF, AC), CS, SS or the privilege level.
"""

from worldswitch.arch.x86.registers import CR3_PCID, Cr0, Cr4, Efer, Rflags
from worldswitch.arch.x86.segments import SegAttr
from worldswitch.engine import typed, u8, u64
from worldswitch.metal.x86.state import (
    CODE,
    CS,
    DATA,
    DS,
    ENTRY_GLOBAL,
    ENTRY_HUGE,
    ENTRY_LARGE,
    ES,
    MAX_SPACES,
    SS,
    SUPERVISOR_CODE,
    SUPERVISOR_DATA,
    SUPERVISOR_DATA_AC,
    SYSTEM,
    TLB_SIZE,
    USER_CODE,
    USER_DATA,
    USER_DATA_ALIGNED,
    Cpu,
)

MODE_LONG = 1
"""64-bit mode: CS.L in long mode."""
MODE_CODE32 = 2
"""The default operand and address size is 32 bits (not in 64-bit mode)."""
MODE_STACK32 = 4
"""The stack pointer is 32 bits wide (not in 64-bit mode)."""
MODE_USER = 8
"""Privilege level 3."""
MODE_KERNEL = 16
"""Privilege level 0."""
MODE_PROTECTED = 32
"""Protected mode, virtual-8086 mode included."""
MODE_V86 = 64
MODE_SEGMENTED = 128
"""Some data segment has a base, a limit or rights that a memory operand has to be checked with."""
MODE_SINGLE = 256
"""Blocks are one instruction long: single step, breakpoints, an interrupt shadow."""
MODE_GUEST = 512
"""A guest of VMRUN: instructions may be intercepted."""
MODE_NO_X87 = 1024
"""CR0.EM or CR0.TS: x87 instructions are #NM."""
MODE_NO_SSE = 2048
"""CR0.EM, or CR4.OSFXSR is zero: SSE instructions are #UD."""
MODE_TS = 4096
"""CR0.TS: SSE instructions are #NM."""
MODE_ALIGN = 8192
"""Data accesses are checked for alignment: CR0.AM, RFLAGS.AC, privilege level 3."""
MODE_LMA = 16384
"""Long mode, compatibility mode included."""
MODE_SMM = 32768
MODE_WAIT = 65536
"""CR0.MP and CR0.TS: WAIT is #NM."""
MODE_NO_AVX = 131072
"""CR4.OSXSAVE is zero, or XCR0 lacks SSE or AVX: VEX-coded instructions are #UD."""

MODE_BITS = 20
INVALID_KEY = 0xFFFF_FFFF_FFFF_FFFF
PAGE = 0xFFFF_FFFF_FFFF_F000
LIMIT_ALL = 0xFFFF_FFFF
WRITABLE_DATA = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W)
DATA_KIND = int(SegAttr.P | SegAttr.S | SegAttr.TYPE_W | SegAttr.TYPE_CODE | SegAttr.TYPE_E)


@typed
def retag(cpu: Cpu) -> None:
    """Recompute the jump cache's tag."""
    cpu.tag = cpu.mode | (cpu.ctx[CODE] << MODE_BITS) | (cpu.jump_generation << (MODE_BITS + 12))


@typed(inline=False)
def purge_all(cpu: Cpu) -> None:
    """Drop every translation of this processor, of all ASIDs. ref: APM2 15.16.1."""
    i: u64 = 0
    while i < TLB_SIZE:
        cpu.tlb[i].read_key = INVALID_KEY
        cpu.tlb[i].write_key = INVALID_KEY
        cpu.tlb[i].absolute = 0
        i += 1
    cpu.jump_generation += 1
    retag(cpu)


@typed(inline=False)
def space_of(cpu: Cpu, identity: u64) -> u64:
    """The number of an address space, `asid << 12 | pcid`."""
    n: u64 = cpu.ctx[DATA] >> 3
    if n < cpu.spaces_used and cpu.spaces[n] == identity:
        return n
    n = 0
    while n < cpu.spaces_used:
        if cpu.spaces[n] == identity:
            return n
        n += 1
    if n == MAX_SPACES:
        purge_all(cpu)
        n = 0
    cpu.spaces[n] = identity
    cpu.spaces_used = n + 1
    return n


@typed(inline=False)
def purge_space(cpu: Cpu, asid: u64, pcid: u64, globals_too: bool, all_pcids: bool) -> None:
    """Drop translations of an ASID: those of one PCID or of all, global ones if asked for."""
    i: u64 = 0
    while i < TLB_SIZE:
        entry = cpu.tlb[i]
        if entry.read_key != INVALID_KEY or entry.write_key != INVALID_KEY:
            key = entry.read_key
            if key == INVALID_KEY:
                key = entry.write_key
            identity = cpu.spaces[(key & 0xFFF) >> 3]
            if identity >> 12 == asid and (all_pcids or identity & CR3_PCID == pcid):
                if globals_too or entry.absolute & ENTRY_GLOBAL == 0:
                    entry.read_key = INVALID_KEY
                    entry.write_key = INVALID_KEY
        i += 1
    cpu.jump_generation += 1
    retag(cpu)


@typed(inline=False)
def drop_page(cpu: Cpu, asid: u64, pcid: u64, address: u64, all_pcids: bool) -> None:
    """Drop translations of the page that holds a linear address; global ones in any case."""
    i: u64 = 0
    while i < TLB_SIZE:
        entry = cpu.tlb[i]
        key = entry.read_key
        if key == INVALID_KEY:
            key = entry.write_key
        if key != INVALID_KEY:
            span: u64 = 0xFFF
            if entry.absolute & ENTRY_HUGE != 0:
                span = 0x3FFF_FFFF
            elif entry.absolute & ENTRY_LARGE != 0:
                # Pages of 2 MiB are dropped in pairs: the same bit marks those of 4 MiB.
                span = 0x3F_FFFF
            identity = cpu.spaces[(key & 0xFFF) >> 3]
            if (key ^ address) & ~span == 0 and identity >> 12 == asid:
                same = all_pcids or identity & CR3_PCID == pcid
                if same or entry.absolute & ENTRY_GLOBAL != 0:
                    entry.read_key = INVALID_KEY
                    entry.write_key = INVALID_KEY
        i += 1
    cpu.jump_generation += 1
    retag(cpu)


@typed(inline=False)
def purge_page(cpu: Cpu, asid: u64, pcid: u64, address: u64) -> None:
    """Drop the translations of the page that holds a linear address, global or not.

    Global translations go whatever their PCID. ref: APM2 5.5.2 INVLPG.
    """
    drop_page(cpu, asid, pcid, address, False)


@typed(inline=False)
def purge_page_of_asid(cpu: Cpu, asid: u64, address: u64) -> None:
    """The same for every PCID of an ASID. ref: APM2 15.16.2 INVLPGA"""
    drop_page(cpu, asid, 0, address, True)


@typed
def current_pcid(cpu: Cpu) -> u64:
    """The PCID in use: CR3's low bits with CR4.PCIDE, otherwise 0."""
    if cpu.cr4 & Cr4.PCIDE != 0:
        return cpu.cr3 & CR3_PCID
    return 0


@typed
def flat(cpu: Cpu, number: u64) -> bool:
    """Whether a data segment needs no checks: base 0, limit 4 GiB, writable data."""
    if cpu.seg_base[number] != 0 or cpu.seg_limit[number] != LIMIT_ALL:
        return False
    return cpu.seg_attr[number] & DATA_KIND == WRITABLE_DATA


@typed
def x87_mode(cpu: Cpu) -> u64:
    """The bits about floating-point units."""
    mode: u64 = 0
    if cpu.cr0 & (Cr0.EM | Cr0.TS) != 0:
        mode = MODE_NO_X87
    if cpu.cr0 & Cr0.EM != 0 or cpu.cr4 & Cr4.OSFXSR == 0:
        mode = mode | MODE_NO_SSE
    if cpu.cr0 & Cr0.TS != 0:
        mode = mode | MODE_TS
        if cpu.cr0 & Cr0.MP != 0:
            mode = mode | MODE_WAIT
    if cpu.cr4 & Cr4.OSXSAVE == 0 or cpu.xcr0 & 6 != 6:
        mode = mode | MODE_NO_AVX
    return mode


@typed(inline=False)
def update_mode(cpu: Cpu) -> None:
    """Bring mode, contexts, tag and the stack's width up to date."""
    mode = x87_mode(cpu)
    attr = cpu.seg_attr[CS]
    wide = cpu.efer & Efer.LMA != 0 and attr & SegAttr.L != 0 and cpu.flags & Rflags.VM == 0
    if cpu.efer & Efer.LMA != 0:
        mode = mode | MODE_LMA
    if wide:
        mode = mode | MODE_LONG
        cpu.stack_mask = 0xFFFF_FFFF_FFFF_FFFF
    else:
        if attr & SegAttr.DB != 0:
            mode = mode | MODE_CODE32
        cpu.stack_mask = 0xFFFF
        if cpu.seg_attr[SS] & SegAttr.DB != 0:
            mode = mode | MODE_STACK32
            cpu.stack_mask = 0xFFFF_FFFF
        if not (flat(cpu, DS) and flat(cpu, ES) and flat(cpu, SS)) or cpu.seg_base[CS] != 0:
            mode = mode | MODE_SEGMENTED
    if cpu.cr0 & Cr0.PE != 0:
        mode = mode | MODE_PROTECTED
    if cpu.flags & Rflags.VM != 0:
        mode = mode | MODE_V86
    if cpu.flags & Rflags.TF != 0 or cpu.stepping != 0 or cpu.dr[7] & 0xFF != 0:
        mode = mode | MODE_SINGLE
    if cpu.guest != 0:
        mode = mode | MODE_GUEST
    if cpu.smm != 0:
        mode = mode | MODE_SMM
    kind: u64 = SUPERVISOR_DATA
    code: u64 = SUPERVISOR_CODE
    if cpu.cpl == 3:
        mode = mode | MODE_USER
        kind = USER_DATA
        code = USER_CODE
        if cpu.cr0 & Cr0.AM != 0 and cpu.flags & Rflags.AC != 0:
            mode = mode | MODE_ALIGN
            kind = USER_DATA_ALIGNED
    else:
        if cpu.cpl == 0:
            mode = mode | MODE_KERNEL
        if cpu.flags & Rflags.AC != 0 and cpu.cr4 & Cr4.SMAP != 0:
            kind = SUPERVISOR_DATA_AC
    cpu.mode = mode
    space = space_of(cpu, (cpu.asid << 12) | current_pcid(cpu)) << 3
    cpu.ctx[DATA] = space | kind
    cpu.ctx[CODE] = space | code
    cpu.ctx[SYSTEM] = space | SUPERVISOR_DATA
    retag(cpu)


@typed
def code_moved(cpu: Cpu) -> None:
    """CS has another base or limit: jump targets found so far are wrong."""
    cpu.jump_generation += 1


@typed
def byte_mode(cpu: Cpu) -> u8:
    """The size of instruction pointers and default operands: 2, 4 or 8 bytes."""
    if cpu.mode & MODE_LONG != 0:
        return 8
    if cpu.mode & MODE_CODE32 != 0:
        return 4
    return 2
