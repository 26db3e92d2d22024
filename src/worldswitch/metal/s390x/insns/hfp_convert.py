"""Hexadecimal floating-point instructions: signs, formats and integers. ref: PoP chapter 18."""

from worldswitch.engine import i32, i64, typed, u8, u32, u64, u128
from worldswitch.metal.s390x.hfp.arithmetic import (
    EXTENDED,
    LONG,
    SHORT,
    SIGN,
    condition_of,
    fraction_of,
    from_integer,
    integer_part,
    round_to,
    to_integer,
)
from worldswitch.metal.s390x.hfp.binary import from_binary, to_binary
from worldswitch.metal.s390x.hfp.operands import CHECK, GET, LOAD, PUT, interrupt
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.registers_fp import BOTH
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import Cpu

FORMATS = (("E", SHORT), ("D", LONG), ("X", EXTENDED))
METHODS = 0xF3
"""Bit n is one if n is a rounding method: 0, 1, 4 to 7."""
NOT_SIGN = SIGN - 1
LONG_DIGITS = ((1 << 64) - 1) << 64


@typed(inline=True)
def true_zero(image: u128) -> u128:
    """An extended number; if it is zero, without its characteristic."""
    if fraction_of(image) == 0:
        return image & SIGN
    return image


def _signs() -> None:
    """LOAD AND TEST, COMPLEMENT, NEGATIVE, POSITIVE: the sign changes, even of zero."""
    for letter, digit, name, keep, flip in (
        ("P", "0", "LOAD POSITIVE", NOT_SIGN, 0), ("N", "1", "LOAD NEGATIVE", NOT_SIGN, SIGN),
        ("T", "2", "LOAD AND TEST", NOT_SIGN | SIGN, 0),
        ("C", "3", "LOAD COMPLEMENT", NOT_SIGN | SIGN, SIGN),
    ):  # fmt: skip
        for width, low in FORMATS:
            check, get, put = CHECK[low], GET[low], PUT[low]
            opcode = {SHORT: "3", LONG: "2", EXTENDED: "B36"}[low] + digit
            extended = low == EXTENDED

            @insn(f"L{letter}{width}R", opcode, "RRE" if extended else "RR",
                  ref=f"PoP 18 {name}", afp=BOTH)  # fmt: skip
            def load(cpu: Cpu, r1: u8, r2: u8) -> None:
                """R2 with that sign."""
                check(cpu, r1)
                check(cpu, r2)
                image = (get(cpu, r2) & keep) ^ flip
                if extended:
                    image = true_zero(image)
                put(cpu, r1, image)
                cpu.cc = condition_of(image)


_signs()


