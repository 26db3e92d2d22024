"""PVH and multiboot kernels."""

import struct
from pathlib import Path

import pytest

from tests.unit.machine.x86.loader.images import (
    MEBIBYTE,
    bzimage,
    elf,
    multiboot_header,
    note,
    placed,
    pvh,
    start,
)
from worldswitch.arch.x86.registers import Cr0
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.machine.image import ImageError, Module
from worldswitch.machine.x86.loader import Entry, Mode


def check_protected_mode(entry: Entry) -> None:
    """32-bit protected mode, flat, without paging."""
    registers = entry.registers
    assert registers.mode is Mode.PROTECTED32
    assert registers.cr0 & (Cr0.PE | Cr0.PG) == Cr0.PE
    assert (registers.cr4, registers.efer, registers.rflags) == (0, 0, 2)
    assert registers.segments[SegmentNumber.CS].attributes == 0xC9B
    for number in (SegmentNumber.DS, SegmentNumber.ES, SegmentNumber.SS):
        segment = registers.segments[number]
        assert (segment.base, segment.limit, segment.attributes) == (0, 0xFFFF_FFFF, 0xC93)
    assert registers.tr.attributes == 0x8B


@pytest.mark.parametrize("bits", [32, 64])
def test_pvh_starts_at_its_note_with_the_start_info(tmp_path: Path, bits: int) -> None:
    entry = start(tmp_path, pvh(0x20_0010, bits), b"disk", "root=/dev/vda", memory=5 << 30)
    check_protected_mode(entry)
    assert (entry.kind, entry.registers.rip) == ("PVH", 0x20_0010)
    memory = placed(entry)
    info = struct.unpack("<IIIIQQQQII", memory.read(entry.registers.rbx, 56))
    magic, version, flags, modules, module_list, line, rsdp, table, entries, _ = info
    assert (magic, version, flags, modules) == (0x336E_C578, 1, 0, 1)
    assert memory.text(line) == "root=/dev/vda"
    assert memory.read(rsdp, 8) == b"RSD PTR "
    address, size, _, _ = struct.unpack("<QQQQ", memory.read(module_list, 32))
    assert memory.read(address, size) == b"disk"
    found = [struct.unpack("<QQII", memory.read(table + 24 * n, 24)) for n in range(entries)]
    assert (1 << 32, 2 << 30, 1, 0) in found


def two_modules(folder: Path) -> list[Module]:
    """The first has arguments, and is not a whole number of pages."""
    (folder / "one").write_bytes(b"1" * 5000)
    (folder / "two").write_bytes(b"22")
    return [Module.parse(f"{folder}/one quiet  a=b"), Module.parse(f"{folder}/two")]


def test_pvh_kernel_gets_modules_with_their_arguments(tmp_path: Path) -> None:
    entry = start(tmp_path, pvh(), b"disk", modules=two_modules(tmp_path))
    memory = placed(entry)
    info = struct.unpack("<IIIIQQQQII", memory.read(entry.registers.rbx, 56))
    assert info[3] == 3
    found: list[tuple[bytes, str]] = []
    for at in range(info[4], info[4] + 96, 32):
        address, size, line, _ = struct.unpack("<QQQQ", memory.read(at, 32))
        found.append((memory.read(address, size), memory.text(line) if line else ""))
    assert found == [(b"disk", ""), (b"1" * 5000, "quiet  a=b"), (b"22", "")]


def test_multiboot_kernel_gets_modules_with_their_arguments(tmp_path: Path) -> None:
    image = elf(multiboot_header() + b"\xf4" * 20, 32, entry=0x20_000C)
    entry = start(tmp_path, image, modules=two_modules(tmp_path))
    memory, info = placed(entry), information(entry)
    assert info["modules"] == 2
    found: list[tuple[bytes, str]] = []
    for at in range(info["module_list"], info["module_list"] + 32, 16):
        first, last, line, _ = struct.unpack("<IIII", memory.read(at, 16))
        assert first % 4096 == 0
        found.append((memory.read(first, last - first), memory.text(line)))
    assert found == [(b"1" * 5000, "one quiet  a=b"), (b"22", "two")]


def test_linux_kernel_with_modules_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="takes no --module"):
        start(tmp_path, bzimage(), modules=two_modules(tmp_path))


