"""Operands of an intercepted instruction, from ipa and ipb. ref: PoP 5 Instruction Formats.

Addresses are what the registers and the displacement add up to; `access.effective` truncates them.
"""

from typing import Protocol

from worldswitch.hypervisor.sie.registers import MASK64, GuestRegisters


class Intercepted(Protocol):
    """What operands are taken from."""

    gr: GuestRegisters

    @property
    def ipa(self) -> int: ...

    @property
    def ipb(self) -> int: ...


def _based(vcpu: Intercepted, base: int, displacement: int) -> int:
    return ((vcpu.gr[base] if base else 0) + displacement) & MASK64


def storage(vcpu: Intercepted) -> tuple[int, int]:
    """Formats S, RS, SI: (address, base register) of the operand in bits 16-31."""
    ipb = vcpu.ipb
    base = ipb >> 28
    return _based(vcpu, base, ipb >> 16 & 0xFFF), base


def storage_long(vcpu: Intercepted) -> tuple[int, int]:
    """Formats RSY, SIY: the operand with a signed 20-bit displacement."""
    ipb = vcpu.ipb
    base = ipb >> 28
    displacement = (ipb >> 16 & 0xFFF) | (ipb >> 8 & 0xFF) << 12
    if displacement & 0x8_0000:
        displacement -= 0x10_0000
    return _based(vcpu, base, displacement), base


def two_storage(vcpu: Intercepted) -> tuple[tuple[int, int], tuple[int, int]]:
    """Format SSE: (address, base register) of both operands."""
    ipb = vcpu.ipb
    base1, base2 = ipb >> 28, ipb >> 12 & 0xF
    first = _based(vcpu, base1, ipb >> 16 & 0xFFF)
    return (first, base1), (_based(vcpu, base2, ipb & 0xFFF), base2)


def registers_rre(vcpu: Intercepted) -> tuple[int, int]:
    """Formats RRE, RRF: register numbers R1 and R2."""
    ipb = vcpu.ipb
    return ipb >> 20 & 0xF, ipb >> 16 & 0xF


def field_m3(vcpu: Intercepted) -> int:
    """Format RRF: the mask in bits 16-19."""
    return vcpu.ipb >> 28


def registers_rs(vcpu: Intercepted) -> tuple[int, int]:
    """Formats RS, RSY: register numbers R1 and R3."""
    ipa = vcpu.ipa
    return ipa >> 4 & 0xF, ipa & 0xF
