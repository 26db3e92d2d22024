"""Opcodes E5xx: TEST PROTECTION."""

from typing import TYPE_CHECKING

from worldswitch.arch.s390x.program import ProgramCode
from worldswitch.hypervisor.outcome import RESUME, Outcome
from worldswitch.hypervisor.sie import operands
from worldswitch.hypervisor.sie.access import translate_logical
from worldswitch.hypervisor.sie.dat import Access
from worldswitch.hypervisor.sie.events import GuestException
from worldswitch.hypervisor.sie.instructions.privilege import Instructions

if TYPE_CHECKING:
    from worldswitch.hypervisor.sie.vcpu import SieVcpu

group = Instructions("opcodes E5")
TPROT = 0x01
FETCH_AND_STORE, FETCH_ONLY, NEITHER, NO_TRANSLATION = range(4)
ADDRESS_ERRORS = frozenset(
    {ProgramCode.ADDRESSING, ProgramCode.TRANSLATION_SPECIFICATION, ProgramCode.SPECIFICATION}
)


@group.on(TPROT, "tprot")
def tprot(vcpu: "SieVcpu") -> Outcome:
    """Which accesses the key in bits 56-59 of the second address permits to the first operand.

    ref: PoP 10 TEST PROTECTION
    """
    (address, register), (second, _) = operands.two_storage(vcpu)
    key = second >> 4 & 0xF
    vcpu.set_cc(_permitted(vcpu, address, register, key))
    return RESUME


def _permitted(vcpu: "SieVcpu", address: int, register: int, key: int) -> int:
    for access, code in ((Access.STORE, FETCH_AND_STORE), (Access.FETCH, FETCH_ONLY)):
        try:
            translate_logical(vcpu, address, register, access, key)
            return code
        except GuestException as refused:
            if refused.event.code in ADDRESS_ERRORS:
                raise
            if refused.event.code != ProgramCode.PROTECTION:
                return NO_TRANSLATION
    return NEITHER
