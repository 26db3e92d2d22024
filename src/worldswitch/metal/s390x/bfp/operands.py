"""Operands and results of BFP instructions, by format (a dict with its exponent width as key)."""

from worldswitch.engine import typed, u8, u32, u64, u128
from worldswitch.metal.s390x.bfp.fields import DXC_SCALED, DXC_SUPPRESSING, condition_of
from worldswitch.metal.s390x.bfp.rounding import SHORTER, SUPPRESS, current_mode
from worldswitch.metal.s390x.insns.registers_fp import fr, set_fr, set_short
from worldswitch.metal.s390x.leave import data_exception, specification
from worldswitch.metal.s390x.memory import fetch_u32, fetch_u64
from worldswitch.metal.s390x.state import OP2, Cpu
from worldswitch.metal.softfloat.images import EXTENDED, LONG, SHORT

FORMATS = (("E", SHORT), ("D", LONG), ("X", EXTENDED))
"""Letter in mnemonics and exponent width."""
FLOATING_POINT_EXTENSION = 1 << (63 - 37)
"""Facility 37 in the facility list's first doubleword."""


@typed(inline=True)
def get_short(cpu: Cpu, r: u8) -> u128:
    """Image of a short operand."""
    return u128(fr(cpu, r) >> 32) << 96


@typed(inline=True)
def get_long(cpu: Cpu, r: u8) -> u128:
    """Image of a long operand."""
    return u128(fr(cpu, r)) << 64


@typed(inline=True)
def get_extended(cpu: Cpu, r: u8) -> u128:
    """Image of an extended operand, whose register number is checked already."""
    return (u128(fr(cpu, r)) << 64) | u128(fr(cpu, r + 2))


@typed(inline=True)
def put_short(cpu: Cpu, r: u8, image: u128) -> None:
    """Replace a short number."""
    set_short(cpu, r, u32(image >> 96))


@typed(inline=True)
def put_long(cpu: Cpu, r: u8, image: u128) -> None:
    """Replace a long number."""
    set_fr(cpu, r, u64(image >> 64))


@typed(inline=True)
def put_extended(cpu: Cpu, r: u8, image: u128) -> None:
    """Replace an extended number."""
    set_fr(cpu, r, u64(image >> 64))
    set_fr(cpu, r + 2, u64(image))


@typed(leaves=True, inline=True)
def load_short(cpu: Cpu, address: u64) -> u128:
    """Image of a short second operand in storage."""
    return u128(fetch_u32(cpu, OP2, address)) << 96


@typed(leaves=True, inline=True)
def load_long(cpu: Cpu, address: u64) -> u128:
    """Image of a long second operand in storage."""
    return u128(fetch_u64(cpu, OP2, address)) << 64


GET = {SHORT: get_short, LONG: get_long, EXTENDED: get_extended}
PUT = {SHORT: put_short, LONG: put_long, EXTENDED: put_extended}
LOAD = {SHORT: load_short, LONG: load_long}


@typed(leaves=True, inline=True)
def check_pair(cpu: Cpu, r: u8) -> None:
    """An extended operand needs register 0, 1, 4, 5, 8, 9, 12 or 13."""
    if r & 2 != 0:
        specification(cpu)


@typed(leaves=True, inline=True)
def suppress(cpu: Cpu, dxc: u64) -> None:
    """Leave now if the exception suppresses the operation."""
    if dxc & DXC_SUPPRESSING != 0:
        data_exception(cpu, u8(dxc))


def _complete(w: int):  # type: ignore[no-untyped-def]
    put = PUT[w]

    @typed(leaves=True, inline=False, name=f"complete_{w}")
    def complete(cpu: Cpu, r: u8, image: u128, dxc: u64) -> None:
        """Place a result and interrupt if an exception traps."""
        suppress(cpu, dxc)
        put(cpu, r, image)
        if dxc != 0:
            data_exception(cpu, u8(dxc))

    return complete


def _complete_cc(w: int):  # type: ignore[no-untyped-def]
    put = PUT[w]

    @typed(leaves=True, inline=False, name=f"complete_cc_{w}")
    def complete_cc(cpu: Cpu, r: u8, image: u128, dxc: u64) -> None:
        """As `complete`, with the condition code of the result."""
        suppress(cpu, dxc)
        put(cpu, r, image)
        cpu.cc = condition_of(w, image)
        if dxc != 0:
            data_exception(cpu, u8(dxc))

    return complete_cc


COMPLETE = {w: _complete(w) for w in (SHORT, LONG, EXTENDED)}
COMPLETE_CC = {w: _complete_cc(w) for w in (SHORT, LONG, EXTENDED)}


def _complete_rounded(w: int, wider: int):  # type: ignore[no-untyped-def]
    put = PUT[w]
    put_scaled = PUT[wider]

    @typed(leaves=True, inline=False, name=f"complete_rounded_{w}_{wider}")
    def complete_rounded(cpu: Cpu, r: u8, image: u128, dxc: u64) -> None:
        """As `complete`, for LOAD ROUNDED: a scaled result is in the source's format."""
        suppress(cpu, dxc)
        if dxc & DXC_SCALED != 0:
            put_scaled(cpu, r, image)
        else:
            put(cpu, r, image)
        if dxc != 0:
            data_exception(cpu, u8(dxc))

    return complete_rounded


COMPLETE_ROUNDED = {
    (w, wider): _complete_rounded(w, wider)
    for w, wider in ((SHORT, LONG), (SHORT, EXTENDED), (LONG, EXTENDED))
}


@typed(leaves=True, inline=False)
def method_of(cpu: Cpu, m3: u8) -> u64:
    """The rounding method that an M3 field names. ref: PoP 19 Rounding Methods"""
    if m3 == 0:
        return current_mode(cpu)
    if m3 == 2 or m3 > 7:
        specification(cpu)
    if m3 == SHORTER and cpu.facilities[0] & FLOATING_POINT_EXTENSION == 0:
        specification(cpu)
    return u64(m3)


@typed(inline=True)
def suppression_of(cpu: Cpu, m4: u8) -> u64:
    """SUPPRESS if an M4 field has XxC one; without the facility the field is ignored."""
    if m4 & 4 != 0 and cpu.facilities[0] & FLOATING_POINT_EXTENSION != 0:
        return u64(SUPPRESS)
    return u64(0)


@typed(leaves=True, inline=True)
def how_of(cpu: Cpu, m3: u8, m4: u8) -> u64:
    """Rounding method and inexact suppression of instructions that have M3 from the start."""
    return method_of(cpu, m3) | suppression_of(cpu, m4)


@typed(leaves=True, inline=False)
def extended_how_of(cpu: Cpu, m3: u8, m4: u8) -> u64:
    """As `how_of`, for instructions to which facility 37 gave an M3 field: ignored without it."""
    if cpu.facilities[0] & FLOATING_POINT_EXTENSION == 0:
        return current_mode(cpu)
    return how_of(cpu, m3, m4)
