"""Program interruption codes, and how each ends the instruction that causes it."""

from enum import Enum, IntEnum, IntFlag

from worldswitch.arch.control_block import manual


@manual(ref="PoP 5 Types of Instruction Ending")
class Ending(Enum):
    """How an interruption leaves the instruction and the PSW's instruction address."""

    NULLIFYING = "nullifying"  # as if not executed; the old PSW points at it
    SUPPRESSING = "suppressing"  # as if not executed; the old PSW points behind it
    TERMINATING = "terminating"  # results unpredictable; the old PSW points behind it
    COMPLETING = "completing"  # executed; the old PSW points behind it


@manual(ref="PoP 6 Program Interruption")
class ProgramCode(IntEnum):
    """The interruption code at real location 142, without `PER` and `TX_ABORT`."""

    OPERATION = 0x0001
    PRIVILEGED_OPERATION = 0x0002
    EXECUTE = 0x0003
    PROTECTION = 0x0004
    ADDRESSING = 0x0005
    SPECIFICATION = 0x0006
    DATA = 0x0007
    FIXED_POINT_OVERFLOW = 0x0008
    FIXED_POINT_DIVIDE = 0x0009
    DECIMAL_OVERFLOW = 0x000A
    DECIMAL_DIVIDE = 0x000B
    HFP_EXPONENT_OVERFLOW = 0x000C
    HFP_EXPONENT_UNDERFLOW = 0x000D
    HFP_SIGNIFICANCE = 0x000E
    HFP_DIVIDE = 0x000F
    SEGMENT_TRANSLATION = 0x0010
    PAGE_TRANSLATION = 0x0011
    TRANSLATION_SPECIFICATION = 0x0012
    SPECIAL_OPERATION = 0x0013
    OPERAND = 0x0015
    TRACE_TABLE = 0x0016
    ASN_TRANSLATION_SPECIFICATION = 0x0017
    TRANSACTION_CONSTRAINT = 0x0018
    VECTOR_PROCESSING = 0x001B
    SPACE_SWITCH = 0x001C
    HFP_SQUARE_ROOT = 0x001D
    PC_TRANSLATION_SPECIFICATION = 0x001F
    AFX_TRANSLATION = 0x0020
    ASX_TRANSLATION = 0x0021
    LX_TRANSLATION = 0x0022
    EX_TRANSLATION = 0x0023
    PRIMARY_AUTHORITY = 0x0024
    SECONDARY_AUTHORITY = 0x0025
    LFX_TRANSLATION = 0x0026
    LSX_TRANSLATION = 0x0027
    ALET_SPECIFICATION = 0x0028
    ALEN_TRANSLATION = 0x0029
    ALE_SEQUENCE = 0x002A
    ASTE_VALIDITY = 0x002B
    ASTE_SEQUENCE = 0x002C
    EXTENDED_AUTHORITY = 0x002D
    LSTE_SEQUENCE = 0x002E
    ASTE_INSTANCE = 0x002F
    STACK_FULL = 0x0030
    STACK_EMPTY = 0x0031
    STACK_SPECIFICATION = 0x0032
    STACK_TYPE = 0x0033
    STACK_OPERATION = 0x0034
    ASCE_TYPE = 0x0038
    REGION_FIRST_TRANSLATION = 0x0039
    REGION_SECOND_TRANSLATION = 0x003A
    REGION_THIRD_TRANSLATION = 0x003B
    SECURE_STORAGE_ACCESS = 0x003D
    NON_SECURE_STORAGE_ACCESS = 0x003E
    SECURE_STORAGE_VIOLATION = 0x003F
    MONITOR_EVENT = 0x0040
    PER_EVENT = 0x0080
    CRYPTO_OPERATION = 0x0119


PER = 0x0080  # or-ed into the code of another interruption that a PER event accompanies
TX_ABORT = 0x0200  # or-ed into the code when the interruption aborted a transaction

_N, _S, _T, _C = Ending.NULLIFYING, Ending.SUPPRESSING, Ending.TERMINATING, Ending.COMPLETING

