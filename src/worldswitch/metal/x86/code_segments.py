"""Code segments that far transfers lead to: their checks. ref: APM2 4.11, 4.10"""

from worldswitch.arch.x86.exceptions import Vector
from worldswitch.arch.x86.registers import Efer
from worldswitch.engine import typed, u64
from worldswitch.metal.x86.leave import fault_with, general_protection
from worldswitch.metal.x86.paging import canonical
from worldswitch.metal.x86.segments import (
    error_of,
    is_code,
    is_conforming,
    level_of,
    limit_of,
    present,
    read_descriptor,
)
from worldswitch.metal.x86.state import Cpu

LONG_BITS = 3 << 53
"""L and D of a descriptor."""
LONG_CODE = 1 << 53


@typed
def is_long(cpu: Cpu, descriptor: u64) -> bool:
    """Whether a code segment is of 64-bit mode."""
    return cpu.efer & Efer.LMA != 0 and descriptor & LONG_CODE != 0


@typed(leaves=True)
def check_code(cpu: Cpu, selector: u64, descriptor: u64) -> None:
    """It has to be of a code segment, and L and D not both one in long mode."""
    if not is_code(descriptor):
        fault_with(cpu, Vector.GP, error_of(selector))
    if cpu.efer & Efer.LMA != 0 and descriptor & LONG_BITS == LONG_BITS:
        fault_with(cpu, Vector.GP, error_of(selector))


@typed(leaves=True)
def check_present(cpu: Cpu, selector: u64, descriptor: u64) -> None:
    """#NP(selector) if it is not present."""
    if not present(descriptor):
        fault_with(cpu, Vector.NP, error_of(selector))


@typed(leaves=True, inline=False)
def check_jump(cpu: Cpu, selector: u64, descriptor: u64) -> None:
    """Check a code segment that JMP or CALL names itself. ref: APM2 4.11.1"""
    check_code(cpu, selector, descriptor)
    dpl = level_of(descriptor)
    level = u64(cpu.cpl)
    if is_conforming(descriptor):
        if dpl > level:
            fault_with(cpu, Vector.GP, error_of(selector))
    elif selector & 3 > level or dpl != level:
        fault_with(cpu, Vector.GP, error_of(selector))
    check_present(cpu, selector, descriptor)


@typed(leaves=True, inline=False)
def gate_code(cpu: Cpu, selector: u64) -> u64:
    """The descriptor of a gate's code segment: of this or an inner level. ref: APM2 4.11.2

    In long mode it has to be 64-bit code.
    """
    if selector & 0xFFFC == 0:
        general_protection(cpu)
    descriptor = read_descriptor(cpu, selector, Vector.GP)
    if not is_code(descriptor) or level_of(descriptor) > u64(cpu.cpl):
        fault_with(cpu, Vector.GP, error_of(selector))
    if cpu.efer & Efer.LMA != 0 and descriptor & LONG_BITS != LONG_CODE:
        fault_with(cpu, Vector.GP, error_of(selector))
    check_present(cpu, selector, descriptor)
    return descriptor


@typed(leaves=True, inline=False)
def return_code(cpu: Cpu, selector: u64) -> u64:
    """The descriptor of the code segment that a far return or IRET goes back to.

    ref: APM2 4.11.3; APM3 3 RET (Far)
    """
    if selector & 0xFFFC == 0:
        general_protection(cpu)
    descriptor = read_descriptor(cpu, selector, Vector.GP)
    check_code(cpu, selector, descriptor)
    level = selector & 3
    dpl = level_of(descriptor)
    wrong = dpl != level
    if is_conforming(descriptor):
        wrong = dpl > level
    if wrong or level < u64(cpu.cpl):
        fault_with(cpu, Vector.GP, error_of(selector))
    check_present(cpu, selector, descriptor)
    return descriptor


@typed(leaves=True)
def check_target(cpu: Cpu, descriptor: u64, target: u64) -> None:
    """#GP(0) if RIP would not be canonical, or beyond the limit of the code segment."""
    if is_long(cpu, descriptor):
        if not canonical(cpu, target):
            general_protection(cpu)
    elif target > u64(limit_of(descriptor)):
        general_protection(cpu)
