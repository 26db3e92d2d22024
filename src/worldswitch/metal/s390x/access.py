"""Access-register translation: which address space an access register designates.

ref: PoP 5 Access-Register Translation
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import address_of, bswap, peek_u8, peek_u32, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.codecache import CodeCache, InsnInfo
from worldswitch.metal.s390x.dat import guest_to_host, real_to_absolute
from worldswitch.metal.s390x.leave import program
from worldswitch.metal.s390x.mode import virtual_context
from worldswitch.metal.s390x.state import OP1, OP2, PRIMARY, SECONDARY, Cpu, Record


@typed(inline=False)
def real_word(cpu: Cpu, real: u64) -> tuple[u16, u32]:
    """A word of an access-list or ASTE table at a real address: (program code or 0, word)."""
    absolute = real_to_absolute(real, cpu.prefix)
    if cpu.in_sie != 0:
        code, absolute = guest_to_host(cpu, absolute, False)
        if code != 0:
            return u16(ProgramCode.ADDRESSING), u32(0)
    if absolute + 4 > cpu.ram_size:
        return u16(ProgramCode.ADDRESSING), u32(0)
    return u16(0), bswap(peek_u32(cpu.ram + absolute))


@typed(leaves=True)
def word_at(cpu: Cpu, real: u64) -> u32:
    """`real_word`, leaving with the program exception."""
    code, word = real_word(cpu, real)
    if code != 0:
        program(cpu, code)
    return word


@typed(leaves=True)
def doubleword_at(cpu: Cpu, real: u64) -> u64:
    """A doubleword of a table."""
    high = word_at(cpu, real)
    low = word_at(cpu, real + 4)
    return (u64(high) << 32) | u64(low)


@typed(leaves=True, inline=False)
def find_aste(cpu: Cpu, alet: u32, number: u8, eax: u32, authorizing: bool) -> u64:
    """Real address of the ASN-second-table entry that an ALET other than 0 and 1 designates.

    `number` is the access register's, for the exception access identification; `eax` the extended
    authorization index that has to be allowed the space, if `authorizing`.
    """
    cpu.exc_access_id = number
    if alet & 0xFE00_0000 != 0:
        program(cpu, ProgramCode.ALET_SPECIFICATION)
    if alet & 0x0100_0000 != 0:
        designation = word_at(cpu, (cpu.cr[5] & TABLE_ORIGIN) + 16)
    else:
        designation = word_at(cpu, (cpu.cr[2] & TABLE_ORIGIN) + 16)
    index = alet & 0xFFFF
    if index >> 3 > designation & 0x7F:
        program(cpu, ProgramCode.ALEN_TRANSLATION)
    entry = u64(designation & 0x7FFF_FF80) + u64(index) * 16
    control = word_at(cpu, entry)
    if control & INVALID != 0:
        program(cpu, ProgramCode.ALEN_TRANSLATION)
    if (control >> 16) & 0xFF != (alet >> 16) & 0xFF:
        program(cpu, ProgramCode.ALE_SEQUENCE)
    aste = u64(word_at(cpu, entry + 8)) & TABLE_ORIGIN
    sequence = word_at(cpu, entry + 12)
    authority = word_at(cpu, aste)
    if authority & INVALID != 0:
        program(cpu, ProgramCode.ASTE_VALIDITY)
    if word_at(cpu, aste + 20) != sequence:
        program(cpu, ProgramCode.ASTE_SEQUENCE)
    if authorizing and control & 0x0100_0000 != 0 and control & 0xFFFF != eax:
        length = (word_at(cpu, aste + 4) & 0xFFF0) >> 4
        if eax >> 4 > length:
            program(cpu, ProgramCode.EXTENDED_AUTHORITY)
        pairs = word_at(cpu, u64(authority & 0x7FFF_FFFC) + (u64(eax >> 4) * 4))
        if (pairs >> (30 - 2 * (eax & 15))) & 1 == 0:
            program(cpu, ProgramCode.EXTENDED_AUTHORITY)
    return aste


TABLE_ORIGIN = 0x7FFF_FFC0
INVALID = 0x8000_0000
SUBSPACE_GROUP = 0x200
"""Bit 54 of an address-space-control element."""
EVENTS = 0xC0
"""Storage-alteration-event and space-switch-event controls, bits 56 and 57."""


@typed(leaves=True, inline=False)
def subspace_replace(cpu: Cpu, asce: u64, aste: u64) -> u64:
    """The ASCE to use for the space of `aste`: a subspace's, if one is active for its base space.

    ref: PoP 5 Subspace-Replacement Operations
    """
    if asce & SUBSPACE_GROUP == 0:
        return asce
    duct = cpu.cr[2] & TABLE_ORIGIN
    active = u64(word_at(cpu, duct + 4))
    if active & INVALID == 0 or u64(word_at(cpu, duct)) & TABLE_ORIGIN != aste:
        return asce
    subspace = active & TABLE_ORIGIN
    cpu.exc_access_id = 0
    if word_at(cpu, subspace) & INVALID != 0:
        program(cpu, ProgramCode.ASTE_VALIDITY)
    if word_at(cpu, subspace + 20) != word_at(cpu, duct + 12):
        program(cpu, ProgramCode.ASTE_SEQUENCE)
    return (doubleword_at(cpu, subspace + 8) & ~u64(EVENTS)) | (asce & EVENTS)


@typed(leaves=True, inline=False)
def translate_alet(cpu: Cpu, alet: u32, number: u8) -> u64:
    """The ASCE that an ALET other than 0 and 1 designates; exceptions leave."""
    aste = find_aste(cpu, alet, number, u32(cpu.cr[8] >> 16) & 0xFFFF, True)
    return subspace_replace(cpu, doubleword_at(cpu, aste + 8), aste)


@typed(leaves=True)
def space_of(cpu: Cpu, number: u8) -> u64:
    """Context id of the space that access register `number` (16: none) designates."""
    if number == 0 or number == 16:
        return cpu.ctx[PRIMARY]
    alet = cpu.ar[number]
    if alet == 0:
        return cpu.ctx[PRIMARY]
    if alet == 1:
        return cpu.ctx[SECONDARY]
    asce = translate_alet(cpu, alet, number)
    return virtual_context(cpu, asce, 1, u8(cpu.context_key))


@typed(leaves=True, inline=False)
def set_operand_spaces(cpu: Cpu, rec: Record) -> None:
    """In access-register mode: contexts of the operands of the decoded instruction `rec`."""
    cache = CodeCache.at(cpu.code_cache)
    info = InsnInfo.at(cache.infos + u64(rec.spare) * 32)
    cpu.ctx[OP1] = space_of(cpu, peek_u8(address_of(rec) + u64(info.access1)))
    cpu.ctx[OP2] = space_of(cpu, peek_u8(address_of(rec) + u64(info.access2)))
