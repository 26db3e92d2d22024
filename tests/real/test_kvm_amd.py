"""An unmodified Debian kernel's own kvm-amd, on the modelled SVM: `--hypervisor none`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.guests.linux_program import executable, with_program

Images = Callable[[str], Path]
SOURCE = Path(__file__).resolve().parents[1] / "guests" / "kvm_amd_user.s"
IO, HLT, MMIO, SHUTDOWN = 2, 5, 6, 8
"""Exit reasons of KVM_RUN."""


def out(port: int, size: int, data: int) -> list[int]:
    """What the program shows of an OUT."""
    return [IO, 1 | size << 8 | port << 16 | 1 << 32, data]


@pytest.mark.real
@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_kvm_amd_of_an_unmodified_kernel_runs_a_guest(
    amd64_image: Images, tmp_path: Path, kernel: str
) -> None:
    initrd = with_program(
        amd64_image(f"initramfs-{kernel}.cpio.gz"), "kvm_user", executable(SOURCE), tmp_path
    )
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
