"""The guest's own address translation, walked by the hypervisor. ref: PoP 3 Dynamic Address
Translation."""

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.translation import (
    ASCE_LENGTH,
    ASCE_ORIGIN,
    ASCE_TYPE,
    ASCE_TYPE_SHIFT,
    PAGE_FRAME,
    REGION3_FRAME,
    REGION_OFFSET,
    REGION_OFFSET_SHIFT,
    REGION_ORIGIN,
    RFX,
    RSX,
    RTX,
    SEGMENT_FRAME,
    SEGMENT_PAGE_TABLE,
    SX,
    Asce,
    PageEntry,
    Region3Format1,
    RegionEntry,
    SegmentEntry,
    TableType,
)
from worldswitch.hypervisor.sie.guest_storage import OutsideStorageError

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu


class Access(Enum):
    """What an access is."""

    FETCH = "fetch"
    STORE = "store"
    INSTRUCTION = "instruction"


@dataclass(frozen=True, slots=True)
class Translated:
    """Where a virtual address leads: a real address, and whether DAT protects it from stores."""

    real: int
    protected: bool
    no_execute: bool


class TranslationFault(Exception):  # noqa: N818 - a program interruption to be
    """Translation ends with this program interruption."""

    def __init__(self, code: ProgramCode) -> None:
        super().__init__(code.name)
        self.code = code


_C = ProgramCode
_LEVELS = (
    (TableType.REGION_FIRST, RFX, _C.REGION_FIRST_TRANSLATION),
    (TableType.REGION_SECOND, RSX, _C.REGION_SECOND_TRANSLATION),
    (TableType.REGION_THIRD, RTX, _C.REGION_THIRD_TRANSLATION),
    (TableType.SEGMENT, SX, _C.SEGMENT_TRANSLATION),
)


def _entry(vcpu: "SieVcpu", address: int) -> int:
    try:
        return int.from_bytes(vcpu.vm.memory.read(address, 8), "big")
    except OutsideStorageError:
        raise TranslationFault(_C.ADDRESSING) from None


def translate(vcpu: "SieVcpu", address: int, asce: int) -> Translated:
    """Translate a virtual address by an address-space-control element; raises TranslationFault.

    Tables are in guest absolute storage.
    """
    if asce & Asce.REAL_SPACE:
        return Translated(address, False, False)
    edat1 = bool(vcpu.sd.gcr0 & Cr0.EDAT) and vcpu.vm.has(Facility.EDAT_1)
    edat2 = edat1 and vcpu.vm.has(Facility.EDAT_2)
    iep = bool(vcpu.sd.gcr0 & Cr0.INSTRUCTION_EXECUTION_PROTECTION) and vcpu.vm.has(
        Facility.INSTRUCTION_EXECUTION_PROTECTION
    )
    table, offset, length = asce & ASCE_ORIGIN, 0, asce & ASCE_LENGTH
    top = (asce & ASCE_TYPE) >> ASCE_TYPE_SHIFT
    for level, (shift, mask), _code in _LEVELS:
        if level > top and address >> shift & mask:
            raise TranslationFault(_C.ASCE_TYPE)
    protected = no_execute = False
    for level, (shift, mask), code in _LEVELS:
        if level > top:
            continue
        index = address >> shift & mask
        if not offset <= index >> 9 <= length:
            raise TranslationFault(_C.ASCE_TYPE if level == top else code)
        entry = _entry(vcpu, table + index * 8)
        if entry & RegionEntry.INVALID:
            raise TranslationFault(code)
        if (entry & RegionEntry.TYPE) >> ASCE_TYPE_SHIFT != level:
            raise TranslationFault(_C.TRANSLATION_SPECIFICATION)
        if edat1:
            protected |= bool(entry & RegionEntry.PROTECTED)
        if level == TableType.REGION_THIRD and edat2 and entry & Region3Format1.FORMAT:
            no_execute = iep and bool(entry & Region3Format1.IEP)
            real = entry & REGION3_FRAME | address & ~REGION3_FRAME
            return Translated(real, protected, no_execute)
        if level != TableType.SEGMENT:
            offset = (entry & REGION_OFFSET) >> REGION_OFFSET_SHIFT
            table, length = entry & REGION_ORIGIN, entry & RegionEntry.LENGTH
            continue
        if asce & Asce.PRIVATE_SPACE and entry & SegmentEntry.COMMON_SEGMENT:
            raise TranslationFault(_C.TRANSLATION_SPECIFICATION)
        if edat1 and entry & SegmentEntry.FORMAT:
            no_execute = iep and bool(entry & SegmentEntry.IEP)
            real = entry & SEGMENT_FRAME | address & ~SEGMENT_FRAME
            return Translated(real, protected, no_execute)
        protected |= bool(entry & SegmentEntry.PROTECTED)
        table = entry & SEGMENT_PAGE_TABLE
    page = _entry(vcpu, table + (address >> 12 & 0xFF) * 8)
    if page & PageEntry.INVALID:
        raise TranslationFault(_C.PAGE_TRANSLATION)
    if page & PageEntry.ZERO:
        raise TranslationFault(_C.TRANSLATION_SPECIFICATION)
    protected |= bool(page & PageEntry.PROTECTED)
    no_execute = iep and bool(page & PageEntry.IEP)
    return Translated(page & PAGE_FRAME | address & 0xFFF, protected, no_execute)
