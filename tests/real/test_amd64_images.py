"""The fetched amd64 images are there, are what the manifest says, and load."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from worldswitch.machine.x86.acpi_tables import build
from worldswitch.machine.x86.loader import Mode, Platform, load

Images = Callable[[str], Path]
FILES = ["vmlinuz-6.1", "vmlinuz-6.12", "initramfs.cpio.gz", "modules-6.1.cpio.gz"]


@pytest.mark.real
@pytest.mark.parametrize("name", FILES)
def test_amd64_image_fetched_matches_manifest(amd64_image: Images, name: str) -> None:
    image = amd64_image(name)
    manifest = json.loads((image.parent / "manifest.json").read_text())
    assert hashlib.sha256(image.read_bytes()).hexdigest() == manifest[name]["sha256"]


@pytest.mark.real
@pytest.mark.parametrize("version", ["6.1", "6.12"])
def test_amd64_kernel_loads_with_its_initramfs(amd64_image: Images, version: str) -> None:
    initrd = amd64_image(f"initramfs-{version}.cpio.gz")
    platform = Platform(256 << 20, build(range(4)))
    entry = load(amd64_image(f"vmlinuz-{version}"), initrd, "console=ttyS0", platform)
    assert (entry.kind, entry.registers.mode) == ("Linux", Mode.LONG64)
    assert entry.registers.rip == 0x100_0200
    assert any(part.data == initrd.read_bytes() for part in entry.parts)
