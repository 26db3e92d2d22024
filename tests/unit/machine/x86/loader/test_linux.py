"""bzImages by the 64-bit boot protocol."""

import struct
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.machine.x86.loader.images import (
    KERNEL_ADDRESS,
    MEBIBYTE,
    Memory,
    bzimage,
    placed,
    start,
)
from worldswitch.arch.x86.registers import Cr0, Cr4, Efer
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.machine.image import ImageError
from worldswitch.machine.x86.loader import Mode

CPIO = b"070701" + bytes(100)


def translate(memory: Memory, root: int, address: int) -> int:
    """Walk the initial page tables."""
    table = root
    for shift in (39, 30, 21):
        entry = memory.number((table & ~0xFFF) + 8 * (address >> shift & 511), 8)
        assert entry & 3 == 3
        table = entry
    assert table & 0x80
    return (table & ~0x1F_FFFF) + (address & 0x1F_FFFF)


def test_kernel_starts_in_64_bit_mode_behind_its_load_address(tmp_path: Path) -> None:
    entry = start(tmp_path, bzimage())
    registers = entry.registers
    assert (entry.kind, registers.mode) == ("Linux", Mode.LONG64)
    assert registers.rip == KERNEL_ADDRESS + 0x200
    assert registers.cr0 & (Cr0.PE | Cr0.PG) == Cr0.PE | Cr0.PG
    assert registers.cr4 & Cr4.PAE
    assert registers.efer & (Efer.LME | Efer.LMA) == Efer.LME | Efer.LMA
    assert registers.rflags == 2
    code = registers.segments[SegmentNumber.CS]
    assert (code.selector, code.base, code.limit, code.attributes) == (0x10, 0, 2**32 - 1, 0xA9B)
    data = registers.segments[SegmentNumber.DS]
    assert (data.selector, data.attributes) == (0x18, 0xC93)
    memory = placed(entry)
    assert memory.read(KERNEL_ADDRESS, 2048) == bytes(range(256)) * 8


def test_descriptor_table_holds_the_segments(tmp_path: Path) -> None:
    entry = start(tmp_path, bzimage())
    base, limit = entry.registers.gdt
    memory = placed(entry)
    assert limit == 31
    assert memory.number(base, 8) == 0
    assert memory.number(base + 0x10, 8) == 0x00AF_9B00_0000_FFFF
    assert memory.number(base + 0x18, 8) == 0x00CF_9300_0000_FFFF


def test_page_tables_map_four_gigabytes_to_themselves(tmp_path: Path) -> None:
    entry = start(tmp_path, bzimage())
    memory = placed(entry)
    for address in (0, 0x8000, KERNEL_ADDRESS + 0x200, 0xFEC0_0010, 0xFFFF_FFFF):
        assert translate(memory, entry.registers.cr3, address) == address


def test_zero_page_has_header_memory_map_and_acpi(tmp_path: Path) -> None:
    entry = start(tmp_path, bzimage(), memory=5 << 30)
    memory = placed(entry)
    page = entry.registers.rsi
    assert memory.read(page, 0x70) == bytes(0x70)
    assert memory.number(page + 0x070, 8) == 0xE_0000
    assert memory.read(page + 0x202, 4) == b"HdrS"
    assert memory.number(page + 0x210, 1) == 0xFF
    assert memory.number(page + 0x206, 2) == 0x020F
    assert memory.number(page + 0x260, 4) == 4 * MEBIBYTE
    assert memory.number(page + 0x264, 8) == 0
    count = memory.number(page + 0x1E8, 1)
    ranges = [struct.unpack("<QQI", memory.read(page + 0x2D0 + 20 * n, 20)) for n in range(count)]
    assert [found for found in ranges if found[2] == 1] == [
        (0, 0x9_FC00, 1),
        (0x10_0000, 0xBFF0_0000, 1),
        (1 << 32, 2 << 30, 1),
    ]
    ends = [first + size for first, size, _ in ranges]
    assert all(end <= after[0] for end, after in zip(ends, ranges[1:], strict=False))


