"""XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. ref: APM3 3"""

from typing import Any

from worldswitch.arch.x86.registers import Rflags
from worldswitch.engine import peek_u64, poke_u64, typed, u8, u32, u64
from worldswitch.metal.x86.flags import (
    Width,
    flags_add,
    flags_sub,
    set_status,
    status,
)
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.leave import general_protection
from worldswitch.metal.x86.memory import (
    MODIFY,
    PEEK,
    POKE,
    load_u64,
    modified,
    store_u64,
    write_page,
)
from worldswitch.metal.x86.operands import (
    PUT,
    READ_A,
    READ_REG,
    READ_RM,
    WRITE_A,
    WRITE_REG,
    WRITE_RM,
    effective,
)
from worldswitch.metal.x86.state import RAX, RBX, RCX, RDX, Cpu, Record

MODIFY64 = MODIFY[64]


@insn("XCHG", "90+r Zv", ref="APM3 3 XCHG; APM3 3 NOP", raw=True)
def xchg_accumulator(w: Width) -> Any:
    """Exchange with the accumulator; with itself: NOP, even of 32 bits."""
    read, write = READ_RM[w.bits], WRITE_RM[w.bits]
    read_a, put = READ_A[w.bits], PUT[w.bits]

    @typed(inline=True)
    def xchg_accumulator(cpu: Cpu, rec: Record) -> None:
        if rec.rm != RAX:
            value = read(cpu, rec)
            write(cpu, rec, read_a(cpu, rec))
            put(cpu, u8(RAX), value)

    return xchg_accumulator


@insn("XCHG", "86 /r Eb,Gb", "87 /r Ev,Gv", ref="APM3 3 XCHG", raw=True, lock=True, writes=True)
def xchg(w: Width, mod: str) -> Any:
    """Exchange; locked in any case."""
    read, write = READ_REG[w.bits], WRITE_REG[w.bits]
    if mod == "reg":
        read_rm, write_rm = READ_RM[w.bits], WRITE_RM[w.bits]

        @typed(inline=True)
        def xchg(cpu: Cpu, rec: Record) -> None:
            value = read_rm(cpu, rec)
            write_rm(cpu, rec, read(cpu, rec))
            write(cpu, rec, value)

        return xchg
    modify, peek, poke = MODIFY[w.bits], PEEK[w.bits], POKE[w.bits]

    @typed(leaves=True, inline=True)
    def xchg(cpu: Cpu, rec: Record) -> None:
        host = modify(cpu, rec.seg, effective(cpu, rec))
        value = peek(host)
        poke(host, read(cpu, rec))
        modified(cpu, host)
        write(cpu, rec, value)

    return xchg


@insn("XADD", "0F C0 /r Eb,Gb", "0F C1 /r Ev,Gv", ref="APM3 3 XADD", raw=True, lock=True,
      writes=True)  # fmt: skip
def xadd(w: Width, mod: str) -> Any:
    """Add, and give the old value of the destination to the source."""
    read, write, flags = READ_REG[w.bits], WRITE_REG[w.bits], flags_add[w.bits]
    if mod == "reg":
        read_rm, write_rm = READ_RM[w.bits], WRITE_RM[w.bits]

        @typed(inline=True)
        def xadd(cpu: Cpu, rec: Record) -> None:
            a = read_rm(cpu, rec)
            b = read(cpu, rec)
            write(cpu, rec, a)
            write_rm(cpu, rec, a + b)
            flags(cpu, a, b, a + b)

        return xadd
    modify, peek, poke = MODIFY[w.bits], PEEK[w.bits], POKE[w.bits]

    @typed(leaves=True, inline=True)
    def xadd(cpu: Cpu, rec: Record) -> None:
        host = modify(cpu, rec.seg, effective(cpu, rec))
        a = peek(host)
        b = read(cpu, rec)
        poke(host, a + b)
        modified(cpu, host)
        write(cpu, rec, a)
        flags(cpu, a, b, a + b)

    return xadd


@insn("CMPXCHG", "0F B0 /r Eb,Gb", "0F B1 /r Ev,Gv", ref="APM3 3 CMPXCHG", raw=True, lock=True,
      writes=True)  # fmt: skip
