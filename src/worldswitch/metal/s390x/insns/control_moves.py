"""Control instructions that move data between spaces or with another access key.

ref: PoP 10 Control Instructions.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import Eca
from worldswitch.engine import Leave, Typed, typed, u8, u32, u64
from worldswitch.metal.s390x.access import space_of
from worldswitch.metal.s390x.dat import translate_quiet
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    AS_ACCESS_REGISTER,
    AS_HOME,
    AS_SECONDARY,
    CR0_SECONDARY,
    address_space,
    copy_across,
    current_key,
    in_problem_state,
    require_dat,
    require_key,
    special_operation,
    use_keys,
)
from worldswitch.metal.s390x.leave import LEAVE_HOST_FAULT, specification
from worldswitch.metal.s390x.psw import PSW_DAT, PSW_EA
from worldswitch.metal.s390x.sie.block import ICPT_PARTEXEC
from worldswitch.metal.s390x.sie.exits import intercept_with
from worldswitch.metal.s390x.state import (
    HOME,
    OP1,
    OP2,
    PRIMARY,
    SCRATCH1,
    SCRATCH2,
    SECONDARY,
    Cpu,
    Record,
)

PAGE = 0xFFFF_FFFF_FFFF_F000
PAGE_TRANSLATION = int(ProgramCode.PAGE_TRANSLATION)


@typed(inline=True)
def true_length(cpu: Cpu, r: u8) -> u64:
    """A length in a general register: 64 bits in the 64-bit mode, else bits 32-63."""
    if cpu.psw_mask & PSW_EA != 0:
        return cpu.gr[r]
    return cpu.gr[r] & 0xFFFF_FFFF


@typed(leaves=True)
def move_bounded(
    cpu: Cpu, to_key: u8, to_space: u32, to: u64, from_key: u8, from_space: u32, source: u64,
    length: u64, limit: u64,
) -> None:  # fmt: skip
    """Move up to `limit` bytes; condition code 3 if there are more, else 0."""
    count = length
    if length > limit:
        count = limit
    if count != 0:
        use_keys(cpu, to_space, to_key, from_space, from_key)
        copy_across(cpu, SCRATCH1, to, SCRATCH2, source, count)
    cpu.cc = 3 if length > limit else 0


@typed(leaves=True)
def require_two_spaces(cpu: Cpu) -> None:
    """MOVE TO PRIMARY and SECONDARY want DAT, secondary-space control, and one of two modes.

    The modes they refuse, access-register and home, are those with PSW bit 17 one.
    """
    if cpu.psw_mask & PSW_DAT == 0 or cpu.cr[0] & CR0_SECONDARY == 0:
        special_operation(cpu)
    space = address_space(cpu)
    if space & AS_ACCESS_REGISTER != 0:
        special_operation(cpu)


@insn("MVCP", "DA", "SS_d", ref="PoP 10 MOVE TO PRIMARY")
def mvcp(cpu: Cpu, r1: u8, r3: u8, addr1: u64, addr2: u64) -> None:
    """Move from the secondary space, with the key in R3, to the primary."""
    require_two_spaces(cpu)
    key = u8(cpu.gr[r3] & 0xF0)
    require_key(cpu, key)
    length = true_length(cpu, r1)
    move_bounded(cpu, current_key(cpu), PRIMARY, addr1, key, SECONDARY, addr2, length, 256)


@insn("MVCS", "DB", "SS_d", ref="PoP 10 MOVE TO SECONDARY")
def mvcs(cpu: Cpu, r1: u8, r3: u8, addr1: u64, addr2: u64) -> None:
    """Move from the primary space to the secondary, with the key in R3."""
    require_two_spaces(cpu)
    key = u8(cpu.gr[r3] & 0xF0)
    require_key(cpu, key)
    length = true_length(cpu, r1)
    move_bounded(cpu, key, SECONDARY, addr1, current_key(cpu), PRIMARY, addr2, length, 256)


@insn("MVCK", "D9", "SS_d", ref="PoP 10 MOVE WITH KEY")
def mvck(cpu: Cpu, r1: u8, r3: u8, addr1: u64, addr2: u64) -> None:
    """Move with the key in R3 for the source."""
    key = u8(cpu.gr[r3] & 0xF0)
    require_key(cpu, key)
    length = true_length(cpu, r1)
    move_bounded(cpu, current_key(cpu), OP1, addr1, key, OP2, addr2, length, 256)


def _one_key(mnemonic: str, opcode: str, ref: str, to_destination: bool) -> Typed:
    """MOVE WITH SOURCE KEY and DESTINATION KEY: length less one in R0, the key in R1."""

    @insn(mnemonic, opcode, "SSE", ref=ref)
    def move(cpu: Cpu, addr1: u64, addr2: u64) -> None:
        key = u8(cpu.gr[1] & 0xF0)
        require_key(cpu, key)
        if to_destination:
            use_keys(cpu, OP1, key, OP2, current_key(cpu))
        else:
            use_keys(cpu, OP1, current_key(cpu), OP2, key)
        copy_across(cpu, SCRATCH1, addr1, SCRATCH2, addr2, (cpu.gr[0] & 0xFF) + 1)

    return move


MVCSK = _one_key("MVCSK", "E50E", "PoP 10 MOVE WITH SOURCE KEY", False)
MVCDK = _one_key("MVCDK", "E50F", "PoP 10 MOVE WITH DESTINATION KEY", True)

OAC_KEY_VALID = 2
OAC_SPACE_VALID = 1


@typed(leaves=True)
def specified_space(cpu: Cpu, access: u64, here: u32, b: u8, spare: u32) -> u32:
    """The space that a half of MVCOS's operand-access control designates.

    `here` is the operand's space by the PSW, `b` its base field, `spare` a context to use for
    the space that an access register designates.
    ref: PoP 10 MOVE WITH OPTIONAL SPECIFICATIONS
    """
    if access & OAC_SPACE_VALID == 0:
        return here
    space = (access >> 6) & 3
    if space == AS_HOME:
        return u32(HOME)
    if space == AS_SECONDARY:
        return u32(SECONDARY)
    if space == AS_ACCESS_REGISTER:
        if address_space(cpu) == AS_ACCESS_REGISTER:
            return here
        cpu.ctx[spare] = space_of(cpu, b)
        return spare
    return u32(PRIMARY)


@insn("MVCOS", "C80", "SSF", ref="PoP 10 MOVE WITH OPTIONAL SPECIFICATIONS",
      facility=Facility.MVCOS)  # fmt: skip
def mvcos(cpu: Cpu, r3: u8, b1: u8, b2: u8, addr1: u64, addr2: u64) -> None:
    """Move up to 4 KiB; general register 0 gives space and key of each operand."""
    require_dat(cpu)
    first = (cpu.gr[0] >> 16) & 0xFFFF
    second = cpu.gr[0] & 0xFFFF
    if in_problem_state(cpu) and first & OAC_SPACE_VALID != 0 and (first >> 6) & 3 == AS_HOME:
        special_operation(cpu)
    to_space = specified_space(cpu, first, OP1, b1, SCRATCH1)
    from_space = specified_space(cpu, second, OP2, b2, SCRATCH2)
    if cpu.cr[0] & CR0_SECONDARY == 0 and (to_space == SECONDARY or from_space == SECONDARY):
        special_operation(cpu)
    to_key = current_key(cpu)
    if first & OAC_KEY_VALID != 0:
        to_key = u8((first >> 8) & 0xF0)
        require_key(cpu, to_key)
    from_key = current_key(cpu)
    if second & OAC_KEY_VALID != 0:
        from_key = u8((second >> 8) & 0xF0)
        require_key(cpu, from_key)
    length = true_length(cpu, r3)
    move_bounded(cpu, to_key, to_space, addr1, from_key, from_space, addr2, length, 4096)


MVPG_FIRST_KEY = 0x800
MVPG_SECOND_KEY = 0x400
MVPG_CONDITION_CODE = 0x100


@typed(leaves=True, inline=False)
def move_page(cpu: Cpu, r1: u8, r2: u8) -> None:
    """MOVE PAGE. An invalid page-table entry is condition code 1 or 2 if asked for."""
    options = cpu.gr[0]
    either = options & (MVPG_FIRST_KEY | MVPG_SECOND_KEY)
    if options & 0xF000 != 0 or either == MVPG_FIRST_KEY | MVPG_SECOND_KEY:
        specification(cpu)
    to_key = current_key(cpu)
    from_key = to_key
    if either != 0:
        key = u8(options & 0xF0)
        require_key(cpu, key)
        if either == MVPG_FIRST_KEY:
            to_key = key
        else:
            from_key = key
    to = cpu.gr[r1] & cpu.address_mask & PAGE
    source = cpu.gr[r2] & cpu.address_mask & PAGE
    use_keys(cpu, OP1, to_key, OP2, from_key)
    code, _real = translate_quiet(cpu, SCRATCH2, source, False)
    if code == PAGE_TRANSLATION and options & MVPG_CONDITION_CODE != 0:
        cpu.cc = 2
        return
    if code != PAGE_TRANSLATION:
        code, _real = translate_quiet(cpu, SCRATCH1, to, False)
        if code == PAGE_TRANSLATION and options & MVPG_CONDITION_CODE != 0:
            cpu.cc = 1
            return
    cpu.op_access_id = (r1 << 4) | r2
    copy_across(cpu, SCRATCH1, to, SCRATCH2, source, 4096)
    cpu.op_access_id = 0
    cpu.cc = 0


@insn("MVPG", "B254", "RRE", ref="PoP 10 MOVE PAGE", access_registers=("r1", "r2"),
      intercept=Intercept("eca", int(Eca.MVPGI), when=False))  # fmt: skip
def mvpg(cpu: Cpu, rec: Record, r1: u8, r2: u8) -> None:
    """Move a page.

    A guest's page that the host has not mapped is partial execution if the guest's DAT is off.
    """
    try:
        move_page(cpu, r1, r2)
    except Leave:
        if cpu.leave == LEAVE_HOST_FAULT and cpu.psw_mask & PSW_DAT == 0:
            intercept_with(cpu, rec, ICPT_PARTEXEC)
        raise Leave
