"""Arithmetic on binary floating point. ref: PoP chapter 19

The work is done in metal/s390x/bfp; here are the encodings and where operands come from.
"""

from typing import Any

from worldswitch.engine import Typed, typed, u8, u32, u64, u128
from worldswitch.metal.s390x.bfp import fast
from worldswitch.metal.s390x.bfp.arithmetic import (
    add,
    compare,
    divide,
    multiply,
    multiply_add,
    square_root,
)
from worldswitch.metal.s390x.bfp.divide_integer import divide_to_integer
from worldswitch.metal.s390x.bfp.fields import condition_of, order
from worldswitch.metal.s390x.bfp.operands import (
    COMPLETE,
    COMPLETE_CC,
    FORMATS,
    GET,
    LOAD,
    PUT,
    check_pair,
    method_of,
    suppress,
)
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import data_exception, specification
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.softfloat.images import EXTENDED, LONG, SHORT, SIGN, is_number

WORK = dict[int, Typed[Any, Any]]
"""For each format, what an operation does with register R1 and a second operand."""


def _try_short(quick: Typed[Any, Any]) -> Typed[Any, Any]:
    @typed(inline=True, name=f"try_{quick.name}")
    def attempt(cpu: Cpu, a: u128, b: u128) -> tuple[bool, u128]:
        done, bits = quick(cpu, u32(a >> 96), u32(b >> 96))
        return done, u128(bits) << 96

    return attempt


def _try_long(quick: Typed[Any, Any]) -> Typed[Any, Any]:
    @typed(inline=True, name=f"try_{quick.name}")
    def attempt(cpu: Cpu, a: u128, b: u128) -> tuple[bool, u128]:
        done, bits = quick(cpu, u64(a >> 64), u64(b >> 64))
        return done, u128(bits) << 64

    return attempt


@typed(inline=True)
def never(cpu: Cpu, a: u128, b: u128) -> tuple[bool, u128]:
    """Where there is no short cut."""
    return False, a


def _quick(short: Typed[Any, Any], long: Typed[Any, Any]) -> WORK:
    return {SHORT: _try_short(short), LONG: _try_long(long), EXTENDED: never}


def _sums(flip: int) -> WORK:
    quick = _quick(fast.add_short, fast.add_long)
    work: WORK = {}
    for _, w in FORMATS:
        get, put, attempt, complete = GET[w], PUT[w], quick[w], COMPLETE_CC[w]

        @typed(leaves=True, inline=False, name=f"sum_{w}")
        def operate(cpu: Cpu, r1: u8, b: u128) -> None:
            a = get(cpu, r1)
            done, image = attempt(cpu, a, b ^ flip)
            if done:
                put(cpu, r1, image)
                cpu.cc = condition_of(w, image)
            else:
                image, dxc = add(cpu, w, a, b, u128(flip))
                complete(cpu, r1, image, dxc)

        work[w] = operate
    return work


def _products() -> WORK:
    quick = _quick(fast.multiply_short, fast.multiply_long)
    work: WORK = {}
    for _, w in FORMATS:
        get, put, attempt, complete = GET[w], PUT[w], quick[w], COMPLETE[w]

        @typed(leaves=True, inline=False, name=f"product_{w}")
        def operate(cpu: Cpu, r1: u8, b: u128) -> None:
            a = get(cpu, r1)
            done, image = attempt(cpu, a, b)
            if done:
                put(cpu, r1, image)
            else:
                image, dxc = multiply(cpu, w, w, a, b)
                complete(cpu, r1, image, dxc)

        work[w] = operate
    return work


def _quotients() -> WORK:
    quick = _quick(fast.divide_short, fast.divide_long)
    work: WORK = {}
    for _, w in FORMATS:
        get, put, attempt, complete = GET[w], PUT[w], quick[w], COMPLETE[w]

        @typed(leaves=True, inline=False, name=f"quotient_{w}")
        def operate(cpu: Cpu, r1: u8, b: u128) -> None:
            a = get(cpu, r1)
            done, image = attempt(cpu, a, b)
            if done:
                put(cpu, r1, image)
            else:
                image, dxc = divide(cpu, w, a, b)
                complete(cpu, r1, image, dxc)

        work[w] = operate
    return work


