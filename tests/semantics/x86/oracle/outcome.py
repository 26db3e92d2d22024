"""What an instruction left, told alike by all sides."""

import struct
from dataclasses import dataclass

from tests.semantics.x86.oracle.layout import (
    FX,
    FX_SIZE,
    HEAD,
    STATE,
    TAKEN,
    WINDOW,
    Answer,
)

GPRS = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
NAMES = (
    *GPRS, "rflags", "rip", "vector", "error", "cr2", "fcw", "fsw", "ftw", "mxcsr",
    *(f"st{n}" for n in range(8)), *(f"xmm{n}" for n in range(16)),
)  # fmt: skip
PLACE = {name: n for n, name in enumerate(NAMES)}
FX_HEAD = struct.Struct("<HHBxHQQII")
NO_VECTOR = -1


COMPARED = ((0, FX + 5), (FX + 24, FX + 28), (FX + 32, FX + FX_SIZE))
"""Bytes of a state that are compared: not the x87 pointers, nor what is unused."""


def same_bytes(ours: Answer, theirs: Answer, number: int) -> bool:
    """Whether nothing needs a closer look, as nearly always."""
    at = WINDOW * number
    if ours.windows[at : at + WINDOW] != theirs.windows[at : at + WINDOW]:
        return False
    at = STATE * number
    return all(
        ours.states[at + first : at + last] == theirs.states[at + first : at + last]
        for first, last in COMPARED
    )


@dataclass
class Outcome:
    """What a case left: its state by place in NAMES, and its window."""

    values: list[int]
    window: bytes

    @classmethod
    def of(cls, answer: Answer, number: int) -> "Outcome":
        """Read an outcome."""
        at = STATE * number
        values = list(HEAD.unpack_from(answer.states, at))
        values[18] = values[18] & ~TAKEN if values[18] else NO_VECTOR
        at += FX
        control, status, tags, _, _, _, mxcsr, _ = FX_HEAD.unpack_from(answer.states, at)
        values += [control, status, tags, mxcsr]
        for n in range(8):
            where = at + 32 + 16 * n
            values.append(int.from_bytes(answer.states[where : where + 10], "little"))
        for n in range(16):
            where = at + 160 + 16 * n
            values.append(int.from_bytes(answer.states[where : where + 16], "little"))
        return cls(values, answer.windows[WINDOW * number : WINDOW * (number + 1)])

    def __getitem__(self, name: str) -> int:
        return self.values[PLACE[name]]

    def __setitem__(self, name: str, value: int) -> None:
        self.values[PLACE[name]] = value

    def differing(self, other: "Outcome") -> set[str]:
        """Names of what differs; "window" is all of the memory."""
        pairs = zip(NAMES, self.values, other.values, strict=True)
        found = {name for name, a, b in pairs if a != b}
        return found | {"window"} if self.window != other.window else found

    def difference(self, other: "Outcome") -> dict[str, tuple[int, int]]:
        """Names and both values where two outcomes differ."""
        found = {
            name: (a, b)
            for name, a, b in zip(NAMES, self.values, other.values, strict=True)
            if a != b
        }
        for n, (a, b) in enumerate(zip(self.window, other.window, strict=True)):
            if a != b:
                found[f"window+{n:x}"] = (a, b)
                if len(found) > 8:
                    break
        return found
