"""Branches that change authority or the address space: BSA, BSG.

The dispatchable-unit control table (control register 2) holds what they save. ref: PoP 10 BRANCH
AND SET AUTHORITY; PoP 10 BRANCH IN SUBSPACE GROUP. UNMODELLED: branch and ASN tracing.
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.engine import typed, u8, u32, u64
from worldswitch.metal.s390x.access import (
    EVENTS,
    INVALID,
    SUBSPACE_GROUP,
    TABLE_ORIGIN,
    doubleword_at,
    find_aste,
    word_at,
)
from worldswitch.metal.s390x.asn import ASTE_ASCE, ASTE_SEQUENCE, secondary_is_primary
from worldswitch.metal.s390x.dat import access_exception, real_to_absolute
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    current_key,
    require_dat,
    require_key,
    special_operation,
)
from worldswitch.metal.s390x.insns.linkage_stack import with_mode
from worldswitch.metal.s390x.leave import program
from worldswitch.metal.s390x.memory import store_u32, store_u64
from worldswitch.metal.s390x.mode import CONTEXT_LOW_PROTECTION, controls_changed
from worldswitch.metal.s390x.psw import (
    PSW_BA,
    PSW_EA,
    PSW_PROBLEM,
    assemble_psw_mask,
    load_psw,
)
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import ABSOLUTE, REAL, Cpu

# Offsets in the dispatchable-unit control table.
BASE_SPACE = 0
SUBSPACE = 4
SUBSPACE_SEQUENCE = 12
SAVED_AUTHORITY = 20
SAVED_ADDRESS = 32

REDUCED = 0x8
SAVED_PROBLEM = 1
ACTIVE = 0x8000_0000
BASE = 1
"""Bit 31 of word 0 of an ASN-second-table entry: base space of a subspace group."""
NOT_KEY_STATE = 0xFF0E_FFFE_7FFF_FFFF
"""All PSW bits but the key, the problem state and the addressing mode."""


@typed(leaves=True, inline=False)
def storable_table(cpu: Cpu) -> u64:
    """Real address of the dispatchable-unit control table, which is about to be stored into."""
    table = cpu.cr[2] & TABLE_ORIGIN
    c = cpu.contexts[cpu.ctx[REAL]]
    if c.flags & CONTEXT_LOW_PROTECTION != 0 and table < 8192 and table & 0xFFF < 512:
        access_exception(cpu, cpu.ctx[REAL], table, ProgramCode.PROTECTION, True)
    return table


@typed(inline=True)
def place(cpu: Cpu, real: u64) -> u64:
    """Absolute address of a field of a table."""
    return real_to_absolute(real, cpu.prefix)


@typed
def save_address(cpu: Cpu, r1: u8) -> None:
    """Put the next instruction's address, with the 31-bit mode, into R1 unless it is 0."""
    if r1 != 0:
        if cpu.psw_mask & PSW_EA != 0:
            cpu.gr[r1] = cpu.psw_addr
        else:
            set_low(cpu, r1, u32(with_mode(cpu, cpu.psw_addr)))


@insn("BSA", "B25A", "RRE", ref="PoP 10 BRANCH AND SET AUTHORITY", control=True,
      intercept=Intercept("ictl", int(Ictl.BSA)))  # fmt: skip
