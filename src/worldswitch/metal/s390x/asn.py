"""Address-space numbers: translation to ASN-second-table entries, authority, and what they set.

ref: PoP 3 ASN Translation; PoP 3 ASN Authorization
"""

from worldswitch.arch.s390x.control_registers import Cr0, Cr14
from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import typed, u16, u64
from worldswitch.metal.s390x.access import (
    INVALID,
    TABLE_ORIGIN,
    doubleword_at,
    real_word,
    subspace_replace,
    word_at,
)
from worldswitch.metal.s390x.leave import program
from worldswitch.metal.s390x.state import Cpu

ASN_TRANSLATION = int(Cr14.ASN_TRANSLATION)
REUSE_CONTROL = int(Cr0.ASN_AND_LX_REUSE)
REUSE_FACILITY = 1 << (63 - Facility.ASN_AND_LX_REUSE)
PRIMARY_AUTHORITY = 0
SECONDARY_AUTHORITY = 1
SPACE_SWITCH_EVENT = 0x40
"""Bit 57 of an address-space-control element."""
HIGH = 0xFFFF_FFFF_0000_0000

# Offsets in an ASN-second-table entry.
ASTE_AUTHORIZATION = 4
ASTE_ASCE = 8
ASTE_SEQUENCE = 20
ASTE_LINKAGE = 24
ASTE_INSTANCE = 44
CONTROLLED = 2
"""Bit 30 of word 1: the ASN can be used by the supervisor state only."""
REUSABLE = 1
"""Bit 31 of word 1: the ASN can be used with its instance number only."""


@typed
def reuse(cpu: Cpu) -> bool:
    """Whether the ASN-and-LX-reuse facility is installed and enabled."""
    return cpu.facilities[0] & REUSE_FACILITY != 0 and cpu.cr[0] & REUSE_CONTROL != 0


@typed(leaves=True)
def require_asn_translation(cpu: Cpu) -> None:
    """Special-operation exception if control register 14 does not allow ASN translation."""
    if cpu.cr[14] & ASN_TRANSLATION == 0:
        program(cpu, ProgramCode.SPECIAL_OPERATION)


@typed(inline=False)
def translate_asn(cpu: Cpu, asn: u64) -> tuple[u16, u64]:
    """(program code or 0, real address of the ASN's second-table entry)."""
    cpu.translation_code = asn
    first = ((cpu.cr[14] & 0x7_FFFF) << 12) + (asn >> 6) * 4
    code, entry = real_word(cpu, first)
    if code != 0:
        return code, u64(0)
    if entry & INVALID != 0:
        return u16(ProgramCode.AFX_TRANSLATION), u64(0)
    if entry & 0x3F != 0:
        return u16(ProgramCode.ASN_TRANSLATION_SPECIFICATION), u64(0)
    aste = ((u64(entry) & TABLE_ORIGIN) + (asn & 0x3F) * 64) & 0x7FFF_FFFF
    code, word = real_word(cpu, aste)
    if code != 0:
        return code, u64(0)
    if word & INVALID != 0:
        return u16(ProgramCode.ASX_TRANSLATION), u64(0)
    return u16(0), aste


@typed(leaves=True, inline=False)
def find_asn(cpu: Cpu, asn: u64) -> u64:
    """The ASN's second-table entry; exceptions leave."""
    code, aste = translate_asn(cpu, asn)
    if code != 0:
        program(cpu, code)
    return aste


@typed(leaves=True, inline=False)
def is_authorized(cpu: Cpu, aste: u64, index: u64, which: u64) -> bool:
    """Whether the space allows an authorization index primary (0) or secondary (1) use."""
    length = u64(word_at(cpu, aste + ASTE_AUTHORIZATION) >> 4) & 0xFFF
    if index >> 4 > length:
        return False
    origin = u64(word_at(cpu, aste)) & 0x7FFF_FFFC
    pairs = u64(word_at(cpu, origin + (index >> 4) * 4))
    return (pairs >> (31 - 2 * (index & 15) - which)) & 1 != 0


@typed(leaves=True, inline=False)
def asce_of(cpu: Cpu, aste: u64) -> u64:
    """The space's ASCE, or an active subspace's."""
    return subspace_replace(cpu, doubleword_at(cpu, aste + ASTE_ASCE), aste)


@typed(leaves=True)
def index_of(cpu: Cpu, aste: u64) -> u64:
    """The space's authorization index."""
    return u64(word_at(cpu, aste + ASTE_AUTHORIZATION) >> 16)


@typed(leaves=True)
def instance_of(cpu: Cpu, aste: u64) -> u64:
    """The space's instance number."""
    return u64(word_at(cpu, aste + ASTE_INSTANCE))


@typed(inline=False)
def set_primary(cpu: Cpu, asn: u64, index: u64, asce: u64, aste: u64, instance: u64) -> None:
    """Make a space the primary one: control registers 1, 4 and 5."""
    cpu.cr[1] = asce
    high = cpu.cr[4] & HIGH
    if reuse(cpu):
        high = instance << 32
    cpu.cr[4] = high | (index << 16) | asn
    cpu.cr[5] = (cpu.cr[5] & HIGH) | aste


@typed(inline=False)
def set_secondary(cpu: Cpu, asn: u64, asce: u64, instance: u64) -> None:
    """Make a space the secondary one: control registers 3 and 7."""
    cpu.cr[7] = asce
    high = cpu.cr[3] & HIGH
    if reuse(cpu):
        high = instance << 32
    cpu.cr[3] = high | (cpu.cr[3] & 0xFFFF_0000) | asn


@typed
def secondary_is_primary(cpu: Cpu) -> None:
    """Make the primary space the secondary one, too."""
    set_secondary(cpu, cpu.cr[4] & 0xFFFF, cpu.cr[1], cpu.cr[4] >> 32)


@typed(leaves=True)
def space_switched(cpu: Cpu, old_asce: u64, old_asn: u64) -> None:
    """After a switch of the primary space: the space-switch event, if a control asks for it.

    The instruction is completed and `cpu.psw_addr` the next one's.
    """
    if (old_asce | cpu.cr[1]) & SPACE_SWITCH_EVENT == 0 and cpu.per_code == 0:
        return
    cpu.translation_code = old_asn
    if old_asce & SPACE_SWITCH_EVENT != 0:
        cpu.translation_code = old_asn | 0x8000_0000
    program(cpu, ProgramCode.SPACE_SWITCH)
