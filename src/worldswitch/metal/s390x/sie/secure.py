"""Protected guests: the state that the Ultravisor keeps from the host. ref: SIE protected guest.

The registers of a protected guest's CPU are not in its state description but in a SecureState,
outside of storage. The host's own registers are all kept while such a guest runs.
"""

from worldswitch.arch.s390x.sie_controls import Lctl
from worldswitch.engine import Array, Struct, typed, u16, u32, u64
from worldswitch.metal.s390x.psw import PSW_MCHECK
from worldswitch.metal.s390x.sie.block import (
    ICPT_INT_ENABLE,
    ICPT_MCHKREQ,
    ICTL,
    ICTL_LPSW,
    offset,
    sd_u16,
    sd_u32,
    set_sd_u64,
)
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.s390x.timers import tod_now


class Registers(Struct):
    """What programs share with the host unless the guest is protected."""

    gr: Array[u64, 16]
    vr: Array[u64, 64]
    ar: Array[u32, 16]
    fpc: u32
    spare: u32


class SecureState(Struct):
    """One CPU of a protected guest, and the host's registers while it runs."""

    gr: Array[u64, 16]
    vr: Array[u64, 64]
    ar: Array[u32, 16]
    fpc: u32
    prefix: u32
    cr: Array[u64, 16]
    psw_mask: u64
    """PSW bits 0-63, the condition code in place."""
    psw_addr: u64
    cpu_timer: u64
    clock_comparator: u64
    program_parameter: u64
    breaking: u64
    todpr: u32
    configuration: u16
    """Number of the configuration that the CPU belongs to."""
    seen_cr: Array[u64, 3]
    """Control registers 0, 6 and 14 as they were when the host last heard of them."""
    seen_mask: u64
    """PSW bits 0-63 likewise."""
    host: Registers


GPSW_MASK = offset("gpsw_mask")
CPUTM = offset("cputm")
CKC = offset("ckc")
GCR = offset("gcr")
LCTL = offset("lctl")
LCTL_CR0 = int(Lctl.CR0)
LCTL_CR6 = int(Lctl.CR6)
LCTL_CR14 = int(Lctl.CR14)
VISIBLE_PSW = 0x0306_0000_0000_0000
"""PSW bits that the host may see: I/O, external, machine-check mask, wait."""
WORD = 8


@typed(inline=False)
def exchange(cpu: Cpu, enter: bool) -> None:
    """Swap the registers that ordinary guests share with the host."""
    state = SecureState.at(cpu.sie_secure)
    host = state.host
    n: u64 = 0
    while n < 16:
        if enter:
            host.gr[n] = cpu.gr[n]
            host.ar[n] = cpu.ar[n]
            cpu.gr[n] = state.gr[n]
            cpu.ar[n] = state.ar[n]
        else:
            state.gr[n] = cpu.gr[n]
            state.ar[n] = cpu.ar[n]
            cpu.gr[n] = host.gr[n]
            cpu.ar[n] = host.ar[n]
        n += 1
    n = 0
    while n < 64:
        if enter:
            host.vr[n] = cpu.vr[n]
            cpu.vr[n] = state.vr[n]
        else:
            state.vr[n] = cpu.vr[n]
            cpu.vr[n] = host.vr[n]
        n += 1
    if enter:
        host.fpc = cpu.fpc
        cpu.fpc = state.fpc
    else:
        state.fpc = cpu.fpc
        cpu.fpc = host.fpc


@typed(inline=False)
def load_secure(cpu: Cpu) -> None:
    """Load the processor with a protected guest's state."""
    state = SecureState.at(cpu.sie_secure)
    exchange(cpu, True)
    n: u64 = 0
    while n < 16:
        cpu.cr[n] = state.cr[n]
        n += 1
    cpu.prefix = u64(state.prefix)
    cpu.clock_comparator = state.clock_comparator
    cpu.timer_deadline = tod_now(cpu) - cpu.epoch + state.cpu_timer
    cpu.todpr = state.todpr
    cpu.program_parameter = state.program_parameter
    cpu.breaking = state.breaking
    cpu.sie_config = state.configuration
    state.seen_cr[0] = cpu.cr[0]
    state.seen_cr[1] = cpu.cr[6]
    state.seen_cr[2] = cpu.cr[14]
    state.seen_mask = state.psw_mask


@typed(inline=False)
def store_secure(cpu: Cpu, mask: u64) -> None:
    """Keep a protected guest's state, and show the host what it may see of it."""
    state = SecureState.at(cpu.sie_secure)
    exchange(cpu, False)
    n: u64 = 0
    while n < 16:
        state.cr[n] = cpu.cr[n]
        n += 1
    state.psw_mask = mask
    state.psw_addr = cpu.psw_addr
    state.prefix = u32(cpu.prefix)
    state.clock_comparator = cpu.clock_comparator
    state.cpu_timer = cpu.timer_deadline - (tod_now(cpu) - cpu.epoch)
    state.todpr = cpu.todpr
    state.program_parameter = cpu.program_parameter
    state.breaking = cpu.breaking
    set_sd_u64(cpu, GPSW_MASK, mask & VISIBLE_PSW)
    set_sd_u64(cpu, GPSW_MASK + WORD, 0)
    set_sd_u64(cpu, CKC, state.clock_comparator)
    set_sd_u64(cpu, CPUTM, state.cpu_timer)
    set_sd_u64(cpu, GCR, cpu.cr[0])
    set_sd_u64(cpu, GCR + 6 * WORD, cpu.cr[6])
    set_sd_u64(cpu, GCR + 14 * WORD, cpu.cr[14])


@typed(inline=False)
def enablement(cpu: Cpu) -> u64:
    """The interception that a protected guest owes the host for what it enabled, or 0.

    The host cannot intercept LCTLG and LPSWE of such a guest. With the same controls it is told
    instead, afterwards, that control register 0, 6 or 14 has changed, or that PSW bit 13 is one.
    """
    state = SecureState.at(cpu.sie_secure)
    wanted = sd_u16(cpu, LCTL)
    changed = wanted & LCTL_CR0 != 0 and state.seen_cr[0] != cpu.cr[0]
    if wanted & LCTL_CR6 != 0 and state.seen_cr[1] != cpu.cr[6]:
        changed = True
    if wanted & LCTL_CR14 != 0 and state.seen_cr[2] != cpu.cr[14]:
        changed = True
    enabled = cpu.psw_mask & ~state.seen_mask & PSW_MCHECK != 0
    state.seen_mask = cpu.psw_mask
    if changed:
        return ICPT_INT_ENABLE
    if enabled and sd_u32(cpu, ICTL) & ICTL_LPSW != 0:
        return ICPT_MCHKREQ
    return 0
