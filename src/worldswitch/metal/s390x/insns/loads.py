"""Loads, stores and their register forms. ref: PoP chapter 7, LOAD to STORE."""

from typing import Any

from worldswitch.engine import Typed, bswap, i8, i16, i32, i64, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    check_write,
    fetch_u8,
    fetch_u16,
    fetch_u32,
    fetch_u64,
    store_u8,
    store_u16,
    store_u32,
    store_u64,
)
from worldswitch.metal.s390x.psw import PSW_BA, PSW_EA
from worldswitch.metal.s390x.regs import high, low, set_high, set_low
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

FETCH: dict[Any, Typed[Any, Any]] = {u8: fetch_u8, u16: fetch_u16, u32: fetch_u32, u64: fetch_u64}
STORE: dict[Any, Typed[Any, Any]] = {u8: store_u8, u16: store_u16, u32: store_u32, u64: store_u64}
EXTENDED_IMMEDIATE = 21
GENERAL_EXTENSION = 34
HIGH_WORD = 45
LOAD_ON_CONDITION_2 = 53


def _loads(kind: Any, extend: Any, wide: Any, forms: list[tuple[str, str, str]]) -> None:
    """Load `kind` from storage, extended as `extend`, into 32 or 64 bits (`wide`)."""
    fetch = FETCH[kind]
    for mnemonic, opcode, format in forms:
        if "RIL" in format:

            @insn(mnemonic, opcode, format, ref=f"PoP 7 {mnemonic}", facility=GENERAL_EXTENSION)
            def load_relative(cpu: Cpu, r1: u8, target: u64) -> None:
                """Load from a relative address that has to be aligned."""
                if kind is not u16 and target & (kind.bits // 8 - 1) != 0:
                    specification(cpu)
                if wide is u64:
                    cpu.gr[r1] = u64(extend(fetch(cpu, OP2, target)))
                else:
                    set_low(cpu, r1, u32(extend(fetch(cpu, OP2, target))))

        else:

            @insn(mnemonic, opcode, format, ref=f"PoP 7 {mnemonic}")
            def load(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """Load and extend."""
                if wide is u64:
                    cpu.gr[r1] = u64(extend(fetch(cpu, OP2, addr2)))
                else:
                    set_low(cpu, r1, u32(extend(fetch(cpu, OP2, addr2))))


_loads(u32, u32, u32, [("L", "58", "RX_a"), ("LY", "E358", "RXY_a"), ("LRL", "C4D", "RIL_b")])
_loads(u64, u64, u64, [("LG", "E304", "RXY_a"), ("LGRL", "C48", "RIL_b")])
_loads(u32, i32, u64, [("LGF", "E314", "RXY_a"), ("LGFRL", "C4C", "RIL_b")])
_loads(u16, i16, u32, [("LH", "48", "RX_a"), ("LHY", "E378", "RXY_a"), ("LHRL", "C45", "RIL_b")])
_loads(u16, i16, u64, [("LGH", "E315", "RXY_a"), ("LGHRL", "C44", "RIL_b")])
_loads(u8, i8, u32, [("LB", "E376", "RXY_a")])
_loads(u8, i8, u64, [("LGB", "E377", "RXY_a")])
_loads(u8, u8, u32, [("LLC", "E394", "RXY_a")])
_loads(u8, u8, u64, [("LLGC", "E390", "RXY_a")])
_loads(u16, u16, u32, [("LLH", "E395", "RXY_a"), ("LLHRL", "C42", "RIL_b")])
_loads(u16, u16, u64, [("LLGH", "E391", "RXY_a"), ("LLGHRL", "C46", "RIL_b")])
_loads(u32, u32, u64, [("LLGF", "E316", "RXY_a"), ("LLGFRL", "C4E", "RIL_b")])
_loads(u32, bswap, u32, [("LRV", "E31E", "RXY_a")])
_loads(u64, bswap, u64, [("LRVG", "E30F", "RXY_a")])


def _stores(kind: Any, forms: list[tuple[str, str, str]], reverse: bool = False) -> None:
    """Store the low bits of a register."""
    store = STORE[kind]
    for mnemonic, opcode, format in forms:
        if "RIL" in format:

            @insn(mnemonic, opcode, format, ref=f"PoP 7 {mnemonic}", facility=GENERAL_EXTENSION)
            def store_relative(cpu: Cpu, r1: u8, target: u64) -> None:
                """Store to a relative address that has to be aligned."""
                if target & (kind.bits // 8 - 1) != 0:
                    specification(cpu)
                store(cpu, OP2, target, kind(cpu.gr[r1]))

        else:

            @insn(mnemonic, opcode, format, ref=f"PoP 7 {mnemonic}")
            def store_indexed(cpu: Cpu, r1: u8, addr2: u64) -> None:
                """Store."""
                if reverse:
                    store(cpu, OP2, addr2, bswap(kind(cpu.gr[r1])))
                else:
                    store(cpu, OP2, addr2, kind(cpu.gr[r1]))


_stores(u32, [("ST", "50", "RX_a"), ("STY", "E350", "RXY_a"), ("STRL", "C4F", "RIL_b")])
_stores(u64, [("STG", "E324", "RXY_a"), ("STGRL", "C4B", "RIL_b")])
_stores(u16, [("STH", "40", "RX_a"), ("STHY", "E370", "RXY_a"), ("STHRL", "C47", "RIL_b")])
_stores(u8, [("STC", "42", "RX_a"), ("STCY", "E372", "RXY_a")])
_stores(u16, [("STRVH", "E33F", "RXY_a")], reverse=True)
_stores(u32, [("STRV", "E33E", "RXY_a")], reverse=True)
_stores(u64, [("STRVG", "E32F", "RXY_a")], reverse=True)


@insn("LRVH", "E31F", "RXY_a", ref="PoP 7 LOAD REVERSED")
def lrvh(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Load a reversed halfword into bits 48-63."""
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_FFFF_0000) | u64(bswap(fetch_u16(cpu, OP2, addr2)))


def _register_loads(wide: Any, forms: list[tuple[str, str, str, Any]]) -> None:
    for mnemonic, opcode, format, extend in forms:

        @insn(mnemonic, opcode, format, ref=f"PoP 7 {mnemonic}", leaves=False)
        def load_register(cpu: Cpu, r1: u8, r2: u8) -> None:
            """Copy and extend a register."""
            if wide is u64:
                cpu.gr[r1] = u64(extend(cpu.gr[r2]))
            else:
                set_low(cpu, r1, u32(extend(cpu.gr[r2])))


_register_loads(
    u32,
    [("LR", "18", "RR", u32), ("LBR", "B926", "RRE", i8), ("LHR", "B927", "RRE", i16),
     ("LLCR", "B994", "RRE", u8), ("LLHR", "B995", "RRE", u16)],
)  # fmt: skip
_register_loads(
    u64,
    [("LGR", "B904", "RRE", u64), ("LGFR", "B914", "RRE", i32), ("LGBR", "B906", "RRE", i8),
     ("LGHR", "B907", "RRE", i16), ("LLGFR", "B916", "RRE", u32), ("LLGCR", "B984", "RRE", u8),
     ("LLGHR", "B985", "RRE", u16)],
)  # fmt: skip


@insn("LRVR", "B91F", "RRE", ref="PoP 7 LOAD REVERSED", leaves=False)
def lrvr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Reverse the bytes of a word."""
    set_low(cpu, r1, bswap(low(cpu, r2)))


@insn("LRVGR", "B90F", "RRE", ref="PoP 7 LOAD REVERSED", leaves=False)
def lrvgr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Reverse the bytes of a doubleword."""
    cpu.gr[r1] = bswap(cpu.gr[r2])


@insn("LLGTR", "B917", "RRE", ref="PoP 7 LOAD LOGICAL THIRTY ONE BITS", leaves=False)
def llgtr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Bits 33-63, zero-extended."""
    cpu.gr[r1] = cpu.gr[r2] & 0x7FFF_FFFF


@insn("LLGT", "E317", "RXY_a", ref="PoP 7 LOAD LOGICAL THIRTY ONE BITS")
def llgt(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Bits 1-31 of a word, zero-extended."""
    cpu.gr[r1] = u64(fetch_u32(cpu, OP2, addr2)) & 0x7FFF_FFFF


@insn("LZRF", "E33B", "RXY_a", ref="PoP 7 LOAD AND ZERO RIGHTMOST BYTE", facility=53)
def lzrf(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Load a word with its last byte zero."""
    set_low(cpu, r1, fetch_u32(cpu, OP2, addr2) & 0xFFFF_FF00)


@insn("LZRG", "E32A", "RXY_a", ref="PoP 7 LOAD AND ZERO RIGHTMOST BYTE", facility=53)
def lzrg(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Load a doubleword with its last byte zero."""
    cpu.gr[r1] = fetch_u64(cpu, OP2, addr2) & 0xFFFF_FFFF_FFFF_FF00


@insn("LLZRGF", "E33A", "RXY_a", ref="PoP 7 LOAD LOGICAL AND ZERO RIGHTMOST BYTE", facility=53)
def llzrgf(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Load a word zero-extended, with its last byte zero."""
    cpu.gr[r1] = u64(fetch_u32(cpu, OP2, addr2)) & 0xFFFF_FF00


def _high_words() -> None:
    @insn("LFH", "E3CA", "RXY_a", ref="PoP 7 LOAD HIGH", facility=HIGH_WORD)
    def lfh(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """Load a word into bits 0-31."""
        set_high(cpu, r1, fetch_u32(cpu, OP2, addr2))

    @insn("STFH", "E3CB", "RXY_a", ref="PoP 7 STORE HIGH", facility=HIGH_WORD)
    def stfh(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """Store bits 0-31."""
        store_u32(cpu, OP2, addr2, high(cpu, r1))

    for mnemonic, opcode, fetch, extend in (
        ("LBH", "E3C0", fetch_u8, i8),
        ("LHH", "E3C4", fetch_u16, i16),
        ("LLCH", "E3C2", fetch_u8, u8),
        ("LLHH", "E3C6", fetch_u16, u16),
    ):

        @insn(mnemonic, opcode, "RXY_a", ref=f"PoP 7 {mnemonic}", facility=HIGH_WORD)
        def load_high(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """Load and extend into bits 0-31."""
            set_high(cpu, r1, u32(extend(fetch(cpu, OP2, addr2))))

    for mnemonic, opcode, store, kind in (
        ("STCH", "E3C3", store_u8, u8),
        ("STHH", "E3C7", store_u16, u16),
    ):

        @insn(mnemonic, opcode, "RXY_a", ref=f"PoP 7 {mnemonic}", facility=HIGH_WORD)
        def store_high(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """Store the right part of bits 0-31."""
            store(cpu, OP2, addr2, kind(high(cpu, r1)))


_high_words()


@insn("LA", "41", "RX_a", ref="PoP 7 LOAD ADDRESS", leaves=False)
def la(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Load the operand's address, as wide as the addressing mode."""
    load_address(cpu, r1, addr2)


@insn("LAY", "E371", "RXY_a", ref="PoP 7 LOAD ADDRESS", leaves=False)
def lay(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """As LA, with a long displacement."""
    load_address(cpu, r1, addr2)


@insn("LARL", "C00", "RIL_b", ref="PoP 7 LOAD ADDRESS RELATIVE LONG", leaves=False)
def larl(cpu: Cpu, r1: u8, target: u64) -> None:
    """Load a relative address."""
    load_address(cpu, r1, target)


@typed(inline=True)
def load_address(cpu: Cpu, r: u8, address: u64) -> None:
    """Bits 0-31 stay in the 24- and 31-bit addressing modes."""
    if cpu.psw_mask & PSW_EA != 0:
        cpu.gr[r] = address
    else:
        set_low(cpu, r, u32(address))


@insn("LAE", "51", "RX_a", ref="PoP 7 LOAD ADDRESS EXTENDED", leaves=False)
def lae(cpu: Cpu, r1: u8, addr2: u64, b2: u8) -> None:
    """As LA; the access register takes the space of the base."""
    load_address(cpu, r1, addr2)
    load_space(cpu, r1, b2)


@insn("LAEY", "E375", "RXY_a", ref="PoP 7 LOAD ADDRESS EXTENDED", leaves=False)
def laey(cpu: Cpu, r1: u8, addr2: u64, b2: u8) -> None:
    """As LAE, with a long displacement."""
    load_address(cpu, r1, addr2)
    load_space(cpu, r1, b2)


@typed
def load_space(cpu: Cpu, r1: u8, b2: u8) -> None:
    """The access register of LOAD ADDRESS EXTENDED, by the PSW's address space."""
    space = (cpu.psw_mask >> 46) & 3
    if space == 0:
        cpu.ar[r1] = 0
    elif space == 2:
        cpu.ar[r1] = 1
    elif space == 3:
        cpu.ar[r1] = 2
    elif b2 == 16:
        cpu.ar[r1] = 0
    else:
        cpu.ar[r1] = cpu.ar[b2]


IN_24_BIT = PSW_EA | PSW_BA


def _immediate_loads() -> None:
    for mnemonic, opcode, shift in (
        ("LLIHH", "A5C", 48), ("LLIHL", "A5D", 32), ("LLILH", "A5E", 16), ("LLILL", "A5F", 0),
    ):  # fmt: skip

        @insn(mnemonic, opcode, "RI_a", ref="PoP 7 LOAD LOGICAL IMMEDIATE", leaves=False)
        def load_logical(cpu: Cpu, r1: u8, i2: i64) -> None:
            """The halfword in its place, zeros elsewhere."""
            cpu.gr[r1] = (u64(i2) & 0xFFFF) << shift

    for mnemonic, opcode, shift in (
        ("IIHH", "A50", 48), ("IIHL", "A51", 32), ("IILH", "A52", 16), ("IILL", "A53", 0),
    ):  # fmt: skip

        @insn(mnemonic, opcode, "RI_a", ref="PoP 7 INSERT IMMEDIATE", leaves=False)
        def insert(cpu: Cpu, r1: u8, i2: i64) -> None:
            """Replace one halfword."""
            keep = ~(u64(0xFFFF) << shift)
            cpu.gr[r1] = (cpu.gr[r1] & keep) | ((u64(i2) & 0xFFFF) << shift)

    for mnemonic, opcode, shift in (("LLIHF", "C0E", 32), ("LLILF", "C0F", 0)):

        @insn(mnemonic, opcode, "RIL_a", ref="PoP 7 LOAD LOGICAL IMMEDIATE", leaves=False)
        def load_logical_word(cpu: Cpu, r1: u8, i2: i64) -> None:
            """The word in its place, zeros elsewhere."""
            cpu.gr[r1] = (u64(i2) & 0xFFFF_FFFF) << shift

    @insn("IIHF", "C08", "RIL_a", ref="PoP 7 INSERT IMMEDIATE", leaves=False)
    def iihf(cpu: Cpu, r1: u8, i2: i64) -> None:
        """Replace bits 0-31."""
        set_high(cpu, r1, u32(i2))

    @insn("IILF", "C09", "RIL_a", ref="PoP 7 INSERT IMMEDIATE", leaves=False)
    def iilf(cpu: Cpu, r1: u8, i2: i64) -> None:
        """Replace bits 32-63."""
        set_low(cpu, r1, u32(i2))

    for mnemonic, opcode, format in (("LGHI", "A79", "RI_a"), ("LGFI", "C01", "RIL_a")):

        @insn(mnemonic, opcode, format, ref="PoP 7 LOAD IMMEDIATE", leaves=False)
        def load_immediate(cpu: Cpu, r1: u8, i2: i64) -> None:
            """The immediate, sign-extended to 64 bits."""
            cpu.gr[r1] = u64(i2)

    @insn("LHI", "A78", "RI_a", ref="PoP 7 LOAD HALFWORD IMMEDIATE", leaves=False)
    def lhi(cpu: Cpu, r1: u8, i2: i64) -> None:
        """The immediate, sign-extended to 32 bits."""
        set_low(cpu, r1, u32(i2))


_immediate_loads()


def _store_immediates() -> None:
    for mnemonic, opcode, format in (("MVI", "92", "SI"), ("MVIY", "EB52", "SIY")):

        @insn(mnemonic, opcode, format, ref="PoP 7 MOVE")
        def move_byte(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Store an immediate byte."""
            store_u8(cpu, OP1, addr1, u8(i2))

    for mnemonic, opcode, kind in (("MVHHI", "E544", u16), ("MVHI", "E54C", u32),
                                   ("MVGHI", "E548", u64)):  # fmt: skip
        store = STORE[kind]

        @insn(mnemonic, opcode, "SIL", ref="PoP 7 MOVE", facility=GENERAL_EXTENSION)
        def move_immediate(cpu: Cpu, addr1: u64, i2: i64) -> None:
            """Store a sign-extended immediate."""
            store(cpu, OP1, addr1, kind(i2))


_store_immediates()


@insn("IC", "43", "RX_a", ref="PoP 7 INSERT CHARACTER")
def ic(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Replace bits 56-63 by a byte."""
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_FFFF_FF00) | u64(fetch_u8(cpu, OP2, addr2))


@insn("ICY", "E373", "RXY_a", ref="PoP 7 INSERT CHARACTER")
def icy(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """Replace bits 56-63 by a byte."""
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_FFFF_FF00) | u64(fetch_u8(cpu, OP2, addr2))


def _under_mask() -> None:
    for insert_forms, store_forms, base in (
        ((("ICM", "BF", "RS_b"), ("ICMY", "EB81", "RSY_b")),
         (("STCM", "BE", "RS_b"), ("STCMY", "EB2D", "RSY_b")), 24),
        ((("ICMH", "EB80", "RSY_b"),), (("STCMH", "EB2C", "RSY_b"),), 56),
    ):  # fmt: skip
        for mnemonic, opcode, format in insert_forms:

            @insn(mnemonic, opcode, format, ref="PoP 7 INSERT CHARACTERS UNDER MASK")
            def insert(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
                """Bytes from storage into the positions of the mask; the sign sets the code."""
                value = cpu.gr[r1]
                at = addr2
                first: u64 = 0
                seen: u64 = 0
                if m3 == 0:
                    fetch_u8(cpu, OP2, addr2)
                for i in range(4):
                    if m3 & (8 >> i) != 0:
                        byte = u64(fetch_u8(cpu, OP2, at))
                        if at == addr2:
                            first = byte
                        seen = seen | byte
                        value = (value & ~(u64(0xFF) << (base - 8 * i))) | (byte << (base - 8 * i))
                        at = (at + 1) & cpu.address_mask
                cpu.gr[r1] = value
                cpu.cc = 0 if seen == 0 else (1 if first & 0x80 != 0 else 2)

        for mnemonic, opcode, format in store_forms:

            @insn(mnemonic, opcode, format, ref="PoP 7 STORE CHARACTERS UNDER MASK")
            def store(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
                """The bytes of the mask's positions, contiguous in storage."""
                at = addr2
                if m3 & (m3 - 1) != 0:
                    check_write(cpu, OP2, addr2, 2)
                for i in range(4):
                    if m3 & (8 >> i) != 0:
                        store_u8(cpu, OP2, at, u8(cpu.gr[r1] >> (base - 8 * i)))
                        at = (at + 1) & cpu.address_mask


_under_mask()


def _multiple() -> None:
    """LOAD MULTIPLE and STORE MULTIPLE: both ends are looked up before anything changes."""
    for mnemonic, opcode, format, part in (
        ("LM", "98", "RS_a", "low"), ("LMY", "EB98", "RSY_a", "low"),
        ("LMG", "EB04", "RSY_a", "all"), ("LMH", "EB96", "RSY_a", "high"),
        ("LAM", "9A", "RS_a", "access"), ("LAMY", "EB9A", "RSY_a", "access"),
    ):  # fmt: skip
        size = 8 if part == "all" else 4
        is_all, is_high, is_access = part == "all", part == "high", part == "access"

        @insn(mnemonic, opcode, format, ref="PoP 7 LOAD MULTIPLE")
        def load(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """Registers R1 to R3, wrapping from 15 to 0."""
            if is_access and addr2 & 3 != 0:
                specification(cpu)
            r = r1
            at = addr2
            last = (addr2 + u64((r3 - r1) & 15) * size) & cpu.address_mask
            # The far end first: an exception there comes before any register changes.
            if is_all:
                fetch_u64(cpu, OP2, last)
            else:
                fetch_u32(cpu, OP2, last)
            while True:
                if is_all:
                    cpu.gr[r] = fetch_u64(cpu, OP2, at)
                elif is_access:
                    cpu.ar[r] = fetch_u32(cpu, OP2, at)
                elif is_high:
                    set_high(cpu, r, fetch_u32(cpu, OP2, at))
                else:
                    set_low(cpu, r, fetch_u32(cpu, OP2, at))
                if r == r3:
                    break
                r = (r + 1) & 15
                at = (at + size) & cpu.address_mask

    for mnemonic, opcode, format, part in (
        ("STM", "90", "RS_a", "low"), ("STMY", "EB90", "RSY_a", "low"),
        ("STMG", "EB24", "RSY_a", "all"), ("STMH", "EB26", "RSY_a", "high"),
        ("STAM", "9B", "RS_a", "access"), ("STAMY", "EB9B", "RSY_a", "access"),
    ):  # fmt: skip
        size = 8 if part == "all" else 4
        is_all, is_high, is_access = part == "all", part == "high", part == "access"

        @insn(mnemonic, opcode, format, ref="PoP 7 STORE MULTIPLE")
        def store(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
            """Registers R1 to R3, wrapping from 15 to 0."""
            if is_access and addr2 & 3 != 0:
                specification(cpu)
            r = r1
            at = addr2
            length = (u64((r3 - r1) & 15) + 1) * size
            if ((addr2 + length - 1) ^ addr2) >> 12 != 0:
                check_write(cpu, OP2, addr2, length)
            while True:
                if is_all:
                    store_u64(cpu, OP2, at, cpu.gr[r])
                elif is_access:
                    store_u32(cpu, OP2, at, cpu.ar[r])
                elif is_high:
                    store_u32(cpu, OP2, at, high(cpu, r))
                else:
                    store_u32(cpu, OP2, at, low(cpu, r))
                if r == r3:
                    break
                r = (r + 1) & 15
                at = (at + size) & cpu.address_mask


_multiple()


@insn("LMD", "EF", "SS_e", ref="PoP 7 LOAD MULTIPLE DISJOINT")
def lmd(cpu: Cpu, r1: u8, r3: u8, addr2: u64, addr4: u64) -> None:
    """High halves from the second operand, low halves from the fourth."""
    r = r1
    step: u64 = 0
    check = u64((r3 - r1) & 15) * 4
    fetch_u32(cpu, OP2, (addr2 + check) & cpu.address_mask)
    fetch_u32(cpu, OP1, (addr4 + check) & cpu.address_mask)
    while True:
        upper = fetch_u32(cpu, OP2, (addr2 + step) & cpu.address_mask)
        lower = fetch_u32(cpu, OP1, (addr4 + step) & cpu.address_mask)
        cpu.gr[r] = (u64(upper) << 32) | u64(lower)
        if r == r3:
            break
        r = (r + 1) & 15
        step += 4


@insn("LPQ", "E38F", "RXY_a", ref="PoP 7 LOAD PAIR FROM QUADWORD")
def lpq(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """An aligned quadword into an even-odd pair."""
    if r1 & 1 != 0 or addr2 & 15 != 0:
        specification(cpu)
    upper = fetch_u64(cpu, OP2, addr2)
    lower = fetch_u64(cpu, OP2, addr2 + 8)
    cpu.gr[r1] = upper
    cpu.gr[r1 + 1] = lower


@insn("STPQ", "E38E", "RXY_a", ref="PoP 7 STORE PAIR TO QUADWORD")
def stpq(cpu: Cpu, r1: u8, addr2: u64) -> None:
    """An even-odd pair into an aligned quadword."""
    if r1 & 1 != 0 or addr2 & 15 != 0:
        specification(cpu)
    store_u64(cpu, OP2, addr2, cpu.gr[r1])
    store_u64(cpu, OP2, addr2 + 8, cpu.gr[r1 + 1])


@typed(inline=True)
def holds(cpu: Cpu, mask: u8) -> bool:
    """Whether the condition code is selected by a four-bit mask."""
    return (mask >> u8(3 - cpu.cc)) & 1 != 0


def _on_condition() -> None:
    for mnemonic, opcode, kind in (("LOC", "EBF2", u32), ("LOCG", "EBE2", u64)):
        fetch = FETCH[kind]

        @insn(mnemonic, opcode, "RSY_b", ref="PoP 7 LOAD ON CONDITION", facility=45)
        def load(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
            """Load if the condition holds."""
            if holds(cpu, m3):
                if kind is u64:
                    cpu.gr[r1] = u64(fetch(cpu, OP2, addr2))
                else:
                    set_low(cpu, r1, u32(fetch(cpu, OP2, addr2)))

    for mnemonic, opcode, kind in (("STOC", "EBF3", u32), ("STOCG", "EBE3", u64)):
        put = STORE[kind]

        @insn(mnemonic, opcode, "RSY_b", ref="PoP 7 STORE ON CONDITION", facility=45)
        def store(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
            """Store if the condition holds."""
            if holds(cpu, m3):
                put(cpu, OP2, addr2, kind(cpu.gr[r1]))

    @insn("LOCR", "B9F2", "RRF", ref="PoP 7 LOAD ON CONDITION", facility=45, leaves=False)
    def locr(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
        """Copy 32 bits if the condition holds."""
        if holds(cpu, m3):
            set_low(cpu, r1, low(cpu, r2))

    @insn("LOCGR", "B9E2", "RRF", ref="PoP 7 LOAD ON CONDITION", facility=45, leaves=False)
    def locgr(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
        """Copy 64 bits if the condition holds."""
        if holds(cpu, m3):
            cpu.gr[r1] = cpu.gr[r2]

    facility = LOAD_ON_CONDITION_2

    @insn("LOCFHR", "B9E0", "RRF", ref="PoP 7 LOAD HIGH ON CONDITION", facility=facility, leaves=False)
    def locfhr(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
        """Copy bits 0-31 if the condition holds."""
        if holds(cpu, m3):
            set_high(cpu, r1, high(cpu, r2))

    @insn("LOCFH", "EBE0", "RSY_b", ref="PoP 7 LOAD HIGH ON CONDITION", facility=facility)
    def locfh(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
        """Load bits 0-31 if the condition holds."""
        if holds(cpu, m3):
            set_high(cpu, r1, fetch_u32(cpu, OP2, addr2))

    @insn("STOCFH", "EBE1", "RSY_b", ref="PoP 7 STORE HIGH ON CONDITION", facility=facility)
    def stocfh(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
        """Store bits 0-31 if the condition holds."""
        if holds(cpu, m3):
            store_u32(cpu, OP2, addr2, high(cpu, r1))

    @insn("LOCHI", "EC42", "RIE_g", ref="PoP 7 LOAD HALFWORD IMMEDIATE ON CONDITION",
          facility=facility, leaves=False)  # fmt: skip
    def lochi(cpu: Cpu, r1: u8, m3: u8, i2: i64) -> None:
        """Load an immediate into 32 bits if the condition holds."""
        if holds(cpu, m3):
            set_low(cpu, r1, u32(i2))

    @insn("LOCGHI", "EC46", "RIE_g", ref="PoP 7 LOAD HALFWORD IMMEDIATE ON CONDITION",
          facility=facility, leaves=False)  # fmt: skip
    def locghi(cpu: Cpu, r1: u8, m3: u8, i2: i64) -> None:
        """Load an immediate into 64 bits if the condition holds."""
        if holds(cpu, m3):
            cpu.gr[r1] = u64(i2)

    @insn("LOCHHI", "EC4E", "RIE_g", ref="PoP 7 LOAD HALFWORD IMMEDIATE ON CONDITION",
          facility=facility, leaves=False)  # fmt: skip
    def lochhi(cpu: Cpu, r1: u8, m3: u8, i2: i64) -> None:
        """Load an immediate into bits 0-31 if the condition holds."""
        if holds(cpu, m3):
            set_high(cpu, r1, u32(i2))


_on_condition()


@insn("EAR", "B24F", "RRE", ref="PoP 7 EXTRACT ACCESS", leaves=False)
def ear(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Access register R2 into bits 32-63."""
    set_low(cpu, r1, cpu.ar[r2])


@insn("SAR", "B24E", "RRE", ref="PoP 7 SET ACCESS", leaves=False)
def sar(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Bits 32-63 into access register R1."""
    cpu.ar[r1] = low(cpu, r2)


@insn("CPYA", "B24D", "RRE", ref="PoP 7 COPY ACCESS", leaves=False)
def cpya(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Access register R2 into access register R1."""
    cpu.ar[r1] = cpu.ar[r2]


@insn("PFD", "E336", "RXY_b", ref="PoP 7 PREFETCH DATA", leaves=False)
def pfd(cpu: Cpu) -> None:
    """A hint: nothing to do, and no access exception."""


@insn("PFDRL", "C62", "RIL_c", ref="PoP 7 PREFETCH DATA RELATIVE LONG", leaves=False)
def pfdrl(cpu: Cpu) -> None:
    """A hint: nothing to do."""


@insn("IPM", "B222", "RRE", ref="PoP 7 INSERT PROGRAM MASK", leaves=False)
def ipm(cpu: Cpu, r1: u8) -> None:
    """Condition code and program mask into bits 34-39, zeros into 32-33."""
    mask = (cpu.psw_mask >> 40) & 0xF
    value = (cpu.cc << 28) | (mask << 24)
    cpu.gr[r1] = (cpu.gr[r1] & 0xFFFF_FFFF_00FF_FFFF) | value


@insn("SPM", "04", "RR", ref="PoP 7 SET PROGRAM MASK", leaves=False)
def spm(cpu: Cpu, r1: u8) -> None:
    """Condition code and program mask from bits 34-39."""
    value = cpu.gr[r1]
    cpu.cc = (value >> 28) & 3
    mask = (value >> 24) & 0xF
    cpu.psw_mask = (cpu.psw_mask & 0xFFFF_F0FF_FFFF_FFFF) | (mask << 40)
