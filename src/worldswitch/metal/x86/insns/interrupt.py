"""INT n, INT3, INTO, INT1. ref: APM3 3 INT, INTO, INT 3; APM2 8.2.2"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Dr7
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.exceptions import (
    EVENT_EXCEPTION,
    EVENT_SOFTWARE,
    EVENT_SOFTWARE_EXCEPTION,
    deliver_event,
    deliver_software,
)
from worldswitch.metal.x86.flags import of
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.mode import MODE_V86
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.svm.intercepts import intercept_software
from worldswitch.metal.x86.v86 import redirected

ICEBP = 32 * 4 + 8
"""Its intercept."""


@typed(leaves=True, inline=False)
def software_interrupt(cpu: Cpu, vector: u64, start: u64) -> None:
    """INT n at RIP `start`."""
    intercept_software(cpu, vector)
    if cpu.mode & MODE_V86 != 0:
        if redirected(cpu, vector):
            return
    deliver_software(cpu, vector, u64(EVENT_SOFTWARE), start)


@insn("INT", "CD Ib", ref="APM3 3 INT", raw=True, control=True)
def int_n() -> Any:
    """Interrupt with the vector of the operand."""

    @typed(leaves=True, inline=True)
    def int_n(cpu: Cpu, rec: Record) -> None:
        software_interrupt(cpu, u64(rec.imm) & 0xFF, rec.pc)

    return int_n


@insn("INT3", "CC", ref="APM3 3 INT 3", raw=True, control=True)
def int3() -> Any:
    """Breakpoint."""

    @typed(leaves=True, inline=True)
    def int3(cpu: Cpu, rec: Record) -> None:
        deliver_software(cpu, u64(Vector.BP), u64(EVENT_SOFTWARE_EXCEPTION), rec.pc)

    return int3


@insn("INTO", "CE", ref="APM3 3 INTO", raw=True, control=True, long=False)
def into() -> Any:
    """Overflow exception, if OF is set."""

    @typed(leaves=True, inline=True)
    def into(cpu: Cpu, rec: Record) -> None:
        if of(cpu):
            deliver_software(cpu, u64(Vector.OF), u64(EVENT_SOFTWARE_EXCEPTION), rec.pc)

    return into


@insn("INT1", "F1", ref="APM2 8.2.2; APM2 15.9", raw=True, control=True, intercept=ICEBP)
def int1() -> Any:
    """Debug exception, whatever the gate's DPL; DR6 does not change."""
    general_detect = int(Dr7.GD)

    @typed(leaves=True, inline=True)
    def int1(cpu: Cpu, rec: Record) -> None:
        cpu.dr[7] = cpu.dr[7] & ~u64(general_detect)
        deliver_event(cpu, u64(Vector.DB), u64(EVENT_EXCEPTION), False, 0)

    return int1
