"""The layouts of the MSR and I/O permission maps, which VMRUN is given the addresses of."""

from collections.abc import Iterator

IOPM_SIZE = 0x3000
"""12 Kbytes: a bit for each port, three bits behind the last for accesses that wrap."""
IOPM_LAST = 0x2000
"""The offset of the last byte that an access to a port can test. ref: APM2 15.10.1."""
MSRPM_SIZE = 0x2000
"""8 Kbytes: two bits for each MSR of three ranges, and 2 Kbytes reserved."""
MSRS_PER_RANGE = 0x2000
MSRPM_RANGES = ((0x0000_0000, 0x0000), (0xC000_0000, 0x0800), (0xC001_0000, 0x1000))
"""First MSR and byte offset in the map of each range. ref: APM2 15.11."""
READ, WRITE = 0, 1


def msrpm_bit(msr: int, access: int) -> tuple[int, int] | None:
    """Byte offset and mask of an MSR's bit; None for an MSR that the map does not have.

    ``access`` is READ or WRITE. An MSR outside the map is intercepted always. ref: APM2 15.11.
    """
    for first, offset in MSRPM_RANGES:
        if first <= msr < first + MSRS_PER_RANGE:
            bit = (msr - first) * 2 + access
            return offset + bit // 8, 1 << (bit % 8)
    return None


def msr_at(offset: int, mask: int) -> tuple[int, int] | None:
    """The MSR and the access of a bit in the map: `msrpm_bit` the other way round."""
    for first, start in MSRPM_RANGES:
        if start <= offset < start + MSRS_PER_RANGE // 4:
            bit = (offset - start) * 8 + mask.bit_length() - 1
            return first + bit // 2, bit % 2
    return None


def iopm_bits(port: int, size: int) -> Iterator[tuple[int, int]]:
    """Byte offset and mask of each bit that an access of ``size`` bytes to a port tests.

    Ports do not wrap at FFFF: the map goes on behind it. ref: APM2 15.10.1.
    """
    for number in range(port, port + size):
        yield number // 8, 1 << (number % 8)
