"""Loads, stores and their register forms. ref: PoP chapter 7, LOAD to STORE."""

from typing import Any

from worldswitch.engine import Typed, bswap, i8, i16, i32, i64, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
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
from worldswitch.metal.s390x.regs import low, set_high, set_low
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
