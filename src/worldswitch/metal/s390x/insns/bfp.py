"""Binary floating point, short and long. ref: PoP chapter 19.

UNMODELLED: IEEE exception flags and traps, and rounding modes other than to nearest in
arithmetic: results are rounded to nearest even and the FPC register stays as it is. Extended
operands are absent.
"""

from typing import Any

from worldswitch.engine import f32, f64, i32, i64, typed, u8, u32, u64
from worldswitch.engine.intrinsics import (
    bits_of_f32,
    bits_of_f64,
    ceiling,
    f32_of_bits,
    f64_of_bits,
    floor,
    fused,
    round_even,
    sqrt,
    truncate,
)
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.registers_fp import fr, set_fr, set_short
from worldswitch.metal.s390x.memory import fetch_u32, fetch_u64
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.state import OP2, Cpu


@typed(inline=True)
def get_short(cpu: Cpu, r: u8) -> f32:
    """The short operand in a floating-point register."""
    return f32_of_bits(u32(fr(cpu, r) >> 32))


@typed(inline=True)
def put_short(cpu: Cpu, r: u8, value: f32) -> None:
    """A short result."""
    set_short(cpu, r, bits_of_f32(value))


@typed(inline=True)
def get_long(cpu: Cpu, r: u8) -> f64:
    """The long operand in a floating-point register."""
    return f64_of_bits(fr(cpu, r))


@typed(inline=True)
def put_long(cpu: Cpu, r: u8, value: f64) -> None:
    """A long result."""
    set_fr(cpu, r, bits_of_f64(value))


@typed(leaves=True, inline=True)
def load_short(cpu: Cpu, address: u64) -> f32:
    """A short operand in storage."""
    return f32_of_bits(fetch_u32(cpu, OP2, address))


@typed(leaves=True, inline=True)
def load_long(cpu: Cpu, address: u64) -> f64:
    """A long operand in storage."""
    return f64_of_bits(fetch_u64(cpu, OP2, address))


@typed
def set_sign_cc(cpu: Cpu, value: f64) -> None:
    """Condition code of a result: 0 zero, 1 less, 2 greater, 3 not a number."""
    cpu.cc = 0 if value == 0.0 else (1 if value < 0.0 else (2 if value > 0.0 else 3))


@typed
def set_compare_cc(cpu: Cpu, a: f64, b: f64) -> None:
    """Condition code of a comparison: 0 equal, 1 low, 2 high, 3 unordered."""
    cpu.cc = 0 if a == b else (1 if a < b else (2 if a > b else 3))


ACCESS: dict[Any, tuple[Any, Any, Any]] = {
    f32: (get_short, put_short, load_short),
    f64: (get_long, put_long, load_long),
}


