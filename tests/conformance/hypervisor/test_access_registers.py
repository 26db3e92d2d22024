"""Operands in the spaces that access registers designate, as handlers of instructions find them.

ref: PoP 5 Access-Register Translation
"""

import pytest

from tests.conformance.hypervisor.paths import covers
from tests.guests.hypervisor_guest import HypervisorGuest
from worldswitch.arch.s390x.program import ProgramCode, ProtectionKind
from worldswitch.arch.s390x.translation import (
    AccessListEntry,
    AsnSecondTableEntry,
    DispatchableUnitTable,
)

P = ProgramCode
PROGRAM = """
    larl %r1, token
    lam %a2, %a2, 0(%r1)
    larl %r1, controls
    lctlg %c1, %c2, 0(%r1)
    llilf %r2, 0x9000
    larl %r1, psw
    lpswe 0(%r1)
    there: stap 8(%r2)
    diag %r0, %r0, 0xfff
    .align 8
    token: .long 0x00000008, 0
    controls: .quad 0x20, 0x10000
    psw: .quad 0x0400400180000000, there
"""
UNIT, LIST, SECOND = 0x1_0000, 0x1_1000, 0x1_2000


def spaces(**entry: int) -> HypervisorGuest:
    """A guest whose access register 2 designates entry 8 of its access list, a real space."""
    guest = HypervisorGuest(PROGRAM)
    memory = guest.vm.memory
    memory.write(
        UNIT + DispatchableUnitTable.offset_of("access_list"), (LIST | 1).to_bytes(4, "big")
    )
    values = {"aste_origin": SECOND} | entry
    memory.write(LIST + 8 * 16, bytes(AccessListEntry.new(**values)))
    memory.write(SECOND, bytes(AsnSecondTableEntry.new(asce=0x20)))
    return guest


@covers("operands/access-register")
def test_store_goes_to_the_space_of_the_access_register() -> None:
    guest = spaces()
    guest.finish()
    assert guest.counted("instruction_stap") == 1


@covers("operands/access-register")
@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({"invalid": 1}, P.ALEN_TRANSLATION),
        ({"sequence": 1}, P.ALE_SEQUENCE),
        ({"aste_sequence": 1}, P.ASTE_SEQUENCE),
        ({"private": 1, "authorization_index": 9}, P.EXTENDED_AUTHORITY),
        ({"fetch_only": 1}, P.PROTECTION),
    ],
)
def test_access_list_entry_that_forbids_the_store_is_told_of(
    entry: dict[str, int], code: ProgramCode
) -> None:
    guest = spaces(**entry)
    assert guest.trap() == code
    assert guest.load(0xA0, 1) == 2  # the access register
    if code is P.PROTECTION:
        assert guest.load(0xA8) & 0x8C == ProtectionKind.ACCESS_LIST
        assert guest.load(0xA8) & ~0xFFF == 0x9000
