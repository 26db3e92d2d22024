"""Host tables that map a guest's storage: a segment table and one page table for each megabyte."""

from worldswitch.metal.s390x.host import Host

PAGE = 4096
MEGABYTE = 1 << 20
SEGMENTS = 2048
INVALID_SEGMENT = 0x20
INVALID_PAGE = 0x400
ASCE_SEGMENT_TABLE = 3
"""Designation type segment table, four units of 512 entries long. ref: PoP 3 ASCE."""


class HostTables:
    """Maps `size` bytes from guest absolute 0 to host absolute `origin`, a page at a time."""

    def __init__(self, host: Host, origin: int, size: int) -> None:
        self._host = host
        self._origin = origin
        storage = host.storage
        table = storage.allocate(SEGMENTS * 8, SEGMENTS * 8)
        entries = bytearray(INVALID_SEGMENT.to_bytes(8, "big") * SEGMENTS)
        self._pages: list[int] = []
        for segment in range(size // MEGABYTE):
            pages = storage.allocate(PAGE)
            self._pages.append(pages)
            entries[8 * segment : 8 * segment + 8] = pages.to_bytes(8, "big")
        storage.write(table, bytes(entries))
        self.asce = table | ASCE_SEGMENT_TABLE
        for address in range(0, size, PAGE):
            self.map(address)

    def map(self, address: int) -> None:
        """Make the guest page at `address` valid."""
        frame = self._origin + address
        self._host.storage.write(self._entry(address), frame.to_bytes(8, "big"))

    def unmap(self, address: int) -> None:
        """Make it invalid, in the tables and in the TLB."""
        self._host.ipte(self._pages[address // MEGABYTE], address)

    def _entry(self, address: int) -> int:
        return self._pages[address // MEGABYTE] + address % MEGABYTE // PAGE * 8
