"""Hexadecimal floating-point instructions: arithmetic and comparison. ref: PoP chapter 18."""

from typing import Any

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import Typed, typed, u8, u16, u64, u128
from worldswitch.metal.s390x.hfp.arithmetic import (
    EXTENDED,
    LONG,
    SHORT,
    SIGN,
    add,
    compare,
    condition_of,
    divide,
    fraction_of,
    halve,
    multiply,
    multiply_add,
    square_root,
)
from worldswitch.metal.s390x.hfp.operands import CHECK, GET, LOAD, PUT, interrupt
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.registers_fp import BOTH
from worldswitch.metal.s390x.leave import program
from worldswitch.metal.s390x.state import Cpu

MULTIPLY_ADD = 20
"""Facility bit of HFP multiply-and-add and -subtract."""
Operation = Typed[Any, Any]


def _adder(low: int, subtracting: bool, normalizing: bool) -> Operation:
    @typed(inline=True, name=f"{'subtract' if subtracting else 'add'}_hfp_{low}_{normalizing}")
    def operate(cpu: Cpu, a: u128, b: u128) -> tuple[u128, u16]:
        if subtracting:
            return add(cpu, low, a, b ^ SIGN, normalizing)
        return add(cpu, low, a, b, normalizing)

    return operate


def _multiplier(low: int) -> Operation:
    @typed(inline=True, name=f"multiply_hfp_{low}")
    def operate(cpu: Cpu, a: u128, b: u128) -> tuple[u128, u16]:
        return multiply(cpu, low, a, b)

    return operate


def _divider(low: int) -> Operation:
    @typed(leaves=True, inline=True, name=f"divide_hfp_{low}")
    def operate(cpu: Cpu, a: u128, b: u128) -> tuple[u128, u16]:
        if fraction_of(b) == 0:
            program(cpu, ProgramCode.HFP_DIVIDE)
        return divide(cpu, low, a, b)

    return operate


def _binary(
    ref: str, operate: Operation, source: int, result: int, sets_cc: bool, *forms: tuple[str, ...]
) -> None:
    """R1 := R1 op second operand; the forms differ in where that is."""
    check, check_result = CHECK[source], CHECK[result]
    get, put = GET[source], PUT[result]
    for mnemonic, opcode, format in forms:
        if format in ("RR", "RRE"):

            @insn(mnemonic, opcode, format, ref=ref, afp=BOTH)
            def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
                """R1 op R2."""
                check_result(cpu, r1)
                check(cpu, r2)
                image, code = operate(cpu, get(cpu, r1), get(cpu, r2))
                put(cpu, r1, image)
                if sets_cc:
                    cpu.cc = condition_of(image)
                interrupt(cpu, code)

        else:
            load = LOAD[source]

            @insn(mnemonic, opcode, format, ref=ref, afp=("r1",))
            def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """R1 op storage."""
                check_result(cpu, r1)
                image, code = operate(cpu, get(cpu, r1), load(cpu, addr2))
                put(cpu, r1, image)
                if sets_cc:
                    cpu.cc = condition_of(image)
                interrupt(cpu, code)


def _additions() -> None:
    for low, normal, unnormal in (
        (SHORT, (("ER", "A", "RR"), ("E", "A", "RX_a")), (("UR", "E", "RR"), ("U", "E", "RX_a"))),
        (LONG, (("DR", "A", "RR"), ("D", "A", "RX_a")), (("WR", "E", "RR"), ("W", "E", "RX_a"))),
    ):  # fmt: skip
        rows = {"RR": "3" if low == SHORT else "2", "RX_a": "7" if low == SHORT else "6"}
        for normalizing, forms in ((True, normal), (False, unnormal)):
            kind = "NORMALIZED" if normalizing else "UNNORMALIZED"
            first = "A" if normalizing else "E"
            second = "B" if normalizing else "F"
            _binary(
                f"PoP 18 ADD {kind}", _adder(low, False, normalizing), low, low, True,
                *((f"A{name}", rows[format] + first, format) for name, _, format in forms),
            )  # fmt: skip
            _binary(
                f"PoP 18 SUBTRACT {kind}", _adder(low, True, normalizing), low, low, True,
                *((f"S{name}", rows[format] + second, format) for name, _, format in forms),
            )  # fmt: skip
    _binary("PoP 18 ADD NORMALIZED", _adder(EXTENDED, False, True), EXTENDED, EXTENDED, True,
            ("AXR", "36", "RR"))  # fmt: skip
    _binary("PoP 18 SUBTRACT NORMALIZED", _adder(EXTENDED, True, True), EXTENDED, EXTENDED, True,
            ("SXR", "37", "RR"))  # fmt: skip


_additions()

