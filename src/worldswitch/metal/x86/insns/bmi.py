"""BMI1, BMI2 and ADX: ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, PDEP, PEXT, MULX, shifts. ref: APM3 3

IMPDEF: flags that these leave undefined: AF is zero, PF that of the result.
"""

from typing import Any

from worldswitch.engine import i64, rotl, signed, typed, u64, u128
from worldswitch.metal.x86.flags import CF, PARTIAL, Width, cf, flags_logic, of, put_cf, put_cf_of
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import undefined
from worldswitch.metal.x86.operands import PUT, READ_MEM, READ_RM
from worldswitch.metal.x86.state import RDX, Cpu, Record


@typed(inline=True)
def put_carry(cpu: Cpu, result: i64, carry: bool) -> None:
    """SF and ZF of the result, OF zero, CF as given."""
    cpu.result = result
    cpu.carries = 0
    if carry:
        cpu.carries = CF | PARTIAL


@insn("ANDN", "VEX.NP.L0.0F38 F2 /r Gy,By,Ey", ref="APM3 3 ANDN", feature="bmi1")
def andn(w: Width) -> Any:
    """And with the complement of the first source."""
    u, flags = w.u, flags_logic[w.bits]

    @typed(inline=True)
    def andn(cpu: Cpu, a: u, b: u) -> u:
        result = ~a & b
        flags(cpu, result)
        return result

    return andn


@insn("BEXTR", "VEX.NP.L0.0F38 F7 /r Gy,Ey,By", ref="APM3 3 BEXTR (register form)",
      feature="bmi1")  # fmt: skip
def bextr(w: Width) -> Any:
    """A field: its start in the control's bits 7:0, its length in bits 15:8."""
    u, bits, flags = w.u, w.bits, flags_logic[w.bits]

    @typed(inline=True)
    def bextr(cpu: Cpu, a: u, control: u) -> u:
        start = u64(control) & 0xFF
        length = (u64(control) >> 8) & 0xFF
        field: u64 = 0
        if start < bits:
            field = u64(a) >> start
        if length < bits:
            field = field & ((u64(1) << length) - 1)
        result = u(field)
        flags(cpu, result)
        return result

    return bextr


@insn("BLSI", "VEX.NP.L0.0F38 F3 /3 By,Ey", ref="APM3 3 BLSI", feature="bmi1")
def blsi(w: Width) -> Any:
    """The lowest bit that is set, alone; CF unless the source is zero."""
    u = w.u

    @typed(inline=True)
    def blsi(cpu: Cpu, a: u) -> u:
        result = a & -a
        put_carry(cpu, i64(signed(result)), a != 0)
        return result

    return blsi


@insn("BLSMSK", "VEX.NP.L0.0F38 F3 /2 By,Ey", ref="APM3 3 BLSMSK", feature="bmi1")
def blsmsk(w: Width) -> Any:
    """Ones through the lowest bit that is set; CF if the source is zero."""
    u = w.u

    @typed(inline=True)
    def blsmsk(cpu: Cpu, a: u) -> u:
        result = a ^ (a - 1)
        put_carry(cpu, i64(signed(result)), a == 0)
        return result

    return blsmsk


@insn("BLSR", "VEX.NP.L0.0F38 F3 /1 By,Ey", ref="APM3 3 BLSR", feature="bmi1")
def blsr(w: Width) -> Any:
    """The lowest bit that is set becomes zero; CF if the source is zero."""
    u = w.u

    @typed(inline=True)
    def blsr(cpu: Cpu, a: u) -> u:
        result = a & (a - 1)
        put_carry(cpu, i64(signed(result)), a == 0)
        return result

    return blsr


@insn("BZHI", "VEX.NP.L0.0F38 F5 /r Gy,Ey,By", ref="APM3 3 BZHI", feature="bmi2")
def bzhi(w: Width) -> Any:
    """Zeros from the bit of a number on; CF if there is no such bit."""
    u, bits = w.u, w.bits

    @typed(inline=True)
    def bzhi(cpu: Cpu, a: u, control: u) -> u:
        n = u64(control) & 0xFF
        result = a
        if n < bits:
            result = a & ((u(1) << n) - 1)
        put_carry(cpu, i64(signed(result)), n >= bits)
        return result

    return bzhi


@typed(inline=False)
def deposit(value: u64, mask: u64) -> u64:
    """The low bits of a value at the places of a mask."""
    result: u64 = 0
    left = mask
    rest = value
    while left != 0:
        if rest & 1 != 0:
            result = result | (left & -left)
        rest = rest >> 1
        left = left & (left - 1)
    return result


