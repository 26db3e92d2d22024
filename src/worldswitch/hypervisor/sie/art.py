"""Access-register translation: which address space an access register designates.

ref: PoP 5 Access-Register Translation
"""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import CR2_DUCTO, CR5_PRIMARY_ASTE_ORIGIN
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.translation import (
    ACCESS_LIST_LENGTH,
    ACCESS_LIST_ORIGIN,
    ALET_PRIMARY,
    ALET_SECONDARY,
    AccessListEntry,
    Alet,
    AsnSecondTableEntry,
    DispatchableUnitTable,
)
from worldswitch.hypervisor.sie.dat import Access, TranslationFault
from worldswitch.hypervisor.sie.guest_storage import OutsideStorageError

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

_C = ProgramCode
ASTE_ORIGIN = 0x7FFF_FFC0


def _read(vcpu: "SieVcpu", address: int, size: int) -> bytes:
    try:
        return vcpu.vm.memory.read(vcpu.real_to_absolute(address), size)
    except OutsideStorageError:
        raise TranslationFault(_C.ADDRESSING) from None


def access_register_asce(vcpu: "SieVcpu", register: int, access: Access) -> int:
    """The address-space-control element of access register `register`; raises TranslationFault.

    Register 0 stands for the token 0.
    """
    token = vcpu.registers.ar[register] if register else ALET_PRIMARY
    if token == ALET_PRIMARY:
        return vcpu.sd.gcr[1]
    if token == ALET_SECONDARY:
        return vcpu.sd.gcr[7]
    alet = Alet(token.to_bytes(4, "big"))
    if alet.zeros:
        raise TranslationFault(_C.ALET_SPECIFICATION)
    if alet.primary_list:
        source = vcpu.sd.gcr[5] & CR5_PRIMARY_ASTE_ORIGIN
        designation = int.from_bytes(_read(vcpu, source + 16, 4), "big")
    else:
        source = vcpu.sd.gcr[2] & CR2_DUCTO
        offset = DispatchableUnitTable.offset_of("access_list")
        designation = int.from_bytes(_read(vcpu, source + offset, 4), "big")
    if alet.number // 8 > designation & ACCESS_LIST_LENGTH:
        raise TranslationFault(_C.ALEN_TRANSLATION)
    where = (designation & ACCESS_LIST_ORIGIN) + alet.number * 16
    entry = AccessListEntry(_read(vcpu, where, AccessListEntry.block_size))
    if entry.invalid:
        raise TranslationFault(_C.ALEN_TRANSLATION)
    if entry.sequence != alet.sequence:
        raise TranslationFault(_C.ALE_SEQUENCE)
    origin = entry.aste_origin & ASTE_ORIGIN
    aste = AsnSecondTableEntry(_read(vcpu, origin, AsnSecondTableEntry.block_size))
    if aste.invalid:
        raise TranslationFault(_C.ASTE_VALIDITY)
    if aste.sequence != entry.aste_sequence:
        raise TranslationFault(_C.ASTE_SEQUENCE)
    if entry.private and not _authorized(vcpu, entry.authorization_index, aste):
        raise TranslationFault(_C.EXTENDED_AUTHORITY)
    if access is Access.STORE and entry.fetch_only:
        raise TranslationFault(_C.PROTECTION)
    return aste.asce


def _authorized(vcpu: "SieVcpu", index: int, aste: AsnSecondTableEntry) -> bool:
    """Whether the extended authorization index may use a private entry."""
    eax = vcpu.sd.gcr[8] >> 16 & 0xFFFF
    if index == eax:
        return True
    if eax // 4 // 4 > aste.authority_length >> 4:
        return False
    byte = _read(vcpu, (aste.authority & 0x7FFF_FFFC) + eax // 4, 1)[0]
    return bool(byte & 0x40 >> (eax & 3) * 2)
