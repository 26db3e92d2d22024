"""Entering interpretive execution: from the host's state to the guest's. ref: SIE entry."""

from worldswitch.arch.s390x.state_description import FAC_ORIGIN
from worldswitch.engine import bswap, peek_u64, poke_u16, typed, u8, u64
from worldswitch.metal.s390x.dat import guest_to_host
from worldswitch.metal.s390x.leave import LEAVE_INTERCEPT
from worldswitch.metal.s390x.mode import (
    ASCE_MEANING,
    INVALID_KEY,
    controls_changed,
    purge_host_frames,
)
from worldswitch.metal.s390x.psw import PENDING_EARLY, take_psw
from worldswitch.metal.s390x.sie.block import (
    CPUFLAGS,
    ICPT_PV_PREF,
    STAT_P,
    STAT_SM,
    offset,
    sd_u8,
    sd_u16,
    sd_u32,
    sd_u64,
)
from worldswitch.metal.s390x.sie.exits import (
    CKC,
    CPUTM,
    GBEA,
    GCR,
    GG14,
    GG15,
    GPSW_ADDR,
    GPSW_MASK,
    PP,
    TODPR,
    VALIDITY_PREFIX,
    leave_guest,
    leave_invalid,
)
from worldswitch.metal.s390x.sie.secure import SecureState, load_secure
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.s390x.timers import arm_timers, tod_now

PREFIX = offset("prefix_ibc")
EPOCH = offset("epoch")
MSO = offset("mso")
MSL = offset("msl")
IHCPU = offset("ihcpu")
FAC = offset("fac")
SDF = offset("sdf")
MEGABYTE = 0xFFFF_FFFF_FFF0_0000


@typed(inline=False)
def save_host(cpu: Cpu) -> None:
    """Keep the host's state for the way back. `cpu.psw_addr` is behind SIE."""
    cpu.host_psw_mask = cpu.psw_mask
    cpu.host_psw_addr = cpu.psw_addr
    cpu.host_cc = cpu.cc
    cpu.host_gr14 = cpu.gr[14]
    cpu.host_gr15 = cpu.gr[15]
    n: u64 = 0
    while n < 16:
        cpu.host_cr[n] = cpu.cr[n]
        n += 1
    n = 0
    while n < 4:
        cpu.host_facilities[n] = cpu.facilities[n]
        n += 1
    cpu.host_prefix = cpu.prefix
    cpu.host_asce = cpu.cr[1] & ASCE_MEANING
    cpu.host_clock_comparator = cpu.clock_comparator
    cpu.host_timer_deadline = cpu.timer_deadline
    cpu.host_todpr = cpu.todpr
    cpu.host_epoch = cpu.epoch
    cpu.host_program_parameter = cpu.program_parameter
    cpu.host_breaking = cpu.breaking


@typed(inline=False)
def forget_guest(cpu: Cpu) -> None:
    """Drop this processor's translations of the guest that is entered. ref: SIE ihcpu."""
    n: u64 = 0
    while n < cpu.next_context:
        if cpu.contexts[n].host == cpu.sie_tag:
            cpu.contexts[n].host = INVALID_KEY
        n += 1
    purge_host_frames(cpu)
    cpu.jump_generation += 1


@typed(inline=False)
def load_guest(cpu: Cpu) -> None:
    """Load the processor from the state description, or a protected guest's SecureState."""
    n: u64 = 0
    cpu.epoch = cpu.host_epoch + sd_u64(cpu, EPOCH)
    if cpu.sie_protected != 0:
        load_secure(cpu)
    else:
        while n < 16:
            cpu.cr[n] = sd_u64(cpu, GCR + n * 8)
            n += 1
        cpu.gr[14] = sd_u64(cpu, GG14)
        cpu.gr[15] = sd_u64(cpu, GG15)
        cpu.prefix = u64(sd_u32(cpu, PREFIX) & 0x7FFF_E000)
        cpu.clock_comparator = sd_u64(cpu, CKC)
        cpu.timer_deadline = tod_now(cpu) - cpu.epoch + sd_u64(cpu, CPUTM)
        cpu.todpr = sd_u32(cpu, TODPR)
        cpu.program_parameter = sd_u64(cpu, PP)
        cpu.breaking = sd_u64(cpu, GBEA)
    cpu.mso = sd_u64(cpu, MSO) & MEGABYTE
    cpu.msl = sd_u64(cpu, MSL) | (MEGABYTE ^ 0xFFFF_FFFF_FFFF_FFFF)
    if sd_u32(cpu, CPUFLAGS) & STAT_SM != 0:
        cpu.mso = 0
        cpu.msl = 0xFFFF_FFFF_FFFF_FFFF
    if cpu.frames_asce != cpu.host_asce or cpu.frames_prefix != cpu.host_prefix:
        purge_host_frames(cpu)
        cpu.frames_asce = cpu.host_asce
        cpu.frames_prefix = cpu.host_prefix
    list_origin = u64(sd_u32(cpu, FAC)) & FAC_ORIGIN
    if list_origin != 0 and list_origin + 32 <= cpu.ram_size:
        n = 0
        while n < 4:
            cpu.facilities[n] = bswap(peek_u64(cpu.ram + list_origin + n * 8))
            n += 1


@typed(inline=False)
def enter_guest(cpu: Cpu) -> bool:
    """Begin interpretive execution of the state description at `cpu.sie_request`.

    False if the guest was left at once because its prefix area cannot be reached; what holds
    then is as after `leave_guest`.
    """
    cpu.sie_block = cpu.sie_request
    cpu.sie_request = 0
    cpu.sie_tag = cpu.sie_block
    save_host(cpu)
    cpu.sie_protected = 1 if sd_u8(cpu, SDF) == 2 else 0
    cpu.in_sie = 1
    cpu.per_active = u8(sd_u32(cpu, CPUFLAGS) & STAT_P)
    if sd_u16(cpu, IHCPU) != cpu.cpu_address:
        forget_guest(cpu)
        poke_u16(cpu.sie_block + IHCPU, bswap(cpu.cpu_address))
    load_guest(cpu)
    cpu.pending = cpu.pending & (PENDING_EARLY - 1)
    cpu.per_code = 0
    if cpu.sie_protected != 0:
        state = SecureState.at(cpu.sie_secure)
        take_psw(cpu, state.psw_mask, state.psw_addr)
    else:
        take_psw(cpu, sd_u64(cpu, GPSW_MASK), sd_u64(cpu, GPSW_ADDR))
    controls_changed(cpu)
    cpu.check = 1
    arm_timers(cpu)
    first, _low = guest_to_host(cpu, cpu.prefix, True)
    second, _high = guest_to_host(cpu, cpu.prefix + 4096, True)
    return first == 0 and second == 0


@typed(inline=False)
def refuse_guest(cpu: Cpu) -> bool:
    """Leave the guest again, as `enter_guest` could not reach its prefix area.

    For a protected guest that is an interception of its own: the host makes the pages secure.
    """
    if cpu.sie_protected != 0:
        cpu.leave = LEAVE_INTERCEPT
        cpu.sie_intercept = ICPT_PV_PREF
        cpu.sie_text = 0
        cpu.sie_status = 0
        return leave_guest(cpu)
    return leave_invalid(cpu, VALIDITY_PREFIX)
