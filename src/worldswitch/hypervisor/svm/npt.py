"""Nested page tables: from guest physical to host physical addresses. ref: APM2 15.25.

Four levels in host storage. Pages of 2 Mbytes where the frame is aligned and whole, of 4 Kbytes
otherwise. They are filled in as the guest touches its storage.
"""

from worldswitch.arch.x86.paging import ADDRESS, LONG_4, Pte
from worldswitch.hypervisor.svm.words import words
from worldswitch.hypervisor.x86.memory import LARGE_PAGE, PAGE_SIZE, GuestMemory, Slot
from worldswitch.metal.interface import HostStorage, Registers

TABLE = int(Pte.P | Pte.RW | Pte.US)
PRESENT, LARGE = int(Pte.P), int(Pte.PS)
LEAF, READABLE = TABLE, int(Pte.P | Pte.US)
"""Nested walks count as user accesses."""
ENTRIES = 512
LIMIT = 1 << LONG_4.linear_bits


class NestedTables:
    """The tables of one guest over the slots of its storage."""

    def __init__(self, storage: HostStorage, memory: GuestMemory) -> None:
        self.storage = storage
        self.memory = memory
        self.generation = 0
        """Counts unmappings: a virtual CPU's translations hold for one generation."""
        self._tables: dict[int, Registers] = {}
        self._split: set[int] = set()
        self.root = self._table()

    def _table(self) -> int:
        origin = self.storage.allocate(PAGE_SIZE)
        view = self.storage.view[origin : origin + PAGE_SIZE]
        self._tables[origin] = words(view, "Q")
        return origin

    def insert(self, guest: int, host: int, size: int, writable: bool = True) -> None:
        """Let `size` bytes of guest physical addresses be host storage; whole pages."""
        if guest + size > LIMIT:
            raise ValueError(f"guest storage {guest:#x}+{size:#x} is beyond {LIMIT:#x}")
        self.memory.insert(Slot(guest, host, size, writable))

    def remove(self, guest: int) -> None:
        """Take away the slot that begins at a guest physical address, and what maps it."""
        slot = self.memory.remove(guest)
        self._forget(slot.guest, slot.size)

    def resolve(self, guest: int, store: bool) -> int | None:
        """Map the page of a guest physical address; its host address.

        None where there is no storage, or read-only storage for a store.
        """
        slot = self.memory.slot(guest)
        if slot is None or (store and not slot.writable):
            return None
        host = slot.host + guest - slot.guest
        rights = LEAF if slot.writable else READABLE
        directory = self._directory(guest)
        index = guest >> 21 & ENTRIES - 1
        entry = directory[index]
        if not entry & PRESENT:
            first = guest & -LARGE_PAGE
            frame = host - (guest - first)
            whole = slot.guest <= first and first + LARGE_PAGE <= slot.end
            if whole and not frame % LARGE_PAGE and first not in self._split:
                directory[index] = frame | rights | LARGE
                return host
            entry = self._table() | TABLE
            directory[index] = entry
        if not entry & LARGE:
            table = self._tables[entry & ADDRESS]
            table[guest >> 12 & ENTRIES - 1] = host & -PAGE_SIZE | rights
        return host

    def _directory(self, guest: int) -> Registers:
        """The page directory for a guest physical address, made if need be."""
        table = self._tables[self.root]
        for shift in (39, 30):
            index = guest >> shift & ENTRIES - 1
            entry = table[index]
            if not entry & PRESENT:
                entry = self._table() | TABLE
                table[index] = entry
            table = self._tables[entry & ADDRESS]
        return table

    def _existing(self, guest: int) -> Registers | None:
        """The page directory for a guest physical address if there is one."""
        table = self._tables[self.root]
        for shift in (39, 30):
            entry = table[guest >> shift & ENTRIES - 1]
            if not entry & PRESENT:
                return None
            table = self._tables[entry & ADDRESS]
        return table

    def unmap(self, guest: int, size: int) -> None:
        """Make a range's pages fault at their next use; translations of it are not used again.

        Large pages of which a part is in the range are split.
        """
        self._forget(guest, size)

    def _forget(self, guest: int, size: int) -> None:
        end = guest + size
        page = guest & -PAGE_SIZE
        while page < end:
            first = page & -LARGE_PAGE
            directory = self._existing(page)
            if directory is None:
                page = first + LARGE_PAGE
                continue
            index = page >> 21 & ENTRIES - 1
            entry = directory[index]
            if entry & LARGE or not entry & PRESENT:
                if page != first or end < first + LARGE_PAGE:
                    self._split.add(first)
                if entry & LARGE:
                    directory[index] = 0
                page = first + LARGE_PAGE
                continue
            self._tables[entry & ADDRESS][page >> 12 & ENTRIES - 1] = 0
            page += PAGE_SIZE
        self.generation += 1
