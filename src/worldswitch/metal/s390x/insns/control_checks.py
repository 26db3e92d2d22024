"""What the control instructions check, and the contexts and storage they share.

ref: PoP 5 Authorization Mechanisms; PoP 10 Control Instructions.
"""

from worldswitch.arch.s390x.control_registers import Cr0
from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.arch.s390x.sie_controls import CpuStat, Icpt
from worldswitch.engine import Leave, bswap, copy_bytes, peek_u32, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.dat import guest_to_host, real_to_absolute
from worldswitch.metal.s390x.leave import (
    LEAVE_HOST_FAULT,
    LEAVE_RETRY,
    Exit,
    program,
)
from worldswitch.metal.s390x.memory import check_read, check_write, read_page, write_page
from worldswitch.metal.s390x.mode import context_id, controls_changed
from worldswitch.metal.s390x.psw import PSW_DAT, PSW_PROBLEM
from worldswitch.metal.s390x.sie.exits import intercept_with
from worldswitch.metal.s390x.state import (
    HOME,
    OP2,
    PRIMARY,
    SCRATCH1,
    SCRATCH2,
    SECONDARY,
    Cpu,
    Record,
)

CR0_EXTRACTION = int(Cr0.EXTRACTION_AUTHORITY)
CR0_SECONDARY = int(Cr0.SECONDARY_SPACE)
AS_MASK = 3
AS_SHIFT = 46
AS_PRIMARY = 0
AS_ACCESS_REGISTER = 1
AS_SECONDARY = 2
AS_HOME = 3
PAGE = 0xFFFF_FFFF_FFFF_F000
KEYLESS = int(CpuStat.KSS)
KEY_OPERATION = int(Icpt.KSS)


@typed(inline=True)
def in_problem_state(cpu: Cpu) -> bool:
    """Whether PSW bit 15 is one."""
    return cpu.psw_mask & PSW_PROBLEM != 0


@typed(leaves=True)
def privileged_operation(cpu: Cpu) -> None:
    """Privileged-operation exception."""
    program(cpu, ProgramCode.PRIVILEGED_OPERATION)


@typed(leaves=True)
def special_operation(cpu: Cpu) -> None:
    """Special-operation exception."""
    program(cpu, ProgramCode.SPECIAL_OPERATION)


@typed(leaves=True)
def addressing(cpu: Cpu) -> None:
    """Addressing exception."""
    program(cpu, ProgramCode.ADDRESSING)


@typed(leaves=True)
def require_dat(cpu: Cpu) -> None:
    """Special-operation exception unless DAT is on."""
    if cpu.psw_mask & PSW_DAT == 0:
        special_operation(cpu)


@typed(leaves=True)
def require_extraction(cpu: Cpu) -> None:
    """In the problem state, privileged-operation exception without extraction authority."""
    if in_problem_state(cpu) and cpu.cr[0] & CR0_EXTRACTION == 0:
        privileged_operation(cpu)


@typed(leaves=True)
def require_key(cpu: Cpu, key: u8) -> None:
    """In the problem state, privileged-operation exception unless the PSW-key mask has `key`.

    The key stands in bits 0-3 of the byte. ref: PoP 5 PSW-Key Mask
    """
    permitted = (cpu.cr[3] >> 16) & (u64(0x8000) >> u64(key >> 4))
    if in_problem_state(cpu) and permitted == 0:
        privileged_operation(cpu)


@typed(inline=True)
def current_key(cpu: Cpu) -> u8:
    """The PSW key in bits 0-3 of a byte."""
    return u8((cpu.psw_mask >> 48) & 0xF0)


@typed(inline=True)
def address_space(cpu: Cpu) -> u64:
    """PSW bits 16-17."""
    return (cpu.psw_mask >> AS_SHIFT) & AS_MASK


