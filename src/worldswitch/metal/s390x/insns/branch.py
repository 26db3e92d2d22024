"""Branches, and comparisons that branch or trap. ref: PoP chapter 7."""

from typing import Any

from worldswitch.engine import Typed, i32, i64, typed, u8, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.insns.loads_multiple import holds
from worldswitch.metal.s390x.leave import data_exception, specification
from worldswitch.metal.s390x.memory import fetch_u32, fetch_u64
from worldswitch.metal.s390x.psw import PSW_BA, PSW_EA, set_addressing_mode
from worldswitch.metal.s390x.regs import low, set_high, set_low
from worldswitch.metal.s390x.state import OP2, Cpu

COMPARE_AND_TRAP = 0xFF
"""Data-exception code of COMPARE AND TRAP."""
GENERAL_EXTENSION = 34


@insn("BCR", "07", "RR_m", ref="PoP 7 BRANCH ON CONDITION", leaves=False)
def bcr(cpu: Cpu, m1: u8, r2: u8) -> tuple[bool, u64]:
    """Branch to R2 if the condition holds; R2 of 0 never branches (mask 14, 15: serialize)."""
    return r2 != 0 and holds(cpu, m1), cpu.gr[r2] & cpu.address_mask


@insn("BC", "47", "RX_b", ref="PoP 7 BRANCH ON CONDITION", leaves=False)
def bc(cpu: Cpu, m1: u8, addr2: u64) -> tuple[bool, u64]:
    """Branch if the condition holds."""
    return holds(cpu, m1), addr2


@insn("BIC", "E347", "RXY_b", ref="PoP 7 BRANCH INDIRECT ON CONDITION", facility=58)
def bic(cpu: Cpu, m1: u8, addr2: u64) -> tuple[bool, u64]:
    """Branch to the address in storage, which is fetched only then, if the condition holds."""
    if not holds(cpu, m1):
        return False, u64(0)
    return True, fetch_u64(cpu, OP2, addr2) & cpu.address_mask


@insn("BRC", "A74", "RI_c", ref="PoP 7 BRANCH RELATIVE ON CONDITION", leaves=False)
def brc(cpu: Cpu, m1: u8) -> bool:
    """Branch if the condition holds."""
    return holds(cpu, m1)


@insn("BRCL", "C04", "RIL_c", ref="PoP 7 BRANCH RELATIVE ON CONDITION LONG", leaves=False)
def brcl(cpu: Cpu, m1: u8) -> bool:
    """Branch if the condition holds."""
    return holds(cpu, m1)


@typed(inline=True)
def link(cpu: Cpu, r1: u8, next_pc: u64) -> None:
    """Link information of BRANCH AND SAVE: the next address, with the mode in 31-bit mode."""
    if cpu.psw_mask & PSW_EA != 0:
        cpu.gr[r1] = next_pc
    elif cpu.psw_mask & PSW_BA != 0:
        set_low(cpu, r1, u32(next_pc) | 0x8000_0000)
    else:
        set_low(cpu, r1, u32(next_pc) & 0xFF_FFFF)


@insn("BRAS", "A75", "RI_b", ref="PoP 7 BRANCH RELATIVE AND SAVE", leaves=False)
def bras(cpu: Cpu, r1: u8, next_pc: u64) -> bool:
    """Link and branch."""
    link(cpu, r1, next_pc)
    return True


@insn("BRASL", "C05", "RIL_b", ref="PoP 7 BRANCH RELATIVE AND SAVE LONG", leaves=False)
def brasl(cpu: Cpu, r1: u8, next_pc: u64) -> bool:
    """Link and branch."""
    link(cpu, r1, next_pc)
    return True


@insn("BASR", "0D", "RR", ref="PoP 7 BRANCH AND SAVE", leaves=False)
def basr(cpu: Cpu, r1: u8, r2: u8, next_pc: u64) -> tuple[bool, u64]:
    """Link, then branch to what R2 held before; R2 of 0 only links."""
    target = cpu.gr[r2] & cpu.address_mask
    link(cpu, r1, next_pc)
    return r2 != 0, target