def bsa(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Go to reduced authority, with key and key mask of R1, at R2; or, with R2 of 0, back."""
    table = storable_table(cpu)
    saved = u64(word_at(cpu, table + SAVED_AUTHORITY))
    mode = cpu.psw_mask & (PSW_EA | PSW_BA)
    if saved & REDUCED == 0:
        if r2 == 0:
            special_operation(cpu)
        key = u8(cpu.gr[r1] & 0xF0)
        require_key(cpu, key)
        target = cpu.gr[r2]
        back = cpu.psw_addr
        if mode & PSW_EA == 0:
            back = with_mode(cpu, cpu.psw_addr)
            mode = target & PSW_BA
            target = target & (0x7FFF_FFFF if mode != 0 else 0xFF_FFFF)
        authority = (cpu.cr[3] & 0xFFFF_0000) | u64(current_key(cpu)) | REDUCED
        if cpu.psw_mask & PSW_PROBLEM != 0:
            authority = authority | SAVED_PROBLEM
        store_u64(cpu, ABSOLUTE, place(cpu, table + SAVED_ADDRESS), back)
        store_u32(cpu, ABSOLUTE, place(cpu, table + SAVED_AUTHORITY), u32(authority))
        cpu.cr[3] = cpu.cr[3] & (0xFFFF_FFFF_0000_FFFF | (cpu.gr[r1] & 0xFFFF_0000))
        state = PSW_PROBLEM | (u64(key) << 48)
    else:
        if r2 != 0:
            special_operation(cpu)
        target = doubleword_at(cpu, table + SAVED_ADDRESS)
        store_u32(cpu, ABSOLUTE, place(cpu, table + SAVED_AUTHORITY), u32(saved & ~u64(REDUCED)))
        save_address(cpu, r1)
        if mode & PSW_EA == 0:
            mode = target & PSW_BA
            target = target & 0x7FFF_FFFF
        cpu.cr[3] = (cpu.cr[3] & 0xFFFF_FFFF_0000_FFFF) | (saved & 0xFFFF_0000)
        state = (saved & 0xF0) << 48
        if saved & SAVED_PROBLEM != 0:
            state = state | PSW_PROBLEM
    cpu.breaking = pc
    load_psw(cpu, (assemble_psw_mask(cpu) & NOT_KEY_STATE) | state | mode, target)
    controls_changed(cpu)


@typed(leaves=True, inline=False)
def last_subspace(cpu: Cpu, table: u64, r2: u8) -> u64:
    """The entry of the subspace that was used last; exceptions leave."""
    aste = u64(word_at(cpu, table + SUBSPACE)) & TABLE_ORIGIN
    if aste == 0:
        special_operation(cpu)
    cpu.exc_access_id = r2
    if word_at(cpu, aste) & INVALID != 0:
        program(cpu, ProgramCode.ASTE_VALIDITY)
    if word_at(cpu, aste + ASTE_SEQUENCE) != word_at(cpu, table + SUBSPACE_SEQUENCE):
        program(cpu, ProgramCode.ASTE_SEQUENCE)
    return aste


@insn("BSG", "B258", "RRE", ref="PoP 10 BRANCH IN SUBSPACE GROUP", control=True)
def bsg(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Branch to R2 in the subspace, or base space, that access register R2 designates."""
    require_dat(cpu)
    table = storable_table(cpu)
    base = u64(word_at(cpu, table + BASE_SPACE)) & TABLE_ORIGIN
    if cpu.cr[5] & TABLE_ORIGIN != base:
        special_operation(cpu)
    alet: u32 = 0
    if r2 != 0:
        alet = cpu.ar[r2]
    aste = base
    if alet == 1:
        aste = last_subspace(cpu, table, r2)
    elif alet != 0:
        aste = find_aste(cpu, alet, r2, u32(0), False)
    asce = doubleword_at(cpu, aste + ASTE_ASCE)
    if alet > 1 and aste != base:
        if asce & SUBSPACE_GROUP == 0 or word_at(cpu, aste) & BASE != 0:
            special_operation(cpu)
    to_base = aste == base and alet != 1
    subspace = word_at(cpu, table + SUBSPACE)
    if to_base:
        subspace = subspace & ~u32(ACTIVE)
    elif alet == 1:
        subspace = subspace | ACTIVE
    else:
        subspace = u32(aste) | ACTIVE
        sequence = word_at(cpu, aste + ASTE_SEQUENCE)
        store_u32(cpu, ABSOLUTE, place(cpu, table + SUBSPACE_SEQUENCE), sequence)
    store_u32(cpu, ABSOLUTE, place(cpu, table + SUBSPACE), subspace)
    target = cpu.gr[r2]
    mode = cpu.psw_mask & (PSW_EA | PSW_BA)
    if mode & PSW_EA == 0:
        mode = target & PSW_BA
        target = target & (0x7FFF_FFFF if mode != 0 else 0xFF_FFFF)
    save_address(cpu, r1)
    if to_base:
        cpu.cr[1] = asce
    else:
        cpu.cr[1] = (asce & ~u64(EVENTS)) | (cpu.cr[1] & EVENTS)
    secondary_is_primary(cpu)
    cpu.breaking = pc
    load_psw(cpu, (assemble_psw_mask(cpu) & NO_MODE) | mode, target)
    controls_changed(cpu)


NO_MODE = 0xFFFF_FFFE_7FFF_FFFF
