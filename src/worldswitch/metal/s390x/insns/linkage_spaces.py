"""Changing the primary and secondary space by number: PT, SSAR, LASP; testing access registers.

ref: PoP 10 Control Instructions. UNMODELLED: ASN tracing makes no entries.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.engine import Leave, typed, u8, u32, u64
from worldswitch.metal.s390x.access import find_aste, word_at
from worldswitch.metal.s390x.asn import (
    ASTE_AUTHORIZATION,
    ASTE_LINKAGE,
    CONTROLLED,
    PRIMARY_AUTHORITY,
    REUSABLE,
    SECONDARY_AUTHORITY,
    SPACE_SWITCH_EVENT,
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
    translate_asn,
)
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    AS_PRIMARY,
    address_space,
    in_problem_state,
    privileged_operation,
    require_dat,
    special_operation,
)
from worldswitch.metal.s390x.leave import LEAVE_PROGRAM, program, specification
from worldswitch.metal.s390x.memory import fetch_u64
from worldswitch.metal.s390x.mode import controls_changed
from worldswitch.metal.s390x.psw import PSW_BA, PSW_EA, PSW_PROBLEM, set_addressing_mode
from worldswitch.metal.s390x.state import OP1, Cpu

TABLE_ORIGIN = 0x7FFF_FFC0
LINKAGE_CONTROL = 0x8000_0000
"""Bit 0 of a linkage-table designation: subsystem linkage is allowed."""
REUSE = Facility.ASN_AND_LX_REUSE


@typed(leaves=True, inline=False)
def check_instance(cpu: Cpu, aste: u64, instance: u64, with_instance: bool) -> None:
    """With the reuse facility enabled: may this ASN be used, and is it the instance meant?"""
    if reuse(cpu):
        controls = word_at(cpu, aste + ASTE_AUTHORIZATION)
        if with_instance:
            if controls & CONTROLLED != 0 and in_problem_state(cpu):
                special_operation(cpu)
            if instance_of(cpu, aste) != instance:
                cpu.exc_access_id = 0
                program(cpu, ProgramCode.ASTE_INSTANCE)
        elif controls & REUSABLE != 0:
            special_operation(cpu)


@typed(leaves=True, inline=False)
def set_secondary_asn(cpu: Cpu, r1: u8, with_instance: bool) -> None:
    """SSAR and SSAIR: the space whose number is in R1 becomes the secondary one."""
    require_dat(cpu)
    require_asn_translation(cpu)
    asn = cpu.gr[r1] & 0xFFFF
    if asn == cpu.cr[4] & 0xFFFF:
        secondary_is_primary(cpu)
    else:
        aste = find_asn(cpu, asn)
        check_instance(cpu, aste, cpu.gr[r1] >> 32, with_instance)
        index = (cpu.cr[4] >> 16) & 0xFFFF
        if not is_authorized(cpu, aste, index, u64(SECONDARY_AUTHORITY)):
            cpu.translation_code = asn
            program(cpu, ProgramCode.SECONDARY_AUTHORITY)
        set_secondary(cpu, asn, asce_of(cpu, aste), instance_of(cpu, aste))
    controls_changed(cpu)


@insn("SSAR", "B225", "RRE", ref="PoP 10 SET SECONDARY ASN", control=True)
def ssar(cpu: Cpu, r1: u8) -> None:
    """Set the secondary space."""
    set_secondary_asn(cpu, r1, False)


@insn("SSAIR", "B99F", "RRE", ref="PoP 10 SET SECONDARY ASN WITH INSTANCE", control=True,
      facility=REUSE)  # fmt: skip
def ssair(cpu: Cpu, r1: u8) -> None:
    """Set the secondary space, if bits 0-31 of R1 are its instance number."""
    set_secondary_asn(cpu, r1, True)


@typed(leaves=True, inline=False)
def program_transfer(cpu: Cpu, r1: u8, r2: u8, pc: u64, with_instance: bool) -> None:
    """PT and PTI: back from a basic PROGRAM CALL, to R1's space and key mask, with R2's PSW."""
    require_dat(cpu)
    if address_space(cpu) != AS_PRIMARY:
        special_operation(cpu)
    linkage = word_at(cpu, (cpu.cr[5] & TABLE_ORIGIN) + ASTE_LINKAGE)
    if linkage & LINKAGE_CONTROL == 0:
        special_operation(cpu)
    where = cpu.gr[r2]
    mode = cpu.psw_mask & (PSW_EA | PSW_BA)
    if mode & PSW_EA == 0:
        mode = where & PSW_BA
        where = where & 0x7FFF_FFFF
        if mode == 0 and where > 0xFF_FFFF:
            specification(cpu)
    if where & 1 == 0 and in_problem_state(cpu):
        privileged_operation(cpu)
    asn = cpu.gr[r1] & 0xFFFF
    old_asn = cpu.cr[4] & 0xFFFF
    old_asce = cpu.cr[1]
    if asn != old_asn:
        require_asn_translation(cpu)
        aste = find_asn(cpu, asn)
        check_instance(cpu, aste, cpu.gr[r1] >> 32, with_instance)
        index = (cpu.cr[4] >> 16) & 0xFFFF
        if not is_authorized(cpu, aste, index, u64(PRIMARY_AUTHORITY)):
            cpu.translation_code = asn
            program(cpu, ProgramCode.PRIMARY_AUTHORITY)
        asce = asce_of(cpu, aste)
        set_primary(cpu, asn, index_of(cpu, aste), asce, aste, instance_of(cpu, aste))
    # The key mask can only become narrower.
    mask = cpu.gr[r1] & 0xFFFF_0000
    cpu.cr[3] = cpu.cr[3] & (0xFFFF_FFFF_0000_FFFF | mask)
    secondary_is_primary(cpu)
    if where & 1 != 0:
        cpu.psw_mask = cpu.psw_mask | PSW_PROBLEM
    set_addressing_mode(cpu, mode)
    cpu.psw_addr = where & ~u64(1)
    cpu.breaking = pc
    controls_changed(cpu)
    if asn != old_asn:
        space_switched(cpu, old_asce, old_asn)


@insn("PT", "B228", "RRE", ref="PoP 10 PROGRAM TRANSFER", control=True,
      intercept=Intercept("ictl", int(Ictl.PT)))  # fmt: skip
def pt(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Transfer to the address in R2."""
    program_transfer(cpu, r1, r2, pc, False)


