"""How a control block's fields are declared: markers for annotations, ``at`` and ``bits``.

A field's type is its annotation; where it is, what the manual calls it and how its value reads for
people is its ``at``. Nothing here touches memory: the declarations are compiled into accessors by
`worldswitch.arch.control_block`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Annotated, Any, Literal, TypeVar

ByteOrder = Literal["big", "little"]


class DeclarationError(TypeError):
    """A control block's declaration contradicts itself; raised when its module is imported."""


@dataclass(frozen=True, slots=True)
class Width:
    """Annotation metadata: an integer of so many bytes."""

    size: int
    signed: bool = False

    @property
    def code(self) -> str:
        """The `struct` format character of this width."""
        char = {1: "b", 2: "h", 4: "i", 8: "q"}[self.size]
        return char if self.signed else char.upper()


u8 = Annotated[int, Width(1)]
u16 = Annotated[int, Width(2)]
u32 = Annotated[int, Width(4)]
u64 = Annotated[int, Width(8)]
i8 = Annotated[int, Width(1, True)]
i16 = Annotated[int, Width(2, True)]
i32 = Annotated[int, Width(4, True)]
i64 = Annotated[int, Width(8, True)]


def int_range(code: Struct) -> tuple[int, int]:
    """The smallest and largest integer that a one-integer format can hold."""
    width = code.size * 8
    if code.format[-1].islower():
        return -(1 << (width - 1)), (1 << (width - 1)) - 1
    return 0, (1 << width) - 1


class ArrayView(Sequence[int]):
    """The integers of an array field, read and written in place."""

    __slots__ = ("_buf", "_code", "_count", "_offset")

    def __init__(self, buf: Any, offset: int, code: Struct, count: int) -> None:
        self._buf = buf
        self._offset = offset
        self._code = code
        self._count = count

    def __len__(self) -> int:
        return self._count

    def _index(self, index: int) -> int:
        if not -self._count <= index < self._count:
            raise IndexError(f"index {index} is outside an array of {self._count}")
        return index % self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            index = self._index(index)
        code = self._code
        return code.unpack_from(self._buf, self._offset + code.size * index)[0]

    def __setitem__(self, index: int, value: int) -> None:
        index = self._index(index)
        code = self._code
        low, high = int_range(code)
        if not low <= value <= high:
            raise ValueError(f"element {index}: {value:#x} does not fit in {code.size} bytes")
        code.pack_into(self._buf, self._offset + code.size * index, value)

    def __iter__(self) -> Iterator[int]:
        return (self[i] for i in range(self._count))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]: any sequence of integers

    __hash__ = None  # pyright: ignore[reportAssignmentType]: a view of changing bytes is not hashable

    def __repr__(self) -> str:
        return f"[{', '.join(f'{value:#x}' for value in self)}]"


u8s = Annotated[ArrayView, Width(1)]
u16s = Annotated[ArrayView, Width(2)]
u32s = Annotated[ArrayView, Width(4)]
u64s = Annotated[ArrayView, Width(8)]

Names = type[IntFlag] | type[IntEnum]


@dataclass(slots=True)
class At:
    """What `at` returns: a field's place and description, before its annotation is known."""

    offset: int
    ref: str = ""
    doc: str = ""
    names: Names | None = None
    size: int = 0
    count: int = 0
    variant: str = ""
    encoding: str = "cp500"


@dataclass(slots=True)
class Bits:
    """What `bits` returns: part of a field, in the vendor's bit numbering."""

    parent: str
    first: int
    last: int
    ref: str = ""
    doc: str = ""
    names: Names | None = None


@dataclass(slots=True)
class Inside:
    """What `inside` returns: another name for an integer within a block or array field."""

    parent: str
    key: str | int
    doc: str = ""


@dataclass(frozen=True, slots=True)
class BitField:
    """A named part of a field. ``shift`` and ``mask`` apply to the field's integer value."""

    name: str
    parent: str
    first: int
    last: int
    shift: int
    mask: int
    ref: str
    doc: str
    names: Names | None


