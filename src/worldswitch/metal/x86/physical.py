"""The processor's physical addresses: memory, the local APIC's page, and devices."""

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.bus import BUS_READ, BUS_WRITE, bus_call
from worldswitch.metal.x86.state import Cpu

HIGH = 1 << 32
"""Where memory goes on that the hole for devices below 4 GiB has displaced."""


@typed(inline=True)
def is_memory(cpu: Cpu, address: u64) -> bool:
    """Whether a physical address is memory's."""
    if address < cpu.ram_low:
        return cpu.apic_mode != 1 or address >> 12 != cpu.apic_base >> 12
    return address >= HIGH and address < cpu.ram_high


@typed(inline=False)
def read_device(cpu: Cpu, address: u64, size: u64) -> u64:
    """Read 1, 2, 4 or 8 bytes from what is not memory."""
    return bus_call(cpu, BUS_READ, address, size, 0)


@typed(inline=False)
def write_device(cpu: Cpu, address: u64, size: u64, value: u64) -> None:
    """Write to what is not memory."""
    bus_call(cpu, BUS_WRITE, address, size, value)
