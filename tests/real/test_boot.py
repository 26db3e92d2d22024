"""Unmodified Debian kernels on the modelled processor, through the command as a user calls it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

Images = Callable[[str], Path]
COMMAND = [sys.executable, "-m", "worldswitch", "run"]


def boot(guest_image: Images, kernel: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Boot `kernel` with the busybox initramfs to its power-off."""
    command = [
        *COMMAND,
        str(guest_image(kernel)),
        "--initrd",
        str(guest_image("initramfs.cpio.gz")),
    ]
    return subprocess.run([*command, *options], capture_output=True, timeout=300, check=False)


@pytest.mark.real
@pytest.mark.parametrize("kernel", ["vmlinuz-6.1", "vmlinuz-6.12"])
@pytest.mark.parametrize("smp", ["1", "4"])
@pytest.mark.parametrize("hypervisor", ["none", "sie"])
def test_debian_kernel_boots_and_powers_off(
    guest_image: Images, kernel: str, smp: str, hypervisor: str
) -> None:
    options = ["--append", "quiet", "--smp", smp, "--hypervisor", hypervisor]
    result = boot(guest_image, kernel, *options)
    assert result.returncode == 0, result.stderr.decode()
    assert b"WORLDSWITCH-GUEST-READY Linux " + kernel.removeprefix("vmlinuz-").encode() in (
        result.stdout
    )
    assert f"processors    : {smp}".encode() in result.stdout


@pytest.mark.real
@pytest.mark.parametrize("hypervisor", ["none", "sie"])
def test_debian_kernel_booted_twice_is_the_same(
    guest_image: Images, hypervisor: str, tmp_path: Path
) -> None:
    options = ["--stat", "--smp", "2", "--hypervisor", hypervisor, "--trace"]
    traces = [tmp_path / "first", tmp_path / "second"]
    first, second = (boot(guest_image, "vmlinuz-6.12", *options, str(path)) for path in traces)
    assert first.stdout == second.stdout
    assert traces[0].read_bytes() == traces[1].read_bytes()
    assert len(traces[0].read_bytes()) > 10_000
    assert first.stderr == second.stderr
    assert b"Run /init" in first.stdout


@pytest.mark.real
@pytest.mark.parametrize("hypervisor", ["none", "sie"])
def test_console_command_typed_shows_its_output(guest_image: Images, hypervisor: str) -> None:
    arguments = ["-m", "worldswitch", "run", str(guest_image("vmlinuz-6.12"))]
    arguments += ["--hypervisor", hypervisor]
    arguments += ["--initrd", str(guest_image("initramfs.cpio.gz")), "--append", "quiet ws.shell"]
    child = pexpect.spawn(sys.executable, arguments, timeout=120)
    child.expect("WORLDSWITCH-GUEST-READY")
    child.expect("# ")
    child.sendline("echo $((6 * 7))-answer")
    child.expect("42-answer")
    child.sendline("exit")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.real
def test_run_too_little_memory_says_how_much(guest_image: Images) -> None:
    result = boot(guest_image, "vmlinuz-6.12", "-m", "4M")
    assert result.returncode == 2
    assert b"Say -m" in result.stderr
    assert b"Traceback" not in result.stderr
