"""HLT, NOP, LEA, port I/O. ref: APM3 3, 4"""

from typing import Any

from worldswitch.arch.x86.svm_exits import SvmExit
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.operands import PUT
from worldswitch.metal.x86.state import Cpu, Record

HLT = int(SvmExit.HLT)


@insn("HLT", "F4", ref="APM3 4 HLT", raw=True, cpl0=True, control=True, ends=True,
      intercept=HLT)  # fmt: skip
def hlt() -> Any:
    """Stop until an interrupt."""

    @typed(inline=True)
    def hlt(cpu: Cpu, rec: Record) -> None:
        cpu.halted = 1

    return hlt


@insn("NOP", "0F 1F /r Ev", "0F 0D /r Ev", ref="APM3 3 NOP", raw=True, address=False)
def nop() -> Any:
    """Nothing."""

    @typed(inline=True)
    def nop(cpu: Cpu, rec: Record) -> None:
        return

    return nop


@insn("LEA", "8D /r Gv,M", ref="APM3 3 LEA", raw=True, address=False)
def lea(w: Width) -> Any:
    """The offset of a memory operand."""
    put, u = PUT[w.bits], w.u

    @typed(inline=True)
    def lea(cpu: Cpu, rec: Record) -> None:
        offset = cpu.gr[rec.base] + (cpu.gr[rec.index] << u64(rec.scale)) + u64(rec.disp)
        if rec.spare2 != 0x800:
            if rec.spare2 == 0x400:
                offset = offset & 0xFFFF_FFFF
            else:
                offset = offset & 0xFFFF
        put(cpu, rec.reg, u(offset))

    return lea
