"""Images that an s390 machine starts: Linux kernels, ELF programs, raw images."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from worldswitch.machine.image import ImageError, check_initrd, read_image
from worldswitch.machine.s390x.sclp import Memory

LINUX_ENTRY = 0x10000
LINUX_MAGIC = (0x10008, b"S390EP")
LINUX_INITRD = 0x10408
"""Address, then size, of the initial RAM disk: two doublewords."""
LINUX_COMMAND_LINE = 0x10480
LINUX_COMMAND_LINE_SIZE = 0x10430
"""Doubleword with the command line's room, 0 in kernels before 5.17."""
OLD_COMMAND_LINE = 896
INITRD_LOWEST = 0x800000
INITRD_GAP = 0x100000
PSW_64BIT = 0x0000_0001_8000_0000
ELF_MACHINES = {"EM_X86_64": "x86-64", "EM_AARCH64": "arm64", "EM_386": "x86 (32-bit)"}


@dataclass(frozen=True)
class Boot:
    """What starts: PSW of the first processor, and what the image is."""

    psw: tuple[int, int]
    kind: str


def load(storage: Memory, kernel: Path, initrd: Path | None, append: str) -> Boot:
    """Put an image into storage; raises ImageError."""
    data = read_image(kernel)
    offset, magic = LINUX_MAGIC
    if data[offset : offset + len(magic)] == magic:
        return _load_linux(storage, kernel, data, initrd, append)
    if data[:4] == b"\x7fELF":
        if initrd is not None:
            raise ImageError(f"{kernel} is an ELF program, which takes no --initrd. Leave it out.")
        return _load_elf(storage, kernel, data)
    raise ImageError(
        f"{kernel} is neither a Linux kernel for s390x (no S390EP mark at 0x10008) nor an ELF "
        "program. Give the vmlinuz of an s390x kernel package, or an s390x ELF file."
    )


def _place(storage: Memory, address: int, data: bytes, what: str) -> None:
    if address + len(data) > storage.size:
        need = -(-(address + len(data)) // (1 << 20))
        raise ImageError(
            f"{what} needs {need} MiB of memory and there are {storage.size >> 20}. "
            f"Say -m {max(128, need + 64)}M."
        )
    storage.write(address, data)


def _load_linux(
    storage: Memory, kernel: Path, data: bytes, initrd: Path | None, append: str
) -> Boot:
    _place(storage, 0, data, str(kernel))
    if initrd is not None:
        disk = read_image(initrd)
        check_initrd(initrd, disk)
        address = INITRD_LOWEST
        while len(data) + INITRD_GAP > address:
            address += INITRD_GAP
        _place(storage, address, disk, str(initrd))
        storage.write(LINUX_INITRD, address.to_bytes(8, "big") + len(disk).to_bytes(8, "big"))
    room = int.from_bytes(storage.read(LINUX_COMMAND_LINE_SIZE, 8), "big") or OLD_COMMAND_LINE
    line = append.encode("ascii", "replace") + b"\0"
    if len(line) > room:
        raise ImageError(f"--append has {len(line) - 1} characters; the kernel takes {room - 1}.")
    storage.write(LINUX_COMMAND_LINE, line)
    return Boot((PSW_64BIT, LINUX_ENTRY), "Linux")


def _load_elf(storage: Memory, kernel: Path, data: bytes) -> Boot:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(BytesIO(data))
        machine = elf.header.e_machine
        if machine != "EM_S390" or elf.elfclass != 64:
            name = ELF_MACHINES.get(machine, machine)
            raise ImageError(
                f"{kernel} is an ELF file for {name}; this machine runs s390x. Give one for s390x."
            )
        segments = [s for s in elf.iter_segments() if s.header.p_type == "PT_LOAD"]
        for segment in segments:
            content = segment.data()
            if len(content) != segment.header.p_filesz:
                raise ImageError(f"{kernel} is truncated: a segment lies beyond the file's end.")
            size = max(segment.header.p_memsz, len(content))
            if size > storage.size:
                raise ImageError(f"{kernel} has a segment of {size >> 20} MiB; give -m more.")
            _place(storage, segment.header.p_paddr, content.ljust(size, b"\0"), str(kernel))
        if not segments:
            raise ImageError(f"{kernel} has nothing to load. Link it as an executable.")
        return Boot((PSW_64BIT, elf.header.e_entry), "ELF")
    except (ELFError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ImageError(f"{kernel} is a damaged ELF file: {error}.") from None
