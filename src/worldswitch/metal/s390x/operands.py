"""Operand functions: how an instruction's parameter is had from its decoded record.

Each is inlined into the handlers that use it. This is the seam at which a copy-and-patch tier
replaces a load from the record by a patched immediate.
"""

from typing import Any

from worldswitch.engine import Typed, i64, typed, u8, u64
from worldswitch.metal.s390x.formats import FORMATS
from worldswitch.metal.s390x.state import Cpu, Record


@typed(inline=True)
def r1(cpu: Cpu, rec: Record) -> u8:
    """First register, mask or length field."""
    return rec.r1


@typed(inline=True)
def r2(cpu: Cpu, rec: Record) -> u8:
    """Second register field."""
    return rec.r2


@typed(inline=True)
def r3(cpu: Cpu, rec: Record) -> u8:
    """Third register or mask field."""
    return rec.r3


@typed(inline=True)
def m4(cpu: Cpu, rec: Record) -> u8:
    """Fourth mask or immediate field."""
    return rec.m4


@typed(inline=True)
def x2(cpu: Cpu, rec: Record) -> u8:
    """Index register number, 16 if none."""
    return rec.x2


@typed(inline=True)
def b1(cpu: Cpu, rec: Record) -> u8:
    """First base register number, 16 if none."""
    return rec.b1


@typed(inline=True)
def b2(cpu: Cpu, rec: Record) -> u8:
    """Second base register number, 16 if none."""
    return rec.b2


@typed(inline=True)
def imm(cpu: Cpu, rec: Record) -> i64:
    """First displacement or immediate, extended as the format says."""
    return rec.imm


@typed(inline=True)
def imm2(cpu: Cpu, rec: Record) -> i64:
    """Second displacement or immediate, extended as the format says."""
    return rec.imm2


@typed(inline=True)
def target(cpu: Cpu, rec: Record) -> u64:
    """Relative operand's address, within the addressing mode."""
    return u64(rec.imm2) & cpu.address_mask


@typed(inline=True)
def address1(cpu: Cpu, rec: Record) -> u64:
    """B1 + D1, within the addressing mode."""
    return (cpu.gr[rec.b1] + u64(rec.imm)) & cpu.address_mask


@typed(inline=True)
def address2(cpu: Cpu, rec: Record) -> u64:
    """B2 + D2, within the addressing mode."""
    return (cpu.gr[rec.b2] + u64(rec.imm2)) & cpu.address_mask


@typed(inline=True)
def indexed2(cpu: Cpu, rec: Record) -> u64:
    """X2 + B2 + D2, within the addressing mode."""
    return (cpu.gr[rec.x2] + cpu.gr[rec.b2] + u64(rec.imm2)) & cpu.address_mask


@typed(inline=True)
def pc(cpu: Cpu, rec: Record) -> u64:
    """Address of the instruction (of the EXECUTE, if executed)."""
    return rec.pc


@typed(inline=True)
def next_pc(cpu: Cpu, rec: Record) -> u64:
    """Address of the next sequential instruction."""
    return (rec.pc + u64(rec.ilen)) & cpu.address_mask


@typed(inline=True)
def text(cpu: Cpu, rec: Record) -> u64:
    """The instruction's bytes, left-aligned."""
    return rec.text


@typed(inline=True)
def rec_address(cpu: Cpu, rec: Record) -> Record:
    """The record itself."""
    return rec


_BY_FIELD: dict[str, Typed[Any, Any]] = {
    "r1": r1, "r2": r2, "r3": r3, "m4": m4, "x2": x2, "b1": b1, "b2": b2,
    "imm": imm, "imm2": imm2,
}  # fmt: skip
ANYWHERE: dict[str, Typed[Any, Any]] = {
    "pc": pc, "next_pc": next_pc, "text": text, "rec": rec_address,
}  # fmt: skip


def operands_of(format: str) -> dict[str, Typed[Any, Any]]:
    """Operand functions by parameter name for instructions of `format`.

    addr1, addr2 and addr4 are effective addresses (of b1/d1, x2/b2/d2, b4/d4); `target` is a
    relative operand's address; pc, next_pc, text and rec exist for every format.
    """
    result = dict(ANYWHERE)
    for operand in FORMATS[format]:
        result[operand.name] = target if operand.name == "target" else _BY_FIELD[operand.field]
    if "d1" in result:
        result["addr1"] = address1
    if "d2" in result:
        result["addr2"] = indexed2 if "x2" in result else address2
    if "d4" in result:
        result["addr4"] = address2 if format in ("RIS", "RRS") else address1
    return result
