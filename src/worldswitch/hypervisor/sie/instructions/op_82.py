"""Opcode 82: LOAD PSW."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.psw import from_short
from worldswitch.hypervisor.outcome import Outcome
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.access import read_logical
from worldswitch.hypervisor.sie.instructions.privilege import Instructions, load_psw, require

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcode 82")


@group.on(0, "lpsw")
def lpsw(vcpu: "SieVcpu") -> Outcome:
    """Load the short PSW of eight bytes. ref: PoP 10 LOAD PSW."""
    address, register = operands.storage(vcpu)
    require(not address & 7)
    word = int.from_bytes(read_logical(vcpu, address, register, 8), "big")
    loaded = from_short(word)
    require(loaded is not None)
    assert loaded is not None
    return load_psw(vcpu, *loaded)