@typed
def data_space(cpu: Cpu) -> u32:
    """The space that bits 16-17 of the PSW choose, even if DAT is off."""
    if cpu.psw_mask & PSW_DAT != 0:
        return u32(OP2)
    space = address_space(cpu)
    if space == AS_SECONDARY:
        return u32(SECONDARY)
    if space == AS_HOME:
        return u32(HOME)
    return u32(PRIMARY)


@typed(inline=False)
def keyed_context(cpu: Cpu, space: u32, key: u8) -> u64:
    """The context of `space`, but with another access key."""
    have = cpu.ctx[space]
    c = cpu.contexts[have]
    if c.key == key:
        return have
    return context_id(cpu, c.asce, c.dat, c.space, key, c.flags)


@typed(leaves=True, inline=False)
def use_keys(cpu: Cpu, first: u32, first_key: u8, second: u32, second_key: u8) -> None:
    """Make SCRATCH1 and SCRATCH2 the given spaces with these access keys."""
    before = cpu.jump_generation
    cpu.ctx[SCRATCH1] = keyed_context(cpu, first, first_key)
    cpu.ctx[SCRATCH2] = keyed_context(cpu, second, second_key)
    if cpu.jump_generation != before:
        # The ids started anew: what the contexts in use were is gone, so begin again.
        controls_changed(cpu)
        cpu.exit_reason = u32(Exit.BUDGET)
        cpu.leave = LEAVE_RETRY
        raise Leave


@typed(leaves=True, inline=False)
def copy_across(cpu: Cpu, to_space: u32, to: u64, from_space: u32, source: u64, count: u64) -> None:
    """Move `count` (1 or more) bytes between spaces; all pages are looked at first."""
    if (to & 0xFFF) + count > 4096 or (source & 0xFFF) + count > 4096:
        check_read(cpu, from_space, source, count)
        check_write(cpu, to_space, to, count)
    left = count
    while left > 0:
        n = left
        if 4096 - (to & 0xFFF) < n:
            n = 4096 - (to & 0xFFF)
        if 4096 - (source & 0xFFF) < n:
            n = 4096 - (source & 0xFFF)
        there = read_page(cpu, from_space, source)
        copy_bytes(write_page(cpu, to_space, to, n), there, n)
        to = (to + n) & cpu.address_mask
        source = (source + n) & cpu.address_mask
        left = left - n


@typed(inline=True)
def absolute_of(cpu: Cpu, real: u64) -> u64:
    """Absolute address (the guest's, in SIE) of a real address in the addressing mode."""
    return real_to_absolute(real & cpu.address_mask, cpu.prefix)


@typed(leaves=True, inline=False)
def frame_of(cpu: Cpu, absolute: u64) -> u64:
    """The metal's own absolute address of the frame of an absolute address; checks it exists."""
    frame = absolute & PAGE
    if cpu.in_sie != 0:
        code, frame = guest_to_host(cpu, frame, False)
        if code & 0x8000 != 0:
            cpu.fault_code = code & 0x7FFF
            cpu.leave = LEAVE_HOST_FAULT
            raise Leave
        if code != 0:
            program(cpu, code)
    if frame >= cpu.ram_size:
        addressing(cpu)
    return frame & PAGE


@typed(leaves=True)
def key_operation(cpu: Cpu, rec: Record) -> None:
    """In SIE, leave at a key operation if the state description says so.

    ref: SIE cpuflags, keyless subset
    """
    if cpu.in_sie != 0 and cpu.sie_protected == 0 and bswap(peek_u32(cpu.sie_block)) & KEYLESS != 0:
        intercept_with(cpu, rec, KEY_OPERATION)


@typed(inline=True)
def facility(cpu: Cpu, number: u64) -> bool:
    """Whether a facility is installed; of the guest's list in SIE."""
    return (cpu.facilities[number >> 6] >> (63 - (number & 63))) & 1 != 0


@typed(inline=True)
def set_low16(cpu: Cpu, r: u8, value: u16) -> None:
    """Replace bits 48-63 of general register `r` and clear bits 32-47."""
    cpu.gr[r] = (cpu.gr[r] & 0xFFFF_FFFF_0000_0000) | u64(value)
