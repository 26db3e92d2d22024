"""What is pending for a guest, at its instruction boundaries. ref: XA-IE Intervention Requests."""

from worldswitch.arch.s390x.external import ExternalCode
from worldswitch.arch.s390x.lowcore import Lowcore
from worldswitch.engine import Leave, bswap, i64, peek_u64, poke_u16, poke_u32, typed, u16, u64
from worldswitch.metal.s390x.dat import lowcore_host
from worldswitch.metal.s390x.leave import LEAVE_INTERCEPT
from worldswitch.metal.s390x.pending import (
    CALL_MASK,
    COMPARATOR_MASK,
    PENDING_CLOCK_COMPARATOR,
    PENDING_CPU_TIMER,
    PENDING_EXTERNAL,
    PENDING_EXTERNAL_CALL,
    PENDING_IO,
    PENDING_MACHINE_CHECK,
    PENDING_RESTART,
    PENDING_STOP,
    TIMER_MASK,
    timers_due,
)
from worldswitch.metal.s390x.psw import PSW_EXT, PSW_IO, PSW_MCHECK
from worldswitch.metal.s390x.sie.area import pending_call, take_call
from worldswitch.metal.s390x.sie.block import (
    CPUFLAGS,
    ECA,
    ECA_CEI,
    ICPT_EXTINT,
    ICPT_EXTREQ,
    ICPT_IOREQ,
    ICPT_NONE,
    ICPT_STOP,
    STAT_EXT_INT,
    STAT_IO_INT,
    STAT_STOP_INT,
    offset,
    sd_u32,
)
from worldswitch.metal.s390x.sie.exits import intercept_plain
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.s390x.timers import tod_now

EIC = offset("eic")
EIPARAMS = offset("eiparams")
EXTCPUADDR = offset("extcpuaddr")
CLOCK_COMPARATOR = int(ExternalCode.CLOCK_COMPARATOR)
EXTERNAL_CALL = int(ExternalCode.EXTERNAL_CALL)
CPU_TIMER = int(ExternalCode.CPU_TIMER)
EXT_NEW_PSW = Lowcore.offset_of("ext_new_psw")


@typed(inline=False)
def host_is_interrupted(cpu: Cpu) -> bool:
    """Whether something is pending that the host's own PSW and controls enable.

    For a host that is a program: one that is Python has its own ways.
    """
    mask = cpu.host_psw_mask
    pending = cpu.pending
    if pending & (PENDING_STOP | PENDING_RESTART) != 0:
        return True
    if mask & PSW_MCHECK != 0 and pending & PENDING_MACHINE_CHECK != 0:
        return True
    if mask & PSW_IO != 0 and pending & PENDING_IO != 0:
        return True
    if mask & PSW_EXT == 0:
        return False
    if pending & PENDING_EXTERNAL != 0:
        return True
    now = tod_now(cpu) - cpu.epoch + cpu.host_epoch
    cr0 = cpu.host_cr[0]
    if cr0 & COMPARATOR_MASK != 0 and now > cpu.host_clock_comparator:
        return True
    return cr0 & TIMER_MASK != 0 and i64(cpu.host_timer_deadline - (now - cpu.host_epoch)) < 0


@typed(leaves=True, inline=False)
def leave_for_host(cpu: Cpu) -> None:
    """Leave the guest without an interception: the host's turn."""
    cpu.sie_intercept = ICPT_NONE
    cpu.leave = LEAVE_INTERCEPT
    raise Leave


@typed(inline=False)
def guest_external(cpu: Cpu) -> u64:
    """The guest's own external conditions that are enabled: external call and timers."""
    if cpu.psw_mask & PSW_EXT == 0:
        return 0
    allowed: u64 = 0
    if cpu.cr[0] & COMPARATOR_MASK != 0:
        allowed = PENDING_CLOCK_COMPARATOR
    if cpu.cr[0] & TIMER_MASK != 0:
        allowed = allowed | PENDING_CPU_TIMER
    found: u64 = 0
    if cpu.cr[0] & CALL_MASK != 0:
        call = pending_call(cpu)
        if call != 0:
            cpu.ext_call = u16(call & 0xFF)
            found = PENDING_EXTERNAL_CALL
    if allowed != 0:
        found = found | (timers_due(cpu) & allowed)
    return found


@typed(leaves=True, inline=False)
def intercept_external(cpu: Cpu, code: u16, source: u16) -> None:
    """Leave with an external-interruption interception."""
    poke_u32(cpu.sie_block + EIPARAMS, 0)
    poke_u16(cpu.sie_block + EXTCPUADDR, bswap(source))
    poke_u16(cpu.sie_block + EIC, bswap(code))
    intercept_plain(cpu, ICPT_EXTINT)


@typed(leaves=True, inline=False)
def guest_events(cpu: Cpu) -> u64:
    """Look at everything that may end or interrupt the guest now.

    Leaves for the host; otherwise the external condition that the guest itself takes, or 0.
    """
    if cpu.sie_native != 0 and host_is_interrupted(cpu):
        leave_for_host(cpu)
    flags = sd_u32(cpu, CPUFLAGS)
    if flags & STAT_STOP_INT != 0:
        intercept_plain(cpu, ICPT_STOP)
    external = guest_external(cpu)
    if external != 0:
        code: u16 = CPU_TIMER
        source: u16 = 0
        if external & PENDING_EXTERNAL_CALL != 0:
            code = EXTERNAL_CALL
            source = cpu.ext_call
        elif external & PENDING_CLOCK_COMPARATOR != 0:
            code = CLOCK_COMPARATOR
        new_mask = bswap(peek_u64(lowcore_host(cpu, EXT_NEW_PSW)))
        if cpu.sie_protected != 0:
            return external & (0 - external)
        conditional = sd_u32(cpu, ECA) & ECA_CEI != 0
        if not conditional or flags & STAT_EXT_INT != 0 or new_mask & PSW_EXT != 0:
            if code == EXTERNAL_CALL:
                take_call(cpu)
            intercept_external(cpu, code, source)
        return external & (0 - external)
    if flags & STAT_EXT_INT != 0 and cpu.psw_mask & PSW_EXT != 0:
        intercept_plain(cpu, ICPT_EXTREQ)
    if flags & STAT_IO_INT != 0 and cpu.psw_mask & PSW_IO != 0:
        intercept_plain(cpu, ICPT_IOREQ)
    return 0
