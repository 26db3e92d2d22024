"""A guest whose extent goes beyond the host's storage."""

import pytest

from tests.guests.sie_guest import ORIGIN, SieGuest
from worldswitch.arch.s390x.sie_controls import Icpt
from worldswitch.metal.interface import EntryResult

BEYOND = 8 << 20


@pytest.mark.parametrize("engine", ["python", "native"])
def test_prefix_beyond_host_storage_is_validity_interception(engine: str) -> None:
    guest = SieGuest("j .", engine)
    guest.block.msl = ORIGIN + 2 * BEYOND - 1
    guest.block.prefix_ibc = BEYOND
    assert guest.run() is Icpt.VALIDITY


@pytest.mark.parametrize("engine", ["python", "native"])
def test_operand_beyond_host_storage_is_host_addressing_exception(engine: str) -> None:
    guest = SieGuest("llilh %r1, 0x80\n lg %r2, 0(%r1)", engine)
    guest.block.msl = ORIGIN + 2 * BEYOND - 1
    assert guest.host.sie(guest.addresses[0]) is EntryResult.HOST_FAULT
    assert guest.host.host_fault_code == 5
    assert guest.host.host_fault_address == ORIGIN + BEYOND
