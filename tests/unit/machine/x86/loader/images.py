"""Small images of each kind that the PC's loaders take."""

import struct
from collections.abc import Sequence
from pathlib import Path

from worldswitch.machine.image import Module
from worldswitch.machine.x86.acpi_tables import build
from worldswitch.machine.x86.loader import Entry, Platform, load

MEBIBYTE = 1 << 20
KERNEL_ADDRESS = 0x100_0000
MULTIBOOT = 0x1BAD_B002


def bzimage(**changes: int) -> bytes:
    """A bzImage with one setup sector and 2 KiB of kernel; `changes` are header fields."""
    fields = {
        "setup_sects": 1, "syssize": 128, "boot_flag": 0xAA55, "jump": 0x62EB, "version": 0x020F,
        "initrd_max": 0x7FFF_FFFF, "xloadflags": 0x3F, "command_line_size": 2047,
        "preferred": KERNEL_ADDRESS, "init_size": 4 * MEBIBYTE, **changes,
    }  # fmt: skip
    image = bytearray(1024 + 2048)
    image[:2] = b"MZ"
    image[0x202:0x206] = b"HdrS"
    for form, offset, name in (
        ("<B", 0x1F1, "setup_sects"), ("<I", 0x1F4, "syssize"), ("<H", 0x1FE, "boot_flag"),
        ("<H", 0x200, "jump"), ("<H", 0x206, "version"), ("<I", 0x22C, "initrd_max"),
        ("<H", 0x236, "xloadflags"), ("<I", 0x238, "command_line_size"),
        ("<Q", 0x258, "preferred"), ("<I", 0x260, "init_size"),
    ):  # fmt: skip
        struct.pack_into(form, image, offset, fields[name])
    image[1024:] = bytes(range(256)) * 8
    return bytes(image)


def note(owner: bytes, kind: int, content: bytes) -> bytes:
    """An ELF note."""
    padded = [part + bytes(-len(part) % 4) for part in (owner + b"\0", content)]
    return struct.pack("<III", len(owner) + 1, len(content), kind) + b"".join(padded)


def elf(
    text: bytes = b"\xf4" * 32,
    bits: int = 64,
    address: int = 0x20_0000,
    notes: bytes = b"",
    entry: int | None = None,
    memory_size: int | None = None,
    machine: int = 62,
) -> bytes:
    """An ELF program with one segment to load, and one of notes if there are any."""
    wide = bits == 64
    head, step = (64, 56) if wide else (52, 32)
    count = 2 if notes else 1
    start = head + step * count
    entry = address if entry is None else entry
    memory_size = len(text) if memory_size is None else memory_size
    identity = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    form = "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH"
    made = identity + struct.pack(
        form, 2, machine, 1, entry, head, 0, 0, head, step, count, 0, 0, 0
    )
    for kind, offset, size, total, at in (
        (1, start, len(text), memory_size, address),
        (4, start + len(text), len(notes), len(notes), 0),
    )[:count]:
        if wide:
            made += struct.pack("<IIQQQQQQ", kind, 7, offset, at, at, size, total, 4)
        else:
            made += struct.pack("<IIIIIIII", kind, offset, at, at, size, total, 7, 4)
    return made + text + notes


def pvh(entry: int = 0x20_0000, bits: int = 64, **options: int) -> bytes:
    """An ELF kernel with a PVH note."""
    content = entry.to_bytes(8, "little")
    notes = note(b"Linux", 1, b"xyz") + note(b"Xen", 18, content)
    return elf(bits=bits, notes=notes, **options)


def multiboot_header(flags: int = 3, *addresses: int) -> bytes:
    """A multiboot header with its checksum."""
    check = -(MULTIBOOT + flags) & 0xFFFF_FFFF
    return struct.pack(f"<III{len(addresses)}I", MULTIBOOT, flags, check, *addresses)


def boot_sector() -> bytes:
    """A sector that halts."""
    return b"\xf4".ljust(510, b"\0") + b"\x55\xaa"


def start(
    folder: Path,
    image: bytes,
    initrd: bytes | None = None,
    append: str = "",
    memory: int = 64 * MEBIBYTE,
    modules: Sequence[Module] = (),
) -> Entry:
    """Load an image from a file."""
    path = folder / "kernel"
    path.write_bytes(image)
    disk = None
    if initrd is not None:
        disk = folder / "initrd"
        disk.write_bytes(initrd)
    return load(path, disk, append, Platform(memory, build(range(1))), modules)


class Memory:
    """Guest memory as a dictionary of pages, so that tests need no gigabytes."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}

    def write(self, address: int, data: bytes) -> None:
        for at, byte in enumerate(data, address):
            self.pages.setdefault(at >> 12, bytearray(b"\xcc" * 4096))[at & 0xFFF] = byte

    def read(self, address: int, size: int) -> bytes:
        return bytes(
            self.pages[at >> 12][at & 0xFFF] if at >> 12 in self.pages else 0xCC
            for at in range(address, address + size)
        )

    def number(self, address: int, size: int) -> int:
        return int.from_bytes(self.read(address, size), "little")

    def text(self, address: int) -> str:
        found = bytearray()
        while byte := self.read(address + len(found), 1)[0]:
            found.append(byte)
        return found.decode()


def placed(entry: Entry) -> Memory:
    """Memory with all parts of an image."""
    memory = Memory()
    entry.place(memory)
    return memory
