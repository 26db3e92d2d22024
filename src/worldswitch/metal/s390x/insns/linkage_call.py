"""PROGRAM CALL and PROGRAM RETURN.

ref: PoP 5 PC-Number Translation; PoP 10 PROGRAM CALL. UNMODELLED: ASN and mode tracing.
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.s390x.access import word_at
from worldswitch.metal.s390x.asn import (
    ASTE_INSTANCE,
    ASTE_LINKAGE,
    ASTE_SEQUENCE,
    SECONDARY_AUTHORITY,
    asce_of,
    find_asn,
    index_of,
    instance_of,
    is_authorized,
    require_asn_translation,
    reuse,
    secondary_is_primary,
    set_primary,
    set_secondary,
    space_switched,
)
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    AS_ACCESS_REGISTER,
    AS_SECONDARY,
    AS_SHIFT,
    address_space,
    in_problem_state,
    privileged_operation,
    require_dat,
    special_operation,
)
from worldswitch.metal.s390x.insns.linkage_stack import (
    AUTHORITY,
    CALL_STATE,
    DESCRIPTOR,
    INSTANCES,
    PSW_ADDRESS,
    PSW_MASK,
    STACK,
    extract_registers,
    form_entry,
    last_entry,
    with_mode,
)
from worldswitch.metal.s390x.leave import program
from worldswitch.metal.s390x.memory import check_write, fetch_u8, fetch_u64, store_u16
from worldswitch.metal.s390x.mode import controls_changed
from worldswitch.metal.s390x.psw import (
    PSW_BA,
    PSW_EA,
    PSW_PER,
    PSW_PROBLEM,
    load_psw,
    set_addressing_mode,
)
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import Cpu

TABLE_ORIGIN = 0x7FFF_FFC0
INVALID = 0x8000_0000
LINKAGE_CONTROL = 0x8000_0000
LONG_NUMBER = 0x8_0000
"""Bit 44 of the operand address: bits 32-43 belong to the number, too."""

ENTRY_BASIC_MODE = 0x8000_0000
"""Word 1 of an entry-table entry: 31-bit addressing."""
ENTRY_PROBLEM = 1
ENTRY_STACKING = 0x8000_0000
"""Word 4 of an entry-table entry."""
ENTRY_EXTENDED_MODE = 0x4000_0000
ENTRY_KEY = 0x1000_0000
ENTRY_KEY_MASK = 0x0800_0000
ENTRY_INDEX = 0x0400_0000
ENTRY_ACCESS_REGISTER = 0x0200_0000
ENTRY_SECONDARY = 0x0100_0000
NOT_KEY = 0xFF0F_FFFF_FFFF_FFFF
NOT_SPACE = 0xFFFF_3FFF_FFFF_FFFF
NOT_PROBLEM = 0xFFFE_FFFF_FFFF_FFFF


@typed(leaves=True)
def not_translated(cpu: Cpu, number: u64, code: u16) -> None:
    """A program exception of PC-number translation."""
    cpu.translation_code = number
    program(cpu, code)


@typed(leaves=True, inline=False)
def entry_table(cpu: Cpu, address: u64, number: u64) -> u64:
    """The entry-table designation: origin and length, from the linkage tables.

    `number` goes into the translation-exception identification.
    """
    designation = u64(word_at(cpu, (cpu.cr[5] & TABLE_ORIGIN) + ASTE_LINKAGE))
    if designation & LINKAGE_CONTROL == 0:
        special_operation(cpu)
    if not reuse(cpu):
        index = (address >> 8) & 0xFFF
        if index >> 5 > designation & 0x7F:
            not_translated(cpu, number, u16(ProgramCode.LX_TRANSLATION))
        entry = word_at(cpu, ((designation & 0x7FFF_FF80) + index * 4) & 0x7FFF_FFFF)
        if entry & INVALID != 0:
            not_translated(cpu, number, u16(ProgramCode.LX_TRANSLATION))
        return u64(entry)
    first = (address >> 13) & 0x3F
    if address & LONG_NUMBER != 0:
        first = first | (((address >> 20) & 0xFFF) << 6)
        if first >> 6 > designation & 0xFF:
            not_translated(cpu, number, u16(ProgramCode.LFX_TRANSLATION))
    entry = word_at(cpu, ((designation & 0x7FFF_FF00) + first * 4) & 0x7FFF_FFFF)
    if entry & INVALID != 0:
        not_translated(cpu, number, u16(ProgramCode.LFX_TRANSLATION))
    second = (u64(entry) & 0x7FFF_FF00) + ((address >> 8) & 0x1F) * 8
    entry = word_at(cpu, second)
    if entry & INVALID != 0:
        not_translated(cpu, number, u16(ProgramCode.LSX_TRANSLATION))
    sequence = word_at(cpu, second + 4)
    if sequence != 0 and u64(sequence) != cpu.gr[15] >> 32:
        not_translated(cpu, number, u16(ProgramCode.LSTE_SEQUENCE))
    return u64(entry)


@typed
def pc_number(cpu: Cpu, address: u64) -> u64:
    """What identifies the call: the number, or with bit 44 one all of bits 32-63."""
    if not reuse(cpu):
        return address & 0xF_FFFF
    if address & LONG_NUMBER == 0:
        return address & 0x7_FFFF
    return address & 0xFFFF_FFFF


@typed(leaves=True, inline=False)
def check_entry(cpu: Cpu, entry: u64) -> None:
    """What the entry-table entry asks of the caller."""
    word = word_at(cpu, entry + 4)
    options = word_at(cpu, entry + 16)
    extended = options & ENTRY_EXTENDED_MODE != 0
    if options & ENTRY_STACKING == 0:
        if address_space(cpu) == AS_ACCESS_REGISTER:
            special_operation(cpu)
        if extended != (cpu.psw_mask & PSW_EA != 0):
            special_operation(cpu)
    if not extended and word & ENTRY_BASIC_MODE == 0 and word & 0x7FFF_FFFE > 0xFF_FFFF:
        program(cpu, ProgramCode.PC_TRANSLATION_SPECIFICATION)
    keys = word_at(cpu, entry + 8) & 0xFFFF_0000
    if in_problem_state(cpu) and cpu.cr[3] & u64(keys) == 0:
        privileged_operation(cpu)


@typed(leaves=True, inline=False)
def enter(cpu: Cpu, entry: u64) -> None:
    """PSW, key mask and register 4 by the entry-table entry."""
    options = u64(word_at(cpu, entry + 16))
    word = u64(word_at(cpu, entry + 4))
    target = word & 0x7FFF_FFFE
    mode = word & PSW_BA
    if options & ENTRY_EXTENDED_MODE != 0:
        target = (u64(word_at(cpu, entry)) << 32) | (word & 0xFFFF_FFFE)
        mode = PSW_EA | PSW_BA
        cpu.gr[4] = u64(word_at(cpu, entry + 24)) << 32
    set_low(cpu, u8(4), word_at(cpu, entry + 28))
    mask = cpu.psw_mask & NOT_PROBLEM
    if word & ENTRY_PROBLEM != 0:
        mask = mask | PSW_PROBLEM
    if options & ENTRY_STACKING != 0:
        mask = mask & NOT_SPACE
        if options & ENTRY_ACCESS_REGISTER != 0:
            mask = mask | (u64(AS_ACCESS_REGISTER) << AS_SHIFT)
        if options & ENTRY_KEY != 0:
            mask = (mask & NOT_KEY) | (((options >> 20) & 0xF) << 52)
        if options & ENTRY_KEY_MASK != 0:
            cpu.cr[3] = cpu.cr[3] & 0xFFFF_FFFF_0000_FFFF
        if options & ENTRY_INDEX != 0:
            cpu.cr[8] = (cpu.cr[8] & 0xFFFF_FFFF_0000_FFFF) | ((options & 0xFFFF) << 16)
    cpu.cr[3] = cpu.cr[3] | u64(word_at(cpu, entry + 12) & 0xFFFF_0000)
    cpu.psw_mask = mask
    set_addressing_mode(cpu, mode)
    cpu.psw_addr = target


@insn("PC", "B218", "S", ref="PoP 10 PROGRAM CALL", control=True,
      intercept=Intercept("ictl", int(Ictl.PC)))  # fmt: skip
def program_call(cpu: Cpu, addr2: u64, pc: u64) -> None:
    """Call the program with the number in the address: basic or stacking, here or elsewhere."""
    require_dat(cpu)
    if address_space(cpu) & AS_SECONDARY != 0:
        special_operation(cpu)
    number = pc_number(cpu, addr2)
    table = entry_table(cpu, addr2, number)
    if (addr2 & 0xFF) >> 2 > table & 0x3F:
        not_translated(cpu, number, u16(ProgramCode.EX_TRANSLATION))
    entry = ((table & TABLE_ORIGIN) + (addr2 & 0xFF) * 32) & 0x7FFF_FFFF
    check_entry(cpu, entry)
    options = word_at(cpu, entry + 16)
    stacking = options & ENTRY_STACKING != 0
    asn = u64(word_at(cpu, entry + 8)) & 0xFFFF
    aste: u64 = 0
    asce = cpu.cr[1]
    called: u64 = 0
    if asn != 0:
        require_asn_translation(cpu)
        aste = u64(word_at(cpu, entry + 20)) & TABLE_ORIGIN
        if word_at(cpu, aste) & INVALID != 0:
            not_translated(cpu, asn, u16(ProgramCode.ASX_TRANSLATION))
        asce = asce_of(cpu, aste)
        identity = word_at(cpu, aste + (ASTE_INSTANCE if reuse(cpu) else ASTE_SEQUENCE))
        called = (asn << 48) | (u64(identity & 0xFFFF) << 32)
    if stacking:
        # The number in the entry has 31 bits; bit 32 says that the 64-bit mode is entered.
        stacked = number
        if number & LONG_NUMBER != 0 and reuse(cpu):
            stacked = ((number >> 1) & 0x7FF8_0000) | (number & 0x7_FFFF)
        if options & ENTRY_EXTENDED_MODE != 0:
            stacked = stacked | 0x8000_0000
        form_entry(cpu, u64(CALL_STATE), with_mode(cpu, cpu.psw_addr), called | stacked)
    else:
        problem = u64(in_problem_state(cpu))
        if cpu.psw_mask & PSW_EA != 0:
            cpu.gr[14] = cpu.psw_addr | problem
        else:
            set_low(cpu, u8(14), u32(with_mode(cpu, cpu.psw_addr) | problem))
        set_low(cpu, u8(3), u32((cpu.cr[3] & 0xFFFF_0000) | (cpu.cr[4] & 0xFFFF)))
    cpu.breaking = pc
    enter(cpu, entry)
    old_asn = cpu.cr[4] & 0xFFFF
    old_asce = cpu.cr[1]
    secondary_is_primary(cpu)
    if asn != 0:
        set_primary(cpu, asn, index_of(cpu, aste), asce, aste, instance_of(cpu, aste))
        if stacking and options & ENTRY_SECONDARY != 0:
            secondary_is_primary(cpu)
    controls_changed(cpu)
    if asn != 0:
        space_switched(cpu, old_asce, old_asn)


PRIMARY_ACCESS = 0x20
"""Exception access identification of an instance exception of the primary space."""
SECONDARY_ACCESS = 0x10


@typed(leaves=True)
def require_instance(cpu: Cpu, aste: u64, instance: u64, which: u8) -> None:
    """ASTE-instance exception if the stacked instance number is not the space's."""
    if reuse(cpu) and instance_of(cpu, aste) != instance:
        cpu.exc_access_id = which
        program(cpu, ProgramCode.ASTE_INSTANCE)


