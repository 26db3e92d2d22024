"""Truncated and mutated images: each is started, or refused in a sentence."""

import gzip
import struct
from pathlib import Path
from random import Random

import pytest

from worldswitch.machine.s390x.loader import ImageError, load
from worldswitch.metal.s390x.storage import Storage

MEMORY = 16 << 20
SHARE, LONG = 300, 20_000


def elf(rng: Random) -> bytes:
    """A small executable for s390x with a few segments."""
    count = rng.randrange(1, 4)
    text = rng.randbytes(200)
    header = struct.pack(
        ">16sHHIQQQIHHHHHH", b"\x7fELF\x02\x02\x01".ljust(16, b"\0"), 2, 22, 1, 0x10000, 64, 0, 0,
        64, 56, count, 64, 0, 0,
    )  # fmt: skip
    offset = 64 + 56 * count
    parts = b"".join(
        struct.pack(">IIQQQQQQ", 1, 5, offset, 0x10000 * (n + 1), 0x10000 * (n + 1), 200, 400, 8)
        for n in range(count)
    )
    return header + parts + text


def kernel(rng: Random) -> bytes:
    """What looks like a Linux kernel."""
    data = bytearray(0x11000)
    data[0x10008:0x1000E] = b"S390EP"
    data[0x10430:0x10438] = rng.choice((0, 896, 4096)).to_bytes(8, "big")
    return bytes(data)


def initrd(rng: Random) -> bytes:
    """A compressed or plain archive."""
    plain = b"070701" + rng.randbytes(500)
    return gzip.compress(plain) if rng.random() < 0.7 else plain


def damaged(data: bytes, rng: Random) -> bytes:
    """Cut short, or with some bytes, bits or words changed."""
    result = bytearray(data)
    if rng.random() < 0.4:
        del result[rng.randrange(len(result)) :]
    head = min(len(result), 256)
    for _ in range(rng.choice((0, 1, 2, 8))):
        if head > 8:
            at = rng.randrange(head - 8)
            width = rng.choice((1, 2, 4, 8))
            result[at : at + width] = rng.choice((rng.randbytes(width), b"\xff" * width))
    return bytes(result)


def attempt(directory: Path, rng: Random) -> str:
    """Load one damaged set of images; what came of it."""
    program = rng.random() < 0.6
    image, disk = directory / "image", directory / "disk"
    image.write_bytes(damaged(elf(rng) if program else kernel(rng), rng))
    with_disk = not program and rng.random() < 0.6
    if with_disk:
        disk.write_bytes(damaged(initrd(rng), rng))
    try:
        return load(Storage(MEMORY), image, disk if with_disk else None, "a" * 20).kind
    except ImageError as error:
        assert str(error).endswith(".")
        return "refused"


@pytest.mark.parametrize(
    "count", [SHARE, pytest.param(LONG, marks=pytest.mark.long)], ids=["share", "long"]
)
def test_damaged_images_load_or_are_refused_in_words(tmp_path: Path, count: int) -> None:
    rng = Random(count)
    seen = {attempt(tmp_path, rng) for _ in range(count)}
    assert "refused" in seen
    assert len(seen) > 1
