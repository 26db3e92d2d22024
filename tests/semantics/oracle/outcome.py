"""What an instruction left, told alike by both sides."""

from dataclasses import dataclass

from tests.semantics.oracle.layout import (
    RESULT_FORMAT,
    RESULT_SIZE,
    RESULTS,
    WINDOW,
    window_of,
)

NAMES = (
    [f"r{n}" for n in range(16)]
    + [f"a{n}" for n in range(16)]
    + [f"f{n}" for n in range(16)]
    + ["fpc", "psw", "psw2", "ilc", "code", "cc", "old", "address"]
)
FPC, PSW, PSW2, ILC, CODE, CC, OLD, ADDRESS = range(48, 56)
CC_OF_PSW = 0x3000


@dataclass
class Outcome:
    """What a case left: its registers by place in NAMES, and its window."""

    values: list[int]
    window: bytes

    @classmethod
    def of(cls, image: bytes, number: int, ours: bool) -> "Outcome":
        """Read an outcome; a program interruption's old PSW says what the registers cannot."""
        values = list(RESULT_FORMAT.unpack_from(image, RESULTS + RESULT_SIZE * number))
        if values[CODE] and ours:
            mask = values[OLD]
            values[PSW], values[PSW2] = mask >> 32 & ~CC_OF_PSW, mask & 0xFFFF_FFFF
            values[CC] = (mask >> 40 & 0x3F) << 24
        values[OLD] = 0
        where = window_of(number)
        return cls(values, image[where : where + WINDOW])

    def __getitem__(self, name: str) -> int:
        return self.values[NAMES.index(name)]

    def differing(self, other: "Outcome") -> set[str]:
        """Names of what differs; "window" is all of the storage."""
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
