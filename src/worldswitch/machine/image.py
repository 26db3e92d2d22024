"""What the image loaders of all architectures share: files, initial RAM disks, and refusals."""

import zlib
from dataclasses import dataclass
from pathlib import Path

CPIO = (b"070701", b"070702")
GZIP = b"\x1f\x8b"
OTHER_COMPRESSIONS = tuple(
    bytes.fromhex(magic) for magic in ("fd377a58", "28b52ffd", "425a6839", "02214c18", "04224d18")
)
"""Of xz, Zstandard, bzip2, and both forms of LZ4."""
CHUNK = 1 << 20


class ImageError(Exception):
    """An image cannot be started; the message says what to do."""


@dataclass(frozen=True)
class Module:
    """A file that a boot loader loads beside a kernel, and its own command line."""

    path: Path
    arguments: str = ""

    @classmethod
    def parse(cls, text: str) -> "Module":
        """A path and, behind the first space, arguments."""
        path, _, arguments = text.partition(" ")
        return cls(Path(path), arguments.strip())


def read_image(path: Path) -> bytes:
    """A file's content; ImageError in plain words if it cannot be read, or has no end."""
    if path.is_char_device():
        raise ImageError(f"{path} is a device, not a file. Give the path of a readable image.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}. Give the path of a readable image.") from None


def check_initrd(path: Path, data: bytes) -> None:
    """Recognize what is no cpio archive, and a compressed one that ends early."""
    if data[:2] == GZIP:
        stream = zlib.decompressobj(31)
        try:
            for start in range(0, len(data), CHUNK):
                stream.decompress(data[start : start + CHUNK])
        except zlib.error as error:
            raise ImageError(f"{path} is damaged: {error}. Make it anew.") from None
        if not stream.eof:
            raise ImageError(f"{path} is truncated: the gzip stream does not end. Copy it again.")
    elif data[:6] not in CPIO and data[:4] not in OTHER_COMPRESSIONS:
        raise ImageError(
            f"{path} is no initramfs: neither cpio nor a compressed archive. "
            "Give the initrd of the kernel's distribution, or a cpio archive."
        )
