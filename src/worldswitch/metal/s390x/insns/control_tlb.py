"""Control instructions that change translation tables and purge what was made from them.

ref: PoP 10 Control Instructions.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.arch.s390x.translation import PageEntry, RegionEntry
from worldswitch.engine import typed, u8, u64
from worldswitch.metal.s390x.insn import Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import absolute_of, facility
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    check_write,
    fetch_u32,
    fetch_u64,
    store_u32,
    store_u64,
)
from worldswitch.metal.s390x.mode import purge_all, purge_all_cpus, purge_page
from worldswitch.metal.s390x.regs import low, set_low
from worldswitch.metal.s390x.state import ABSOLUTE, OP2, Cpu

INTERLOCKED = Intercept("ictl", int(Ictl.IPTE))
PAGE_INVALID = int(PageEntry.INVALID)
ENTRY_INVALID = int(RegionEntry.INVALID)
PAGE_TABLE = 0xFFFF_FFFF_FFFF_F800
TABLE = 0xFFFF_FFFF_FFFF_F000
CLEAR_BY_ASCE = 0x800
FACILITY_IPTE_RANGE = int(Facility.IPTE_RANGE)


@typed(leaves=True)
def set_entry_bit(cpu: Cpu, real: u64, bit: u64) -> None:
    """Or a bit into the doubleword table entry at a real address, without key protection."""
    where = absolute_of(cpu, real)
    store_u64(cpu, ABSOLUTE, where, fetch_u64(cpu, ABSOLUTE, where) | bit)


@insn("IPTE", "B221", "RRF", ref="PoP 10 INVALIDATE PAGE TABLE ENTRY", privileged=True,
      control=True, intercept=INTERLOCKED)  # fmt: skip
def ipte(cpu: Cpu, r1: u8, r2: u8, r3: u8) -> None:
    """Invalidate one page-table entry, or as many more as R3 says, and purge their pages."""
    address = cpu.gr[r2] & cpu.address_mask
    index = (address >> 12) & 0xFF
    more: u64 = 0
    if r3 != 0 and facility(cpu, FACILITY_IPTE_RANGE):
        more = cpu.gr[r3] & 0xFF
        if index + more > 0xFF:
            specification(cpu)
    origin = cpu.gr[r1] & PAGE_TABLE
    n: u64 = 0
    while n <= more:
        set_entry_bit(cpu, origin + (index + n) * 8, PAGE_INVALID)
        n += 1
    if cpu.in_sie == 0 and cpu.sie_block != 0:
        purge_all_cpus(cpu)  # guests' translations depend on the entry, whatever their addresses
    # IMPDEF: clearing on this CPU alone (M4 bit 3) clears on all of them.
    n = 0
    while n <= more:
        purge_page(cpu, address + n * 4096)
        n += 1


@insn("IDTE", "B98E", "RRF", ref="PoP 10 INVALIDATE DAT TABLE ENTRY", privileged=True,
      control=True, facility=Facility.DAT_ENHANCEMENT_1, intercept=INTERLOCKED)  # fmt: skip
def idte(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Invalidate region- or segment-table entries, or only clear by ASCE; purge.

    IMPDEF: every translation is cleared, whichever the ASCE.
    """
    options = cpu.gr[r2]
    if options & CLEAR_BY_ASCE == 0:
        if options & 0xF_F000 != 0:
            specification(cpu)
        origin = cpu.gr[r1] & TABLE
        shift = u64(20) + ((cpu.gr[r1] >> 2) & 3) * 11
        index = (options >> shift) & 0x7FF
        count = (options & 0x7FF) + 1
        n: u64 = 0
        while n < count:
            set_entry_bit(cpu, origin + ((index + n) & 0x7FF) * 8, ENTRY_INVALID)
            n += 1
    purge_all_cpus(cpu)


@insn("CRDTE", "B98F", "RRF", ref="PoP 10 COMPARE AND REPLACE DAT TABLE ENTRY", privileged=True,
      control=True, facility=Facility.EDAT_2, intercept=INTERLOCKED)  # fmt: skip
def crdte(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Replace a table entry if it equals the pair R1's first register, and purge."""
    if (r1 | r2) & 1 != 0:
        specification(cpu)
    kind = (cpu.gr[r2] >> 2) & 7
    if kind != 0 and kind < 4:
        specification(cpu)
    address = cpu.gr[r2 + 1]
    where = (cpu.gr[r2] & PAGE_TABLE) + ((address >> 12) & 0xFF) * 8
    if kind != 0:
        index = (address >> (u64(20) + (kind & 3) * 11)) & 0x7FF
        where = (cpu.gr[r2] & TABLE) + index * 8
    where = absolute_of(cpu, where)
    entry = fetch_u64(cpu, ABSOLUTE, where)
    if entry == cpu.gr[r1]:
        store_u64(cpu, ABSOLUTE, where, cpu.gr[r1 + 1])
        purge_all_cpus(cpu)
        cpu.cc = 0
    else:
        cpu.gr[r1] = entry
        cpu.cc = 1


@insn("PTLB", "B20D", "S", ref="PoP 10 PURGE TLB", privileged=True, control=True, leaves=False,
      intercept=Intercept("ictl", int(Ictl.PTLB)))  # fmt: skip
def ptlb(cpu: Cpu) -> None:
    """Drop this processor's translations."""
    purge_all(cpu)


@insn("PALB", "B248", "RRE", ref="PoP 10 PURGE ALB", privileged=True, leaves=False)
def palb(cpu: Cpu) -> None:
    """Nothing is kept of access-register translation, so nothing is purged."""


@insn("CSP", "B250", "RRE", ref="PoP 10 COMPARE AND SWAP AND PURGE", privileged=True,
      control=True, intercept=INTERLOCKED, access_registers=("r1", "r2"))  # fmt: skip
def csp(cpu: Cpu, r1: u8, r2: u8) -> None:
    """Compare and swap a word; if swapped and bit 63 of R2 is one, purge on all processors."""
    if r1 & 1 != 0:
        specification(cpu)
    where = cpu.gr[r2] & cpu.address_mask & 0xFFFF_FFFF_FFFF_FFFC
    check_write(cpu, OP2, where, 4)
    value = fetch_u32(cpu, OP2, where)
    if value == low(cpu, r1):
        store_u32(cpu, OP2, where, low(cpu, r1 + 1))
        cpu.cc = 0
        if cpu.gr[r2] & 1 != 0:
            purge_all_cpus(cpu)
    else:
        set_low(cpu, r1, value)
        cpu.cc = 1


@insn("CSPG", "B98A", "RRE", ref="PoP 10 COMPARE AND SWAP AND PURGE", privileged=True,
      control=True, facility=Facility.DAT_ENHANCEMENT_1, intercept=INTERLOCKED,
      access_registers=("r1", "r2"))  # fmt: skip
def cspg(cpu: Cpu, r1: u8, r2: u8) -> None:
    """As CSP, on a doubleword."""
    if r1 & 1 != 0:
        specification(cpu)
    where = cpu.gr[r2] & cpu.address_mask & 0xFFFF_FFFF_FFFF_FFF8
    check_write(cpu, OP2, where, 8)
    value = fetch_u64(cpu, OP2, where)
    if value == cpu.gr[r1]:
        store_u64(cpu, OP2, where, cpu.gr[r1 + 1])
        cpu.cc = 0
        if cpu.gr[r2] & 1 != 0:
            purge_all_cpus(cpu)
    else:
        cpu.gr[r1] = value
        cpu.cc = 1
