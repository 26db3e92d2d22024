"""A machine's devices as virtual CPUs reach them in the middle of a run.

A machine that offers them has an exit for a device cost what the device costs. One that does not
gets each access as a request, with which the run ends.
"""

from typing import Protocol

from worldswitch.hypervisor.requests import MmioRead, MmioWrite, PortRead, PortWrite, X86Request


class MappedRegisters(Protocol):
    """Registers of devices, or of the local APIC, at guest physical addresses."""

    def mmio_read(self, address: int, size: int, /) -> int:
        """1, 2, 4 or 8 bytes from an address that is no storage."""
        ...

    def mmio_write(self, address: int, size: int, value: int, /) -> None:
        """A store there."""
        ...


class Devices(MappedRegisters, Protocol):
    """Answers accesses. Sizes are in bytes, values unsigned.

    What one does to the virtual CPU that runs it tells it: see `X86Vcpu.give_way`.
    """

    def port_read(self, port: int, size: int) -> int:
        """IN of 1, 2 or 4 bytes."""
        ...

    def port_write(self, port: int, size: int, value: int) -> None:
        """OUT of them."""
        ...


def answered(devices: Devices, request: X86Request) -> int:
    """Carry out an access: what was read, 0 for a write."""
    match request:
        case PortRead(port, size):
            return devices.port_read(port, size)
        case PortWrite(port, size, value):
            devices.port_write(port, size, value)
        case MmioRead(address, size):
            return devices.mmio_read(address, size)
        case MmioWrite(address, size, value):
            devices.mmio_write(address, size, value)
        case _:
            raise TypeError(f"{request!r} is no access to a device")
    return 0
