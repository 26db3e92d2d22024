"""x87 functions of the top of the stack: remainders, roots, transcendental ones. ref: APM5 1"""

from typing import Any

from worldswitch.engine import typed, u16, u64, u128
from worldswitch.metal.x86.fp.x87 import (
    INDEFINITE,
    f80_2xm1,
    f80_abs,
    f80_atan,
    f80_chs,
    f80_cos,
    f80_extract,
    f80_rem,
    f80_round,
    f80_scale,
    f80_sin,
    f80_sincos,
    f80_sqrt,
    f80_tan,
    f80_yl2x,
    f80_yl2xp1,
    invalid_status,
    withheld,
)
from worldswitch.metal.x86.fp.x87_core import C2, DEFINED, ONE, QUIET, classify
from worldswitch.metal.x86.insn import insn
from worldswitch.metal.x86.insns.x87_control import wait_for_errors
from worldswitch.metal.x86.state import Cpu, Record
from worldswitch.metal.x86.x87_unit import (
    filled,
    note,
    pop,
    push,
    put,
    settle,
    settle_reduction,
    st,
)

CHS, ABS, TWO_TO_X, ROOT, ROUND, SINE, COSINE = 0x20, 0x21, 0x30, 0x3A, 0x3C, 0x3E, 0x3F
"""Last six bits of ModRM, behind D9."""
YL2X, ATAN, REM1, REM, YL2XP1, SCALE = 0x31, 0x33, 0x35, 0x38, 0x39, 0x3D
TAN, EXTRACT, SINCOS = 0x32, 0x34, 0x3B


@typed(inline=False)
def function_of_one(which: u64, a: u128, control: u16) -> tuple[u128, u16]:
    """The functions of ST(0) alone."""
    result = u128(0)
    status = u16(0)
    if which == CHS:
        result = f80_chs(a)
    elif which == ABS:
        result = f80_abs(a)
    elif which == ROOT:
        result, status = f80_sqrt(a, control)
    elif which == ROUND:
        result, status = f80_round(a, control)
    elif which == TWO_TO_X:
        result, status = f80_2xm1(a, control)
    elif which == SINE:
        result, status = f80_sin(a, control)
    else:
        result, status = f80_cos(a, control)
    return result, status


@typed(inline=False)
def function_of_two(which: u64, a: u128, b: u128, control: u16) -> tuple[u128, u16]:
    """The functions of a, ST(0), and b, ST(1)."""
    result = u128(0)
    status = u16(0)
    if which == REM:
        result, status = f80_rem(a, b, False, control)
    elif which == REM1:
        result, status = f80_rem(a, b, True, control)
    elif which == SCALE:
        result, status = f80_scale(a, b, control)
    elif which == YL2X:
        result, status = f80_yl2x(a, b, control)
    elif which == YL2XP1:
        result, status = f80_yl2xp1(a, b, control)
    else:
        result, status = f80_atan(a, b, control)
    return result, status


@typed(inline=False)
def one_operand(cpu: Cpu, rec: Record) -> None:
    """Replace ST(0) by a function of it."""
    note(cpu, rec)
    result = u128(INDEFINITE)
    status = invalid_status(False)
    which = u64(rec.opcode & 63)
    if filled(cpu, 0):
        result, status = function_of_one(which, st(cpu, 0), cpu.x87_control)
    if which == SINE or which == COSINE:
        settle_reduction(cpu, status)
    else:
        settle(cpu, status)
    if not withheld(status, cpu.x87_control):
        put(cpu, 0, result)


@typed(inline=False)
def two_operands(cpu: Cpu, rec: Record) -> None:
    """A function of ST(0) and ST(1): its result replaces ST(0), or both."""
    note(cpu, rec)
    result = u128(INDEFINITE)
    status = invalid_status(False)
    which = u64(rec.opcode & 63)
    if filled(cpu, 0) and filled(cpu, 1):
        result, status = function_of_two(which, st(cpu, 0), st(cpu, 1), cpu.x87_control)
    if (which == REM or which == REM1) and status & DEFINED == 0:
        settle_reduction(cpu, status)
    else:
        settle(cpu, status)
    if not withheld(status, cpu.x87_control):
        if which == YL2X or which == YL2XP1 or which == ATAN:
            pop(cpu)
        put(cpu, 0, result)


@typed(inline=False)
def two_results(cpu: Cpu, rec: Record) -> None:
    """FXTRACT, FSINCOS, FPTAN: ST(0) is replaced, and then something is pushed."""
    note(cpu, rec)
    control = cpu.x87_control
    which = u64(rec.opcode & 63)
    first = u128(INDEFINITE)
    second = u128(INDEFINITE)
    status = invalid_status(False)
    if filled(cpu, 0):
        status = invalid_status(True)
        if not filled(cpu, 7):
            a = st(cpu, 0)
            if which == EXTRACT:
                first, second, status = f80_extract(a, control)
            elif which == SINCOS:
                first, second, status = f80_sincos(a, control)
            else:
                first, status = f80_tan(a, control)
                second = first
                if classify(first) < QUIET:
                    second = u128(ONE)
    if which == EXTRACT:
        settle(cpu, status)
    else:
        settle_reduction(cpu, status)
    out_of_range = status & (DEFINED | C2) == DEFINED | C2
    if not withheld(status, control) and not out_of_range:
        put(cpu, 0, first)
        push(cpu, second)


def _on_stack(operation: Any, *names: tuple[str, str]) -> None:
    for mnemonic, encoding in names:

        @insn(mnemonic, encoding, ref=f"APM5 2 {mnemonic}", raw=True, unit="x87")
        def on_stack() -> Any:
            """A function of the top of the stack."""

            @typed(leaves=True, inline=True)
            def on_stack(cpu: Cpu, rec: Record) -> None:
                wait_for_errors(cpu)
                operation(cpu, rec)

            return on_stack


_on_stack(
    one_operand, ("FCHS", "D9 E0"), ("FABS", "D9 E1"), ("F2XM1", "D9 F0"), ("FSQRT", "D9 FA"),
    ("FRNDINT", "D9 FC"), ("FSIN", "D9 FE"), ("FCOS", "D9 FF"),
)  # fmt: skip
_on_stack(
    two_operands, ("FYL2X", "D9 F1"), ("FPATAN", "D9 F3"), ("FPREM1", "D9 F5"), ("FPREM", "D9 F8"),
    ("FYL2XP1", "D9 F9"), ("FSCALE", "D9 FD"),
)  # fmt: skip
_on_stack(two_results, ("FPTAN", "D9 F2"), ("FXTRACT", "D9 F4"), ("FSINCOS", "D9 FB"))
