"""Leaving interpretive execution. ref: SIE interception codes."""

from worldswitch.engine import Leave, address_of, bswap, peek_u64, typed, u32, u64
from worldswitch.metal.s390x.codecache import RECORD_SIZE, CodeCache, InsnInfo
from worldswitch.metal.s390x.leave import LEAVE_HOST_FAULT, LEAVE_INTERCEPT, Exit
from worldswitch.metal.s390x.state import Cpu, Record

ICPT_INSTRUCTION = 0x04


@typed(leaves=True, inline=False)
def intercept_instruction(cpu: Cpu, rec: Record) -> None:
    """Leave with an instruction interception of `rec`."""
    cpu.sie_intercept = ICPT_INSTRUCTION
    cpu.sie_ipa = u32(rec.text >> 48)
    cpu.sie_ipb = u32(rec.text >> 16)
    cpu.leave = LEAVE_INTERCEPT
    raise Leave


@typed(leaves=True, inline=True)
def intercept(cpu: Cpu, rec: Record) -> u64:
    """An instruction that a guest never executes itself."""
    intercept_instruction(cpu, rec)
    return 0


@typed(leaves=True, inline=False)
def check_controls(cpu: Cpu, rec: Record) -> None:
    """Leave with an interception of `rec` if the state description asks for it."""
    cache = CodeCache.at(cpu.code_cache)
    info = InsnInfo.at(cache.infos + u64(rec.spare) * 32)
    if info.intercept == 2:
        value = bswap(peek_u64(cpu.sie_block + u64(info.intercept_offset))) & info.intercept_mask
        if (value != 0) == (info.intercept_when != 0):
            intercept_instruction(cpu, rec)


@typed(leaves=True, inline=True)
def intercept_conditionally(cpu: Cpu, rec: Record) -> u64:
    """Stands before an instruction that a control may have intercepted."""
    following = Record.at(address_of(rec) + RECORD_SIZE)
    check_controls(cpu, following)
    return address_of(following)


@typed(inline=False)
def leave_guest(cpu: Cpu) -> u64:
    """Back to the host: by interception or with a host program interruption."""
    if cpu.leave == LEAVE_HOST_FAULT:
        cpu.exit_reason = u32(Exit.SIE_HOST_FAULT)
    else:
        cpu.exit_reason = u32(Exit.SIE_DONE)
    return 0
