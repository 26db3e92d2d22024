"""JMP, Jcc, CALL, RET, LOOP, JrCXZ within a segment. ref: APM3 3"""

from typing import Any

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.conditions import CONDITIONS
from worldswitch.metal.x86.flags import Width, zf
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.offsets import offset_mask, put_offset
from worldswitch.metal.x86.operands import PUT, next_rip
from worldswitch.metal.x86.stack import PEEK_STACK, PUSH, drop
from worldswitch.metal.x86.state import RCX, Cpu, Record


def _jcc(number: int) -> None:
    name, condition = CONDITIONS[number]

    @insn(f"J{name}", f"{0x70 + number:02X} Jb", f"0F {0x80 + number:02X} Jz", ref="APM3 3 Jcc",
          d64=True)  # fmt: skip
    def jcc() -> Any:
        """Branch if the condition holds."""
        return condition


for _number in range(16):
    _jcc(_number)


@insn("JMP", "EB Jb", "E9 Jz", ref="APM3 3 JMP (Near)", d64=True, ends=True)
def jmp() -> Any:
    """Branch always."""

    @typed(inline=True)
    def jmp(cpu: Cpu) -> bool:
        return True

    return jmp


@insn("JMP", "FF /4 Ev", ref="APM3 3 JMP (Near)", d64=True, ends=True)
def jmp_to(w: Width) -> Any:
    """Branch to an address in a register or memory."""
    u = w.u

    @typed(inline=True)
    def jmp_to(cpu: Cpu, rec: Record, target: u) -> tuple[bool, u64]:
        return True, u64(target)

    return jmp_to


@insn("CALL", "E8 Jz", ref="APM3 3 CALL (Near)", raw=True, d64=True, ends=True)
def call(w: Width) -> Any:
    """Push RIP and branch."""
    push, u = PUSH[w.bits], w.u

    @typed(leaves=True, inline=True)
    def call(cpu: Cpu, rec: Record) -> bool:
        push(cpu, u(next_rip(cpu, rec)))
        return True

    return call


@insn("CALL", "FF /2 Ev", ref="APM3 3 CALL (Near)", d64=True, ends=True)
def call_to(w: Width) -> Any:
    """Push RIP and branch to an address in a register or memory."""
    push, u = PUSH[w.bits], w.u

    @typed(leaves=True, inline=True)
    def call_to(cpu: Cpu, rec: Record, target: u) -> tuple[bool, u64]:
        push(cpu, u(next_rip(cpu, rec)))
        return True, u64(target)

    return call_to


def _return(w: Width, more: bool) -> Any:
    peek, size = PEEK_STACK[w.bits], w.bytes

    @typed(leaves=True, inline=True)
    def ret(cpu: Cpu, rec: Record) -> tuple[bool, u64]:
        target = u64(peek(cpu, 0))
        if more:
            drop(cpu, u64(size) + (u64(rec.imm) & 0xFFFF))
        else:
            drop(cpu, u64(size))
        return True, target

    return ret


@insn("RET", "C3", ref="APM3 3 RET (Near)", raw=True, sized=True, d64=True, ends=True)
def ret(w: Width) -> Any:
    """Pop RIP."""
    return _return(w, False)


@insn("RET", "C2 Iw", ref="APM3 3 RET (Near)", raw=True, sized=True, d64=True, ends=True)
def ret_drop(w: Width) -> Any:
    """Pop RIP, then drop bytes."""
    return _return(w, True)


@insn("PUSH", "50+r Zv", "FF /6 Ev", "68 Iz", "6A Ib", ref="APM3 3 PUSH", d64=True, sized=True)
def push(w: Width) -> Any:
    """Push a value as wide as the operand size."""
    put, u = PUSH[w.bits], w.u

    @typed(leaves=True, inline=True)
    def push(cpu: Cpu, value: u) -> None:
        put(cpu, value)

    return push


@insn("POP", "58+r Zv", ref="APM3 3 POP", raw=True, d64=True)
def pop(w: Width) -> Any:
    """Pop into a register."""
    peek, size, put = PEEK_STACK[w.bits], w.bytes, PUT[w.bits]

    @typed(leaves=True, inline=True)
    def pop(cpu: Cpu, rec: Record) -> None:
        value = peek(cpu, 0)
        drop(cpu, u64(size))
        put(cpu, rec.rm, value)

    return pop


def _loop(opcode: int, name: str, conditional: bool, wanted: bool) -> None:
    @insn(name, f"{opcode:02X} Jb", ref="APM3 3 LOOPcc", raw=True, d64=True)
    def loop() -> Any:
        """Count rCX, as wide as the address size, down; branch unless it is zero or by ZF."""

        @typed(inline=True)
        def loop(cpu: Cpu, rec: Record) -> bool:
            mask = offset_mask(cpu, rec)
            count = (cpu.gr[RCX] - 1) & mask
            put_offset(cpu, RCX, count, mask)
            if conditional:
                return count != 0 and zf(cpu) == wanted
            return count != 0

        return loop


_loop(0xE0, "LOOPNE", True, False)
_loop(0xE1, "LOOPE", True, True)
_loop(0xE2, "LOOP", False, False)


@insn("JrCXZ", "E3 Jb", ref="APM3 3 JCXZ, JECXZ, JRCXZ", raw=True, d64=True)
def jrcxz() -> Any:
    """Branch if rCX, as wide as the address size, is zero."""

    @typed(inline=True)
    def jrcxz(cpu: Cpu, rec: Record) -> bool:
        return cpu.gr[RCX] & offset_mask(cpu, rec) == 0

    return jrcxz
