"""Superinstructions: frequent sequences of instructions that one handler executes.

A block keeps a record for each instruction. When it has been decoded, the first record of every
sequence below gets the handler of the whole sequence (decode.combine), which saves the jumps
between handlers, the flags that nobody sees, and the detour of those that a branch tests.

No part but the last branches or writes memory: it could write the text of the next. A part that
faults leaves with its own record, as it does alone. A processor that steps, and Python's engine,
execute the instructions one by one.

What is here was chosen by what Linux and its user programs execute most.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from worldswitch.engine.build import Image
from worldswitch.metal.x86.codecache import Continuation
from worldswitch.metal.x86.conditions import CONDITIONS
from worldswitch.metal.x86.insn import TABLE, Insn

WIDTHS = (32, 64)
Forms = tuple[str, ...]
"""Symbols of instructions (insn.py) that may stand in a place of a sequence."""


def _forms(text: str) -> Forms:
    """One a word; `{}` stands for each operand size."""
    return tuple(dict.fromkeys(word.format(w) for word in text.split() for w in WIDTHS))


def _branches(*conditions: str) -> Forms:
    numbers = {name: number for number, (name, _) in enumerate(CONDITIONS)}
    return tuple(f"J{name}:{0x70 + numbers[name]:02X}_Jb" for name in conditions)


EQUAL = _branches("Z", "NZ")
ORDER = _branches("Z", "NZ", "B", "NB", "BE", "NBE", "L", "NL", "LE", "NLE")

COMPARE = _forms("""
    CMP:38_/r_Eb,Gb:reg CMP:80_/7_Eb,Ib:reg CMP:80_/7_Eb,Ib:mem CMP:3C_AL,Ib
    CMP:39_/r_Ev,Gv:{}:reg CMP:39_/r_Ev,Gv:{}:mem CMP:3B_/r_Gv,Ev:{}:mem
    CMP:83_/7_Ev,Ib:{}:reg CMP:83_/7_Ev,Ib:{}:mem
""")
TEST = _forms("""
    TEST:84_/r_Eb,Gb:reg TEST:F6_/0_Eb,Ib:reg TEST:F6_/0_Eb,Ib:mem TEST:A8_AL,Ib
    TEST:85_/r_Ev,Gv:{}:reg TEST:F7_/0_Ev,Iz:32:reg AND:83_/4_Ev,Ib:32:reg
""")
COUNT = _forms("""
    DEC:FF_/1_Ev:{}:reg INC:FF_/0_Ev:{}:reg ADD:83_/0_Ev,Ib:{}:reg SUB:83_/5_Ev,Ib:{}:reg
""")
LOOPS = tuple(
    (
        _forms(f"INC:FF_/0_Ev:{w}:reg ADD:83_/0_Ev,Ib:{w}:reg"),
        _forms(f"CMP:39_/r_Ev,Gv:{w}:reg CMP:83_/7_Ev,Ib:{w}:reg"),
        _branches("Z", "NZ", "B", "NB", "L", "LE"),
    )
    for w in WIDTHS
)
"""Up one, and on unless it is the last."""
LOAD = _forms("MOV:8B_/r_Gv,Ev:{}:mem MOVZX:0F_B6_/r_Gv,Eb:32:mem")
ZERO = _forms("TEST:85_/r_Ev,Gv:{}:reg TEST:84_/r_Eb,Gb:reg")
STORE = _forms("MOV:89_/r_Ev,Gv:{}:mem MOV:88_/r_Eb,Gb:mem")

MOVE = _forms("""
    MOV:8B_/r_Gv,Ev:{}:mem MOV:89_/r_Ev,Gv:{}:reg LEA:8D_/r_Gv,M:64:mem
    MOVZX:0F_B6_/r_Gv,Eb:32:mem MOVZX:0F_B6_/r_Gv,Eb:32:reg
    ADD:01_/r_Ev,Gv:64:reg XOR:31_/r_Ev,Gv:{}:reg