def test_pvh_without_a_module_has_an_empty_list(tmp_path: Path) -> None:
    entry = start(tmp_path, pvh())
    info = struct.unpack("<IIIIQQQQII", placed(entry).read(entry.registers.rbx, 56))
    assert info[3:5] == (0, 0)


def test_elf_segment_is_filled_with_zeros(tmp_path: Path) -> None:
    entry = start(tmp_path, pvh(memory_size=5000))
    assert placed(entry).read(0x20_0000, 5001) == b"\xf4" * 32 + bytes(4968) + b"\xcc"


def test_64_bit_elf_without_a_note_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"64-bit ELF file without a PVH.*Give a kernel"):
        start(tmp_path, elf())
    with pytest.raises(ImageError, match="32-bit ELF file without a PVH"):
        start(tmp_path, elf(bits=32, notes=note(b"Xen", 17, bytes(4))))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (pvh()[:40], "truncated in its ELF header"),
        (pvh()[:70], "truncated in its program headers"),
        (pvh()[:-4], "a segment lies beyond"),
        (pvh(machine=183), "for arm64; this machine runs x86"),
        (pvh(machine=22), "for s390x"),
        (pvh(machine=9999), "machine 9999"),
        (pvh(entry=0x30_0000), "starts at 0x300000, where none"),
        (pvh(memory_size=8), "more bytes than its memory"),
        (pvh(memory_size=0), "starts at"),
        (pvh(address=0x1_0000_0000), "starts at 0x200000"),
        (pvh(address=0xA_0000, entry=0xA_0000), "no memory for it"),
        (pvh(address=0x9_0000, entry=0x9_0000, memory_size=0x1_0000), "does not fit below"),
        (pvh(address=0x1F0_0000, entry=0x1F0_0000, memory_size=1 << 34), "Say -m"),
        (pvh(memory_size=(1 << 64) - 1), "Say -m"),
        (pvh(address=0xE_0000, entry=0xE_0000), "no memory for it"),
        (pvh(address=0x1000, entry=0x1000), "would overwrite"),
    ],
)
def test_broken_elf_says_why(tmp_path: Path, image: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        start(tmp_path, image)


@pytest.mark.parametrize(("offset", "value"), [(4, 0), (4, 3), (5, 9), (54, 1), (57, 0xFF)])
def test_elf_header_damaged_says_so(tmp_path: Path, offset: int, value: int) -> None:
    image = bytearray(pvh())
    image[offset] = value
    with pytest.raises(ImageError, match=r"damaged|truncated"):
        start(tmp_path, bytes(image))


def test_elf_with_big_endian_numbers_is_for_another_machine(tmp_path: Path) -> None:
    image = bytearray(pvh(machine=22 << 8))
    image[5] = 2
    with pytest.raises(ImageError, match="s390x"):
        start(tmp_path, bytes(image))


@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_FFFF, 200])
def test_note_with_a_wild_length_is_passed_over(tmp_path: Path, size: int) -> None:
    wild = struct.pack("<III", 4, size, 18) + b"Xen\0" + bytes(8)
    with pytest.raises(ImageError, match="without a PVH"):
        start(tmp_path, elf(notes=wild))


# --- multiboot ------------------------------------------------------------------------------------


def information(entry: Entry) -> dict[str, int]:
    """The multiboot information's words by name."""
    names = {0: "flags", 4: "lower", 8: "upper", 16: "line", 20: "modules", 24: "module_list"}
    names |= {44: "map_size", 48: "map", 64: "loader"}
    memory = placed(entry)
    return {name: memory.number(entry.registers.rbx + at, 4) for at, name in names.items()}


