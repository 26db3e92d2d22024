"""Guest memory for device tests."""

from worldswitch.machine.x86.dma import Dma
from worldswitch.machine.x86.layout import ram_ranges


class Ram:
    """Plain memory that fails the test on any access outside it."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.data = bytearray(size)

    def read(self, address: int, size: int) -> bytes:
        assert address >= 0 and address + size <= len(self.data)
        return bytes(self.data[address : address + size])

    def write(self, address: int, data: bytes) -> None:
        assert address >= 0 and address + len(data) <= len(self.data)
        self.data[address : address + len(data)] = data

    def dma(self) -> Dma:
        """The memory as devices reach it."""
        return Dma(self, ram_ranges(len(self.data)))
