"""Leaving interpretive execution: interceptions, and the switch back to the host's state.

ref: SIE interception codes.
"""

from worldswitch.arch.s390x.psw import CC_SHIFT
from worldswitch.arch.s390x.sie_controls import IcptStatus, Svcc
from worldswitch.engine import (
    Leave,
    address_of,
    bswap,
    peek_u64,
    poke_u8,
    poke_u16,
    poke_u32,
    typed,
    u8,
    u16,
    u32,
    u64,
)
from worldswitch.metal.s390x.codecache import RECORD_SIZE, CodeCache, InsnInfo
from worldswitch.metal.s390x.decode import RECORD_EXECUTED
from worldswitch.metal.s390x.leave import LEAVE_HOST_FAULT, LEAVE_INTERCEPT, Exit
from worldswitch.metal.s390x.mode import STALE, controls_changed
from worldswitch.metal.s390x.psw import PENDING_EARLY, take_psw
from worldswitch.metal.s390x.sie.block import (
    CPUFLAGS,
    ICPT_INST,
    ICPT_INSTPROGI,
    ICPT_IOINST,
    ICPT_KSS,
    ICPT_NONE,
    ICPT_VALIDITY,
    ICTL,
    STAT_IO_INT,
    offset,
    sd_u32,
    set_sd_u64,
)
from worldswitch.metal.s390x.sie.program import PER_EVENT, PER_FETCH, STATUS_PER_FETCH, note_program
from worldswitch.metal.s390x.sie.secure import store_secure
from worldswitch.metal.s390x.state import Cpu, Record
from worldswitch.metal.s390x.timers import tod_now

ICPTCODE = offset("icptcode")
ICPTSTATUS = offset("icptstatus")
IPA = offset("ipa")
IPB = offset("ipb")
GPSW_MASK = offset("gpsw_mask")
GPSW_ADDR = offset("gpsw_addr")
GG14 = offset("gg14")
GG15 = offset("gg15")
GCR = offset("gcr")
CPUTM = offset("cputm")
CKC = offset("ckc")
TODPR = offset("todpr")
GBEA = offset("gbea")
PP = offset("pp")
SVCC = offset("svcc")
SVC_ALL = int(Svcc.ALL)
SVC_FIRST = int(Svcc.FIRST)
SVC_SECOND = int(Svcc.SECOND)
SVC_THIRD = int(Svcc.THIRD)
STATUS_EXECUTE = int(IcptStatus.EXECUTE)
SIE_LENGTH = 4
TPI = 0xB236
VALIDITY_PREFIX = 0x37
VALIDITY_IPA = 0x1000


@typed(inline=False)
def note_instruction(cpu: Cpu, rec: Record, code: u64) -> None:
    """Make `code` the interception that carries the text of the instruction `rec`."""
    cpu.leave = LEAVE_INTERCEPT
    cpu.sie_intercept = code
    cpu.sie_text = rec.text
    cpu.sie_status = 0
    if rec.flags & RECORD_EXECUTED != 0:
        cpu.sie_status = STATUS_EXECUTE | ((rec.ilen & 6) << 4)
    if cpu.per_code & PER_FETCH != 0 and code != ICPT_KSS:  # after which it is executed again
        cpu.sie_status = cpu.sie_status | STATUS_PER_FETCH


@typed(leaves=True, inline=False)
def intercept_with(cpu: Cpu, rec: Record, code: u64) -> None:
    """Leave with an interception that carries the text of the instruction `rec`."""
    note_instruction(cpu, rec, code)
    raise Leave


@typed(leaves=True, inline=False)
def intercept_failed_swap(cpu: Cpu, rec: Record, control: u32) -> None:
    """In SIE, leave behind an interlocked update that ended with condition code 1, if asked for.

    A PER event of the same instruction makes it an instruction-and-program interception.
    """
    if cpu.in_sie != 0 and sd_u32(cpu, ICTL) & control != 0:
        if cpu.per_code != 0:
            note_program(cpu, PER_EVENT, u64(rec.ilen))
            intercept_with(cpu, rec, ICPT_INSTPROGI)
        intercept_with(cpu, rec, ICPT_INST)


@typed(leaves=True, inline=False)
def check_svc(cpu: Cpu, rec: Record, number: u32) -> None:
    """Leave at a SUPERVISOR CALL that the controls name. ref: XA-IE SVC Controls."""
    controls = sd_u32(cpu, SVCC)
    asked = controls & SVC_ALL != 0
    if controls & SVC_FIRST != 0 and (controls >> 16) & 0xFF == number:
        asked = True
    if controls & SVC_SECOND != 0 and (controls >> 8) & 0xFF == number:
        asked = True
    if controls & SVC_THIRD != 0 and controls & 0xFF == number:
        asked = True
    if asked:
        intercept_with(cpu, rec, ICPT_INST)


@typed(leaves=True, inline=False)
def intercept_plain(cpu: Cpu, code: u64) -> None:
    """Leave with an interception that no instruction is the cause of."""
    cpu.sie_intercept = code
    cpu.sie_text = 0
    cpu.sie_status = 0
    cpu.leave = LEAVE_INTERCEPT
    raise Leave


