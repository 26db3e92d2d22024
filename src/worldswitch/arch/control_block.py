"""Control blocks: a declaration of bytes that software and hardware share.

    @control_block(size=0x200, byteorder="big", ref="SIE State Description")
    class StateDescription(ControlBlock):
        cpuflags: u32 = at(0x000, ref="SIE cpuflags", names=CpuStat)

An instance is a view of a writable buffer at an offset: nothing is copied, and an attribute reads
or writes the bytes as they are at that moment. From the same declaration come the printed form
(`describe`), the difference of two blocks (`diff`) and the checks (`rule`, `check`). A declaration
with overlapping fields, or fields outside the block, fails when its module is imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar, cast

from worldswitch.arch._accessors import Blocks, accessor, bit_accessor
from worldswitch.arch._layout import build_fields, inner_fields, reserved_areas
from worldswitch.arch._rows import Row, field_rows
from worldswitch.arch.fields import (
    ArrayView,
    At,
    BitField,
    Bits,
    ByteOrder,
    DeclarationError,
    Field,
    Reserved,
    at,
    bits,
    i8,
    i16,
    i32,
    i64,
    ibm_bit,
    inside,
    manual,
    manual_of,
    u8,
    u8s,
    u16,
    u16s,
    u32,
    u32s,
    u64,
    u64s,
)

__all__ = [
    "ArrayView",
    "At",
    "BitField",
    "Bits",
    "Blocks",
    "Change",
    "ControlBlock",
    "DeclarationError",
    "Field",
    "Reserved",
    "Row",
    "Violation",
    "at",
    "bits",
    "control_block",
    "diff",
    "i8",
    "i16",
    "i32",
    "i64",
    "ibm_bit",
    "inside",
    "manual",
    "manual_of",
    "u8",
    "u8s",
    "u16",
    "u16s",
    "u32",
    "u32s",
    "u64",
    "u64s",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs between two blocks."""

    offset: int
    name: str
    before: str
    after: str
    ref: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A consistency rule that a block breaks. ``code`` is the architecture's own code, if any."""

    rule: str
    ref: str
    message: str
    code: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A named consistency rule: ``test(block, host)`` returns None or what is wrong."""

    name: str
    ref: str
    code: int
    test: Callable[[Any, Any], str | None]


C = TypeVar("C", bound="ControlBlock")


class _WithoutDict(type):
    """Give every control block empty slots, so that a misspelt field is an error."""

    def __new__(
        mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], **rest: Any
    ) -> "_WithoutDict":
        body.setdefault("__slots__", ())
        return super().__new__(mcs, name, bases, body, **rest)


class ControlBlock(metaclass=_WithoutDict):
    """Base of every control block; see the module's docstring for a declaration.

    ``Block(buf, base)`` is a view of ``block_size`` bytes of ``buf`` from ``base`` on.
    """

    __slots__ = ("_base", "_buf")

    block_size: ClassVar[int] = 0
    byteorder: ClassVar[ByteOrder] = "big"
    manual_ref: ClassVar[str] = ""
    fields: ClassVar[MappingProxyType[str, Field]] = MappingProxyType({})
    bit_fields: ClassVar[MappingProxyType[str, BitField]] = MappingProxyType({})
    inner_fields: ClassVar[MappingProxyType[str, Field]] = MappingProxyType({})
    reserved: ClassVar[tuple[Reserved, ...]] = ()
    rules: ClassVar[tuple[Rule, ...]] = ()

    def __init__(self, buf: Any, base: int = 0) -> None:
        if base < 0 or len(buf) - base < self.block_size:
            raise ValueError(
                f"{type(self).__name__} needs {self.block_size} bytes at offset {base:#x}; "
                f"the buffer has {len(buf)}"
            )
        self._buf = buf
        self._base = base

    @classmethod
    def new(cls, **values: Any) -> Self:
        """A block of its own storage: zeros, then the given fields."""
        block = cls(bytearray(cls.block_size))
        for name, value in values.items():
            if not any(name in known for known in (cls.fields, cls.bit_fields, cls.inner_fields)):
                raise AttributeError(f"{cls.__name__} has no field {name!r}")
            setattr(block, name, value)
        return block

    def __bytes__(self) -> bytes:
        return bytes(self._buf[self._base : self._base + self.block_size])

    def write(self, data: bytes) -> None:
        """Replace the whole block by ``data``, which must have its size."""
        if len(data) != self.block_size:
            raise ValueError(f"{type(self).__name__} has {self.block_size} bytes, not {len(data)}")
        self._buf[self._base : self._base + self.block_size] = data

    @classmethod
    def offset_of(cls, name: str) -> int:
        """The byte offset of a field, or of the field that holds a bit field."""
        if name in cls.bit_fields:
            name = cls.bit_fields[name].parent
        try:
            return (cls.inner_fields.get(name) or cls.fields[name]).offset
        except KeyError:
            raise AttributeError(f"{cls.__name__} has no field {name!r}") from None

    @classmethod
    def mask_of(cls, name: str) -> int:
        """The mask of a bit field within its parent field's value."""
        part = cls.bit_fields[name]
        return part.mask << part.shift

    @classmethod
    def describe(cls, buf: Any) -> list[Row]:
        """The block's fields in order of offset, as text with names from the manual."""
        block = buf if isinstance(buf, cls) else cls(buf)
        rows: list[Row] = []
        for field in cls.fields.values():
            rows.extend(field_rows(block, field))
        for area in cls.reserved:
            data = bytes(block)[area.offset : area.end]
            if any(data):
                rows.append(Row(area.offset, area.name, data.hex(), "reserved, not zero", area.ref))
        rows.sort(key=lambda row: row.offset)
        return rows

    @classmethod
    def diff(cls, a: Any, b: Any) -> list[Change]:
        """The fields whose text differs between two blocks, reserved areas included."""
        before = {(row.offset, row.name): row for row in cls.describe(a)}
        after = {(row.offset, row.name): row for row in cls.describe(b)}
        changes: list[Change] = []
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if old is not None and new is not None and old.value == new.value:
                continue
            row = cast(Row, new or old)
            changes.append(Change(row.offset, row.name, _text(old), _text(new), row.ref))
        return changes

    @classmethod
    def rule(
        cls, name: str, *, ref: str, code: int = 0
    ) -> Callable[[Callable[[Self, Any], str | None]], Callable[[Self, Any], str | None]]:
        """Decorator: add a consistency rule, checked after those added before it."""
        if any(rule.name == name for rule in cls.rules):
            raise DeclarationError(f"{cls.__name__} has two rules named {name!r}")

        def add(
            test: Callable[[Self, Any], str | None],
        ) -> Callable[[Self, Any], str | None]:
            cls.rules = (*cls.rules, Rule(name, ref, code, test))
            return test

        return add

    @classmethod
    def check(cls, buf: Any, host: Any = None) -> list[Violation]:
        """Every rule that the block breaks on ``host``, in the order of the rules."""
        block = buf if isinstance(buf, cls) else cls(buf)
        found: list[Violation] = []
        for rule in cls.rules:
            message = rule.test(block, host)
            if message is not None:
                found.append(Violation(rule.name, rule.ref, message, rule.code))
        return found


