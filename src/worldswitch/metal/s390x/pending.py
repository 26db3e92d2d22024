"""What is pending, and whether PSW and control registers enable it.

ref: PoP 6 Interruptions; PoP 6 External Interruption; PoP 11 Subclass Masks.
"""

from worldswitch.arch.s390x.control_registers import Cr0, Cr14
from worldswitch.arch.s390x.external import SUBCLASS_MASK, ExternalCode
from worldswitch.arch.s390x.machine_check import EXIGENT, MachineCheckCode
from worldswitch.engine import i64, typed, u64
from worldswitch.metal.s390x.psw import PENDING_EARLY, PSW_EXT, PSW_IO, PSW_MCHECK
from worldswitch.metal.s390x.state import Cpu
from worldswitch.metal.s390x.timers import tod_now

# Bits of `Cpu.pending`. The external ones stand in order of priority from the lowest bit up;
# clock comparator and CPU timer are never set there: their conditions are computed.
PENDING_INTERRUPT_KEY = 1 << 0
PENDING_MALFUNCTION_ALERT = 1 << 1
PENDING_EMERGENCY_SIGNAL = 1 << 2
PENDING_EXTERNAL_CALL = 1 << 3
PENDING_TOD_SYNC_CHECK = 1 << 4
PENDING_CLOCK_COMPARATOR = 1 << 5
PENDING_CPU_TIMER = 1 << 6
PENDING_WARNING_TRACK = 1 << 7
PENDING_TIMING_ALERT = 1 << 8
PENDING_MEASUREMENT_ALERT = 1 << 9
PENDING_SERVICE_SIGNAL = 1 << 10
PENDING_CP_SERVICE = 1 << 11
PENDING_IUCV = 1 << 12
PENDING_EXTERNAL = (1 << 13) - 1
PENDING_IO = 1 << 16
"""Some bit of `Cpu.io_classes` is one."""
PENDING_MACHINE_CHECK = 1 << 17
PENDING_RESTART = 1 << 18
PENDING_STOP = 1 << 19


_CODES: dict[int, ExternalCode] = {
    PENDING_INTERRUPT_KEY: ExternalCode.INTERRUPT_KEY,
    PENDING_MALFUNCTION_ALERT: ExternalCode.MALFUNCTION_ALERT,
    PENDING_EMERGENCY_SIGNAL: ExternalCode.EMERGENCY_SIGNAL,
    PENDING_EXTERNAL_CALL: ExternalCode.EXTERNAL_CALL,
    PENDING_TOD_SYNC_CHECK: ExternalCode.TOD_CLOCK_SYNC_CHECK,
    PENDING_CLOCK_COMPARATOR: ExternalCode.CLOCK_COMPARATOR,
    PENDING_CPU_TIMER: ExternalCode.CPU_TIMER,
    PENDING_WARNING_TRACK: ExternalCode.WARNING_TRACK,
    PENDING_TIMING_ALERT: ExternalCode.TIMING_ALERT,
    PENDING_MEASUREMENT_ALERT: ExternalCode.MEASUREMENT_ALERT,
    PENDING_SERVICE_SIGNAL: ExternalCode.SERVICE_SIGNAL,
    PENDING_CP_SERVICE: ExternalCode.CP_SERVICE,
    PENDING_IUCV: ExternalCode.IUCV,
}


def _mask(bit: int) -> int:
    """The bit of control register 0 that enables a pending bit."""
    return int(SUBCLASS_MASK[_CODES[bit]])


KEY_MASK = _mask(PENDING_INTERRUPT_KEY)
MALFUNCTION_MASK = _mask(PENDING_MALFUNCTION_ALERT)
EMERGENCY_MASK = _mask(PENDING_EMERGENCY_SIGNAL)
CALL_MASK = _mask(PENDING_EXTERNAL_CALL)
SYNC_MASK = _mask(PENDING_TOD_SYNC_CHECK)
COMPARATOR_MASK = _mask(PENDING_CLOCK_COMPARATOR)
TIMER_MASK = _mask(PENDING_CPU_TIMER)
TRACK_MASK = _mask(PENDING_WARNING_TRACK)
TIMING_MASK = _mask(PENDING_TIMING_ALERT)
MEASUREMENT_MASK = _mask(PENDING_MEASUREMENT_ALERT)
SERVICE_MASK = _mask(PENDING_SERVICE_SIGNAL)
IUCV_MASK = _mask(PENDING_IUCV)
SERVICE_BITS = PENDING_SERVICE_SIGNAL | PENDING_CP_SERVICE
COMPARATOR_SIGN = int(Cr0.CLOCK_COMPARATOR_SIGN)


@typed(inline=False)
def timers_due(cpu: Cpu) -> u64:
    """Clock comparator and CPU timer conditions that exist now, whatever the masks say.

    ref: PoP 4 Clock Comparator; PoP 4 CPU Timer
    """
    now = tod_now(cpu)
    due: u64 = 0
    if cpu.cr[0] & COMPARATOR_SIGN != 0:
        if i64(now) > i64(cpu.clock_comparator):
            due = PENDING_CLOCK_COMPARATOR
    elif now > cpu.clock_comparator:
        due = PENDING_CLOCK_COMPARATOR
    if i64(cpu.timer_deadline - (now - cpu.epoch)) < 0:
        due = due | PENDING_CPU_TIMER
    return due


