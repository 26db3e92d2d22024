"""ELF files, as far as loaders need them: the header and the program headers.

A file is hostile: every offset and length is checked before it is used, and a damaged one raises
ImageError.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worldswitch.machine.image import ImageError
from worldswitch.machine.x86.loader.entry import Placement

ELF_MAGIC = b"\x7fELF"
LITTLE_ENDIAN = 1
PT_LOAD, PT_NOTE = 1, 4
MOST_HEADERS = 512
MACHINES = {3: "x86 (32-bit)", 22: "s390x", 40: "arm", 62: "x86-64", 183: "arm64", 243: "RISC-V"}
OURS = frozenset({3, 62})


@dataclass(frozen=True)
class Segment:
    """A program header. Addresses are physical."""

    type: int
    offset: int
    address: int
    file_size: int
    memory_size: int
    alignment: int


class Elf:
    """An ELF program for x86; `bits` is 32 or 64."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data = path, data
        if len(data) < 52 or (data[4] == 2 and len(data) < 64):
            raise ImageError(f"{path} is truncated in its ELF header. Copy it again.")
        if data[4] not in (1, 2) or data[5] not in (1, 2):
            raise self._damaged("its class or byte order has no meaning")
        self.bits = 32 * data[4]
        order = "<" if data[5] == LITTLE_ENDIAN else ">"
        (machine,) = struct.unpack_from(f"{order}H", data, 18)
        if machine not in OURS or order == ">":
            name = MACHINES.get(machine, f"machine {machine}")
            raise ImageError(
                f"{path} is an ELF file for {name}; this machine runs x86. Give one for x86."
            )
        if self.bits == 64:
            self.entry, at = struct.unpack_from("<QQ", data, 24)
            size, count = struct.unpack_from("<HH", data, 54)
        else:
            self.entry, at = struct.unpack_from("<II", data, 24)
            size, count = struct.unpack_from("<HH", data, 42)
        self.segments = list(self._segments(at, size, count))

    def _damaged(self, why: str) -> ImageError:
        return ImageError(f"{self.path} is a damaged ELF file: {why}. Build or copy it again.")

    def _segments(self, at: int, size: int, count: int) -> Iterator[Segment]:
        if count > MOST_HEADERS:
            raise self._damaged(f"it claims {count} program headers")
        if count and size < (56 if self.bits == 64 else 32):
            raise self._damaged(f"its program headers have {size} bytes each")
        if at + size * count > len(self.data):
            raise ImageError(f"{self.path} is truncated in its program headers. Copy it again.")
        for start in range(at, at + size * count, size or 1):
            if self.bits == 64:
                fields = struct.unpack_from("<IIQQQQQQ", self.data, start)
                kind, _, offset, _, address, in_file, in_memory, alignment = fields
            else:
                fields = struct.unpack_from("<IIIIIIII", self.data, start)
                kind, offset, _, address, in_file, in_memory, _, alignment = fields
            if kind in (PT_LOAD, PT_NOTE) and offset + in_file > len(self.data):
                raise ImageError(
                    f"{self.path} is truncated: a segment lies beyond the file's end. "
                    "Copy it again."
                )
            yield Segment(kind, offset, address, in_file, in_memory, alignment)

    def content(self, segment: Segment) -> bytes:
        """What the file has of a segment."""
        return self.data[segment.offset : segment.offset + segment.file_size]

    def notes(self) -> Iterator[tuple[bytes, int, bytes]]:
        """The owner, type and content of each note."""
        for segment in self.segments:
            if segment.type != PT_NOTE:
                continue
            data = self.content(segment)
            alignment = 8 if segment.alignment == 8 else 4
            at = 0
            while at + 12 <= len(data):
                name_size, size, kind = struct.unpack_from("<III", data, at)
                name_at = at + 12
                content_at = -(-(name_at + name_size) // alignment) * alignment
                if content_at + size > len(data):
                    break
                owner = data[name_at : name_at + name_size].rstrip(b"\0")
                yield owner, kind, data[content_at : content_at + size]
                at = -(-(content_at + size) // alignment) * alignment

    def place(self, placement: Placement) -> int:
        """Place all segments; returns where the highest ends."""
        end = 0
        for segment in self.segments:
            if segment.type != PT_LOAD or not segment.memory_size:
                continue
            if segment.file_size > segment.memory_size:
                raise self._damaged("a segment has more bytes than its memory")
            placement.add(
                segment.address, self.content(segment), str(self.path), segment.memory_size
            )
            end = max(end, segment.address + segment.memory_size)
        if end == 0:
            raise ImageError(f"{self.path} has nothing to load. Link it as an executable.")
        return end

    def check_entry(self, address: int) -> None:
        """Raise ImageError unless an entry point lies in what is loaded."""
        for segment in self.segments:
            within = segment.address <= address < segment.address + segment.memory_size
            if segment.type == PT_LOAD and within:
                return
        raise ImageError(
            f"{self.path} starts at {address:#x}, where none of its segments is. Link it again."
        )
