"""Exceptions and interrupts: vectors, error codes, and the classes that make a double fault."""

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="APM2 8.2 Vectors")
class Vector(IntEnum):
    """Vectors 0 to 31 that have a meaning."""

    DE = 0
    DB = 1
    NMI = 2
    BP = 3
    OF = 4
    BR = 5
    UD = 6
    NM = 7
    DF = 8
    TS = 10
    NP = 11
    SS = 12
    GP = 13
    PF = 14
    MF = 16
    AC = 17
    MC = 18
    XF = 19
    CP = 21
    HV = 28
    VC = 29
    SX = 30


@manual(ref="APM2 8.2.9 #DF Double-Fault Exception")
class FaultClass(IntEnum):
    """What a second exception during the delivery of a first one makes of the two."""

    BENIGN = 0
    CONTRIBUTORY = 1
    PAGE_FAULT = 2
    DOUBLE_FAULT = 3


@manual(ref="APM2 8.1.3 Exceptions")
class Kind(IntEnum):
    """Which instruction the saved rIP is that of: the faulting one, the next, or none."""

    FAULT = 0
    TRAP = 1
    ABORT = 2
    FAULT_OR_TRAP = 3
    INTERRUPT = 4


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """One vector: its name in words, its kind and class, and whether it pushes an error code."""

    vector: Vector
    title: str
    kind: Kind
    fault_class: FaultClass
    error_code: bool = False
    ref: str = ""


_BENIGN, _CONTRIBUTORY = FaultClass.BENIGN, FaultClass.CONTRIBUTORY

_ALL = (
    ExceptionInfo(Vector.DE, "divide error", Kind.FAULT, _CONTRIBUTORY, ref="APM2 8.2.1"),
    ExceptionInfo(Vector.DB, "debug", Kind.FAULT_OR_TRAP, _BENIGN, ref="APM2 8.2.2"),
    ExceptionInfo(Vector.NMI, "non-maskable interrupt", Kind.INTERRUPT, _BENIGN, ref="APM2 8.2.3"),
    ExceptionInfo(Vector.BP, "breakpoint", Kind.TRAP, _BENIGN, ref="APM2 8.2.4"),
    ExceptionInfo(Vector.OF, "overflow", Kind.TRAP, _BENIGN, ref="APM2 8.2.5"),
    ExceptionInfo(Vector.BR, "bound range", Kind.FAULT, _BENIGN, ref="APM2 8.2.6"),
    ExceptionInfo(Vector.UD, "invalid opcode", Kind.FAULT, _BENIGN, ref="APM2 8.2.7"),
    ExceptionInfo(Vector.NM, "device not available", Kind.FAULT, _BENIGN, ref="APM2 8.2.8"),
    ExceptionInfo(
        Vector.DF, "double fault", Kind.ABORT, FaultClass.DOUBLE_FAULT, True, "APM2 8.2.9"
    ),
    ExceptionInfo(Vector.TS, "invalid TSS", Kind.FAULT, _CONTRIBUTORY, True, "APM2 8.2.11"),
    ExceptionInfo(Vector.NP, "segment not present", Kind.FAULT, _CONTRIBUTORY, True, "APM2 8.2.12"),
    ExceptionInfo(Vector.SS, "stack", Kind.FAULT, _CONTRIBUTORY, True, "APM2 8.2.13"),
    ExceptionInfo(Vector.GP, "general protection", Kind.FAULT, _CONTRIBUTORY, True, "APM2 8.2.14"),
    ExceptionInfo(Vector.PF, "page fault", Kind.FAULT, FaultClass.PAGE_FAULT, True, "APM2 8.2.15"),
    ExceptionInfo(Vector.MF, "x87 floating point", Kind.FAULT, _BENIGN, ref="APM2 8.2.17"),
    ExceptionInfo(Vector.AC, "alignment check", Kind.FAULT, _BENIGN, True, "APM2 8.2.18"),
    ExceptionInfo(Vector.MC, "machine check", Kind.ABORT, _BENIGN, ref="APM2 8.2.19"),
    ExceptionInfo(Vector.XF, "SIMD floating point", Kind.FAULT, _BENIGN, ref="APM2 8.2.20"),
    ExceptionInfo(Vector.CP, "control protection", Kind.FAULT, _CONTRIBUTORY, True, "APM2 8.2.21"),
    ExceptionInfo(Vector.HV, "hypervisor injection", Kind.FAULT, _BENIGN, ref="APM2 8.2.22"),
    ExceptionInfo(Vector.VC, "VMM communication", Kind.FAULT, _CONTRIBUTORY, True, "APM2 8.2.23"),
    ExceptionInfo(Vector.SX, "security", Kind.FAULT, _CONTRIBUTORY, True, "APM2 8.2.24"),
)
EXCEPTIONS: dict[Vector, ExceptionInfo] = {item.vector: item for item in _ALL}


@manual(ref="APM2 8.4.2 Page-Fault Error Code")
class PageFaultError(IntFlag):
    """The error code of #PF, and the lower half of EXITINFO1 of a nested page fault."""

    P = 1 << 0
    RW = 1 << 1
    US = 1 << 2
    RSV = 1 << 3
    ID = 1 << 4
    PK = 1 << 5
    SS = 1 << 6
    RMP = 1 << 31


@manual(ref="APM2 8.4.1 Selector-Error Code")
class SelectorError(IntFlag):
    """The lowest bits of a selector error code; the rest is the selector's index."""

    EXT = 1 << 0
    IDT = 1 << 1
    TI = 1 << 2


@manual(ref="APM2 8.4.3 Control-Protection Error Code")
class ControlProtectionError(IntEnum):
    """The error code of #CP."""

    NEAR_RET = 1
    FAR_RET_IRET = 2
    RSTORSSP = 4
    SETSSBSY = 5
