"""Translation between one- and two-byte characters, and tests of them by a table.

ref: PoP 7 TRANSLATE ONE TO ONE and others; PoP 7 TRANSLATE AND TEST EXTENDED
"""

from worldswitch.engine import typed, u8, u16, u32, u64
from worldswitch.metal.s390x.access import space_of
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.strings import (
    UNIT,
    address_in,
    length_in,
    set_address,
    set_length,
)
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    fetch_u8,
    fetch_u16,
    store_u8,
    store_u16,
)
from worldswitch.metal.s390x.mode import MODE_ACCESS_REGISTER
from worldswitch.metal.s390x.state import OP1, OP2, SCRATCH1, Cpu

EXTENDED_TRANSLATION_2 = 16
PARSING_ENHANCEMENT = 26
ETF2_ENHANCEMENT = 1 << (63 - 24)
"""Facility 24 in the first doubleword of the facility list."""
NO_TEST = 1
"""Bit 3 of M3: no result character ends the operation."""


@typed(leaves=True)
def use_register_1(cpu: Cpu) -> None:
    """Make SCRATCH1 the space of an operand that general register 1 designates."""
    if cpu.mode & MODE_ACCESS_REGISTER != 0:
        cpu.ctx[SCRATCH1] = space_of(cpu, u8(1))
    else:
        cpu.ctx[SCRATCH1] = cpu.ctx[OP1]


@typed(leaves=True)
def character(cpu: Cpu, space: u32, at: u64, wide: bool) -> u64:
    """A character of one or two bytes."""
    if wide:
        return u64(fetch_u16(cpu, space, at))
    return u64(fetch_u8(cpu, space, at))


def _translations() -> None:
    for mnemonic, opcode, wide_source, wide_result, ref in (
        ("TRTT", "B990", True, True, "PoP 7 TRANSLATE TWO TO TWO"),
        ("TRTO", "B991", True, False, "PoP 7 TRANSLATE TWO TO ONE"),
        ("TROT", "B992", False, True, "PoP 7 TRANSLATE ONE TO TWO"),
        ("TROO", "B993", False, False, "PoP 7 TRANSLATE ONE TO ONE"),
    ):
        from_size = 2 if wide_source else 1
        to_size = 2 if wide_result else 1

        @insn(mnemonic, opcode, "RRF", ref=ref, facility=EXTENDED_TRANSLATION_2,
              access_registers=("r1", "r2"))  # fmt: skip
        def translate(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
            """Translate by the table at register 1 until the test character in register 0."""
            count = length_in(cpu, r1 + 1)
            if r1 & 1 != 0 or count & (from_size - 1) != 0:
                specification(cpu)
            enhanced = cpu.facilities[0] & ETF2_ENHANCEMENT != 0
            testing = not enhanced or m3 & NO_TEST == 0
            # A doubleword boundary; without the enhancement TRTO and TRTT have a page's.
            table = address_in(cpu, u8(1)) & ~u64(7)
            if wide_source and not enhanced:
                table = table & ~u64(4095)
            wanted = cpu.gr[0] & (0xFFFF if wide_result else 0xFF)
            use_register_1(cpu)
            to = address_in(cpu, r1)
            source = address_in(cpu, r2)
            cc: u64 = 0
            n: u64 = 0
            while count != 0 and cc == 0 and n < UNIT:
                index = character(cpu, OP2, source, wide_source)
                entry = (table + index * to_size) & cpu.address_mask
                result = character(cpu, SCRATCH1, entry, wide_result)
                if testing and result == wanted:
                    cc = 1
                else:
                    if wide_result:
                        store_u16(cpu, OP1, to, u16(result))
                    else:
                        store_u8(cpu, OP1, to, u8(result))
                    to = (to + to_size) & cpu.address_mask
                    source = (source + from_size) & cpu.address_mask
                    count -= from_size
                    set_address(cpu, r1, to)
                    set_length(cpu, r1 + 1, count)
                    set_address(cpu, r2, source)
                n += 1
            cpu.cc = 3 if cc == 0 and count != 0 else cc


_translations()

WIDE_ARGUMENT = 8
WIDE_FUNCTION = 4
LIMIT_ARGUMENT = 2


def _tests() -> None:
    for mnemonic, opcode, backwards, ref in (
        ("TRTE", "B9BF", False, "PoP 7 TRANSLATE AND TEST EXTENDED"),
        ("TRTRE", "B9BD", True, "PoP 7 TRANSLATE AND TEST REVERSE EXTENDED"),
    ):

        @insn(mnemonic, opcode, "RRF", ref=ref, facility=PARSING_ENHANCEMENT,
              access_registers=("r1", "r2"))  # fmt: skip
        def test(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
            """Find a character whose function code in the table at register 1 is not zero."""
            if r1 & 1 != 0:
                specification(cpu)
            wide = m3 & WIDE_ARGUMENT != 0
            wide_function = m3 & WIDE_FUNCTION != 0
            size: u64 = 2 if wide else 1
            count = length_in(cpu, r1 + 1)
            if count & (size - 1) != 0:
                specification(cpu)
            at = address_in(cpu, r1)
            table = address_in(cpu, u8(1)) & ~u64(7)
            use_register_1(cpu)
            function: u64 = 0
            n: u64 = 0
            while count != 0 and function == 0 and n < UNIT:
                index = character(cpu, OP1, at, wide)
                if index < 256 or m3 & LIMIT_ARGUMENT == 0:
                    entry = table + (index * 2 if wide_function else index)
                    function = character(cpu, SCRATCH1, entry & cpu.address_mask, wide_function)
                if function == 0:
                    if backwards:
                        at = (at - size) & cpu.address_mask
                    else:
                        at = (at + size) & cpu.address_mask
                    count -= size
                n += 1
            set_address(cpu, r1, at)
            set_length(cpu, r1 + 1, count)
            if function == 0 and count != 0:
                cpu.cc = 3
            else:
                if r2 != r1 and r2 != r1 + 1:
                    set_length(cpu, r2, function)
                cpu.cc = u64(function != 0)


_tests()
