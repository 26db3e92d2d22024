"""The processor's physical addresses: memory, the local APIC's page, and devices."""

from worldswitch.engine import typed, u64
from worldswitch.metal.x86.apic import XAPIC, apic_read, apic_write
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
    if cpu.apic_mode == XAPIC and address >> 12 == cpu.apic_base >> 12:
        return apic_read(cpu, address & 0xFF0) >> ((address & 3) * 8)
    return bus_call(cpu, BUS_READ, address, size, 0)


@typed(inline=False)
def write_device(cpu: Cpu, address: u64, size: u64, value: u64) -> None:
    """Write to what is not memory."""
    if cpu.apic_mode == XAPIC and address >> 12 == cpu.apic_base >> 12:
        if address & 15 == 0:
            apic_write(cpu, address & 0xFF0, value & 0xFFFF_FFFF)
        return
    bus_call(cpu, BUS_WRITE, address, size, value)
