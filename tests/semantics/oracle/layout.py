"""What a batch of cases looks like in storage, and the driver program that runs it.

The same image goes to every emulator. The driver loads a case's registers, enters it by LOAD PSW
EXTENDED, and stores what the instruction left, or the program interruption that it took, into
the case's result; the images are compared afterwards.
"""

import struct
from dataclasses import dataclass, replace
from functools import cache

from tests.semantics.oracle.encode import Program

RAM = 2 << 20
LOW_WINDOW, LOW_WINDOW_END = 0x300, 0xE00
"""What operands without a base register may touch."""
CASE_PSW = 0xFE0
DRIVER = 0x1000
GPRS = 0x2000
"""Where the general registers are stored on the way out."""
NEXT, RESULT, LEFT = 0x2100, 0x2108, 0x2110
"""Variables of the driver: the case, its result, and how many cases are left."""
SLOTS, SLOT = 0x4000, 128
CASES, CASE = 0x30000, 512
RESULTS, RESULT_SIZE = 0xB0000, 512
WINDOWS, WINDOW = 0x130000, 640
LIMIT = 1000
"""Cases of a batch."""

CASE_FORMAT = struct.Struct(">16Q16I16QI4xQQ")
"""General registers, access registers, floating-point registers, FPC, PSW."""
RESULT_FORMAT = struct.Struct(">16Q16I16QI4xIIHHIQQ")
"""Registers, what EXTRACT PSW says (two words), ILC and code of a program interruption, what
INSERT PROGRAM MASK says, and the program-old PSW; zero where there was no interruption."""

PSW_64 = 0x0000_0001_8000_0000
PSW_31 = 0x0000_0000_8000_0000
PSW_24 = 0
PSW_WAIT = 1 << 49
END_PSW = 0xFD0
"""A disabled wait: the end of the batch."""


@dataclass(frozen=True)
class Driver:
    """The program and the addresses in it that the emulators need."""

    text: bytes
    program: int
    """Handler of program interruptions."""
    epilogue: int
    """Where an instruction under test goes on to."""
    end: int
    """The LOAD PSW EXTENDED that ends the batch."""


@cache
def driver() -> Driver:
    """Assemble the driver."""
    code = Program(DRIVER)
    code.label("start")
    code.add("LG", r1=1, d2=NEXT)
    code.add("LFPC", b2=1, d2=320)
    code.add("LAM", r1=0, r3=15, b2=1, d2=128)
    for n in range(16):
        code.add("LD", r1=n, b2=1, d2=192 + 8 * n)
    code.add("MVC", l1=15, d1=CASE_PSW, b2=1, d2=328)
    code.add("LMG", r1=0, r3=15, b2=1, d2=0)
    code.add("LPSWE", d2=CASE_PSW)
    code.label("program")
    code.add("STMG", r1=0, r3=15, d2=GPRS)
    code.add("BRC", m1=15, to="store")
    code.label("epilogue")
    code.add("STMG", r1=0, r3=15, d2=GPRS)
    code.label("store")
    code.add("EPSW", r1=0, r2=1)
    # EXTRACT PSW shows no condition code on the emulator.
    code.add("LGHI", r1=4, i2=0)
    code.add("IPM", r1=4)
    code.add("SAM64")
    code.add("LG", r1=2, d2=RESULT)
    code.add("NILL", r1=0, i2=0xCFFF)
    code.add("STM", r1=0, r3=1, b2=2, d2=328)
    code.add("ST", r1=4, b2=2, d2=340)
    code.add("STFPC", b2=2, d2=320)
    code.add("STAM", r1=0, r3=15, b2=2, d2=128)
    for n in range(16):
        code.add("STD", r1=n, b2=2, d2=192 + 8 * n)
    code.add("LGHI", r1=3, i2=GPRS)
    code.add("MVC", l1=127, b1=2, d1=0, b2=3, d2=0)
    code.add("MVC", l1=3, b1=2, d1=336, d2=0x8C)
    code.add("MVC", l1=15, b1=2, d1=344, d2=0x150)
    code.add("XC", l1=3, d1=0x8C, d2=0x8C)
    code.add("XC", l1=15, d1=0x150, d2=0x150)
    for variable, size in ((RESULT, RESULT_SIZE), (NEXT, CASE)):
        code.add("LG", r1=1, d2=variable)
        code.add("LA", r1=1, b2=1, d2=size)
        code.add("STG", r1=1, d2=variable)
    code.add("LG", r1=1, d2=LEFT)
    code.add("AGHI", r1=1, i2=-1)
    code.add("STG", r1=1, d2=LEFT)
    code.add("BRC", m1=7, to="start")
    code.label("end")
    code.add("LPSWE", d2=END_PSW)
    text = code.finish()
    return Driver(text, code.labels["program"], code.labels["epilogue"], code.labels["end"])


