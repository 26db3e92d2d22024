"""The system-control area: what the processors of one guest share. ref: SIE SCA entry."""

from worldswitch.arch.s390x.sie_controls import Eca, Ecb, Ecb2
from worldswitch.arch.s390x.sie_satellites import (
    BasicSca,
    BasicScaEntry,
    ExtendedSca,
    ExtendedScaEntry,
)
from worldswitch.arch.s390x.sigp import SigpOrder, SigpStatus
from worldswitch.engine import (
    bswap,
    peek_u16,
    peek_u32,
    peek_u64,
    poke_u16,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.s390x.regs import set_low
from worldswitch.metal.s390x.sie.block import (
    CPUFLAGS,
    ECA,
    ECB,
    ICPT_INST,
    ICPT_PARTEXEC,
    offset,
    sd_u8,
    sd_u16,
    sd_u32,
)
from worldswitch.metal.s390x.sie.exits import intercept_with
from worldswitch.metal.s390x.state import Cpu, Record

ECB2 = offset("ecb2")
SCAOH = offset("scaoh")
SCAOL = offset("scaol")
ICPUA = offset("icpua")
ECB2_ESCA = int(Ecb2.ESCA)
ECA_SIGPI = int(Eca.SIGPI)
ECB_SRSI = int(Ecb.SRSI)
BASIC_MCN = BasicSca.offset_of("mcn")
BASIC_CPU = BasicSca.offset_of("cpu")
BASIC_ENTRY = BasicScaEntry.block_size
BASIC_SDA = BasicScaEntry.offset_of("sda")
EXTENDED_MCN = ExtendedSca.offset_of("mcn")
EXTENDED_CPU = ExtendedSca.offset_of("cpu")
EXTENDED_ENTRY = ExtendedScaEntry.block_size
EXTERNAL_CALL = int(SigpOrder.EXTERNAL_CALL)
SENSE_RUNNING_STATUS = int(SigpOrder.SENSE_RUNNING_STATUS)
CALL_PENDING = int(SigpStatus.EXTERNAL_CALL_PENDING)
NOT_RUNNING = int(SigpStatus.NOT_RUNNING)
RUNNING = 0x0080_0000


@typed
def is_extended(cpu: Cpu) -> bool:
    """Whether the area has the extended format."""
    return sd_u8(cpu, ECB2) & ECB2_ESCA != 0


@typed(inline=False)
def area_entry(cpu: Cpu, address: u64) -> u64:
    """Address in this process of a guest CPU's entry, or 0 if the guest has no such CPU."""
    origin = (u64(sd_u32(cpu, SCAOH)) << 32) | u64(sd_u32(cpu, SCAOL))
    extended = is_extended(cpu)
    size: u64 = 0x40 + 64 * 32
    count: u64 = 64
    if extended:
        origin = origin & 0xFFFF_FFFF_FFFF_FFC0
        size = 0x100 + 248 * 64
        count = 248
    else:
        origin = origin & 0xFFFF_FFFF_FFFF_FFF0
    if origin == 0 or address >= count or origin >= cpu.ram_size or origin + size > cpu.ram_size:
        return 0
    area = cpu.ram + origin
    mask_at: u64 = BASIC_MCN
    if extended:
        mask_at = EXTENDED_MCN + (address >> 6) * 8
    if (bswap(peek_u64(area + mask_at)) >> (63 - (address & 63))) & 1 == 0:
        return 0
    if extended:
        return area + EXTENDED_CPU + address * EXTENDED_ENTRY
    return area + BASIC_CPU + address * BASIC_ENTRY


@typed(inline=False)
def sigp_control(cpu: Cpu, entry: u64) -> u64:
    """The SIGP control of an entry: 0, or bit 8 (call pending) and the source's address."""
    value = bswap(peek_u16(entry))
    if is_extended(cpu):
        if value & 0x8000 == 0:
            return 0
        return 0x100 | u64(value & 0xFF)
    if value & 0x80 == 0:
        return 0
    return 0x100 | u64(value & 0x3F)


@typed(inline=False)
def set_sigp_control(cpu: Cpu, entry: u64, pending: bool, source: u64) -> None:
    """Set or reset the pending external call of an entry."""
    value = u16(0)
    if pending:
        if is_extended(cpu):
            value = 0x8000 | u16(source & 0xFF)
        else:
            value = 0x80 | u16(source & 0x3F)
    poke_u16(entry, bswap(value))


@typed(inline=False)
def pending_call(cpu: Cpu) -> u64:
    """The external call pending for the guest's own CPU, as `sigp_control`; 0 if none."""
    if sd_u32(cpu, ECA) & ECA_SIGPI == 0:
        return 0
    entry = area_entry(cpu, u64(sd_u16(cpu, ICPUA)))
    if entry == 0:
        return 0
    return sigp_control(cpu, entry)


@typed(inline=False)
def take_call(cpu: Cpu) -> None:
    """The guest's own external call has been taken."""
    entry = area_entry(cpu, u64(sd_u16(cpu, ICPUA)))
    if entry != 0:
        set_sigp_control(cpu, entry, False, 0)


@typed(inline=False)
def is_running(cpu: Cpu, entry: u64) -> bool:
    """Whether the CPU of an entry is dispatched, as its state description says."""
    block = bswap(peek_u64(entry + BASIC_SDA))
    if block == 0 or block >= cpu.ram_size or block + 512 > cpu.ram_size:
        return False
    return bswap(peek_u32(cpu.ram + block + CPUFLAGS)) & RUNNING != 0


@typed(leaves=True, inline=False)
def interpret_sigp(cpu: Cpu, rec: Record, r1: u8, order: u64, address: u64) -> None:
    """SIGP of a guest with SIGP interpretation: two orders are done here, or partly.

    External call to a CPU that does not run ends in partial execution: the host wakes it.
    """
    entry = area_entry(cpu, address)
    status: u32 = 0
    if entry == 0:
        intercept_with(cpu, rec, ICPT_INST)
    if order == EXTERNAL_CALL:
        if sigp_control(cpu, entry) != 0:
            status = CALL_PENDING
        else:
            set_sigp_control(cpu, entry, True, u64(sd_u16(cpu, ICPUA)))
            if not is_running(cpu, entry):
                intercept_with(cpu, rec, ICPT_PARTEXEC)
    elif order == SENSE_RUNNING_STATUS and sd_u8(cpu, ECB) & ECB_SRSI != 0:
        if not is_running(cpu, entry):
            status = NOT_RUNNING
    else:
        intercept_with(cpu, rec, ICPT_INST)
    cpu.cc = 0
    if status != 0:
        set_low(cpu, r1, status)
        cpu.cc = 1
