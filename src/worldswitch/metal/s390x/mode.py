"""What the PSW and control registers imply: translation contexts and decoding mode.

A translation context is everything that decides how an address is translated and protected.
Each distinct one gets an id, which is part of every TLB key: a switch of address space is a
change of id, and nothing is flushed. ref: PoP 3 Translation Modes.
"""

from worldswitch.arch.s390x.psw import PswMask
from worldswitch.engine import typed, u8, u64
from worldswitch.metal.blocks import AddressPointer
from worldswitch.metal.s390x.state import (
    ABSOLUTE,
    HOME,
    HOST_FRAMES,
    INSN,
    MAX_CONTEXTS,
    OP1,
    OP2,
    PRIMARY,
    REAL,
    SECONDARY,
    TLB_SIZE,
    Cpu,
)

CONTEXT_LOW_PROTECTION = 1
"""Low-address protection applies (CR0 bit 35, not in a private space)."""
CONTEXT_FETCH_OVERRIDE = 2
"""Fetch-protection override (CR0 bit 38)."""
CONTEXT_GUEST = 4
"""Guest storage: absolute addresses are the guest's and go through the host's translation."""
CONTEXT_STORE_OVERRIDE = 8
"""Storage-protection override (CR0 bit 39)."""
CONTEXT_EDAT = 16
"""Enhanced DAT (CR0 bit 40)."""

CONTEXT_PER_STORE = 32
"""Stores may be PER events: each takes the slow path."""

MODE_PROBLEM = 1
MODE_SIE = 2
MODE_ACCESS_REGISTER = 4
MODE_PER = 8
MODE_AFP = 16
MODE_VECTOR = 32
MODE_PROTECTED = 64
MODE_STEP = 128
"""Each instruction is a block of its own, so that a budget of one executes one."""

AS_SHIFT = 46
AS_ACCESS_REGISTER = 1
AS_SECONDARY = 2
AS_HOME = 3
CR0_LOW_PROTECTION = 1 << 28
CR0_FETCH_OVERRIDE = 1 << 25
CR0_STORE_OVERRIDE = 1 << 24
CR0_EDAT = 1 << 23
CR9_STORE = 1 << 29
"""Storage-alteration event mask (CR9 bit 34)."""
CR0_AFP = 1 << 18
CR0_VECTOR = 1 << 17
ASCE_PRIVATE = 0x100
ASCE_MEANING = 0xFFFF_FFFF_FFFF_F1EF
"""Bits of an ASCE that translation depends on: not the event controls."""
INVALID_KEY = 0xFFFF_FFFF_FFFF_FFFF


@typed(inline=False)
def purge_all(cpu: Cpu) -> None:
    """Drop every entry of this processor's TLB. ref: PoP 10 PURGE TLB."""
    i: u64 = 0
    while i < TLB_SIZE:
        cpu.tlb[i].read_key = INVALID_KEY
        cpu.tlb[i].write_key = INVALID_KEY
        i += 1
    if cpu.in_sie == 0:
        purge_host_frames(cpu)
    cpu.jump_generation += 1
    retag(cpu)


@typed(inline=False)
def purge_host_frames(cpu: Cpu) -> None:
    """Forget what the host's tables said of guest storage."""
    i: u64 = 0
    while i < HOST_FRAMES:
        cpu.host_frames[i].read_key = INVALID_KEY
        cpu.host_frames[i].write_key = INVALID_KEY
        i += 1


@typed(inline=False)
def context_id(cpu: Cpu, asce: u64, dat: u8, space: u8, key: u8, flags: u8) -> u64:
    """The id of the context with these properties, a new one if there is none yet."""
    host: u64 = 0
    host_asce: u64 = 0
    if cpu.in_sie != 0:
        host = cpu.sie_tag
        host_asce = cpu.host_asce
    i: u64 = 0
    while i < cpu.next_context:
        c = cpu.contexts[i]
        if (
            c.asce == asce
            and c.dat == dat
            and c.space == space
            and c.key == key
            and c.flags == flags
            and c.host == host
            and c.host_asce == host_asce
            and c.prefix == cpu.prefix
        ):
            return i
        i += 1
    if i == MAX_CONTEXTS:
        purge_all(cpu)
        i = 0
    c = cpu.contexts[i]
    c.asce = asce
    c.dat = dat
    c.space = space
    c.key = key
    c.flags = flags
    c.host = host
    c.host_asce = host_asce
    c.prefix = cpu.prefix
    cpu.next_context = i + 1
    return i


