"""What a block device keeps its sectors in."""

import errno
from pathlib import Path
from typing import BinaryIO, Protocol

from worldswitch.machine.image import ImageError

SECTOR = 512


class Disk(Protocol):
    """Bytes by their offset. Callers keep to offsets below `size`."""

    size: int
    read_only: bool

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Store bytes."""
        ...

    def flush(self) -> None:
        """Make what was stored permanent."""
        ...


class MemoryDisk:
    """A disk in the host's memory. Its content is a whole number of sectors."""

    def __init__(self, content: bytes, read_only: bool = False) -> None:
        self.content = bytearray(content.ljust(-(-len(content) // SECTOR) * SECTOR, b"\0"))
        self.size = len(self.content)
        self.read_only = read_only

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the content."""
        return bytes(self.content[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        """Change the content."""
        self.content[offset : offset + len(data)] = data

    def flush(self) -> None:
        """Memory is as permanent as it gets."""
        return


class FileDisk:
    """A raw image. Writes go to the file; raises ImageError if it is no image of a disk."""

    def __init__(self, path: Path, read_only: bool = False) -> None:
        self.read_only = read_only
        try:
            self._file: BinaryIO = path.open("rb" if read_only else "r+b", buffering=0)
            self.size = self._file.seek(0, 2)
        except OSError as error:
            advice = (
                "The guest may write to its disk: make the file writable, or give a copy"
                if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) and not read_only
                else "Give the path of a raw disk image"
            )
            raise ImageError(f"{path}: {error.strerror}. {advice}.") from None
        if self.size == 0 or self.size % SECTOR:
            self._file.close()
            raise ImageError(
                f"{path} has {self.size} bytes, which is no whole number of {SECTOR}-byte "
                "sectors. Give a raw disk image."
            )

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the file; zeros where it has been cut short."""
        self._file.seek(offset)
        found = bytearray()
        while len(found) < size and (more := self._file.read(size - len(found))):
            found += more
        return bytes(found).ljust(size, b"\0")

    def write(self, offset: int, data: bytes) -> None:
        """Store in the file."""
        self._file.seek(offset)
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def flush(self) -> None:
        """The file is written without a buffer; the host's kernel does the rest."""
        self._file.flush()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
