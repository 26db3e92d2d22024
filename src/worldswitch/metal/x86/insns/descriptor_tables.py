"""LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR. ref: APM3 4"""

from typing import Any

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Cr4
from worldswitch.engine import typed, u16, u64
from worldswitch.metal.x86.access import check_store, load_sized, store_sized
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.memory import load_u16, store_u16
from worldswitch.metal.x86.mode import MODE_LONG
from worldswitch.metal.x86.offsets import displaced
from worldswitch.metal.x86.operand_size import far_size
from worldswitch.metal.x86.operands import PUT, effective
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.segments import load_ldt, load_task_register
from worldswitch.metal.x86.state import DATA, LDTR, TR, Cpu, Record

IDTR_READ, GDTR_READ, LDTR_READ, TR_READ = 102, 103, 104, 105
IDTR_WRITE, GDTR_WRITE, LDTR_WRITE, TR_WRITE = 106, 107, 108, 109
"""Intercepts of SVM: `32 * 3 + bit` of Intercept1."""


@typed(leaves=True)
def check_umip(cpu: Cpu) -> None:
    """#GP(0) where CR4.UMIP keeps programs from reading these. ref: APM2 3.1.3"""
    if cpu.cr4 & Cr4.UMIP != 0 and cpu.cpl != 0:
        general_protection(cpu)


@typed
def pointer_size(cpu: Cpu) -> u64:
    """Bytes of the base in a pseudo-descriptor."""
    if cpu.mode & MODE_LONG != 0:
        return 8
    return 4


@typed(leaves=True, inline=False)
def read_pseudo_descriptor(cpu: Cpu, rec: Record) -> tuple[u64, u16]:
    """(base, limit) from memory; #GP(0) for a base that is not canonical."""
    size = pointer_size(cpu)
    at = displaced(cpu, rec, 0, 1, False)
    displaced(cpu, rec, size + 1, 1, False)
    limit = load_u16(cpu, rec.seg, at)
    base = load_sized(
        cpu, cpu.ctx[DATA], u64(rec.seg), displaced(cpu, rec, 2, 1, False), size
    )  # fmt: skip
    if size == 8:
        if not canonical(cpu, base):
            general_protection(cpu)
    elif far_size(cpu, rec) == 2:
        base = base & 0xFF_FFFF
    return base, limit


@typed(leaves=True, inline=False)
def write_pseudo_descriptor(cpu: Cpu, rec: Record, base: u64, limit: u16) -> None:
    """Base and limit to memory, if all of it can be written."""
    check_umip(cpu)
    size = pointer_size(cpu)
    at = displaced(cpu, rec, 0, 4, True)
    displaced(cpu, rec, size + 1, 1, True)
    upper = displaced(cpu, rec, 2, 1, True)
    check_store(cpu, cpu.ctx[DATA], u64(rec.seg), at, 2)
    check_store(cpu, cpu.ctx[DATA], u64(rec.seg), upper, size)
    store_u16(cpu, rec.seg, at, limit)
    store_sized(cpu, cpu.ctx[DATA], u64(rec.seg), upper, size, base)


@insn("LGDT", "0F 01 /2 M", ref="APM3 4 LGDT", raw=True, cpl0=True, address=False,
      intercept=GDTR_WRITE)  # fmt: skip
def lgdt() -> Any:
    """Load the global descriptor-table register."""

    @typed(leaves=True, inline=True)
    def lgdt(cpu: Cpu, rec: Record) -> None:
        base, limit = read_pseudo_descriptor(cpu, rec)
        cpu.gdtr_base = base
        cpu.gdtr_limit = limit

    return lgdt


@insn("LIDT", "0F 01 /3 M", ref="APM3 4 LIDT", raw=True, cpl0=True, address=False,
      intercept=IDTR_WRITE)  # fmt: skip
