"""The fetched guest images are there and are what the manifest says."""

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

GuestImage = Callable[[str], Path]


@pytest.mark.real
@pytest.mark.parametrize("name", ["vmlinuz-6.1", "vmlinuz-6.12", "initramfs.cpio.gz"])
def test_guest_image_fetched_matches_manifest(guest_image: GuestImage, name: str) -> None:
    image = guest_image(name)
    manifest = json.loads((image.parent / "manifest.json").read_text())
    assert hashlib.sha256(image.read_bytes()).hexdigest() == manifest[name]["sha256"]


@pytest.mark.real
def test_initramfs_unpacked_holds_the_init_script(guest_image: GuestImage) -> None:
    archive = gzip.decompress(guest_image("initramfs.cpio.gz").read_bytes())
    init = Path(__file__).resolve().parents[2] / "guests" / "linux" / "init"
    assert init.read_bytes() in archive
