"""An unmodified Debian kernel's own kvm-amd, on the modelled SVM: `--hypervisor none`."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.semantics.x86.assembler import assemble
from worldswitch.machine.x86.machine import PcMachine

Images = Callable[[str], Path]
SOURCE = Path(__file__).resolve().parents[1] / "guests" / "kvm_user_amd64.s"
HEADERS = 120
BASE = 0x40_0000
X86_64, EXECUTABLE = 62, 2
RUN = "/kvm_user; echo KVM-STATUS $?; "


def program() -> bytes:
    """The program as a static executable."""
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


def boot(images: Images, tmp_path: Path, version: str, options: str, script: str) -> str:
    """What a kernel with kvm-amd prints that runs a script."""
    extra = member("kvm_user", program(), 0o100755) + member("TRAILER!!!", b"", 0)
    base = images(f"initramfs-{version}.cpio.gz").read_bytes()
    initrd = tmp_path / "initrd"
    initrd.write_bytes(base + bytes(-len(base) % 4) + gzip.compress(extra))
    machine = PcMachine(256 << 20)
    script = f"modprobe kvm_amd {options}; {script} dmesg | grep Paging"
    line = f"console=ttyS0 quiet ws.run={quote(script)}"
    machine.load(images(f"vmlinuz-{version}"), initrd, line)
    result = machine.run(timeout=400)
    text = bytes(machine.console).decode(errors="replace").replace("\r", "")
    assert result.status == 0, text
    return text


@pytest.mark.real
@pytest.mark.parametrize("version", ("6.1", "6.12"))
def test_kvm_of_an_unmodified_kernel_runs_guests(
    amd64_image: Images, tmp_path: Path, version: str
) -> None:
    text = boot(amd64_image, tmp_path, version, "", RUN * 2)
    assert text.count("guest: MAuthenticAMD.....long ok\n") == 2, text
    assert text.count("KVM-STATUS 7\n") == 2, text
    assert "Nested Paging enabled" in text


@pytest.mark.real
def test_kvm_with_shadow_page_tables_runs_a_guest(amd64_image: Images, tmp_path: Path) -> None:
    text = boot(amd64_image, tmp_path, "6.12", "npt=0", RUN)
    assert "guest: MAuthenticAMD.....long ok\n" in text
    assert "KVM-STATUS 7\n" in text
    assert "Nested Paging disabled" in text
