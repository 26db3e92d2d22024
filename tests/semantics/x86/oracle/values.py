"""Random values near the boundaries: registers, memory, floating-point registers, flags."""

import struct
from random import Random

from tests.semantics.x86.oracle.layout import FX_SIZE

EDGES = [
    0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 63, 64, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF,
    0x10000, 0x7FFF_FFFE, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF,
    0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0x8000_0000_0000_0001,
    0xFFFF_FFFF_FFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFE, 0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF_8000_0000,
    0xFFFF_FFFF_7FFF_FFFF, 0x7FFF_FFFF_0000_0000, 0x8000_0000_FFFF_FFFF, 0x5555_5555_5555_5555,
    0xAAAA_AAAA_AAAA_AAAA, 0x0000_0001_0000_0001, 0x8000_0000_8000_0000, 0x0102_0304_0506_0708,
    0x8080_8080_8080_8080, 0x7F7F_7F7F_7F7F_7F7F, 0x7FFF_8000_7FFF_8000, 0x00FF_00FF_00FF_00FF,
    0x0099_0099, 0x9A, 0xFA, 0x1009, 0x990A,
]  # fmt: skip
DOUBLES = [
    0, 1 << 63, 0x3FF0_0000_0000_0000, 0xBFF0_0000_0000_0000, 0x7FF0_0000_0000_0000,
    0xFFF0_0000_0000_0000, 0x7FF8_0000_0000_0000, 0xFFF8_0000_0000_0000, 0x7FF4_0000_0000_0001, 1,
    0x000F_FFFF_FFFF_FFFF, 0x0010_0000_0000_0000, 0x8010_0000_0000_0000, 0x7FEF_FFFF_FFFF_FFFF,
    0x4000_0000_0000_0000, 0x4330_0000_0000_0001, 0x43E0_0000_0000_0000, 0xC3E0_0000_0000_0000,
    0x41DF_FFFF_FFC0_0000, 0x41E0_0000_0000_0000, 0xC1E0_0000_0000_0000, 0x3FE0_0000_0000_0000,
    0x4004_0000_0000_0000, 0x3FF8_0000_0000_0000, 0x47EF_FFFF_E000_0000, 0x47EF_FFFF_F000_0000,
    0x3810_0000_0000_0000, 0x36A0_0000_0000_0000, 0x369F_FFFF_FFFF_FFFF, 0x43DF_FFFF_FFFF_FFFF,
]  # fmt: skip
SINGLES = [
    0, 1 << 31, 0x3F80_0000, 0xBF80_0000, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0000, 0xFFC0_0000,
    0x7FA0_0000, 1, 0x007F_FFFF, 0x0080_0000, 0x8080_0000, 0x7F7F_FFFF, 0x4000_0000, 0x4B00_0001,
    0x5F00_0000, 0xDF00_0000, 0x4EFF_FFFF, 0x4F00_0000, 0xCF00_0000, 0x3F00_0000, 0x4020_0000,
    0x3FC0_0000, 0x00FF_FFFF, 0x3400_0000,
]  # fmt: skip
EXTENDED = [
    (0, 0), (0x8000, 0), (0x3FFF, 1 << 63), (0xBFFF, 1 << 63), (0x7FFF, 1 << 63),
    (0xFFFF, 1 << 63), (0x7FFF, 3 << 62), (0xFFFF, 3 << 62), (0x7FFF, (1 << 63) + 1), (0, 1),
    (0, 2**63 - 1), (0, 1 << 63), (1, 1 << 63), (0x7FFE, 2**64 - 1), (0xFFFE, 2**64 - 1),
    (0x4000, 1 << 63), (0x3FFE, 1 << 63), (0x4000, 0xC90F_DAA2_2168_C235), (0x403E, 1 << 63),
    (0xC03E, 1 << 63), (0x403D, 2**64 - 1), (0x3FFF, 3 << 62), (0x1234, 1), (0x7FFF, 1),
    (0x403A, 0xDE0B_6B3A_763F_FFF0), (0x400E, 0xFFFF << 48), (0x401E, 0xFFFF_FFFF << 32),
]  # fmt: skip
"""Sign and exponent, significand: also unnormal and pseudo-denormal ones."""
FEW_BYTES = [b"\x00\xff", b"\x00\x01", b"\x80\x7f", b"\x09\x99", b"abc\x00", b"\x00", b"\xff"]
FX_HEAD = struct.Struct("<HHBxHQQII")
STATUS = 0x8D5
ID, AC, DF = 1 << 21, 1 << 18, 1 << 10
"""AC: alignment is checked."""