@typed(inline=False)
def external_enabled(cpu: Cpu) -> u64:
    """Pending external conditions that the PSW and control register 0 enable."""
    if cpu.psw_mask & PSW_EXT == 0:
        return 0
    cr0 = cpu.cr[0]
    allowed: u64 = 0
    if cr0 & KEY_MASK != 0:
        allowed = allowed | PENDING_INTERRUPT_KEY
    if cr0 & MALFUNCTION_MASK != 0:
        allowed = allowed | PENDING_MALFUNCTION_ALERT
    if cr0 & EMERGENCY_MASK != 0:
        allowed = allowed | PENDING_EMERGENCY_SIGNAL
    if cr0 & CALL_MASK != 0:
        allowed = allowed | PENDING_EXTERNAL_CALL
    if cr0 & SYNC_MASK != 0:
        allowed = allowed | PENDING_TOD_SYNC_CHECK
    if cr0 & TRACK_MASK != 0:
        allowed = allowed | PENDING_WARNING_TRACK
    if cr0 & TIMING_MASK != 0:
        allowed = allowed | PENDING_TIMING_ALERT
    if cr0 & MEASUREMENT_MASK != 0:
        allowed = allowed | PENDING_MEASUREMENT_ALERT
    if cr0 & SERVICE_MASK != 0:
        allowed = allowed | SERVICE_BITS
    if cr0 & IUCV_MASK != 0:
        allowed = allowed | PENDING_IUCV
    found = cpu.pending & allowed
    timers: u64 = 0
    if cr0 & COMPARATOR_MASK != 0:
        timers = timers | PENDING_CLOCK_COMPARATOR
    if cr0 & TIMER_MASK != 0:
        timers = timers | PENDING_CPU_TIMER
    if timers != 0:
        found = found | (timers_due(cpu) & timers)
    return found


@typed
def io_enabled(cpu: Cpu) -> u64:
    """Subclasses (0x80: subclass 0) with a pending I/O interruption that is enabled."""
    if cpu.psw_mask & PSW_IO == 0 or cpu.pending & PENDING_IO == 0:
        return 0
    return u64(cpu.io_classes) & ((cpu.cr[6] >> 24) & 0xFF)


_SUBCLASSES: tuple[tuple[MachineCheckCode, Cr14], ...] = (
    (MachineCheckCode.CHANNEL_REPORT_PENDING, Cr14.CHANNEL_REPORT_SUBMASK),
    (MachineCheckCode.SYSTEM_RECOVERY, Cr14.RECOVERY_SUBMASK),
    (MachineCheckCode.DEGRADATION, Cr14.DEGRADATION_SUBMASK),
    (MachineCheckCode.EXTERNAL_DAMAGE, Cr14.EXTERNAL_DAMAGE_SUBMASK),
    (MachineCheckCode.WARNING, Cr14.WARNING_SUBMASK),
)
CHANNEL_REPORT, CHANNEL_REPORT_MASK = (int(x) for x in _SUBCLASSES[0])
RECOVERY, RECOVERY_MASK = (int(x) for x in _SUBCLASSES[1])
DEGRADATION, DEGRADATION_MASK = (int(x) for x in _SUBCLASSES[2])
DAMAGE, DAMAGE_MASK = (int(x) for x in _SUBCLASSES[3])
WARNING, WARNING_MASK = (int(x) for x in _SUBCLASSES[4])
EXIGENT_CODES = int(EXIGENT)


@typed
def machine_check_enabled(cpu: Cpu) -> bool:
    """Whether the pending machine check is enabled. ref: PoP 11 Subclass Masks."""
    if cpu.psw_mask & PSW_MCHECK == 0 or cpu.pending & PENDING_MACHINE_CHECK == 0:
        return False
    code = cpu.mchk_code
    if code & EXIGENT_CODES != 0:
        return True
    cr14 = cpu.cr[14]
    if code & CHANNEL_REPORT != 0 and cr14 & CHANNEL_REPORT_MASK != 0:
        return True
    if code & RECOVERY != 0 and cr14 & RECOVERY_MASK != 0:
        return True
    if code & DEGRADATION != 0 and cr14 & DEGRADATION_MASK != 0:
        return True
    if code & DAMAGE != 0 and cr14 & DAMAGE_MASK != 0:
        return True
    return code & WARNING != 0 and cr14 & WARNING_MASK != 0


@typed(inline=False)
def interrupt_enabled_pending(cpu: Cpu) -> bool:
    """Whether an interruption or a stop is pending that would be taken now."""
    if cpu.pending & (PENDING_EARLY | PENDING_RESTART | PENDING_STOP) != 0:
        return True
    if machine_check_enabled(cpu) or io_enabled(cpu) != 0:
        return True
    return external_enabled(cpu) != 0
