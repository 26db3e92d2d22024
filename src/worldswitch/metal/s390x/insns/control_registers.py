"""Control instructions on control registers, prefix, identities and address-space numbers.

ref: PoP 10 Control Instructions.
"""

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.arch.s390x.sie_controls import Ictl
from worldswitch.arch.s390x.state_description import SIDA_ORIGIN, StateDescription
from worldswitch.engine import bswap, peek_u16, poke_u32, typed, u8, u16, u32, u64
from worldswitch.metal.s390x.dat import lowcore_host
from worldswitch.metal.s390x.insn import ALWAYS, Intercept, insn
from worldswitch.metal.s390x.insns.control_checks import (
    addressing,
    require_dat,
    require_extraction,
    set_low16,
)
from worldswitch.metal.s390x.leave import specification
from worldswitch.metal.s390x.memory import (
    check_read,
    check_write,
    fetch_u32,
    fetch_u64,
    store_u16,
    store_u32,
    store_u64,
)
from worldswitch.metal.s390x.mode import controls_changed, purge_all
from worldswitch.metal.s390x.psw import recheck
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.sie.block import ICPT_INST, ICPT_PV_NOTIFY, offset, sd_u16, sd_u64
from worldswitch.metal.s390x.sie.exits import intercept_with
from worldswitch.metal.s390x.state import OP2, Cpu, Record

LCTL_FIELD = StateDescription.offset_of("lctl")
STFL_LIST = Lowcore.offset_of("stfl_fac_list")
SIDAD = offset("sidad")
ICPUA = offset("icpua")
PREFIX_BITS = 0x7FFF_E000
HIGH = 0xFFFF_FFFF_0000_0000


@typed(leaves=True)
def intercept_controls(cpu: Cpu, rec: Record, first: u64, count: u64) -> None:
    """In SIE, leave if the state description keeps one of `count` control registers."""
    if cpu.in_sie != 0 and cpu.sie_protected == 0:
        kept = bswap(peek_u16(cpu.sie_block + LCTL_FIELD))
        n: u64 = 0
        while n < count:
            if kept & (u16(0x8000) >> u16((first + n) & 15)) != 0:
                intercept_with(cpu, rec, ICPT_INST)
            n += 1


@insn("LCTL", "B7", "RS_a", ref="PoP 10 LOAD CONTROL", privileged=True, control=True)
def lctl(cpu: Cpu, rec: Record, r1: u8, r3: u8, addr2: u64) -> None:
    """Load bits 32-63 of control registers R1 to R3, wrapping around."""
    if addr2 & 3 != 0:
        specification(cpu)
    count = u64((r3 - r1) & 15) + 1
    intercept_controls(cpu, rec, u64(r1), count)
    check_read(cpu, OP2, addr2, count * 4)
    n: u64 = 0
    while n < count:
        r = (u64(r1) + n) & 15
        value = fetch_u32(cpu, OP2, (addr2 + n * 4) & cpu.address_mask)
        cpu.cr[r] = (cpu.cr[r] & HIGH) | u64(value)
        n += 1
    controls_changed(cpu)
    recheck(cpu)


@insn("LCTLG", "EB2F", "RSY_a", ref="PoP 10 LOAD CONTROL", privileged=True, control=True)
def lctlg(cpu: Cpu, rec: Record, r1: u8, r3: u8, addr2: u64) -> None:
    """Load control registers R1 to R3, wrapping around."""
    if addr2 & 7 != 0:
        specification(cpu)
    count = u64((r3 - r1) & 15) + 1
    intercept_controls(cpu, rec, u64(r1), count)
    check_read(cpu, OP2, addr2, count * 8)
    n: u64 = 0
    while n < count:
        cpu.cr[(u64(r1) + n) & 15] = fetch_u64(cpu, OP2, (addr2 + n * 8) & cpu.address_mask)
        n += 1
    controls_changed(cpu)
    recheck(cpu)


@insn("STCTL", "B6", "RS_a", ref="PoP 10 STORE CONTROL", privileged=True,
      intercept=Intercept("ictl", int(Ictl.STCTL)))  # fmt: skip