for _source, _result, _forms in (
    (SHORT, SHORT, (("MEER", "B337", "RRE"), ("MEE", "ED37", "RXE"))),
    (SHORT, LONG, (("MDER", "3C", "RR"), ("MDE", "7C", "RX_a"))),
    (LONG, LONG, (("MDR", "2C", "RR"), ("MD", "6C", "RX_a"))),
    (LONG, EXTENDED, (("MXDR", "27", "RR"), ("MXD", "67", "RX_a"))),
    (EXTENDED, EXTENDED, (("MXR", "26", "RR"),)),
):
    _binary("PoP 18 MULTIPLY", _multiplier(_result), _source, _result, False, *_forms)

for _low, _forms in (
    (SHORT, (("DER", "3D", "RR"), ("DE", "7D", "RX_a"))),
    (LONG, (("DDR", "2D", "RR"), ("DD", "6D", "RX_a"))),
    (EXTENDED, (("DXR", "B22D", "RRE"),)),
):
    _binary("PoP 18 DIVIDE", _divider(_low), _low, _low, False, *_forms)


def _comparisons() -> None:
    for low, register, storage in (
        (SHORT, ("CER", "39", "RR"), ("CE", "79", "RX_a")),
        (LONG, ("CDR", "29", "RR"), ("CD", "69", "RX_a")),
        (EXTENDED, ("CXR", "B369", "RRE"), None),
    ):
        check, get = CHECK[low], GET[low]

        @insn(*register, ref="PoP 18 COMPARE", afp=BOTH)
        def compare_registers(cpu: Cpu, r1: u8, r2: u8) -> None:
            """R1 with R2."""
            check(cpu, r1)
            check(cpu, r2)
            cpu.cc = compare(low, get(cpu, r1), get(cpu, r2))

        if storage is not None:
            load = LOAD[low]

            @insn(*storage, ref="PoP 18 COMPARE", afp=("r1",))
            def compare_storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """R1 with storage."""
                cpu.cc = compare(low, get(cpu, r1), load(cpu, addr2))


_comparisons()


def _multiply_adds() -> None:
    """R1 := R3 times the second operand, plus or minus R1."""
    for mnemonic, opcode, low, sign in (
        ("MAE", "2E", SHORT, 0), ("MAD", "3E", LONG, 0),
        ("MSE", "2F", SHORT, SIGN), ("MSD", "3F", LONG, SIGN),
    ):  # fmt: skip
        get, put, load = GET[low], PUT[low], LOAD[low]
        ref = "PoP 18 MULTIPLY AND SUBTRACT" if sign else "PoP 18 MULTIPLY AND ADD"

        @insn(
            f"{mnemonic}R",
            f"B3{opcode}",
            "RRD",
            ref=ref,
            facility=MULTIPLY_ADD,
            afp=("r1", "r2", "r3"),
        )
        def registers(cpu: Cpu, r1: u8, r3: u8, r2: u8) -> None:
            """With R2."""
            image, code = multiply_add(cpu, low, get(cpu, r3), get(cpu, r2), get(cpu, r1) ^ sign)
            put(cpu, r1, image)
            interrupt(cpu, code)

        @insn(mnemonic, f"ED{opcode}", "RXF", ref=ref, facility=MULTIPLY_ADD, afp=("r1", "r3"))
        def storage(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """With storage."""
            image, code = multiply_add(
                cpu, low, get(cpu, r3), load(cpu, addr2), get(cpu, r1) ^ sign
            )
            put(cpu, r1, image)
            interrupt(cpu, code)


_multiply_adds()


def _unary() -> None:
    for mnemonic, opcode, low in (("HER", "34", SHORT), ("HDR", "24", LONG)):
        get, put = GET[low], PUT[low]

        @insn(mnemonic, opcode, "RR", ref="PoP 18 HALVE", afp=BOTH)
        def half(cpu: Cpu, r1: u8, r2: u8) -> None:
            """Half of R2."""
            image, code = halve(cpu, low, get(cpu, r2))
            put(cpu, r1, image)
            interrupt(cpu, code)

    for mnemonic, opcode, low in (("SQE", "34", SHORT), ("SQD", "35", LONG), ("SQX", "", EXTENDED)):
        check, get, put = CHECK[low], GET[low], PUT[low]
        register = {SHORT: "B245", LONG: "B244", EXTENDED: "B336"}[low]

        @typed(leaves=True, inline=True, name=f"put_root_{low}")
        def put_root(cpu: Cpu, r1: u8, image: u128) -> None:
            if image & SIGN != 0 and fraction_of(image) != 0:
                program(cpu, ProgramCode.HFP_SQUARE_ROOT)
            put(cpu, r1, square_root(low, image))

        @insn(f"{mnemonic}R", register, "RRE", ref="PoP 18 SQUARE ROOT", afp=BOTH)
        def root(cpu: Cpu, r1: u8, r2: u8) -> None:
            """The square root of R2."""
            check(cpu, r1)
            check(cpu, r2)
            put_root(cpu, r1, get(cpu, r2))

        if opcode:
            load = LOAD[low]

            @insn(mnemonic, f"ED{opcode}", "RXE", ref="PoP 18 SQUARE ROOT", afp=("r1",))
            def root_of_storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """The square root of a number in storage."""
                put_root(cpu, r1, load(cpu, addr2))


_unary()
