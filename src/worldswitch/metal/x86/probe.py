"""Translation on behalf of Python."""

from worldswitch.engine import Leave, typed, u64
from worldswitch.metal.x86.paging import resolve
from worldswitch.metal.x86.state import CODE, CS, Cpu

NOWHERE = 0xFFFF_FFFF_FFFF_F000


@typed(inline=False)
def probe_code(cpu: Cpu, address: u64) -> u64:
    """The physical address of code at a linear address, NOWHERE if there is no translation.

    Accessed bits are set as by a fetch.
    """
    try:
        physical, _writable = resolve(cpu, cpu.ctx[CODE], CS, address, False)
    except Leave:
        return NOWHERE
    return physical
