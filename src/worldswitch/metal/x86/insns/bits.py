"""BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT, CRC32. ref: APM3 3"""

from typing import Any

from worldswitch.engine import clz, ctz, i64, popcount, signed, typed, u8, u32, u64
from worldswitch.metal.x86.flags import CF, Width, flags_logic, put_cf
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.memory import LOAD, MODIFY, PEEK, POKE, modified
from worldswitch.metal.x86.mode import MODE_ALIGN
from worldswitch.metal.x86.offsets import displaced
from worldswitch.metal.x86.operands import PUT, READ_MEM, READ_REG, READ_RM, effective
from worldswitch.metal.x86.state import Cpu, Record

TEST, SET, RESET, COMPLEMENT = range(4)
LONG_OFFSET = 0x800
"""`rec.spare2` of an `address=False` instruction whose offsets have 64 bits."""


@typed(leaves=True, inline=True)
def string_address(cpu: Cpu, rec: Record, more: u64, size: u64, write: bool) -> u64:
    """Linear address of the part of a bit string that lies `more` bytes behind its start."""
    if rec.spare2 == LONG_OFFSET and cpu.mode & MODE_ALIGN == 0:
        return effective(cpu, rec) + more
    return displaced(cpu, rec, more, size, write)


def _bit_test(number: int, name: str) -> None:
    ref = f"APM3 3 {name}"
    digit, opcode, write = number + 4, 0xA3 + number * 8, number != TEST

    def template(w: Width) -> Any:
        u, mask = w.u, w.bits - 1

        @typed(inline=True)
        def test(cpu: Cpu, a: u, n: u8) -> None:
            put_cf(cpu, (a >> (n & mask)) & 1 != 0)

        @typed(inline=True)
        def change(cpu: Cpu, a: u, n: u8) -> u:
            bit = u(1) << (n & mask)
            put_cf(cpu, a & bit != 0)
            if number == SET:
                return a | bit
            if number == RESET:
                return a & ~bit
            return a ^ bit

        return change if write else test

    def register_template(w: Width) -> Any:
        u, op = w.u, template(w)
        if not write:

            @typed(inline=True)
            def test(cpu: Cpu, a: u, n: u) -> None:
                op(cpu, a, u8(n))

            return test

        @typed(inline=True)
        def change(cpu: Cpu, a: u, n: u) -> u:
            return op(cpu, a, u8(n))

        return change

    def memory_template(w: Width) -> Any:
        op, read, size = template(w), READ_REG[w.bits], w.bytes
        shift = w.bits.bit_length() - 1
        if not write:
            load = LOAD[w.bits]

            @typed(leaves=True, inline=True)
            def test(cpu: Cpu, rec: Record) -> None:
                n = read(cpu, rec)
                more = u64((i64(signed(n)) >> shift) * size)
                a = load(cpu, rec.seg, string_address(cpu, rec, more, size, False))
                op(cpu, a, u8(n))

            return test
        modify, peek, poke = MODIFY[w.bits], PEEK[w.bits], POKE[w.bits]

        @typed(leaves=True, inline=True)
        def change(cpu: Cpu, rec: Record) -> None:
            n = read(cpu, rec)
            more = u64((i64(signed(n)) >> shift) * size)
            host = modify(cpu, rec.seg, string_address(cpu, rec, more, size, True))
            poke(host, op(cpu, peek(host), u8(n)))
            modified(cpu, host)

        return change

    insn(name, f"0F BA /{digit} Ev,Ic", ref=ref, lock=write)(template)
    insn(name, f"0F {opcode:02X} /r /R Ev,Gv", ref=ref)(register_template)
    insn(
        name, f"0F {opcode:02X} /r /m Ev,Gv", ref=ref, raw=True, lock=write, writes=write,
        address=False,
    )(memory_template)  # fmt: skip


for _number, _name in enumerate(("BT", "BTS", "BTR", "BTC")):
    _bit_test(_number, _name)


