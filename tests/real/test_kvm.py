"""An unmodified Debian kernel's own KVM, on the modelled SIE: `--hypervisor none`."""

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from worldswitch.metal.s390x.assembler import assemble

Images = Callable[[str], Path]
SOURCE = Path(__file__).resolve().parents[1] / "guests" / "kvm_user.s"
HEADERS = 120
BASE = 0x100_0000
S390, EXECUTABLE = 22, 2
SCRIPT = "echo 1 > /proc/sys/vm/allocate_pgste\n/kvm_user"
EXIT_SIEIC = 13
"""KVM_EXIT_S390_SIEIC: an interception that is user space's."""


def program() -> bytes:
    """The program as a static executable."""
    made = assemble(SOURCE.read_text(), BASE + HEADERS)
    size = HEADERS + len(made.text)
    header = struct.pack(
        ">16sHHIQQQIHHHHHH", b"\x7fELF\x02\x02\x01", EXECUTABLE, S390, 1, made.origin, 64, 0, 0,
        64, 56, 1, 0, 0, 0,
    )  # fmt: skip
    return header + struct.pack(">IIQQQQQQ", 1, 7, 0, BASE, BASE, size, size, 4096) + made.text


def member(name: str, data: bytes, mode: int) -> bytes:
    """A file of a cpio archive."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + name.encode() + b"\0"
    return b"".join(part + bytes(-len(part) % 4) for part in (head, data))


@pytest.mark.real
@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_kvm_of_an_unmodified_kernel_runs_a_guest(
    guest_image: Images, tmp_path: Path, kernel: str
) -> None:
    extra = member("kvm.ko", guest_image(f"kvm-{kernel}.ko").read_bytes(), 0o100644)
    extra += member("kvm_user", program(), 0o100755) + member("TRAILER!!!", b"", 0)
    base = guest_image("initramfs.cpio.gz").read_bytes()
    initrd = tmp_path / "initrd"
    initrd.write_bytes(base + bytes(-len(base) % 4) + gzip.compress(extra))
    options = ["--initrd", str(initrd), "--append", f"quiet ws.run={quote(SCRIPT)}"]
    command = [sys.executable, "-m", "worldswitch", "run", str(guest_image(f"vmlinuz-{kernel}"))]
    result = subprocess.run(
        [*command, *options, "--hypervisor", "none"], capture_output=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr.decode()
    lines = [line[4:20] for line in result.stdout.decode().splitlines() if line.startswith("KVM ")]
    module, machine, region, cpu, *runs = (int(line, 16) for line in lines)
    assert (module, region) == (0, 0)
    assert 3 < machine < cpu < 10
    first, second = runs[:5], runs[5:]
    assert first == [0, EXIT_SIEIC, 0x0400_8323_0500_0000, 5050, 0]
    assert second == [0, EXIT_SIEIC, 0x0400_8345_0500_0000, 5050, 0x12 << 48]
