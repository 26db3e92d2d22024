"""Loads that look at a binary floating-point number, and conversions. ref: PoP chapter 19"""

from worldswitch.engine import f64, i32, i64, typed, u8, u32, u64, u128
from worldswitch.engine.intrinsics import f32_of_bits, f64_of_bits
from worldswitch.metal.s390x.bfp import fast_convert
from worldswitch.metal.s390x.bfp.convert import (
    class_bit,
    from_integer,
    reformat,
    to_integer,
    to_integral,
)
from worldswitch.metal.s390x.bfp.fields import condition_of
from worldswitch.metal.s390x.bfp.operands import (
    COMPLETE,
    COMPLETE_CC,
    COMPLETE_ROUNDED,
    FORMATS,
    GET,
    LOAD,
    PUT,
    check_pair,
    extended_how_of,
    how_of,
    put_long,
    put_short,
    suppress,
)
from worldswitch.metal.s390x.bfp.rounding import NEAREST_EVEN, WIDER
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import data_exception
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.softfloat.images import EXTENDED, LONG, SHORT, SIGN, is_number

BASES = {SHORT: 0xB300, LONG: 0xB310, EXTENDED: 0xB340}


def _signs() -> None:
    """LOAD POSITIVE, NEGATIVE, COMPLEMENT: only the sign bit changes, of a NaN too."""
    for index, name, change in (
        (0, "POSITIVE", "clear"), (1, "NEGATIVE", "set"), (3, "COMPLEMENT", "invert"),
    ):  # fmt: skip
        clear, put_one = change == "clear", change == "set"
        for letter, w in FORMATS:
            get, put, paired = GET[w], PUT[w], w == EXTENDED
            mnemonic = f"L{name[0]}{letter}BR"

            @insn(mnemonic, f"{BASES[w] + index:04X}", "RRE", ref=f"PoP 19 LOAD {name}",
                  bfp=True)  # fmt: skip
            def move(cpu: Cpu, r1: u8, r2: u8) -> None:
                """Copy with the sign as the name says; the result sets the condition code."""
                if paired:
                    check_pair(cpu, r1 | r2)
                image = get(cpu, r2)
                if clear:
                    image = image & ~u128(SIGN)
                elif put_one:
                    image = image | SIGN
                else:
                    image = image ^ SIGN
                put(cpu, r1, image)
                cpu.cc = condition_of(w, image)


_signs()


