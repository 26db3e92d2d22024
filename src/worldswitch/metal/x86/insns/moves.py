"""MOV, MOVZX, MOVSX, LEA, XCHG, CMOVcc, SETcc. ref: APM3 3"""

from typing import Any

from worldswitch.engine import i64, signed, typed, u64
from worldswitch.metal.x86.conditions import CONDITIONS
from worldswitch.metal.x86.flags import Width
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.state import Cpu


@insn(
    "MOV", "88 /r Eb,Gb", "89 /r Ev,Gv", "8A /r Gb,Eb", "8B /r Gv,Ev", "A0 AL,Ob", "A1 eAX,Ov",
    "A2 Ob,AL", "A3 Ov,eAX", "B0+r Zb,Ib", "B8+r Zv,Iv", "C6 /0 Eb,Ib", "C7 /0 Ev,Iz",
    ref="APM3 3 MOV",
)  # fmt: skip
def mov(w: Width) -> Any:
    """Copy."""
    u = w.u

    @typed(inline=True)
    def mov(cpu: Cpu, a: u) -> u:
        return a

    return mov


@insn("MOVZX", "0F B6 /r Gv,Eb", "0F B7 /r Gv,Ew", ref="APM3 3 MOVZX")
def movzx(w: Width, s: Width) -> Any:
    """Copy with zero extension."""
    u, v = w.u, s.u

    @typed(inline=True)
    def movzx(cpu: Cpu, a: v) -> u:
        return u(a)

    return movzx


@insn("MOVSX", "0F BE /r Gv,Eb", "0F BF /r Gv,Ew", ref="APM3 3 MOVSX")
@insn("MOVSXD", "63 /r Gv,Ed", ref="APM3 3 MOVSXD", long=True)
def movsx(w: Width, s: Width) -> Any:
    """Copy with sign extension."""
    u, v = w.u, s.u

    @typed(inline=True)
    def movsx(cpu: Cpu, a: v) -> u:
        return u(u64(i64(signed(a))))

    return movsx


def _conditional(number: int) -> None:
    condition = CONDITIONS[number][1]
    name = CONDITIONS[number][0]

    @insn(f"SET{name}", f"0F {0x90 + number:02X} /r Eb", ref="APM3 3 SETcc")
    def setcc(w: Width) -> Any:
        """One if the condition holds, else zero."""
        u = w.u

        @typed(inline=True)
        def setcc(cpu: Cpu) -> u:
            return u(condition(cpu))

        return setcc

    @insn(f"CMOV{name}", f"0F {0x40 + number:02X} /r Gv,Ev", ref="APM3 3 CMOVcc")
    def cmovcc(w: Width) -> Any:
        """Copy if the condition holds; the source is read in any case."""
        u = w.u

        @typed(inline=True)
        def cmovcc(cpu: Cpu, a: u, b: u) -> u:
            if condition(cpu):
                return b
            return a

        return cmovcc


for _number in range(16):
    _conditional(_number)
