"""Control instructions that translate, test, or use real addresses.

ref: PoP 10 Control Instructions.
"""

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.engine import Typed, fill_bytes, peek_u8, typed, u8, u32, u64
from worldswitch.metal.s390x.dat import NO_ENTRY, access_exception, key_allows, translate_quiet
from worldswitch.metal.s390x.insn import ALWAYS, Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    absolute_of,
    data_space,
    frame_of,
    keyed_context,
    require_dat,
    require_extraction,
    special_operation,
)
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    fetch_u32,
    fetch_u64,
    store_u32,
    store_u64,
    write_page,
)
from worldswitch.metal.s390x.mode import CONTEXT_LOW_PROTECTION
from worldswitch.metal.s390x.per import per_store_real
from worldswitch.metal.s390x.psw import PSW_EA
from worldswitch.metal.s390x.state import (
    ABSOLUTE,
    HOME,
    OP1,
    OP2,
    PRIMARY,
    REAL,
    SECONDARY,
    Cpu,
)

PAGE = 0xFFFF_FFFF_FFFF_F000
HIGH = 0xFFFF_FFFF_0000_0000
SEGMENT_TRANSLATION = int(ProgramCode.SEGMENT_TRANSLATION)
PAGE_TRANSLATION = int(ProgramCode.PAGE_TRANSLATION)
NO_TRANSLATION = sum(
    1 << code
    for code in (
        ProgramCode.SEGMENT_TRANSLATION,
        ProgramCode.PAGE_TRANSLATION,
        ProgramCode.ASCE_TYPE,
        ProgramCode.REGION_FIRST_TRANSLATION,
        ProgramCode.REGION_SECOND_TRANSLATION,
        ProgramCode.REGION_THIRD_TRANSLATION,
    )
)
"""Bit n is one if program code n says that there is no translation."""


@typed
def is_translation_exception(code: u64) -> bool:
    """Whether a program code says that there is no translation (rather than a bad table)."""
    return code < 64 and (u64(NO_TRANSLATION) >> code) & 1 != 0


@typed(leaves=True, inline=False)
def load_real(cpu: Cpu, space: u32, address: u64) -> tuple[u64, u64]:
    """(condition code, result) of LOAD REAL ADDRESS; for code 3 the result is the program code."""
    code, real = translate_quiet(cpu, space, address, False)
    if code == 0:
        return u64(0), real
    if code == SEGMENT_TRANSLATION and cpu.entry_address != NO_ENTRY:
        return u64(1), cpu.entry_address
    if code == PAGE_TRANSLATION:
        return u64(2), cpu.entry_address
    if not is_translation_exception(u64(code)):
        access_exception(cpu, cpu.ctx[space], address, code, False)
    return u64(3), u64(code)


def _load_real_address(mnemonic: str, opcode: str, format: str, long: bool) -> Typed:
    @insn(mnemonic, opcode, format, ref="PoP 10 LOAD REAL ADDRESS", privileged=True)
    def lra(cpu: Cpu, r1: u8, addr2: u64) -> None:
        cc, value = load_real(cpu, data_space(cpu), addr2)
        if cc == 3:
            cpu.gr[r1] = (cpu.gr[r1] & HIGH) | 0x8000_0000 | value
        elif long or cpu.psw_mask & PSW_EA != 0:
            cpu.gr[r1] = value
        else:
            if value >> 31 != 0:
                special_operation(cpu)
            cpu.gr[r1] = (cpu.gr[r1] & HIGH) | value
        cpu.cc = cc

    return lra


LRA = _load_real_address("LRA", "B1", "RX_a", False)
LRAY = _load_real_address("LRAY", "E313", "RXY_a", False)
LRAG = _load_real_address("LRAG", "E303", "RXY_a", True)

PROTECTED = int(ProgramCode.PROTECTION)


@insn("LPTEA", "B9AA", "RRF", ref="PoP 10 LOAD PAGE-TABLE-ENTRY ADDRESS", privileged=True,
      access_registers=("r1", "r2"))  # fmt: skip
def lptea(cpu: Cpu, r1: u8, r2: u8, m4: u8) -> None:
    """Real address of the page-table entry of the address in R2, in the space M4 names."""
    if m4 > 4:
        specification(cpu)
    space: u32 = PRIMARY
    if m4 == 1:
        space = OP2
    elif m4 == 2:
        space = SECONDARY
    elif m4 == 3:
        space = HOME
    elif m4 == 4:
        space = data_space(cpu)
    address = cpu.gr[r2] & cpu.address_mask
    cpu.entry_address = NO_ENTRY
    code, _real = translate_quiet(cpu, space, address, True)
    protected = code == PROTECTED
    if code == 0 or code == PAGE_TRANSLATION or protected:
        # A segment-table entry that maps a large frame is where the walk ends.
        if (cpu.entry_address >> 3) & 0xFF != (address >> 12) & 0xFF:
            cpu.cc = 2
        else:
            cpu.cc = 1 if protected else 0
        cpu.gr[r1] = cpu.entry_address
        return
    if not is_translation_exception(u64(code)):
        access_exception(cpu, cpu.ctx[space], address, code, False)
    cpu.gr[r1] = (cpu.gr[r1] & HIGH) | 0x8000_0000 | u64(code)
    cpu.cc = 3


