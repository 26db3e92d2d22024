"""Programs for Linux on x86-64 in assembly: as executables, and in an initramfs."""

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path

from initramfs import CpioEntry, newc_archive

from worldswitch.lab.x86_assembler import assemble

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


def with_programs(archive: Path, programs: Mapping[str, bytes], folder: Path) -> Path:
    """A copy of an initramfs, in `folder`, that has the programs in its root."""
    base = archive.read_bytes()
    files = [CpioEntry(name, 0o100755, program) for name, program in programs.items()]
    made = folder / "initrd"
    made.write_bytes(base + bytes(-len(base) % 4) + gzip.compress(newc_archive(files)))
    return made