# The ordinary ending first; the others that the manual allows behind it.
ENDINGS: dict[ProgramCode, tuple[Ending, ...]] = {
    ProgramCode.OPERATION: (_S,),
    ProgramCode.PRIVILEGED_OPERATION: (_S,),
    ProgramCode.EXECUTE: (_S,),
    ProgramCode.PROTECTION: (_S, _T),
    ProgramCode.ADDRESSING: (_S, _T),
    ProgramCode.SPECIFICATION: (_S, _C),
    ProgramCode.DATA: (_S, _C, _T),
    ProgramCode.FIXED_POINT_OVERFLOW: (_C,),
    ProgramCode.FIXED_POINT_DIVIDE: (_S, _C),
    ProgramCode.DECIMAL_OVERFLOW: (_C,),
    ProgramCode.DECIMAL_DIVIDE: (_S,),
    ProgramCode.HFP_EXPONENT_OVERFLOW: (_C,),
    ProgramCode.HFP_EXPONENT_UNDERFLOW: (_C,),
    ProgramCode.HFP_SIGNIFICANCE: (_C,),
    ProgramCode.HFP_DIVIDE: (_S,),
    ProgramCode.SEGMENT_TRANSLATION: (_N,),
    ProgramCode.PAGE_TRANSLATION: (_N,),
    ProgramCode.TRANSLATION_SPECIFICATION: (_S,),
    ProgramCode.SPECIAL_OPERATION: (_S,),
    ProgramCode.OPERAND: (_S,),
    ProgramCode.TRACE_TABLE: (_N,),
    ProgramCode.ASN_TRANSLATION_SPECIFICATION: (_S,),
    ProgramCode.TRANSACTION_CONSTRAINT: (_S,),
    ProgramCode.VECTOR_PROCESSING: (_S, _C),
    ProgramCode.SPACE_SWITCH: (_C,),
    ProgramCode.HFP_SQUARE_ROOT: (_S,),
    ProgramCode.PC_TRANSLATION_SPECIFICATION: (_S,),
    ProgramCode.AFX_TRANSLATION: (_N,),
    ProgramCode.ASX_TRANSLATION: (_N,),
    ProgramCode.LX_TRANSLATION: (_N,),
    ProgramCode.EX_TRANSLATION: (_N,),
    ProgramCode.PRIMARY_AUTHORITY: (_N,),
    ProgramCode.SECONDARY_AUTHORITY: (_N,),
    ProgramCode.LFX_TRANSLATION: (_N,),
    ProgramCode.LSX_TRANSLATION: (_N,),
    ProgramCode.ALET_SPECIFICATION: (_S,),
    ProgramCode.ALEN_TRANSLATION: (_N,),
    ProgramCode.ALE_SEQUENCE: (_N,),
    ProgramCode.ASTE_VALIDITY: (_N,),
    ProgramCode.ASTE_SEQUENCE: (_N,),
    ProgramCode.EXTENDED_AUTHORITY: (_N,),
    ProgramCode.LSTE_SEQUENCE: (_N,),
    ProgramCode.ASTE_INSTANCE: (_N,),
    ProgramCode.STACK_FULL: (_N,),
    ProgramCode.STACK_EMPTY: (_N,),
    ProgramCode.STACK_SPECIFICATION: (_N,),
    ProgramCode.STACK_TYPE: (_N,),
    ProgramCode.STACK_OPERATION: (_N,),
    ProgramCode.ASCE_TYPE: (_N,),
    ProgramCode.REGION_FIRST_TRANSLATION: (_N,),
    ProgramCode.REGION_SECOND_TRANSLATION: (_N,),
    ProgramCode.REGION_THIRD_TRANSLATION: (_N,),
    ProgramCode.SECURE_STORAGE_ACCESS: (_N,),
    ProgramCode.NON_SECURE_STORAGE_ACCESS: (_N,),
    ProgramCode.SECURE_STORAGE_VIOLATION: (_N,),
    ProgramCode.MONITOR_EVENT: (_C,),
    ProgramCode.PER_EVENT: (_C, _N),
    ProgramCode.CRYPTO_OPERATION: (_N,),
}


