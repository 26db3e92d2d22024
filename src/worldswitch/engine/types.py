"""Integer and float classes of the typed subset, as they behave in plain Python.

An integer class wraps at its width, keeps its class through arithmetic, and refuses to meet
another class without a cast. The compiler gives the same operators the same meaning, so a
function written with these classes runs alike in Python and in native code.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import ClassVar, Self


class Int(int):
    """A two's-complement integer of fixed width. Shift counts are taken modulo the width."""

    bits: ClassVar[int] = 0
    signed: ClassVar[bool] = False
    mask: ClassVar[int] = 0

    def __new__(cls, value: int | float = 0) -> Self:
        if isinstance(value, float):
            value = int(value)
        value = int(value) & cls.mask
        if cls.signed and value >> (cls.bits - 1):
            value -= cls.mask + 1
        return int.__new__(cls, value)

    def _other(self, other: object) -> int:
        if type(other) is type(self):
            return int.__index__(other)  # type: ignore[arg-type]
        if type(other) is int or isinstance(other, IntEnum | IntFlag):
            if not fits(other, type(self)):
                raise TypeError(f"literal {other} does not fit in {type(self).__name__}")
            return int(other)
        raise TypeError(
            f"{type(self).__name__} meets {type(other).__name__}: cast one of them explicitly"
        )

    def __add__(self, other: object) -> Self:
        return type(self)(int.__add__(self, self._other(other)))

    def __sub__(self, other: object) -> Self:
        return type(self)(int.__sub__(self, self._other(other)))

    def __mul__(self, other: object) -> Self:
        return type(self)(int.__mul__(self, self._other(other)))

    def __and__(self, other: object) -> Self:
        return type(self)(int.__and__(self, self._other(other)))

    def __or__(self, other: object) -> Self:
        return type(self)(int.__or__(self, self._other(other)))

    def __xor__(self, other: object) -> Self:
        return type(self)(int.__xor__(self, self._other(other)))

    def __floordiv__(self, other: object) -> Self:
        self._unsigned("//")
        return type(self)(int.__floordiv__(self, self._other(other)))

    def __mod__(self, other: object) -> Self:
        self._unsigned("%")
        return type(self)(int.__mod__(self, self._other(other)))

    def __radd__(self, other: object) -> Self:
        return type(self)(self._other(other)) + self

    def __rsub__(self, other: object) -> Self:
        return type(self)(self._other(other)) - self

    def __rmul__(self, other: object) -> Self:
        return type(self)(self._other(other)) * self

    def __rand__(self, other: object) -> Self:
        return type(self)(self._other(other)) & self

    def __ror__(self, other: object) -> Self:
        return type(self)(self._other(other)) | self

    def __rxor__(self, other: object) -> Self:
        return type(self)(self._other(other)) ^ self

    def __lshift__(self, count: int) -> Self:
        return type(self)(int.__lshift__(self, int(count) % self.bits))

    def __rshift__(self, count: int) -> Self:
        return type(self)(int.__rshift__(self, int(count) % self.bits))

    def __neg__(self) -> Self:
        return type(self)(int.__neg__(self))

    def __invert__(self) -> Self:
        return type(self)(int.__invert__(self))

    def _unsigned(self, operator: str) -> None:
        if self.signed:
            raise TypeError(f"{operator} is for unsigned types; use sdiv or srem")

    def __eq__(self, other: object) -> bool:
        return int.__eq__(self, self._compare(other))

    def __ne__(self, other: object) -> bool:
        return int.__ne__(self, self._compare(other))

    def __lt__(self, other: object) -> bool:
        return int.__lt__(self, self._compare(other))

    def __le__(self, other: object) -> bool:
        return int.__le__(self, self._compare(other))

    def __gt__(self, other: object) -> bool:
        return int.__gt__(self, self._compare(other))

    def __ge__(self, other: object) -> bool:
        return int.__ge__(self, self._compare(other))

    __hash__ = int.__hash__

    def _compare(self, other: object) -> int:
        if isinstance(other, Int) and type(other) is not type(self):
            raise TypeError(
                f"{type(self).__name__} compared with {type(other).__name__}: cast one of them"
            )
        if isinstance(other, int):
            return int(other)
        raise TypeError(f"{type(self).__name__} compared with {type(other).__name__}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({int(self):#x})"


def fits(value: int, kind: type[Int]) -> bool:
    """True if `value` is representable in `kind`; unsigned types also take small negatives.

    A negative literal down to -2**(bits-1) stands for its two's complement, so that masks such
    as `-4096` can be written plainly.
    """
    if kind.signed:
        return -(1 << (kind.bits - 1)) <= value < 1 << (kind.bits - 1)
    return -(1 << (kind.bits - 1)) <= value <= kind.mask


class u8(Int):  # noqa: N801 - the subset's type names are lower case
    """Unsigned 8-bit integer."""

    bits, signed, mask = 8, False, (1 << 8) - 1


class u16(Int):  # noqa: N801
    """Unsigned 16-bit integer."""

    bits, signed, mask = 16, False, (1 << 16) - 1


class u32(Int):  # noqa: N801
    """Unsigned 32-bit integer."""

    bits, signed, mask = 32, False, (1 << 32) - 1


class u64(Int):  # noqa: N801
    """Unsigned 64-bit integer."""

    bits, signed, mask = 64, False, (1 << 64) - 1


class u128(Int):  # noqa: N801
    """Unsigned 128-bit integer."""

    bits, signed, mask = 128, False, (1 << 128) - 1


class i8(Int):  # noqa: N801
    """Signed 8-bit integer."""

    bits, signed, mask = 8, True, (1 << 8) - 1


class i16(Int):  # noqa: N801
    """Signed 16-bit integer."""

    bits, signed, mask = 16, True, (1 << 16) - 1


class i32(Int):  # noqa: N801
    """Signed 32-bit integer."""

    bits, signed, mask = 32, True, (1 << 32) - 1


class i64(Int):  # noqa: N801
    """Signed 64-bit integer."""

    bits, signed, mask = 64, True, (1 << 64) - 1


class i128(Int):  # noqa: N801
    """Signed 128-bit integer."""

    bits, signed, mask = 128, True, (1 << 128) - 1


class f64(float):  # noqa: N801
    """IEEE binary64 in round-to-nearest; for estimates and host arithmetic only."""


class f32(float):  # noqa: N801
    """IEEE binary32 in round-to-nearest."""

    def __new__(cls, value: float = 0.0) -> Self:
        return float.__new__(cls, struct.unpack("f", struct.pack("f", value))[0])


INT_TYPES: tuple[type[Int], ...] = (u8, u16, u32, u64, u128, i8, i16, i32, i64, i128)
UNSIGNED: dict[int, type[Int]] = {t.bits: t for t in INT_TYPES if not t.signed}
SIGNED: dict[int, type[Int]] = {t.bits: t for t in INT_TYPES if t.signed}