STALE = 0xFFFF_FFFF_FFFF_FFFF
"""In `context_key`: the contexts are still those of the guest that was left."""


@typed(inline=True)
def per_on(cpu: Cpu) -> bool:
    """Whether PER events are looked for: by the PSW, or because a guest's host wants them."""
    return cpu.psw_mask & PswMask.PER != 0 or cpu.per_active != 0


@typed(inline=True)
def per_stores(cpu: Cpu) -> bool:
    """Whether storage-alteration events are looked for."""
    return per_on(cpu) and cpu.cr[9] & CR9_STORE != 0


@typed(inline=True)
def context_state(cpu: Cpu) -> u64:
    """What the contexts take from the PSW: its key, and whether stores may be PER events."""
    key = (cpu.psw_mask >> 48) & 0xF0
    return key | 1 if per_stores(cpu) else key


@typed
def virtual_context(cpu: Cpu, asce: u64, space: u8, key: u8) -> u64:
    """Context id of a virtual address space with the current control register 0."""
    flags: u8 = 0
    if cpu.in_sie != 0:
        flags = CONTEXT_GUEST
    if per_stores(cpu):
        flags = flags | CONTEXT_PER_STORE
    if cpu.cr[0] & CR0_EDAT != 0:
        flags = flags | CONTEXT_EDAT
    if cpu.cr[0] & CR0_STORE_OVERRIDE != 0:
        flags = flags | CONTEXT_STORE_OVERRIDE
    if asce & ASCE_PRIVATE == 0:
        if cpu.cr[0] & CR0_LOW_PROTECTION != 0:
            flags = flags | CONTEXT_LOW_PROTECTION
        if cpu.cr[0] & CR0_FETCH_OVERRIDE != 0:
            flags = flags | CONTEXT_FETCH_OVERRIDE
    return context_id(cpu, asce & ASCE_MEANING, 1, space, key, flags)


@typed(inline=False)
def controls_changed(cpu: Cpu) -> None:
    """Recompute all contexts: after a change of control registers, prefix, or SIE state."""
    key = u8((cpu.psw_mask >> 48) & 0xF0)
    flags: u8 = 0
    if cpu.in_sie != 0:
        flags = CONTEXT_GUEST
    # Ids may start anew once, when the table fills: then all of them are made again.
    before = cpu.jump_generation
    again = True
    while again:
        cpu.ctx[PRIMARY] = virtual_context(cpu, cpu.cr[1], 0, key)
        cpu.ctx[SECONDARY] = virtual_context(cpu, cpu.cr[7], AS_SECONDARY, key)
        cpu.ctx[HOME] = virtual_context(cpu, cpu.cr[13], AS_HOME, key)
        cpu.ctx[ABSOLUTE] = context_id(cpu, 0, 2, 0, 0, flags)
        if cpu.cr[0] & CR0_STORE_OVERRIDE != 0:
            flags = flags | CONTEXT_STORE_OVERRIDE
        if cpu.cr[0] & CR0_LOW_PROTECTION != 0:
            flags = flags | CONTEXT_LOW_PROTECTION
        if cpu.cr[0] & CR0_FETCH_OVERRIDE != 0:
            flags = flags | CONTEXT_FETCH_OVERRIDE
        if per_stores(cpu):
            flags = flags | CONTEXT_PER_STORE
        cpu.ctx[REAL] = context_id(cpu, 0, 0, 0, key, flags)
        again = before != cpu.jump_generation
        before = cpu.jump_generation
    cpu.context_key = context_state(cpu)
    select(cpu)


