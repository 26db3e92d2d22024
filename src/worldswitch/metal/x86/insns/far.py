"""Far JMP, CALL and RET, and IRET. ref: APM3 3"""

from typing import Any

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.access import load_sized
from worldswitch.metal.x86.far import far_return, far_transfer
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.iret import interrupt_return
from worldswitch.metal.x86.memory import load_u16
from worldswitch.metal.x86.offsets import displaced
from worldswitch.metal.x86.operand_size import far_size, operand_size
from worldswitch.metal.x86.state import DATA, Cpu, Record

IRET = 32 * 3 + 20
"""Its intercept."""


@typed(leaves=True, inline=False)
def transfer_by_memory(cpu: Cpu, rec: Record, call: bool) -> None:
    """JMP or CALL to the far pointer that the memory operand is."""
    size = far_size(cpu, rec)
    offset = load_sized(
        cpu, cpu.ctx[DATA], u64(rec.seg), displaced(cpu, rec, 0, size, False), size
    )  # fmt: skip
    selector = load_u16(cpu, rec.seg, displaced(cpu, rec, size, 2, False))
    far_transfer(cpu, u64(selector), offset, operand_size(cpu, rec), call)


def _far(name: str, direct: str, indirect: str, call: bool) -> None:
    @insn(name, direct, ref=f"APM3 3 {name} (Far)", raw=True, sized=True, long=False, control=True,
          ends=True)  # fmt: skip
    def far_direct(w: Width) -> Any:
        """To a far pointer in the instruction."""
        size = w.bytes

        @typed(leaves=True, inline=True)
        def far_direct(cpu: Cpu, rec: Record) -> None:
            far_transfer(cpu, u64(rec.disp), u64(rec.imm), u64(size), call)

        return far_direct

    @insn(name, indirect, ref=f"APM3 3 {name} (Far)", raw=True, address=False, control=True,
          ends=True)  # fmt: skip
    def far_indirect() -> Any:
        """To a far pointer in memory."""

        @typed(leaves=True, inline=True)
        def far_indirect(cpu: Cpu, rec: Record) -> None:
            transfer_by_memory(cpu, rec, call)

        return far_indirect


_far("JMP", "EA Ap", "FF /5 M", False)
_far("CALL", "9A Ap", "FF /3 M", True)


@insn("RETF", "CB", ref="APM3 3 RET (Far)", raw=True, control=True, ends=True)
def retf() -> Any:
    """Pop RIP and CS, and on the way to an outer level RSP and SS."""

    @typed(leaves=True, inline=True)
    def retf(cpu: Cpu, rec: Record) -> None:
        far_return(cpu, operand_size(cpu, rec), 0)

    return retf


@insn("RETF", "CA Iw", ref="APM3 3 RET (Far)", raw=True, control=True, ends=True)
def retf_drop() -> Any:
    """The same, and drop parameters."""

    @typed(leaves=True, inline=True)
    def retf_drop(cpu: Cpu, rec: Record) -> None:
        far_return(cpu, operand_size(cpu, rec), u64(rec.imm) & 0xFFFF)

    return retf_drop


@insn("IRET", "CF", ref="APM3 3 IRET", raw=True, control=True, ends=True, intercept=IRET)
def iret() -> Any:
    """Return from an interrupt handler."""

    @typed(leaves=True, inline=True)
    def iret(cpu: Cpu, rec: Record) -> None:
        interrupt_return(cpu, operand_size(cpu, rec))

    return iret
