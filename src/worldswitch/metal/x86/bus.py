"""Accesses that physical memory does not answer: devices, by a call of the machine's function.

`cpu.bus` is called with the Cpu's address; it reads `bus_kind`, `bus_address` and `bus_size`, takes
`bus_value` or leaves its answer there. What is nobody's reads as all ones.
"""

from worldswitch.engine import address_of, call_native, typed, u64
from worldswitch.metal.x86.state import Cpu
from worldswitch.metal.x86.timers import spend

BUS_READ = 0
BUS_WRITE = 1
BUS_IN = 2
BUS_OUT = 3
BUS_ACKNOWLEDGE = 4
"""The 8259 pair's next vector."""
BUS_EOI = 5
"""End of a level-triggered interrupt with vector `bus_value`, for the I/O APIC."""
BUS_IPI = 6
"""Something was done to another processor (`bus_address`: its number), which has to run."""
PORT_TIME = 1000
"""Nanoseconds that an access to a port takes: what the ISA bus makes of it."""
DEVICE_TIME = 100


@typed(inline=False)
def bus_call(cpu: Cpu, kind: u64, address: u64, size: u64, value: u64) -> u64:
    """An access of 1, 2, 4 or 8 bytes; the value read."""
    if kind >= BUS_IN and kind <= BUS_OUT:
        spend(cpu, PORT_TIME)
    elif kind <= BUS_WRITE:
        spend(cpu, DEVICE_TIME)
    cpu.bus_kind = kind
    cpu.bus_address = address
    cpu.bus_size = size
    cpu.bus_value = value
    if cpu.bus == 0:
        return 0xFFFF_FFFF_FFFF_FFFF
    call_native(cpu.bus, address_of(cpu))
    return cpu.bus_value
