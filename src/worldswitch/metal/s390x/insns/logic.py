"""AND, OR, XOR, tests under mask, shifts, rotates, bit counting. ref: PoP chapter 7."""

from typing import Any

from worldswitch.engine import Typed, clz, i32, i64, popcount, rotl, typed, u8, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.arithmetic import ADD, GET, PUT, binary, trap_overflow
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    fetch_u8,
    fetch_u32,
    fetch_u64,
    store_u8,
    store_u32,
    store_u64,
)
from worldswitch.metal.s390x.regs import low, set_low
from worldswitch.metal.s390x.state import OP1, OP2, Cpu


def _bitwise(kind: Any, op: str) -> Typed[Any, Any]:
    is_and, is_or = op == "and", op == "or"

    @typed(inline=True, name=f"{op}_{kind.__name__}")
    def operate(cpu: Cpu, a: kind, b: kind) -> kind:
        if is_and:
            result = a & b
        elif is_or:
            result = a | b
        else:
            result = a ^ b
        cpu.cc = u64(result != 0)
        return result

    return operate


AND = {k: _bitwise(k, "and") for k in (u8, u32, u64)}
OR = {k: _bitwise(k, "or") for k in (u8, u32, u64)}
XOR = {k: _bitwise(k, "xor") for k in (u8, u32, u64)}

for _table, _name, _rr, _rx, _y, _g, _gy, _k, _gk in (
    (AND, "N", "14", "54", "E354", "B980", "E380", "B9F4", "B9E4"),
    (OR, "O", "16", "56", "E356", "B981", "E381", "B9F6", "B9E6"),
    (XOR, "X", "17", "57", "E357", "B982", "E382", "B9F7", "B9E7"),
):
    binary(
        u32,
        _table[u32],
        [(f"{_name}R", _rr, "RR", u32), (_name, _rx, "RX_a", u32), (f"{_name}Y", _y, "RXY_a", u32),
         (f"{_name}RK", _k, "RRF", u32)],
    )  # fmt: skip
    binary(
        u64,
        _table[u64],
        [(f"{_name}GR", _g, "RRE", u64), (f"{_name}G", _gy, "RXY_a", u64),
         (f"{_name}GRK", _gk, "RRF", u64)],
    )  # fmt: skip