@dataclass(frozen=True, slots=True)
class Field:
    """One declared field: bytes ``offset`` to ``offset + size - 1`` of its block."""

    name: str
    offset: int
    size: int
    kind: Literal["integer", "bytes", "text", "array", "block", "blocks"]
    ref: str
    doc: str
    names: Names | None = None
    count: int = 0
    variant: str = ""
    encoding: str = ""
    code: Struct | None = None
    block: Any = None
    bits: dict[str, BitField] = field(default_factory=dict[str, BitField])

    @property
    def end(self) -> int:
        """The offset of the first byte after the field."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Reserved:
    """Bytes that no field claims; ``offset`` to ``end - 1``."""

    offset: int
    end: int
    ref: str

    @property
    def name(self) -> str:
        """Reserved areas are named by their offset."""
        return f"reserved_{self.offset:x}"


def at(
    offset: int,
    *,
    ref: str = "",
    doc: str = "",
    names: Names | None = None,
    size: int = 0,
    count: int = 0,
    variant: str = "",
    encoding: str = "cp500",
) -> Any:
    """Declare a field at a byte offset of its block.

    The annotation gives the type: an integer (`u8` to `i64`), an array (`u8s` to `u64s`, with
    ``count``), ``bytes`` or ``str`` (with ``size``; text is padded with blanks in ``encoding``),
    another control block, or `Blocks` of one (with ``count``). ``names`` is an `IntFlag` of masks
    or an `IntEnum` of values. Fields of different ``variant`` may share bytes (a union in the
    manual); all others may not.
    """
    return At(offset, ref, doc, names, size, count, variant, encoding)


def bits(
    parent: str,
    first: int,
    last: int | None = None,
    *,
    ref: str = "",
    doc: str = "",
    names: Names | None = None,
) -> Any:
    """Declare bits ``first`` to ``last`` of an integer field as a field of its own.

    Bits are numbered as the block's vendor does: from the most significant bit in a big-endian
    block, from the least significant in a little-endian one.
    """
    return Bits(parent, first, first if last is None else last, ref, doc, names)


def inside(parent: str, key: str | int, *, doc: str = "") -> Any:
    """Declare a name for one integer in a field: ``key`` is a block's field or an array's index.

    ``inside("gpsw", "mask")`` is the same bytes as ``.gpsw.mask``, without a view in between; it is
    for what is read at every exit. It has no row of its own when the block is printed.
    """
    return Inside(parent, key, doc)


def ibm_bit(number: int, width: int = 64) -> int:
    """The mask of one bit in IBM numbering, where bit 0 is the most significant of ``width``."""
    if not 0 <= number < width:
        raise ValueError(f"bit {number} is outside a field of {width} bits")
    return 1 << (width - 1 - number)


def meaning(names: Names | None, value: int, width: int) -> str:
    """What a value reads as: the set bits' names, or the value's own; empty without names."""
    if names is None:
        return ""
    if issubclass(names, IntFlag):
        known = [m for m in names if m.value and value & m.value == m.value]
        words = [m.name or "" for m in known]
        rest = value
        for member in known:
            rest &= ~member.value
        return "|".join([*words, f"{rest:#0{width // 4 + 2}x}?"] if rest else words)
    try:
        return names(value).name
    except ValueError:
        return "not assigned"


C = TypeVar("C")


_OPERATORS = ("and", "rand", "or", "ror", "xor", "rxor", "invert")


def manual(*, ref: str) -> Callable[[type[C]], type[C]]:
    """Class decorator: record where the manual defines an enumeration or a record.

    The operators of an `IntFlag` become those of integers, so ``word & Flags.BIT`` is a plain
    integer: `IntFlag`'s own would build a member each time, ten times as slow.
    """

    def mark(cls: type[C]) -> type[C]:
        cls.__manual__ = ref  # type: ignore[attr-defined]
        if issubclass(cls, IntFlag):
            for name in _OPERATORS:
                setattr(cls, f"__{name}__", getattr(int, f"__{name}__"))
        return cls

    return mark


def manual_of(cls: type) -> str:
    """The reference that `manual` recorded for a class; empty if it has none."""
    return getattr(cls, "__manual__", "")
