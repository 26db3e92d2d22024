"""ROL, ROR, RCL, RCR, SHL, SHR, SAR, SHLD, SHRD. ref: APM3 3

The count is taken modulo 32, or 64 with 64-bit operands; a count of zero changes no flag. OF is
defined for a count of one alone. IMPDEF: after other counts it is what the last of as many shifts
by one would leave; after rotates through the carry, whether the sign has changed.
"""

from typing import Any

from worldswitch.engine import i64, rotl, signed, typed, u8, u64, u128
from worldswitch.metal.x86.flags import TOP, Width, cf, put_cf_of
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.state import Cpu


def forms(number: int) -> tuple[str, ...]:
    """The encodings of one of the eight operations of opcodes C0, C1 and D0 to D3."""
    return (
        f"C0 /{number} Eb,Ic", f"C1 /{number} Ev,Ic", f"D0 /{number} Eb,1", f"D1 /{number} Ev,1",
        f"D2 /{number} Eb,CL", f"D3 /{number} Ev,CL",
    )  # fmt: skip


def count_mask(w: Width) -> int:
    """The bits of a count that matter."""
    return 63 if w.bits == 64 else 31


@typed(inline=True)
def put_shifted(cpu: Cpu, result: i64, carry: u64, overflow: u64) -> None:
    """The flags of a shift: carry and overflow are 0 or 1, AF is zero."""
    cpu.result = result
    cpu.carries = (carry << 63) | ((carry ^ overflow) << 62)


@insn("SHL", *forms(4), *forms(6), ref="APM3 3 SAL, SHL")
def shl(w: Width) -> Any:
    """Shift left."""
    u, mask, up = w.u, count_mask(w), 64 - w.bits

    @typed(inline=True)
    def shl(cpu: Cpu, a: u, n: u8) -> u:
        count = u64(n & mask)
        if count == 0:
            return a
        before = u64(a) << (count - 1)
        result = u(before << 1)
        cpu.result = i64(signed(result))
        cpu.carries = (before << up) & TOP
        return result

    return shl


@insn("SHR", *forms(5), ref="APM3 3 SHR")
def shr(w: Width) -> Any:
    """Shift right, zeros from the left."""
    u, mask, sign = w.u, count_mask(w), w.bits - 1

    @typed(inline=True)
    def shr(cpu: Cpu, a: u, n: u8) -> u:
        count = u64(n & mask)
        if count == 0:
            return a
        before = u64(a) >> (count - 1)
        result = u(before >> 1)
        carry = before << 63
        cpu.result = i64(signed(result))
        cpu.carries = carry | ((carry >> 1) ^ ((before >> sign) << 62))
        return result

    return shr


@insn("SAR", *forms(7), ref="APM3 3 SAR")
def sar(w: Width) -> Any:
    """Shift right, copies of the sign from the left."""
    u, mask = w.u, count_mask(w)

    @typed(inline=True)
    def sar(cpu: Cpu, a: u, n: u8) -> u:
        count = u64(n & mask)
        if count == 0:
            return a
        before = i64(signed(a)) >> (count - 1)
        result = before >> 1
        put_shifted(cpu, result, u64(before) & 1, u64(0))
        return u(u64(result))

    return sar


@insn("ROL", *forms(0), ref="APM3 3 ROL")
def rol(w: Width) -> Any:
    """Rotate left."""
    u, mask, sign = w.u, count_mask(w), w.bits - 1

    @typed(inline=True)
    def rol(cpu: Cpu, a: u, n: u8) -> u:
        count = n & mask
        if count == 0:
            return a
        result = rotl(a, count)
        carry = result & 1 != 0
        put_cf_of(cpu, carry, carry != (result >> sign != 0))
        return result

    return rol


@insn("ROR", *forms(1), ref="APM3 3 ROR")
def ror(w: Width) -> Any:
    """Rotate right."""
    u, mask, sign = w.u, count_mask(w), w.bits - 1

    @typed(inline=True)
    def ror(cpu: Cpu, a: u, n: u8) -> u:
        count = n & mask
        if count == 0:
            return a
        result = rotl(a, -count)
        carry = result >> sign != 0
        put_cf_of(cpu, carry, carry != ((result >> (sign - 1)) & 1 != 0))
        return result

    return ror


