"""SIGNAL PROCESSOR: orders and status bits."""

from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="PoP 4 Signal-Processor Orders")
class SigpOrder(IntEnum):
    """The order code in bits 56-63 of the second-operand address."""

    SENSE = 0x01
    EXTERNAL_CALL = 0x02
    EMERGENCY_SIGNAL = 0x03
    START = 0x04
    STOP = 0x05
    RESTART = 0x06
    STOP_AND_STORE_STATUS = 0x09
    INITIAL_CPU_RESET = 0x0B
    CPU_RESET = 0x0C
    SET_PREFIX = 0x0D
    STORE_STATUS_AT_ADDRESS = 0x0E
    SET_ARCHITECTURE = 0x12
    CONDITIONAL_EMERGENCY_SIGNAL = 0x13
    SENSE_RUNNING_STATUS = 0x15
    SET_MULTITHREADING = 0x16
    STORE_ADDITIONAL_STATUS = 0x17


@manual(ref="PoP 4 Signal-Processor Status Bits")
class SigpStatus(IntFlag):
    """Bits 32-63 of general register R1 with condition code 1."""

    EQUIPMENT_CHECK = 0x8000_0000
    NOT_RUNNING = 0x0000_0400
    INCORRECT_STATE = 0x0000_0200
    INVALID_PARAMETER = 0x0000_0100
    EXTERNAL_CALL_PENDING = 0x0000_0080
    STOPPED = 0x0000_0040
    OPERATOR_INTERVENING = 0x0000_0020
    CHECK_STOP = 0x0000_0010
    INOPERATIVE = 0x0000_0004
    INVALID_ORDER = 0x0000_0002
    RECEIVER_CHECK = 0x0000_0001


@manual(ref="PoP 4 Signal-Processor Orders")
class SetArchitectureMode(IntEnum):
    """The parameter of SET_ARCHITECTURE."""

    ESA_390 = 0
    ZARCH_ALL_CPUS = 1
    ZARCH_THIS_PSW_CONVERTED = 2


# Orders that find the addressed CPU busy while it works on an earlier one of these.
SLOW_ORDERS = frozenset(
    {
        SigpOrder.STOP,
        SigpOrder.STOP_AND_STORE_STATUS,
        SigpOrder.START,
        SigpOrder.RESTART,
        SigpOrder.INITIAL_CPU_RESET,
        SigpOrder.CPU_RESET,
        SigpOrder.STORE_STATUS_AT_ADDRESS,
        SigpOrder.STORE_ADDITIONAL_STATUS,
    }
)