def _formats() -> None:
    """LOAD LENGTHENED and LOAD ROUNDED."""
    for mnemonic, second, low, result in (
        ("LDE", "24", SHORT, LONG), ("LXD", "25", LONG, EXTENDED), ("LXE", "26", SHORT, EXTENDED),
    ):  # fmt: skip
        check, get, put, load = CHECK[result], GET[low], PUT[result], LOAD[low]
        extended = result == EXTENDED

        @insn(f"{mnemonic}R", f"B3{second}", "RRE", ref="PoP 18 LOAD LENGTHENED", afp=BOTH)
        def lengthen(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R2, longer."""
            check(cpu, r1)
            image = get(cpu, r2)
            put(cpu, r1, true_zero(image) if extended else image)

        @insn(mnemonic, f"ED{second}", "RXE", ref="PoP 18 LOAD LENGTHENED", afp=("r1",))
        def lengthen_storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """A number in storage, longer."""
            check(cpu, r1)
            image = load(cpu, addr2)
            put(cpu, r1, true_zero(image) if extended else image)

    for mnemonic, opcode, format, low, result in (
        ("LEDR", "35", "RR", LONG, SHORT), ("LDXR", "25", "RR", EXTENDED, LONG),
        ("LEXR", "B366", "RRE", EXTENDED, SHORT),
    ):  # fmt: skip
        check, get, put = CHECK[low], GET[low], PUT[result]

        @insn(mnemonic, opcode, format, ref="PoP 18 LOAD ROUNDED", afp=BOTH)
        def rounded(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R2, shorter."""
            check(cpu, r2)
            image, code = round_to(cpu, result, get(cpu, r2))
            put(cpu, r1, image)
            interrupt(cpu, code)


_formats()


def _integers() -> None:
    for width, low in FORMATS:
        check, get, put = CHECK[low], GET[low], PUT[low]
        second = {SHORT: "77", LONG: "7F", EXTENDED: "67"}[low]

        @insn(f"FI{width}R", f"B3{second}", "RRE", ref="PoP 18 LOAD FP INTEGER", afp=BOTH)
        def to_integral(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R2 without its fractional digits."""
            check(cpu, r1)
            check(cpu, r2)
            put(cpu, r1, integer_part(get(cpu, r2)))

        for letter, kind, row in (("F", i32, "B"), ("G", i64, "C")):
            place = {SHORT: 4, LONG: 5, EXTENDED: 6}[low]
            wide = kind is i64

            @insn(f"C{width}{letter}R", f"B3{row}{place}", "RRE",
                  ref="PoP 18 CONVERT FROM FIXED", afp=("r1",))  # fmt: skip
            def from_fixed(cpu: Cpu, r1: u8, r2: u8) -> None:
                """The integer in general register R2."""
                check(cpu, r1)
                value = i64(kind(cpu.gr[r2]))
                if value < 0:
                    put(cpu, r1, from_integer(low, u64(1), u64(0) - u64(value)))
                else:
                    put(cpu, r1, from_integer(low, u64(0), u64(value)))

            @insn(f"C{letter}{width}R", f"B3{row}{place + 4:X}", "RRF",
                  ref="PoP 18 CONVERT TO FIXED", afp=("r2",))  # fmt: skip
            def to_fixed(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
                """R2 as an integer in general register R1, rounded as M3 says."""
                if m3 > 7 or (u32(METHODS) >> m3) & 1 == 0:
                    specification(cpu)
                check(cpu, r2)
                value, cc = to_integer(get(cpu, r2), u64(m3), 64 if wide else 32)
                if wide:
                    cpu.gr[r1] = value
                else:
                    set_low(cpu, r1, u32(value))
                cpu.cc = cc


_integers()


def _binary() -> None:
    """CONVERT HFP TO BFP and CONVERT BFP TO HFP; the hexadecimal number is long."""
    get, put = GET[LONG], PUT[LONG]
    for letter, second, width, precision, low in (
        ("E", "50", 8, 24, SHORT), ("", "51", 11, 53, LONG),
    ):  # fmt: skip
        get_bits, put_bits = GET[low], PUT[low]
        back = {SHORT: "58", LONG: "59"}[low]

        @insn(f"TB{letter}DR", f"B3{second}", "RRF", ref="PoP 9 CONVERT HFP TO BFP", afp=BOTH)
        def to_bfp(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
            """R2 as a binary number, rounded as M3 says."""
            if m3 > 7 or (u32(METHODS) >> m3) & 1 == 0:
                specification(cpu)
            image = get(cpu, r2)
            bits, cc = to_binary(image, width, precision, u64(m3))
            put_bits(cpu, r1, (image & SIGN) | (u128(bits) << low))
            cpu.cc = cc

        @insn(f"THD{letter}R", f"B3{back}", "RRE", ref="PoP 9 CONVERT BFP TO HFP", afp=BOTH)
        def to_hfp(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R2, a binary number, as a hexadecimal one."""
            source = get_bits(cpu, r2)
            bits = u64((source & NOT_SIGN) >> low)
            image, cc = from_binary(bits, width, precision, u64(source >> 127))
            put(cpu, r1, image & LONG_DIGITS)
            cpu.cc = cc


_binary()
