"""Linux bzImages, by the 64-bit boot protocol.

ref: Linux Documentation/arch/x86/boot.rst and zero-page.rst.
"""

import struct
from pathlib import Path

from worldswitch.machine.image import ImageError, check_initrd, read_image
from worldswitch.machine.x86.layout import Range
from worldswitch.machine.x86.loader.entry import (
    CODE_64,
    PAGE,
    Entry,
    Part,
    Placement,
    Platform,
    long64,
)

# Offsets in the setup header, which are the same in the file and in the zero page.
SETUP_SECTS, SYSSIZE, BOOT_FLAG, JUMP, MAGIC, VERSION = 0x1F1, 0x1F4, 0x1FE, 0x200, 0x202, 0x206
LOADER, RAMDISK, COMMAND_LINE, INITRD_MAX = 0x210, 0x218, 0x228, 0x22C
RELOCATABLE, XLOADFLAGS, COMMAND_LINE_SIZE = 0x234, 0x236, 0x238
PREFERRED, INIT_SIZE, HEADER_KNOWN = 0x258, 0x260, 0x264
# Offsets of what else is in the zero page.
ACPI_RSDP, E820_ENTRIES, E820_TABLE = 0x070, 0x1E8, 0x2D0

BOOT_MAGIC, HEADER_MAGIC = 0xAA55, b"HdrS"
OLDEST_VERSION = 0x020C
"""The first that says whether there is a 64-bit entry point: Linux 3.8."""
XLF_KERNEL_64 = 1
UNKNOWN_LOADER = 0xFF
SECTOR = 512
PARAGRAPH = 16
ENTRY_64 = 0x200
PRESENT_WRITABLE, LARGE = 3, 0x80
GIGABYTES_MAPPED = 4


def is_linux(data: bytes) -> bool:
    """Whether a file has the header of a Linux kernel."""
    return data[MAGIC : MAGIC + 4] == HEADER_MAGIC and data[
        BOOT_FLAG : BOOT_FLAG + 2
    ] == BOOT_MAGIC.to_bytes(2, "little")


class Header:
    """The setup header of a bzImage; raises ImageError if it cannot be started."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.data = data
        if len(data) < HEADER_KNOWN:
            raise ImageError(f"{path} is truncated in its setup header. Copy it again.")
        self.version = self._field("<H", VERSION)
        if self.version < OLDEST_VERSION:
            raise ImageError(
                f"{path} is a Linux kernel with boot protocol {self.version >> 8}."
                f"{self.version & 0xFF:02}, from before Linux 3.8. Give a newer one."
            )
        if not self._field("<H", XLOADFLAGS) & XLF_KERNEL_64:
            raise ImageError(
                f"{path} is a 32-bit Linux kernel, with no 64-bit entry point. "
                "Give the vmlinuz of an amd64 kernel package."
            )
        self.end = MAGIC + data[JUMP + 1]
        """End of the header, by its own account."""
        setup = ((data[SETUP_SECTS] or 4) + 1) * SECTOR
        size = self._field("<I", SYSSIZE) * PARAGRAPH
        self.kernel = data[setup : setup + size]
        """The part that runs in protected mode, where its 64-bit entry point is at 200h."""
        if len(self.kernel) <= size - PARAGRAPH or len(self.kernel) <= ENTRY_64:
            raise ImageError(
                f"{path} is truncated: its header promises {setup + size} bytes and the file has "
                f"{len(data)}. Copy it again."
            )
        self.initrd_max = self._field("<I", INITRD_MAX)
        self.command_line_size = self._field("<I", COMMAND_LINE_SIZE)
        self.address = self._field("<Q", PREFERRED)
        self.init_size = max(self._field("<I", INIT_SIZE), len(self.kernel))
        """Memory from the load address on that the kernel needs before it knows its memory map."""

    def _field(self, form: str, offset: int) -> int:
        return struct.unpack_from(form, self.data, offset)[0]


def identity_tables(placement: Placement) -> int:
    """Place page tables that map the first 4 GiB to themselves; the address for CR3."""
    directories = b"".join(
        struct.pack("<Q", page << 21 | LARGE | PRESENT_WRITABLE)
        for page in range(GIGABYTES_MAPPED * 512)
    )
    first = placement.low(directories, "the page tables", PAGE)
    pointers = [first + number * PAGE | PRESENT_WRITABLE for number in range(GIGABYTES_MAPPED)]
    upper = struct.pack(f"<{GIGABYTES_MAPPED}Q", *pointers).ljust(PAGE, b"\0")
    second = placement.low(upper, "the page tables", PAGE)
    root = struct.pack("<Q", second | PRESENT_WRITABLE).ljust(PAGE, b"\0")
    return placement.low(root, "the page tables", PAGE)


def zero_page(header: Header, memory_map: list[Range], rsdp: int) -> bytearray:
    """The boot parameters: the file's header, the memory map, and the ACPI tables' pointer."""
    page = bytearray(PAGE)
    page[SETUP_SECTS : header.end] = header.data[SETUP_SECTS : header.end]
    page[LOADER] = UNKNOWN_LOADER
    page[E820_ENTRIES] = len(memory_map)
    struct.pack_into("<Q", page, ACPI_RSDP, rsdp)
    for number, part in enumerate(memory_map):
        at = E820_TABLE + 20 * number
        struct.pack_into("<QQI", page, at, part.start, part.size, part.type)
    return page


def load_linux(
    path: Path, data: bytes, initrd: Path | None, append: str, platform: Platform
) -> Entry:
    """A bzImage ready to start at its 64-bit entry point; raises ImageError."""
    header = Header(path, data)
    placement = Placement(platform)
    kernel = Part(header.address, header.kernel, header.init_size, str(path), cleared=False)
    placement.add_part(kernel)
    gdt = placement.gdt(CODE_64)
    page = zero_page(header, placement.map, platform.tables.rsdp)
    room = header.command_line_size
    line = append.encode("utf-8", "replace")
    if len(line) > room:
        raise ImageError(f"--append has {len(line)} bytes; the kernel takes {room}. Shorten it.")
    struct.pack_into("<I", page, COMMAND_LINE, placement.text(append, "the command line"))
    if initrd is not None:
        disk = read_image(initrd)
        check_initrd(initrd, disk)
        # The kernel unpacks itself between its load address and this floor.
        floor = header.address + header.init_size
        address = placement.high(disk, str(initrd), header.initrd_max + 1, floor)
        struct.pack_into("<II", page, RAMDISK, address, len(disk))
    root = identity_tables(placement)
    parameters = placement.low(bytes(page), "the boot parameters", PAGE)
    registers = long64(gdt, header.address + ENTRY_64, parameters, root)
    return Entry("Linux", tuple(placement.parts), registers)