def _arithmetic(name: str, op: str, short: tuple[str, str], long: tuple[str, str]) -> None:
    add, subtract, multiply = op == "+", op == "-", op == "*"
    sets_cc = op in "+-"
    for letter, kind, (register, storage) in (("E", f32, short), ("D", f64, long)):
        get, put, load = ACCESS[kind]

        @typed(inline=True, name=f"{name}_{kind.__name__}")
        def operate(cpu: Cpu, r1: u8, b: kind) -> None:
            a = get(cpu, r1)
            if add:
                result = a + b
            elif subtract:
                result = a - b
            elif multiply:
                result = a * b
            else:
                result = a / b
            put(cpu, r1, result)
            if sets_cc:
                set_sign_cc(cpu, f64(result))

        @insn(f"{name}{letter}BR", register, "RRE", ref=f"PoP 19 {name}", bfp=True, leaves=False)
        def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R1 op R2."""
            operate(cpu, r1, get(cpu, r2))

        @insn(f"{name}{letter}B", storage, "RXE", ref=f"PoP 19 {name}", bfp=True)
        def indexed(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """R1 op storage."""
            operate(cpu, r1, load(cpu, addr2))


_arithmetic("A", "+", ("B30A", "ED0A"), ("B31A", "ED1A"))
_arithmetic("S", "-", ("B30B", "ED0B"), ("B31B", "ED1B"))
_arithmetic("D", "/", ("B30D", "ED0D"), ("B31D", "ED1D"))


def _multiplications() -> None:
    for mnemonic, register, storage, kind in (("MEEB", "B317", "ED17", f32),
                                              ("MDB", "B31C", "ED1C", f64)):  # fmt: skip
        get, put, load = ACCESS[kind]

        @insn(f"{mnemonic}R", register, "RRE", ref="PoP 19 MULTIPLY", bfp=True, leaves=False)
        def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R1 times R2."""
            put(cpu, r1, get(cpu, r1) * get(cpu, r2))

        @insn(mnemonic, storage, "RXE", ref="PoP 19 MULTIPLY", bfp=True)
        def indexed(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """R1 times storage."""
            put(cpu, r1, get(cpu, r1) * load(cpu, addr2))

    for mnemonic, register, storage, minus in (("MADB", "B31E", "ED1E", False),
                                               ("MSDB", "B31F", "ED1F", True)):  # fmt: skip

        @insn(f"{mnemonic}R", register, "RRD", ref="PoP 19 MULTIPLY AND ADD", bfp=True,
              leaves=False)  # fmt: skip
        def fused_registers(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
            """R1 := R3 * R2 plus or minus R1, rounded once."""
            c = get_long(cpu, r1)
            if minus:
                c = -c
            put_long(cpu, r1, fused(get_long(cpu, r3), get_long(cpu, r2), c))

        @insn(mnemonic, storage, "RXF", ref="PoP 19 MULTIPLY AND ADD", bfp=True)
        def fused_storage(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """R1 := R3 * storage plus or minus R1, rounded once."""
            c = get_long(cpu, r1)
            if minus:
                c = -c
            put_long(cpu, r1, fused(get_long(cpu, r3), load_long(cpu, addr2), c))


_multiplications()


def _comparisons() -> None:
    for mnemonic, register, storage, kind in (
        ("CEB", "B309", "ED09", f32), ("CDB", "B319", "ED19", f64),
        ("KEB", "B308", "ED08", f32), ("KDB", "B318", "ED18", f64),
    ):  # fmt: skip
        get, _, load = ACCESS[kind]

        @insn(f"{mnemonic}R", register, "RRE", ref="PoP 19 COMPARE", bfp=True, leaves=False)
        def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R1 with R2."""
            set_compare_cc(cpu, f64(get(cpu, r1)), f64(get(cpu, r2)))

        @insn(mnemonic, storage, "RXE", ref="PoP 19 COMPARE", bfp=True)
        def indexed(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """R1 with storage."""
            set_compare_cc(cpu, f64(get(cpu, r1)), f64(load(cpu, addr2)))


_comparisons()


def _signs() -> None:
    """LOAD AND TEST, COMPLEMENT, POSITIVE, NEGATIVE: only the sign bit changes."""
    for index, (name, change) in enumerate(
        (("LP", "clear"), ("LN", "set"), ("LT", "keep"), ("LC", "invert"))
    ):
        clear, put_one, invert = change == "clear", change == "set", change == "invert"
        for letter, base, kind in (("E", 0xB300, f32), ("D", 0xB310, f64)):
            get, _, _ = ACCESS[kind]
            sign = 1 << 63

            @insn(f"{name}{letter}BR", f"{base + index:04X}", "RRE", ref=f"PoP 19 {name}",
                  bfp=True, leaves=False)  # fmt: skip
            def move(cpu: Cpu, r1: u8, r2: u8) -> None:
                """Copy with the sign as the name says; the result sets the condition code."""
                bits = fr(cpu, r2)
                if clear:
                    bits = bits & ~u64(sign)
                elif put_one:
                    bits = bits | sign
                elif invert:
                    bits = bits ^ sign
                if kind is f32:
                    set_short(cpu, r1, u32(bits >> 32))
                else:
                    set_fr(cpu, r1, bits)
                set_sign_cc(cpu, f64(get(cpu, r1)))


_signs()


@insn("LDEBR", "B304", "RRE", ref="PoP 19 LOAD LENGTHENED", bfp=True, leaves=False)
def ldebr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Short to long."""
    put_long(cpu, r1, f64(get_short(cpu, r2)))


@insn("LDEB", "ED04", "RXE", ref="PoP 19 LOAD LENGTHENED", bfp=True)
def ldeb(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Short in storage to long."""
    put_long(cpu, r1, f64(load_short(cpu, addr2)))


@insn("LEDBR", "B344", "RRE", ref="PoP 19 LOAD ROUNDED", bfp=True, leaves=False)
def ledbr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Long to short."""
    put_short(cpu, r1, f32(get_long(cpu, r2)))


@insn("SQDBR", "B315", "RRE", ref="PoP 19 SQUARE ROOT", bfp=True, leaves=False)
def sqdbr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Square root, long."""
    put_long(cpu, r1, sqrt(get_long(cpu, r2)))


@insn("SQEBR", "B314", "RRE", ref="PoP 19 SQUARE ROOT", bfp=True, leaves=False)
def sqebr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Square root, short."""
    put_short(cpu, r1, f32(sqrt(f64(get_short(cpu, r2)))))


def _from_fixed() -> None:
    for mnemonic, opcode, source, kind in (
        ("CEFBR", "B394", i32, f32), ("CDFBR", "B395", i32, f64), ("CEGBR", "B3A4", i64, f32),
        ("CDGBR", "B3A5", i64, f64), ("CELFBR", "B390", u32, f32), ("CDLFBR", "B391", u32, f64),
        ("CELGBR", "B3A0", u64, f32), ("CDLGBR", "B3A1", u64, f64),
    ):  # fmt: skip
        put = ACCESS[kind][1]
        facility = 37 if mnemonic[2] == "L" else None

        @insn(mnemonic, opcode, "RRF", ref="PoP 19 CONVERT FROM FIXED", bfp=True, leaves=False,
              facility=facility)  # fmt: skip
        def convert(cpu: Cpu, r1: u8, r2: u8) -> None:
            """An integer register to floating point."""
            put(cpu, r1, kind(source(cpu.gr[r2])))


_from_fixed()


@typed
def round_by(value: f64, mode: u8) -> f64:
    """Round to an integral number by an M3 field: 0, 4 nearest, 1 away on ties, 5-7 directed."""
    if mode == 5:
        return truncate(value)
    if mode == 6:
        return ceiling(value)
    if mode == 7:
        return floor(value)
    if mode == 1:
        below = floor(value)
        if value - below == 0.5:
            return below + 1.0 if value > 0.0 else below
    return round_even(value)


def _to_fixed() -> None:
    for mnemonic, opcode, kind, target in (
        ("CFEBR", "B398", f32, i32), ("CFDBR", "B399", f64, i32),
        ("CGEBR", "B3A8", f32, i64), ("CGDBR", "B3A9", f64, i64),
    ):  # fmt: skip
        get = ACCESS[kind][0]
        wide = target is i64
        limit = 9223372036854775808.0 if wide else 2147483648.0
        most = (1 << 63) - 1 if wide else (1 << 31) - 1
        least = -(1 << 63) if wide else -(1 << 31)

        @insn(mnemonic, opcode, "RRF", ref="PoP 19 CONVERT TO FIXED", bfp=True, leaves=False)
        def convert(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
            """Floating point to an integer register, saturating with condition code 3."""
            value = f64(get(cpu, r2))
            rounded = round_by(value, m3)
            result: target = 0
            if rounded >= limit:
                result = most
                cpu.cc = 3
            elif rounded < -limit or value != value:
                result = least
                cpu.cc = 3
            else:
                result = target(rounded)
                set_sign_cc(cpu, value)
            if wide:
                cpu.gr[r1] = u64(result)
            else:
                set_low(cpu, r1, u32(result))


_to_fixed()


@insn("FIDBR", "B35F", "RRF", ref="PoP 19 LOAD FP INTEGER", bfp=True, leaves=False)
def fidbr(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
    """Round to an integral number, long."""
    put_long(cpu, r1, round_by(get_long(cpu, r2), m3))


@insn("FIEBR", "B357", "RRF", ref="PoP 19 LOAD FP INTEGER", bfp=True, leaves=False)
def fiebr(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
    """Round to an integral number, short."""
    put_short(cpu, r1, f32(round_by(f64(get_short(cpu, r2)), m3)))


@typed
def class_bit(value: f64, quiet: bool, subnormal: bool, negative: bool) -> u64:
    """Bit number (from the right) of TEST DATA CLASS's mask for an operand."""
    low_bit: u64 = 0 if negative else 1
    if value != value:
        return low_bit + (2 if quiet else 0)
    if value == 0.0:
        return low_bit + 10
    if subnormal:
        return low_bit + 6
    if value - value != 0.0:
        return low_bit + 4
    return low_bit + 8


@insn("TCDB", "ED11", "RXE", ref="PoP 19 TEST DATA CLASS", bfp=True, leaves=False)
def tcdb(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Condition code 1 if the long operand's class is in the mask."""
    bits = fr(cpu, r1)
    subnormal = (bits >> 52) & 0x7FF == 0
    bit = class_bit(f64_of_bits(bits), (bits >> 51) & 1 != 0, subnormal, bits >> 63 != 0)
    cpu.cc = (addr2 >> bit) & 1


@insn("TCEB", "ED10", "RXE", ref="PoP 19 TEST DATA CLASS", bfp=True, leaves=False)
def tceb(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Condition code 1 if the short operand's class is in the mask."""
    bits = fr(cpu, r1) >> 32
    subnormal = (bits >> 23) & 0xFF == 0
    value = f64(get_short(cpu, r1))
    bit = class_bit(value, (bits >> 22) & 1 != 0, subnormal, bits >> 31 != 0)
    cpu.cc = (addr2 >> bit) & 1