@dataclass(frozen=True)
class Case:
    """One instruction and what it starts from."""

    mnemonic: str
    text: bytes
    offset: int
    """Where in its slot the instruction stands."""
    slot: bytes
    gprs: tuple[int, ...]
    ars: tuple[int, ...]
    fprs: tuple[int, ...]
    fpc: int
    mask: int
    """PSW bits 0-63."""
    window: bytes
    number: int
    """Its place in the batch: addresses in registers and text were made for it."""
    fixed: frozenset[int] = frozenset()
    """General registers whose values belong to the text: addresses, lengths, controls."""
    executed: str = ""
    """Mnemonic of an EXECUTE's target."""

    @property
    def address(self) -> int:
        """Where the instruction stands."""
        return slot_of(self.number) + self.offset

    def packed(self) -> bytes:
        """The case as the driver loads it."""
        return CASE_FORMAT.pack(
            *self.gprs, *self.ars, *self.fprs, self.fpc, self.mask, self.address
        )

    def __str__(self) -> str:
        registers = "\n".join(
            f"  r{n:<2} {self.gprs[n]:016x}  f{n:<2} {self.fprs[n]:016x}  a{n:<2} {self.ars[n]:08x}"
            for n in range(16)
        )
        return (
            f"{self.mnemonic} {self.text.hex()} at {self.address:x}, PSW {self.mask:016x}, "
            f"FPC {self.fpc:08x}\n{registers}\n"
            f"  window {window_of(self.number):x}: {self.window.hex()}\n"
            f"  slot {slot_of(self.number):x}: {self.slot.hex()}"
        )


FREE_OF_MASK = 0x3F << 40
"""Condition code and program mask, in PSW bits 0-63."""


@cache
def free_bits(fixed: frozenset[int]) -> bytes:
    """Ones where a packed case may take another case's values."""
    return CASE_FORMAT.pack(
        *(0 if n in fixed else 2**64 - 1 for n in range(16)),
        *[2**32 - 1] * 16,
        *[2**64 - 1] * 16,
        2**32 - 1,
        FREE_OF_MASK,
        0,
    ).ljust(CASE, b"\0")


class Batch:
    """Cases in storage, which may take each other's values again and again."""

    def __init__(self, cases: list[Case], low: bytes) -> None:
        self.cases = {case.number: case for case in cases}
        self.image = image_of(cases, low)
        self._first = min(self.cases)
        self._count = max(self.cases) + 1 - self._first
        bits = bytearray(CASE * self._count)
        for number, case in self.cases.items():
            at = CASE * (number - self._first)
            bits[at : at + CASE] = free_bits(case.fixed)
        self._free = int.from_bytes(bits, "big")
        self._values = self._part(CASES, CASE)
        self._windows = self._part(WINDOWS, WINDOW)
        self._kept = int.from_bytes(self._values, "big") & ~self._free

    def _slice(self, base: int, size: int) -> slice:
        return slice(base + size * self._first, base + size * (self._first + self._count))

    def _part(self, base: int, size: int) -> bytes:
        return bytes(self.image[self._slice(base, size)])

    def spin(self, values: int, windows: int) -> None:
        """Let each case take the free values and the window of those so many places on."""
        at = values % self._count * CASE
        moved = int.from_bytes(self._values[at:] + self._values[:at], "big")
        data = (self._kept | moved & self._free).to_bytes(len(self._values), "big")
        self.image[self._slice(CASES, CASE)] = data
        at = windows % self._count * WINDOW
        self.image[self._slice(WINDOWS, WINDOW)] = self._windows[at:] + self._windows[:at]

    def case(self, number: int) -> Case:
        """A case with the values that it has now."""
        case = self.cases[number]
        at = CASES + CASE * number
        data = CASE_FORMAT.unpack_from(self.image, at)
        at = window_of(number)
        return replace(
            case,
            gprs=data[:16],
            ars=data[16:32],
            fprs=data[32:48],
            fpc=data[48],
            mask=data[49],
            window=bytes(self.image[at : at + WINDOW]),
        )


def slot_of(number: int) -> int:
    """Address of a case's instruction text."""
    return SLOTS + SLOT * number


def window_of(number: int) -> int:
    """Address of a case's own storage operands."""
    return WINDOWS + WINDOW * number


def image_of(cases: list[Case], low: bytes) -> bytearray:
    """Storage with the driver and `cases`; `low` fills the low window."""
    image = bytearray(RAM)
    code = driver()
    image[DRIVER : DRIVER + len(code.text)] = code.text
    image[LOW_WINDOW : LOW_WINDOW + len(low)] = low
    struct.pack_into(">QQ", image, 0x1D0, PSW_64, code.program)
    struct.pack_into(">QQ", image, END_PSW, PSW_64 | PSW_WAIT, 0)
    first = cases[0].number
    struct.pack_into(">QQQ", image, NEXT, CASES + CASE * first, RESULTS + RESULT_SIZE * first, 0)
    for at, size, part in (
        (slot_of, SLOT, lambda c: c.slot),
        (lambda n: CASES + CASE * n, CASE, Case.packed),
        (window_of, WINDOW, lambda c: c.window),
    ):
        for case in cases:
            data, where = part(case), at(case.number)
            assert len(data) <= size
            image[where : where + len(data)] = data
    struct.pack_into(">Q", image, LEFT, len(cases))
    return image
