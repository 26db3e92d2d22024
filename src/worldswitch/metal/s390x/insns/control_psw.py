"""Control instructions on the PSW: loading it, its system mask, key and address space.

ref: PoP 10 Control Instructions.
"""

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.engine import i64, typed, u8, u32, u64
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    AS_HOME,
    AS_SHIFT,
    CR0_SECONDARY,
    address_space,
    in_problem_state,
    privileged_operation,
    require_dat,
    require_extraction,
    require_key,
    special_operation,
)
from worldswitch.metal.s390x.leave import program, specification
from worldswitch.metal.s390x.memory import fetch_u8, fetch_u64, store_u8
from worldswitch.metal.s390x.mode import mode_changed
from worldswitch.metal.s390x.psw import (
    PSW_DAT,
    PSW_SHORT,
    PSW_SYSTEM_UNASSIGNED,
    assemble_psw_mask,
    load_psw,
    recheck,
)
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

LPSW_CONTROL = Intercept("ictl", int(Ictl.LPSW))
SHORT_MASK = 0xFFFF_FFFF_8000_0000
SHORT_ADDRESS = 0x7FFF_FFFF
NOT_KEY = 0xFF0F_FFFF_FFFF_FFFF
NOT_SPACE = 0xFFFF_3FFF_FFFF_FFFF
NOT_SYSTEM = 0x00FF_FFFF_FFFF_FFFF
SSM_SUPPRESSION = int(Cr0.SSM_SUPPRESSION)
SPACE_SWITCH_EVENT = 0x40
"""Bit 57 of an address-space-control element."""


@insn("LPSW", "82", "SI", ref="PoP 10 LOAD PSW", privileged=True, control=True,
      intercept=LPSW_CONTROL)  # fmt: skip
def lpsw(cpu: Cpu, addr1: u64, pc: u64) -> None:
    """Load the PSW from its 8-byte format."""
    if addr1 & 7 != 0:
        specification(cpu)
    word = fetch_u64(cpu, OP1, addr1)
    if word & PSW_SHORT == 0:
        specification(cpu)
    cpu.breaking = pc
    load_psw(cpu, (word & SHORT_MASK) ^ PSW_SHORT, word & SHORT_ADDRESS)


@typed(leaves=True)
def load_extended(cpu: Cpu, space: u32, address: u64, pc: u64) -> None:
    """Load the PSW from 16 bytes of storage."""
    if address & 7 != 0:
        specification(cpu)
    mask = fetch_u64(cpu, space, address)
    addr = fetch_u64(cpu, space, (address + 8) & cpu.address_mask)
    cpu.breaking = pc
    load_psw(cpu, mask, addr)


@insn("LPSWE", "B2B2", "S", ref="PoP 10 LOAD PSW EXTENDED", privileged=True, control=True,
      intercept=LPSW_CONTROL)  # fmt: skip
def lpswe(cpu: Cpu, addr2: u64, pc: u64) -> None:
    """Load the PSW."""
    load_extended(cpu, OP2, addr2, pc)


@insn("LPSWEY", "EB71", "SIY", ref="PoP 10 LOAD PSW EXTENDED", privileged=True, control=True,
      facility=Facility.BEAR_ENHANCEMENT, intercept=LPSW_CONTROL)  # fmt: skip
def lpswey(cpu: Cpu, addr1: u64, pc: u64) -> None:
    """Load the PSW, from a long displacement."""
    load_extended(cpu, OP1, addr1, pc)


@typed(leaves=True)
def set_system_mask(cpu: Cpu, bits: u8) -> None:
    """Replace PSW bits 0-7; unassigned ones cause the exception after they are in place."""
    cpu.psw_mask = (cpu.psw_mask & NOT_SYSTEM) | (u64(bits) << 56)
    mode_changed(cpu)
    recheck(cpu)
    if cpu.psw_mask & PSW_SYSTEM_UNASSIGNED != 0:
        specification(cpu)


@insn("SSM", "80", "SI", ref="PoP 10 SET SYSTEM MASK", privileged=True, control=True,
      intercept=Intercept("ictl", int(Ictl.SSM)))  # fmt: skip
def ssm(cpu: Cpu, addr1: u64) -> None:
    """Set PSW bits 0-7 from storage."""
    if cpu.cr[0] & SSM_SUPPRESSION != 0:
        special_operation(cpu)
    set_system_mask(cpu, fetch_u8(cpu, OP1, addr1))


@insn("STNSM", "AC", "SI", ref="PoP 10 STORE THEN AND SYSTEM MASK", privileged=True, control=True,
      intercept=Intercept("ictl", int(Ictl.STNSM)))  # fmt: skip