def _tests() -> None:
    for letter, w in FORMATS:
        get, put, complete, paired = GET[w], PUT[w], COMPLETE_CC[w], w == EXTENDED

        @insn(f"LT{letter}BR", f"{BASES[w] + 2:04X}", "RRE", ref="PoP 19 LOAD AND TEST", bfp=True)
        def load_and_test(cpu: Cpu, r1: u8, r2: u8) -> None:
            """Copy and set the condition code; a signalling NaN is an invalid operation."""
            if paired:
                check_pair(cpu, r1 | r2)
            image = get(cpu, r2)
            if is_number(w, image):
                put(cpu, r1, image)
                cpu.cc = condition_of(w, image)
            else:
                image, dxc = reformat(cpu, w, w, u64(NEAREST_EVEN), image)
                complete(cpu, r1, image, dxc)

        @insn(f"TC{letter}B", f"ED{0x10 + FORMATS.index((letter, w)):02X}", "RXE",
              ref="PoP 19 TEST DATA CLASS", bfp=True)  # fmt: skip
        def test_class(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """Condition code 1 if the operand's class is in the mask."""
            if paired:
                check_pair(cpu, r1)
            cpu.cc = (addr2 >> class_bit(w, get(cpu, r1))) & 1


_tests()


def _lengthenings() -> None:
    for mnemonic, second, w, to in (
        ("LDEB", 0x04, SHORT, LONG), ("LXDB", 0x05, LONG, EXTENDED),
        ("LXEB", 0x06, SHORT, EXTENDED),
    ):  # fmt: skip
        get, load, complete, paired = GET[w], LOAD[w], COMPLETE[to], to == EXTENDED
        quick = to == LONG

        @typed(leaves=True, inline=False, name=f"lengthen_{w}_{to}")
        def operate(cpu: Cpu, r1: u8, b: u128) -> None:
            done = False
            if quick:
                done, bits = fast_convert.lengthen(u32(b >> 96))
                if done:
                    put_long(cpu, r1, u128(bits) << 64)
            if not done:
                image, dxc = reformat(cpu, w, to, u64(NEAREST_EVEN), b)
                complete(cpu, r1, image, dxc)

        @insn(f"{mnemonic}R", f"B3{second:02X}", "RRE", ref="PoP 19 LOAD LENGTHENED", bfp=True)
        def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
            """A register in a longer format."""
            if paired:
                check_pair(cpu, r1)
            operate(cpu, r1, get(cpu, r2))

        @insn(mnemonic, f"ED{second:02X}", "RXE", ref="PoP 19 LOAD LENGTHENED", bfp=True)
        def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """Storage in a longer format."""
            if paired:
                check_pair(cpu, r1)
            operate(cpu, r1, load(cpu, addr2))


_lengthenings()


def _roundings() -> None:
    for mnemonic, opcode, w, to in (
        ("LEDBR", "B344", LONG, SHORT), ("LDXBR", "B345", EXTENDED, LONG),
        ("LEXBR", "B346", EXTENDED, SHORT),
    ):  # fmt: skip
        get, complete, paired = GET[w], COMPLETE_ROUNDED[to, w], w == EXTENDED
        wider = w << WIDER
        quick = w == LONG

        @insn(mnemonic, opcode, "RRF", ref="PoP 19 LOAD ROUNDED", bfp=True)
        def load_rounded(cpu: Cpu, r1: u8, r2: u8, m3: u8, m4: u8) -> None:
            """A register in a shorter format."""
            if paired:
                check_pair(cpu, r1 | r2)
            how = extended_how_of(cpu, m3, m4)
            image = get(cpu, r2)
            done = False
            if quick:
                done, bits = fast_convert.shorten(cpu, how, u64(image >> 64))
                if done:
                    put_short(cpu, r1, u128(bits) << 96)
            if not done:
                image, dxc = reformat(cpu, w, to, how | wider, image)
                complete(cpu, r1, image, dxc)


_roundings()


def _integral_values() -> None:
    for mnemonic, opcode, w in (
        ("FIEBR", "B357", SHORT), ("FIDBR", "B35F", LONG), ("FIXBR", "B347", EXTENDED),
    ):  # fmt: skip
        get, put, complete, paired = GET[w], PUT[w], COMPLETE[w], w == EXTENDED
        long, short = w == LONG, w == SHORT

        @insn(mnemonic, opcode, "RRF", ref="PoP 19 LOAD FP INTEGER", bfp=True)
        def load_integral(cpu: Cpu, r1: u8, r2: u8, m3: u8, m4: u8) -> None:
            """Round to an integral value."""
            if paired:
                check_pair(cpu, r1 | r2)
            how = how_of(cpu, m3, m4)
            image = get(cpu, r2)
            done = False
            if long:
                done, bits = fast_convert.integral_long(cpu, how, u64(image >> 64))
                if done:
                    put(cpu, r1, u128(bits) << 64)
            elif short:
                done, word = fast_convert.integral_short(cpu, how, u32(image >> 96))
                if done:
                    put(cpu, r1, u128(word) << 96)
            if not done:
                image, dxc = to_integral(cpu, w, how, image)
                complete(cpu, r1, image, dxc)


_integral_values()


def _from_integers() -> None:
    for base, source, name in (
        (0xB394, i32, "F"), (0xB3A4, i64, "G"), (0xB390, u32, "LF"), (0xB3A0, u64, "LG"),
    ):  # fmt: skip
        logical = name[0] == "L"
        ref = f"PoP 19 CONVERT FROM {'LOGICAL' if logical else 'FIXED'}"
        for index, (letter, w) in enumerate(FORMATS):
            complete, paired = COMPLETE[w], w == EXTENDED

            @insn(f"C{letter}{name}BR", f"{base + index:04X}", "RRF", ref=ref, bfp=True,
                  facility=37 if logical else None)  # fmt: skip
            def convert(cpu: Cpu, r1: u8, r2: u8, m3: u8, m4: u8) -> None:
                """An integer register to floating point."""
                if paired:
                    check_pair(cpu, r1)
                how = extended_how_of(cpu, m3, m4)
                value = source(cpu.gr[r2])
                sign: u64 = 0
                magnitude = u64(value)
                if not logical:
                    if value < 0:
                        sign = u64(1)
                        magnitude = -u64(i64(value))
                image, dxc = from_integer(cpu, w, how, sign, magnitude)
                complete(cpu, r1, image, dxc)


_from_integers()


def _to_integers() -> None:
    for base, width, name in (
        (0xB398, 32, "F"), (0xB3A8, 64, "G"), (0xB39C, 32, "LF"), (0xB3AC, 64, "LG"),
    ):  # fmt: skip
        logical, wide = name[0] == "L", width == 64
        ref = f"PoP 19 CONVERT TO {'LOGICAL' if logical else 'FIXED'}"
        for index, (letter, w) in enumerate(FORMATS):
            get, paired = GET[w], w == EXTENDED
            long, short = w == LONG, w == SHORT

            @typed(leaves=True, inline=False, name=f"to_{name}_{w}")
            def operate(cpu: Cpu, r1: u8, r2: u8, m3: u8, m4: u8) -> None:
                how = how_of(cpu, m3, m4)
                image = get(cpu, r2)
                done = False
                value: u64 = 0
                cc: u64 = 0
                dxc: u64 = 0
                if long:
                    number = f64_of_bits(u64(image >> 64))
                    done, value, cc = fast_convert.to_integer(cpu, how, number, width, logical)
                elif short:
                    number = f64(f32_of_bits(u32(image >> 96)))
                    done, value, cc = fast_convert.to_integer(cpu, how, number, width, logical)
                if not done:
                    value, cc, dxc = to_integer(cpu, w, how, image, u64(width), logical)
                suppress(cpu, dxc)
                if wide:
                    cpu.gr[r1] = value
                else:
                    set_low(cpu, r1, u32(value))
                cpu.cc = cc
                if dxc != 0:
                    data_exception(cpu, u8(dxc))

            @insn(f"C{name}{letter}BR", f"{base + index:04X}", "RRF", ref=ref, bfp=True,
                  facility=37 if logical else None)  # fmt: skip
            def convert(cpu: Cpu, r1: u8, r2: u8, m3: u8, m4: u8) -> None:
                """Floating point to an integer register, saturating with condition code 3."""
                if paired:
                    check_pair(cpu, r2)
                operate(cpu, r1, r2, m3, m4)


_to_integers()
