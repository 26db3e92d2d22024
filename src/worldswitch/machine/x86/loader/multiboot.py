"""Multiboot kernels: 32-bit ELF, or any file whose header says where it goes.

ref: Multiboot Specification 0.6.96.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path

from worldswitch.machine.image import ImageError, Module, read_image
from worldswitch.machine.x86.layout import EBDA, KIBIBYTE, MEBIBYTE, RangeType
from worldswitch.machine.x86.loader.elf import ELF_MAGIC, Elf
from worldswitch.machine.x86.loader.entry import (
    CODE_32,
    PAGE,
    Entry,
    Placement,
    Platform,
    protected32,
)

HEADER_MAGIC, LOADER_MAGIC = 0x1BAD_B002, 0x2BAD_B002
SEARCHED = 8192
LOADER_NAME = "Worldswitch"


class Wanted(IntFlag):
    """What a header asks for; of bits 15:0 a loader has to know all."""

    PAGE_ALIGNED = 1 << 0
    MEMORY = 1 << 1
    VIDEO = 1 << 2  # UNMODELLED: there is no display, so no mode is reported
    ADDRESSES = 1 << 16


KNOWN = int(Wanted.PAGE_ALIGNED | Wanted.MEMORY | Wanted.VIDEO)
REQUIREMENTS = 0xFFFF


class Given(IntFlag):
    """Which fields of the information structure are valid."""

    MEMORY = 1 << 0
    COMMAND_LINE = 1 << 2
    MODULES = 1 << 3
    MEMORY_MAP = 1 << 6
    LOADER_NAME = 1 << 9


@dataclass(frozen=True)
class Header:
    """A multiboot header, at `offset` in its file."""

    offset: int
    flags: int


def find_header(data: bytes) -> Header | None:
    """The first multiboot header in a file; None: it has none."""
    for offset in range(0, min(len(data), SEARCHED) - 11, 4):
        magic, flags, check = struct.unpack_from("<III", data, offset)
        if magic == HEADER_MAGIC and (magic + flags + check) & 0xFFFF_FFFF == 0:
            return Header(offset, flags)
    return None


def place_by_header(
    path: Path, data: bytes, header: Header, placement: Placement
) -> tuple[int, int]:
    """Place an image by the addresses in its header; its entry point and its end."""
    if len(data) < header.offset + 32:
        raise ImageError(f"{path} is truncated in its multiboot header. Copy it again.")
    own, load, load_end, bss_end, entry = struct.unpack_from("<5I", data, header.offset + 12)
    start = header.offset - (own - load)
    if own < load or start < 0:
        raise ImageError(
            f"{path} has a multiboot header at {own:#x}, outside of what it loads at {load:#x}. "
            "Correct its header_addr and load_addr."
        )
    size = load_end - load if load_end else len(data) - start
    total = bss_end - load if bss_end else size
    if size <= 0 or total < size:
        raise ImageError(
            f"{path} has a multiboot header whose addresses are out of order. "
            "Correct its load_end_addr and bss_end_addr."
        )
    content = data[start : start + size]
    if len(content) < size:
        raise ImageError(
            f"{path} is truncated: its multiboot header promises {start + size} bytes and the "
            f"file has {len(data)}. Copy it again."
        )
    if not load <= entry < load + total:
        raise ImageError(
            f"{path} starts at {entry:#x}, which it does not load. Correct its entry_addr."
        )
    placement.add(load, content, str(path), total)
    return entry, load + total


def place_kernel(path: Path, data: bytes, header: Header, placement: Placement) -> tuple[int, int]:
    """Place the kernel; its entry point and its end."""
    if header.flags & Wanted.ADDRESSES:
        return place_by_header(path, data, header, placement)
    if data[:4] != ELF_MAGIC:
        raise ImageError(
            f"{path} has a multiboot header without load addresses and is no ELF file. "
            "Set bit 16 of its flags and give the addresses, or link it as ELF."
        )
    elf = Elf(path, data)
    elf.check_entry(elf.entry)
    end = elf.place(placement)
    return elf.entry, end


def place_modules(modules: Sequence[Module], end: int, placement: Placement) -> int:
    """Place modules at page boundaries behind the kernel; the address of their list, 0 for none."""
    listing = b""
    for module in modules:
        content = read_image(module.path)
        at = -(-max(end, MEBIBYTE) // PAGE) * PAGE
        placement.add(at, content, str(module.path))
        end = at + len(content)
        line = f"{module.path.name} {module.arguments}".rstrip()
        listing += struct.pack("<IIII", at, end, placement.text(line, "a module's command line"), 0)
    return placement.low(listing, "the module list") if listing else 0


def load_multiboot(
    path: Path, data: bytes, modules: Sequence[Module], append: str, platform: Platform
) -> Entry:
    """A multiboot kernel ready to start; raises ImageError."""
    header = find_header(data)
    if header is None:
        raise ImageError(f"{path} has no multiboot header in its first {SEARCHED} bytes.")
    unknown = header.flags & REQUIREMENTS & ~KNOWN
    if unknown:
        raise ImageError(
            f"{path} asks for multiboot features {unknown:#06x}, which this loader does not know. "
            "Clear these flags in its header."
        )
    placement = Placement(platform)
    entry, end = place_kernel(path, data, header, placement)
    gdt = placement.gdt(CODE_32)
    listing = place_modules(modules, end, placement)
    entries = b"".join(
        struct.pack("<IQQI", 20, part.start, part.size, part.type) for part in placement.map
    )
    memory_map = placement.low(entries, "the memory map")
    usable = [part for part in placement.map if part.type is RangeType.USABLE]
    upper = next(part.size for part in usable if part.start == MEBIBYTE)
    info = bytearray(116)
    given = Given.MEMORY | Given.COMMAND_LINE | Given.MEMORY_MAP | Given.LOADER_NAME
    struct.pack_into("<III", info, 0, given | Given.MODULES, EBDA // KIBIBYTE, upper // KIBIBYTE)
    line = placement.text(f"{path.name} {append}".rstrip(), "the command line")
    struct.pack_into("<III", info, 16, line, len(modules), listing)
    struct.pack_into("<II", info, 44, len(entries), memory_map)
    struct.pack_into("<I", info, 64, placement.text(LOADER_NAME, "the loader's name"))
    at = placement.low(bytes(info), "the multiboot information")
    return Entry("multiboot", tuple(placement.parts), protected32(gdt, entry, LOADER_MAGIC, at))