@insn("STRAG", "E502", "SSE", ref="PoP 10 STORE REAL ADDRESS", privileged=True)
def strag(cpu: Cpu, addr1: u64, addr2: u64) -> None:
    """Store the real address that the second operand's address translates to."""
    if addr1 & 7 != 0:
        specification(cpu)
    space = data_space(cpu)
    code, real = translate_quiet(cpu, space, addr2, False)
    if code != 0:
        access_exception(cpu, cpu.ctx[space], addr2, code, False)
    store_u64(cpu, OP1, addr1, real)


@insn("LURA", "B24B", "RRE", ref="PoP 10 LOAD USING REAL ADDRESS", privileged=True)
def lura(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Load the word at the real address in R2 into bits 32-63."""
    address = cpu.gr[r2] & cpu.address_mask
    if address & 3 != 0:
        specification(cpu)
    cpu.gr[r1] = (cpu.gr[r1] & HIGH) | u64(fetch_u32(cpu, REAL, address))


@insn("LURAG", "B905", "RRE", ref="PoP 10 LOAD USING REAL ADDRESS", privileged=True)
def lurag(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Load the doubleword at the real address in R2."""
    address = cpu.gr[r2] & cpu.address_mask
    if address & 7 != 0:
        specification(cpu)
    cpu.gr[r1] = fetch_u64(cpu, REAL, address)


@insn("STURA", "B246", "RRE", ref="PoP 10 STORE USING REAL ADDRESS", privileged=True)
def stura(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Store bits 32-63 at the real address in R2."""
    address = cpu.gr[r2] & cpu.address_mask
    if address & 3 != 0:
        specification(cpu)
    store_u32(cpu, REAL, address, u32(cpu.gr[r1]))
    per_store_real(cpu, pc)


@insn("STURG", "B925", "RRE", ref="PoP 10 STORE USING REAL ADDRESS", privileged=True)
def sturg(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Store the doubleword at the real address in R2."""
    address = cpu.gr[r2] & cpu.address_mask
    if address & 7 != 0:
        specification(cpu)
    store_u64(cpu, REAL, address, cpu.gr[r1])
    per_store_real(cpu, pc)


@insn("IVSK", "B223", "RRE", ref="PoP 10 INSERT VIRTUAL STORAGE KEY",
      access_registers=("r1", "r2"))  # fmt: skip
def ivsk(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Insert access-control and fetch-protection bits of a virtual address's frame."""
    require_dat(cpu)
    require_extraction(cpu)
    address = cpu.gr[r2] & cpu.address_mask
    code, real = translate_quiet(cpu, OP2, address, False)
    if code != 0:
        access_exception(cpu, cpu.ctx[OP2], address, code, False)
    key = peek_u8(cpu.keys + (frame_of(cpu, absolute_of(cpu, real)) >> 12))
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_FFFF_FF00) | u64(key & 0xF8)


@insn("TPROT", "E501", "SSE", ref="PoP 10 TEST PROTECTION", privileged=True,
      intercept=Intercept("ictl", int(Ictl.TPROT)))  # fmt: skip
def tprot(cpu: Cpu, addr1: u64, addr2: u64) -> None:
    """Condition code 0: fetch and store permitted with the key; 1: fetch; 2: neither; 3: no page.

    The key is in bits 56-59 of the second-operand address.
    """
    code, real = translate_quiet(cpu, OP1, addr1, False)
    if is_translation_exception(u64(code)):
        cpu.cc = 3
        return
    if code != 0:
        access_exception(cpu, cpu.ctx[OP1], addr1, code, False)
    c = cpu.contexts[keyed_context(cpu, OP1, u8(addr2 & 0xF0))]
    key = peek_u8(cpu.keys + (frame_of(cpu, absolute_of(cpu, real)) >> 12))
    low = c.flags & CONTEXT_LOW_PROTECTION != 0 and addr1 < 8192 and addr1 & 0xFFF < 512
    if not key_allows(cpu, c, key, addr1, False):
        cpu.cc = 2
    elif low or not key_allows(cpu, c, key, addr1, True):
        cpu.cc = 1
    else:
        again, _real = translate_quiet(cpu, OP1, addr1, True)
        cpu.cc = 1 if again != 0 else 0


@insn("TB", "B22C", "RRE", ref="PoP 10 TEST BLOCK", privileged=True, intercept=ALWAYS)
def tb(cpu: Cpu, r2: u8) -> None:
    """Clear the 4 KiB block at the real address in R2 and find it usable."""
    real = cpu.gr[r2] & cpu.address_mask & PAGE
    c = cpu.contexts[cpu.ctx[REAL]]
    if c.flags & CONTEXT_LOW_PROTECTION != 0 and real < 8192:
        access_exception(cpu, cpu.ctx[REAL], real, ProgramCode.PROTECTION, True)
    fill_bytes(write_page(cpu, ABSOLUTE, absolute_of(cpu, real), 4096), 0, 4096)
    cpu.gr[0] = 0
    cpu.cc = 0
