"""Unmodified Debian kernels for amd64 on the modelled processors, through the command."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.guests.vmlinux import unpacked
from tests.real import disk_image

Images = Callable[[str], Path]
COMMAND = [sys.executable, "-m", "worldswitch", "run"]
HYPERVISORS = ["none", "svm"]
QUIET = "console=ttyS0 quiet"


def boot(
    images: Images, version: str, append: str, *options: str, initrd: str = "initramfs.cpio.gz"
) -> subprocess.CompletedProcess[bytes]:
    """Boot a kernel with the busybox initramfs to its power-off."""
    command = [*COMMAND, str(images(f"vmlinuz-{version}")), "--initrd", str(images(initrd))]
    command += ["--append", append, "-m", "256M", *options]
    return subprocess.run(command, capture_output=True, timeout=900, check=False)


@pytest.mark.real
@pytest.mark.parametrize("version", ["6.1", "6.12"])
@pytest.mark.parametrize("smp", ["1", "4"])
@pytest.mark.parametrize("hypervisor", HYPERVISORS)
def test_debian_kernel_boots_and_powers_off(
    amd64_image: Images, version: str, smp: str, hypervisor: str
) -> None:
    result = boot(amd64_image, version, QUIET, "--smp", smp, "--hypervisor", hypervisor)
    assert result.returncode == 0, result.stderr.decode()
    assert f"WORLDSWITCH-GUEST-READY Linux {version}.".encode() in result.stdout
    assert f"processors    : {smp}\r\n".encode() in result.stdout


@pytest.mark.real
@pytest.mark.parametrize(
    ("version", "hypervisor"), [("6.1", "svm"), ("6.12", "none"), ("6.12", "svm")]
)
def test_debian_kernel_booted_twice_is_the_same(
    amd64_image: Images, version: str, hypervisor: str, tmp_path: Path
) -> None:
    options = ["--stat", "--smp", "2", "--hypervisor", hypervisor, "--trace"]
    traces = [tmp_path / "first", tmp_path / "second"]
    first, second = (
        boot(amd64_image, version, "console=ttyS0", *options, str(path)) for path in traces
    )
    assert first.stdout == second.stdout
    assert traces[0].read_bytes() == traces[1].read_bytes()
    assert len(traces[0].read_bytes()) > 10_000
    assert first.stderr == second.stderr
    assert b"Run /init" in first.stdout


@pytest.mark.real
@pytest.mark.parametrize("hypervisor", HYPERVISORS)
def test_console_command_typed_shows_its_output(amd64_image: Images, hypervisor: str) -> None:
    arguments = [*COMMAND[1:], str(amd64_image("vmlinuz-6.12")), "--hypervisor", hypervisor]
    arguments += ["--initrd", str(amd64_image("initramfs.cpio.gz"))]
    arguments += ["--append", f"{QUIET} ws.shell"]
    child = pexpect.spawn(COMMAND[0], arguments, timeout=200)
    child.expect("WORLDSWITCH-GUEST-READY")
    child.expect("# ")
    child.sendline("echo $((6 * 7))-answer")
    child.expect("42-answer")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.real
@pytest.mark.parametrize(
    ("version", "hypervisor"), [("6.1", "none"), ("6.1", "svm"), ("6.12", "svm")]
)
def test_debian_kernel_boots_from_a_disk_and_keeps_what_it_wrote(
    amd64_image: Images, tmp_path: Path, version: str, hypervisor: str
) -> None:
    busybox = amd64_image("busybox")
    disk = disk_image.make(tmp_path, busybox)
    append = f"{QUIET} ws.modprobe=virtio_pci,virtio_blk ws.root=/dev/vda"
    initrd = f"initramfs-{version}.cpio.gz"
    options = ["--disk", str(disk), "--hypervisor", hypervisor]
    result = boot(amd64_image, version, append, *options, initrd=initrd)
    assert result.returncode == 0, result.stderr.decode()
    assert b"ROOT /dev/vda / ext4 rw" in result.stdout
    digest = hashlib.sha256(busybox.read_bytes()).hexdigest()
    assert f"ARCHITECTURE x86_64 of {digest}".encode() in result.stdout
    assert disk_image.read(disk, "/made") == b"made by the guest\n"
    assert disk_image.check(disk) == 0


@pytest.mark.real
def test_debian_kernel_unpacked_boots_by_pvh(amd64_image: Images, tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinux"
    kernel.write_bytes(unpacked(amd64_image("vmlinuz-6.1")))
    command = [*COMMAND, str(kernel), "--initrd", str(amd64_image("initramfs.cpio.gz"))]
    command += ["--append", "console=ttyS0", "--hypervisor", "svm"]
    result = subprocess.run(command, capture_output=True, timeout=900, check=False)
    assert result.returncode == 0, result.stderr.decode()
    assert b"WORLDSWITCH-GUEST-READY Linux 6.1." in result.stdout


@pytest.mark.real
def test_guest_that_panics_and_restarts_ends_with_4(amd64_image: Images) -> None:
    result = boot(amd64_image, "6.12", f"{QUIET} rdinit=/nothing root=none panic=-1")
    assert result.returncode == 4, result.stderr.decode()
    assert b"Kernel panic" in result.stdout
    assert result.stderr == b"worldswitch: the guest asked for a restart\n"


@pytest.mark.real
@pytest.mark.parametrize("size", ["2M", "16M", "40M"])
def test_run_too_little_memory_says_how_much(amd64_image: Images, size: str) -> None:
    result = boot(amd64_image, "6.12", QUIET, "-m", size)
    assert result.returncode == 2
    assert b"Say -m" in result.stderr
    assert b"Traceback" not in result.stderr
