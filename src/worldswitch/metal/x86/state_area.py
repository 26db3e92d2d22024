"""Components of the processor's extended state in memory, as FXSAVE and XSAVE lay them out.

All functions take the linear address of the area and the segment it came from. `check_area` comes
first: what follows it does not fault half-way. ref: APM2 11.4.4, 11.5.2
"""

from worldswitch.engine import typed, u16, u32, u64
from worldswitch.metal.x86.memory import (
    linear,
    load_u8,
    load_u16,
    load_u32,
    load_u64,
    store_u8,
    store_u16,
    store_u32,
    store_u64,
)
from worldswitch.metal.x86.mode import MODE_LONG, PAGE
from worldswitch.metal.x86.paging import check_write
from worldswitch.metal.x86.state import DATA, Cpu

X87 = 1
SSE = 2
AVX = 4
PKRU = 512
"""State components: bits of XCR0, XSTATE_BV and the rest."""
MXCSR_VALID = 0xFFFF
MXCSR_INITIAL = 0x1F80
CONTROL_INITIAL = 0x37F
SIZE_LEGACY = 512
HEADER = 512
EXTENDED = 576
"""Where the components beyond the legacy region begin."""
SIZE_AVX = 256
SIZE_PKRU = 8
AT_PKRU = EXTENDED + SIZE_AVX
"""In the standard form."""
ENTRY_MASK = 0xFFFF


@typed(leaves=True, inline=False)
def check_area(cpu: Cpu, seg: u64, at: u64, size: u64, write: bool) -> None:
    """Recognize the faults of an access to up to a page's worth of bytes."""
    last = linear(cpu, at + size - 1)
    if (at ^ last) & PAGE != 0:
        if write:
            check_write(cpu, cpu.ctx[DATA], seg, at)
            check_write(cpu, cpu.ctx[DATA], seg, last)
        else:
            load_u8(cpu, u8_of(seg), at)
            load_u8(cpu, u8_of(seg), last)
