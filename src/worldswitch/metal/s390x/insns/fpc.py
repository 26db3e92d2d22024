"""The floating-point-control register: loads, stores, rounding modes. ref: PoP chapters 9, 19"""

from worldswitch.engine import typed, u8, u32, u64
from worldswitch.metal.s390x.bfp.fields import (
    FLAG_DIVISION,
    FLAG_INEXACT,
    FLAG_INVALID,
    FLAG_OVERFLOW,
    FLAG_UNDERFLOW,
)
from worldswitch.metal.s390x.bfp.operands import FLOATING_POINT_EXTENSION
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import data_exception, specification
from worldswitch.metal.s390x.memory import fetch_u32, store_u32
from worldswitch.metal.s390x.regs import low, set_low
from worldswitch.metal.s390x.state import OP2, Cpu

RESERVED = 0x0303_0088
"""Bits of the FPC register that have to be zero with every facility."""
QUANTUM = 0x0404_0000
"""Mask and flag of the quantum exception, which came with facility 37."""
DECIMAL_MODE = 0x0000_0070
"""The decimal rounding mode, which came with facility 42."""
FLAGS = 0x00FC_0000
FLAG_QUANTUM = 0x0004_0000
DECIMAL = 1 << (63 - 42)


@typed(leaves=True, inline=False)
def check_fpc(cpu: Cpu, value: u32) -> None:
    """Unassigned bits or rounding modes are a specification exception."""
    reserved = u32(RESERVED)
    mode = value & 7
    if cpu.facilities[0] & FLOATING_POINT_EXTENSION == 0:
        reserved = reserved | QUANTUM | 4
    if cpu.facilities[0] & DECIMAL == 0:
        reserved = reserved | DECIMAL_MODE
    if value & reserved != 0 or mode == 4 or mode == 5 or mode == 6:
        specification(cpu)


@typed(leaves=True, inline=False)
def signal(cpu: Cpu, value: u32) -> None:
    """Load the FPC register, keep the flags, and simulate an exception that is flagged already.

    The instruction completes before the interruption. ref: PoP 9 LOAD FPC AND SIGNAL
    """
    check_fpc(cpu, value)
    flags = cpu.fpc & FLAGS
    cpu.fpc = value | flags
    enabled = flags & (value >> 8)
    inexact: u8 = 8 if flags & FLAG_INEXACT != 0 else 0
    if enabled & FLAG_INVALID != 0:
        data_exception(cpu, 0x83)
    if enabled & FLAG_DIVISION != 0:
        data_exception(cpu, 0x43)
    if enabled & FLAG_OVERFLOW != 0:
        data_exception(cpu, 0x23 | inexact)
    if enabled & FLAG_UNDERFLOW != 0:
        data_exception(cpu, 0x13 | inexact)
    if enabled & FLAG_INEXACT != 0:
        data_exception(cpu, 0x0B)
    if enabled & FLAG_QUANTUM != 0:
        data_exception(cpu, 0x07)


@insn("SFPC", "B384", "RRE", ref="PoP 9 SET FPC", bfp=True)
def sfpc(cpu: Cpu, r1: u8) -> None:
    """The FPC register from bits 32-63."""
    value = low(cpu, r1)
    check_fpc(cpu, value)
    cpu.fpc = value


@insn("SFASR", "B385", "RRE", ref="PoP 9 SET FPC AND SIGNAL", bfp=True, facility=41)
def sfasr(cpu: Cpu, r1: u8) -> None:
    """The FPC register from bits 32-63, with signals."""
    signal(cpu, low(cpu, r1))


@insn("EFPC", "B38C", "RRE", ref="PoP 9 EXTRACT FPC", bfp=True, leaves=False)
def efpc(cpu: Cpu, r1: u8) -> None:
    """The FPC register into bits 32-63."""
    set_low(cpu, r1, cpu.fpc)


@insn("LFPC", "B29D", "S", ref="PoP 9 LOAD FPC", bfp=True)
def lfpc(cpu: Cpu, addr2: u64) -> None:
    """The FPC register from storage."""
    value = fetch_u32(cpu, OP2, addr2)
    check_fpc(cpu, value)
    cpu.fpc = value


@insn("LFAS", "B2BD", "S", ref="PoP 9 LOAD FPC AND SIGNAL", bfp=True, facility=41)
def lfas(cpu: Cpu, addr2: u64) -> None:
    """The FPC register from storage, with signals."""
    signal(cpu, fetch_u32(cpu, OP2, addr2))


@insn("STFPC", "B29C", "S", ref="PoP 9 STORE FPC", bfp=True)
def stfpc(cpu: Cpu, addr2: u64) -> None:
    """The FPC register to storage."""
    store_u32(cpu, OP2, addr2, cpu.fpc)


@insn("SRNM", "B299", "S", ref="PoP 9 SET BFP ROUNDING MODE", bfp=True, leaves=False)
def srnm(cpu: Cpu, addr2: u64) -> None:
    """Rounding mode from the two last bits of the address; the rest of it is ignored."""
    cpu.fpc = (cpu.fpc & ~u32(7)) | u32(addr2 & 3)


@insn("SRNMB", "B2B8", "S", ref="PoP 9 SET BFP ROUNDING MODE", bfp=True, facility=37)
def srnmb(cpu: Cpu, addr2: u64) -> None:
    """Rounding mode from the last eight bits of the address: 0 to 3 and 7."""
    mode = addr2 & 0xFF
    if mode > 7 or mode == 4 or mode == 5 or mode == 6:
        specification(cpu)
    cpu.fpc = (cpu.fpc & ~u32(7)) | u32(mode)


@insn("SRNMT", "B2B9", "S", ref="PoP 9 SET DFP ROUNDING MODE", bfp=True, leaves=False, facility=41)
def srnmt(cpu: Cpu, addr2: u64) -> None:
    """The decimal rounding mode of the FPC register."""
    cpu.fpc = (cpu.fpc & ~u32(0x70)) | (u32(addr2 & 7) << 4)
