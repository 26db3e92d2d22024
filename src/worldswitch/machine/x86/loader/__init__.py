"""Images that a PC starts: recognised by their content, refused with what to do instead."""

from collections.abc import Sequence
from pathlib import Path

from worldswitch.machine.image import GZIP, OTHER_COMPRESSIONS, ImageError, Module, read_image
from worldswitch.machine.x86.loader.bootsector import is_boot_sector, load_boot_sector
from worldswitch.machine.x86.loader.elf import ELF_MAGIC, Elf
from worldswitch.machine.x86.loader.entry import Entry, Mode, Part, Platform, Registers
from worldswitch.machine.x86.loader.linux import is_linux, load_linux
from worldswitch.machine.x86.loader.multiboot import Wanted, find_header, load_multiboot
from worldswitch.machine.x86.loader.pvh import load_pvh

__all__ = ["Entry", "ImageError", "Mode", "Part", "Platform", "Registers", "load"]

DOS_MAGIC = b"MZ"
"""What a Linux kernel begins with, being an EFI program as well."""


def load(
    kernel: Path,
    initrd: Path | None,
    append: str,
    platform: Platform,
    modules: Sequence[Module] = (),
) -> Entry:
    """An image ready to start; raises ImageError.

    initrd: the initial RAM disk of Linux, or the first module of a multiboot or PVH kernel.
    append: the command line. modules: of such a kernel the others.
    """
    data = read_image(kernel)
    if is_linux(data):
        if modules:
            raise ImageError(
                f"{kernel} is a Linux bzImage, which takes no --module. Give --initrd, or a "
                "multiboot or PVH kernel."
            )
        return load_linux(kernel, data, initrd, append, platform)
    if initrd is not None:
        modules = (Module(initrd), *modules)
    header = find_header(data)
    if data[:4] == ELF_MAGIC:
        elf = Elf(kernel, data)
        if header is not None and (elf.bits == 32 or header.flags & Wanted.ADDRESSES):
            return load_multiboot(kernel, data, modules, append, platform)
        return load_pvh(kernel, elf, modules, append, platform)
    if header is not None:
        return load_multiboot(kernel, data, modules, append, platform)
    if is_boot_sector(data):
        return _boot_sector(kernel, data, modules, append, platform)
    if data[:2] == GZIP or data[:4] in OTHER_COMPRESSIONS:
        raise ImageError(f"{kernel} is compressed. Unpack it first, and give what is inside.")
    raise ImageError(
        f"{kernel} is nothing that a PC starts: no Linux bzImage, no ELF kernel with a PVH entry "
        "point, no multiboot kernel, no boot sector. Give one of these."
    )


def _boot_sector(
    kernel: Path, data: bytes, modules: Sequence[Module], append: str, platform: Platform
) -> Entry:
    if data[:2] == DOS_MAGIC:
        raise ImageError(
            f"{kernel} looks like a Linux kernel or EFI program whose header is cut off or "
            "damaged. Copy it again."
        )
    for option, given in (("--initrd", bool(modules)), ("--append", bool(append))):
        if given:
            raise ImageError(f"{kernel} is a boot sector, which takes no {option}. Leave it out.")
    return load_boot_sector(data, platform)
