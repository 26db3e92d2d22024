"""Multiplication and division of binary integers. ref: PoP chapter 7."""

from typing import Any

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import (
    Typed,
    i16,
    i32,
    i64,
    mul_overflows,
    sdiv,
    srem,
    typed,
    u8,
    u32,
    u64,
    u128,
)
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.arithmetic import (
    GET,
    MISCELLANEOUS_2,
    PUT,
    fetcher,
    trap_overflow,
)
from worldswitch.metal.s390x.insns.logic import pair, set_pair
from worldswitch.metal.s390x.leave import program, specification
from worldswitch.metal.s390x.regs import low, set_low
from worldswitch.metal.s390x.state import Cpu


def _single(wide: bool, rows: list[tuple[str, str, str, Any]], **rules: Any) -> None:
    """MULTIPLY SINGLE: the low part of the product, no condition code."""
    kind = i64 if wide else i32
    for mnemonic, opcode, format, source in rows:
        ref = f"PoP 7 {mnemonic}"
        if format == "RRE":

            @insn(mnemonic, opcode, format, ref=ref, leaves=False)
            def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
                """R1 times R2."""
                product = kind(cpu.gr[r1]) * kind(source(cpu.gr[r2]))
                if wide:
                    cpu.gr[r1] = u64(product)
                else:
                    set_low(cpu, r1, u32(product))

        elif format in ("RI_a", "RIL_a"):

            @insn(mnemonic, opcode, format, ref=ref, leaves=False)
            def immediate(cpu: Cpu, r1: u8, i2: i64) -> None:
                """R1 times an immediate."""
                product = kind(cpu.gr[r1]) * kind(i2)
                if wide:
                    cpu.gr[r1] = u64(product)
                else:
                    set_low(cpu, r1, u32(product))

        else:
            load = fetcher(kind, source)

            @insn(mnemonic, opcode, format, ref=ref, **rules)
            def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """R1 times storage."""
                product = kind(cpu.gr[r1]) * load(cpu, addr2)
                if wide:
                    cpu.gr[r1] = u64(product)
                else:
                    set_low(cpu, r1, u32(product))


_single(
    False,
    [("MSR", "B252", "RRE", i32), ("MS", "71", "RX_a", i32), ("MSY", "E351", "RXY_a", i32),
     ("MH", "4C", "RX_a", i16), ("MHY", "E37C", "RXY_a", i16), ("MHI", "A7C", "RI_a", i32),
     ("MSFI", "C21", "RIL_a", i32)],
)  # fmt: skip
_single(
    True,
    [("MSGR", "B90C", "RRE", i64), ("MSG", "E30C", "RXY_a", i64), ("MSGFR", "B91C", "RRE", i32),
     ("MSGF", "E31C", "RXY_a", i32), ("MGHI", "A7D", "RI_a", i64), ("MSGFI", "C20", "RIL_a", i64)],
)  # fmt: skip


@typed(leaves=True, inline=True)
def even(cpu: Cpu, r: u8) -> None:
    """Specification exception unless `r` is even."""
    if r & 1 != 0:
        specification(cpu)


