"""Operands and results of HFP instructions, by format. ref: PoP chapter 18."""

from typing import Any

from worldswitch.engine import Typed, typed, u8, u16, u32, u64, u128
from worldswitch.metal.s390x.hfp.arithmetic import EXTENDED, HALF, LONG, SHORT, SIGN
from worldswitch.metal.s390x.insns.registers_fp import fr, set_fr, set_short
from worldswitch.metal.s390x.leave import program, specification
from worldswitch.metal.s390x.memory import fetch_u32, fetch_u64
from worldswitch.metal.s390x.state import OP2, Cpu


@typed(inline=True)
def any_register(cpu: Cpu, r: u8) -> None:
    """A short or long operand may be in every register that decoding has let pass."""


@typed(leaves=True, inline=True)
def check_pair(cpu: Cpu, r: u8) -> None:
    """An extended operand needs register 0, 1, 4, 5, 8, 9, 12 or 13."""
    if r & 2 != 0:
        specification(cpu)


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
    """Image of an extended operand; the low-order part's sign and characteristic are ignored."""
    return (u128(fr(cpu, r)) << 64) | (u128(fr(cpu, r + 2) & HALF) << 8)


@typed(inline=True)
def put_short(cpu: Cpu, r: u8, image: u128) -> None:
    """Replace a short number."""
    set_short(cpu, r, u32(image >> 96))


@typed(inline=True)
def put_long(cpu: Cpu, r: u8, image: u128) -> None:
    """Replace a long number."""
    set_fr(cpu, r, u64(image >> 64))


@typed(inline=False)
def put_extended(cpu: Cpu, r: u8, image: u128) -> None:
    """Replace an extended number; the low-order characteristic is 14 less, but that of 0 is 0."""
    high = u64(image >> 64)
    low = u64(image >> 8) & HALF
    if image << 1 != 0:
        low = low | ((((high >> 56) - 14) & 127) << 56)
    set_fr(cpu, r, high)
    set_fr(cpu, r + 2, low | (high & (SIGN >> 64)))


@typed(leaves=True, inline=True)
def load_short(cpu: Cpu, address: u64) -> u128:
    """Image of a short second operand in storage."""
    return u128(fetch_u32(cpu, OP2, address)) << 96


@typed(leaves=True, inline=True)
def load_long(cpu: Cpu, address: u64) -> u128:
    """Image of a long second operand in storage."""
    return u128(fetch_u64(cpu, OP2, address)) << 64


CHECK: dict[int, Typed[Any, Any]] = {
    SHORT: any_register,
    LONG: any_register,
    EXTENDED: check_pair,
}
GET: dict[int, Typed[Any, Any]] = {SHORT: get_short, LONG: get_long, EXTENDED: get_extended}
PUT: dict[int, Typed[Any, Any]] = {SHORT: put_short, LONG: put_long, EXTENDED: put_extended}
LOAD: dict[int, Typed[Any, Any]] = {SHORT: load_short, LONG: load_long}


@typed(leaves=True, inline=True)
def interrupt(cpu: Cpu, code: u16) -> None:
    """The program interruption that follows a result, if any."""
    if code != 0:
        program(cpu, code)
