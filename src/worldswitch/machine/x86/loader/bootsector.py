"""Boot sectors: 512 bytes in real mode at 7C00h, without a BIOS behind them.

A BIOS call returns with the carry flag set, the answer of a function that is not there; interrupts
of devices return at once. ref: IBM PC/AT Technical Reference, BIOS.
"""

import struct

from worldswitch.arch.x86.registers import Cr0
from worldswitch.arch.x86.segments import SegmentNumber
from worldswitch.machine.x86.loader.entry import (
    TASK,
    Entry,
    Mode,
    Part,
    Placement,
    Platform,
    Registers,
    SegmentState,
)

SECTOR = 512
SIGNATURE = b"\x55\xaa"
ADDRESS = 0x7C00
FIRST_DISK = 0x80
STUBS = 0xF_FF53
"""The address of the BIOS's dummy handler, F000:FF53, and of ours."""
STUB_SEGMENT = 0xF000
RETURN = bytes([0xCF])
"""IRET."""
NO_SERVICE = bytes([0x55, 0x89, 0xE5, 0x80, 0x4E, 0x06, 0x01, 0x5D, 0xCF])
"""PUSH BP; MOV BP, SP; OR BYTE [BP + 6], 1; POP BP; IRET: the caller gets CF."""
DEVICE_VECTORS = frozenset(range(0x10)) | frozenset(range(0x70, 0x78))
REAL_DATA, REAL_CODE = 0x93, 0x9B


def is_boot_sector(data: bytes) -> bool:
    """Whether a file begins with a boot sector."""
    return data[SECTOR - 2 : SECTOR] == SIGNATURE


def load_boot_sector(data: bytes, platform: Platform) -> Entry:
    """The first sector of `data` ready to start, as a BIOS leaves the machine."""
    placement = Placement(platform)
    placement.add(ADDRESS, data[:SECTOR], "the boot sector")
    offset = STUBS & 0xFFFF
    vectors = b"".join(
        struct.pack(
            "<HH", offset if vector in DEVICE_VECTORS else offset + len(RETURN), STUB_SEGMENT
        )
        for vector in range(256)
    )
    placement.add(0, vectors, "the interrupt vectors")
    stubs = RETURN + NO_SERVICE
    parts = (*placement.parts, Part(STUBS, stubs, len(stubs), "the interrupt handlers"))
    data_segment = SegmentState(0, 0, 0xFFFF, REAL_DATA)
    segments = dict.fromkeys(SegmentNumber, data_segment)
    segments[SegmentNumber.CS] = SegmentState(0, 0, 0xFFFF, REAL_CODE)
    registers = Registers(
        mode=Mode.REAL,
        rip=ADDRESS,
        rsp=ADDRESS,
        rdx=FIRST_DISK,
        cr0=int(Cr0.ET),
        segments=segments,
        tr=TASK,
    )
    return Entry("boot sector", parts, registers)