@typed(inline=True)
def root_short(cpu: Cpu, b: u128) -> tuple[bool, u128]:
    """Short cut of the short square root."""
    done, bits = fast.root_short(cpu, u32(b >> 96))
    return done, u128(bits) << 96


@typed(inline=True)
def root_long(cpu: Cpu, b: u128) -> tuple[bool, u128]:
    """Short cut of the long square root."""
    done, bits = fast.root_long(cpu, u64(b >> 64))
    return done, u128(bits) << 64


@typed(inline=True)
def root_extended(cpu: Cpu, b: u128) -> tuple[bool, u128]:
    """There is none."""
    return False, b


def _roots() -> WORK:
    quick = {SHORT: root_short, LONG: root_long, EXTENDED: root_extended}
    work: WORK = {}
    for _, w in FORMATS:
        put, attempt, complete = PUT[w], quick[w], COMPLETE[w]

        @typed(leaves=True, inline=False, name=f"root_{w}")
        def operate(cpu: Cpu, r1: u8, b: u128) -> None:
            done, image = attempt(cpu, b)
            if done:
                put(cpu, r1, image)
            else:
                image, dxc = square_root(cpu, w, b)
                complete(cpu, r1, image, dxc)

        work[w] = operate
    return work


def _comparisons(signal: bool) -> WORK:
    work: WORK = {}
    for _, w in FORMATS:
        get = GET[w]

        @typed(leaves=True, inline=False, name=f"compare_{w}")
        def operate(cpu: Cpu, r1: u8, b: u128) -> None:
            a = get(cpu, r1)
            if is_number(w, a) and is_number(w, b):
                cpu.cc = order(a, b)
            else:
                cc, dxc = compare(cpu, w, a, b, signal)
                suppress(cpu, dxc)
                cpu.cc = cc

        work[w] = operate
    return work


def _long_products() -> WORK:
    """MULTIPLY whose product is of the next longer format, keyed by the factors' format."""
    work: WORK = {}
    for w, to in ((SHORT, LONG), (LONG, EXTENDED)):
        get, complete = GET[w], COMPLETE[to]

        @typed(leaves=True, inline=False, name=f"long_product_{w}")
        def operate(cpu: Cpu, r1: u8, b: u128) -> None:
            image, dxc = multiply(cpu, w, to, get(cpu, r1), b)
            complete(cpu, r1, image, dxc)

        work[w] = operate
    return work


def _instructions(name: str, forms: dict[int, tuple[str, int]], work: WORK) -> None:
    """Register and storage forms. The opcodes are B3 and ED with the form's second byte."""
    for w, (mnemonic, second) in forms.items():
        operate, get = work[w], GET[w]
        pair1 = w == EXTENDED or mnemonic == "MXDB"
        pair2 = w == EXTENDED

        @insn(f"{mnemonic}R", f"B3{second:02X}", "RRE", ref=f"PoP 19 {name}", bfp=True)
        def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
            """The operation on R1 and R2."""
            if pair1:
                check_pair(cpu, r1)
            if pair2:
                check_pair(cpu, r2)
            operate(cpu, r1, get(cpu, r2))

        if w == EXTENDED:
            continue
        load = LOAD[w]

        @insn(mnemonic, f"ED{second:02X}", "RXE", ref=f"PoP 19 {name}", bfp=True)
        def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """The operation on R1 and storage."""
            if pair1:
                check_pair(cpu, r1)
            operate(cpu, r1, load(cpu, addr2))


def _forms(pattern: str, second: int) -> dict[int, tuple[str, int]]:
    steps = {SHORT: 0, LONG: 0x10, EXTENDED: 0x40}
    return {w: (pattern.replace("?", letter), second + steps[w]) for letter, w in FORMATS}


