"""A guest's physical storage as the hypervisor and the machine address it."""

from bisect import bisect_right
from dataclasses import dataclass

from worldswitch.metal.interface import HostStorage

PAGE_SIZE = 0x1000
PAGE_OFFSET = PAGE_SIZE - 1
LARGE_PAGE = 0x20_0000


class OutsideMemoryError(IndexError):
    """The guest has no storage at a guest physical address."""

    def __init__(self, address: int) -> None:
        super().__init__(f"no guest storage at {address:#x}")
        self.address = address


@dataclass(frozen=True, slots=True)
class Slot:
    """A range of guest physical storage and the host storage behind it.

    writable: False for ROM: the guest's stores are the machine's.
    """

    guest: int
    host: int
    size: int
    writable: bool = True

    @property
    def end(self) -> int:
        """The first guest physical address behind it."""
        return self.guest + self.size


class GuestMemory:
    """Reads and writes by guest physical address. Between the slots there are holes."""

    def __init__(self, host: HostStorage) -> None:
        self.host = host
        self.slots: list[Slot] = []
        """In the order of their guest addresses."""
        self._starts: list[int] = []

    @property
    def size(self) -> int:
        """One more than the highest address of storage."""
        return self.slots[-1].end if self.slots else 0

    def insert(self, slot: Slot) -> None:
        """Add a slot of whole pages; ValueError if it overlaps one."""
        if (slot.guest | slot.host | slot.size) & PAGE_OFFSET or slot.size <= 0:
            raise ValueError(f"guest storage {slot.guest:#x}+{slot.size:#x} is not whole pages")
        if any(slot.guest < s.end and s.guest < slot.end for s in self.slots):
            raise ValueError(f"guest storage {slot.guest:#x}+{slot.size:#x} overlaps what is there")
        at = bisect_right(self._starts, slot.guest)
        self.slots.insert(at, slot)
        self._starts.insert(at, slot.guest)

    def remove(self, guest: int) -> Slot:
        """Take away the slot that begins at a guest address; KeyError if none does."""
        if guest not in self._starts:
            raise KeyError(f"no guest storage begins at {guest:#x}")
        at = self._starts.index(guest)
        del self._starts[at]
        return self.slots.pop(at)

    def slot(self, address: int) -> Slot | None:
        """The slot that holds a guest physical address, or None."""
        at = bisect_right(self._starts, address) - 1
        if at < 0:
            return None
        slot = self.slots[at]
        return slot if address < slot.guest + slot.size else None

    def host_address(self, address: int) -> int | None:
        """The host address behind a guest physical address, or None."""
        slot = self.slot(address)
        return None if slot is None else slot.host + address - slot.guest

    def has(self, address: int, size: int = 1) -> bool:
        """Whether there is storage in all of a range."""
        end = address + size
        while address < end:
            slot = self.slot(address)
            if slot is None:
                return False
            address = slot.end
        return True

    def _pieces(self, address: int, size: int) -> list[tuple[int, int]]:
        pieces: list[tuple[int, int]] = []
        while size > 0:
            slot = self.slot(address)
            if slot is None:
                raise OutsideMemoryError(address)
            length = min(size, slot.end - address)
            pieces.append((slot.host + address - slot.guest, length))
            size -= length
            address += length
        return pieces

    def read(self, address: int, size: int) -> bytes:
        """Bytes from a guest physical address on; OutsideMemoryError if some are not there."""
        slot = self.slot(address)
        if slot is not None and address + size <= slot.guest + slot.size:
            return self.host.read(slot.host + address - slot.guest, size)
        return b"".join(self.host.read(host, n) for host, n in self._pieces(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Store bytes, ROM included; all or nothing."""
        done = 0
        for host, length in self._pieces(address, len(data)):
            self.host.write(host, data[done : done + length])
            done += length
