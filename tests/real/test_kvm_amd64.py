"""An unmodified Debian kernel's own kvm-amd, on the modelled SVM: `--hypervisor none`."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.guests.linux_program import executable, with_program
from worldswitch.machine.x86.machine import PcMachine

Images = Callable[[str], Path]
SOURCE = Path(__file__).resolve().parents[1] / "guests" / "kvm_user_amd64.s"
RUN = "/kvm_user; echo KVM-STATUS $?; "


def boot(images: Images, tmp_path: Path, version: str, options: str, script: str) -> str:
    """What a kernel with kvm-amd prints that runs a script."""
    initrd = with_program(
        images(f"initramfs-{version}.cpio.gz"), "kvm_user", executable(SOURCE), tmp_path
    )
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