def lidt() -> Any:
    """Load the interrupt descriptor-table register."""

    @typed(leaves=True, inline=True)
    def lidt(cpu: Cpu, rec: Record) -> None:
        base, limit = read_pseudo_descriptor(cpu, rec)
        cpu.idtr_base = base
        cpu.idtr_limit = limit

    return lidt


@insn("SGDT", "0F 01 /0 M", ref="APM3 4 SGDT", raw=True, address=False, intercept=GDTR_READ)
def sgdt() -> Any:
    """Store the global descriptor-table register."""

    @typed(leaves=True, inline=True)
    def sgdt(cpu: Cpu, rec: Record) -> None:
        write_pseudo_descriptor(cpu, rec, cpu.gdtr_base, cpu.gdtr_limit)

    return sgdt


@insn("SIDT", "0F 01 /1 M", ref="APM3 4 SIDT", raw=True, address=False, intercept=IDTR_READ)
def sidt() -> Any:
    """Store the interrupt descriptor-table register."""

    @typed(leaves=True, inline=True)
    def sidt(cpu: Cpu, rec: Record) -> None:
        write_pseudo_descriptor(cpu, rec, cpu.idtr_base, cpu.idtr_limit)

    return sidt


@insn("LLDT", "0F 00 /2 Ew", ref="APM3 4 LLDT", raw=True, cpl0=True, protected=True,
      intercept=LDTR_WRITE)  # fmt: skip
def lldt(w: Width, mod: str) -> Any:
    """Load the local descriptor-table register."""
    if mod == "reg":

        @typed(leaves=True, inline=True)
        def lldt(cpu: Cpu, rec: Record) -> None:
            load_ldt(cpu, cpu.gr[rec.rm] & 0xFFFF, Vector.GP)
    else:

        @typed(leaves=True, inline=True)
        def lldt(cpu: Cpu, rec: Record) -> None:
            load_ldt(cpu, u64(load_u16(cpu, rec.seg, effective(cpu, rec))), Vector.GP)

    return lldt


@insn("LTR", "0F 00 /3 Ew", ref="APM3 4 LTR", raw=True, cpl0=True, protected=True,
      intercept=TR_WRITE)  # fmt: skip
def ltr(w: Width, mod: str) -> Any:
    """Load the task register."""
    if mod == "reg":

        @typed(leaves=True, inline=True)
        def ltr(cpu: Cpu, rec: Record) -> None:
            load_task_register(cpu, cpu.gr[rec.rm] & 0xFFFF)
    else:

        @typed(leaves=True, inline=True)
        def ltr(cpu: Cpu, rec: Record) -> None:
            load_task_register(cpu, u64(load_u16(cpu, rec.seg, effective(cpu, rec))))

    return ltr


def _store_selector(name: str, digit: int, number: int, intercept: int) -> None:
    @insn(name, f"0F 00 /{digit} Rv", ref=f"APM3 4 {name}", raw=True, protected=True,
          intercept=intercept)  # fmt: skip
    def to_register(w: Width) -> Any:
        """Selector to register, zero-extended."""
        put, u = PUT[w.bits], w.u

        @typed(leaves=True, inline=True)
        def to_register(cpu: Cpu, rec: Record) -> None:
            check_umip(cpu)
            put(cpu, rec.rm, u(cpu.seg_selector[number]))

        return to_register

    @insn(name, f"0F 00 /{digit} Mw", ref=f"APM3 4 {name}", raw=True, protected=True,
          intercept=intercept, writes=True)  # fmt: skip
    def to_memory() -> Any:
        """Selector to memory."""

        @typed(leaves=True, inline=True)
        def to_memory(cpu: Cpu, rec: Record) -> None:
            check_umip(cpu)
            store_u16(cpu, rec.seg, effective(cpu, rec), cpu.seg_selector[number])

        return to_memory


_store_selector("SLDT", 0, LDTR, LDTR_READ)
_store_selector("STR", 1, TR, TR_READ)
