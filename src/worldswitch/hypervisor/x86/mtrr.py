"""Memory-type range registers as a guest sees them. ref: APM2 7.7 Memory-Type Range Registers.

UNMODELLED: their effect; the processor takes the guest's types from its page tables alone.
"""

from worldswitch.arch.x86.msrs import MTRR_VALID, Msr, MtrrDefType
from worldswitch.arch.x86.registers import MemoryType
from worldswitch.hypervisor.x86.events import general_protection

VARIABLE = 8
FIXED = (
    Msr.MTRR_FIX_64K_00000,
    Msr.MTRR_FIX_16K_80000,
    Msr.MTRR_FIX_16K_A0000,
    *range(Msr.MTRR_FIX_4K_C0000, Msr.MTRR_FIX_4K_F8000 + 1),
)
HAS_FIXED, HAS_WRITE_COMBINING = 1 << 8, 1 << 10
CAPABILITIES = VARIABLE | HAS_FIXED | HAS_WRITE_COMBINING
TYPES = frozenset({MemoryType.UC, MemoryType.WC, MemoryType.WT, MemoryType.WP, MemoryType.WB})
PAGE_BITS = 12
LAST_VARIABLE = Msr.MTRR_PHYS_BASE0 + 2 * VARIABLE - 1


def check(msr: int, value: int, physical_bits: int) -> None:
    """Raise GuestException (#GP) for a value that the register does not take."""
    if msr == Msr.MTRR_DEF_TYPE:
        legal = value & ~(0xFF | MtrrDefType.FE | MtrrDefType.E) == 0 and value & 0xFF in TYPES
    elif msr in FIXED:
        legal = all(value >> 8 * n & 0xFF in TYPES for n in range(8))
    else:
        address = (1 << physical_bits) - (1 << PAGE_BITS)
        if (msr - Msr.MTRR_PHYS_BASE0) & 1:
            legal = value & ~(address | MTRR_VALID) == 0
        else:
            legal = value & ~(address | 0xFF) == 0 and value & 0xFF in TYPES
    if not legal:
        raise general_protection()


def registers() -> dict[int, int]:
    """The registers that can be written, with their values after reset."""
    variable = range(Msr.MTRR_PHYS_BASE0, LAST_VARIABLE + 1)
    return dict.fromkeys((Msr.MTRR_DEF_TYPE, *FIXED, *variable), 0)