@typed(inline=False)
def extract(value: u64, mask: u64) -> u64:
    """The bits of a value at the places of a mask, moved together."""
    result: u64 = 0
    left = mask
    bit: u64 = 1
    while left != 0:
        if value & left & -left != 0:
            result = result | bit
        bit = bit << 1
        left = left & (left - 1)
    return result


@insn("PDEP", "VEX.F2.L0.0F38 F5 /r Gy,By,Ey", ref="APM3 3 PDEP", feature="bmi2")
def pdep(w: Width) -> Any:
    """Low bits to the places of a mask."""
    u = w.u

    @typed(inline=True)
    def pdep(cpu: Cpu, a: u, b: u) -> u:
        return u(deposit(u64(a), u64(b)))

    return pdep


@insn("PEXT", "VEX.F3.L0.0F38 F5 /r Gy,By,Ey", ref="APM3 3 PEXT", feature="bmi2")
def pext(w: Width) -> Any:
    """Bits at the places of a mask to the low end."""
    u = w.u

    @typed(inline=True)
    def pext(cpu: Cpu, a: u, b: u) -> u:
        return u(extract(u64(a), u64(b)))

    return pext


@insn("MULX", "VEX.F2.L0.0F38 F6 /r Gy,By,Ey", ref="APM3 3 MULX", feature="bmi2", raw=True)
def mulx(w: Width, mod: str) -> Any:
    """Unsigned product with rDX into two registers, no flags; the upper half is written last."""
    read, put, u, bits = (READ_MEM if mod == "mem" else READ_RM)[w.bits], PUT[w.bits], w.u, w.bits

    @typed(leaves=True, inline=True)
    def mulx(cpu: Cpu, rec: Record) -> None:
        product = u128(read(cpu, rec)) * u128(u(cpu.gr[RDX]))
        put(cpu, rec.vvvv, u(product))
        put(cpu, rec.reg, u(product >> bits))

    return mulx


@insn("RORX", "VEX.F2.L0.0F3A F0 /r Gy,Ey,Ib", ref="APM3 3 RORX", feature="bmi2", raw=True)
def rorx(w: Width, mod: str) -> Any:
    """Rotate right, no flags; #UD if VEX.vvvv names a register."""
    read, put, mask = (READ_MEM if mod == "mem" else READ_RM)[w.bits], PUT[w.bits], w.bits - 1

    @typed(leaves=True, inline=True)
    def rorx(cpu: Cpu, rec: Record) -> None:
        if rec.vvvv != 0:
            undefined(cpu)
        put(cpu, rec.reg, rotl(read(cpu, rec), -u64(rec.imm) & mask))

    return rorx


@insn("SARX", "VEX.F3.L0.0F38 F7 /r Gy,Ey,By", ref="APM3 3 SARX", feature="bmi2")
def sarx(w: Width) -> Any:
    """Shift right with the sign, no flags."""
    u, mask = w.u, w.bits - 1

    @typed(inline=True)
    def sarx(cpu: Cpu, a: u, n: u) -> u:
        return u(signed(a) >> (n & mask))

    return sarx


@insn("SHLX", "VEX.66.L0.0F38 F7 /r Gy,Ey,By", ref="APM3 3 SHLX", feature="bmi2")
def shlx(w: Width) -> Any:
    """Shift left, no flags."""
    u, mask = w.u, w.bits - 1

    @typed(inline=True)
    def shlx(cpu: Cpu, a: u, n: u) -> u:
        return a << (n & mask)

    return shlx


@insn("SHRX", "VEX.F2.L0.0F38 F7 /r Gy,Ey,By", ref="APM3 3 SHRX", feature="bmi2")
def shrx(w: Width) -> Any:
    """Shift right with zeros, no flags."""
    u, mask = w.u, w.bits - 1

    @typed(inline=True)
    def shrx(cpu: Cpu, a: u, n: u) -> u:
        return a >> (n & mask)

    return shrx


@insn("ADCX", "66 0F 38 F6 /r Gy,Ey", ref="APM3 3 ADCX", feature="adx")
def adcx(w: Width) -> Any:
    """Sum with the carry, which alone changes."""
    u = w.u

    @typed(inline=True)
    def adcx(cpu: Cpu, a: u, b: u) -> u:
        part = a + b
        result = part + u(cf(cpu))
        put_cf(cpu, part < a or result < part)
        return result

    return adcx


@insn("ADOX", "F3 0F 38 F6 /r Gy,Ey", ref="APM3 3 ADOX", feature="adx")
def adox(w: Width) -> Any:
    """Sum with OF as the carry, which alone changes."""
    u = w.u

    @typed(inline=True)
    def adox(cpu: Cpu, a: u, b: u) -> u:
        part = a + b
        result = part + u(of(cpu))
        put_cf_of(cpu, cf(cpu), part < a or result < part)
        return result

    return adox
