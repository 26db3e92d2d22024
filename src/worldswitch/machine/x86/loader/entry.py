"""What a loader makes of an image: bytes to place, and the state that the processor begins in."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from worldswitch.arch.x86.registers import Cr0, Cr4, Efer, Rflags
from worldswitch.arch.x86.segments import (
    SegmentNumber,
    descriptor_base,
    descriptor_limit,
    packed_attributes,
)
from worldswitch.machine.image import ImageError
from worldswitch.machine.x86.acpi_tables import Tables
from worldswitch.machine.x86.dma import Memory
from worldswitch.machine.x86.layout import (
    BDA,
    EBDA,
    KIBIBYTE,
    LEGACY_HOLE,
    LOWEST_MEMORY,
    MEBIBYTE,
    RangeType,
    inside,
    memory_map,
)

BOOT_AREA = 0x1000
"""Where the structures of boot protocols begin; they end below the EBDA."""
COM1 = 0x3F8
ONE_SERIAL_PORT, HAS_X87 = 1 << 9, 1 << 1
"""Bits of the equipment word."""
CHUNK = 1 << 20
PAGE = 4096
CODE, DATA = 0x10, 0x18
"""Selectors of every protocol: flat code and flat data."""
CODE_64, CODE_32, DATA_32 = (
    0x00AF_9B00_0000_FFFF, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF,
)  # fmt: skip


class Mode(Enum):
    """The mode of operation at the entry point."""

    REAL = "real mode"
    PROTECTED32 = "32-bit protected mode"
    LONG64 = "64-bit mode"


@dataclass(frozen=True)
class SegmentState:
    """A segment register. attributes: the packed form of the VMCB (APM2 15.5.1)."""

    selector: int
    base: int
    limit: int
    attributes: int


@dataclass(frozen=True)
class Part:
    """Bytes at a guest-physical address, of which `size` bytes are the image's.

    cleared: what lies behind the bytes has to be zero.
    """

    address: int
    data: bytes = field(repr=False)
    size: int
    what: str
    cleared: bool = True

    @property
    def end(self) -> int:
        """The first address behind the part."""
        return self.address + self.size


@dataclass(frozen=True)
class Registers:
    """The processor's state at the entry point; what is not here is as after RESET.

    Interrupts are off. gdt: base address and limit.
    """

    mode: Mode
    rip: int
    cr0: int
    segments: Mapping[SegmentNumber, SegmentState]
    tr: SegmentState
    gdt: tuple[int, int] = (0, 0xFFFF)
    rsp: int = 0
    rsi: int = 0
    rax: int = 0
    rbx: int = 0
    rdx: int = 0
    cr3: int = 0
    cr4: int = 0
    efer: int = 0
    rflags: int = int(Rflags.ONE)


@dataclass(frozen=True)
class Entry:
    """An image ready to start. kind: what it is, in a word."""

    kind: str
    parts: tuple[Part, ...]
    registers: Registers

    def place(self, memory: Memory) -> None:
        """Write all parts to guest memory."""
        for part in self.parts:
            if part.data:
                memory.write(part.address, part.data)
            behind = part.address + len(part.data)
            for start in range(behind, part.end if part.cleared else behind, CHUNK):
                memory.write(start, bytes(min(CHUNK, part.end - start)))


def bios_data() -> list[Part]:
    """What firmware says of itself in low memory; hypervisors find the end of memory there.

    ref: IBM PC/AT Technical Reference, BIOS data area.
    """
    area = bytearray(256)
    struct.pack_into("<H", area, 0x00, COM1)
    struct.pack_into("<H", area, 0x0E, EBDA >> 4)
    struct.pack_into("<H", area, 0x10, ONE_SERIAL_PORT | HAS_X87)
    struct.pack_into("<H", area, 0x13, EBDA // KIBIBYTE)
    extension = bytes([(LEGACY_HOLE - EBDA) // KIBIBYTE])
    return [
        Part(BDA, bytes(area), len(area), "the BIOS data area"),
        Part(EBDA, extension, 1, "the extended BIOS data area"),
    ]


@dataclass(frozen=True)
class Platform:
    """The board that an image is loaded for. memory: bytes of RAM."""

    memory: int
    tables: Tables


class Placement:
    """Collects parts: each lies in usable memory, and none overlaps another."""

    def __init__(self, platform: Platform) -> None:
        if platform.memory < LOWEST_MEMORY:
            raise ImageError(
                f"A PC needs {LOWEST_MEMORY // MEBIBYTE} MiB of memory at least. Say -m 128M."
            )
        self.platform = platform
        self.map = memory_map(platform.memory)
        self._usable = [part for part in self.map if part.type is RangeType.USABLE]
        tables = platform.tables
        self.parts = bios_data()
        self.parts.append(Part(tables.address, tables.data, len(tables.data), "the ACPI tables"))
        self._next = BOOT_AREA

    @property
    def low_end(self) -> int:
        """End of usable memory below 4 GiB."""
        return max(part.end for part in self._usable if part.end < 1 << 32)

    def add(self, address: int, data: bytes, what: str, size: int | None = None) -> None:
        """Place bytes, and zeros behind them up to `size`; raises ImageError."""
        self.add_part(Part(address, data, len(data) if size is None else size, what))

    def add_part(self, part: Part) -> None:
        """Place a part; raises ImageError if it lies elsewhere than in free memory."""
        if part.size == 0:
            return
        if not inside(self._usable, part.address, part.size):
            self._refuse(part)
        for other in self.parts:
            if part.address < other.end and other.address < part.end:
                raise ImageError(
                    f"{part.what} at {part.address:#x} to {part.end - 1:#x} would overwrite "
                    f"{other.what} at {other.address:#x}. Link or place it elsewhere."
                )
        self.parts.append(part)

    def _refuse(self, part: Part) -> None:
        if part.address >= 1 << 32 or not inside(self._usable, part.address, 1):
            if self.low_end <= part.address < 1 << 32:
                raise ImageError(memory_message(part.what, part.end, self.platform.memory))
            raise ImageError(
                f"{part.what} wants to be at {part.address:#x}, where the PC has no memory for "
                "it. Link it for an address from 0x100000 on."
            )
        if part.address < EBDA:
            raise ImageError(
                f"{part.what} at {part.address:#x} does not fit below {EBDA:#x}. "
                "Link it for an address from 0x100000 on."
            )
        raise ImageError(memory_message(part.what, part.end, self.platform.memory))

    def low(self, data: bytes, what: str, alignment: int = 16) -> int:
        """Place a boot protocol's structure in low memory; its address."""
        address = -(-self._next // alignment) * alignment
        if address + len(data) > EBDA:
            raise ImageError(f"{what} does not fit in low memory. Make it shorter.")
        self.add(address, data, what)
        self._next = address + len(data)
        return address

    def high(self, data: bytes, what: str, limit: int, floor: int) -> int:
        """Place bytes at page boundaries as high below `limit` as they go; their address."""
        address = (min(limit, self.low_end) - len(data)) // PAGE * PAGE
        if address < floor:
            raise ImageError(memory_message(what, floor + len(data), self.platform.memory))
        self.add(address, data, what)
        return address

    def text(self, value: str, what: str) -> int:
        """Place a string that ends with a zero byte."""
        return self.low(value.encode("utf-8", "replace") + b"\0", what)

    def gdt(self, code: int) -> tuple[int, int]:
        """Place a table with flat segments at CODE and DATA; its base and limit."""
        table = b"".join(value.to_bytes(8, "little") for value in (0, 0, code, DATA_32))
        return self.low(table, "the descriptor table"), len(table) - 1


def memory_message(what: str, end: int, memory: int) -> str:
    """That something needs memory up to `end`, and what to say to get it."""
    need = -(-end // MEBIBYTE)
    return (
        f"{what} needs {need} MiB of memory and there are {memory // MEBIBYTE}. "
        f"Say -m {max(128, need + 64)}M."
    )


def flat_segment(selector: int, descriptor: int) -> SegmentState:
    """A segment register as loading a descriptor leaves it."""
    return SegmentState(
        selector,
        descriptor_base(descriptor),
        descriptor_limit(descriptor),
        packed_attributes(descriptor),
    )


def flat_segments(code: int) -> dict[SegmentNumber, SegmentState]:
    """Code and data segments that cover everything."""
    data = flat_segment(DATA, DATA_32)
    found = dict.fromkeys(SegmentNumber, data)
    found[SegmentNumber.CS] = flat_segment(CODE, code)
    return found


TASK = SegmentState(0, 0, 0xFFFF, 0x8B)
"""TR as after RESET: a busy task-state segment."""


def protected32(gdt: tuple[int, int], rip: int, rax: int, rbx: int) -> Registers:
    """32-bit protected mode without paging, as PVH and multiboot have it."""
    return Registers(
        mode=Mode.PROTECTED32,
        rip=rip,
        rax=rax,
        rbx=rbx,
        cr0=int(Cr0.PE | Cr0.ET),
        segments=flat_segments(CODE_32),
        tr=TASK,
        gdt=gdt,
    )


def long64(gdt: tuple[int, int], rip: int, rsi: int, cr3: int) -> Registers:
    """64-bit mode with paging."""
    return Registers(
        mode=Mode.LONG64,
        rip=rip,
        rsi=rsi,
        rsp=BOOT_AREA,
        cr0=int(Cr0.PE | Cr0.ET | Cr0.NE | Cr0.PG),
        cr3=cr3,
        cr4=int(Cr4.PAE),
        efer=int(Efer.LME | Efer.LMA),
        segments=flat_segments(CODE_64),
        tr=TASK,
        gdt=gdt,
    )
