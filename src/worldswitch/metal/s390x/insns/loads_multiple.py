"""High words, characters under mask, several registers, and loads on a condition.

ref: PoP chapter 7
"""

from worldswitch.engine import i8, i16, i64, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.loads import FETCH, HIGH_WORD, LOAD_ON_CONDITION_2, STORE
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
from worldswitch.metal.s390x.regs import high, low, set_high, set_low
from worldswitch.metal.s390x.state import OP1, OP2, Cpu


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

    @insn(
        "LOCFHR", "B9E0", "RRF", ref="PoP 7 LOAD HIGH ON CONDITION", facility=facility, leaves=False
    )
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
