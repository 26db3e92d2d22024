"""Editing, and packing of decimal numbers written in other ways. ref: PoP chapters 7, 8."""

from worldswitch.arch.s390x.program import DataExceptionCode, ProgramCode
from worldswitch.engine import i64, typed, u8, u64, u128
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.decimal import (
    fetch_packed,
    has_bad_digit,
    is_minus,
    store_packed,
)
from worldswitch.metal.s390x.insns.strings import set_mark
from worldswitch.metal.s390x.leave import data_exception, program, specification
from worldswitch.metal.s390x.memory import check_write, fetch_u8, store_u8
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

DECIMAL_OPERAND = int(DataExceptionCode.DECIMAL_OPERAND)
DIGIT_SELECTOR = 0x20
SIGNIFICANCE_STARTER = 0x21
FIELD_SEPARATOR = 0x22
EXTENDED_TRANSLATION_2 = 16


@typed(leaves=True, inline=False)
def edit_pass(cpu: Cpu, l1: u8, addr1: u64, addr2: u64, storing: bool, marking: bool) -> None:
    """Go through the pattern once: only look at what is accessed, or store as well."""
    fill: u8 = 0
    source: u8 = 0
    upper = True
    significant = False
    nonzero = False
    from_at = addr2
    n: u64 = 0
    while n <= u64(l1):
        at = (addr1 + n) & cpu.address_mask
        pattern = fetch_u8(cpu, OP1, at)
        if n == 0:
            fill = pattern
        result = fill
        if pattern == DIGIT_SELECTOR or pattern == SIGNIFICANCE_STARTER:
            plus = False
            if upper:
                source = fetch_u8(cpu, OP2, from_at)
                from_at = (from_at + 1) & cpu.address_mask
                digit = source >> 4
                if digit > 9:
                    data_exception(cpu, u8(DECIMAL_OPERAND))
                sign = source & 15
                # A sign to the right of the digit ends the number; a plus ends significance too.
                upper = sign > 9
                plus = sign > 9 and not is_minus(sign)
            else:
                digit = source & 15
                upper = True
            if digit != 0 or significant:
                result = digit | 0xF0
                if marking and storing and not significant:
                    set_mark(cpu, 1, at)
            if digit != 0:
                nonzero = True
                significant = True
            if pattern == SIGNIFICANCE_STARTER:
                significant = True
            if plus:
                significant = False
        elif pattern == FIELD_SEPARATOR:
            significant = False
            nonzero = False
        elif significant:
            result = pattern
        if storing:
            store_u8(cpu, OP1, at, result)
        n += 1
    if storing:
        cpu.cc = 0
        if nonzero:
            cpu.cc = 1 if significant else 2


def _edits() -> None:
    for mnemonic, opcode, marking, ref in (
        ("ED", "DE", False, "PoP 8 EDIT"),
        ("EDMK", "DF", True, "PoP 8 EDIT AND MARK"),
    ):

        @insn(mnemonic, opcode, "SS_a", ref=ref)
        def edit(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
            """Replace the pattern by digits of the packed source, fill bytes and message bytes."""
            check_write(cpu, OP1, addr1, u64(l1) + 1)
            edit_pass(cpu, l1, addr1, addr2, False, marking)
            edit_pass(cpu, l1, addr1, addr2, True, marking)


_edits()


@insn("TP", "EBC0", "RSL", ref="PoP 8 TEST DECIMAL", facility=EXTENDED_TRANSLATION_2)
def tp(cpu: Cpu, l1: u8, addr1: u64) -> None:
    """Condition code 1 for an invalid sign, 2 for an invalid digit, 3 for both."""
    value = fetch_packed(cpu, OP1, addr1, u64(l1))
    cpu.cc = 0
    if value & 15 < 10:
        cpu.cc = 1
    if has_bad_digit(value >> 4):
        cpu.cc = cpu.cc | 2


def _pack_other() -> None:
    for mnemonic, opcode, wide, ref in (
        ("PKA", "E9", False, "PoP 7 PACK ASCII"),
        ("PKU", "E1", True, "PoP 7 PACK UNICODE"),
    ):
        size = 2 if wide else 1

        @insn(mnemonic, opcode, "SS_f", ref=ref, facility=EXTENDED_TRANSLATION_2)
        def pack(cpu: Cpu, l2: u8, addr1: u64, addr2: u64) -> None:
            """Pack the digits of up to 32 characters into 16 bytes with a plus sign."""
            count = u64(l2) + 1
            if count > 32 * size or count & (size - 1) != 0:
                specification(cpu)
            check_write(cpu, OP1, addr1, u64(16))
            value: u128 = 0
            n: u64 = size - 1
            while n < count:
                byte = fetch_u8(cpu, OP2, (addr2 + n) & cpu.address_mask)
                value = (value << 4) | u128(byte & 15)
                n += size
            store_packed(cpu, OP1, addr1, u64(15), (value << 4) | 0xC)

    for mnemonic, opcode, wide, ref in (
        ("UNPKA", "EA", False, "PoP 7 UNPACK ASCII"),
        ("UNPKU", "E2", True, "PoP 7 UNPACK UNICODE"),
    ):
        size = 2 if wide else 1

        @insn(mnemonic, opcode, "SS_a", ref=ref, facility=EXTENDED_TRANSLATION_2)
        def unpack(cpu: Cpu, l1: u8, addr1: u64, addr2: u64) -> None:
            """Up to 31 digits of 16 packed bytes, and zeros before them, as characters.

            Condition code 0 for a plus sign, 1 for a minus, 3 for none.
            """
            count = u64(l1) + 1
            if count > 32 * size or count & (size - 1) != 0:
                specification(cpu)
            check_write(cpu, OP1, addr1, count)
            value = fetch_packed(cpu, OP2, addr2, u64(15))
            sign = u8(value & 15)
            left = count
            while left != 0:
                value = value >> 4
                left -= 1
                byte = u8(value & 15) | 0x30
                store_u8(cpu, OP1, (addr1 + left) & cpu.address_mask, byte)
                if wide:
                    left -= 1
                    store_u8(cpu, OP1, (addr1 + left) & cpu.address_mask, u8(0))
            cpu.cc = 3
            if sign > 9:
                cpu.cc = 1 if is_minus(sign) else 0


_pack_other()

LARGEST = (1 << 63) - 1


@insn("CVBG", "E30E", "RXY_a", ref="PoP 7 CONVERT TO BINARY")
def cvbg(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Packed decimal of 16 bytes to 64 bits; suppressed if it does not fit."""
    value = fetch_packed(cpu, OP2, addr2, u64(15))
    sign = u8(value & 15)
    if sign < 10 or has_bad_digit(value >> 4):
        data_exception(cpu, u8(DECIMAL_OPERAND))
    total: u128 = 0
    position: u64 = 128
    while position != 4:
        position -= 4
        total = total * 10 + ((value >> position) & 15)
    limit: u128 = LARGEST
    if is_minus(sign):
        limit += 1
    if total > limit:
        program(cpu, ProgramCode.FIXED_POINT_DIVIDE)
    magnitude = u64(total)
    cpu.gr[r1] = u64(-i64(magnitude)) if is_minus(sign) else magnitude