@typed
def select(cpu: Cpu) -> None:
    """Choose the contexts of the PSW's address space and recompute mode bits and tag."""
    mask = cpu.psw_mask
    mode: u64 = 0
    if mask & PswMask.DAT == 0:
        cpu.ctx[OP1] = cpu.ctx[REAL]
        cpu.ctx[OP2] = cpu.ctx[REAL]
        cpu.ctx[INSN] = cpu.ctx[REAL]
    else:
        space = (mask >> AS_SHIFT) & 3
        if space == AS_HOME:
            cpu.ctx[OP1] = cpu.ctx[HOME]
            cpu.ctx[INSN] = cpu.ctx[HOME]
        elif space == AS_SECONDARY:
            cpu.ctx[OP1] = cpu.ctx[SECONDARY]
            cpu.ctx[INSN] = cpu.ctx[PRIMARY]
        else:
            cpu.ctx[OP1] = cpu.ctx[PRIMARY]
            cpu.ctx[INSN] = cpu.ctx[PRIMARY]
            if space == AS_ACCESS_REGISTER:
                mode = MODE_ACCESS_REGISTER
        cpu.ctx[OP2] = cpu.ctx[OP1]
    if mask & PswMask.PROBLEM != 0:
        mode = mode | MODE_PROBLEM
    if per_on(cpu):
        mode = mode | MODE_PER
    if cpu.in_sie != 0:
        mode = mode | MODE_SIE
        if cpu.sie_protected != 0:
            mode = mode | MODE_PROTECTED
    if cpu.cr[0] & CR0_AFP != 0:
        mode = mode | MODE_AFP
        if cpu.cr[0] & CR0_VECTOR != 0:
            mode = mode | MODE_VECTOR
    if cpu.stepping != 0:
        mode = mode | MODE_STEP
    cpu.mode = mode
    retag(cpu)


@typed
def retag(cpu: Cpu) -> None:
    """Recompute the jump cache's tag from mode, instruction context and generation."""
    cpu.tag = cpu.mode | (cpu.ctx[INSN] << 8) | (cpu.jump_generation << 24)


@typed(inline=False)
def mode_changed(cpu: Cpu) -> None:
    """Bring contexts, mode and tag up to date with a new PSW."""
    if context_state(cpu) != cpu.context_key:
        controls_changed(cpu)
    else:
        select(cpu)


@typed(inline=False)
def purge_frame(cpu: Cpu, absolute: u64) -> None:
    """Drop the TLB entries of every processor that map the frame at `absolute`."""
    frame = absolute & 0xFFFF_FFFF_FFFF_F000
    n: u64 = 0
    while n < cpu.cpu_count:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        i: u64 = 0
        while i < TLB_SIZE:
            if other.tlb[i].absolute == frame:
                other.tlb[i].read_key = INVALID_KEY
                other.tlb[i].write_key = INVALID_KEY
            i += 1
        n += 1


@typed(inline=False)
def purge_page(cpu: Cpu, address: u64) -> None:
    """Drop all processors' entries whose page index (address bits 44-51) is `address`'s.

    ref: PoP 10 INVALIDATE PAGE TABLE ENTRY
    """
    n: u64 = 0
    while n < cpu.cpu_count:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        i = (address >> 12) & 0xFF
        while i < TLB_SIZE:
            other.tlb[i].read_key = INVALID_KEY
            other.tlb[i].write_key = INVALID_KEY
            i += 256
        other.jump_generation += 1
        retag(other)
        n += 1


@typed(inline=False)
def purge_all_cpus(cpu: Cpu) -> None:
    """Drop every TLB entry of every processor. ref: PoP 10 INVALIDATE DAT TABLE ENTRY."""
    n: u64 = 0
    while n < cpu.cpu_count:
        other = Cpu.at(AddressPointer.at(cpu.machine_cpus + n * 8).cpu)
        purge_all(other)
        if cpu.in_sie == 0:
            purge_host_frames(other)  # which may be in SIE at this moment
        n += 1
