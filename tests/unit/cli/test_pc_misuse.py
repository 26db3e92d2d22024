"""`worldswitch run`, `check vmcb` and `diff vmcb` of what is none: the fix is in the message."""

import os
import random
from pathlib import Path

import pytest

from tests.guests.broken_vmcbs import long_mode
from tests.unit.cli.test_pc import kernel, run
from tests.unit.machine.x86.loader.images import elf, multiboot_header, pvh
from worldswitch.cli.statuses import STATUS_USAGE
from worldswitch.machine.result import STATUS_CRASHED, STATUS_TIMEOUT

NOISE = random.Random(5).randbytes(4096)
VMCB_SIZE = 4096


def refused(*arguments: object) -> str:
    """A command that ends with the status for misuse, in words; what it printed."""
    status, text = run(*arguments)
    assert status == STATUS_USAGE, text
    assert "Traceback" not in text
    return " ".join(text.split())


def file(folder: Path, content: bytes) -> Path:
    """A file with this content."""
    path = folder / "file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("path", ["/nonexistent", "/", "/dev/zero", "/dev/null"])
@pytest.mark.parametrize("option", ["", "--initrd"])
def test_run_of_what_is_no_file_says_to_give_one(tmp_path: Path, path: str, option: str) -> None:
    arguments = (kernel(tmp_path), option, path) if option else (path,)
    text = refused("run", *arguments)
    assert "Give" in text
    assert path in text


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (NOISE, "Give the vmlinuz of a kernel package"),
        (b"hello\n", "Give the vmlinuz of a kernel package"),
        (bytes(512), "Give the vmlinuz of a kernel package"),
        (elf(), "Give a kernel that has one"),
        (pvh()[:60], "Copy it again"),
        (pvh()[:150], "Copy it again"),
        (elf(multiboot_header() + b"\xf4" * 20, 32)[:50], ""),
        (multiboot_header(0x1_0000, 0x10_0000, 0x20_0000, 0, 0, 0x10_0020), "image"),
    ],
)
def test_run_of_what_is_no_image_says_what_to_give(
    tmp_path: Path, content: bytes, advice: str
) -> None:
    assert advice in refused("run", file(tmp_path, content))


@pytest.mark.parametrize("feature", ["avx512f", "vmx", "shstk"])
def test_run_with_a_feature_that_is_not_modelled_says_to_leave_it_out(
    tmp_path: Path, feature: str
) -> None:
    text = refused("run", kernel(tmp_path), "--cpu", f"epyc-milan,+{feature}")
    assert f"{feature} is not modelled. Leave it out" in text


@pytest.mark.parametrize("hypervisor", ["none", "svm"])
def test_run_of_noise_that_looks_like_a_boot_sector_ends(tmp_path: Path, hypervisor: str) -> None:
    sector = file(tmp_path, NOISE[:510] + b"\x55\xaa")
    status, text = run("run", sector, "--timeout", "0.5", "--hypervisor", hypervisor)
    assert status in (STATUS_CRASHED, STATUS_TIMEOUT)
    assert "Traceback" not in text


@pytest.mark.parametrize("disk", ["/dev/null", "/dev/zero", "/nonexistent", "/"])
def test_run_with_a_disk_that_is_none_says_what_to_give(tmp_path: Path, disk: str) -> None:
    assert "raw disk image" in refused("run", kernel(tmp_path), "--disk", disk)


@pytest.mark.parametrize(
    ("content", "advice"),
    [(b"", "0 bytes"), (NOISE[:100], "100 bytes"), (NOISE + b"x", "more than 4096")],
)
def test_check_and_diff_of_a_dump_of_another_size_say_what_to_give(
    tmp_path: Path, content: bytes, advice: str
) -> None:
    whole = tmp_path / "vmcb"
    whole.write_bytes(bytes(long_mode()))
    path = file(tmp_path, content)
    for arguments in (("check", "vmcb", path), ("diff", "vmcb", whole, path)):
        text = refused(*arguments)
        assert advice in text
        assert "Give a dump of all of it" in text


@pytest.mark.parametrize("path", ["/nonexistent", "/"])
def test_check_and_diff_of_what_cannot_be_read_say_what_to_give(tmp_path: Path, path: str) -> None:
    whole = file(tmp_path, bytes(long_mode()))
    for arguments in (("check", "vmcb", path), ("diff", "vmcb", path, whole)):
        assert "Give the path of a dump of a VMCB" in refused(*arguments)


@pytest.mark.parametrize("seed", range(20))
def test_check_and_diff_of_noise_end_with_1(tmp_path: Path, seed: int) -> None:
    noise = file(tmp_path, random.Random(seed).randbytes(VMCB_SIZE))
    whole = tmp_path / "vmcb"
    whole.write_bytes(bytes(long_mode()))
    for arguments in (("check", "vmcb", noise), ("diff", "vmcb", noise, whole)):
        status, text = run(*arguments)
        assert status == 1
        assert "Traceback" not in text
    assert os.stat(noise).st_size == VMCB_SIZE