def diff(a: C, b: C) -> list[Change]:
    """The fields that differ between two blocks of the same type."""
    if type(a) is not type(b):
        raise TypeError(f"cannot compare {type(a).__name__} with {type(b).__name__}")
    return type(a).diff(a, b)


def _text(row: Row | None) -> str:
    return row.value if row is not None else "0"


def control_block(
    *, size: int, byteorder: ByteOrder, ref: str = ""
) -> Callable[[type[C]], type[C]]:
    """Class decorator: compile the declared fields of a `ControlBlock` into accessors.

    ``size`` is the whole block's in bytes. Bytes that no field claims are reserved, and are listed
    in ``reserved``. Raises `DeclarationError` if the declaration contradicts itself.
    """

    def build(cls: type[C]) -> type[C]:
        if ControlBlock not in cls.__mro__:
            raise DeclarationError(f"{cls.__name__} must derive from ControlBlock")
        owner = cls.__name__
        fields = build_fields(cls, size, byteorder)
        parts = {name: part for field in fields.values() for name, part in field.bits.items()}
        inner = inner_fields(cls, fields)
        for name in (*fields, *parts, *inner):
            if hasattr(ControlBlock, name):
                raise DeclarationError(f"{owner}.{name} hides an attribute of ControlBlock")
        for field in (*fields.values(), *inner.values()):
            setattr(cls, field.name, accessor(field, owner))
            for part in field.bits.values():
                setattr(cls, part.name, bit_accessor(part, field, owner))
        cls.block_size = size
        cls.byteorder = byteorder
        cls.manual_ref = ref
        cls.fields = MappingProxyType(fields)
        cls.bit_fields = MappingProxyType(parts)
        cls.inner_fields = MappingProxyType(inner)
        cls.reserved = reserved_areas(fields.values(), size, ref)
        cls.rules = ()
        return cls

    return build
