"""A guest's absolute storage as the hypervisor and the machine address it."""

from worldswitch.hypervisor.sie.gmap import GuestMap
from worldswitch.metal.interface import KeyedStorage


class OutsideStorageError(IndexError):
    """The guest has no storage at an absolute address: an addressing exception if it asked."""

    def __init__(self, address: int) -> None:
        super().__init__(f"no guest storage at {address:#x}")
        self.address = address


class GuestStorage:
    """Reads, writes and storage keys by guest absolute address.

    Raises OutsideStorageError outside the guest's storage, and SecureStorageAccess for pages of a
    protected guest that are not shared.
    """

    def __init__(self, host: KeyedStorage, gmap: GuestMap, size: int) -> None:
        self._host = host
        self._gmap = gmap
        self.size = size
        """One more than the highest absolute address."""

    def has(self, address: int, size: int = 1) -> bool:
        """Whether the guest has storage in all of a range."""
        end = address + size
        while address < end:
            slot = self._gmap.slot(address)
            if slot is None:
                return False
            address = slot.guest + slot.size
        return True

    def _pieces(self, address: int, size: int) -> list[tuple[int, int]]:
        """Host addresses and lengths of a range."""
        pieces: list[tuple[int, int]] = []
        while True:
            slot = self._gmap.slot(address)
            if slot is None:
                raise OutsideStorageError(address)
            length = min(size, slot.guest + slot.size - address)
            pieces.append((slot.host + address - slot.guest, length))
            size -= length
            address += length
            if size <= 0:
                return pieces

    def read(self, address: int, size: int) -> bytes:
        """Bytes from an absolute address on."""
        return b"".join(self._host.read(host, n) for host, n in self._pieces(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Store bytes from an absolute address on; all or nothing."""
        done = 0
        for host, length in self._pieces(address, len(data)):
            self._host.write(host, data[done : done + length])
            done += length

    def get_key(self, address: int) -> int:
        """Storage key of a page: ACC in bits 0-3, then F, R, C."""
        return self._host.get_key(self._pieces(address, 1)[0][0])

    def set_key(self, address: int, key: int) -> None:
        """Set the storage key of a page."""
        self._host.set_key(self._pieces(address, 1)[0][0], key)
