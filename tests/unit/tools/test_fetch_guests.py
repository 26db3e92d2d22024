"""Finding the machine's mirror, and the cache of fetched images."""

import hashlib
import json
import shutil
from pathlib import Path

import fetch_guests
import pytest
from fetch_guests import FetchError, Mirror

KEYRING = "/usr/share/keyrings/some.gpg"


def machine_with(tmp_path: Path, name: str, text: str) -> Path:
    """An /etc/apt with one source file."""
    path = tmp_path / "apt" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return tmp_path / "apt"


def test_mirror_deb822_sources_gives_uri_and_keyring(tmp_path: Path) -> None:
    text = (
        "Types: deb\n# a comment\nURIs: http://mirror.invalid/debian-security\n\n"
        "Types: deb deb-src\nURIs: http://mirror.invalid/debian\nSuites: bookworm\n"
        f"Signed-By: {KEYRING}\n"
    )
    etc = machine_with(tmp_path, "sources.list.d/debian.sources", text)
    assert fetch_guests.machine_mirror(etc) == Mirror("http://mirror.invalid/debian", KEYRING)


def test_mirror_disabled_deb822_stanza_is_passed_over(tmp_path: Path) -> None:
    text = (
        "Types: deb\nEnabled: no\nURIs: http://off.invalid/debian\n\n"
        "Types: deb\nURIs: http://on.invalid/debian/\n"
    )
    etc = machine_with(tmp_path, "sources.list.d/debian.sources", text)
    assert fetch_guests.machine_mirror(etc) == Mirror("http://on.invalid/debian/", None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://m.invalid/debian bookworm main", Mirror("http://m.invalid/debian")),
        (
            f"deb [arch=amd64 signed-by={KEYRING}] http://m.invalid/debian bookworm main",
            Mirror("http://m.invalid/debian", KEYRING),
        ),
        (
            "deb mirror+file:/etc/apt/mirrors/debian.list bookworm main",
            Mirror("mirror+file:/etc/apt/mirrors/debian.list"),
        ),
    ],
)
def test_mirror_one_line_source_gives_uri(tmp_path: Path, line: str, expected: Mirror) -> None:
    etc = machine_with(tmp_path, "sources.list", f"# deb http://no.invalid/debian x\n{line}\n")
    assert fetch_guests.machine_mirror(etc) == expected


def test_mirror_machine_without_debian_says_what_to_do(tmp_path: Path) -> None:
    etc = machine_with(tmp_path, "sources.list", "deb http://m.invalid/ubuntu jammy main\n")
    with pytest.raises(FetchError, match="--mirror"):
        fetch_guests.machine_mirror(etc)


def cached_images(folder: Path) -> None:
    """A directory as a finished fetch leaves it, with small files."""
    folder.mkdir(parents=True)
    manifest = {}
    for name in fetch_guests.ARCHITECTURES["s390x"].names():
        (folder / name).write_bytes(name.encode())
        manifest[name] = {"sha256": hashlib.sha256(name.encode()).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_fetch_cached_packages_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_images(tmp_path / "s390x")
    monkeypatch.setenv("PATH", "/nowhere")
    assert fetch_guests.main(["--arch", "s390x", "--directory", str(tmp_path)]) == 0
    first = (tmp_path / "s390x" / "initramfs.cpio.gz").read_bytes()
    stamp = (tmp_path / "s390x" / "manifest.json").stat().st_mtime_ns
    assert fetch_guests.main(["--arch", "s390x", "--directory", str(tmp_path)]) == 0
    assert (tmp_path / "s390x" / "initramfs.cpio.gz").read_bytes() == first
    assert (tmp_path / "s390x" / "manifest.json").stat().st_mtime_ns == stamp


def test_fetch_damaged_image_is_not_trusted(tmp_path: Path) -> None:
    cached_images(tmp_path / "s390x")
    (tmp_path / "s390x" / "vmlinuz-6.1").write_bytes(b"damaged")
    assert "vmlinuz-6.1" not in fetch_guests.read_manifest(tmp_path / "s390x")


def test_fetch_without_apt_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    arguments = ["--directory", str(tmp_path), "--mirror", "http://mirror.invalid/debian"]
    assert fetch_guests.main(arguments) == 1
    assert "apt-get is not on this machine" in capsys.readouterr().err


def test_guests_directory_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLDSWITCH_GUESTS", "/some/where")
    assert fetch_guests.guests_directory() == Path("/some/where")
    monkeypatch.delenv("WORLDSWITCH_GUESTS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert fetch_guests.guests_directory() == Path("/cache/worldswitch/guests")


def test_kernel_and_its_modules_are_of_one_package() -> None:
    names = fetch_guests.ARCHITECTURES["s390x"].names()
    assert {name: fetch_guests.package_of(name) for name in names} == {
        "busybox": "busybox",
        "vmlinuz-6.1": "6.1",
        "kvm-6.1.ko": "6.1",
        "vmlinuz-6.12": "6.12",
        "kvm-6.12.ko": "6.12",
    }


def test_amd64_modules_are_of_their_kernel() -> None:
    names = fetch_guests.ARCHITECTURES["amd64"].names()
    assert fetch_guests.package_of("modules-6.12.cpio.gz") == "6.12"
    assert fetch_guests.package_of("kvm-amd-6.1.ko") == "6.1"
    assert {"modules-6.1.cpio.gz", "xen"} <= set(names)
