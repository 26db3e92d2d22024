"""Boot sectors, and images that are none; no damage goes unnoticed or breaks the loader."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.machine.x86.loader.images import (
    boot_sector,
    bzimage,
    elf,
    multiboot_header,
    placed,
    pvh,
    start,
)
from worldswitch.arch.x86.registers import Cr0
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.machine.image import ImageError
from worldswitch.machine.x86.acpi_tables import build
from worldswitch.machine.x86.loader import Mode, Platform, load


def test_boot_sector_starts_in_real_mode(tmp_path: Path) -> None:
    entry = start(tmp_path, boot_sector())
    registers = entry.registers
    assert (entry.kind, registers.mode) == ("boot sector", Mode.REAL)
    assert (registers.rip, registers.rsp, registers.rdx) == (0x7C00, 0x7C00, 0x80)
    assert not registers.cr0 & Cr0.PE
    for segment in registers.segments.values():
        assert (segment.selector, segment.base, segment.limit) == (0, 0, 0xFFFF)
    assert registers.segments[SegmentNumber.CS].attributes == 0x9B
    assert placed(entry).read(0x7C00, 512) == boot_sector()


def test_boot_sector_of_a_disk_is_its_first_sector(tmp_path: Path) -> None:
    entry = start(tmp_path, boot_sector() + b"\xee" * 4096)
    memory = placed(entry)
    assert memory.read(0x7DFE, 3) == b"\x55\xaa\xcc"


def test_boot_sector_has_handlers_for_every_vector(tmp_path: Path) -> None:
    memory = placed(start(tmp_path, boot_sector()))
    for vector in range(256):
        offset, segment = struct.unpack("<HH", memory.read(4 * vector, 4))
        code = memory.read(16 * segment + offset, 9)
        if vector < 0x10 or 0x70 <= vector < 0x78:
            assert code[0] == 0xCF
        else:
            assert (code[0], code[-1]) == (0x55, 0xCF)


@pytest.mark.parametrize(
    ("initrd", "append", "option"), [(b"x", "", "--initrd"), (None, "x", "--append")]
)
def test_boot_sector_takes_no_options(
    tmp_path: Path, initrd: bytes | None, append: str, option: str
) -> None:
    with pytest.raises(ImageError, match=f"takes no {option}"):
        start(tmp_path, boot_sector(), initrd, append)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"", "nothing that a PC starts"),
        (b"#!/bin/sh\n", "nothing that a PC starts"),
        (bytes(4096), "nothing that a PC starts"),
        (b"\x1f\x8b\x08" + bytes(600), "compressed"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "compressed"),
        (b"\x7fELF", "truncated"),
    ],
)
def test_image_of_no_kind_says_what_to_give(tmp_path: Path, image: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        start(tmp_path, image)


def test_image_that_is_not_there_is_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        load(tmp_path / "absent", None, "", Platform(64 << 20, build(range(1))))
    with pytest.raises(ImageError, match="Is a directory"):
        load(tmp_path, None, "", Platform(64 << 20, build(range(1))))


IMAGES = [
    bzimage(),
    pvh(),
    pvh(bits=32),
    elf(multiboot_header() + b"\xf4" * 20, 32),
    multiboot_header(0x1_0000, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020).ljust(300, b"C"),
    boot_sector(),
]


@settings(max_examples=600)
@given(
    image=st.sampled_from(IMAGES),
    changes=st.lists(st.tuples(st.integers(0, 0x263), st.integers(0, 255)), min_size=1, max_size=6),
    size=st.integers(0, 4000),
)
def test_mutated_image_loads_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
    image: bytes,
    changes: list[tuple[int, int]],
    size: int,
) -> None:
    damaged = bytearray(image)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    folder = tmp_path_factory.getbasetemp()
    try:
        entry = start(folder, bytes(damaged[:size]), memory=8 << 30)
    except ImageError as refusal:
        assert str(refusal).endswith(".")
        return
    for part in entry.parts:
        assert part.size >= len(part.data)
        assert part.end <= 0xC000_0000 or part.address >= 1 << 32
