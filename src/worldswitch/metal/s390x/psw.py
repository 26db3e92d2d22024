"""The program-status word as a whole: assembling it, loading it, and what makes it invalid.

ref: PoP 4 Program-Status-Word Format; PoP 6 Early Exception Recognition.
"""

from worldswitch.arch.s390x.psw import (
    ADDRESS_24,
    ADDRESS_31,
    ADDRESS_64,
    CC_MASK,
    CC_SHIFT,
    INTERRUPTS,
    UNASSIGNED,
    PswMask,
)
from worldswitch.engine import typed, u64
from worldswitch.metal.s390x.mode import mode_changed
from worldswitch.metal.s390x.state import Cpu

PSW_PER = int(PswMask.PER)
PSW_DAT = int(PswMask.DAT)
PSW_IO = int(PswMask.IO)
PSW_EXT = int(PswMask.EXT)
PSW_SHORT = int(PswMask.SHORT)
PSW_MCHECK = int(PswMask.MCHECK)
PSW_WAIT = int(PswMask.WAIT)
PSW_PROBLEM = int(PswMask.PROBLEM)
PSW_RI = int(PswMask.RI)
PSW_EA = int(PswMask.EA)
PSW_BA = int(PswMask.BA)
PSW_INTERRUPTS = int(INTERRUPTS)
PSW_SYSTEM_MASK = 0xFF00_0000_0000_0000
PSW_SYSTEM_UNASSIGNED = 0xB800_0000_0000_0000
"""Bits 0 and 2-4, which SET SYSTEM MASK and STORE THEN OR SYSTEM MASK can reach."""
NOT_CC = ADDRESS_64 ^ CC_MASK
RUNTIME_INSTRUMENTATION = 1 << 63
"""Facility 64 in the second doubleword of the facility list."""

PENDING_EARLY = 1 << 63
"""Bit of `Cpu.pending`: the PSW that was just loaded is invalid."""


@typed
def assemble_psw_mask(cpu: Cpu) -> u64:
    """PSW bits 0-63 with the condition code in place."""
    return cpu.psw_mask | (cpu.cc << CC_SHIFT)


@typed(inline=True)
def addressing_limit(mask: u64) -> u64:
    """The largest address of the addressing mode that a PSW's bits 31 and 32 select."""
    if mask & PSW_EA != 0:
        return u64(ADDRESS_64)
    if mask & PSW_BA != 0:
        return u64(ADDRESS_31)
    return u64(ADDRESS_24)


@typed
def psw_is_invalid(cpu: Cpu, mask: u64, addr: u64) -> bool:
    """Whether a PSW causes an early specification exception.

    ref: PoP 6 Early Exception Recognition
    """
    if mask & UNASSIGNED != 0:
        return True
    if mask & PSW_RI != 0 and cpu.facilities[1] & RUNTIME_INSTRUMENTATION == 0:
        return True
    if mask & PSW_EA != 0 and mask & PSW_BA == 0:
        return True
    return addr > addressing_limit(mask)


@typed(inline=True)
def recheck(cpu: Cpu) -> None:
    """Have the next block boundary look for interruptions that are now enabled."""
    if cpu.psw_mask & PSW_INTERRUPTS != 0 or cpu.wait != 0:
        cpu.check = 1


@typed(inline=False)
def load_psw(cpu: Cpu, mask: u64, addr: u64) -> None:
    """Make (mask, addr) the current PSW; an invalid one leaves PENDING_EARLY behind.

    ref: PoP 4 Program-Status-Word Format
    """
    take_psw(cpu, mask, addr)
    mode_changed(cpu)


@typed
def take_psw(cpu: Cpu, mask: u64, addr: u64) -> None:
    """As `load_psw`, for callers that bring contexts and mode up to date themselves."""
    cpu.cc = (mask >> CC_SHIFT) & 3
    cpu.psw_mask = mask & NOT_CC
    cpu.psw_addr = addr
    cpu.address_mask = addressing_limit(mask)
    cpu.wait = 1 if mask & PSW_WAIT != 0 else 0
    if psw_is_invalid(cpu, mask, addr):
        cpu.pending = cpu.pending | PENDING_EARLY
        cpu.check = 1
    recheck(cpu)


@typed
def set_addressing_mode(cpu: Cpu, mask: u64) -> None:
    """Replace PSW bits 31 and 32 by those of `mask`."""
    cpu.psw_mask = (cpu.psw_mask & (ADDRESS_64 ^ (PSW_EA | PSW_BA))) | (mask & (PSW_EA | PSW_BA))
    cpu.address_mask = addressing_limit(mask)