def stctl(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """Store bits 32-63 of control registers R1 to R3, wrapping around."""
    if addr2 & 3 != 0:
        specification(cpu)
    count = u64((r3 - r1) & 15) + 1
    check_write(cpu, OP2, addr2, count * 4)
    n: u64 = 0
    while n < count:
        value = u32(cpu.cr[(u64(r1) + n) & 15])
        store_u32(cpu, OP2, (addr2 + n * 4) & cpu.address_mask, value)
        n += 1


@insn("STCTG", "EB25", "RSY_a", ref="PoP 10 STORE CONTROL", privileged=True,
      intercept=Intercept("ictl", int(Ictl.STCTL)))  # fmt: skip
def stctg(cpu: Cpu, r1: u8, r3: u8, addr2: u64) -> None:
    """Store control registers R1 to R3, wrapping around."""
    if addr2 & 7 != 0:
        specification(cpu)
    count = u64((r3 - r1) & 15) + 1
    check_write(cpu, OP2, addr2, count * 8)
    n: u64 = 0
    while n < count:
        store_u64(cpu, OP2, (addr2 + n * 8) & cpu.address_mask, cpu.cr[(u64(r1) + n) & 15])
        n += 1


@typed(leaves=True, inline=False)
def notify_prefix(cpu: Cpu, rec: Record) -> None:
    """A protected guest's SET PREFIX is done: the host learns the prefix. ref: SIE sidad."""
    where = sd_u64(cpu, SIDAD) & SIDA_ORIGIN
    if where + 4 <= cpu.ram_size:
        poke_u32(cpu.ram + where, bswap(u32(cpu.prefix)))
    intercept_with(cpu, rec, ICPT_PV_NOTIFY)


@insn("SPX", "B210", "S", ref="PoP 10 SET PREFIX", privileged=True, control=True,
      intercept=ALWAYS)  # fmt: skip
def spx(cpu: Cpu, rec: Record, addr2: u64) -> None:
    """Set the prefix register; the TLB is purged."""
    if addr2 & 3 != 0:
        specification(cpu)
    value = u64(fetch_u32(cpu, OP2, addr2)) & PREFIX_BITS
    limit = cpu.msl + 1 - cpu.mso if cpu.in_sie != 0 else cpu.ram_size
    if value + 8192 > limit:
        addressing(cpu)
    cpu.prefix = value
    purge_all(cpu)
    controls_changed(cpu)
    if cpu.in_sie != 0:
        notify_prefix(cpu, rec)


@insn("STPX", "B211", "S", ref="PoP 10 STORE PREFIX", privileged=True, intercept=ALWAYS)
def stpx(cpu: Cpu, addr2: u64) -> None:
    """Store the prefix register."""
    if addr2 & 3 != 0:
        specification(cpu)
    store_u32(cpu, OP2, addr2, u32(cpu.prefix))


@insn("STAP", "B212", "S", ref="PoP 10 STORE CPU ADDRESS", privileged=True, intercept=ALWAYS)
def stap(cpu: Cpu, addr2: u64) -> None:
    """Store the CPU address."""
    if addr2 & 1 != 0:
        specification(cpu)
    store_u16(cpu, OP2, addr2, sd_u16(cpu, ICPUA) if cpu.in_sie != 0 else cpu.cpu_address)


@insn("STIDP", "B202", "S", ref="PoP 10 STORE CPU ID", privileged=True, intercept=ALWAYS)
def stidp(cpu: Cpu, addr2: u64) -> None:
    """Store the CPU identification."""
    if addr2 & 7 != 0:
        specification(cpu)
    store_u64(cpu, OP2, addr2, cpu.cpu_id)


@insn("STFL", "B2B1", "S", ref="PoP 10 STORE FACILITY LIST", privileged=True, intercept=ALWAYS)
def stfl(cpu: Cpu) -> None:
    """Store bits 0-31 of the facility list at real location 200."""
    poke_u32(lowcore_host(cpu, STFL_LIST), bswap(u32(cpu.facilities[0] >> 32)))


@insn("LPP", "B280", "S", ref="PoP 10 LOAD PROGRAM PARAMETER", privileged=True,
      facility=Facility.LOAD_PROGRAM_PARAMETER)  # fmt: skip
def lpp(cpu: Cpu, addr2: u64) -> None:
    """Load the program parameter, which measurement samples would carry."""
    if addr2 & 7 != 0:
        specification(cpu)
    cpu.program_parameter = fetch_u64(cpu, OP2, addr2)


@insn("EPAR", "B226", "RRE", ref="PoP 10 EXTRACT PRIMARY ASN")
def epar(cpu: Cpu, r1: u8) -> None:
    """Extract the primary address-space number."""
    require_dat(cpu)
    require_extraction(cpu)
    set_low16(cpu, r1, u16(cpu.cr[4]))


@insn("EPAIR", "B99A", "RRE", ref="PoP 10 EXTRACT PRIMARY ASN AND INSTANCE",
      facility=Facility.ASN_AND_LX_REUSE)  # fmt: skip
def epair(cpu: Cpu, r1: u8) -> None:
    """Extract the primary address-space number and its instance number."""
    require_dat(cpu)
    require_extraction(cpu)
    cpu.gr[r1] = (cpu.cr[4] & HIGH) | (cpu.cr[4] & 0xFFFF)


@insn("ESAR", "B227", "RRE", ref="PoP 10 EXTRACT SECONDARY ASN")
def esar(cpu: Cpu, r1: u8) -> None:
    """Extract the secondary address-space number."""
    require_dat(cpu)
    require_extraction(cpu)
    set_low16(cpu, r1, u16(cpu.cr[3]))


@insn("ESAIR", "B99B", "RRE", ref="PoP 10 EXTRACT SECONDARY ASN AND INSTANCE",
      facility=Facility.ASN_AND_LX_REUSE)  # fmt: skip
def esair(cpu: Cpu, r1: u8) -> None:
    """Extract the secondary address-space number and its instance number."""
    require_dat(cpu)
    require_extraction(cpu)
    cpu.gr[r1] = (cpu.cr[3] & HIGH) | (cpu.cr[3] & 0xFFFF)


@insn("ESEA", "B99D", "RRE", ref="PoP 10 EXTRACT AND SET EXTENDED AUTHORITY", privileged=True)
def esea(cpu: Cpu, r1: u8) -> None:
    """Swap in an extended authorization index: R1 bits 48-63; the old one goes to bits 32-47."""
    new = cpu.gr[r1] & 0xFFFF
    old = (cpu.cr[8] >> 16) & 0xFFFF
    set_low(cpu, r1, (u32(old) << 16) | u32(new))
    cpu.cr[8] = (cpu.cr[8] & 0xFFFF_FFFF_0000_FFFF) | (new << 16)
