"""Machine instructions run on the host's own processor, with chosen registers and memory.

The state goes in and out as an FXSAVE image and general registers. R15 and RSP are the runner's own
and cannot be used by what is run; what it runs must not fault.
"""

import ctypes
import mmap
import platform
import struct
from dataclasses import dataclass, field

GENERAL = (0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)
"""Registers that a program may use."""
IMAGE = 512
FLAGS_AT = IMAGE + 16 * 8
STATUS = 0x8D5
ENTER = bytes.fromhex("53 55 4154 4155 4156 4157 4989ff 490fae0f")
"""Save what the caller wants back; the area's address to R15; FXRSTOR64."""
END = bytes.fromhex("490fae07 dbe3")
"""FXSAVE64; FNINIT."""
BACK = bytes.fromhex("415f 415e 415d 415c 5d 5b c3")


def available() -> bool:
    """Whether this host is an x86-64 with what the tests compare."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        with open("/proc/cpuinfo") as info:
            return " sse4_2 " in info.read()
    except OSError:
        return False


@dataclass
class Vectors:
    """What SSE and MMX instructions work on."""

    general: dict[int, int] = field(default_factory=dict)
    xmm: list[int] = field(default_factory=lambda: [0] * 16)
    """128 bits each."""
    mmx: list[int] = field(default_factory=lambda: [0] * 8)
    exponents: list[int] = field(default_factory=lambda: [0] * 8)
    tags: int = 0
    """As FXSAVE has them: one bit a physical register, 1 if it is not empty."""
    status: int = 0
    control: int = 0x37F
    mxcsr: int = 0x1F80
    flags: int = 0
    """Status flags of RFLAGS."""
    memory: bytes = bytes(64)
    """64-byte aligned: RDI points there."""


def _code(program: bytes) -> bytes:
    def general(opcode: int) -> bytes:
        return b"".join(
            bytes([0x49 | (n >> 3) << 2, opcode, 0x87 | (n & 7) << 3])
            + struct.pack("<i", IMAGE + 8 * n)
            for n in GENERAL
        )

    flags = struct.pack("<i", FLAGS_AT)
    mxcsr = b"\x41\x0f\xae\x97" + struct.pack("<i", FLAGS_AT + 8)
    load = b"\x41\xff\xb7" + flags + b"\x9d" + general(0x8B)
    store = general(0x89) + b"\x9c\x41\x8f\x87" + flags
    return ENTER + load + program + store + END + mxcsr + BACK


class Native:
    """One program on the host, to be run as often as wanted."""

    def __init__(self, program: bytes) -> None:
        self.code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.code.write(_code(program))
        where = ctypes.addressof(ctypes.c_char.from_buffer(self.code))
        self._run = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(where)
        self.data = mmap.mmap(-1, 8192)
        self._at = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        self.memory_at = self._at + 4096

    def run(self, before: Vectors) -> Vectors:
        """Execute the program once."""
        area = bytearray(1024)
        struct.pack_into("<HHB", area, 0, before.control, before.status, before.tags)
        struct.pack_into("<II", area, 24, before.mxcsr, 0xFFFF)
        top = before.status >> 11 & 7
        for n in range(8):
            at = (top + n) & 7
            struct.pack_into("<QH", area, 32 + 16 * n, before.mmx[at], before.exponents[at])
        for n in range(16):
            area[160 + 16 * n : 176 + 16 * n] = before.xmm[n].to_bytes(16, "little")
        for n in GENERAL:
            struct.pack_into("<Q", area, IMAGE + 8 * n, before.general.get(n, 0))
        struct.pack_into("<Q", area, IMAGE + 8 * 7, self.memory_at)
        struct.pack_into("<QI", area, FLAGS_AT, before.flags | 0x202, 0x1F80)
        self.data[: len(area)] = bytes(area)
        self.data[4096 : 4096 + len(before.memory)] = before.memory
        self._run(self._at)
        return self._after(self.data[: len(area)], len(before.memory))

    def _after(self, area: bytes, size: int) -> Vectors:
        after = Vectors(memory=self.data[4096 : 4096 + size])
        after.control, after.status, after.tags = struct.unpack_from("<HHB", area, 0)
        (after.mxcsr,) = struct.unpack_from("<I", area, 24)
        top = after.status >> 11 & 7
        for n in range(8):
            at = (top + n) & 7
            after.mmx[at], after.exponents[at] = struct.unpack_from("<QH", area, 32 + 16 * n)
        for n in range(16):
            after.xmm[n] = int.from_bytes(area[160 + 16 * n : 176 + 16 * n], "little")
        after.general = {n: struct.unpack_from("<Q", area, IMAGE + 8 * n)[0] for n in GENERAL}
        after.general[7] -= self.memory_at
        after.flags = struct.unpack_from("<Q", area, FLAGS_AT)[0] & STATUS
        return after
