"""MOV, PUSH and POP of segment registers, LDS, LES, LSS, LFS, LGS. ref: APM3 3"""

from typing import Any

from worldswitch.engine import typed, u16, u64
from worldswitch.metal.x86.access import load_sized
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.frames import put_pointer, read_stack
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import undefined
from worldswitch.metal.x86.memory import load_u16, store_u16
from worldswitch.metal.x86.offsets import displaced
from worldswitch.metal.x86.operand_size import far_size
from worldswitch.metal.x86.operands import PUT, effective, put_w
from worldswitch.metal.x86.segments import load_data_segment
from worldswitch.metal.x86.stack import PUSH
from worldswitch.metal.x86.state import CS, DATA, DS, ES, FS, GS, RSP, SS, Cpu, Record
from worldswitch.metal.x86.timers import instructions


@typed(leaves=True, inline=False)
def load_segment(cpu: Cpu, number: u64, selector: u64) -> None:
    """Load a segment register; behind a load of SS, nothing interrupts.

    In a `control` instruction.
    """
    load_data_segment(cpu, number, selector)
    if number == SS:
        cpu.shadow_at = instructions(cpu)
        cpu.shadow_of_ss = 1
        cpu.trap_armed = 0
        cpu.check = 1


@typed(leaves=True)
def loaded_number(cpu: Cpu, rec: Record) -> u64:
    """The segment register that is loaded; #UD for CS and for what does not exist."""
    number = u64(rec.reg) & 7
    if number == CS or number > GS:
        undefined(cpu)
    return number


@insn("MOV", "8E /r Ew", ref="APM3 3 MOV", raw=True, control=True)
def mov_to_segment(w: Width, mod: str) -> Any:
    """Register or memory to segment register."""
    if mod == "reg":

        @typed(leaves=True, inline=True)
        def mov_to_segment(cpu: Cpu, rec: Record) -> None:
            load_segment(cpu, loaded_number(cpu, rec), cpu.gr[rec.rm] & 0xFFFF)
    else:

        @typed(leaves=True, inline=True)
        def mov_to_segment(cpu: Cpu, rec: Record) -> None:
            number = loaded_number(cpu, rec)
            load_segment(cpu, number, u64(load_u16(cpu, rec.seg, effective(cpu, rec))))

    return mov_to_segment


@typed(leaves=True, inline=False)
def stored_selector(cpu: Cpu, rec: Record) -> u16:
    """The selector in the segment register that is stored."""
    number = rec.reg & 7
    if number > GS:
        undefined(cpu)
    return cpu.seg_selector[number]


@insn("MOV", "8C /r Rv", ref="APM3 3 MOV", raw=True)
def mov_from_segment(w: Width) -> Any:
    """Segment register to register, zero-extended."""
    put, u = PUT[w.bits], w.u

    @typed(leaves=True, inline=True)
    def mov_from_segment(cpu: Cpu, rec: Record) -> None:
        put(cpu, rec.rm, u(stored_selector(cpu, rec)))

    return mov_from_segment


@insn("MOV", "8C /r Mw", ref="APM3 3 MOV", raw=True, writes=True)
def store_segment() -> Any:
    """Segment register to memory: 16 bits, whatever the operand size."""

    @typed(leaves=True, inline=True)
    def store_segment(cpu: Cpu, rec: Record) -> None:
        store_u16(cpu, rec.seg, effective(cpu, rec), stored_selector(cpu, rec))

    return store_segment


@typed(leaves=True, inline=False)
def pop_segment(cpu: Cpu, number: u64, size: u64) -> None:
    """POP into a segment register; the stack pointer moves as the old stack is wide."""
    selector = read_stack(cpu, 0, size) & 0xFFFF
    mask = cpu.stack_mask
    load_segment(cpu, number, selector)
    put_pointer(cpu, mask, cpu.gr[RSP] + size)


def _push_pop(number: int, push: str, pop: str | None, long: bool | None) -> None:
    @insn("PUSH", push, ref="APM3 3 PUSH", raw=True, sized=True, d64=True, long=long)
    def push_segment(w: Width) -> Any:
        """Push a selector, zero-extended."""
        put, u = PUSH[w.bits], w.u

        @typed(leaves=True, inline=True)
        def push_segment(cpu: Cpu, rec: Record) -> None:
            put(cpu, u(cpu.seg_selector[number]))

        return push_segment

    if pop is None:
        return

    @insn("POP", pop, ref="APM3 3 POP", raw=True, sized=True, d64=True, long=long, control=True)
    def pop_into(w: Width) -> Any:
        """Pop into a segment register."""
        size = w.bytes

        @typed(leaves=True, inline=True)
        def pop_into(cpu: Cpu, rec: Record) -> None:
            pop_segment(cpu, u64(number), u64(size))

        return pop_into


_push_pop(ES, "06", "07", False)
_push_pop(CS, "0E", None, False)
_push_pop(SS, "16", "17", False)
_push_pop(DS, "1E", "1F", False)
_push_pop(FS, "0F A0", "0F A1", None)
_push_pop(GS, "0F A8", "0F A9", None)


@typed(leaves=True, inline=False)
def load_far_pointer(cpu: Cpu, rec: Record, number: u64) -> None:
    """Segment register and general register from a far pointer in memory."""
    size = far_size(cpu, rec)
    offset = load_sized(
        cpu, cpu.ctx[DATA], u64(rec.seg), displaced(cpu, rec, 0, size, False), size
    )  # fmt: skip
    selector = load_u16(cpu, rec.seg, displaced(cpu, rec, size, 2, False))
    load_segment(cpu, number, u64(selector))
    if size == 2:
        put_w(cpu, rec.reg, u16(offset))
    else:
        cpu.gr[rec.reg] = offset


def _load_far(name: str, encoding: str, number: int, long: bool | None) -> None:
    @insn(name, encoding, ref="APM3 3 LDS, LES, LFS, LGS, LSS", raw=True, address=False, long=long,
          control=True)  # fmt: skip
    def load_far() -> Any:
        """Load a far pointer."""

        @typed(leaves=True, inline=True)
        def load_far(cpu: Cpu, rec: Record) -> None:
            load_far_pointer(cpu, rec, u64(number))

        return load_far


_load_far("LES", "C4 /r M", ES, False)
_load_far("LDS", "C5 /r M", DS, False)
_load_far("LSS", "0F B2 /r M", SS, None)
_load_far("LFS", "0F B4 /r M", FS, None)
_load_far("LGS", "0F B5 /r M", GS, None)