@typed(leaves=True, inline=False)
def return_spaces(cpu: Cpu, entry: u64) -> None:
    """Restore the spaces and authority that a program-call state entry holds."""
    state = fetch_u64(cpu, STACK, entry + AUTHORITY)
    instances = fetch_u64(cpu, STACK, entry + INSTANCES)
    pasn = state & 0xFFFF
    sasn = (state >> 32) & 0xFFFF
    index = (cpu.cr[4] >> 16) & 0xFFFF
    asce = cpu.cr[1]
    aste = cpu.cr[5] & 0xFFFF_FFFF
    if pasn != cpu.cr[4] & 0xFFFF:
        require_asn_translation(cpu)
        aste = find_asn(cpu, pasn)
        require_instance(cpu, aste, instances & 0xFFFF_FFFF, u8(PRIMARY_ACCESS))
        asce = asce_of(cpu, aste)
        index = index_of(cpu, aste)
    secondary = asce
    if sasn != pasn:
        require_asn_translation(cpu)
        space = find_asn(cpu, sasn)
        require_instance(cpu, space, instances >> 32, u8(SECONDARY_ACCESS))
        if not is_authorized(cpu, space, index, u64(SECONDARY_AUTHORITY)):
            cpu.translation_code = sasn
            program(cpu, ProgramCode.SECONDARY_AUTHORITY)
        secondary = asce_of(cpu, space)
    set_primary(cpu, pasn, index, asce, aste, instances & 0xFFFF_FFFF)
    cpu.cr[3] = (cpu.cr[3] & 0xFFFF_FFFF_0000_FFFF) | ((state >> 48) << 16)
    set_secondary(cpu, sasn, secondary, instances >> 32)
    cpu.cr[8] = (cpu.cr[8] & 0xFFFF_FFFF_0000_FFFF) | (state & 0xFFFF_0000)


