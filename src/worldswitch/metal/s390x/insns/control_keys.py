"""Control instructions on storage keys and frames.

ref: PoP 10 Control Instructions; PoP 3 Storage Key.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ecb2, Ictl
from worldswitch.engine import Typed, fill_bytes, peek_u8, poke_u8, typed, u8, u64
from worldswitch.metal.s390x.dat import access_exception
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    absolute_of,
    facility,
    frame_of,
    key_operation,
)
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import write_page
from worldswitch.metal.s390x.mode import CONTEXT_LOW_PROTECTION, purge_frame
from worldswitch.metal.s390x.per import per_key_change
from worldswitch.metal.s390x.psw import PSW_EA
from worldswitch.metal.s390x.state import ABSOLUTE, REAL, Cpu, Record

PAGE = 0xFFFF_FFFF_FFFF_F000
REFERENCE = 0x04
CHANGE = 0x02
KEY_BITS = 0xFE
SSKE_REFERENCE = 4
SSKE_CHANGE = 2
SSKE_MULTIPLE = 1
FACILITY_CONDITIONAL = int(Facility.CONDITIONAL_SSKE)
FACILITY_EDAT = int(Facility.EDAT_1)
FACILITY_EDAT2 = int(Facility.EDAT_2)
FACILITY_NONQUIESCING = int(Facility.NONQUIESCING_KEY_SETTING)


@typed(leaves=True)
def get_key(cpu: Cpu, absolute: u64) -> u8:
    """The storage key of the frame at an absolute address."""
    return peek_u8(cpu.keys + (frame_of(cpu, absolute) >> 12)) & KEY_BITS


@typed(leaves=True)
def put_key(cpu: Cpu, absolute: u64, key: u8) -> None:
    """Set the storage key of a frame; translations made under the old one are dropped."""
    frame = frame_of(cpu, absolute)
    poke_u8(cpu.keys + (frame >> 12), key & KEY_BITS)
    purge_frame(cpu, frame)


@typed(leaves=True)
def change_key(cpu: Cpu, absolute: u64, key: u8, keep: u8) -> bool:
    """Set a key unless only its reference and change bits in `keep` would differ; was it set?"""
    old = get_key(cpu, absolute)
    if keep != 0 and (old ^ key) & (KEY_BITS ^ keep) == 0:
        return False
    put_key(cpu, absolute, key)
    return True


@insn("ISKE", "B229", "RRE", ref="PoP 10 INSERT STORAGE KEY EXTENDED", privileged=True,
      intercept=Intercept("ictl", int(Ictl.ISKE)))  # fmt: skip
def iske(cpu: Cpu, rec: Record, r1: u8, r2: u8) -> None:
    """Insert the key of the real address in R2 into bits 56-62; bit 63 becomes zero."""
    key_operation(cpu, rec)
    key = get_key(cpu, absolute_of(cpu, cpu.gr[r2]))
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_FFFF_FF00) | u64(key)


@typed
def advance_frames(cpu: Cpu, r: u8, end: u64) -> None:
    """Put a frame address into a register, as wide as the addressing mode."""
    if cpu.psw_mask & PSW_EA != 0:
        cpu.gr[r] = (cpu.gr[r] & 0xFFF) | (end & PAGE)
    else:
        keep = cpu.gr[r] & 0xFFFF_FFFF_0000_0FFF
        cpu.gr[r] = keep | (end & cpu.address_mask & PAGE)


@insn("SSKE", "B22B", "RRF", ref="PoP 10 SET STORAGE KEY EXTENDED", privileged=True, control=True,
      intercept=Intercept("ictl", int(Ictl.SSKE)))  # fmt: skip
def sske(cpu: Cpu, rec: Record, r1: u8, r2: u8, m3: u8, pc: u64) -> None:
    """Set the key of a frame, or of all up to the next megabyte; conditionally, if M3 says so."""
    key_operation(cpu, rec)
    conditional = m3 & (SSKE_REFERENCE | SSKE_CHANGE)
    if not facility(cpu, FACILITY_CONDITIONAL):
        conditional = 0
    multiple = m3 & SSKE_MULTIPLE != 0 and facility(cpu, FACILITY_EDAT)
    keep: u8 = 0
    if conditional & SSKE_REFERENCE != 0:
        keep = keep | REFERENCE
    if conditional & SSKE_CHANGE != 0:
        keep = keep | CHANGE
    key = u8(cpu.gr[r1]) & KEY_BITS
    if multiple:
        at = cpu.gr[r2] & cpu.address_mask & PAGE
        end = (at & 0xFFFF_FFFF_FFF0_0000) + 0x10_0000
        while at < end:
            change_key(cpu, at, key, keep)
            at += 4096
        advance_frames(cpu, r2, end)
        if conditional != 0:
            cpu.cc = 3
    else:
        absolute = absolute_of(cpu, cpu.gr[r2])
        old = get_key(cpu, absolute)
        changed = change_key(cpu, absolute, key, keep)
        if conditional != 0:
            cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_FFFF_00FF) | (u64(old) << 8)
            cpu.cc = 1 if changed else 0
    per_key_change(cpu, cpu.gr[r2] & cpu.address_mask, pc)


@insn("RRBE", "B22A", "RRE", ref="PoP 10 RESET REFERENCE BIT EXTENDED", privileged=True,
      control=True, intercept=Intercept("ictl", int(Ictl.RRBE)))  # fmt: skip
def rrbe(cpu: Cpu, rec: Record, r2: u8) -> None:
    """Reset the reference bit; condition code: old reference bit, then change bit."""
    key_operation(cpu, rec)
    absolute = absolute_of(cpu, cpu.gr[r2])
    old = get_key(cpu, absolute)
    put_key(cpu, absolute, old & (KEY_BITS ^ REFERENCE))
    cpu.cc = u64(old >> 1) & 3


def _multiple(mnemonic: str, opcode: str, ref: str, number: Facility, reset: bool) -> Typed:
    """RESET and INSERT REFERENCE BITS MULTIPLE: 64 frames from the absolute address in R2."""

    @insn(mnemonic, opcode, "RRE", ref=ref, facility=number, privileged=True, control=reset,
          intercept=Intercept("ictl", int(Ictl.RRBE)))  # fmt: skip
    def bits(cpu: Cpu, rec: Record, r1: u8, r2: u8) -> None:
        key_operation(cpu, rec)
        block = cpu.gr[r2] & cpu.address_mask & 0xFFFF_FFFF_FFFC_0000
        found: u64 = 0
        n: u64 = 0
        while n < 64:
            key = get_key(cpu, block + n * 4096)
            found = found << 1
            if key & REFERENCE != 0:
                found = found | 1
                if reset:
                    put_key(cpu, block + n * 4096, key & (KEY_BITS ^ REFERENCE))
            n += 1
        cpu.gr[r1] = found

    return bits


RRBM = _multiple("RRBM", "B9AE", "PoP 10 RESET REFERENCE BITS MULTIPLE",
                 Facility.RESET_REFERENCE_BITS_MULTIPLE, True)  # fmt: skip
IRBM = _multiple("IRBM", "B9AC", "PoP 10 INSERT REFERENCE BITS MULTIPLE",
                 Facility.INSERT_REFERENCE_BITS_MULTIPLE, False)  # fmt: skip

PFMF_RESERVED = 0xFFFC_0101
PFMF_SET_KEY = 0x2_0000
PFMF_CLEAR = 0x1_0000
PFMF_SIZE = 0x7000
PFMF_NONQUIESCING = 0x0800
PFMF_REFERENCE = 0x0400
PFMF_CHANGE = 0x0200


@insn("PFMF", "B9AF", "RRE", ref="PoP 10 PERFORM FRAME MANAGEMENT FUNCTION", privileged=True,
      control=True, facility=Facility.EDAT_1,
      intercept=Intercept("ecb2", int(Ecb2.PFMFI), when=False))  # fmt: skip
def pfmf(cpu: Cpu, rec: Record, r1: u8, r2: u8, pc: u64) -> None:
    """Clear frames and set their keys: one of 4 KiB, or all up to the next 1 MiB or 2 GiB."""
    function = cpu.gr[r1]
    if function & PFMF_RESERVED != 0:
        specification(cpu)
    if function & PFMF_NONQUIESCING != 0 and not facility(cpu, FACILITY_NONQUIESCING):
        specification(cpu)
    if function & PFMF_SET_KEY != 0:
        key_operation(cpu, rec)
    size = function & PFMF_SIZE
    address = cpu.gr[r2] & cpu.address_mask & PAGE
    if size == 0:
        if function & PFMF_CLEAR != 0:
            c = cpu.contexts[cpu.ctx[REAL]]
            if c.flags & CONTEXT_LOW_PROTECTION != 0 and address < 8192:
                access_exception(cpu, cpu.ctx[REAL], address, ProgramCode.PROTECTION, True)
        manage_frame(cpu, function, absolute_of(cpu, address))
        return
    step: u64 = 0x10_0000
    if size == 0x2000:
        if not facility(cpu, FACILITY_EDAT2) or cpu.address_mask == 0xFF_FFFF:
            specification(cpu)
        step = 0x8000_0000
    elif size != 0x1000:
        specification(cpu)
    end = (address & (0 - step)) + step
    # One megabyte an execution: the register says where to go on.
    limit = (address & 0xFFFF_FFFF_FFF0_0000) + 0x10_0000
    while address < end and address < limit:
        manage_frame(cpu, function, address)
        address += 4096
    advance_frames(cpu, r2, address)
    if address < end:
        cpu.psw_addr = pc


@typed(leaves=True)
def manage_frame(cpu: Cpu, function: u64, absolute: u64) -> None:
    """PFMF on one frame."""
    if function & PFMF_CLEAR != 0:
        fill_bytes(write_page(cpu, ABSOLUTE, absolute, 4096), 0, 4096)
    if function & PFMF_SET_KEY != 0:
        keep: u8 = 0
        if facility(cpu, FACILITY_CONDITIONAL):
            if function & PFMF_REFERENCE != 0:
                keep = keep | REFERENCE
            if function & PFMF_CHANGE != 0:
                keep = keep | CHANGE
        change_key(cpu, absolute, u8(function) & KEY_BITS, keep)