def test_multiboot_elf_starts_with_magic_and_information(tmp_path: Path) -> None:
    text = multiboot_header() + b"\xf4" * 20
    entry = start(tmp_path, elf(text, 32, entry=0x20_000C), b"module", "a b")
    check_protected_mode(entry)
    assert entry.kind == "multiboot"
    assert (entry.registers.rip, entry.registers.rax) == (0x20_000C, 0x2BAD_B002)
    memory, info = placed(entry), information(entry)
    assert info["flags"] == 0x24D
    assert (info["lower"], info["upper"]) == (639, 63 * 1024)
    assert memory.text(info["line"]) == "kernel a b"
    assert memory.text(info["loader"]) == "Worldswitch"
    first, last, name, _ = struct.unpack("<IIII", memory.read(info["module_list"], 16))
    assert (info["modules"], first % 4096) == (1, 0)
    assert memory.read(first, last - first) == b"module"
    assert memory.text(name) == "initrd"
    ranges: list[tuple[int, int, int]] = []
    at = info["map"]
    while at < info["map"] + info["map_size"]:
        size, base, length, kind = struct.unpack("<IQQI", memory.read(at, 24))
        ranges.append((base, length, kind))
        at += size + 4
    assert (0x10_0000, 63 * MEBIBYTE, 1) in ranges


def test_multiboot_image_with_addresses_is_placed_by_them(tmp_path: Path) -> None:
    header = multiboot_header(0x1_0003, 0x10_0010, 0x10_0000, 0x10_0040, 0x10_0080, 0x10_0030)
    image = (bytes(8) + b"A" * 16 + header).ljust(100, b"B")
    entry = start(tmp_path, image)
    # The header is at 24 in the file and at 100010h in memory, so 8 in the file is at 100000h.
    assert entry.registers.rip == 0x10_0030
    memory = placed(entry)
    assert memory.read(0x10_0000, 16) == b"A" * 16
    assert memory.read(0x10_0010, 4) == header[:4]
    assert memory.read(0x10_003F, 3) == b"B\0\0"
    assert memory.read(0x10_007F, 2) == b"\0\xcc"


def test_multiboot_addresses_left_out_mean_all_of_the_file(tmp_path: Path) -> None:
    header = multiboot_header(0x1_0000, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020)
    entry = start(tmp_path, header.ljust(300, b"C"))
    assert placed(entry).read(0x10_0000 + 299, 2) == b"C\xcc"


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (multiboot_header(0x0003).ljust(64, b"\0"), "no ELF file"),
        (multiboot_header(0x0008).ljust(64, b"\0"), "features 0x0008"),
        (multiboot_header(0x1_0000), "truncated in its multiboot header"),
        (multiboot_header(0x1_0000, 0x10_0000, 0x20_0000, 0, 0, 0x20_0000), "outside of what"),
        (multiboot_header(0x1_0000, 0x20_0000, 0x10_0000, 0, 0, 0x20_0000), "outside of what"),
        (
            multiboot_header(0x1_0000, 0x10_0000, 0x10_0000, 0x10_1000, 0, 0x10_0000),
            "promises 4096 bytes and the file has 32",
        ),
        (
            multiboot_header(0x1_0000, 0x10_0000, 0x10_0000, 0x0F_0000, 0, 0x10_0000),
            "out of order",
        ),
        (
            multiboot_header(0x1_0000, 0x10_0000, 0x10_0000, 0, 0x10_0008, 0x10_0000),
            "out of order",
        ),
        (multiboot_header(0x1_0000, 0x10_0000, 0x10_0000, 0, 0, 0x30_0000), "does not load"),
        (
            multiboot_header(0x1_0000, 0x10_0000, 0x10_0000, 0, 0xF000_0000, 0x10_0000),
            "Say -m",
        ),
        (multiboot_header(0x1_0000, 0x1000, 0x1000, 0, 0, 0x1000), "would overwrite"),
    ],
)
def test_broken_multiboot_header_says_why(tmp_path: Path, image: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        start(tmp_path, image)


def test_multiboot_header_with_a_wrong_sum_is_none(tmp_path: Path) -> None:
    image = bytearray(multiboot_header().ljust(64, b"\0"))
    image[8] ^= 1
    with pytest.raises(ImageError, match="nothing that a PC starts"):
        start(tmp_path, bytes(image))


def test_multiboot_header_too_far_behind_is_none(tmp_path: Path) -> None:
    image = bytes(8192) + multiboot_header()
    with pytest.raises(ImageError, match="nothing that a PC starts"):
        start(tmp_path, image)


def test_multiboot_module_too_big_says_how_much_memory(tmp_path: Path) -> None:
    text = multiboot_header() + b"\xf4" * 20
    with pytest.raises(ImageError, match="Say -m"):
        start(tmp_path, elf(text, 32), bytes(63 * MEBIBYTE))
