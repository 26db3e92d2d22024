"""Access to a guest's storage as its own instructions would have it: logical, real, absolute.

Logical accesses go through guest DAT, low-address protection, DAT protection and the storage key
with the PSW's key; what the guest's instruction would get as a program interruption is raised as
GuestException. Real and absolute accesses know prefixing and addressing exceptions only.
"""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.program import ProgramCode, ProtectionKind, Teid
from worldswitch.arch.s390x.psw import (
    ADDRESS_24,
    ADDRESS_31,
    ADDRESS_64,
    AS_MASK,
    AS_SHIFT,
    KEY_MASK,
    KEY_SHIFT,
    AddressSpace,
    PswMask,
)
from worldswitch.arch.s390x.sie_controls import ICPT_WITH_INSTRUCTION, Icpt, IcptStatus
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.s390x.translation import (
    FETCH_OVERRIDE_LIMIT,
    KEY_ACC_SHIFT,
    PAGE_SIZE,
    Asce,
    StorageKey,
)
from worldswitch.hypervisor.sie.art import access_register_asce
from worldswitch.hypervisor.sie.dat import Access, TranslationFault, translate
from worldswitch.hypervisor.sie.events import GuestException, ProgramEvent, program
from worldswitch.hypervisor.sie.guest_storage import OutsideStorageError

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

_C = ProgramCode
PREFIX_AREA = 0x2000
OVERRIDE_KEY = 9
ALET_CODES = frozenset(
    {
        _C.ALET_SPECIFICATION, _C.ALEN_TRANSLATION, _C.ALE_SEQUENCE, _C.ASTE_VALIDITY,
        _C.ASTE_SEQUENCE, _C.EXTENDED_AUTHORITY,
    }
)  # fmt: skip
WITH_TEID = frozenset(
    {
        _C.PROTECTION, _C.SEGMENT_TRANSLATION, _C.PAGE_TRANSLATION, _C.ASCE_TYPE,
        _C.REGION_FIRST_TRANSLATION, _C.REGION_SECOND_TRANSLATION, _C.REGION_THIRD_TRANSLATION,
    }
)  # fmt: skip


def effective(vcpu: "SieVcpu", address: int) -> int:
    """An address truncated to the PSW's addressing mode."""
    mask = vcpu.sd.gpsw_mask
    if mask & PswMask.EA:
        return address & ADDRESS_64
    return address & (ADDRESS_31 if mask & PswMask.BA else ADDRESS_24)


def real_to_absolute(prefix: int, address: int) -> int:
    """Prefixing. ref: PoP 3 Prefixing."""
    block = address & -PREFIX_AREA
    if block == 0:
        return address + prefix
    return address - prefix if block == prefix else address


def psw_key(vcpu: "SieVcpu") -> int:
    """The PSW's access key."""
    return (vcpu.sd.gpsw_mask & KEY_MASK) >> KEY_SHIFT


def exception(
    vcpu: "SieVcpu", code: int, address: int, register: int, access: Access, kind: int = 0
) -> GuestException:
    """The access exception of a logical address. `kind`: which protection, see ProtectionKind."""
    space = (vcpu.sd.gpsw_mask & AS_MASK) >> AS_SHIFT
    teid = access_id = 0
    in_ar_mode = space == AddressSpace.ACCESS_REGISTER
    if code in WITH_TEID:
        teid = address & -PAGE_SIZE & ADDRESS_64
        teid |= Teid.STORE if access is Access.STORE else Teid.FETCH
        teid |= space | kind
    if in_ar_mode and (code in WITH_TEID or code in ALET_CODES):
        access_id = register
    return GuestException(ProgramEvent(int(code), teid=teid, exc_access_id=access_id))


def _asce(vcpu: "SieVcpu", register: int, access: Access) -> int:
    space = (vcpu.sd.gpsw_mask & AS_MASK) >> AS_SHIFT
    if space == AddressSpace.HOME:
        return vcpu.sd.gcr[13]
    if space == AddressSpace.PRIMARY or access is Access.INSTRUCTION:
        return vcpu.sd.gcr[1]
    if space == AddressSpace.SECONDARY:
        return vcpu.sd.gcr[7]
    return access_register_asce(vcpu, register, access)


def translate_logical(
    vcpu: "SieVcpu", address: int, register: int, access: Access, key: int | None = None
) -> int:
    """The absolute address of a logical address; raises GuestException.

    `register`: the access register that goes with the operand. `key`: the PSW's if None.
    """
    address = effective(vcpu, address)
    sd = vcpu.sd
    asce = 0
    dat = bool(sd.gpsw_mask & PswMask.DAT)
    try:
        if dat:
            asce = _asce(vcpu, register, access)
        _check_low_address(vcpu, address, register, access, bool(asce & Asce.PRIVATE_SPACE))
        real = address
        if dat:
            found = translate(vcpu, address, asce)
            real = found.real
            if access is Access.STORE and found.protected:
                kind = ProtectionKind.DAT
                raise exception(vcpu, _C.PROTECTION, address, register, access, kind)
            if access is Access.INSTRUCTION and found.no_execute:
                kind = ProtectionKind.INSTRUCTION_EXECUTION
                raise exception(vcpu, _C.PROTECTION, address, register, access, kind)
    except TranslationFault as fault:
        # DAT has no protection exceptions: this one is the access list's.
        kind = ProtectionKind.ACCESS_LIST if fault.code == _C.PROTECTION else 0
        raise exception(vcpu, fault.code, address, register, access, kind) from None
    absolute = real_to_absolute(vcpu.prefix, real)
    if not vcpu.vm.memory.has(absolute):
        raise GuestException(program(_C.ADDRESSING))
    private = bool(asce & Asce.PRIVATE_SPACE)
    if not _key_allows(vcpu, absolute, address, access, key, private):
        kind = ProtectionKind.KEY_CONTROLLED
        raise exception(vcpu, _C.PROTECTION, address, register, access, kind)
    return absolute