_instructions("ADD", _forms("A?B", 0x0A), _sums(0))
_instructions("SUBTRACT", _forms("S?B", 0x0B), _sums(SIGN))
_instructions("DIVIDE", _forms("D?B", 0x0D), _quotients())
_instructions("COMPARE", _forms("C?B", 0x09), _comparisons(False))
_instructions("COMPARE AND SIGNAL", _forms("K?B", 0x08), _comparisons(True))
_instructions(
    "MULTIPLY", {SHORT: ("MEEB", 0x17), LONG: ("MDB", 0x1C), EXTENDED: ("MXB", 0x4C)}, _products()
)
_instructions("MULTIPLY", {SHORT: ("MDEB", 0x0C), LONG: ("MXDB", 0x07)}, _long_products())
_instructions(
    "SQUARE ROOT",
    {SHORT: ("SQEB", 0x14), LONG: ("SQDB", 0x15), EXTENDED: ("SQXB", 0x16)},
    _roots(),
)


def _fused(name: str, letter: str, second: int, flip: int) -> None:
    for w, suffix in ((SHORT, "EB"), (LONG, "DB")):
        get, load, complete = GET[w], LOAD[w], COMPLETE[w]
        base = second + (0x10 if w == LONG else 0)
        mnemonic = f"M{letter}{suffix}"
        quick_long = w == LONG

        @typed(leaves=True, inline=False, name=f"fused_{w}")
        def operate(cpu: Cpu, r1: u8, r3: u8, b: u128) -> None:
            a = get(cpu, r1)
            c = get(cpu, r3)
            image: u128 = 0
            dxc: u64 = 0
            done = False
            if quick_long:
                addend = u64((a ^ flip) >> 64)
                done, bits = fast.fused_long(cpu, addend, u64(b >> 64), u64(c >> 64))
                image = u128(bits) << 64
            if not done:
                image, dxc = multiply_add(cpu, w, a, b, c, u128(flip))
            complete(cpu, r1, image, dxc)

        @insn(f"{mnemonic}R", f"B3{base:02X}", "RRD", ref=f"PoP 19 {name}", bfp=True)
        def registers(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
            """R1 := R3 * R2 plus or minus R1, rounded once."""
            operate(cpu, r1, r3, get(cpu, r2))

        @insn(mnemonic, f"ED{base:02X}", "RXF", ref=f"PoP 19 {name}", bfp=True)
        def storage(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """R1 := R3 * storage plus or minus R1, rounded once."""
            operate(cpu, r1, r3, load(cpu, addr2))


_fused("MULTIPLY AND ADD", "A", 0x0E, 0)
_fused("MULTIPLY AND SUBTRACT", "S", 0x0F, SIGN)


def _divisions_to_integer() -> None:
    for mnemonic, opcode, w in (("DIEBR", "B353", SHORT), ("DIDBR", "B35B", LONG)):
        get, put = GET[w], PUT[w]

        @typed(leaves=True, inline=False, name=f"divide_to_integer_{w}")
        def operate(cpu: Cpu, r1: u8, r2: u8, r3: u8, m4: u8) -> None:
            if r1 == r2 or r1 == r3 or r2 == r3:
                specification(cpu)
            mode = method_of(cpu, m4)
            rest, quotient, cc, dxc = divide_to_integer(cpu, w, mode, get(cpu, r1), get(cpu, r2))
            suppress(cpu, dxc)
            put(cpu, r1, rest)
            put(cpu, r3, quotient)
            cpu.cc = cc
            if dxc != 0:
                data_exception(cpu, u8(dxc))

        @insn(mnemonic, opcode, "RRF", ref="PoP 19 DIVIDE TO INTEGER", bfp=True)
        def divide_integer(cpu: Cpu, r1: u8, r2: u8, r3: u8, m4: u8) -> None:
            """R1 := the remainder of R1 / R2, R3 := the integral quotient, by method M4."""
            operate(cpu, r1, r2, r3, m4)


_divisions_to_integer()
