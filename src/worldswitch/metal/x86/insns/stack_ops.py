"""POP to memory, PUSHA, POPA, ENTER, LEAVE. ref: APM3 3"""

from typing import Any

from worldswitch.engine import typed, u8, u64
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.memory import LOAD, STORE
from worldswitch.metal.x86.offsets import displaced
from worldswitch.metal.x86.operands import PUT
from worldswitch.metal.x86.stack import PEEK_STACK, drop, put_sp, stack_address
from worldswitch.metal.x86.state import RBP, RSP, SS, Cpu, Record


@insn("POP", "8F /0 /R Ev", ref="APM3 3 POP", raw=True, d64=True)
def pop_register(w: Width) -> Any:
    """Pop into a register; RSP is counted up before it is written."""
    peek, size, put = PEEK_STACK[w.bits], w.bytes, PUT[w.bits]

    @typed(leaves=True, inline=True)
    def pop_register(cpu: Cpu, rec: Record) -> None:
        value = peek(cpu, 0)
        drop(cpu, u64(size))
        put(cpu, rec.rm, value)

    return pop_register


@insn("POP", "8F /0 /m Ev", ref="APM3 3 POP", raw=True, d64=True, address=False, writes=True)
def pop_memory(w: Width) -> Any:
    """Pop into memory; RSP in the address counts as popped already."""
    peek, size, store = PEEK_STACK[w.bits], w.bytes, STORE[w.bits]

    @typed(leaves=True, inline=False, name=f"pop_memory_{w.letter}")
    def pop_memory(cpu: Cpu, rec: Record) -> None:
        value = peek(cpu, 0)
        more: u64 = 0
        if rec.base == RSP:
            more = u64(size)
        store(cpu, rec.seg, displaced(cpu, rec, more, u64(size), True), value)
        drop(cpu, u64(size))

    return pop_memory


@insn("PUSHA", "60", ref="APM3 3 PUSHA, PUSHAD", raw=True, sized=True, long=False)
def pusha(w: Width) -> Any:
    """Push all eight registers, RSP as it was before."""
    store, u, size = STORE[w.bits], w.u, w.bytes

    @typed(leaves=True, inline=False, name=f"pusha_{w.letter}")
    def pusha(cpu: Cpu, rec: Record) -> None:
        n: u64 = 0
        offset = cpu.gr[RSP] & cpu.stack_mask
        while n < 8:
            offset = (offset - size) & cpu.stack_mask
            at = stack_address(cpu, offset, u64(size), True)
            store(cpu, u8(SS), at, u(cpu.gr[n]))
            n += 1
        put_sp(cpu, offset)

    return pusha


@insn("POPA", "61", ref="APM3 3 POPA, POPAD", raw=True, sized=True, long=False)
def popa(w: Width) -> Any:
    """Pop all eight registers but RSP."""
    peek, put, size = PEEK_STACK[w.bits], PUT[w.bits], w.bytes

    @typed(leaves=True, inline=False, name=f"popa_{w.letter}")
    def popa(cpu: Cpu, rec: Record) -> None:
        n: u64 = 0
        while n < 8:
            peek(cpu, n * size)
            n += 1
        n = 0
        while n < 8:
            if n != 7 - RSP:
                put(cpu, u8(7 - n), peek(cpu, n * size))
            n += 1
        drop(cpu, u64(size * 8))

    return popa


@insn("ENTER", "C8 Iw,Ib", ref="APM3 3 ENTER", raw=True, sized=True, d64=True)
def enter(w: Width) -> Any:
    """Make a stack frame: room for locals, and the frame pointers of enclosing procedures."""
    load, store, put, u, size = LOAD[w.bits], STORE[w.bits], PUT[w.bits], w.u, w.bytes

    @typed(leaves=True, inline=False, name=f"enter_{w.letter}")
    def enter(cpu: Cpu, rec: Record) -> None:
        mask = cpu.stack_mask
        level = u64(rec.disp) & 31
        offset = (cpu.gr[RSP] - size) & mask
        store(cpu, u8(SS), stack_address(cpu, offset, u64(size), True), u(cpu.gr[RBP]))
        frame = offset
        outer = cpu.gr[RBP]
        n: u64 = 1
        while n < level:
            outer = (outer - size) & mask
            link = load(cpu, u8(SS), stack_address(cpu, outer, u64(size), False))
            offset = (offset - size) & mask
            store(cpu, u8(SS), stack_address(cpu, offset, u64(size), True), link)
            n += 1
        if level != 0:
            offset = (offset - size) & mask
            store(cpu, u8(SS), stack_address(cpu, offset, u64(size), True), u(frame))
        put_sp(cpu, (offset - (u64(rec.imm) & 0xFFFF)) & mask)
        put(cpu, u8(RBP), u(frame))

    return enter


@insn("LEAVE", "C9", ref="APM3 3 LEAVE", raw=True, sized=True, d64=True)
def leave(w: Width) -> Any:
    """Undo ENTER: RSP from rBP, then pop rBP."""
    load, put, size = LOAD[w.bits], PUT[w.bits], w.bytes

    @typed(leaves=True, inline=True)
    def leave(cpu: Cpu, rec: Record) -> None:
        offset = cpu.gr[RBP] & cpu.stack_mask
        value = load(cpu, u8(SS), stack_address(cpu, offset, u64(size), False))
        put_sp(cpu, (offset + size) & cpu.stack_mask)
        put(cpu, u8(RBP), value)

    return leave