def _byte_immediates() -> None:
    for mnemonic, opcode, format, table in (
        ("NI", "94", "SI", AND), ("NIY", "EB54", "SIY", AND), ("OI", "96", "SI", OR),
        ("OIY", "EB56", "SIY", OR), ("XI", "97", "SI", XOR), ("XIY", "EB57", "SIY", XOR),
    ):  # fmt: skip
        operate = table[u8]

        @insn(mnemonic, opcode, format, ref=f"PoP 7 {mnemonic}")
        def change_byte(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Storage byte op immediate."""
            cc = cpu.cc
            result = operate(cpu, fetch_u8(cpu, OP1, addr1), u8(i2))
            new_cc = cpu.cc
            cpu.cc = cc
            store_u8(cpu, OP1, addr1, result)
            cpu.cc = new_cc

    for mnemonic, opcode, format in (("TM", "91", "SI"), ("TMY", "EB51", "SIY")):

        @insn(mnemonic, opcode, format, ref="PoP 7 TEST UNDER MASK")
        def test_byte(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Selected bits: all zero, mixed, all one."""
            mask = u8(i2)
            bits = fetch_u8(cpu, OP1, addr1) & mask
            cpu.cc = 0 if bits == 0 else (3 if bits == mask else 1)


_byte_immediates()


def _register_immediates() -> None:
    for letter, op, half, word in (
        ("N", "and", "4567", "AB"), ("O", "or", "89AB", "CD"), ("X", "xor", None, "67"),
    ):  # fmt: skip
        is_and, is_or = op == "and", op == "or"
        if half is not None:
            for part, digit, shift in zip(("HH", "HL", "LH", "LL"), half, (48, 32, 16, 0),
                                          strict=True):  # fmt: skip

                @insn(f"{letter}I{part}", f"A5{digit}", "RI_a", ref=f"PoP 7 {letter}I{part}",
                      leaves=False)  # fmt: skip
                def halfword(cpu: Cpu, r1: u8, i2: i64) -> None:
                    """One halfword of R1 op immediate."""
                    value = (u64(i2) & 0xFFFF) << shift
                    mask = u64(0xFFFF) << shift
                    if is_and:
                        cpu.gr[r1] = cpu.gr[r1] & (value | ~mask)
                    else:
                        cpu.gr[r1] = cpu.gr[r1] | value
                    cpu.cc = u64(cpu.gr[r1] & mask != 0)

        for part, digit, shift in zip(("HF", "LF"), word, (32, 0), strict=True):

            @insn(f"{letter}I{part}", f"C0{digit}", "RIL_a", ref=f"PoP 7 {letter}I{part}",
                  leaves=False)  # fmt: skip
            def fullword(cpu: Cpu, r1: u8, i2: i64) -> None:
                """One word of R1 op immediate."""
                value = (u64(i2) & 0xFFFF_FFFF) << shift
                mask = u64(0xFFFF_FFFF) << shift
                if is_and:
                    cpu.gr[r1] = cpu.gr[r1] & (value | ~mask)
                elif is_or:
                    cpu.gr[r1] = cpu.gr[r1] | value
                else:
                    cpu.gr[r1] = cpu.gr[r1] ^ value
                cpu.cc = u64(cpu.gr[r1] & mask != 0)

    for mnemonic, opcode, shift in (("TMHH", "A72", 48), ("TMHL", "A73", 32), ("TMLH", "A70", 16),
                                    ("TMLL", "A71", 0)):  # fmt: skip

        @insn(mnemonic, opcode, "RI_a", ref="PoP 7 TEST UNDER MASK", leaves=False)
        def test_half(cpu: Cpu, r1: u8, i2: i64) -> None:
            """Selected bits: all zero, mixed with the leftmost zero or one, all one."""
            mask = u64(i2) & 0xFFFF
            bits = (cpu.gr[r1] >> shift) & mask
            if bits == 0:
                cpu.cc = 0
            elif bits == mask:
                cpu.cc = 3
            else:
                leftmost = u64(1) << (63 - clz(mask))
                cpu.cc = 2 if bits & leftmost != 0 else 1


_register_immediates()


@typed(inline=True)
def shift_left_signed(cpu: Cpu, value: i64, count: u64, bits: u64) -> i64:
    """Arithmetic left shift of a `bits`-wide number held sign-extended, with condition code."""
    sign = value < 0
    magnitude = u64(value) & ((u64(1) << (bits - 1)) - 1)
    result = magnitude
    overflow = False
    n: u64 = 0
    # At most 63 steps of one bit: each bit shifted out has to equal the sign.
    if count != 0:
        if count >= bits:
            overflow = magnitude != 0 if not sign else magnitude != (u64(1) << (bits - 1)) - 1
            if sign:
                overflow = True
            result = 0
        else:
            out = magnitude >> (bits - 1 - count)
            wanted: u64 = 0
            if sign:
                wanted = (u64(1) << count) - 1
            overflow = out != wanted
            result = (magnitude << count) & ((u64(1) << (bits - 1)) - 1)
    n = result
    if sign:
        n = n | (u64(0xFFFF_FFFF_FFFF_FFFF) << (bits - 1))
    cpu.cc = 3 if overflow else (0 if n == 0 else (1 if sign else 2))
    return i64(n)


def _single_shifts() -> None:
    for mnemonic, opcode, format in (("SLL", "89", "RS_a"), ("SLLK", "EBDF", "RSY_a")):
        third = format == "RSY_a"

        @insn(mnemonic, opcode, format, ref="PoP 7 SHIFT LEFT SINGLE LOGICAL", leaves=False,
              facility=45 if third else None)  # fmt: skip
        def sll(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """Shift 32 bits left."""
            value = low(cpu, r3) if third else low(cpu, r1)
            set_low(cpu, r1, u32(u64(value) << (addr2 & 63)))

    for mnemonic, opcode, format in (("SRL", "88", "RS_a"), ("SRLK", "EBDE", "RSY_a")):
        third = format == "RSY_a"

        @insn(mnemonic, opcode, format, ref="PoP 7 SHIFT RIGHT SINGLE LOGICAL", leaves=False,
              facility=45 if third else None)  # fmt: skip
        def srl(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """Shift 32 bits right."""
            value = low(cpu, r3) if third else low(cpu, r1)
            set_low(cpu, r1, u32(u64(value) >> (addr2 & 63)))

    for mnemonic, opcode, format in (("SRA", "8A", "RS_a"), ("SRAK", "EBDC", "RSY_a")):
        third = format == "RSY_a"

        @insn(mnemonic, opcode, format, ref="PoP 7 SHIFT RIGHT SINGLE", leaves=False,
              facility=45 if third else None)  # fmt: skip
        def sra(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """Shift 32 bits right, sign-extended."""
            value = i32(low(cpu, r3)) if third else i32(low(cpu, r1))
            result = i64(value) >> (addr2 & 63)
            set_low(cpu, r1, u32(result))
            cpu.cc = 0 if result == 0 else (1 if result < 0 else 2)

    for mnemonic, opcode, format in (("SLA", "8B", "RS_a"), ("SLAK", "EBDD", "RSY_a")):
        third = format == "RSY_a"

        @insn(mnemonic, opcode, format, ref="PoP 7 SHIFT LEFT SINGLE",
              facility=45 if third else None)  # fmt: skip
        def sla(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """Shift 31 bits left under the sign."""
            value = i32(low(cpu, r3)) if third else i32(low(cpu, r1))
            set_low(cpu, r1, u32(shift_left_signed(cpu, i64(value), addr2 & 63, 32)))
            trap_overflow(cpu)

    @insn("SLLG", "EB0D", "RSY_a", ref="PoP 7 SHIFT LEFT SINGLE LOGICAL", leaves=False)
    def sllg(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
        """Shift 64 bits left."""
        cpu.gr[r1] = cpu.gr[r3] << (addr2 & 63)

    @insn("SRLG", "EB0C", "RSY_a", ref="PoP 7 SHIFT RIGHT SINGLE LOGICAL", leaves=False)
    def srlg(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
        """Shift 64 bits right."""
        cpu.gr[r1] = cpu.gr[r3] >> (addr2 & 63)

    @insn("SRAG", "EB0A", "RSY_a", ref="PoP 7 SHIFT RIGHT SINGLE", leaves=False)
    def srag(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
        """Shift 64 bits right, sign-extended."""
        result = i64(cpu.gr[r3]) >> (addr2 & 63)
        cpu.gr[r1] = u64(result)
        cpu.cc = 0 if result == 0 else (1 if result < 0 else 2)

    @insn("SLAG", "EB0B", "RSY_a", ref="PoP 7 SHIFT LEFT SINGLE")
    def slag(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
        """Shift 63 bits left under the sign."""
        cpu.gr[r1] = u64(shift_left_signed(cpu, i64(cpu.gr[r3]), addr2 & 63, 64))
        trap_overflow(cpu)

    @insn("RLL", "EB1D", "RSY_a", ref="PoP 7 ROTATE LEFT SINGLE LOGICAL", leaves=False)
    def rll(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
        """Rotate 32 bits left."""
        set_low(cpu, r1, rotl(low(cpu, r3), addr2))

    @insn("RLLG", "EB1C", "RSY_a", ref="PoP 7 ROTATE LEFT SINGLE LOGICAL", leaves=False)
    def rllg(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
        """Rotate 64 bits left."""
        cpu.gr[r1] = rotl(cpu.gr[r3], addr2)


_single_shifts()


@typed(inline=True)
def pair(cpu: Cpu, r1: u8) -> u64:
    """The low words of an even-odd pair as one doubleword."""
    return (u64(low(cpu, r1)) << 32) | u64(low(cpu, r1 | 1))


@typed(inline=True)
def set_pair(cpu: Cpu, r1: u8, value: u64) -> None:
    """Replace the low words of an even-odd pair."""
    set_low(cpu, r1, u32(value >> 32))
    set_low(cpu, r1 | 1, u32(value))


@insn("SLDL", "8D", "RS_a", ref="PoP 7 SHIFT LEFT DOUBLE LOGICAL")
def sldl(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Shift a pair left."""
    if r1 & 1 != 0:
        specification(cpu)
    set_pair(cpu, r1, pair(cpu, r1) << (addr2 & 63))


@insn("SRDL", "8C", "RS_a", ref="PoP 7 SHIFT RIGHT DOUBLE LOGICAL")
def srdl(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Shift a pair right."""
    if r1 & 1 != 0:
        specification(cpu)
    set_pair(cpu, r1, pair(cpu, r1) >> (addr2 & 63))


@insn("SRDA", "8E", "RS_a", ref="PoP 7 SHIFT RIGHT DOUBLE")
def srda(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Shift a pair right, sign-extended."""
    if r1 & 1 != 0:
        specification(cpu)
    result = i64(pair(cpu, r1)) >> (addr2 & 63)
    set_pair(cpu, r1, u64(result))
    cpu.cc = 0 if result == 0 else (1 if result < 0 else 2)


@insn("SLDA", "8F", "RS_a", ref="PoP 7 SHIFT LEFT DOUBLE")
def slda(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Shift a pair left under the sign."""
    if r1 & 1 != 0:
        specification(cpu)
    set_pair(cpu, r1, u64(shift_left_signed(cpu, i64(pair(cpu, r1)), addr2 & 63, 64)))
    trap_overflow(cpu)


@typed(inline=True)
def selected(start: u64, end: u64) -> u64:
    """Bits `start` to `end` (0 leftmost) one, wrapping around if start is greater."""
    left = u64(0xFFFF_FFFF_FFFF_FFFF) >> start
    right = u64(0xFFFF_FFFF_FFFF_FFFF) << (63 - end)
    return left & right if start <= end else left | right


def _rotate_then() -> None:
    for mnemonic, opcode, op in (("RNSBG", "EC54", "and"), ("ROSBG", "EC56", "or"),
                                 ("RXSBG", "EC57", "xor")):  # fmt: skip
        is_and, is_or = op == "and", op == "or"

        @insn(mnemonic, opcode, "RIE_f", ref=f"PoP 7 {mnemonic}", facility=34, leaves=False)
        def combine(cpu: Cpu, r1: u8, r2: u8, i3: u8, i4: u8, i5: i64) -> None:
            """Rotate R2, combine the selected bits with R1; bit 0 of I3 only tests."""
            mask = selected(u64(i3 & 63), u64(i4 & 63))
            b = rotl(cpu.gr[r2], u64(i5))
            old = cpu.gr[r1]
            if is_and:
                result = old & b
            elif is_or:
                result = old | b
            else:
                result = old ^ b
            cpu.cc = u64(result & mask != 0)
            if i3 & 0x80 == 0:
                cpu.gr[r1] = (old & ~mask) | (result & mask)

    for mnemonic, opcode, sets_cc, facility in (("RISBG", "EC55", True, 34),
                                                ("RISBGN", "EC59", False, 49)):  # fmt: skip

        @insn(mnemonic, opcode, "RIE_f", ref=f"PoP 7 {mnemonic}", facility=facility, leaves=False)
        def insert(cpu: Cpu, r1: u8, r2: u8, i3: u8, i4: u8, i5: i64) -> None:
            """Rotate R2, insert the selected bits; bit 0 of I4 zeroes the others."""
            mask = selected(u64(i3 & 63), u64(i4 & 63))
            keep: u64 = 0
            if i4 & 0x80 == 0:
                keep = cpu.gr[r1] & ~mask
            result = keep | (rotl(cpu.gr[r2], u64(i5)) & mask)
            cpu.gr[r1] = result
            if sets_cc:
                cpu.cc = 0 if result == 0 else (1 if i64(result) < 0 else 2)

    for mnemonic, opcode, into_high in (("RISBHG", "EC5D", True), ("RISBLG", "EC51", False)):

        @insn(mnemonic, opcode, "RIE_f", ref=f"PoP 7 {mnemonic}", facility=45, leaves=False)
        def insert_half(cpu: Cpu, r1: u8, r2: u8, i3: u8, i4: u8, i5: i64) -> None:
            """As RISBGN within one word of R1."""
            mask = selected(u64(i3 & 31), u64(i4 & 31)) if not into_high else u64(0)
            word = u64(0xFFFF_FFFF)
            if into_high:
                mask = selected(u64(i3 & 31), u64(i4 & 31))
                if i3 & 31 > i4 & 31:
                    mask = selected(u64(i3 & 31), u64(31)) | selected(u64(0), u64(i4 & 31))
                word = u64(0xFFFF_FFFF_0000_0000)
            else:
                mask = selected(u64(i3 & 31) + 32, u64(i4 & 31) + 32)
                if i3 & 31 > i4 & 31:
                    mask = selected(u64(i3 & 31) + 32, u64(63)) | selected(
                        u64(32), u64(i4 & 31) + 32
                    )
            keep: u64 = 0
            if i4 & 0x80 == 0:
                keep = cpu.gr[r1] & word & ~mask
            result = keep | (rotl(cpu.gr[r2], u64(i5)) & mask)
            cpu.gr[r1] = (cpu.gr[r1] & ~word) | result


_rotate_then()


@insn("FLOGR", "B983", "RRE", ref="PoP 7 FIND LEFTMOST ONE")
def flogr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Position of the leftmost one in R1, the number without it in R1 + 1."""
    if r1 & 1 != 0:
        specification(cpu)
    value = cpu.gr[r2]
    if value == 0:
        cpu.gr[r1] = 64
        cpu.gr[r1 + 1] = 0
        cpu.cc = 0
    else:
        n = clz(value)
        cpu.gr[r1] = n
        cpu.gr[r1 + 1] = value & ~(u64(1) << (63 - n))
        cpu.cc = 2


@insn("POPCNT", "B9E1", "RRF", ref="PoP 7 POPULATION COUNT", facility=45, leaves=False)
def popcnt(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Ones of each byte."""
    value = cpu.gr[r2]
    result: u64 = 0
    for i in range(8):
        result = result | (popcount((value >> (8 * i)) & 0xFF) << (8 * i))
    cpu.gr[r1] = result
    cpu.cc = u64(result != 0)


def _interlocked() -> None:
    """LOAD AND ADD and its kin: storage changes, the old value goes to R1. ref: PoP 7."""
    for name, digit, op in (("N", "4", "and"), ("X", "7", "xor"), ("O", "6", "or"),
                            ("A", "8", "add"), ("AL", "A", "logical")):  # fmt: skip
        for wide in (False, True):
            kind = u64 if wide else u32
            if op == "add":
                operate: Typed[Any, Any] = ADD[i64 if wide else i32]
                operand: Any = i64 if wide else i32
            elif op == "logical":
                operate, operand = ADD[kind], kind
            else:
                operate, operand = {"and": AND, "or": OR, "xor": XOR}[op][kind], kind
            fetch, store = (fetch_u64, store_u64) if wide else (fetch_u32, store_u32)
            get, put = GET[kind], PUT[kind]
            aligned = 7 if wide else 3
            traps = op == "add"
            opcode = f"EB{'E' if wide else 'F'}{digit}"

            @insn(f"LA{name}{'G' if wide else ''}", opcode, "RSY_a", ref="PoP 7 LOAD AND ADD",
                  facility=45)  # fmt: skip
            def load_and(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
                """R1 := storage; storage := storage op R3, interlocked."""
                if addr2 & aligned != 0:
                    specification(cpu)
                old = fetch(cpu, OP2, addr2)
                cc = cpu.cc
                result = kind(operate(cpu, operand(old), operand(get(cpu, r3))))
                new_cc = cpu.cc
                cpu.cc = cc
                store(cpu, OP2, addr2, result)
                put(cpu, r1, old)
                cpu.cc = new_cc
                if traps:
                    trap_overflow(cpu)


_interlocked()
