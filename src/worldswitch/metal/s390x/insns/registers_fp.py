"""Floating-point registers: loads, stores, moves. ref: PoP chapter 9"""

from worldswitch.engine import typed, u8, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import fetch_u32, fetch_u64, store_u32, store_u64
from worldswitch.metal.s390x.state import OP2, Cpu

BOTH = ("r1", "r2")


@typed(inline=True)
def fr(cpu: Cpu, r: u8) -> u64:
    """Floating-point register `r`."""
    return cpu.vr[u64(r) * 2]


@typed(inline=True)
def set_fr(cpu: Cpu, r: u8, value: u64) -> None:
    """Replace floating-point register `r`; the right half of the vector register becomes zero."""
    cpu.vr[u64(r) * 2] = value
    cpu.vr[u64(r) * 2 + 1] = 0


@typed(inline=True)
def set_short(cpu: Cpu, r: u8, value: u32) -> None:
    """Replace the left word of floating-point register `r`."""
    cpu.vr[u64(r) * 2] = (cpu.vr[u64(r) * 2] & 0xFFFF_FFFF) | (u64(value) << 32)


for _mnemonic, _opcode, _format in (("LD", "68", "RX_a"), ("LDY", "ED65", "RXY_a")):

    @insn(_mnemonic, _opcode, _format, ref="PoP 9 LOAD", afp=("r1",))
    def load_long(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """Load a doubleword."""
        set_fr(cpu, r1, fetch_u64(cpu, OP2, addr2))


for _mnemonic, _opcode, _format in (("LE", "78", "RX_a"), ("LEY", "ED64", "RXY_a")):

    @insn(_mnemonic, _opcode, _format, ref="PoP 9 LOAD", afp=("r1",))
    def load_short(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """Load a word into the left half."""
        set_short(cpu, r1, fetch_u32(cpu, OP2, addr2))


for _mnemonic, _opcode, _format in (("STD", "60", "RX_a"), ("STDY", "ED67", "RXY_a")):

    @insn(_mnemonic, _opcode, _format, ref="PoP 9 STORE", afp=("r1",))
    def store_long(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """Store a doubleword."""
        store_u64(cpu, OP2, addr2, fr(cpu, r1))


for _mnemonic, _opcode, _format in (("STE", "70", "RX_a"), ("STEY", "ED66", "RXY_a")):

    @insn(_mnemonic, _opcode, _format, ref="PoP 9 STORE", afp=("r1",))
    def store_short(cpu: Cpu, r1: u8, addr2: u64) -> None:
        """Store the left word."""
        store_u32(cpu, OP2, addr2, u32(fr(cpu, r1) >> 32))


@insn("LDR", "28", "RR", ref="PoP 9 LOAD", leaves=False, afp=BOTH)
def ldr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Copy a register."""
    set_fr(cpu, r1, fr(cpu, r2))


@insn("LER", "38", "RR", ref="PoP 9 LOAD", leaves=False, afp=BOTH)
def ler(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Copy the left word."""
    set_short(cpu, r1, u32(fr(cpu, r2) >> 32))


@insn("LXR", "B365", "RRE", ref="PoP 9 LOAD", afp=BOTH)
def lxr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Copy a register pair."""
    if (r1 | r2) & 2 != 0:
        specification(cpu)
    high = fr(cpu, r2)
    set_fr(cpu, r1 + 2, fr(cpu, r2 + 2))
    set_fr(cpu, r1, high)


@insn("LZER", "B374", "RRE", ref="PoP 9 LOAD ZERO", leaves=False, afp=("r1",))
def lzer(cpu: Cpu, r1: u8) -> None:
    """Positive zero, short."""
    set_short(cpu, r1, u32(0))


@insn("LZDR", "B375", "RRE", ref="PoP 9 LOAD ZERO", leaves=False, afp=("r1",))
def lzdr(cpu: Cpu, r1: u8) -> None:
    """Positive zero, long."""
    set_fr(cpu, r1, u64(0))


@insn("LZXR", "B376", "RRE", ref="PoP 9 LOAD ZERO", afp=("r1",))
def lzxr(cpu: Cpu, r1: u8) -> None:
    """Positive zero, extended."""
    if r1 & 2 != 0:
        specification(cpu)
    set_fr(cpu, r1, u64(0))
    set_fr(cpu, r1 + 2, u64(0))


@insn("LGDR", "B3CD", "RRE", ref="PoP 9 LOAD GR FROM FPR", facility=41, leaves=False, afp=("r2",))
def lgdr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Floating-point to general register."""
    cpu.gr[r1] = fr(cpu, r2)


@insn("LDGR", "B3C1", "RRE", ref="PoP 9 LOAD FPR FROM GR", facility=41, leaves=False, afp=("r1",))
def ldgr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """General to floating-point register."""
    set_fr(cpu, r1, cpu.gr[r2])


SIGN = 0x8000_0000_0000_0000


@insn("LPDFR", "B370", "RRE", ref="PoP 9 LOAD POSITIVE", facility=41, leaves=False, afp=BOTH)
def lpdfr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Clear the sign bit."""
    set_fr(cpu, r1, fr(cpu, r2) & ~u64(SIGN))


@insn("LNDFR", "B371", "RRE", ref="PoP 9 LOAD NEGATIVE", facility=41, leaves=False, afp=BOTH)
def lndfr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Set the sign bit."""
    set_fr(cpu, r1, fr(cpu, r2) | SIGN)


@insn("LCDFR", "B373", "RRE", ref="PoP 9 LOAD COMPLEMENT", facility=41, leaves=False, afp=BOTH)
def lcdfr(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Invert the sign bit."""
    set_fr(cpu, r1, fr(cpu, r2) ^ SIGN)


@insn(
    "CPSDR", "B372", "RRF", ref="PoP 9 COPY SIGN", facility=41, leaves=False, afp=("r1", "r2", "r3")
)
def cpsdr(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
    """R2's magnitude with R3's sign."""
    set_fr(cpu, r1, (fr(cpu, r2) & ~u64(SIGN)) | (fr(cpu, r3) & SIGN))