def stnsm(cpu: Cpu, addr1: u64, i2: i64) -> None:
    """Store PSW bits 0-7, then and them with the immediate."""
    old = u8(cpu.psw_mask >> 56)
    store_u8(cpu, OP1, addr1, old)
    cpu.psw_mask = cpu.psw_mask & ((u64(i2) << 56) | NOT_SYSTEM)
    mode_changed(cpu)


@insn("STOSM", "AD", "SI", ref="PoP 10 STORE THEN OR SYSTEM MASK", privileged=True, control=True,
      intercept=Intercept("ictl", int(Ictl.STOSM)))  # fmt: skip
def stosm(cpu: Cpu, addr1: u64, i2: i64) -> None:
    """Store PSW bits 0-7, then or them with the immediate."""
    old = u8(cpu.psw_mask >> 56)
    store_u8(cpu, OP1, addr1, old)
    set_system_mask(cpu, old | u8(i2))


@insn("SPKA", "B20A", "S", ref="PoP 10 SET PSW KEY FROM ADDRESS", control=True)
def spka(cpu: Cpu, addr2: u64) -> None:
    """Set the PSW key from bits 56-59 of the address."""
    key = u8(addr2 & 0xF0)
    require_key(cpu, key)
    cpu.psw_mask = (cpu.psw_mask & NOT_KEY) | (u64(key) << 48)
    mode_changed(cpu)


@insn("IPK", "B20B", "S", ref="PoP 10 INSERT PSW KEY")
def ipk(cpu: Cpu) -> None:
    """Insert the PSW key into bits 56-59 of general register 2; bits 60-63 become zero."""
    require_extraction(cpu)
    cpu.gr[2] = (cpu.gr[2] & 0xFFFF_FFFF_FFFF_FF00) | ((cpu.psw_mask >> 48) & 0xF0)


@typed(leaves=True)
def space_switch_event(cpu: Cpu) -> None:
    """After a switch to or from the home space: the event, if a control or PER asks for it."""
    if (cpu.cr[1] | cpu.cr[13]) & SPACE_SWITCH_EVENT == 0 and cpu.per_code == 0:
        return
    cpu.translation_code = cpu.cr[4] & 0xFFFF
    if cpu.cr[1] & SPACE_SWITCH_EVENT != 0:
        cpu.translation_code = cpu.translation_code | 0x8000_0000
    program(cpu, ProgramCode.SPACE_SWITCH)


@typed(leaves=True)
def set_space(cpu: Cpu, code: u64) -> None:
    """Set PSW bits 16-17 by a code: 0 primary, 1 secondary, 2 access register, 3 home.

    A space-switch event completes it. ref: PoP 10 SET ADDRESS SPACE CONTROL
    """
    if cpu.psw_mask & PSW_DAT == 0 or cpu.cr[0] & CR0_SECONDARY == 0:
        special_operation(cpu)
    if code == 3 and in_problem_state(cpu):
        privileged_operation(cpu)
    if code > 3:
        specification(cpu)
    # The two bits of the code stand the other way round in the PSW.
    new = ((code & 1) << 1) | (code >> 1)
    old = address_space(cpu)
    cpu.psw_mask = (cpu.psw_mask & NOT_SPACE) | (new << AS_SHIFT)
    mode_changed(cpu)
    if (old == AS_HOME) != (new == AS_HOME):
        space_switch_event(cpu)


@insn("SAC", "B219", "S", ref="PoP 10 SET ADDRESS SPACE CONTROL", control=True)
def sac(cpu: Cpu, addr2: u64) -> None:
    """Set the address-space control, serializing."""
    set_space(cpu, (addr2 >> 8) & 0xF)


@insn("SACF", "B279", "S", ref="PoP 10 SET ADDRESS SPACE CONTROL FAST", control=True)
def sacf(cpu: Cpu, addr2: u64) -> None:
    """Set the address-space control."""
    set_space(cpu, (addr2 >> 8) & 0xF)


@insn("IAC", "B224", "RRE", ref="PoP 10 INSERT ADDRESS SPACE CONTROL")
def iac(cpu: Cpu, r1: u8) -> None:
    """Insert the address-space code into bits 48-55 and the condition code."""
    require_dat(cpu)
    require_extraction(cpu)
    space = address_space(cpu)
    code = ((space & 1) << 1) | (space >> 1)
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_FFFF_00FF) | (code << 8)
    cpu.cc = code


@insn("EPSW", "B98D", "RRE", ref="PoP 7 EXTRACT PSW", leaves=False)
def epsw(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Extract PSW bits 0-31 into R1 and, unless R2 is 0, bits 32-63 into R2."""
    mask = assemble_psw_mask(cpu)
    set_low(cpu, r1, u32(mask >> 32))
    if r2 != 0:
        set_low(cpu, r2, u32(mask))
