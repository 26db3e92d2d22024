"""LOAD CONTROL and STORE CONTROL, the 32-bit and the 64-bit forms. ref: PoP 10 LOAD CONTROL."""

from typing import TYPE_CHECKING

from worldswitch.hypervisor.outcome import RESUME, Outcome
from worldswitch.hypervisor.sie import controls, operands
from worldswitch.hypervisor.sie.access import read_logical, write_logical
from worldswitch.hypervisor.sie.instructions.privilege import require

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

HIGH = 0xFFFF_FFFF_0000_0000
ADDRESS_SPACES = frozenset({0, 1, 7, 13})
"""Registers whose change concerns the TLB: the entries of this guest CPU are dropped."""


def _range(vcpu: "SieVcpu") -> list[int]:
    r1, r3 = operands.registers_rs(vcpu)
    return [(r1 + n) & 0xF for n in range(((r3 - r1) & 0xF) + 1)]


def load(vcpu: "SieVcpu", operand: tuple[int, int], size: int) -> Outcome:
    """Load the registers from R1 to R3, `size` bytes each; 4 bytes leave the left halves."""
    address, register = operand
    require(not address & size - 1)
    numbers = _range(vcpu)
    data = read_logical(vcpu, address, register, size * len(numbers))
    for index, n in enumerate(numbers):
        value = int.from_bytes(data[index * size : (index + 1) * size], "big")
        vcpu.sd.gcr[n] = value if size == 8 else vcpu.sd.gcr[n] & HIGH | value
    if ADDRESS_SPACES.intersection(numbers):
        vcpu.sd.ihcpu = controls.FLUSH
    return RESUME


def store(vcpu: "SieVcpu", operand: tuple[int, int], size: int) -> Outcome:
    """Store the registers from R1 to R3, the rightmost `size` bytes of each."""
    address, register = operand
    require(not address & size - 1)
    mask = (1 << size * 8) - 1
    data = b"".join((vcpu.sd.gcr[n] & mask).to_bytes(size, "big") for n in _range(vcpu))
    write_logical(vcpu, address, register, data)
    return RESUME