@insn("PTI", "B99E", "RRE", ref="PoP 10 PROGRAM TRANSFER WITH INSTANCE", control=True,
      facility=REUSE, intercept=Intercept("ictl", int(Ictl.PT)))  # fmt: skip
def pti(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Transfer to the address in R2, if bits 0-31 of R1 are the space's instance number."""
    program_transfer(cpu, r1, r2, pc, True)


LASP_FORCE = 4
LASP_USE_INDEX = 2
LASP_SKIP_AUTHORIZATION = 1
AFX = int(ProgramCode.AFX_TRANSLATION)
ASX = int(ProgramCode.ASX_TRANSLATION)


@typed(leaves=True, inline=False)
def lasp_space(cpu: Cpu, asn: u64, instance: u64) -> u64:
    """The entry of a space that LASP names; 0 if it has none or is another instance."""
    code, aste = translate_asn(cpu, asn)
    if code == AFX or code == ASX:
        return 0
    if code != 0:
        program(cpu, code)
    if reuse(cpu) and instance_of(cpu, aste) != instance:
        return 0
    return aste


@insn("LASP", "E500", "SSE", ref="PoP 10 LOAD ADDRESS SPACE PARAMETERS", privileged=True,
      control=True, intercept=Intercept("ictl", int(Ictl.LASP)))  # fmt: skip
def lasp(cpu: Cpu, addr1: u64, addr2: u64) -> None:
    """Load key mask, authorization index and both address-space numbers from storage.

    Bits 61-63 of the second address: translate always, take the index from storage, do not
    check the secondary authority. Condition codes: 1 and 2 the primary and the secondary space
    are not available, 3 a space-switch event would be due.
    """
    if addr1 & 7 != 0:
        specification(cpu)
    require_asn_translation(cpu)
    wanted = fetch_u64(cpu, OP1, addr1)
    instances: u64 = 0
    if reuse(cpu):
        instances = fetch_u64(cpu, OP1, (addr1 + 8) & cpu.address_mask)
    forced = addr2 & LASP_FORCE != 0
    pasn = wanted & 0xFFFF
    sasn = (wanted >> 32) & 0xFFFF
    old_index = (cpu.cr[4] >> 16) & 0xFFFF
    index = old_index
    asce = cpu.cr[1]
    aste = cpu.cr[5] & 0xFFFF_FFFF
    instance = cpu.cr[4] >> 32
    if pasn != cpu.cr[4] & 0xFFFF or forced:
        instance = instances & 0xFFFF_FFFF
        aste = lasp_space(cpu, pasn, instance)
        if aste == 0:
            cpu.cc = 1
            return
        asce = asce_of(cpu, aste)
        if (asce | cpu.cr[1]) & SPACE_SWITCH_EVENT != 0:
            cpu.cc = 3
            return
        index = index_of(cpu, aste)
    if addr2 & LASP_USE_INDEX != 0:
        index = (wanted >> 16) & 0xFFFF
    secondary = asce
    secondary_instance = instance
    if sasn != pasn:
        secondary = cpu.cr[7]
        secondary_instance = cpu.cr[3] >> 32
        checking = addr2 & LASP_SKIP_AUTHORIZATION == 0
        if sasn != cpu.cr[3] & 0xFFFF or forced or (checking and index != old_index):
            secondary_instance = instances >> 32
            space = lasp_space(cpu, sasn, secondary_instance)
            if space == 0:
                cpu.cc = 2
                return
            if checking and not is_authorized(cpu, space, index, u64(SECONDARY_AUTHORITY)):
                cpu.cc = 2
                return
            secondary = asce_of(cpu, space)
    set_primary(cpu, pasn, index, asce, aste, instance)
    cpu.cr[3] = (cpu.cr[3] & 0xFFFF_FFFF_0000_FFFF) | ((wanted >> 48) << 16)
    set_secondary(cpu, sasn, secondary, secondary_instance)
    cpu.cc = 0
    controls_changed(cpu)


ADDRESSING = int(ProgramCode.ADDRESSING)


@insn("TAR", "B24C", "RRE", ref="PoP 10 TEST ACCESS")
def tar(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Condition code 0 for ALET 0, 1 and 2 for one of the two access lists, 3 for another.

    Bits 32-47 of R2 are the extended authorization index that is tested.
    """
    alet = cpu.ar[r1]
    if alet < 2:
        cpu.cc = 0 if alet == 0 else 3
        return
    index = u32(cpu.gr[r2] >> 16) & 0xFFFF
    cpu.cc = 2 if alet & 0x0100_0000 != 0 else 1
    try:
        find_aste(cpu, alet, u8(0), index, True)
    except Leave:
        if cpu.leave != LEAVE_PROGRAM or cpu.fault_code == ADDRESSING:
            raise Leave
        cpu.cc = 3
