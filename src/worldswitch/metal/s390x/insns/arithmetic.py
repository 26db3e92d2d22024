"""Binary addition, subtraction and comparison, in every width and form. ref: PoP chapter 7.

A row of a table is (mnemonic, opcode, format, how the second operand is had). The operation is
written once for 32 and once for 64 bits.
"""

from typing import Any

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.engine import (
    Typed,
    add_overflows,
    i16,
    i32,
    i64,
    likely,
    sub_overflows,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import program, specification
from worldswitch.metal.s390x.memory import (
    check_write,
    fetch_u8,
    fetch_u16,
    fetch_u32,
    fetch_u64,
    store_u32,
    store_u64,
)
from worldswitch.metal.s390x.regs import high, low, set_high, set_low
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

OVERFLOW_MASK = 1 << 43
"""Program-mask bit for fixed-point overflow, PSW bit 20."""
GENERAL_EXTENSION = 34
DISTINCT_OPERANDS = 45
MISCELLANEOUS_2 = 58
Row = tuple[str, str, str, Any]


@typed(leaves=True, inline=True)
def trap_overflow(cpu: Cpu) -> None:
    """Program interruption for fixed-point overflow, if the program mask asks for it."""
    if cpu.cc == 3 and cpu.psw_mask & OVERFLOW_MASK != 0:
        program(cpu, ProgramCode.FIXED_POINT_OVERFLOW)


def get_of(kind: Any) -> Typed[Any, Any]:
    """Read a register in the width of `kind`."""
    wide = kind.bits == 64

    @typed(inline=True, name=f"get_{kind.__name__}")
    def get(cpu: Cpu, r: u8) -> kind:
        if wide:
            return kind(cpu.gr[r])
        return kind(low(cpu, r))

    return get


def put_of(kind: Any) -> Typed[Any, Any]:
    """Write a register in the width of `kind`; 32-bit results leave the high half."""
    wide = kind.bits == 64

    @typed(inline=True, name=f"put_{kind.__name__}")
    def put(cpu: Cpu, r: u8, value: kind) -> None:
        if wide:
            cpu.gr[r] = u64(value)
        else:
            set_low(cpu, r, u32(value))

    return put


GET = {k: get_of(k) for k in (i32, u32, i64, u64)}
PUT = {k: put_of(k) for k in (i32, u32, i64, u64)}


def _add_signed(kind: Any, subtract: bool) -> Typed[Any, Any]:
    @typed(inline=True, name=f"{'sub' if subtract else 'add'}_{kind.__name__}")
    def operate(cpu: Cpu, a: kind, b: kind) -> kind:
        if subtract:
            result = a - b
            overflow = sub_overflows(a, b)
        else:
            result = a + b
            overflow = add_overflows(a, b)
        if likely(not overflow):
            cpu.cc = 2 if result > 0 else u64(result < 0)
        else:
            cpu.cc = 3
        return result

    return operate


def _add_logical(kind: Any, subtract: bool) -> Typed[Any, Any]:
    @typed(inline=True, name=f"{'sub' if subtract else 'add'}_{kind.__name__}")
    def operate(cpu: Cpu, a: kind, b: kind) -> kind:
        if subtract:
            result = a - b
            carry = a >= b
        else:
            result = a + b
            carry = result < a
        cpu.cc = u64(result != 0) | (u64(carry) << 1)
        return result

    return operate


def _add_with_carry(kind: Any, subtract: bool) -> Typed[Any, Any]:
    """ADD LOGICAL WITH CARRY and SUBTRACT LOGICAL WITH BORROW: carry is condition-code bit 0."""

    @typed(inline=True, name=f"{'slb' if subtract else 'alc'}_{kind.__name__}")
    def operate(cpu: Cpu, a: kind, b: kind) -> kind:
        carry_in = kind(cpu.cc >> 1)
        other = ~b if subtract else b
        partial = a + other
        result = partial + carry_in
        carry = partial < a or result < partial
        cpu.cc = u64(result != 0) | (u64(carry) << 1)
        return result

    return operate


ADD = {k: _add_signed(k, False) for k in (i32, i64)} | {
    k: _add_logical(k, False) for k in (u32, u64)
}
SUBTRACT = {k: _add_signed(k, True) for k in (i32, i64)} | {
    k: _add_logical(k, True) for k in (u32, u64)
}
CARRY = {k: _add_with_carry(k, False) for k in (u32, u64)}
BORROW = {k: _add_with_carry(k, True) for k in (u32, u64)}


def fetcher(kind: Any, source: Any) -> Typed[Any, Any]:
    """Fetch `source` from storage and extend it to `kind`; i16 and i32 extend their sign."""
    fetch = {8: fetch_u8, 16: fetch_u16, 32: fetch_u32, 64: fetch_u64}[source.bits]

    @typed(leaves=True, inline=True, name=f"fetch_{source.__name__}_as_{kind.__name__}")
    def get(cpu: Cpu, address: u64) -> kind:
        return kind(source(fetch(cpu, OP2, address)))

    return get


def binary(
    kind: Any, operate: Typed[Any, Any], rows: list[Row], traps: bool = False, **rules: Any
) -> None:
    """Instructions R1 := R1 op second operand. The row's last item is the second operand's type
    where it is narrower than `kind` (sign- or zero-extended by its class)."""
    get, put = GET[kind], PUT[kind]
    for mnemonic, opcode, format, source in rows:
        ref = f"PoP 7 {mnemonic}"
        if format in ("RR", "RRE"):

            @insn(mnemonic, opcode, format, ref=ref, leaves=traps, **rules)
            def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
                """R1 op R2."""
                put(cpu, r1, operate(cpu, get(cpu, r1), kind(source(cpu.gr[r2]))))
                if traps:
                    trap_overflow(cpu)

        elif format == "RRF":

            @insn(mnemonic, opcode, format, ref=ref, leaves=traps, facility=DISTINCT_OPERANDS)
            def distinct(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
                """R1 := R2 op R3."""
                put(cpu, r1, operate(cpu, get(cpu, r2), get(cpu, r3)))
                if traps:
                    trap_overflow(cpu)

        elif format == "RIE_d":

            @insn(mnemonic, opcode, format, ref=ref, leaves=traps, facility=DISTINCT_OPERANDS)
            def distinct_immediate(cpu: Cpu, r1: u8, r3: u8, i2: i64) -> None:
                """R1 := R3 op immediate."""
                put(cpu, r1, operate(cpu, get(cpu, r3), kind(source(i2))))
                if traps:
                    trap_overflow(cpu)

        elif format in ("RI_a", "RIL_a"):

            @insn(mnemonic, opcode, format, ref=ref, leaves=traps, **rules)
            def immediate(cpu: Cpu, r1: u8, i2: i64) -> None:
                """R1 op immediate."""
                put(cpu, r1, operate(cpu, get(cpu, r1), kind(source(i2))))
                if traps:
                    trap_overflow(cpu)

        else:
            load = fetcher(kind, source)

            @insn(mnemonic, opcode, format, ref=ref, **rules)
            def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """R1 op storage."""
                put(cpu, r1, operate(cpu, get(cpu, r1), load(cpu, addr2)))
                if traps:
                    trap_overflow(cpu)


binary(
    i32,
    ADD[i32],
    [("AR", "1A", "RR", i32), ("A", "5A", "RX_a", i32), ("AY", "E35A", "RXY_a", i32),
     ("AH", "4A", "RX_a", i16), ("AHY", "E37A", "RXY_a", i16), ("AHI", "A7A", "RI_a", i32),
     ("AFI", "C29", "RIL_a", i32), ("ARK", "B9F8", "RRF", i32), ("AHIK", "ECD8", "RIE_d", i32)],
    traps=True,
)  # fmt: skip
binary(
    i64,
    ADD[i64],
    [("AGR", "B908", "RRE", i64), ("AG", "E308", "RXY_a", i64), ("AGFR", "B918", "RRE", i32),
     ("AGF", "E318", "RXY_a", i32), ("AGHI", "A7B", "RI_a", i64), ("AGFI", "C28", "RIL_a", i64),
     ("AGRK", "B9E8", "RRF", i64), ("AGHIK", "ECD9", "RIE_d", i64)],
    traps=True,
)  # fmt: skip
binary(
    i32,
    SUBTRACT[i32],
    [("SR", "1B", "RR", i32), ("S", "5B", "RX_a", i32), ("SY", "E35B", "RXY_a", i32),
     ("SH", "4B", "RX_a", i16), ("SHY", "E37B", "RXY_a", i16), ("SRK", "B9F9", "RRF", i32)],
    traps=True,
)  # fmt: skip
binary(
    i64,
    SUBTRACT[i64],
    [("SGR", "B909", "RRE", i64), ("SG", "E309", "RXY_a", i64), ("SGFR", "B919", "RRE", i32),
     ("SGF", "E319", "RXY_a", i32), ("SGRK", "B9E9", "RRF", i64)],
    traps=True,
)  # fmt: skip
binary(
    u32,
    ADD[u32],
    [("ALR", "1E", "RR", u32), ("AL", "5E", "RX_a", u32), ("ALY", "E35E", "RXY_a", u32),
     ("ALFI", "C2B", "RIL_a", u32), ("ALRK", "B9FA", "RRF", u32),
     ("ALHSIK", "ECDA", "RIE_d", u32)],
)  # fmt: skip
binary(
    u64,
    ADD[u64],
    [("ALGR", "B90A", "RRE", u64), ("ALG", "E30A", "RXY_a", u64), ("ALGFR", "B91A", "RRE", u32),
     ("ALGF", "E31A", "RXY_a", u32), ("ALGFI", "C2A", "RIL_a", u32), ("ALGRK", "B9EA", "RRF", u64),
     ("ALGHSIK", "ECDB", "RIE_d", u64)],
)  # fmt: skip
binary(
    u32,
    SUBTRACT[u32],
    [("SLR", "1F", "RR", u32), ("SL", "5F", "RX_a", u32), ("SLY", "E35F", "RXY_a", u32),
     ("SLFI", "C25", "RIL_a", u32), ("SLRK", "B9FB", "RRF", u32)],
)  # fmt: skip
binary(
    u64,
    SUBTRACT[u64],
    [("SLGR", "B90B", "RRE", u64), ("SLG", "E30B", "RXY_a", u64), ("SLGFR", "B91B", "RRE", u32),
     ("SLGF", "E31B", "RXY_a", u32), ("SLGFI", "C24", "RIL_a", u32), ("SLGRK", "B9EB", "RRF", u64)],
)  # fmt: skip
binary(i64, ADD[i64], [("AGH", "E338", "RXY_a", i16)], traps=True, facility=MISCELLANEOUS_2)
binary(i64, SUBTRACT[i64], [("SGH", "E339", "RXY_a", i16)], traps=True, facility=MISCELLANEOUS_2)
binary(u32, CARRY[u32], [("ALCR", "B998", "RRE", u32), ("ALC", "E398", "RXY_a", u32)])
binary(u64, CARRY[u64], [("ALCGR", "B988", "RRE", u64), ("ALCG", "E388", "RXY_a", u64)])
binary(u32, BORROW[u32], [("SLBR", "B999", "RRE", u32), ("SLB", "E399", "RXY_a", u32)])
binary(u64, BORROW[u64], [("SLBGR", "B989", "RRE", u64), ("SLBG", "E389", "RXY_a", u64)])


def _storage_immediates() -> None:
    """ADD IMMEDIATE to storage, and the logical form with a signed immediate."""
    for mnemonic, opcode, kind in (("ASI", "EB6A", i32), ("AGSI", "EB7A", i64),
                                   ("ALSI", "EB6E", u32), ("ALGSI", "EB7E", u64)):  # fmt: skip
        operate = ADD[kind]
        fetch = fetch_u32 if kind.bits == 32 else fetch_u64
        store = store_u32 if kind.bits == 32 else store_u64
        plain = u32 if kind.bits == 32 else u64
        traps = kind in (i32, i64)

        @insn(mnemonic, opcode, "SIY", ref=f"PoP 7 {mnemonic}", facility=GENERAL_EXTENSION)
        def add_to_storage(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Storage := storage + sign-extended byte."""
            if (addr1 ^ (addr1 + 7)) >> 12 != 0:
                check_write(cpu, OP1, addr1, kind.bits // 8)
            cc = cpu.cc
            result = operate(cpu, kind(fetch(cpu, OP1, addr1)), kind(i64(i2 << 56) >> 56))
            new_cc = cpu.cc
            cpu.cc = cc
            store(cpu, OP1, addr1, plain(result))
            cpu.cc = new_cc
            if traps:
                trap_overflow(cpu)


_storage_immediates()


def _high_word() -> None:
    """Addition and subtraction in bits 0-31 of registers."""
    for mnemonic, opcode, kind, operate, third_low in (
        ("AHHHR", "B9C8", i32, ADD[i32], False), ("AHHLR", "B9D8", i32, ADD[i32], True),
        ("ALHHHR", "B9CA", u32, ADD[u32], False), ("ALHHLR", "B9DA", u32, ADD[u32], True),
        ("SHHHR", "B9C9", i32, SUBTRACT[i32], False), ("SHHLR", "B9D9", i32, SUBTRACT[i32], True),
        ("SLHHHR", "B9CB", u32, SUBTRACT[u32], False), ("SLHHLR", "B9DB", u32, SUBTRACT[u32], True),
    ):  # fmt: skip
        traps = kind is i32

        @insn(mnemonic, opcode, "RRF", ref=f"PoP 7 {mnemonic}", facility=45)
        def high_op(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
            """High half of R1 := high half of R2 op a half of R3."""
            b = kind(low(cpu, r3)) if third_low else kind(high(cpu, r3))
            set_high(cpu, r1, u32(operate(cpu, kind(high(cpu, r2)), b)))
            if traps:
                trap_overflow(cpu)

    for mnemonic, opcode, kind, sets_cc in (("AIH", "CC8", i32, True), ("ALSIH", "CCA", u32, True),
                                            ("ALSIHN", "CCB", u32, False)):  # fmt: skip
        operate = ADD[kind]
        traps = kind is i32

        @insn(mnemonic, opcode, "RIL_a", ref=f"PoP 7 {mnemonic}", facility=45)
        def high_immediate(cpu: Cpu, r1: u8, i2: i64) -> None:
            """High half of R1 plus an immediate."""
            cc = cpu.cc
            set_high(cpu, r1, u32(operate(cpu, kind(high(cpu, r1)), kind(i2))))
            if not sets_cc:
                cpu.cc = cc
            if traps:
                trap_overflow(cpu)


_high_word()


def _compare(kind: Any) -> Typed[Any, Any]:
    @typed(inline=True, name=f"compare_{kind.__name__}")
    def compare(cpu: Cpu, a: kind, b: kind) -> None:
        cpu.cc = u64(a < b) | (u64(a > b) << 1)

    return compare


COMPARE = {k: _compare(k) for k in (i32, u32, i64, u64)}


def _comparisons(kind: Any, rows: list[Row]) -> None:
    get, compare = GET[kind], COMPARE[kind]
    for mnemonic, opcode, format, source in rows:
        ref = f"PoP 7 {mnemonic}"
        if format in ("RR", "RRE"):

            @insn(mnemonic, opcode, format, ref=ref, leaves=False)
            def registers(cpu: Cpu, r1: u8, r2: u8) -> None:
                """R1 with R2."""
                compare(cpu, get(cpu, r1), kind(source(cpu.gr[r2])))

        elif format in ("RI_a", "RIL_a"):

            @insn(mnemonic, opcode, format, ref=ref, leaves=False)
            def immediate(cpu: Cpu, r1: u8, i2: i64) -> None:
                """R1 with an immediate."""
                compare(cpu, get(cpu, r1), kind(source(i2)))

        elif format == "RIL_b":
            load = fetcher(kind, source)
            aligned = source.bits // 8 - 1

            @insn(mnemonic, opcode, format, ref=ref, facility=GENERAL_EXTENSION)
            def relative(cpu: Cpu, r1: u8, target: u64) -> None:
                """R1 with aligned storage at a relative address."""
                if target & aligned != 0:
                    specification(cpu)
                compare(cpu, get(cpu, r1), load(cpu, target))

        else:
            load = fetcher(kind, source)

            @insn(mnemonic, opcode, format, ref=ref)
            def storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """R1 with storage."""
                compare(cpu, get(cpu, r1), load(cpu, addr2))


_comparisons(
    i32,
    [("CR", "19", "RR", i32), ("C", "59", "RX_a", i32), ("CY", "E359", "RXY_a", i32),
     ("CH", "49", "RX_a", i16), ("CHY", "E379", "RXY_a", i16), ("CHI", "A7E", "RI_a", i32),
     ("CFI", "C2D", "RIL_a", i32), ("CRL", "C6D", "RIL_b", i32), ("CHRL", "C65", "RIL_b", i16)],
)  # fmt: skip
_comparisons(
    i64,
    [("CGR", "B920", "RRE", i64), ("CG", "E320", "RXY_a", i64), ("CGFR", "B930", "RRE", i32),
     ("CGF", "E330", "RXY_a", i32), ("CGH", "E334", "RXY_a", i16), ("CGHI", "A7F", "RI_a", i64),
     ("CGFI", "C2C", "RIL_a", i64), ("CGRL", "C68", "RIL_b", i64), ("CGFRL", "C6C", "RIL_b", i32),
     ("CGHRL", "C64", "RIL_b", i16)],
)  # fmt: skip
_comparisons(
    u32,
    [("CLR", "15", "RR", u32), ("CL", "55", "RX_a", u32), ("CLY", "E355", "RXY_a", u32),
     ("CLFI", "C2F", "RIL_a", u32), ("CLRL", "C6F", "RIL_b", u32), ("CLHRL", "C67", "RIL_b", u16)],
)  # fmt: skip
_comparisons(
    u64,
    [("CLGR", "B921", "RRE", u64), ("CLG", "E321", "RXY_a", u64), ("CLGFR", "B931", "RRE", u32),
     ("CLGF", "E331", "RXY_a", u32), ("CLGFI", "C2E", "RIL_a", u32), ("CLGRL", "C6A", "RIL_b", u64),
     ("CLGFRL", "C6E", "RIL_b", u32), ("CLGHRL", "C66", "RIL_b", u16)],
)  # fmt: skip


def _storage_comparisons() -> None:
    for mnemonic, opcode, format in (("CLI", "95", "SI"), ("CLIY", "EB55", "SIY")):

        @insn(mnemonic, opcode, format, ref="PoP 7 COMPARE LOGICAL")
        def byte(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Storage byte with an immediate."""
            COMPARE_U32(cpu, u32(fetch_u8(cpu, OP1, addr1)), u32(i2))

    for mnemonic, opcode, kind, source, fetch in (
        ("CHHSI", "E554", i32, i16, fetch_u16), ("CHSI", "E55C", i32, i32, fetch_u32),
        ("CGHSI", "E558", i64, i64, fetch_u64),
    ):  # fmt: skip
        compare = COMPARE[kind]

        @insn(mnemonic, opcode, "SIL", ref=f"PoP 7 {mnemonic}", facility=GENERAL_EXTENSION)
        def halfword(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Storage with a sign-extended immediate."""
            compare(cpu, kind(source(fetch(cpu, OP1, addr1))), kind(i2))

    for mnemonic, opcode, kind, fetch in (
        ("CLHHSI", "E555", u32, fetch_u16), ("CLFHSI", "E55D", u32, fetch_u32),
        ("CLGHSI", "E559", u64, fetch_u64),
    ):  # fmt: skip
        compare = COMPARE[kind]

        @insn(mnemonic, opcode, "SIL", ref=f"PoP 7 {mnemonic}", facility=GENERAL_EXTENSION)
        def logical(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Storage with a zero-extended immediate."""
            compare(cpu, kind(fetch(cpu, OP1, addr1)), kind(u16(i2)))

    for mnemonic, opcode, kind, third_low in (
        ("CHHR", "B9CD", i32, False), ("CHLR", "B9DD", i32, True),
        ("CLHHR", "B9CF", u32, False), ("CLHLR", "B9DF", u32, True),
    ):  # fmt: skip
        compare = COMPARE[kind]

        @insn(mnemonic, opcode, "RRE", ref=f"PoP 7 {mnemonic}", facility=45, leaves=False)
        def high_registers(cpu: Cpu, r1: u8, r2: u8) -> None:
            """High half of R1 with a half of R2."""
            b = kind(low(cpu, r2)) if third_low else kind(high(cpu, r2))
            compare(cpu, kind(high(cpu, r1)), b)

    for mnemonic, opcode, kind in (("CIH", "CCD", i32), ("CLIH", "CCF", u32)):
        compare = COMPARE[kind]

        @insn(mnemonic, opcode, "RIL_a", ref=f"PoP 7 {mnemonic}", facility=45, leaves=False)
        def high_immediate(cpu: Cpu, r1: u8, i2: i64) -> None:
            """High half of R1 with an immediate."""
            compare(cpu, kind(high(cpu, r1)), kind(i2))

    for mnemonic, opcode, kind in (("CHF", "E3CD", i32), ("CLHF", "E3CF", u32)):
        compare = COMPARE[kind]

        @insn(mnemonic, opcode, "RXY_a", ref=f"PoP 7 {mnemonic}", facility=45)
        def high_storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """High half of R1 with storage."""
            compare(cpu, kind(high(cpu, r1)), kind(fetch_u32(cpu, OP2, addr2)))


COMPARE_U32 = COMPARE[u32]
_storage_comparisons()


def _sign_forms() -> None:
    """LOAD AND TEST, COMPLEMENT, POSITIVE, NEGATIVE."""
    rows: list[tuple[str, str, str, Any, Any]] = [
        ("LTR", "12", "RR", i32, i32), ("LTGR", "B902", "RRE", i64, i64),
        ("LTGFR", "B912", "RRE", i64, i32),
    ]  # fmt: skip
    for mnemonic, opcode, format, kind, source in rows:
        put = PUT[kind]

        @insn(mnemonic, opcode, format, ref="PoP 7 LOAD AND TEST", leaves=False)
        def test(cpu: Cpu, r1: u8, r2: u8) -> None:
            """Copy; the sign sets the condition code."""
            value = kind(source(cpu.gr[r2]))
            put(cpu, r1, value)
            cpu.cc = 0 if value == 0 else (1 if value < 0 else 2)

    for mnemonic, opcode, kind, source in (("LT", "E312", i32, i32), ("LTG", "E302", i64, i64),
                                           ("LTGF", "E332", i64, i32)):  # fmt: skip
        load, put = fetcher(kind, source), PUT[kind]

        @insn(mnemonic, opcode, "RXY_a", ref="PoP 7 LOAD AND TEST")
        def test_storage(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """Load; the sign sets the condition code."""
            value = load(cpu, addr2)
            put(cpu, r1, value)
            cpu.cc = 0 if value == 0 else (1 if value < 0 else 2)

    for names, opcodes, how in (
        (("LCR", "LCGR", "LCGFR"), ("13", "B903", "B913"), "complement"),
        (("LPR", "LPGR", "LPGFR"), ("10", "B900", "B910"), "positive"),
        (("LNR", "LNGR", "LNGFR"), ("11", "B901", "B911"), "negative"),
    ):
        for mnemonic, opcode, kind, source in zip(
            names, opcodes, (i32, i64, i64), (i32, i64, i32), strict=True
        ):
            _sign_form(mnemonic, opcode, kind, source, how)


def _sign_form(mnemonic: str, opcode: str, kind: Any, source: Any, how: str) -> None:
    put = PUT[kind]
    complement, negative = how == "complement", how == "negative"
    format = "RR" if len(opcode) == 2 else "RRE"

    @insn(mnemonic, opcode, format, ref=f"PoP 7 {mnemonic}")
    def change_sign(cpu: Cpu, r1: u8, r2: u8) -> None:
        """Change the sign as the name says."""
        value = kind(source(cpu.gr[r2]))
        result = value
        if complement or (value > 0 if negative else value < 0):
            result = -value
        put(cpu, r1, result)
        overflow = result == value and value != 0 and (complement or not negative) and value < 0
        cpu.cc = 3 if overflow else (0 if result == 0 else (1 if result < 0 else 2))
        trap_overflow(cpu)


_sign_forms()

__all__ = ["ADD", "COMPARE", "GET", "PUT", "binary", "fetcher", "trap_overflow"]
