"""The service processor's answers, block by block."""

import pytest

from worldswitch.arch.s390x.sclp import EventType, SclpCommand, SclpResponse, event_mask
from worldswitch.machine.s390x.modelled import modelled_cpu
from worldswitch.machine.s390x.sclp import Sclp

SIZE = 0x2000


class Blocks:
    """Storage that remembers the last byte that was stored into."""

    def __init__(self, megabytes: int = 1) -> None:
        self.size = megabytes << 20
        self.data = bytearray(SIZE)
        self.highest = 0

    def read(self, address: int, size: int) -> bytes:
        return bytes(self.data[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        self.highest = max(self.highest, address + len(data))
        self.data[address : address + len(data)] = data


def called(memory: Blocks, command: int, address: int, length: int, quiesce: bool = False) -> int:
    """Execute a command on an otherwise empty block; the response code."""
    sclp = Sclp(memory, modelled_cpu("z14"), 1, lambda data: None, lambda parameter: None)
    sclp.quiesce = quiesce
    sclp.receive_mask = event_mask(EventType.SIGNAL_QUIESCE)
    memory.write(address, length.to_bytes(2, "big") + bytes(6))
    sclp.call(command, address)
    return int.from_bytes(memory.read(address + 6, 2), "big")


@pytest.mark.parametrize("length", [8, 16, 17])
def test_event_that_does_not_fit_leaves_the_storage_behind_the_block_alone(length: int) -> None:
    memory = Blocks()
    response = called(memory, SclpCommand.READ_EVENT_DATA, 0x1000, length, quiesce=True)
    assert response == SclpResponse.INSUFFICIENT_SCCB_LENGTH
    assert memory.highest == 0x1000 + length


def test_event_that_fits_is_stored() -> None:
    memory = Blocks()
    response = called(memory, SclpCommand.READ_EVENT_DATA, 0x1000, 18, quiesce=True)
    assert response == SclpResponse.NORMAL_COMPLETION
    assert memory.data[0x100A] == EventType.SIGNAL_QUIESCE


@pytest.mark.parametrize(
    ("megabytes", "increments", "size"), [(0xFFFF, 0xFFFF, 1), (65537, 32768, 2)]
)
def test_storage_size_is_reported_in_increments(megabytes: int, increments: int, size: int) -> None:
    memory = Blocks(megabytes)
    response = called(memory, SclpCommand.READ_SCP_INFO, 0x1000, 0x100)
    assert response == SclpResponse.NORMAL_READ_COMPLETION
    assert int.from_bytes(memory.read(0x1008, 2), "big") == increments
    assert memory.data[0x100A] == size