@insn("BAS", "4D", "RX_a", ref="PoP 7 BRANCH AND SAVE", leaves=False)
def bas(cpu: Cpu, r1: u8, addr2: u64, next_pc: u64) -> tuple[bool, u64]:
    """Link and branch."""
    link(cpu, r1, next_pc)
    return True, addr2


@typed
def link_24(cpu: Cpu, r1: u8, pc: u64, next_pc: u64) -> None:
    """Link information of BRANCH AND LINK: in 24-bit mode ILC, condition code, program mask.

    The ILC is an EXECUTE's if that is how the instruction came to be executed.
    """
    if cpu.psw_mask & (PSW_EA | PSW_BA) != 0:
        link(cpu, r1, next_pc)
    else:
        mask = (cpu.psw_mask >> 40) & 0xF
        code = ((next_pc - pc) >> 1) & 3
        word = (code << 30) | (cpu.cc << 28) | (mask << 24) | (next_pc & 0xFF_FFFF)
        set_low(cpu, r1, u32(word))


@insn("BALR", "05", "RR", ref="PoP 7 BRANCH AND LINK", leaves=False)
def balr(cpu: Cpu, r1: u8, r2: u8, pc: u64, next_pc: u64) -> tuple[bool, u64]:
    """Link, then branch to R2 unless it is 0."""
    target = cpu.gr[r2] & cpu.address_mask
    link_24(cpu, r1, pc, next_pc)
    return r2 != 0, target


@insn("BAL", "45", "RX_a", ref="PoP 7 BRANCH AND LINK", leaves=False)
def bal(cpu: Cpu, r1: u8, addr2: u64, pc: u64, next_pc: u64) -> tuple[bool, u64]:
    """Link and branch."""
    link_24(cpu, r1, pc, next_pc)
    return True, addr2


@typed
def mode_bits(address: u64) -> u64:
    """The addressing mode that an address with mode bits selects: PSW bits 31 and 32."""
    if address & 1 != 0:
        return u64(PSW_EA | PSW_BA)
    if address & 0x8000_0000 != 0:
        return u64(PSW_BA)
    return 0