class Values:
    """Draws from pools that are filled once from a seed."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        draw = rng.getrandbits
        self.pool = EDGES * 8
        self.pool += [draw(64) for _ in range(500)]
        self.pool += [draw(rng.randrange(1, 64)) for _ in range(200)]
        self.pool += [rng.choice(EDGES) + rng.randrange(-3, 4) & 2**64 - 1 for _ in range(200)]
        self.doubles = DOUBLES * 10 + [draw(64) for _ in range(150)]
        self.doubles += [self._double() for _ in range(350)]
        self.singles = SINGLES * 10 + [draw(32) for _ in range(150)]
        self.singles += [self._single() for _ in range(350)]

    def _number(self) -> float:
        """A float of ordinary size, often short."""
        rng = self.rng
        if rng.random() < 0.3:
            return float(rng.randrange(-300, 300)) / rng.choice((1, 2, 4, 3))
        return rng.uniform(-4, 4) * 2.0 ** rng.randrange(-70, 70)

    def _double(self) -> int:
        return struct.unpack("<Q", struct.pack("<d", self._number()))[0]

    def _single(self) -> int:
        return struct.unpack("<I", struct.pack("<f", self._number()))[0]

    def registers(self) -> list[int]:
        """Sixteen 64-bit values, some of them equal."""
        rng = self.rng
        return rng.choices(rng.choices(self.pool, k=12), k=16)

    def flags(self) -> int:
        """RFLAGS of a program: status flags, and seldom the others that it may set."""
        rng = self.rng
        flags = rng.getrandbits(12) & STATUS | 0x202
        if rng.random() < 0.1:
            flags |= rng.choice((ID, AC, DF, DF))
        return flags

    def vector(self) -> bytes:
        """An XMM register: integers or floats of one kind."""
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 3:
            return struct.pack("<2Q", *rng.choices(self.doubles, k=2))
        if kind < 6:
            return struct.pack("<4I", *rng.choices(self.singles, k=4))
        if kind < 9:
            return struct.pack("<2Q", *rng.choices(self.pool, k=2))
        return bytes(rng.choices(rng.choice(FEW_BYTES), k=16))

    def extended(self) -> bytes:
        """An x87 register, in ten bytes; sometimes what an MMX instruction has left there."""
        rng = self.rng
        kind = rng.randrange(10)
        if kind < 3:
            exponent, significand = rng.choice(EXTENDED)
        elif kind < 8:
            # A number of ordinary size, with few or many digits.
            exponent = 0x3FFF + rng.randrange(-3, 66) | rng.getrandbits(1) << 15
            significand = 1 << 63 | rng.getrandbits(63)
            if rng.random() < 0.5:
                significand &= -1 << rng.choice((63, 60, 48, 40, 11, 8))
        elif kind == 8:
            exponent, significand = 0xFFFF, rng.choice(self.pool)
        else:
            exponent, significand = rng.getrandbits(16), 1 << 63 | rng.getrandbits(63)
        return struct.pack("<QH", significand & 2**64 - 1, exponent)

    def mxcsr(self) -> int:
        """MXCSR: mostly as programs have it, else any rounding, masks and sticky flags."""
        rng = self.rng
        if rng.random() < 0.4:
            return 0x1F80
        value = 0x1F80 | rng.randrange(4) << 13 | (rng.getrandbits(6) if rng.random() < 0.3 else 0)
        if rng.random() < 0.3:
            value ^= rng.choice((0x8000, 0x40, 0x8040))
        if rng.random() < 0.15:
            value &= ~(rng.getrandbits(6) << 7)
        return value

    def floating(self) -> bytes:
        """An FXSAVE image up to XMM15; rarely an x87 exception is pending."""
        rng = self.rng
        control = 0x37F
        if rng.random() < 0.5:
            control = 0x7F | rng.randrange(4) << 10 | rng.choice((0, 2, 3, 3)) << 8
        if rng.random() < 0.1:
            control &= ~(rng.getrandbits(6))
        top = rng.choice((0, 0, 7, rng.randrange(8)))
        status = top << 11 | rng.getrandbits(16) & 0x4700
        if rng.random() < 0.2:
            status |= rng.getrandbits(6) & control
        if control & 0x3F != 0x3F and rng.random() < 0.15:
            status |= ~control & 0x3F | 0x8080
        tags = rng.choice((0xFF, 0xFF, 0xFF, 0, rng.getrandbits(8)))
        head = FX_HEAD.pack(control, status, tags, 0, 0, 0, self.mxcsr(), 0)
        registers = b"".join(self.extended().ljust(16, b"\0") for _ in range(8))
        vectors = rng.choices([self.vector() for _ in range(10)], k=16)
        return (head + registers + b"".join(vectors)).ljust(FX_SIZE, b"\0")

    def memory(self, size: int) -> bytes:
        """Bytes for operands to lie in."""
        rng = self.rng
        kind = rng.randrange(8)
        if kind < 3:
            return rng.randbytes(size)
        if kind == 3:
            return bytes(rng.choices(rng.choice(FEW_BYTES), k=size))
        if kind == 4:
            return struct.pack(f"<{size // 8}Q", *rng.choices(self.doubles, k=size // 8))
        if kind == 5:
            return struct.pack(f"<{size // 4}I", *rng.choices(self.singles, k=size // 4))
        if kind == 6:
            parts = [self.extended() for _ in range(size // 10)]
            return b"".join(parts).ljust(size, b"\0")
        return struct.pack(f"<{size // 8}Q", *rng.choices(self.pool, k=size // 8))
