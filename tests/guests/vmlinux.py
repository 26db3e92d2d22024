"""The ELF file inside of a compressed Linux kernel for x86, as `extract-vmlinux` finds it.

ref: Linux, Documentation/arch/x86/boot.rst; LZ4 block and legacy frame format.
"""

import struct
from pathlib import Path

SECTOR = 512
LZ4_LEGACY = 0x184C_2102
SHORTEST_MATCH, EXTENDED = 4, 15


def unpacked(image: Path) -> bytes:
    """The kernel of a bzImage whose payload is compressed by LZ4. Raises ValueError."""
    data = image.read_bytes()
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (data[0x1F1] + 1) * SECTOR + offset
    payload = data[start : start + length]
    if struct.unpack_from("<I", payload)[0] != LZ4_LEGACY:
        raise ValueError(f"{image}: the payload is not in the legacy format of LZ4")
    result = bytearray()
    at = 4
    while at < len(payload) - 4:  # the last word is the size of the result
        (size,) = struct.unpack_from("<I", payload, at)
        at += 4
        add_block(payload[at : at + size], result)
        at += size
    return bytes(result)


def extended(data: bytes, at: int, number: int) -> tuple[int, int]:
    """A length whose first four bits are known, and where its bytes end."""
    if number == EXTENDED:
        while True:
            number += data[at]
            at += 1
            if data[at - 1] != 0xFF:
                break
    return number, at


def add_block(data: bytes, result: bytearray) -> None:
    """Append what a block says."""
    at = 0
    while True:
        token = data[at]
        literals, at = extended(data, at + 1, token >> 4)
        result += data[at : at + literals]
        at += literals
        if at >= len(data):
            return
        distance = data[at] | data[at + 1] << 8
        length, at = extended(data, at + 2, token & 15)
        length += SHORTEST_MATCH
        start = len(result) - distance
        if distance >= length:
            result += result[start : start + length]
        else:
            result += (bytes(result[start:]) * (length // distance + 1))[:length]