@typed(inline=False)
def rotate_through(cpu: Cpu, value: u64, count: u64, bits: u64) -> u64:
    """Rotate `bits` bits and the carry left by 1 to `bits`."""
    wide = u128(value) | (u128(u64(cf(cpu))) << bits)
    turned = (wide << count) | (wide >> (bits + 1 - count))
    result = u64(turned) & (u64(0xFFFF_FFFF_FFFF_FFFF) >> (64 - bits))
    overflow = ((value ^ result) >> (bits - 1)) & 1 != 0
    put_cf_of(cpu, (turned >> bits) & 1 != 0, overflow)
    return result


@insn("RCL", *forms(2), ref="APM3 3 RCL")
def rcl(w: Width) -> Any:
    """Rotate left through the carry."""
    u, mask, bits = w.u, count_mask(w), w.bits

    @typed(inline=True)
    def rcl(cpu: Cpu, a: u, n: u8) -> u:
        count = u64(n & mask) % (bits + 1)
        if count == 0:
            return a
        return u(rotate_through(cpu, u64(a), count, bits))

    return rcl


@insn("RCR", *forms(3), ref="APM3 3 RCR")
def rcr(w: Width) -> Any:
    """Rotate right through the carry."""
    u, mask, bits = w.u, count_mask(w), w.bits

    @typed(inline=True)
    def rcr(cpu: Cpu, a: u, n: u8) -> u:
        count = u64(n & mask) % (bits + 1)
        if count == 0:
            return a
        return u(rotate_through(cpu, u64(a), bits + 1 - count, bits))

    return rcr


@insn("SHLD", "0F A4 /r Ev,Gv,Ic", "0F A5 /r Ev,Gv,CL", ref="APM3 3 SHLD")
def shld(w: Width) -> Any:
    """Shift left, bits of the second operand from the right.

    IMPDEF: 16 bits by more than 16 go on with the first operand's own bits.
    """
    u, mask, bits = w.u, count_mask(w), w.bits

    @typed(inline=True)
    def shld(cpu: Cpu, a: u, b: u, n: u8) -> u:
        count = u64(n & mask)
        if count == 0:
            return a
        if bits == 64:
            before = (u64(a) << (count - 1)) | ((u64(b) >> 1) >> (64 - count))
            result = u((u64(a) << count) | (u64(b) >> (64 - count)))
        elif bits == 32:
            before = ((u64(a) << 32) | u64(b)) << (count - 1)
            result = u(before >> 31)
        else:
            before = ((u64(a) << 48) | (u64(b) << 32) | (u64(a) << 16)) << (count - 1)
            result = u(before >> 47)
        cpu.result = i64(signed(result))
        cpu.carries = before & TOP
        return result

    return shld


@insn("SHRD", "0F AC /r Ev,Gv,Ic", "0F AD /r Ev,Gv,CL", ref="APM3 3 SHRD")
def shrd(w: Width) -> Any:
    """Shift right, bits of the second operand from the left."""
    u, mask, bits = w.u, count_mask(w), w.bits

    @typed(inline=True)
    def shrd(cpu: Cpu, a: u, b: u, n: u8) -> u:
        count = u64(n & mask)
        if count == 0:
            return a
        if bits == 64:
            before = (u64(a) >> (count - 1)) | ((u64(b) << 1) << (64 - count))
            result = u((u64(a) >> count) | (u64(b) << (64 - count)))
        elif bits == 32:
            before = ((u64(b) << 32) | u64(a)) >> (count - 1)
            result = u(before >> 1)
        else:
            before = ((u64(a) << 32) | (u64(b) << 16) | u64(a)) >> (count - 1)
            result = u(before >> 1)
        overflow = (u(before) ^ result) >> (bits - 1)
        put_shifted(cpu, i64(signed(result)), before & 1, u64(overflow))
        return result

    return shrd
