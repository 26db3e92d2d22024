"""The page tables of the x86 scenes: the guest's own, and the host's nested ones.

ref: APM2 5.3 Long-Mode Page Translation; APM2 15.25 Nested Paging
"""

import struct
from itertools import pairwise

from worldswitch.arch.x86.paging import Pte
from worldswitch.metal.interface import HostStorage

PAGE = 4096
LARGE_PAGE = 2 << 20
ENTRIES = 512
TABLE = int(Pte.P | Pte.RW | Pte.US)
READ_ONLY = int(Pte.P | Pte.US)
"""The host's walks count as a user's."""


def identity_tables(where: int) -> bytes:
    """Three tables for guest physical address `where` that map the first GiB one to one."""
    top, middle = (struct.pack("<Q", where + n * PAGE | TABLE).ljust(PAGE, b"\0") for n in (1, 2))
    leaves = (n * LARGE_PAGE | TABLE | Pte.PS for n in range(ENTRIES))
    return top + middle + struct.pack(f"<{ENTRIES}Q", *leaves)


class NestedTables:
    """Maps guest physical addresses from 0 on to host storage at `origin`, a page at a time."""

    def __init__(self, storage: HostStorage, origin: int) -> None:
        self._storage = storage
        self._origin = origin
        tables = [storage.allocate(PAGE) for _ in range(4)]
        for table, inner in pairwise(tables):
            storage.write(table, struct.pack("<Q", inner | TABLE))
        self.root = tables[0]
        self._leaves = tables[-1]

    def map(self, address: int, rights: int = TABLE) -> None:
        """Map the page at a guest physical address below 2 MiB."""
        self._write(address, self._origin + address // PAGE * PAGE | rights)

    def unmap(self, address: int) -> None:
        """Make it fault. Translations that the processor has stay until it is told to drop them."""
        self._write(address, 0)

    def _write(self, address: int, entry: int) -> None:
        self._storage.write(self._leaves + address // PAGE * 8, struct.pack("<Q", entry))
