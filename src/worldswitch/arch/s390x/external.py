"""External interruption codes, the subclass masks in control register 0, and their priority."""

from enum import IntEnum

from worldswitch.arch.control_block import manual
from worldswitch.arch.s390x.control_registers import Cr0


@manual(ref="PoP 6 External Interruption")
class ExternalCode(IntEnum):
    """The interruption code at real location 134."""

    INTERRUPT_KEY = 0x0040
    TOD_CLOCK_SYNC_CHECK = 0x1003
    CLOCK_COMPARATOR = 0x1004
    CPU_TIMER = 0x1005
    WARNING_TRACK = 0x1007
    MALFUNCTION_ALERT = 0x1200
    EMERGENCY_SIGNAL = 0x1201
    EXTERNAL_CALL = 0x1202
    TIMING_ALERT = 0x1406
    MEASUREMENT_ALERT = 0x1407
    SERVICE_SIGNAL = 0x2401
    CP_SERVICE = 0x2603  # a hypervisor's own: page-fault handshaking, old virtio
    IUCV = 0x4000


# Which bit of control register 0 enables each; bit 58 covers the measurement alert.
SUBCLASS_MASK: dict[ExternalCode, Cr0] = {
    ExternalCode.INTERRUPT_KEY: Cr0.INTERRUPT_KEY_SUBMASK,
    ExternalCode.TOD_CLOCK_SYNC_CHECK: Cr0.TOD_SYNC_CHECK_SUBMASK,
    ExternalCode.CLOCK_COMPARATOR: Cr0.CLOCK_COMPARATOR_SUBMASK,
    ExternalCode.CPU_TIMER: Cr0.CPU_TIMER_SUBMASK,
    ExternalCode.WARNING_TRACK: Cr0.WARNING_TRACK_SUBMASK,
    ExternalCode.MALFUNCTION_ALERT: Cr0.MALFUNCTION_ALERT_SUBMASK,
    ExternalCode.EMERGENCY_SIGNAL: Cr0.EMERGENCY_SIGNAL_SUBMASK,
    ExternalCode.EXTERNAL_CALL: Cr0.EXTERNAL_CALL_SUBMASK,
    ExternalCode.TIMING_ALERT: Cr0.TIMING_ALERT_SUBMASK,
    ExternalCode.MEASUREMENT_ALERT: Cr0.MEASUREMENT_ALERT_SUBMASK,
    ExternalCode.SERVICE_SIGNAL: Cr0.SERVICE_SIGNAL_SUBMASK,
    ExternalCode.CP_SERVICE: Cr0.SERVICE_SIGNAL_SUBMASK,
    ExternalCode.IUCV: Cr0.IUCV_SUBMASK,
}

# Highest first. ref: PoP 6, External Interruption, priority.
PRIORITY: tuple[ExternalCode, ...] = (
    ExternalCode.INTERRUPT_KEY,
    ExternalCode.MALFUNCTION_ALERT,
    ExternalCode.EMERGENCY_SIGNAL,
    ExternalCode.EXTERNAL_CALL,
    ExternalCode.TOD_CLOCK_SYNC_CHECK,
    ExternalCode.CLOCK_COMPARATOR,
    ExternalCode.CPU_TIMER,
    ExternalCode.WARNING_TRACK,
    ExternalCode.TIMING_ALERT,
    ExternalCode.MEASUREMENT_ALERT,
    ExternalCode.SERVICE_SIGNAL,
    ExternalCode.CP_SERVICE,
    ExternalCode.IUCV,
)