def _check_low_address(
    vcpu: "SieVcpu", address: int, register: int, access: Access, private: bool
) -> None:
    if access is not Access.STORE or not vcpu.sd.gcr0 & Cr0.LOW_ADDRESS_PROTECTION or private:
        return
    if address & ~0x11FF == 0:
        kind = ProtectionKind.LOW_ADDRESS
        raise exception(vcpu, _C.PROTECTION, address, register, access, kind)


def _key_allows(
    vcpu: "SieVcpu", absolute: int, address: int, access: Access, key: int | None, private: bool
) -> bool:
    """Key-controlled protection. ref: PoP 3 Key-Controlled Protection."""
    key = psw_key(vcpu) if key is None else key
    if key == 0:
        return True
    frame = vcpu.vm.memory.get_key(absolute)
    acc = frame >> KEY_ACC_SHIFT
    cr0 = vcpu.sd.gcr0
    if acc == key or (acc == OVERRIDE_KEY and cr0 & Cr0.STORAGE_PROTECTION_OVERRIDE):
        return True
    if access is Access.STORE:
        return False
    if not frame & StorageKey.FETCH_PROTECTED:
        return True
    override = cr0 & Cr0.FETCH_PROTECTION_OVERRIDE
    return bool(override) and address <= FETCH_OVERRIDE_LIMIT and not private


def _pages(
    vcpu: "SieVcpu", address: int, size: int, register: int, access: Access, key: int | None
) -> list[tuple[int, int]]:
    """Absolute addresses and lengths of the pages of an operand, all translated first."""
    pieces: list[tuple[int, int]] = []
    while size > 0:
        address = effective(vcpu, address)
        length = min(size, PAGE_SIZE - address % PAGE_SIZE)
        pieces.append((translate_logical(vcpu, address, register, access, key), length))
        address += length
        size -= length
    return pieces


def read_logical(
    vcpu: "SieVcpu", address: int, register: int, size: int, key: int | None = None
) -> bytes:
    """An operand's bytes; raises GuestException."""
    memory = vcpu.vm.memory
    pieces = _pages(vcpu, address, size, register, Access.FETCH, key)
    return b"".join(memory.read(absolute, length) for absolute, length in pieces)


def write_logical(
    vcpu: "SieVcpu", address: int, register: int, data: bytes, key: int | None = None
) -> None:
    """Store an operand, all of it or nothing; raises GuestException."""
    done = 0
    for absolute, length in _pages(vcpu, address, len(data), register, Access.STORE, key):
        vcpu.vm.memory.write(absolute, data[done : done + length])
        done += length


def read_instruction(vcpu: "SieVcpu", address: int) -> bytes:
    """The instruction at a logical address, 2, 4 or 6 bytes; raises GuestException."""
    first = _fetch(vcpu, address, 2)
    length = instruction_length(first[0])
    return first + _fetch(vcpu, address + 2, length - 2)


def _fetch(vcpu: "SieVcpu", address: int, size: int) -> bytes:
    pieces = _pages(vcpu, address, size, 0, Access.INSTRUCTION, None)
    return b"".join(vcpu.vm.memory.read(absolute, length) for absolute, length in pieces)


def intercepted_length(sd: StateDescription) -> int:
    """Bytes of the instruction that the interception is about; 0 if there is none.

    That of EXECUTE if it was executed by one. ref: SIE icptstatus
    """
    code = sd.icptcode
    if code in ICPT_WITH_INSTRUCTION:
        if sd.icptstatus & IcptStatus.EXECUTE:
            return sd.icptstatus >> 4 & 6 or 4
        return instruction_length(sd.ipa >> 8)
    return sd.pgmilc & 6 if code == Icpt.PROGI else 0


def instruction_length(first: int) -> int:
    """The length of an instruction by its first byte. ref: PoP 5 Instruction Formats."""
    return (2, 4, 4, 6)[first >> 6]


def read_real(vcpu: "SieVcpu", address: int, size: int) -> bytes:
    """Bytes at a real address, within one prefix area; an addressing exception outside storage."""
    try:
        return vcpu.vm.memory.read(real_to_absolute(vcpu.prefix, address), size)
    except OutsideStorageError:
        raise GuestException(program(_C.ADDRESSING)) from None


def write_real(vcpu: "SieVcpu", address: int, data: bytes) -> None:
    """Store bytes at a real address."""
    try:
        vcpu.vm.memory.write(real_to_absolute(vcpu.prefix, address), data)
    except OutsideStorageError:
        raise GuestException(program(_C.ADDRESSING)) from None


def check_low_address(vcpu: "SieVcpu", address: int) -> None:
    """Low-address protection of a store by real address; raises GuestException."""
    private = bool(vcpu.sd.gpsw_mask & PswMask.DAT) and bool(vcpu.sd.gcr[1] & Asce.PRIVATE_SPACE)
    _check_low_address(vcpu, address, 0, Access.STORE, private)
