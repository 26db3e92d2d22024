"""Operand functions: how the parts of a decoded record become values and where results go.

Each is inlined into the handlers that use it. This is the seam at which a copy-and-patch tier
replaces a load from the record by a patched immediate.
"""

from typing import Any

from worldswitch.engine import Typed, typed, u8, u16, u32, u64
from worldswitch.metal.x86.flags import WIDTHS, Width
from worldswitch.metal.x86.memory import LOAD, STORE
from worldswitch.metal.x86.state import RAX, RCX, RDX, Cpu, Record


@typed(inline=True)
def record(cpu: Cpu, rec: Record) -> Record:
    """The record itself."""
    return rec


ANYWHERE: dict[str, Typed[Any, Any]] = {"rec": record}


@typed(inline=True)
def effective(cpu: Cpu, rec: Record) -> u64:
    """Linear address of the memory operand."""
    index = cpu.gr[rec.index] << u64(rec.scale)
    return cpu.gr[rec.base] + index + u64(rec.disp) + cpu.seg_base[rec.seg]


@typed(inline=True)
def next_rip(cpu: Cpu, rec: Record) -> u64:
    """RIP of the instruction that follows."""
    return rec.pc + u64(rec.ilen)


def _read_register(w: Width, member: str) -> Any:
    u = w.u
    if member == "vvvv":

        @typed(inline=True, name=f"read_vvvv_{w.letter}")
        def read(cpu: Cpu, rec: Record) -> u:
            return u(cpu.gr[rec.vvvv])
    elif member == "reg":
        if w.bits == 8:

            @typed(inline=True, name="read_reg_b")
            def read(cpu: Cpu, rec: Record) -> u:
                return u8(cpu.gr[rec.reg] >> u64(rec.reg_shift))
        else:

            @typed(inline=True, name=f"read_reg_{w.letter}")
            def read(cpu: Cpu, rec: Record) -> u:
                return u(cpu.gr[rec.reg])
    elif w.bits == 8:

        @typed(inline=True, name="read_rm_b")
        def read(cpu: Cpu, rec: Record) -> u:
            return u8(cpu.gr[rec.rm] >> u64(rec.rm_shift))
    else:

        @typed(inline=True, name=f"read_rm_{w.letter}")
        def read(cpu: Cpu, rec: Record) -> u:
            return u(cpu.gr[rec.rm])

    return read


@typed(inline=True)
def put_b(cpu: Cpu, number: u8, shift: u8, value: u8) -> None:
    """Write a byte register; the rest of the register stays."""
    kept = cpu.gr[number] & ~(u64(0xFF) << u64(shift))
    cpu.gr[number] = kept | (u64(value) << u64(shift))


@typed(inline=True)
def put_w(cpu: Cpu, number: u8, value: u16) -> None:
    """Write a 16-bit register; the rest of the register stays."""
    cpu.gr[number] = (cpu.gr[number] & 0xFFFF_FFFF_FFFF_0000) | u64(value)


@typed(inline=True)
def put_d(cpu: Cpu, number: u8, value: u32) -> None:
    """Write a 32-bit register; the upper half becomes zero."""
    cpu.gr[number] = u64(value)


@typed(inline=True)
def put_q(cpu: Cpu, number: u8, value: u64) -> None:
    """Write a 64-bit register."""
    cpu.gr[number] = value


PUT = {16: put_w, 32: put_d, 64: put_q}
"""Write a whole general register by number, by width."""


def _write_register(w: Width, member: str) -> Any:
    u = w.u
    if w.bits == 8:
        if member == "reg":

            @typed(inline=True, name="write_reg_b")
            def write(cpu: Cpu, rec: Record, value: u) -> None:
                put_b(cpu, rec.reg, rec.reg_shift, value)
        else:

            @typed(inline=True, name="write_rm_b")
            def write(cpu: Cpu, rec: Record, value: u) -> None:
                put_b(cpu, rec.rm, rec.rm_shift, value)

        return write
    put = PUT[w.bits]
    if member == "reg":

        @typed(inline=True, name=f"write_reg_{w.letter}")
        def write(cpu: Cpu, rec: Record, value: u) -> None:
            put(cpu, rec.reg, value)
    elif member == "vvvv":

        @typed(inline=True, name=f"write_vvvv_{w.letter}")
        def write(cpu: Cpu, rec: Record, value: u) -> None:
            put(cpu, rec.vvvv, value)
    else:

        @typed(inline=True, name=f"write_rm_{w.letter}")
        def write(cpu: Cpu, rec: Record, value: u) -> None:
            put(cpu, rec.rm, value)

    return write


def _read_memory(w: Width) -> Any:
    u, load = w.u, LOAD[w.bits]

    @typed(leaves=True, inline=True, name=f"read_mem_{w.letter}")
    def read(cpu: Cpu, rec: Record) -> u:
        return load(cpu, rec.seg, effective(cpu, rec))

    return read


def _write_memory(w: Width) -> Any:
    u, store = w.u, STORE[w.bits]

    @typed(leaves=True, inline=True, name=f"write_mem_{w.letter}")
    def write(cpu: Cpu, rec: Record, value: u) -> None:
        store(cpu, rec.seg, effective(cpu, rec), value)

    return write


def _immediate(w: Width) -> Any:
    u = w.u

    @typed(inline=True, name=f"immediate_{w.letter}")
    def immediate(cpu: Cpu, rec: Record) -> u:
        return u(u64(rec.imm))

    return immediate


def _fixed_read(w: Width, number: int, name: str) -> Any:
    u = w.u

    @typed(inline=True, name=f"read_{name}_{w.letter}")
    def read(cpu: Cpu, rec: Record) -> u:
        return u(cpu.gr[number])

    return read


def _fixed_write(w: Width, number: int, name: str) -> Any:
    u = w.u
    if w.bits == 8:

        @typed(inline=True, name=f"write_{name}_b")
        def write(cpu: Cpu, rec: Record, value: u) -> None:
            put_b(cpu, u8(number), u8(0), value)

        return write
    put = PUT[w.bits]

    @typed(inline=True, name=f"write_{name}_{w.letter}")
    def write(cpu: Cpu, rec: Record, value: u) -> None:
        put(cpu, u8(number), value)

    return write


def _one(w: Width) -> Any:
    u = w.u

    @typed(inline=True, name=f"one_{w.letter}")
    def one(cpu: Cpu, rec: Record) -> u:
        return u(1)

    return one


def _all(make: Any, *args: Any) -> dict[int, Any]:
    return {bits: make(width, *args) for bits, width in WIDTHS.items()}


READ_REG, WRITE_REG = _all(_read_register, "reg"), _all(_write_register, "reg")
READ_RM, WRITE_RM = _all(_read_register, "rm"), _all(_write_register, "rm")
READ_V = {bits: _read_register(WIDTHS[bits], "vvvv") for bits in (16, 32, 64)}
WRITE_V = {bits: _write_register(WIDTHS[bits], "vvvv") for bits in (16, 32, 64)}
READ_MEM, WRITE_MEM = _all(_read_memory), _all(_write_memory)
IMMEDIATE, ONE = _all(_immediate), _all(_one)
READ_A, WRITE_A = _all(_fixed_read, RAX, "a"), _all(_fixed_write, RAX, "a")
READ_C, READ_D = _all(_fixed_read, RCX, "c"), _all(_fixed_read, RDX, "d")
