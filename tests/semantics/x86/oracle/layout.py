"""What a batch of cases looks like in memory, alike for all processors that run it.

The image lies at BASE, at linear and (on processors that are modelled) physical addresses alike.
A state, of a case before and of its result after, is 1024 bytes: general registers at 0, RFLAGS,
RIP, the vector of an exception (plus TAKEN), its error code and CR2 behind them, and an FXSAVE
image at FX.
"""

import struct
from dataclasses import dataclass, replace

BASE = 0x1000_0000
DRIVER = BASE
"""The program that runs a batch; where our processor needs none, unused."""
VARS = BASE + 0x1000
SCRATCH_STACK = BASE + 0x3000
"""The driver's stack pointer."""
BACK = BASE + 0x3000
"""Where 32-bit cases return to: a far jump to the epilogue."""
SLOTS = BASE + 0x10000
SLOT = 512
CASES = BASE + 0x10_0000
RESULTS = BASE + 0x20_0000
STATE = 1024
WINDOWS = BASE + 0x30_0000
WINDOW = 1024
LIMIT = 1000
"""Cases that a batch has at most."""
SIZE = 0x40_0000
READ_ONLY = BASE + SIZE
"""A page that cannot be written."""
READ_ONLY_SIZE = 0x1000
SHARED = READ_ONLY - 64
"""From here to the read-only page's end, operands of all cases may lie."""
SPARE = WINDOWS + WINDOW * LIMIT
"""From here to SHARED is what no case owns, and operands that are bit strings may reach."""
NO_CASES = bytes(SHARED - SPARE) + bytes(
    n * 167 + 13 & 0xFF for n in range(READ_ONLY + READ_ONLY_SIZE - SHARED)
)
"""What every batch finds from SPARE on."""
GUARD = BASE + 0x60_0000
"""From here to BASE + 0x80_0000 there is nothing."""
GUARD_SIZE = 0x20_0000

# Variables of the driver.
HOST_STACK, NEXT, RESULT, LEFT, TARGET, EPILOGUE, KEPT, DEFAULT, FAR32 = (
    VARS + 8 * n for n in range(9)
)

RFLAGS, RIP, VECTOR, ERROR, CR2 = 128, 136, 144, 152, 160
FX, FX_SIZE = 256, 416
"""The FXSAVE image up to XMM15."""
TAKEN = 0x100
HEAD = struct.Struct("<21Q")
CS64, CS32, SS = 0x33, 0x23, 0x2B
"""Selectors as Linux has them for its programs."""
GS_BASE = 0x7_0000
HLT = 0xF4


def slot_of(number: int) -> int:
    """Address of a case's instruction text."""
    return SLOTS + SLOT * number


def window_of(number: int) -> int:
    """Address of a case's own memory operands."""
    return WINDOWS + WINDOW * number


def state_of(number: int) -> int:
    """Offset of a case's state among the cases, and of its result among the results."""
    return STATE * number


@dataclass(frozen=True)
class Case:
    """One instruction and what it starts from."""

    mnemonic: str
    symbol: str
    """Of the variant in the table of instructions."""
    text: bytes
    offset: int
    """Where in its slot the instruction stands."""
    slot: bytes
    gprs: tuple[int, ...]
    rflags: int
    fx: bytes
    window: bytes
    number: int
    """Its place in the batch: addresses in registers and text were made for it."""
    fixed: frozenset[int] = frozenset()
    """General registers whose values belong to the text."""
    narrow: bool = False
    """32-bit code."""
    unit: str = ""
    """"x87", "mmx", "sse" or "": what of the floating-point state may change."""
    keeps_window: bool = False
    """Its memory belongs to the text, too."""

    @property
    def address(self) -> int:
        """Where the instruction stands."""
        return slot_of(self.number) + self.offset

    def packed(self) -> bytes:
        """The case as the driver loads it."""
        head = HEAD.pack(*self.gprs, self.rflags, self.address, 0, 0, 0)
        return (head.ljust(FX, b"\0") + self.fx).ljust(STATE, b"\0")

    def __str__(self) -> str:
        rows = "\n".join(
            f"  {n:<2} {self.gprs[n]:016x}  {self.fx[160 + 16 * n : 176 + 16 * n][::-1].hex()}"
            for n in range(16)
        )
        fcw, fsw, ftw = struct.unpack_from("<HHB", self.fx)
        st = " ".join(self.fx[32 + 16 * n : 42 + 16 * n][::-1].hex() for n in range(8))
        return (
            f"{self.symbol} {self.text.hex()} at {self.address:x}, "
            f"{32 if self.narrow else 64} bit, "
            f"RFLAGS {self.rflags:x}, MXCSR {struct.unpack_from('<I', self.fx, 24)[0]:x}, FCW "
            f"{fcw:04x}, FSW {fsw:04x}, FTW {ftw:02x}\n{rows}\n  ST {st}\n"
            f"  window {window_of(self.number):x}: {self.window.hex()}"
        )


class Batch:
    """Cases in memory, which may take each other's values again and again."""

    def __init__(self, cases: list[Case]) -> None:
        self.cases = {case.number: case for case in cases}
        self.narrow = cases[0].narrow
        self.first, self.count = min(self.cases), max(self.cases) + 1
        self.slots = bytearray(b"\xf4" * (SLOT * self.count))
        self.states = bytearray(STATE * self.count)
        self.windows = bytearray(WINDOW * self.count)
        free = bytearray(STATE * self.count)
        for number, case in self.cases.items():
            at = SLOT * number
            self.slots[at : at + len(case.slot)] = case.slot
            at = STATE * number
            self.states[at : at + STATE] = case.packed()
            free[at : at + STATE] = _free_bits(case)
            at = WINDOW * number
            self.windows[at : at + WINDOW] = case.window
        self._free = int.from_bytes(free, "little")
        self._values, self._data = bytes(self.states), bytes(self.windows)
        self._kept = int.from_bytes(self._values, "little") & ~self._free

    def spin(self, values: int, windows: int) -> None:
        """Let each case take the free values and the window of those so many places on."""
        at = values % self.count * STATE
        moved = int.from_bytes(self._values[at:] + self._values[:at], "little")
        data = self._kept | moved & self._free
        self.states[:] = data.to_bytes(len(self._values), "little")
        at = windows % self.count * WINDOW
        self.windows[:] = self._data[at:] + self._data[:at]
        for number, case in self.cases.items():
            if case.keeps_window:
                self.windows[WINDOW * number : WINDOW * (number + 1)] = case.window

    def case(self, number: int) -> Case:
        """A case with the values that it has now."""
        at = STATE * number
        head = HEAD.unpack_from(self.states, at)
        return replace(
            self.cases[number],
            gprs=head[:16],
            rflags=head[16],
            fx=bytes(self.states[at + FX : at + FX + FX_SIZE]),
            window=bytes(self.windows[WINDOW * number : WINDOW * (number + 1)]),
        )


def _free_bits(case: Case) -> bytes:
    """Ones where a packed case may take another case's values."""
    ones = 2**64 - 1
    head = HEAD.pack(*(0 if n in case.fixed else ones for n in range(16)), ones, 0, 0, 0, 0)
    return (head.ljust(FX, b"\0") + b"\xff" * FX_SIZE).ljust(STATE, b"\0")


@dataclass
class Answer:
    """What a processor made of a batch."""

    states: bytes
    windows: bytes
