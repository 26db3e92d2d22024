"""Random values near the boundaries: registers, storage, packed decimals, text."""

import struct
from random import Random

EDGES_64 = [
    0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF,
    0x10000, 0x7FFF_FFFE, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF,
    0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0x8000_0000_0000_0001,
    0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE, 0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF_8000_0000,
    0xFFFF_FFFF_7FFF_FFFF, 0x7FFF_FFFF_0000_0000, 0x8000_0000_FFFF_FFFF, 0x5555_5555_5555_5555,
    0xAAAA_AAAA_AAAA_AAAA, 0x0000_0001_0000_0001, 0x8000_0000_8000_0000, 0x0102_0304_0506_0708,
]  # fmt: skip
EDGES_FP = [
    0, 1 << 63, 0x3FF0_0000_0000_0000, 0xBFF0_0000_0000_0000, 0x7FF0_0000_0000_0000,
    0xFFF0_0000_0000_0000, 0x7FF8_0000_0000_0000, 0x7FF4_0000_0000_0001, 1, 0x000F_FFFF_FFFF_FFFF,
    0x0010_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF, 0x3F80_0000_0000_0000, 0xBF80_0000_0000_0000,
    0x7F80_0000_0000_0000, 0xFF80_0000_0000_0000, 0x7FC0_0000_0000_0000, 0x7FA0_0000_0000_0000,
    0x0000_0001_0000_0000, 0x0080_0000_0000_0000, 0x007F_FFFF_0000_0000, 0x7F7F_FFFF_0000_0000,
    0x4000_0000_0000_0000, 0x4330_0000_0000_0001, 0x43E0_0000_0000_0000, 0xC3E0_0000_0000_0000,
    0x41DF_FFFF_FFC0_0000, 0x41E0_0000_0000_0000, 0x4F00_0000_0000_0000, 0x5F00_0000_0000_0000,
]  # fmt: skip
FEW_BYTES = [b"\x00\xff", b"\x00\x01", b"\x40\x0c", b"\x7f\x80", b"abc\x00", b"\x00"]
TEXT = ["", "a", "é", "€", "\N{GRINNING FACE}", "z0", "\ud800\udc00"]


class Values:
    """Draws from pools that are filled once from a seed."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        draw = rng.getrandbits
        self.pool = EDGES_64 * 12
        self.pool += [draw(64) for _ in range(500)]
        self.pool += [draw(rng.randrange(1, 64)) for _ in range(200)]
        self.pool += [rng.choice(EDGES_64) + rng.randrange(-3, 4) & 2**64 - 1 for _ in range(200)]
        self.floats = EDGES_FP * 10
        self.floats += [draw(64) for _ in range(200)]
        self.floats += [self._near_one() for _ in range(300)]

    def _near_one(self) -> int:
        """A float of ordinary size, short in the left half or long."""
        value = self.rng.uniform(-4, 4) * 2.0 ** self.rng.randrange(-70, 70)
        if self.rng.random() < 0.5:
            return struct.unpack(">I", struct.pack(">f", value))[0] << 32
        return struct.unpack(">Q", struct.pack(">d", value))[0]

    def registers(self) -> list[int]:
        """Sixteen 64-bit values, some of them equal."""
        rng = self.rng
        return rng.choices(rng.choices(self.pool, k=12), k=16)

    def float_registers(self) -> list[int]:
        """Sixteen floating-point register values."""
        rng = self.rng
        return rng.choices(rng.choices(self.floats, k=10), k=16)

    def storage(self, size: int) -> bytes:
        """Bytes for operands to lie in."""
        rng = self.rng
        kind = rng.randrange(8)
        if kind < 3:
            return rng.randbytes(size)
        if kind == 3:
            return bytes(rng.choices(rng.choice(FEW_BYTES), k=size))
        if kind == 4:
            return b"".join(self.packed() for _ in range(size // 8))
        if kind == 5:
            return struct.pack(f">{size // 8}Q", *rng.choices(self.pool, k=size // 8))
        if kind == 6:
            return struct.pack(f">{size // 8}Q", *rng.choices(self.floats, k=size // 8))
        return self.text(size)

    def packed(self) -> bytes:
        """Eight bytes of packed decimal, mostly valid, mostly in the range of 32 bits."""
        rng = self.rng
        digits = rng.choice((0, 5, 9, 10, 10, 15))
        number = rng.randrange(10**digits) if rng.random() < 0.8 else 2**31 + rng.randrange(-2, 3)
        sign = rng.choice("CDFABE") if rng.random() < 0.95 else "7"
        data = bytearray.fromhex(f"{number:015d}{sign}")
        if rng.random() < 0.05:
            data[rng.randrange(8)] = rng.randrange(256)
        return bytes(data)

    def text(self, size: int) -> bytes:
        """Text in one of the Unicode encodings, sometimes damaged, or zoned digits."""
        rng = self.rng
        way = rng.choice(("utf-8", "utf-16-be", "utf-32-be"))
        data = "".join(rng.choices(TEXT, k=size)).encode(way, "surrogatepass")
        data = bytearray(data[:size].ljust(size, b" "))
        if rng.random() < 0.3:
            data[rng.randrange(size)] = rng.randrange(256)
        return bytes(data)