def _double() -> None:
    """MULTIPLY and MULTIPLY LOGICAL: a product of twice the width in a register pair."""
    for mnemonic, opcode, format, kind in (
        ("MR", "1C", "RR", i32), ("M", "5C", "RX_a", i32), ("MFY", "E35C", "RXY_a", i32),
        ("MLR", "B996", "RRE", u32), ("ML", "E396", "RXY_a", u32),
    ):  # fmt: skip
        wide = i64 if kind is i32 else u64
        if format in ("RR", "RRE"):

            @insn(mnemonic, opcode, format, ref="PoP 7 MULTIPLY")
            def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
                """The odd register times R2."""
                even(cpu, r1)
                product = wide(kind(cpu.gr[r1 + 1])) * wide(kind(cpu.gr[r2]))
                set_pair(cpu, r1, u64(product))

        else:
            load = fetcher(kind, kind)

            @insn(mnemonic, opcode, format, ref="PoP 7 MULTIPLY")
            def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """The odd register times storage."""
                even(cpu, r1)
                product = wide(kind(cpu.gr[r1 + 1])) * wide(load(cpu, addr2))
                set_pair(cpu, r1, u64(product))

    load64 = fetcher(u64, u64)

    @insn("MLGR", "B986", "RRE", ref="PoP 7 MULTIPLY LOGICAL")
    def mlgr(cpu: Cpu, r1: u8, r2: u8) -> None:
        """64 by 64 bits."""
        even(cpu, r1)
        product = u128(cpu.gr[r1 + 1]) * u128(cpu.gr[r2])
        cpu.gr[r1] = u64(product >> 64)
        cpu.gr[r1 + 1] = u64(product)

    @insn("MLG", "E386", "RXY_a", ref="PoP 7 MULTIPLY LOGICAL")
    def mlg(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """64 by 64 bits, from storage."""
        even(cpu, r1)
        product = u128(cpu.gr[r1 + 1]) * u128(load64(cpu, addr2))
        cpu.gr[r1] = u64(product >> 64)
        cpu.gr[r1 + 1] = u64(product)


_double()


_single(True, [("MGH", "E33C", "RXY_a", i16)], facility=MISCELLANEOUS_2)


def _single_with_cc() -> None:
    """MULTIPLY SINGLE that sets the condition code: 3 if the product does not fit."""
    for mnemonic, opcode, format, kind in (
        ("MSRKC", "B9FD", "RRF", i32), ("MSC", "E353", "RXY_a", i32),
        ("MSGRKC", "B9ED", "RRF", i64), ("MSGC", "E383", "RXY_a", i64),
    ):  # fmt: skip
        get, put = GET[kind], PUT[kind]

        @typed(leaves=True, name=f"multiply_cc_{kind.__name__}")
        def multiply(cpu: Cpu, r1: u8, a: kind, b: kind) -> None:
            product = a * b
            overflow = mul_overflows(a, b)
            put(cpu, r1, product)
            cpu.cc = 3 if overflow else (0 if product == 0 else (1 if product < 0 else 2))
            trap_overflow(cpu)

        if format == "RRF":

            @insn(mnemonic, opcode, format, ref="PoP 7 MULTIPLY SINGLE", facility=MISCELLANEOUS_2)
            def registers(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
                """R1 := R2 times R3."""
                multiply(cpu, r1, get(cpu, r2), get(cpu, r3))

        else:
            load = fetcher(kind, kind)

            @insn(mnemonic, opcode, format, ref="PoP 7 MULTIPLY SINGLE", facility=MISCELLANEOUS_2)
            def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """R1 times storage."""
                multiply(cpu, r1, get(cpu, r1), load(cpu, addr2))


_single_with_cc()


@typed
def multiply_long(cpu: Cpu, r1: u8, a: u64, b: u64) -> None:
    """The signed 128-bit product of two doublewords, into the pair at R1."""
    product = u128(a) * u128(b)
    high = u64(product >> 64)
    if i64(a) < 0:
        high = high - b
    if i64(b) < 0:
        high = high - a
    cpu.gr[r1] = high
    cpu.gr[r1 + 1] = u64(product)


@insn("MGRK", "B9EC", "RRF", ref="PoP 7 MULTIPLY", facility=MISCELLANEOUS_2)
def mgrk(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
    """R2 times R3, signed, into the pair at R1."""
    even(cpu, r1)
    multiply_long(cpu, r1, cpu.gr[r2], cpu.gr[r3])


LOAD_64 = fetcher(u64, u64)


@insn("MG", "E384", "RXY_a", ref="PoP 7 MULTIPLY", facility=MISCELLANEOUS_2)
def mg(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """The odd register times storage, signed."""
    even(cpu, r1)
    multiply_long(cpu, r1, cpu.gr[r1 + 1], LOAD_64(cpu, addr2))


@typed(leaves=True, inline=False)
def divide_signed(cpu: Cpu, r1: u8, dividend: i64, divisor: i64) -> None:
    """64-bit quotient and remainder into the pair at R1."""
    if divisor == 0 or (divisor == -1 and u64(dividend) == 0x8000_0000_0000_0000):
        program(cpu, ProgramCode.FIXED_POINT_DIVIDE)
    cpu.gr[r1] = u64(srem(dividend, divisor))
    cpu.gr[r1 + 1] = u64(sdiv(dividend, divisor))


@typed(leaves=True, inline=False)
def divide_pair(cpu: Cpu, r1: u8, divisor: i32) -> None:
    """D and DR: 64 by 32 bits, the quotient has to fit 32."""
    dividend = i64(pair(cpu, r1))
    if divisor == 0 or (divisor == -1 and u64(dividend) == 0x8000_0000_0000_0000):
        program(cpu, ProgramCode.FIXED_POINT_DIVIDE)
    quotient = sdiv(dividend, i64(divisor))
    if i64(i32(quotient)) != quotient:
        program(cpu, ProgramCode.FIXED_POINT_DIVIDE)
    remainder = srem(dividend, i64(divisor))
    set_low(cpu, r1, u32(remainder))
    set_low(cpu, r1 + 1, u32(quotient))


@typed(leaves=True, inline=False)
def divide_pair_logical(cpu: Cpu, r1: u8, divisor: u32) -> None:
    """DL and DLR: unsigned 64 by 32 bits."""
    dividend = pair(cpu, r1)
    if divisor == 0 or u64(low(cpu, r1)) >= u64(divisor):
        program(cpu, ProgramCode.FIXED_POINT_DIVIDE)
    quotient = dividend // u64(divisor)
    set_low(cpu, r1, u32(dividend % u64(divisor)))
    set_low(cpu, r1 + 1, u32(quotient))


@typed(leaves=True, inline=False)
def divide_long_logical(cpu: Cpu, r1: u8, divisor: u64) -> None:
    """DLG and DLGR: unsigned 128 by 64 bits, by shifting and subtracting."""
    high = cpu.gr[r1]
    low_part = cpu.gr[r1 + 1]
    if high >= divisor:
        program(cpu, ProgramCode.FIXED_POINT_DIVIDE)
    if high == 0:
        cpu.gr[r1] = low_part % divisor
        cpu.gr[r1 + 1] = low_part // divisor
        return
    n: u64 = 0
    while n < 64:
        carry = high >> 63
        high = (high << 1) | (low_part >> 63)
        low_part = low_part << 1
        if carry != 0 or high >= divisor:
            high = high - divisor
            low_part = low_part | 1
        n += 1
    cpu.gr[r1] = high
    cpu.gr[r1 + 1] = low_part


def _divisions() -> None:
    rows: list[tuple[str, str, str, Any, Any, Typed[Any, Any]]] = [
        ("DR", "1D", "RR", i32, i32, divide_pair),
        ("D", "5D", "RX_a", i32, i32, divide_pair),
        ("DLR", "B997", "RRE", u32, u32, divide_pair_logical),
        ("DL", "E397", "RXY_a", u32, u32, divide_pair_logical),
        ("DLGR", "B987", "RRE", u64, u64, divide_long_logical),
        ("DLG", "E387", "RXY_a", u64, u64, divide_long_logical),
    ]
    for mnemonic, opcode, format, kind, source, divide in rows:
        if format in ("RR", "RRE"):

            @insn(mnemonic, opcode, format, ref="PoP 7 DIVIDE")
            def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
                """The pair by R2."""
                even(cpu, r1)
                divide(cpu, r1, kind(source(cpu.gr[r2])))

        else:
            load_divisor = fetcher(kind, source)

            @insn(mnemonic, opcode, format, ref="PoP 7 DIVIDE")
            def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """The pair by storage."""
                even(cpu, r1)
                divide(cpu, r1, load_divisor(cpu, addr2))

    for mnemonic, opcode, format, source in (
        ("DSGR", "B90D", "RRE", i64), ("DSG", "E30D", "RXY_a", i64),
        ("DSGFR", "B91D", "RRE", i32), ("DSGF", "E31D", "RXY_a", i32),
    ):  # fmt: skip
        if format == "RRE":

            @insn(mnemonic, opcode, format, ref="PoP 7 DIVIDE SINGLE")
            def single(cpu: Cpu, r1: u8, r2: u8) -> None:
                """The odd register by R2."""
                even(cpu, r1)
                divide_signed(cpu, r1, i64(cpu.gr[r1 + 1]), i64(source(cpu.gr[r2])))

        else:
            load = fetcher(i64, source)

            @insn(mnemonic, opcode, format, ref="PoP 7 DIVIDE SINGLE")
            def single_storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """The odd register by storage."""
                even(cpu, r1)
                divide_signed(cpu, r1, i64(cpu.gr[r1 + 1]), load(cpu, addr2))


_divisions()