@typed(leaves=True, inline=True)
def intercept(cpu: Cpu, rec: Record) -> u64:
    """An instruction that a guest never executes itself.

    IMPDEF: TEST PENDING INTERRUPTION with an I/O request pending has a code of its own.
    """
    if rec.text >> 48 == TPI and sd_u32(cpu, CPUFLAGS) & STAT_IO_INT != 0:
        intercept_with(cpu, rec, ICPT_IOINST)
    intercept_with(cpu, rec, ICPT_INST)
    return 0


@typed(leaves=True, inline=False)
def check_controls(cpu: Cpu, rec: Record) -> None:
    """Leave with an interception of `rec` if the state description asks for it."""
    cache = CodeCache.at(cpu.code_cache)
    info = InsnInfo.at(cache.infos + u64(rec.spare) * 32)
    if info.intercept == 2:
        value = bswap(peek_u64(cpu.sie_block + u64(info.intercept_offset))) & info.intercept_mask
        if (value != 0) == (info.intercept_when != 0):
            intercept_with(cpu, rec, ICPT_INST)


@typed(leaves=True, inline=True)
def intercept_conditionally(cpu: Cpu, rec: Record) -> u64:
    """Stands before an instruction that a control may have intercepted."""
    following = Record.at(address_of(rec) + RECORD_SIZE)
    check_controls(cpu, following)
    return address_of(following)


@typed(inline=False)
def store_guest(cpu: Cpu) -> None:
    """Write the guest's state back to its state description, or to where the host cannot see."""
    mask = cpu.psw_mask | (cpu.cc << CC_SHIFT)
    if cpu.sie_protected != 0:
        store_secure(cpu, mask)
        return
    set_sd_u64(cpu, GPSW_MASK, mask)
    set_sd_u64(cpu, GPSW_ADDR, cpu.psw_addr)
    set_sd_u64(cpu, GG14, cpu.gr[14])
    set_sd_u64(cpu, GG15, cpu.gr[15])
    n: u64 = 0
    while n < 16:
        set_sd_u64(cpu, GCR + n * 8, cpu.cr[n])
        n += 1
    set_sd_u64(cpu, CPUTM, cpu.timer_deadline - (tod_now(cpu) - cpu.epoch))
    set_sd_u64(cpu, CKC, cpu.clock_comparator)
    poke_u32(cpu.sie_block + TODPR, bswap(cpu.todpr))
    set_sd_u64(cpu, PP, cpu.program_parameter)
    set_sd_u64(cpu, GBEA, cpu.breaking)


@typed(inline=False)
def restore_host(cpu: Cpu) -> None:
    """Make the host's state the processor's again."""
    cpu.in_sie = 0
    cpu.per_active = 0
    if cpu.sie_protected == 0:
        cpu.gr[14] = cpu.host_gr14
        cpu.gr[15] = cpu.host_gr15
    cpu.sie_protected = 0
    n: u64 = 0
    while n < 16:
        cpu.cr[n] = cpu.host_cr[n]
        n += 1
    n = 0
    while n < 4:
        cpu.facilities[n] = cpu.host_facilities[n]
        n += 1
    cpu.prefix = cpu.host_prefix
    cpu.clock_comparator = cpu.host_clock_comparator
    cpu.timer_deadline = cpu.host_timer_deadline
    cpu.todpr = cpu.host_todpr
    cpu.epoch = cpu.host_epoch
    cpu.program_parameter = cpu.host_program_parameter
    cpu.breaking = cpu.host_breaking
    cpu.per_code = 0
    cpu.pending = cpu.pending & (PENDING_EARLY - 1)
    take_psw(cpu, cpu.host_psw_mask | (cpu.host_cc << CC_SHIFT), cpu.host_psw_addr)
    if cpu.sie_native != 0:
        controls_changed(cpu)
    else:
        cpu.context_key = STALE
    cpu.check = 1


@typed(inline=False)
def leave_guest(cpu: Cpu) -> bool:
    """Back to the host; True if the program that executed SIE goes on in native code.

    `cpu.leave` says why: an interception, or an exception of the host's translation, which
    leaves the host's PSW at SIE, as an interruption of the host does (no interception code).
    """
    fault = cpu.leave == LEAVE_HOST_FAULT
    code: u64 = ICPT_NONE
    if not fault:
        code = cpu.sie_intercept
    store_guest(cpu)
    block = cpu.sie_block
    poke_u8(block + ICPTCODE, u8(code))
    if code != ICPT_NONE:
        poke_u8(block + ICPTSTATUS, cpu.sie_status)
        poke_u16(block + IPA, bswap(u16(cpu.sie_text >> 48)))
        poke_u32(block + IPB, bswap(u32(cpu.sie_text >> 16)))
    restore_host(cpu)
    if cpu.sie_native != 0:
        if code == ICPT_NONE:
            cpu.psw_addr = (cpu.psw_addr - SIE_LENGTH) & cpu.address_mask
        return True
    cpu.exit_reason = u32(Exit.SIE_DONE)
    if fault:
        cpu.exit_reason = u32(Exit.SIE_HOST_FAULT)
    elif code == ICPT_NONE:
        cpu.exit_reason = u32(Exit.SIE_PREEMPTED)
    return False


@typed(inline=False)
def leave_invalid(cpu: Cpu, reason: u64) -> bool:
    """Back to the host with a validity interception."""
    cpu.leave = LEAVE_INTERCEPT
    cpu.sie_intercept = ICPT_VALIDITY
    cpu.sie_status = 0
    cpu.sie_text = (u64(VALIDITY_IPA) << 48) | (reason << 32)
    return leave_guest(cpu)