@insn("PR", "0101", "E", ref="PoP 10 PROGRAM RETURN", control=True,
      intercept=Intercept("ictl", int(Ictl.PR)))  # fmt: skip
def program_return(cpu: Cpu, pc: u64) -> None:
    """Unstack the last state entry: registers 2-14 and PSW, and after a call its spaces."""
    entry = last_entry(cpu, True)
    check_write(cpu, STACK, entry - 8, u64(8))
    is_call = fetch_u8(cpu, STACK, entry + DESCRIPTOR) & 0x7F == CALL_STATE
    old_asn = cpu.cr[4] & 0xFFFF
    old_asce = cpu.cr[1]
    if is_call:
        return_spaces(cpu, entry)
    extract_registers(cpu, entry, u8(2), u8(14), True)
    mask = fetch_u64(cpu, STACK, entry + PSW_MASK)
    address = fetch_u64(cpu, STACK, entry + PSW_ADDRESS)
    store_u16(cpu, STACK, entry - 4, u16(0))
    cpu.cr[15] = entry - 8
    cpu.breaking = pc
    load_psw(cpu, (mask & ~u64(PSW_PER)) | (cpu.psw_mask & PSW_PER), address)
    controls_changed(cpu)
    if cpu.cr[4] & 0xFFFF != old_asn:
        space_switched(cpu, old_asce, old_asn)