def _source(w: Width, mod: str) -> Any:
    return (READ_MEM if mod == "mem" else READ_RM)[w.bits]


@insn("BSF", "0F BC /r Gv,Ev", ref="APM3 3 BSF", raw=True)
def bsf(w: Width, mod: str) -> Any:
    """Number of the lowest bit that is set; of zero: ZF, and the register stays."""
    read, put, flags = _source(w, mod), PUT[w.bits], flags_logic[w.bits]

    @typed(leaves=True, inline=True)
    def bsf(cpu: Cpu, rec: Record) -> None:
        a = read(cpu, rec)
        flags(cpu, a)
        if a != 0:
            put(cpu, rec.reg, ctz(a))

    return bsf


@insn("BSR", "0F BD /r Gv,Ev", ref="APM3 3 BSR", raw=True)
def bsr(w: Width, mod: str) -> Any:
    """Number of the highest bit that is set; of zero: ZF, and the register stays."""
    read, put, flags, top = _source(w, mod), PUT[w.bits], flags_logic[w.bits], w.bits - 1

    @typed(leaves=True, inline=True)
    def bsr(cpu: Cpu, rec: Record) -> None:
        a = read(cpu, rec)
        flags(cpu, a)
        if a != 0:
            put(cpu, rec.reg, clz(a) ^ top)

    return bsr


def _count_zeros(w: Width, count: Any) -> Any:
    u = w.u

    @typed(inline=True)
    def count_zeros(cpu: Cpu, a: u) -> u:
        result = count(a)
        cpu.result = i64(signed(result))
        cpu.carries = 0
        if a == 0:
            cpu.carries = CF
            cpu.carries = cpu.carries | (CF >> 1)
        return result

    return count_zeros


@insn("TZCNT", "F3 0F BC /r Gv,Ev", ref="APM3 3 TZCNT", feature="bmi1")
def tzcnt(w: Width) -> Any:
    """Zeros below the lowest bit that is set; CF for a source of zero."""
    return _count_zeros(w, ctz)


@insn("LZCNT", "F3 0F BD /r Gv,Ev", ref="APM3 3 LZCNT", feature="abm")
def lzcnt(w: Width) -> Any:
    """Zeros above the highest bit that is set; CF for a source of zero."""
    return _count_zeros(w, clz)


@insn("POPCNT", "F3 0F B8 /r Gv,Ev", ref="APM3 3 POPCNT", feature="popcnt")
def popcnt(w: Width) -> Any:
    """Number of bits that are set; ZF for none, the other flags zero."""
    u = w.u

    @typed(inline=True)
    def popcnt(cpu: Cpu, a: u) -> u:
        result = popcount(a)
        cpu.result = i64(u64(result))
        cpu.carries = 0
        if popcount(result) & 1 == 0:
            cpu.carries = 0x100
        return result

    return popcnt


POLYNOMIAL = 0x82F6_3B78
"""Of CRC-32C, its bits in reverse."""


def _crc(w: Width) -> Any:
    bits = w.bits

    @typed(inline=False, name=f"crc32_{w.letter}")
    def crc(start: u32, value: u64) -> u32:
        """CRC-32C continued over a value of this width."""
        rest = u64(start) ^ value
        n: u64 = 0
        while n < bits:
            rest = (rest >> 1) ^ (POLYNOMIAL & (0 - (rest & 1)))
            n += 1
        return u32(rest)

    return crc


@insn("CRC32", "F2 0F 38 F0 /r Gd,Eb", "F2 0F 38 F1 /r Gd,Ev", ref="APM3 3 CRC32",
      feature="sse4_2")  # fmt: skip
def crc32(w: Width, s: Width) -> Any:
    """CRC-32C of the destination and the source's bytes."""
    crc, v = _crc(s), s.u

    @typed(inline=True)
    def crc32(cpu: Cpu, a: u32, b: v) -> u32:
        return crc(a, u64(b))

    return crc32
