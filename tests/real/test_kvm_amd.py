"""An unmodified Debian kernel's own kvm-amd, on the modelled SVM: `--hypervisor none`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.guests.linux_program import executable, with_programs

Images = Callable[[str], Path]
GUESTS = Path(__file__).resolve().parents[1] / "guests"
PROGRAMS = {"kvm_exits": "kvm_amd_exits.s", "kvm_console": "kvm_amd_console.s"}
CONSOLE = "/kvm_console; echo CONSOLE-STATUS $?; "
PAGING = "dmesg | grep Paging"
IO, HLT, MMIO, SHUTDOWN = 2, 5, 6, 8
"""Exit reasons of KVM_RUN."""


def out(port: int, size: int, data: int) -> list[int]:
    """What the program shows of an OUT."""
    return [IO, 1 | size << 8 | port << 16 | 1 << 32, data]


def boot(images: Images, folder: Path, version: str, options: str, script: str) -> str:
    """What a kernel with kvm-amd prints that runs a script."""
    programs = {name: executable(GUESTS / source) for name, source in PROGRAMS.items()}
    initrd = with_programs(images(f"initramfs-{version}.cpio.gz"), programs, folder)
    script = f"modprobe kvm_amd {options}; {script}"
    line = f"console=ttyS0 quiet ws.run={quote(script)}"
    command = [sys.executable, "-m", "worldswitch", "run", str(images(f"vmlinuz-{version}"))]
    given = ["--initrd", str(initrd), "--append", line, "--hypervisor", "none"]
    result = subprocess.run([*command, *given], capture_output=True, timeout=600, check=False)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode(errors="replace").replace("\r", "")


def check_exits(text: str) -> None:
    """The program that shows every exit has seen those that its guest causes."""
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


@pytest.mark.real
@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_kvm_amd_of_an_unmodified_kernel_runs_guests(
    amd64_image: Images, tmp_path: Path, version: str
) -> None:
    script = f"/kvm_exits; {CONSOLE * 2}{PAGING}"
    text = boot(amd64_image, tmp_path, version, "", script)
    check_exits(text)
    assert text.count("guest: MAuthenticAMD.....long ok\n") == 2, text
    assert text.count("CONSOLE-STATUS 7\n") == 2, text
    assert "Nested Paging enabled" in text


@pytest.mark.real
def test_kvm_amd_with_shadow_page_tables_runs_a_guest(amd64_image: Images, tmp_path: Path) -> None:
    text = boot(amd64_image, tmp_path, "6.12", "npt=0", CONSOLE + PAGING)
    assert "guest: MAuthenticAMD.....long ok\n" in text
    assert "CONSOLE-STATUS 7\n" in text
    assert "Nested Paging disabled" in text
