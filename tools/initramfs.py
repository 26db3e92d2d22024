"""The guests' initramfs, byte for byte the same for the same busybox and init script."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GUEST_FILES = Path(__file__).resolve().parent.parent / "guests" / "linux"
INIT_SCRIPT = GUEST_FILES / "init"
APPLETS = GUEST_FILES / "applets"
IMAGE_MTIME = 1_700_000_000


@dataclass(frozen=True)
class CpioEntry:
    """One member of a newc archive; `mode` includes the file type."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def newc_archive(entries: Sequence[CpioEntry]) -> bytes:
    """A cpio archive in the newc format (the kernel's Documentation/driver-api/early-userspace)."""
    out = bytearray()
    trailer = CpioEntry("TRAILER!!!", 0)
    for number, entry in enumerate([*entries, trailer], start=1):
        last = entry is trailer
        name = entry.name.encode() + b"\0"
        directory = entry.mode & 0o170000 == 0o040000
        values = (
            0 if last else number,
            entry.mode,
            0,
            0,
            2 if directory else 1,
            0 if last else IMAGE_MTIME,
            len(entry.data),
            0,
            0,
            *entry.device,
            len(name),
            0,
        )
        out += b"070701" + b"".join(b"%08X" % value for value in values) + name
        out += bytes(-len(out) % 4)
        out += entry.data
        out += bytes(-len(out) % 4)
    out += bytes(-len(out) % 512)
    return bytes(out)


def initramfs(busybox: bytes, init: bytes, applets: Sequence[str]) -> bytes:
    """A gzipped initramfs with busybox, a link per applet, the init script and two device nodes."""
    folders = ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp"]
    entries = [
        *(CpioEntry(name, 0o040755) for name in folders),
        CpioEntry("dev/console", 0o020600, device=(5, 1)),
        CpioEntry("dev/null", 0o020666, device=(1, 3)),
        CpioEntry("bin/busybox", 0o100755, busybox),
        *(CpioEntry(f"bin/{name}", 0o120777, b"busybox") for name in applets),
        CpioEntry("init", 0o100755, init),
    ]
    return gzip.compress(newc_archive(entries), compresslevel=9, mtime=0)