def cmpxchg(w: Width, mod: str) -> Any:
    """Store the source if the destination is equal to the accumulator, else load that.

    Memory is written in any case; of two registers the one that gets nothing stays as it is.
    """
    read, flags = READ_REG[w.bits], flags_sub[w.bits]
    read_a, write_a = READ_A[w.bits], WRITE_A[w.bits]
    if mod == "reg":
        read_rm, write_rm = READ_RM[w.bits], WRITE_RM[w.bits]

        @typed(inline=True)
        def cmpxchg(cpu: Cpu, rec: Record) -> None:
            old = read_rm(cpu, rec)
            wanted = read_a(cpu, rec)
            flags(cpu, wanted, old, wanted - old)
            if old == wanted:
                write_rm(cpu, rec, read(cpu, rec))
            else:
                write_a(cpu, rec, old)

        return cmpxchg
    modify, peek, poke = MODIFY[w.bits], PEEK[w.bits], POKE[w.bits]

    @typed(leaves=True, inline=True)
    def cmpxchg(cpu: Cpu, rec: Record) -> None:
        host = modify(cpu, rec.seg, effective(cpu, rec))
        old = peek(host)
        wanted = read_a(cpu, rec)
        new = old
        if old == wanted:
            new = read(cpu, rec)
        poke(host, new)
        modified(cpu, host)
        flags(cpu, wanted, old, wanted - old)
        if old != wanted:
            write_a(cpu, rec, old)

    return cmpxchg


@typed(inline=False)
def put_zf(cpu: Cpu, value: bool) -> None:
    """Change ZF alone."""
    others = status(cpu) & ~u64(Rflags.ZF)
    if value:
        others = others | Rflags.ZF
    set_status(cpu, others)


@typed(leaves=True, inline=False)
def exchange_8_bytes(cpu: Cpu, rec: Record) -> None:
    """EDX:EAX is compared, ECX:EBX stored."""
    host = MODIFY64(cpu, rec.seg, effective(cpu, rec))
    old = peek_u64(host)
    wanted = (cpu.gr[RDX] << 32) | u64(u32(cpu.gr[RAX]))
    new = old
    if old == wanted:
        new = (cpu.gr[RCX] << 32) | u64(u32(cpu.gr[RBX]))
    poke_u64(host, new)
    modified(cpu, host)
    if old != wanted:
        cpu.gr[RAX] = u64(u32(old))
        cpu.gr[RDX] = old >> 32
    put_zf(cpu, old == wanted)


@typed(leaves=True, inline=False)
def exchange_16_bytes(cpu: Cpu, rec: Record) -> None:
    """RDX:RAX is compared, RCX:RBX stored; #GP(0) if the operand is not aligned."""
    address = effective(cpu, rec)
    if address & 15 != 0:
        general_protection(cpu)
    host = write_page(cpu, rec.seg, address, 16)
    if host != 0:
        low = peek_u64(host)
        high = peek_u64(host + 8)
    else:
        low = load_u64(cpu, rec.seg, address)
        high = load_u64(cpu, rec.seg, address + 8)
    equal = low == cpu.gr[RAX] and high == cpu.gr[RDX]
    new_low = low
    new_high = high
    if equal:
        new_low = cpu.gr[RBX]
        new_high = cpu.gr[RCX]
    if host != 0:
        poke_u64(host, new_low)
        poke_u64(host + 8, new_high)
    else:
        store_u64(cpu, rec.seg, address, new_low)
        store_u64(cpu, rec.seg, address + 8, new_high)
    if not equal:
        cpu.gr[RAX] = low
        cpu.gr[RDX] = high
    put_zf(cpu, equal)


@insn("CMPXCHG8B", "0F C7 /1 My", ref="APM3 3 CMPXCHG8B, CMPXCHG16B", raw=True, lock=True,
      writes=True)  # fmt: skip
def cmpxchg8b(w: Width) -> Any:
    """Store rCX:rBX if the destination is equal to rDX:rAX, else load that. ZF alone changes."""
    exchange = exchange_16_bytes if w.bits == 64 else exchange_8_bytes

    @typed(leaves=True, inline=True)
    def cmpxchg8b(cpu: Cpu, rec: Record) -> None:
        exchange(cpu, rec)

    return cmpxchg8b
