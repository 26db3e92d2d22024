"""`worldswitch run` of x86 images, and `worldswitch cpus`: what a new user would try."""

import errno
import os
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from worldswitch.arch.x86.cpuid import FEATURES
from worldswitch.arch.x86.models import MODELS
from worldswitch.cli.main import app
from worldswitch.cli.statuses import STATUS_USAGE
from worldswitch.lab.x86_assembler import assemble
from worldswitch.machine.result import STATUS_CRASHED, STATUS_RESTART, STATUS_TIMEOUT
from worldswitch.machine.x86.loader import linux
from worldswitch.machine.x86.virtio import disk
from worldswitch.metal.x86.features import MODELLED

STATUS = ".code16\n mov $0x501, %dx\n mov $8, %al\n out %al, %dx\nagain: jmp again"
TRIPLE_FAULT = ".code16\n lidtw none\n int3\nnone: .word 0, 0, 0"
RESET = ".code16\n mov $0xcf9, %dx\n mov $6, %al\n out %al, %dx\nagain: jmp again"
WAIT = ".code16\n cli\n hlt"
ENDLESS = ".code16\nagain: jmp again"


def run(*arguments: object) -> tuple[int, str]:
    """A command in this process: its status, and all that it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def write(folder: Path, source: str) -> Path:
    """A boot sector."""
    path = folder / "sector"
    path.write_bytes(assemble(source, 0x7C00).text.ljust(510, b"\0") + b"\x55\xaa")
    return path


def kernel(folder: Path, size: int = 0x4000) -> Path:
    """What has the header of a Linux kernel."""
    data = bytearray(size)
    data[linux.SETUP_SECTS] = 4
    struct.pack_into("<I", data, linux.SYSSIZE, (size - 2560) // 16)
    struct.pack_into("<H", data, linux.BOOT_FLAG, linux.BOOT_MAGIC)
    data[linux.JUMP : linux.JUMP + 6] = b"\xeb\x66HdrS"
    struct.pack_into("<H", data, linux.VERSION, 0x20F)
    struct.pack_into("<I", data, linux.INITRD_MAX, 0x7FFF_FFFF)
    struct.pack_into("<H", data, linux.XLOADFLAGS, 1)
    struct.pack_into("<I", data, linux.COMMAND_LINE_SIZE, 2047)
    struct.pack_into("<Q", data, linux.PREFERRED, 0x100_0000)
    struct.pack_into("<I", data, linux.INIT_SIZE, 0x10000)
    path = folder / "vmlinuz"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("hypervisor", ["none", "svm"])
@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        (STATUS, 17, "the guest ended the run with status 17"),
        (TRIPLE_FAULT, STATUS_CRASHED, "triple fault"),
        (RESET, STATUS_RESTART, "the guest asked for a restart"),
        (WAIT, STATUS_CRASHED, "nothing can wake"),
    ],
)
def test_run_of_a_boot_sector_ends_with_its_status(
    tmp_path: Path, hypervisor: str, source: str, status: int, text: str
) -> None:
    ended, output = run("run", write(tmp_path, source), "--hypervisor", hypervisor)
    assert ended == status, output
    assert text in output
    assert ("RIP" in output) is (status == STATUS_CRASHED)
    assert "Traceback" not in output


@pytest.mark.parametrize("hypervisor", ["none", "svm"])
def test_run_of_an_endless_boot_sector_ends_with_124(tmp_path: Path, hypervisor: str) -> None:
    arguments = ("--timeout", "0.2", "--hypervisor", hypervisor)
    assert run("run", write(tmp_path, ENDLESS), *arguments)[0] == STATUS_TIMEOUT


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("--cpu", "z14"), "the models are x86-64-v2, epyc-milan"),
        (("--cpu", ""), "the models are"),
        (("--cpu", "epyc-milan,+wings"), "no CPU feature 'wings'"),
        (("--cpu", "epyc-milan,svm"), "begin with + or -"),
        (("--cpu", "x86-64-v2"), "Say --hypervisor none"),
        (("--cpu", "epyc-milan,-lm", "--hypervisor", "none"), "Say a --cpu with lm"),
        (("--hypervisor", "sie"), "Say svm, none or auto"),
        (("--disk", "/nonexistent"), "Give the path of a raw disk image"),
        (("--disk", "{folder}"), "Give the path of a raw disk image"),
        (("--disk", "{folder}/odd"), "Give a raw disk image"),
        (("--initrd", "{folder}/odd"), "is no initramfs"),
        (("--initrd", "/nonexistent"), "Give the path of a readable image"),
        (("-m", "2M"), "Say -m"),
        (("-m", "16M"), "Say -m"),
        (("-m", "65G"), "between 2M and 64G"),
        (("--append", "a" * 3000), "Shorten it"),
    ],
)
def test_run_of_a_kernel_misused_ends_with_2_and_the_fix(
    tmp_path: Path, arguments: tuple[str, ...], advice: str
) -> None:
    (tmp_path / "odd").write_bytes(b"hello")
    words = [word.format(folder=tmp_path) for word in arguments]
    status, text = run("run", kernel(tmp_path), *words)
    assert status == STATUS_USAGE
    assert advice in text
    assert "Traceback" not in text


@pytest.mark.parametrize("size", [0, 1, 511, 520, 0x210, 0x270, 0x1000, 0x3FF0])
def test_run_of_a_truncated_kernel_ends_with_2_and_the_fix(tmp_path: Path, size: int) -> None:
    path = kernel(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    status, text = run("run", path)
    assert status == STATUS_USAGE
    assert "Copy it again" in text or "Give the vmlinuz" in text


def test_run_of_a_disk_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(disk.Path, "open", refuse)
    with pytest.raises(disk.ImageError, match="make the file writable"):
        disk.FileDisk(tmp_path)


def test_cpus_listed_have_the_models_and_features_of_x86() -> None:
    status, text = run("cpus", "--facilities")
    assert status == 0
    for name in MODELS:
        assert f" {name} " in text
    rows = {words[0]: words for line in text.splitlines() if (words := line.split())}
    for name in MODELS["epyc-milan"].features:
        state = "modelled" if name in MODELLED else "absent"
        assert state in rows[name], name
        assert f"{FEATURES[name].leaf:X}.0" in rows[name] or FEATURES[name].subleaf