@insn("BSM", "0B", "RR", ref="PoP 7 BRANCH AND SET MODE", control=True, leaves=False)
def bsm(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Save the mode in R1, then branch to R2 with the mode that it holds."""
    target = cpu.gr[r2]
    if r1 != 0:
        if cpu.psw_mask & PSW_EA != 0:
            cpu.gr[r1] = cpu.gr[r1] | 1
        elif cpu.psw_mask & PSW_BA != 0:
            cpu.gr[r1] = cpu.gr[r1] | 0x8000_0000
        else:
            cpu.gr[r1] = cpu.gr[r1] & 0xFFFF_FFFF_7FFF_FFFF
    if r2 != 0:
        set_addressing_mode(cpu, mode_bits(target))
        cpu.psw_addr = target & ~u64(1) & cpu.address_mask
        cpu.breaking = pc


@insn("BASSM", "0C", "RR", ref="PoP 7 BRANCH AND SAVE AND SET MODE", control=True, leaves=False)
def bassm(cpu: Cpu, r1: u8, r2: u8, pc: u64) -> None:
    """Link with the mode, then branch to R2 with the mode that it holds."""
    target = cpu.gr[r2]
    if cpu.psw_mask & PSW_EA != 0:
        cpu.gr[r1] = cpu.psw_addr | 1
    else:
        link(cpu, r1, cpu.psw_addr)
    if r2 != 0:
        set_addressing_mode(cpu, mode_bits(target))
        cpu.psw_addr = target & ~u64(1) & cpu.address_mask
        cpu.breaking = pc


def _counts() -> None:
    """BRANCH ON COUNT: decrement, and branch unless zero results."""
    for names, wide in (
        ((("BCTR", "06", "RR"), ("BCT", "46", "RX_a"), ("BRCT", "A76", "RI_b")), False),
        ((("BCTGR", "B946", "RRE"), ("BCTG", "E346", "RXY_a"), ("BRCTG", "A77", "RI_b")), True),
    ):

        @typed(inline=True, name=f"count_down_{64 if wide else 32}")
        def count_down(cpu: Cpu, r1: u8) -> bool:
            if wide:
                cpu.gr[r1] = cpu.gr[r1] - 1
                return cpu.gr[r1] != 0
            set_low(cpu, r1, low(cpu, r1) - 1)
            return low(cpu, r1) != 0

        by_register, by_address, relative = names

        @insn(*by_register, ref="PoP 7 BRANCH ON COUNT", leaves=False)
        def to_register(cpu: Cpu, r1: u8, r2: u8) -> tuple[bool, u64]:
            """To R2 unless it is 0."""
            target = cpu.gr[r2] & cpu.address_mask
            going = count_down(cpu, r1)
            return r2 != 0 and going, target

        @insn(*by_address, ref="PoP 7 BRANCH ON COUNT", leaves=False)
        def to_address(cpu: Cpu, r1: u8, addr2: u64) -> tuple[bool, u64]:
            """To an address, computed first."""
            return count_down(cpu, r1), addr2

        @insn(*relative, ref="PoP 7 BRANCH RELATIVE ON COUNT", leaves=False)
        def to_relative(cpu: Cpu, r1: u8) -> bool:
            """Relative."""
            return count_down(cpu, r1)


_counts()


@insn("BRCTH", "CC6", "RIL_b", ref="PoP 7 BRANCH RELATIVE ON COUNT HIGH", facility=45, leaves=False)
def brcth(cpu: Cpu, r1: u8) -> bool:
    """Count in bits 0-31."""
    cpu.gr[r1] = cpu.gr[r1] - 0x1_0000_0000
    return cpu.gr[r1] >> 32 != 0


def _indexed() -> None:
    """BRANCH ON INDEX: add the increment, compare with the register R3 | 1."""
    for high_names, low_names, wide in (
        ((("BXH", "86", "RS_a"), ("BRXH", "84", "RSI")),
         (("BXLE", "87", "RS_a"), ("BRXLE", "85", "RSI")), False),
        ((("BXHG", "EB44", "RSY_a"), ("BRXHG", "EC44", "RIE_e")),
         (("BXLEG", "EB45", "RSY_a"), ("BRXLG", "EC45", "RIE_e")), True),
    ):  # fmt: skip

        @typed(inline=True, name=f"step_{64 if wide else 32}")
        def step(cpu: Cpu, r1: u8, r3: u8) -> bool:
            if wide:
                limit = i64(cpu.gr[r3 | 1])
                total = i64(cpu.gr[r1] + cpu.gr[r3])
                cpu.gr[r1] = u64(total)
                return total > limit
            limit32 = i32(low(cpu, r3 | 1))
            total32 = i32(low(cpu, r1) + low(cpu, r3))
            set_low(cpu, r1, u32(total32))
            return total32 > limit32

        for names, when in ((high_names, True), (low_names, False)):

            @insn(*names[0], ref="PoP 7 BRANCH ON INDEX", leaves=False)
            def to_address(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> tuple[bool, u64]:
                """To an address, computed first."""
                return step(cpu, r1, r3) == when, addr2

            @insn(*names[1], ref="PoP 7 BRANCH RELATIVE ON INDEX", leaves=False)
            def to_relative(cpu: Cpu, r1: u8, r3: u8) -> bool:
                """Relative."""
                return step(cpu, r1, r3) == when


_indexed()


def _chooser(kind: Any) -> Typed[Any, Any]:
    @typed(inline=True, name=f"chosen_{kind.__name__}")
    def chosen(a: kind, b: kind, mask: u8) -> bool:
        """Whether the mask selects the relation of a to b (8 equal, 4 low, 2 high)."""
        return (mask & 8 != 0 and a == b) or (mask & 4 != 0 and a < b) or (mask & 2 != 0 and a > b)

    return chosen


CHOSEN = {k: _chooser(k) for k in (i32, i64, u32, u64)}


def _compare_and() -> None:
    for kind, prefix, codes in (
        (i32, "C", ("EC76", "ECF6", "B972", "EC7E", "ECFE", "EC72")),
        (i64, "CG", ("EC64", "ECE4", "B960", "EC7C", "ECFC", "EC70")),
        (u32, "CL", ("EC77", "ECF7", "B973", "EC7F", "ECFF", "EC73")),
        (u64, "CLG", ("EC65", "ECE5", "B961", "EC7D", "ECFD", "EC71")),
    ):
        chosen = CHOSEN[kind]
        logical = kind in (u32, u64)
        rj, rb, rt, ij, ib, it = codes
        rules: dict[str, Any] = {"facility": GENERAL_EXTENSION}

        @insn(f"{prefix}RJ", rj, "RIE_b", ref="PoP 7 COMPARE AND BRANCH", leaves=False, **rules)
        def registers_relative(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> bool:
            """Registers; relative target."""
            return chosen(kind(cpu.gr[r1]), kind(cpu.gr[r2]), m3)

        @insn(f"{prefix}RB", rb, "RRS", ref="PoP 7 COMPARE AND BRANCH", leaves=False, **rules)
        def registers_address(cpu: Cpu, r1: u8, r2: u8, m3: u8, addr4: u64) -> tuple[bool, u64]:
            """Registers; target by base and displacement."""
            return chosen(kind(cpu.gr[r1]), kind(cpu.gr[r2]), m3), addr4

        @insn(f"{prefix}IJ", ij, "RIE_c", ref="PoP 7 COMPARE IMMEDIATE AND BRANCH", leaves=False,
              **rules)  # fmt: skip
        def immediate_relative(cpu: Cpu, r1: u8, m3: u8, i2: i64) -> bool:
            """Register and immediate byte; relative target."""
            return chosen(kind(cpu.gr[r1]), kind(u8(i2)) if logical else kind(i2), m3)

        @insn(f"{prefix}IB", ib, "RIS", ref="PoP 7 COMPARE IMMEDIATE AND BRANCH", leaves=False,
              **rules)  # fmt: skip
        def immediate_address(cpu: Cpu, r1: u8, m3: u8, i2: i64, addr4: u64) -> tuple[bool, u64]:
            """Register and immediate byte; target by base and displacement."""
            return chosen(kind(cpu.gr[r1]), kind(u8(i2)) if logical else kind(i2), m3), addr4

        @insn(f"{prefix}RT", rt, "RRF", ref="PoP 7 COMPARE AND TRAP", **rules)
        def registers_trap(cpu: Cpu, r1: u8, r2: u8, m3: u8) -> None:
            """Registers; data exception if the relation holds."""
            if chosen(kind(cpu.gr[r1]), kind(cpu.gr[r2]), m3):
                data_exception(cpu, COMPARE_AND_TRAP)

        name = {"C": "CIT", "CG": "CGIT", "CL": "CLFIT", "CLG": "CLGIT"}[prefix]

        @insn(name, it, "RIE_a", ref="PoP 7 COMPARE IMMEDIATE AND TRAP", **rules)
        def immediate_trap(cpu: Cpu, r1: u8, i2: i64, m3: u8) -> None:
            """Register and immediate halfword; data exception if the relation holds."""
            b = kind(u64(i2) & 0xFFFF) if logical else kind(i2)
            if chosen(kind(cpu.gr[r1]), b, m3):
                data_exception(cpu, COMPARE_AND_TRAP)


_compare_and()


def _storage_traps() -> None:
    for mnemonic, opcode, kind, fetch in (("CLT", "EB23", u32, fetch_u32),
                                          ("CLGT", "EB2B", u64, fetch_u64)):  # fmt: skip
        chosen = CHOSEN[kind]

        @insn(mnemonic, opcode, "RSY_b", ref="PoP 7 COMPARE LOGICAL AND TRAP", facility=49)
        def trap(cpu: Cpu, r1: u8, m3: u8, addr2: u64) -> None:
            """Register and storage; data exception if the relation holds."""
            if chosen(kind(cpu.gr[r1]), fetch(cpu, OP2, addr2), m3):
                data_exception(cpu, COMPARE_AND_TRAP)

    for mnemonic, opcode, size in (("LAT", "E39F", 32), ("LGAT", "E385", 64),
                                   ("LLGFAT", "E39D", 33), ("LLGTAT", "E39C", 31),
                                   ("LFHAT", "E3C8", 0)):  # fmt: skip

        @insn(mnemonic, opcode, "RXY_a", ref="PoP 7 LOAD AND TRAP", facility=49)
        def load_and_trap(cpu: Cpu, r1: u8, addr2: u64) -> None:
            """Load; data exception if zero was loaded."""
            if size == 64:
                value = fetch_u64(cpu, OP2, addr2)
                cpu.gr[r1] = value
            else:
                value = u64(fetch_u32(cpu, OP2, addr2))
                if size == 31:
                    value = value & 0x7FFF_FFFF
                if size == 31 or size == 33:
                    cpu.gr[r1] = value
                elif size == 0:
                    set_high(cpu, r1, u32(value))
                else:
                    set_low(cpu, r1, u32(value))
            if value == 0:
                data_exception(cpu, COMPARE_AND_TRAP)


_storage_traps()


def _set_modes() -> None:
    for mnemonic, opcode, bits in (("SAM24", "010C", 0), ("SAM31", "010D", PSW_BA),
                                   ("SAM64", "010E", PSW_EA | PSW_BA)):  # fmt: skip
        limit = {0: 0xFF_FFFF, PSW_BA: 0x7FFF_FFFF}.get(bits, 0xFFFF_FFFF_FFFF_FFFF)

        @insn(mnemonic, opcode, "E", ref="PoP 7 SET ADDRESSING MODE", control=True)
        def set_mode(cpu: Cpu, pc: u64) -> None:
            """Change the mode; the instruction itself has to be addressable in the new one."""
            if pc > limit:
                specification(cpu)
            set_addressing_mode(cpu, u64(bits))
            cpu.psw_addr = (pc + 2) & cpu.address_mask

    @insn("TAM", "010B", "E", ref="PoP 7 TEST ADDRESSING MODE", leaves=False)
    def tam(cpu: Cpu) -> None:
        """Condition code 0, 1 or 3 for the 24-, 31- and 64-bit modes."""
        if cpu.psw_mask & PSW_EA != 0:
            cpu.cc = 3
        elif cpu.psw_mask & PSW_BA != 0:
            cpu.cc = 1
        else:
            cpu.cc = 0


_set_modes()


@insn("NIAI", "B2FA", "RRE", ref="PoP 7 NEXT INSTRUCTION ACCESS INTENT", facility=49, leaves=False)
def niai(cpu: Cpu) -> None:
    """A hint about the next instruction's operands."""


@insn("BPP", "C7", "SS_a", ref="PoP 7 BRANCH PREDICTION PRELOAD", facility=49, leaves=False)
def bpp(cpu: Cpu) -> None:
    """A hint."""


@insn("BPRP", "C5", "SS_a", ref="PoP 7 BRANCH PREDICTION RELATIVE PRELOAD", facility=49,
      leaves=False)  # fmt: skip
def bprp(cpu: Cpu) -> None:
    """A hint."""
