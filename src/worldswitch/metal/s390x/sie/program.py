"""Program interruptions of a guest: which are intercepted, and what is noted of them.

ref: XA-IE Program Interruptions; SIE ictl.
"""

from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.program import PerCode, ProgramCode
from worldswitch.arch.s390x.sie_controls import IcptStatus
from worldswitch.engine import (
    Leave,
    bswap,
    peek_u64,
    poke_u8,
    poke_u16,
    poke_u32,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.s390x.dat import guest_to_host
from worldswitch.metal.s390x.leave import LEAVE_INTERCEPT
from worldswitch.metal.s390x.psw import psw_is_invalid
from worldswitch.metal.s390x.sie.block import (
    ECA,
    ECA_PROTEXCI,
    ECB,
    ECB_SPECI,
    ICPT_OPEREXC,
    ICPT_PROGI,
    ICTL,
    ICTL_OPEREXC,
    ICTL_PINT,
    ICTL_PRIVOP,
    offset,
    sd_u8,
    sd_u32,
    set_sd_u64,
)
from worldswitch.metal.s390x.state import Cpu

PGM_NEW = Lowcore.offset_of("pgm_new_psw")
PGMILC = offset("pgmilc")
IPRCC = offset("iprcc")
DXC = offset("dxc")
MCN = offset("mcn")
PERC = offset("perc")
PERATMID = offset("peratmid")
PERADDR = offset("peraddr")
EAI = offset("eai")
PERAID = offset("peraid")
OAI = offset("oai")
TECMC = offset("tecmc")
OPERATION = int(ProgramCode.OPERATION)
PRIVILEGED = int(ProgramCode.PRIVILEGED_OPERATION)
PROTECTION = int(ProgramCode.PROTECTION)
ADDRESSING = int(ProgramCode.ADDRESSING)
SPECIFICATION = int(ProgramCode.SPECIFICATION)
TRANSLATION_SPECIFICATION = int(ProgramCode.TRANSLATION_SPECIFICATION)
PER_EVENT = int(ProgramCode.PER_EVENT)
STATUS_EXECUTE = int(IcptStatus.EXECUTE)
STATUS_PER_FETCH = int(IcptStatus.PER_IFETCH)
PER_FETCH = int(PerCode.INSTRUCTION_FETCH)


@typed(inline=False)
def new_psw_is_invalid(cpu: Cpu) -> bool:
    """Whether the program-new PSW raises a specification exception itself, for ever.

    It does where its fields are invalid, and where its instruction address is odd.
    """
    code, absolute = guest_to_host(cpu, cpu.prefix, False)
    if code != 0:
        return False
    new = cpu.ram + absolute + PGM_NEW
    address = bswap(peek_u64(new + 8))
    return address & 1 != 0 or psw_is_invalid(cpu, bswap(peek_u64(new)), address)


@typed(inline=False)
def is_intercepted(cpu: Cpu, code: u64) -> bool:
    """Whether a program interruption of the guest leaves it.

    IMPDEF: addressing and translation-specification exceptions always do, protection and
    specification exceptions unless their interpretation is on.
    """
    if cpu.sie_protected != 0:
        return code == SPECIFICATION and new_psw_is_invalid(cpu)
    controls = sd_u32(cpu, ICTL)
    if controls & ICTL_PINT != 0:
        return True
    if code == PRIVILEGED:
        return controls & ICTL_PRIVOP != 0
    if code == SPECIFICATION:
        return sd_u8(cpu, ECB) & ECB_SPECI == 0
    if code == PROTECTION:
        return sd_u32(cpu, ECA) & ECA_PROTEXCI == 0
    return code == ADDRESSING or code == TRANSLATION_SPECIFICATION


@typed(leaves=True, inline=False)
def intercept_program(cpu: Cpu, code: u64, ilc: u64, address: u64, text: u64) -> None:
    """In SIE, leave the guest if its program interruption `code` is intercepted.

    address: what the old PSW would hold. text: the instruction, for operation exceptions.
    """
    if cpu.in_sie == 0:
        return
    if code == OPERATION and cpu.sie_protected == 0 and sd_u32(cpu, ICTL) & ICTL_OPEREXC != 0:
        cpu.sie_intercept = ICPT_OPEREXC
        cpu.sie_text = text
        cpu.sie_status = 0
        if u64(text_size(text)) != ilc:
            cpu.sie_status = STATUS_EXECUTE | (u8(ilc & 6) << 4)
        if cpu.per_code & PER_FETCH != 0:
            cpu.sie_status = cpu.sie_status | STATUS_PER_FETCH
    elif is_intercepted(cpu, code):
        note_program(cpu, code, ilc)
        cpu.sie_intercept = ICPT_PROGI
        cpu.sie_text = 0
        cpu.sie_status = 0
    else:
        return
    cpu.psw_addr = address
    cpu.leave = LEAVE_INTERCEPT
    raise Leave


@typed
def text_size(text: u64) -> u8:
    """Instruction length in bytes."""
    first = text >> 56
    if first < 0x40:
        return 2
    if first < 0xC0:
        return 4
    return 6


@typed(inline=False)
def note_program(cpu: Cpu, code: u64, ilc: u64) -> None:
    """Fill in the parameters of a program interception."""
    block = cpu.sie_block
    shown = u16(code)
    if cpu.per_code != 0 or code == PER_EVENT:
        shown = shown | PER_EVENT
        poke_u8(block + PERC, u8(cpu.per_code))
        poke_u8(block + PERATMID, cpu.per_atmid)
        set_sd_u64(cpu, PERADDR, cpu.per_address)
        poke_u8(block + PERAID, cpu.per_access_id)
        cpu.per_code = 0
    poke_u16(block + PGMILC, bswap(u16(ilc)))
    poke_u16(block + IPRCC, bswap(shown))
    poke_u32(block + DXC, bswap(u32(cpu.data_code)))
    poke_u16(block + MCN, bswap(u16(cpu.mon_class)))
    poke_u8(block + EAI, cpu.exc_access_id)
    poke_u8(block + OAI, cpu.op_access_id)
    set_sd_u64(cpu, TECMC, cpu.translation_code)
