"""Storage keys of guest pages. ref: PoP 3 Storage Key; PoP 10 SET STORAGE KEY EXTENDED."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.psw import PswMask
from worldswitch.arch.s390x.sie_controls import CpuStat, Ictl
from worldswitch.arch.s390x.translation import StorageKey
from worldswitch.hypervisor.sie.access import effective, real_to_absolute
from worldswitch.hypervisor.sie.events import GuestException, program

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

ALL_BITS = 0xFE
FRAME_OFFSET = 0xFFF
HIGH_WORD = 0xFFFF_FFFF_0000_0000
REFERENCE_AND_CHANGE = StorageKey.REFERENCE | StorageKey.CHANGE
_KEY_INSTRUCTIONS = Ictl.ISKE | Ictl.SSKE | Ictl.RRBE


def enable(vcpu: "SieVcpu") -> None:
    """The guest has begun to use storage keys: let SIE execute key instructions from now on.

    A guest that never does so is spared what keys cost.
    """
    sd = vcpu.sd
    if vcpu.keys_enabled:
        return
    vcpu.keys_enabled = True
    if sd.cpuflags & CpuStat.KSS:
        sd.cpuflags &= ~CpuStat.KSS
    else:
        sd.ictl &= ~_KEY_INSTRUCTIONS
    vcpu.statistics.count("skey_enabled")


def frame_of(vcpu: "SieVcpu", address: int) -> int:
    """The absolute address of the frame at a real address; raises for an addressing exception."""
    absolute = real_to_absolute(vcpu.prefix, effective(vcpu, address) & -4096)
    if not vcpu.vm.memory.has(absolute):
        raise GuestException(program(ProgramCode.ADDRESSING))
    return absolute


def advance_frames(vcpu: "SieVcpu", number: int, end: int) -> None:
    """Put the address behind the last frame into a register, as wide as the addressing mode.

    Bits 52-63 stay. ref: PoP 10 SET STORAGE KEY EXTENDED
    """
    wide = bool(vcpu.sd.gpsw_mask & PswMask.EA)
    keep = FRAME_OFFSET if wide else HIGH_WORD | FRAME_OFFSET
    vcpu.gr[number] = vcpu.gr[number] & keep | effective(vcpu, end) & ~FRAME_OFFSET


def set_key(vcpu: "SieVcpu", absolute: int, key: int, no_reference: bool, no_change: bool) -> int:
    """Set a frame's key unless it differs only in bits that do not count; the old key.

    no_reference, no_change: the reference bit (with the change bit), or the change bit, is not
    compared. ref: PoP 10 SET STORAGE KEY EXTENDED
    """
    memory = vcpu.vm.memory
    old = memory.get_key(absolute)
    if no_reference or no_change:
        ignored = StorageKey.CHANGE if no_change else 0
        if no_reference:
            ignored |= StorageKey.REFERENCE
        if not (old ^ key) & ALL_BITS & ~ignored:
            return -1 - old
    memory.set_key(absolute, key & ALL_BITS)
    return old


def reset_reference(vcpu: "SieVcpu", absolute: int) -> int:
    """Reset a frame's reference bit; the old reference and change bits as a number 0 to 3."""
    memory = vcpu.vm.memory
    old = memory.get_key(absolute)
    memory.set_key(absolute, old & ~StorageKey.REFERENCE)
    return (old & REFERENCE_AND_CHANGE) >> 1
