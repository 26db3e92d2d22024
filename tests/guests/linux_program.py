"""Programs for Linux on x86-64 in assembly: as executables, and in an initramfs."""

import gzip
import struct
from pathlib import Path

from initramfs import CpioEntry, newc_archive

from tests.semantics.x86.assembler import assemble

HEADERS = 120
BASE = 0x40_0000
X86_64, EXECUTABLE = 62, 2


def executable(source: Path) -> bytes:
    """A static executable, whose memory is readable, writable and executable."""
    made = assemble(source.read_text(), BASE + HEADERS)
    size = HEADERS + len(made.text)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", EXECUTABLE, X86_64, 1, made.origin, 64, 0, 0,
        64, 56, 1, 0, 0, 0,
    )  # fmt: skip
    return header + struct.pack("<IIQQQQQQ", 1, 7, 0, BASE, BASE, size, size, 4096) + made.text


def with_program(archive: Path, name: str, program: bytes, folder: Path) -> Path:
    """A copy of an initramfs that has the program in its root, in `folder`."""
    base = archive.read_bytes()
    more = gzip.compress(newc_archive([CpioEntry(name, 0o100755, program)]))
    made = folder / "initrd"
    made.write_bytes(base + bytes(-len(base) % 4) + more)
    return made
