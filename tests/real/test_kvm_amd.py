"""An unmodified Debian kernel's own kvm-amd, on the modelled SVM: `--hypervisor none`."""

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.semantics.x86.assembler import assemble

Images = Callable[[str], Path]
SOURCE = Path(__file__).resolve().parents[1] / "guests" / "kvm_amd_user.s"
HEADERS = 120
BASE = 0x40_0000
X86_64, EXECUTABLE = 62, 2
IO, HLT, MMIO, SHUTDOWN = 2, 5, 6, 8
"""Exit reasons of KVM_RUN."""


def program() -> bytes:
    """The program as a static executable, whose memory is readable, writable and executable."""
    made = assemble(SOURCE.read_text(), BASE + HEADERS)
    size = HEADERS + len(made.text)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", EXECUTABLE, X86_64, 1, made.origin, 64, 0, 0,
        64, 56, 1, 0, 0, 0,
    )  # fmt: skip
    return header + struct.pack("<IIQQQQQQ", 1, 7, 0, BASE, BASE, size, size, 4096) + made.text


def member(name: str, data: bytes, mode: int) -> bytes:
    """A file of a cpio archive."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
    return b"".join(part + bytes(-len(part) % 4) for part in (head, data))


def out(port: int, size: int, data: int) -> list[int]:
    """What the program shows of an OUT."""
    return [IO, 1 | size << 8 | port << 16 | 1 << 32, data]


@pytest.mark.real
@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_kvm_amd_of_an_unmodified_kernel_runs_a_guest(
    amd64_image: Images, tmp_path: Path, kernel: str
) -> None:
    extra = member("kvm_user", program(), 0o100755) + member("TRAILER!!!", b"", 0)
    base = amd64_image(f"initramfs-{kernel}.cpio.gz").read_bytes()
    initrd = tmp_path / "initrd"
    initrd.write_bytes(base + bytes(-len(base) % 4) + gzip.compress(extra))
    line = f"console=ttyS0 quiet ws.modprobe=kvm-amd ws.run={quote('/kvm_user')}"
    command = [sys.executable, "-m", "worldswitch", "run", str(amd64_image(f"vmlinuz-{kernel}"))]
    options = ["--initrd", str(initrd), "--append", line, "--hypervisor", "none"]
    result = subprocess.run([*command, *options], capture_output=True, timeout=600, check=False)
    text = result.stdout.decode(errors="replace")
    assert result.returncode == 0, result.stderr.decode()
    assert "MODPROBE" not in text, text
    assert "WORLDSWITCH-GUEST-STATUS 0" in text, text
    lines = [line[4:20] for line in text.splitlines() if line.startswith("KVM ")]
    machine, region, cpu, *results = (int(line, 16) for line in lines)
    assert 3 < machine < cpu < 10
    assert (region, results[:4]) == (0, [0, 0, 0, 0])
    real_mode = [
        *out(0x10, 1, 0x42),
        *(MMIO, 0x20010, 1 << 32 | 1, 0x42),
        *(MMIO, 0x20020, 1),
        *out(0x11, 1, 0x77),
        *(HLT, 0x77),
    ]
    long_mode = [
        *(MMIO, 0x200010, 1 << 32 | 8, 0x1122_3344_5566_7788),
        *out(0x1234, 4, 5050),
        *(HLT, 0x500),
        SHUTDOWN,
    ]
    assert results[4:] == [*real_mode, 0, 0, *long_mode], text
