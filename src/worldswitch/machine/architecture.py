"""Which architecture an image is for."""

from pathlib import Path
from typing import Literal

from worldswitch.machine.image import ImageError, read_image

Architecture = Literal["s390x", "x86"]
S390_MARK = (0x10008, b"S390EP")
BZIMAGE_MARK = (0x202, b"HdrS")
BOOT_SECTOR_MARK = (510, b"\x55\xaa")
ELF_MARK = b"\x7fELF"
ELF_MACHINES: dict[int, Architecture] = {22: "s390x", 62: "x86", 3: "x86"}
ELF_OTHERS = {183: "arm64", 40: "arm (32-bit)", 243: "RISC-V", 21: "64-bit PowerPC"}
MULTIBOOT_MARK, MULTIBOOT_RANGE = (0x1BADB002).to_bytes(4, "little"), 8192


def architecture_of(path: Path) -> Architecture:
    """The architecture that an image is for; raises ImageError if its content does not tell."""
    data = read_image(path)
    if _marked(data, S390_MARK):
        return "s390x"
    if _marked(data, BZIMAGE_MARK):
        return "x86"
    if data[:4] == ELF_MARK and len(data) >= 20:
        return _elf_architecture(path, data)
    if MULTIBOOT_MARK in data[:MULTIBOOT_RANGE]:
        return "x86"
    if _marked(data, BOOT_SECTOR_MARK):
        return "x86"
    raise ImageError(
        f"{path} is no image that can be started: neither a Linux kernel (s390x or x86), nor an "
        "ELF program, a multiboot image or a boot sector. Give the vmlinuz of a kernel package."
    )


def _marked(data: bytes, mark: tuple[int, bytes]) -> bool:
    offset, text = mark
    return data[offset : offset + len(text)] == text


def _elf_architecture(path: Path, data: bytes) -> Architecture:
    order: Literal["little", "big"] = "big" if data[5] == 2 else "little"
    machine = int.from_bytes(data[18:20], order)
    if machine in ELF_MACHINES:
        return ELF_MACHINES[machine]
    name = ELF_OTHERS.get(machine, f"machine number {machine}")
    raise ImageError(f"{path} is an ELF file for {name}. Give one for s390x or x86.")