""")
COMPUTE = _forms("""
    ADD:01_/r_Ev,Gv:32:reg SUB:29_/r_Ev,Gv:64:reg AND:21_/r_Ev,Gv:64:reg OR:09_/r_Ev,Gv:64:reg
    XOR:33_/r_Gv,Ev:64:mem ADD:83_/0_Ev,Ib:64:reg NOT:F7_/2_Ev:64:reg
    IMUL:0F_AF_/r_Gv,Ev:64:reg SHL:C1_/4_Ev,Ic:64:reg SHR:C1_/5_Ev,Ic:{}:reg ROL:C1_/0_Ev,Ic:64:reg
""")
PLAIN = _forms("""
    MOV:8B_/r_Gv,Ev:64:mem MOV:89_/r_Ev,Gv:64:reg MOV:89_/r_Ev,Gv:{}:mem
    XOR:31_/r_Ev,Gv:64:reg ADD:01_/r_Ev,Gv:64:reg AND:21_/r_Ev,Gv:64:reg OR:09_/r_Ev,Gv:64:reg
""")
POP = _forms("POP:58+r_Zv:64")

SEQUENCES: tuple[tuple[Forms, ...], ...] = (
    (COMPARE, ORDER),
    (TEST, EQUAL + _branches("S", "NS")),
    (COUNT, EQUAL),
    *LOOPS,
    (LOAD, ZERO, EQUAL),
    (MOVE, MOVE + COMPUTE + STORE),
    (COMPUTE, PLAIN),
    (POP, POP + _forms("RET:C3:64")),
)
"""Alternatives for each place."""


@dataclass(frozen=True)
class Superinsn:
    """A sequence."""

    parts: tuple[Insn, ...]

    @property
    def symbol(self) -> str:
        """Of the native handler."""
        return "super:" + "+".join(part.symbol for part in self.parts)


@cache
def superinsns() -> list[Superinsn]:
    """All of them."""
    items = {item.symbol: item for item in TABLE}
    names = dict.fromkeys(names for one in SEQUENCES for names in product(*one))
    return [Superinsn(tuple(items[name] for name in one)) for one in names]


class SuperTable:
    """The table by which decoding finds superinstructions, in native memory.

    It has a row for each beginning of a sequence, and a column for each continuation.
    handler_of: the symbol of an instruction's handler; those that share one share sequences.
    image: None leaves the table empty.
    """

    def __init__(self, image: Image | None, handler_of: Callable[[Insn], str]) -> None:
        self._rows: dict[tuple[str, ...], int] = {}
        self._columns: dict[str, int] = {}
        known: dict[tuple[str, ...], int] = {}
        if image is not None:
            for one in superinsns():
                known[tuple(map(handler_of, one.parts))] = image.address(one.symbol)
        for handlers in known:
            for n in range(1, len(handlers)):
                self._rows.setdefault(handlers[:n], len(self._rows) + 1)
                self._columns.setdefault(handlers[n], len(self._columns) + 1)
        self.columns = len(self._columns) + 1
        self._entries = ctypes.create_string_buffer(
            Continuation.size * self.columns * (len(self._rows) + 1)
        )
        self.address = ctypes.addressof(self._entries)
        for handlers, address in known.items():
            self._entry(handlers).handler = address
            for n in range(2, len(handlers)):
                self._entry(handlers[:n]).row = self._rows[handlers[:n]]

    def _entry(self, handlers: tuple[str, ...]) -> Any:
        at = self._rows[handlers[:-1]] * self.columns + self._columns[handlers[-1]]
        return Continuation.raw_at(self.address + at * Continuation.size)

    def row(self, handler: str) -> int:
        """Of the sequences that an instruction with this handler begins, 0 if there are none."""
        return self._rows.get((handler,), 0)

    def column(self, handler: str) -> int:
        """Of those that it continues, or 0."""
        return self._columns.get(handler, 0)
