"""Modules with what they need, as the archive that modprobe reads."""

import gzip
from pathlib import Path

import pytest
from kernel_modules import ModuleError, archive, closure, joined, needs

FOLDER = "lib/modules/6.1.0-test"


def module(*depends: str) -> bytes:
    """Something with a `.modinfo` that names what it needs."""
    return b"\x7fELF...\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=x\0"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """An unpacked kernel package: kvm-amd needs kvm and ccp (built in), kvm needs irqbypass."""
    contents = {
        "arch/kvm-amd.ko": module("kvm", "ccp"),
        "arch/kvm.ko": module("irqbypass"),
        "virt/irqbypass.ko": module(),
        "drivers/orphan.ko": module("nowhere"),
    }
    for name, data in contents.items():
        path = tmp_path / FOLDER / "kernel" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / FOLDER / "modules.builtin").write_text("kernel/drivers/crypto/ccp.ko\n")
    return tmp_path


def test_needs_without_modinfo_is_nothing() -> None:
    assert needs(b"\x7fELF") == []
    assert needs(module()) == []
    assert needs(module("virtio-ring", "virtio")) == ["virtio_ring", "virtio"]


def test_closure_module_comes_behind_what_it_needs(package: Path) -> None:
    found = list(closure(package, ["kvm-amd"]))
    names = [Path(path).name for path in found]
    assert names == ["modules.builtin", "irqbypass.ko", "kvm.ko", "kvm_amd.ko"]


def test_closure_built_in_module_is_left_out(package: Path) -> None:
    assert [Path(path).name for path in closure(package, ["ccp"])] == ["modules.builtin"]


@pytest.mark.parametrize("name", ["absent", "orphan"])
def test_closure_missing_module_says_which(package: Path, name: str) -> None:
    with pytest.raises(ModuleError, match=r"(absent|nowhere), which 6\.1\.0-test does not have"):
        closure(package, [name])


def test_archive_lists_what_is_needed_deepest_last(package: Path) -> None:
    text = gzip.decompress(archive(closure(package, ["kvm-amd"])))
    line = b"kernel/arch/kvm_amd.ko: kernel/arch/kvm.ko kernel/virt/irqbypass.ko\n"
    assert line in text
    assert f"{FOLDER}/modules.dep".encode() in text


def test_joined_archives_unpack_one_after_the_other() -> None:
    assert gzip.decompress(joined(gzip.compress(b"one"), gzip.compress(b"two"))) == b"onetwo"
