"""Message-security assist: the query functions, and the true random number generator.

No cipher or digest function is modelled: the query functions say so, and any other function code
is a specification exception, as for a function that a machine does not have installed.
ref: PoP 7 Message-Security Assist.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.engine import typed, u8, u32, u64
from worldswitch.metal.s390x.insn import insn
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import check_write, store_u8, store_u64
from worldswitch.metal.s390x.state import OP1, OP2, Cpu

QUERY = 0
TRNG = 114
QUERY_BIT = 1 << 63
TRNG_BIT = 1 << (127 - TRNG)
"""Bit 114 of a 128-bit status word, in its second doubleword."""
UNIT = 4096
"""Bytes stored before the instruction ends with condition code 3."""


@typed(leaves=True, inline=False)
def query(cpu: Cpu, second: u64) -> None:
    """Store the status word: bit 0 (the query itself) and the doubleword `second`."""
    block = cpu.gr[1] & cpu.address_mask
    check_write(cpu, OP1, block, 16)
    store_u64(cpu, OP1, block, QUERY_BIT)
    store_u64(cpu, OP1, (block + 8) & cpu.address_mask, second)
    cpu.cc = 0


def _query_only() -> None:
    for mnemonic, opcode, format, facility in (
        ("KMAC", "B91E", "RRE", Facility.MSA),
        ("KMF", "B92A", "RRE", Facility.MSA_4),
        ("KMO", "B92B", "RRE", Facility.MSA_4),
        ("KMCTR", "B92D", "RRF", Facility.MSA_4),
        ("KM", "B92E", "RRE", Facility.MSA),
        ("KMC", "B92F", "RRE", Facility.MSA),
        ("KIMD", "B93E", "RRE", Facility.MSA),
        ("KLMD", "B93F", "RRE", Facility.MSA),
    ):

        @insn(mnemonic, opcode, format, ref="PoP 7 Message-Security Assist", facility=facility)
        def cipher(cpu: Cpu, r2: u8) -> None:
            """The query function; no other is installed."""
            if r2 & 1 != 0 or r2 == 0 or cpu.gr[0] & 0x7F != QUERY:
                specification(cpu)
            query(cpu, 0)


_query_only()


@insn("PCC", "B92C", "RRE", ref="PoP 7 PERFORM CRYPTOGRAPHIC COMPUTATION", facility=Facility.MSA_4)
def pcc(cpu: Cpu) -> None:
    """The query function; no other is installed."""
    if cpu.gr[0] & 0x7F != QUERY:
        specification(cpu)
    query(cpu, 0)


@insn("PCKMO", "B928", "RRE", ref="PoP 10 PERFORM CRYPTOGRAPHIC KEY MANAGEMENT OPERATION",
      facility=Facility.MSA_3, privileged=True)  # fmt: skip
def pckmo(cpu: Cpu) -> None:
    """The query function; no key can be encrypted."""
    if cpu.gr[0] & 0xFF != QUERY:
        specification(cpu)
    cc = cpu.cc
    query(cpu, 0)
    cpu.cc = cc


@typed(inline=False)
def random(cpu: Cpu) -> u64:
    """The next value of the generator: repeatable, for a run has to be."""
    cpu.random += 0x9E37_79B9_7F4A_7C15
    z = cpu.random
    z = (z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)


@typed(leaves=True, inline=False)
def fill_random(cpu: Cpu, space: u32, r: u8) -> bool:
    """Fill the operand of an address-length pair; False if part of it is left to do."""
    done: u64 = 0
    while cpu.gr[r + 1] != 0 and done < UNIT:
        store_u8(cpu, space, cpu.gr[r] & cpu.address_mask, u8(random(cpu)))
        cpu.gr[r] = (cpu.gr[r] & (cpu.address_mask ^ 0xFFFF_FFFF_FFFF_FFFF)) | (
            (cpu.gr[r] + 1) & cpu.address_mask
        )
        cpu.gr[r + 1] -= 1
        done += 1
    return cpu.gr[r + 1] == 0


@insn("PRNO", "B93C", "RRE", ref="PoP 7 PERFORM RANDOM NUMBER OPERATION",
      facility=Facility.MSA_5, access_registers=("r1", "r2"))  # fmt: skip
def prno(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Query and TRNG (raw and conditioned entropy into two operands)."""
    function = cpu.gr[0] & 0x7F
    if (r1 | r2) & 1 != 0 or r1 == 0 or r2 == 0 or cpu.gr[0] & 0x80 != 0:
        specification(cpu)
    if function == QUERY:
        query(cpu, TRNG_BIT)
    elif function == TRNG:
        cpu.cc = 3
        if fill_random(cpu, OP1, r1) and fill_random(cpu, OP2, r2):
            cpu.cc = 0
    else:
        specification(cpu)
