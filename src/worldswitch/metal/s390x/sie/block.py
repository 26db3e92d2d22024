"""The active state description as compiled code reads and writes it.

Offsets come from the declaration in `arch`; values are big-endian there.
"""

from worldswitch.arch.s390x.sie_controls import CpuStat, Eca, Ecb, Icpt, Ictl
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.engine import (
    bswap,
    peek_u8,
    peek_u16,
    peek_u32,
    peek_u64,
    poke_u64,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.s390x.state import Cpu


def offset(field: str) -> int:
    """Byte offset of a field of the state description."""
    return StateDescription.offset_of(field)


CPUFLAGS = offset("cpuflags")
ICTL = offset("ictl")
ECA = offset("eca")
ECB = offset("ecb")

ICPT_NONE = int(Icpt.NONE)
ICPT_INST = int(Icpt.INST)
ICPT_PROGI = int(Icpt.PROGI)
ICPT_INSTPROGI = int(Icpt.INSTPROGI)
ICPT_EXTREQ = int(Icpt.EXTREQ)
ICPT_EXTINT = int(Icpt.EXTINT)
ICPT_IOREQ = int(Icpt.IOREQ)
ICPT_WAIT = int(Icpt.WAIT)
ICPT_VALIDITY = int(Icpt.VALIDITY)
ICPT_STOP = int(Icpt.STOP)
ICPT_OPEREXC = int(Icpt.OPEREXC)
ICPT_PARTEXEC = int(Icpt.PARTEXEC)
ICPT_IOINST = int(Icpt.IOINST)
ICPT_KSS = int(Icpt.KSS)
ICPT_MCHKREQ = int(Icpt.MCHKREQ)
ICPT_INT_ENABLE = int(Icpt.INT_ENABLE)
ICPT_PV_INSTR = int(Icpt.PV_INSTR)
ICPT_PV_NOTIFY = int(Icpt.PV_NOTIFY)
ICPT_PV_PREF = int(Icpt.PV_PREF)

STAT_P = int(CpuStat.P)
STAT_SM = int(CpuStat.SM)
STAT_STOP_INT = int(CpuStat.STOP_INT)
STAT_IO_INT = int(CpuStat.IO_INT)
STAT_EXT_INT = int(CpuStat.EXT_INT)
ICTL_LPSW = int(Ictl.LPSW)
ICTL_OPEREXC = int(Ictl.OPEREXC)
ICTL_PRIVOP = int(Ictl.PRIVOP)
ICTL_PINT = int(Ictl.PINT)
ECA_PROTEXCI = int(Eca.PROTEXCI)
ECA_CEI = int(Eca.CEI)
ECB_SPECI = int(Ecb.SPECI)


@typed(inline=True)
def sd_u8(cpu: Cpu, where: u64) -> u8:
    """The byte at an offset."""
    return peek_u8(cpu.sie_block + where)


@typed(inline=True)
def sd_u16(cpu: Cpu, where: u64) -> u16:
    """The halfword at an offset."""
    return bswap(peek_u16(cpu.sie_block + where))


@typed(inline=True)
def sd_u32(cpu: Cpu, where: u64) -> u32:
    """The word at an offset."""
    return bswap(peek_u32(cpu.sie_block + where))


@typed(inline=True)
def sd_u64(cpu: Cpu, where: u64) -> u64:
    """The doubleword at an offset."""
    return bswap(peek_u64(cpu.sie_block + where))


@typed(inline=True)
def set_sd_u64(cpu: Cpu, where: u64, value: u64) -> None:
    """Store the doubleword at an offset."""
    poke_u64(cpu.sie_block + where, bswap(value))
