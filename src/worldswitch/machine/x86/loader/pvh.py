"""ELF kernels with a PVH entry point. ref: Xen docs/misc/pvh.pandoc, hvm/start_info.h."""

import struct
from collections.abc import Sequence
from pathlib import Path

from worldswitch.machine.image import ImageError, Module, read_image
from worldswitch.machine.x86.loader.elf import Elf
from worldswitch.machine.x86.loader.entry import (
    CODE_32,
    Entry,
    Placement,
    Platform,
    protected32,
)

OWNER = b"Xen"
PHYS32_ENTRY = 18
START_MAGIC = 0x336E_C578
VERSION = 1


def entry_point(elf: Elf) -> int | None:
    """The 32-bit physical entry point in the ELF notes; None: there is none."""
    for owner, kind, content in elf.notes():
        if owner == OWNER and kind == PHYS32_ENTRY and len(content) in (4, 8):
            return int.from_bytes(content, "little") & 0xFFFF_FFFF
    return None


def place_modules(modules: Sequence[Module], end: int, placement: Placement) -> int:
    """Place modules below 4 GiB, the first on top; the address of their list, 0 for none."""
    listing, top = b"", 1 << 32
    for module in modules:
        content = read_image(module.path)
        top = placement.high(content, str(module.path), top, end)
        arguments = module.arguments
        line = placement.text(arguments, "a module's command line") if arguments else 0
        listing += struct.pack("<QQQQ", top, len(content), line, 0)
    return placement.low(listing, "the module list") if listing else 0


def load_pvh(
    path: Path, elf: Elf, modules: Sequence[Module], append: str, platform: Platform
) -> Entry:
    """An ELF kernel ready to start at its PVH entry point; raises ImageError."""
    address = entry_point(elf)
    if address is None:
        raise ImageError(
            f"{path} is a {elf.bits}-bit ELF file without a PVH entry point (the ELF note "
            "XEN_ELFNOTE_PHYS32_ENTRY), so nothing says how to start it. Give a kernel that has "
            "one, a 32-bit ELF kernel with a multiboot header, or a Linux bzImage."
        )
    elf.check_entry(address)
    placement = Placement(platform)
    end = elf.place(placement)
    gdt = placement.gdt(CODE_32)
    listing = place_modules(modules, end, placement)
    line = placement.text(append, "the command line")
    ranges = b"".join(
        struct.pack("<QQII", part.start, part.size, part.type, 0) for part in placement.map
    )
    table = placement.low(ranges, "the memory map")
    info = struct.pack(
        "<IIIIQQQQII", START_MAGIC, VERSION, 0, len(modules), listing, line,
        platform.tables.rsdp, table, len(placement.map), 0,
    )  # fmt: skip
    start_info = placement.low(info, "the start info")
    return Entry("PVH", tuple(placement.parts), protected32(gdt, address, 0, start_info))