def test_command_line_is_where_the_zero_page_says(tmp_path: Path) -> None:
    entry = start(tmp_path, bzimage(), append="console=ttyS0 quiet")
    memory = placed(entry)
    assert memory.text(memory.number(entry.registers.rsi + 0x228, 4)) == "console=ttyS0 quiet"


@pytest.mark.parametrize(
    ("limit", "memory", "end"),
    [(0x7FFF_FFFF, 64 * MEBIBYTE, 64 * MEBIBYTE), (0x1FF_FFFF, 64 * MEBIBYTE, 32 * MEBIBYTE)],
)
def test_initrd_is_as_high_as_kernel_and_memory_allow(
    tmp_path: Path, limit: int, memory: int, end: int
) -> None:
    entry = start(tmp_path, bzimage(initrd_max=limit), CPIO, memory=memory)
    guest = placed(entry)
    address, size = struct.unpack("<II", guest.read(entry.registers.rsi + 0x218, 8))
    assert (address, size) == (end - 4096, len(CPIO))
    assert guest.read(address, size) == CPIO


def test_initrd_absent_leaves_its_fields_zero(tmp_path: Path) -> None:
    entry = start(tmp_path, bzimage())
    assert placed(entry).number(entry.registers.rsi + 0x218, 8) == 0


def test_parts_do_not_overlap(tmp_path: Path) -> None:
    parts = sorted(start(tmp_path, bzimage(), CPIO).parts, key=lambda part: part.address)
    assert all(a.end <= b.address for a, b in pairwise(parts))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 0x020B}, r"boot protocol 2\.11.*Give a newer"),
        ({"xloadflags": 0x3E}, "32-bit Linux kernel.*amd64"),
        ({"syssize": 129}, "truncated: its header promises 3088 bytes and the file has 3072"),
        ({"setup_sects": 60}, "truncated"),
        ({"syssize": 0}, "truncated"),
        ({"init_size": 64 * MEBIBYTE}, r"needs 80 MiB of memory and there are 64\. Say -m 144M"),
        ({"preferred": 0xA_0000}, "where the PC has no memory"),
        ({"preferred": 1 << 63}, "where the PC has no memory"),
        ({"preferred": 0x1000, "init_size": 4096}, "would overwrite"),
    ],
)
def test_header_that_cannot_be_started_says_why(
    tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(ImageError, match=message):
        start(tmp_path, bzimage(**changes))


@pytest.mark.parametrize("size", [0x210, 0x263, 1024, 1024 + 0x200, 3056])
def test_truncated_kernel_says_to_copy_it_again(tmp_path: Path, size: int) -> None:
    with pytest.raises(ImageError, match=r"truncated.*Copy it again"):
        start(tmp_path, bzimage()[:size])


@pytest.mark.parametrize("size", [512, 0x205])
def test_kernel_cut_off_in_its_mark_is_no_boot_sector(tmp_path: Path, size: int) -> None:
    with pytest.raises(ImageError, match="cut off or damaged"):
        start(tmp_path, bzimage()[:size])


def test_command_line_too_long_says_the_room(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="20 bytes; the kernel takes 16"):
        start(tmp_path, bzimage(command_line_size=16), append="x" * 20)


def test_command_line_longer_than_low_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="command line does not fit"):
        start(tmp_path, bzimage(command_line_size=0xFFFF_FFFF), append="x" * 0xA_0000)


def test_initrd_too_big_says_how_much_memory(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="Say -m"):
        start(tmp_path, bzimage(), b"070701" + bytes(50 * MEBIBYTE))


def test_initrd_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no initramfs"):
        start(tmp_path, bzimage(), b"hello")


def test_memory_below_the_least_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="Say -m"):
        start(tmp_path, bzimage(), memory=MEBIBYTE)
