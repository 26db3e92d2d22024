"""The firmware configuration device: named data for the guest. ref: QEMU docs/specs/fw_cfg.rst."""

import struct
from enum import IntEnum, IntFlag

from worldswitch.machine.x86.bus import PortBus
from worldswitch.machine.x86.dma import Dma, DmaError

FW_CFG_PORT, FW_CFG_PORTS = 0x510, 12
DMA_PORT = 0x514
DMA_SIGNATURE = b"QEMU CFG"
FIRST_FILE = 0x20
MOST_FILES = 0x1000
NAME_SIZE = 56
KEY_MASK = 0x3FFF
"""Bits of a selector that choose an item, beside the one that says it is the architecture's."""
ARCHITECTURE = 0x8000
CHUNK = 1 << 20
"""Bytes that DMA moves at a time."""


class Key(IntEnum):
    """Items with fixed numbers."""

    SIGNATURE = 0x00
    ID = 0x01
    UUID = 0x02
    RAM_SIZE = 0x03
    NOGRAPHIC = 0x04
    CPUS = 0x05
    MAX_CPUS = 0x0F
    DIRECTORY = 0x19


class Feature(IntFlag):
    """The item ID."""

    PORTS = 1
    DMA = 2


class Control(IntFlag):
    """The first word of a DMA request, beside the item in bits 31:16."""

    ERROR = 1
    READ = 2
    SKIP = 4
    SELECT = 8
    WRITE = 16


class FwCfg:
    """A selector, a data port, and DMA."""

    def __init__(self, dma: Dma, ram_size: int, cpus: int) -> None:
        self._dma = dma
        self._items: dict[int, bytes] = {
            Key.SIGNATURE: b"QEMU",
            Key.ID: (Feature.PORTS | Feature.DMA).to_bytes(4, "little"),
            Key.UUID: bytes(16),
            Key.RAM_SIZE: ram_size.to_bytes(8, "little"),
            Key.NOGRAPHIC: (1).to_bytes(2, "little"),
            Key.CPUS: cpus.to_bytes(2, "little"),
            Key.MAX_CPUS: cpus.to_bytes(2, "little"),
        }
        self._files: dict[str, bytes] = {}
        self._refresh_directory()
        self._key = 0
        self._offset = 0
        self._address = 0

    def attach(self, ports: PortBus) -> None:
        """Answer at the usual ports."""
        ports.add(FW_CFG_PORT, 2, self, "fw_cfg", width=2)
        ports.add(DMA_PORT, 8, DmaPort(self), "fw_cfg DMA")

    def reset(self) -> None:
        """Select nothing."""
        self._key = self._offset = self._address = 0

    def add_file(self, name: str, data: bytes) -> None:
        """Offer a named file; raises ValueError if the directory cannot hold it."""
        if len(name.encode()) >= NAME_SIZE:
            raise ValueError(f"{name!r} has more than {NAME_SIZE - 1} bytes")
        if name not in self._files and len(self._files) == MOST_FILES:
            raise ValueError(f"{name!r}: there are {MOST_FILES} files already")
        self._files[name] = data
        self._refresh_directory()

    def add_item(self, key: int, data: bytes) -> None:
        """Offer an item by its number."""
        self._items[key] = data

    def _refresh_directory(self) -> None:
        listing = struct.pack(">I", len(self._files))
        for key, name in enumerate(sorted(self._files), FIRST_FILE):
            data = self._files[name]
            self._items[key] = data
            listing += struct.pack(f">IHH{NAME_SIZE}s", len(data), key, 0, name.encode())
        self._items[Key.DIRECTORY] = listing

    # --- ports -------------------------------------------------------------------------------

    def _take(self, size: int) -> bytes:
        """The next bytes of the selected item; zeros behind its end."""
        item = self._items.get(self._key, b"")
        data = item[self._offset : self._offset + size]
        self._offset = min(self._offset + size, len(item))
        return data.ljust(size, b"\0")

    def _select(self, key: int) -> None:
        self._key = key & (KEY_MASK | ARCHITECTURE)
        self._offset = 0

    def read(self, offset: int, size: int) -> int:
        """A byte of the selected item at the data port; the selector reads as zero."""
        return self._take(1)[0] if offset == 1 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Select an item. Data cannot be written."""
        if offset == 0 and size == 2:
            self._select(value)

    def read_dma(self, offset: int, size: int) -> int:
        """The DMA register reads as a signature that tells it exists."""
        return int.from_bytes(DMA_SIGNATURE[offset : offset + size], "little")

    def write_dma(self, offset: int, size: int, value: int) -> None:
        """A half of the request's address, most significant byte first; the second half starts."""
        if size != 4:
            return
        half = int.from_bytes(value.to_bytes(4, "little"), "big")
        if offset == 0:
            self._address = half << 32
        else:
            address, self._address = self._address | half, 0
            self._run(address)

    def _run(self, address: int) -> None:
        """Do what the request at an address says, and leave the outcome in its first word."""
        try:
            control, length, target = struct.unpack(">IIQ", self._dma.read(address, 16))
            failed = self._transfer(control, length, target)
            self._dma.write(address, (Control.ERROR if failed else 0).to_bytes(4, "big"))
        except DmaError:
            return  # there is nowhere to put the outcome

    def _transfer(self, control: int, length: int, target: int) -> bool:
        """Whether the request failed."""
        if control & Control.SELECT:
            self._select(control >> 16)
        if control & Control.READ:
            try:
                self._dma.check(target, length)
            except DmaError:
                return True
            for at in range(0, length, CHUNK):
                self._dma.write(target + at, self._take(min(CHUNK, length - at)))
        elif control & Control.WRITE:
            return True
        elif control & Control.SKIP:
            item = self._items.get(self._key, b"")
            self._offset = min(self._offset + length, len(item))
        return False


class DmaPort:
    """The DMA address register on the bus."""

    def __init__(self, device: FwCfg) -> None:
        self._device = device

    def read(self, offset: int, size: int) -> int:
        """The signature."""
        return self._device.read_dma(offset, size)

    def write(self, offset: int, size: int, value: int) -> None:
        """Half of an address."""
        self._device.write_dma(offset, size, value)
