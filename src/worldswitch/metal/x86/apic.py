"""The local APIC. ref: APM2 16 Advanced Programmable Interrupt Controller"""

from worldswitch.engine import clz, typed, u64
from worldswitch.metal.x86.state import Cpu


@typed
def highest(a: u64, b: u64, c: u64, d: u64) -> u64:
    """The highest bit that is set in 256 bits, 0 if none is (vectors below 16 do not count)."""
    if d != 0:
        return 255 - clz(d)
    if c != 0:
        return 191 - clz(c)
    if b != 0:
        return 127 - clz(b)
    if a != 0:
        return 63 - clz(a)
    return 0


@typed(inline=False)
def apic_vector(cpu: Cpu) -> u64:
    """The vector that the processor is interrupted with now, or 0."""
    if cpu.apic_mode == 0:
        return 0
    vector = highest(cpu.apic_irr[0], cpu.apic_irr[1], cpu.apic_irr[2], cpu.apic_irr[3])
    serviced = highest(cpu.apic_isr[0], cpu.apic_isr[1], cpu.apic_isr[2], cpu.apic_isr[3])
    priority = serviced & 0xF0
    if u64(cpu.apic_tpr) & 0xF0 > priority:
        priority = u64(cpu.apic_tpr) & 0xF0
    if vector & 0xF0 > priority:
        return vector
    return 0


@typed(inline=False)
def acknowledge(cpu: Cpu, vector: u64) -> None:
    """The processor takes an interrupt: from IRR to ISR."""
    bit = u64(1) << (vector & 63)
    cpu.apic_irr[vector >> 6] = cpu.apic_irr[vector >> 6] & ~bit
    cpu.apic_isr[vector >> 6] = cpu.apic_isr[vector >> 6] | bit
