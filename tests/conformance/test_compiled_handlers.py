"""Interceptions that compiled handlers deal with, by guest programs."""

import pytest

from tests.guests.sie_guest import PROGRAM, SieGuest
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.engine import bswap, peek_u8, peek_u32, poke_u32, typed, u64
from worldswitch.metal.s390x.regs import low
from worldswitch.metal.s390x.state import Cpu

ICPTCODE = StateDescription.offset_of("icptcode")
IPB = StateDescription.offset_of("ipb")
EXTENT = StateDescription.offset_of("msl") + 4
INST = int(Icpt.INST)
engines = pytest.mark.parametrize("engine", ["python", "native"])


@typed
def add_seven(cpu: Cpu, block: u64) -> bool:
    """DIAGNOSE X'500' adds 7 to register 2; the host sees the others."""
    if peek_u8(block + ICPTCODE) != INST or bswap(peek_u32(block + IPB)) >> 16 != 0x500:
        return False
    cpu.gr[2] += 7
    return True


@typed
def break_extent(cpu: Cpu, block: u64) -> bool:
    """Makes the state description invalid, and calls a function of the processor's own code."""
    poke_u32(block + EXTENT, bswap(low(cpu, 3)))
    return True


TEXT = """
        lghi %r2, 0
        lghi %r3, 1000
next:   diag %r1, %r2, 0x500
        brctg %r3, next
        diag %r1, %r2, 0x44
"""


@engines
def test_interception_dealt_with_never_comes_to_the_host(engine: str) -> None:
    guest = SieGuest(TEXT, engine)
    guest.host.handle_natively(add_seven)
    assert guest.run() is Icpt.INST
    assert guest.block.ipb >> 16 == 0x44
    assert guest.host.gr[2] == 7000
    guest.host.handle_natively(None)
    guest.block.gpsw_addr = PROGRAM
    assert guest.run() is Icpt.INST
    assert guest.block.ipb >> 16 == 0x500


@engines
def test_handler_that_breaks_a_rule_ends_in_the_validity_interception(engine: str) -> None:
    guest = SieGuest("lghi %r3, 0\n diag %r1, %r2, 0x500\n j .", engine)
    guest.host.handle_natively(break_extent)
    assert guest.run() is Icpt.VALIDITY


@engines
def test_endless_exits_end_with_the_time_slice(engine: str) -> None:
    guest = SieGuest("again: diag %r1, %r2, 0x500\n j again", engine)
    guest.host.handle_natively(add_seven)
    guest.host.time_slice = 2000
    assert guest.host.sie(guest.addresses[0]).name == "PREEMPTED"
    assert guest.host.gr[2] == 7000