def ending(code: ProgramCode) -> Ending:
    """The ordinary ending of an instruction that causes this interruption."""
    return ENDINGS[code][0]


@manual(ref="PoP 6 Data Exception")
class DataExceptionCode(IntEnum):
    """The data-exception code (DXC): what kind of data exception occurred."""

    DECIMAL_OPERAND = 0x00
    AFP_REGISTER = 0x01
    BFP_INSTRUCTION = 0x02
    DFP_INSTRUCTION = 0x03
    QUANTUM_EXCEPTION = 0x04
    SIMULATED_QUANTUM_EXCEPTION = 0x07
    IEEE_INEXACT_TRUNCATED = 0x08
    SIMULATED_INEXACT = 0x0B
    IEEE_INEXACT_INCREMENTED = 0x0C
    IEEE_UNDERFLOW_EXACT = 0x10
    SIMULATED_UNDERFLOW_EXACT = 0x13
    IEEE_UNDERFLOW_TRUNCATED = 0x18
    SIMULATED_UNDERFLOW_INEXACT = 0x1B
    IEEE_UNDERFLOW_INCREMENTED = 0x1C
    IEEE_OVERFLOW_EXACT = 0x20
    SIMULATED_OVERFLOW_EXACT = 0x23
    IEEE_OVERFLOW_TRUNCATED = 0x28
    SIMULATED_OVERFLOW_INEXACT = 0x2B
    IEEE_OVERFLOW_INCREMENTED = 0x2C
    IEEE_DIVISION_BY_ZERO = 0x40
    SIMULATED_DIVISION_BY_ZERO = 0x43
    IEEE_INVALID_OPERATION = 0x80
    SIMULATED_INVALID_OPERATION = 0x83
    VECTOR_INSTRUCTION = 0xFE
    COMPARE_AND_TRAP = 0xFF


@manual(ref="PoP 6 Vector-Processing Exception")
class VectorExceptionCode(IntEnum):
    """Bits 4-7 of the vector-exception code (VXC); bits 0-3 are the element's index."""

    INVALID_OPERATION = 1
    DIVISION_BY_ZERO = 2
    OVERFLOW = 3
    UNDERFLOW = 4
    INEXACT = 5


@manual(ref="PoP 4 PER Events")
class PerCode(IntFlag):
    """The PER code at real location 150: which events occurred."""

    SUCCESSFUL_BRANCHING = 0x80
    INSTRUCTION_FETCH = 0x40
    STORAGE_ALTERATION = 0x20
    STORAGE_KEY_ALTERATION = 0x10
    STORE_USING_REAL_ADDRESS = 0x08
    ZERO_ADDRESS_DETECTION = 0x04
    TRANSACTION_END = 0x02
    INSTRUCTION_FETCH_NULLIFICATION = 0x01


@manual(ref="PoP 4 PER Events")
class PerAtmid(IntFlag):
    """The addressing and translation mode at the PER event, real location 151."""

    EXTENDED_ADDRESSING = 0x80
    VALID = 0x40
    BASIC_ADDRESSING = 0x20
    DAT = 0x10
    SPACE_HIGH = 0x08
    SPACE_LOW = 0x04
    ASCE_HIGH = 0x02
    ASCE_LOW = 0x01


@manual(ref="PoP 3 Translation-Exception Identification")
class Teid(IntFlag):
    """Low bits of the translation-exception identification, real location 168."""

    FETCH = 0x800  # bits 52-53: 10 for a fetch, 01 for a store
    STORE = 0x400
    BIT_56 = 0x080
    BIT_60 = 0x008
    BIT_61 = 0x004
    ASCE_HIGH = 0x002  # bits 62-63: which address-space-control element
    ASCE_LOW = 0x001


@manual(ref="PoP 3 Suppression on Protection")
class ProtectionKind(IntEnum):
    """Bits 56, 60 and 61 of the identification for a protection exception."""

    DAT = 0x004
    KEY_CONTROLLED = 0x008
    ACCESS_LIST = 0x00C
    LOW_ADDRESS = 0x080
    INSTRUCTION_EXECUTION = 0x084


TEID_ADDRESS = 0xFFFF_FFFF_FFFF_F000
