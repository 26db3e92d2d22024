"""Second-level tables: from guest absolute storage to host absolute storage.

The guest's storage is host virtual storage under the host's primary address-space-control element.
The tables are a region-third table, segment tables and page tables in host storage; segments whose
frame is aligned are mapped whole. They are filled in as the guest touches its storage.
"""

from collections.abc import Callable
from dataclasses import dataclass

from worldswitch.arch.s390x.translation import (
    ASCE_ORIGIN,
    PAGE_SIZE,
    REGION3_SIZE,
    REGION_ORIGIN,
    SEGMENT_PAGE_TABLE,
    SEGMENT_SIZE,
    PageEntry,
    RegionEntry,
    SegmentEntry,
    TableType,
)
from worldswitch.metal.interface import HostStorage

ENTRIES = 2048
TABLE_SIZE = ENTRIES * 8
PAGES = 256
PAGE_TABLE_SIZE = PAGES * 8
FULL_LENGTH = 3


@dataclass(frozen=True, slots=True)
class Slot:
    """A range of guest absolute storage and the host storage behind it."""

    guest: int
    host: int
    size: int


class GuestMap:
    """The tables of one guest.

    purge: called when processors may hold translations that no longer hold.
    """

    def __init__(self, storage: HostStorage, purge: Callable[[], None]) -> None:
        self.storage = storage
        self.slots: list[Slot] = []
        self.generation = 0
        """Counts unmappings: what a virtual CPU made sure of holds only for one generation."""
        self._purge = purge
        self._split: set[int] = set()
        self.root = self._table(
            RegionEntry.INVALID | TableType.REGION_THIRD << 2, ENTRIES, PAGE_SIZE
        )

    @property
    def asce(self) -> int:
        """The address-space-control element for the host's control register 1."""
        return self.root & ASCE_ORIGIN | TableType.REGION_THIRD << 2 | FULL_LENGTH

    def _table(self, entry: int, entries: int, alignment: int) -> int:
        origin = self.storage.allocate(entries * 8, alignment)
        self.storage.write(origin, entry.to_bytes(8, "big") * entries)
        return origin

    def _entry(self, address: int) -> int:
        return int.from_bytes(self.storage.view[address : address + 8], "big")

    def _set(self, address: int, entry: int) -> None:
        self.storage.view[address : address + 8] = entry.to_bytes(8, "big")

    def insert(self, guest: int, host: int, size: int) -> None:
        """Let `size` bytes of guest storage be host storage from `host` on; whole pages."""
        if (guest | host | size) % PAGE_SIZE or size <= 0:
            raise ValueError(f"guest storage {guest:#x}+{size:#x} at {host:#x} is not whole pages")
        if any(guest < s.guest + s.size and s.guest < guest + size for s in self.slots):
            raise ValueError(f"guest storage {guest:#x}+{size:#x} overlaps what is there")
        self.slots.append(Slot(guest, host, size))

    def slot(self, guest: int) -> Slot | None:
        """The slot of a guest absolute address."""
        for slot in self.slots:
            if slot.guest <= guest < slot.guest + slot.size:
                return slot
        return None

    def host_address(self, guest: int) -> int | None:
        """The host address behind a guest absolute address, without touching the tables."""
        slot = self.slot(guest)
        return None if slot is None else slot.host + guest - slot.guest

    def resolve(self, guest: int, store: bool) -> int | None:
        """Map the page or segment of a guest address; its host address, None outside storage."""
        slot = self.slot(guest)
        if slot is None:
            return None
        del store  # what is mapped can be stored into
        host = slot.host + guest - slot.guest
        entry_at = self._segment_entry(guest)
        entry = self._entry(entry_at)
        first = guest & -SEGMENT_SIZE
        frame = host - (guest - first)
        if entry & SegmentEntry.INVALID:
            whole = slot.guest <= first and first + SEGMENT_SIZE <= slot.guest + slot.size
            if whole and frame % SEGMENT_SIZE == 0 and first not in self._split:
                self._set(entry_at, frame | SegmentEntry.FORMAT)
                return host
            table = self._table(PageEntry.INVALID, PAGES, PAGE_TABLE_SIZE)
            entry = table & SEGMENT_PAGE_TABLE
            self._set(entry_at, entry)
        if entry & SegmentEntry.FORMAT:
            return host
        page_at = (entry & SEGMENT_PAGE_TABLE) + (guest >> 12 & 0xFF) * 8
        self._set(page_at, host & -PAGE_SIZE)
        return host

    def _segment_entry(self, guest: int) -> int:
        """The address of the segment-table entry, with the segment table made if need be."""
        region_at = self.root + (guest // REGION3_SIZE) * 8
        region = self._entry(region_at)
        if region & RegionEntry.INVALID:
            table = self._table(SegmentEntry.INVALID, ENTRIES, PAGE_SIZE)
            region = table | TableType.REGION_THIRD << 2 | FULL_LENGTH
            self._set(region_at, region)
        return (region & REGION_ORIGIN) + (guest >> 20 & 0x7FF) * 8

    def split(self, guest: int) -> None:
        """Map the segment of a guest address page by page from now on."""
        first = guest & -SEGMENT_SIZE
        if first in self._split:
            return
        self._split.add(first)
        entry_at = self._segment_entry(guest)
        if not self._entry(entry_at) & SegmentEntry.INVALID:
            self._set(entry_at, SegmentEntry.INVALID)
            self._changed()

    def unmap(self, guest: int, size: int) -> None:
        """Make a range's pages fault at their next use, and purge what processors hold."""
        for page in range(guest & -PAGE_SIZE, guest + size, PAGE_SIZE):
            if self.slot(page) is None:
                continue
            self.split(page)
            entry = self._entry(self._segment_entry(page))
            if not entry & (SegmentEntry.INVALID | SegmentEntry.FORMAT):
                page_at = (entry & SEGMENT_PAGE_TABLE) + (page >> 12 & 0xFF) * 8
                self._set(page_at, PageEntry.INVALID)
        self._changed()

    def discard(self, guest: int, size: int = PAGE_SIZE) -> None:
        """Give pages back: they read as zeros when they are next used. ref: DIAG release pages."""
        guest, end = guest & -PAGE_SIZE, guest + size
        self.unmap(guest, end - guest)
        while guest < end:
            slot = self.slot(guest)
            part = min(end - guest, SEGMENT_SIZE)
            if slot is not None:
                part = min(part, slot.guest + slot.size - guest)
                self.storage.write(slot.host + guest - slot.guest, bytes(part))
            guest += part

    def _changed(self) -> None:
        self.generation += 1
        self._purge()
