"""State declared once: a `Struct` is the native layout and the Python view of the same bytes.

    class Counter(Struct):
        ticks: u64
        slots: Array[u32, 8]

`Counter.at(address)` views memory that lies at `address`; compiled code sees the same layout.
Fields have natural alignment, in order of declaration, in the host's byte order. A Struct may
hold arrays of other Structs.
"""

import ctypes
import inspect
from typing import Any, ClassVar, Self

from worldswitch.engine.types import INT_TYPES, Int

_CTYPES: dict[tuple[int, bool], Any] = {
    (8, False): ctypes.c_uint8,
    (16, False): ctypes.c_uint16,
    (32, False): ctypes.c_uint32,
    (64, False): ctypes.c_uint64,
    (8, True): ctypes.c_int8,
    (16, True): ctypes.c_int16,
    (32, True): ctypes.c_int32,
    (64, True): ctypes.c_int64,
}


class ArrayType:
    """`Array[element, count]`: a fixed-size array field."""

    def __init__(self, element: Any, count: int) -> None:
        self.element = element
        self.count = count


class Array:
    """Subscript with an element type and a count to declare an array field."""

    def __class_getitem__(cls, args: tuple[Any, int]) -> Any:
        return ArrayType(*args)


class Field:
    """One field of a Struct: its name, offset in bytes, element type and count (0: scalar)."""

    def __init__(self, name: str, offset: int, element: Any, count: int) -> None:
        self.name = name
        self.offset = offset
        self.element = element
        self.count = count


def size_of(kind: Any) -> int:
    """Size in bytes of a scalar type, an array type or a Struct."""
    if isinstance(kind, ArrayType):
        return size_of(kind.element) * kind.count
    if kind is bool:
        return 1
    if issubclass(kind, Struct):
        return kind.size
    return kind.bits // 8


def align_of(kind: Any) -> int:
    """Alignment in bytes; 128-bit integers are aligned to 16."""
    if isinstance(kind, ArrayType):
        return align_of(kind.element)
    if kind is not bool and issubclass(kind, Struct):
        return kind.align
    return size_of(kind)


class Struct:
    """Base of all native state. Reading a field gives its integer class; writing wraps."""

    size: ClassVar[int] = 0
    align: ClassVar[int] = 1
    fields: ClassVar[dict[str, Field]] = {}
    apart: ClassVar[bool] = False
    """Whether each member is accessed as this member alone, or through `peek` and `poke`: no other
    Struct lies over it. A store to one member then leaves what is known of the others."""
    raw_type: ClassVar[Any] = None

    address: int

    def __init_subclass__(cls) -> None:
        fields: dict[str, Field] = {}
        offset, align, members = 0, 1, []
        for name, kind in inspect.get_annotations(cls).items():
            if name in Struct.__annotations__:
                raise TypeError(f"{cls.__name__}.{name}: the name is taken by Struct itself")
            if not _is_storable(kind):
                raise TypeError(f"{cls.__name__}.{name}: {kind!r} cannot be stored in a Struct")
            alignment = align_of(kind)
            offset = -(-offset // alignment) * alignment
            align = max(align, alignment)
            element, count = (
                (kind.element, kind.count) if isinstance(kind, ArrayType) else (kind, 0)
            )
            fields[name] = Field(name, offset, element, count)
            members.append((offset, name, _raw_type(element, count)))
            setattr(cls, name, _accessor(offset, element, count))
            offset += size_of(kind)
        cls.fields = fields
        cls.align = align
        cls.size = -(-offset // align) * align
        cls.raw_type = _raw_structure(cls.__name__, members, cls.size)

    def __init__(self, address: int) -> None:
        self.address = int(address)

    @classmethod
    def at(cls, address: int) -> Self:
        """A view of the Struct that lies at host address `address`."""
        return cls(address)

    @classmethod
    def raw_at(cls, address: int) -> Any:
        """A ctypes view of the same bytes: plain ints, for Python code that must be quick."""
        return cls.raw_type.from_address(int(address))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.address:#x}>"


def _is_storable(kind: Any) -> bool:
    if isinstance(kind, ArrayType):
        return _is_storable(kind.element)
    return (
        kind is bool or kind in INT_TYPES or (isinstance(kind, type) and issubclass(kind, Struct))
    )


def _raw_type(element: Any, count: int) -> Any:
    if element is bool:
        base: Any = ctypes.c_bool
    elif issubclass(element, Struct):
        base = element.raw_type
    elif element.bits == 128:
        base = ctypes.c_uint64 * 2
    else:
        base = _CTYPES[element.bits, element.signed]
    return base * count if count else base


def _raw_structure(name: str, members: list[tuple[int, str, Any]], size: int) -> Any:
    """A packed ctypes structure with explicit padding, so that offsets agree with ours."""
    laid, position = [], 0
    for offset, member, kind in members:
        if offset > position:
            laid.append((f"_pad_{position:x}", ctypes.c_uint8 * (offset - position)))
        laid.append((member, kind))
        position = offset + ctypes.sizeof(kind)
    if size > position:
        laid.append((f"_pad_{position:x}", ctypes.c_uint8 * (size - position)))
    return type(f"{name}Raw", (ctypes.Structure,), {"_pack_": 1, "_fields_": laid})


def read_scalar(kind: Any, address: int) -> Any:
    """The value of type `kind` at host address `address`."""
    data = ctypes.string_at(address, size_of(kind))
    value = int.from_bytes(data, "little")
    return bool(value) if kind is bool else kind(value)


def write_scalar(kind: Any, address: int, value: int) -> None:
    """Store `value`, wrapped to `kind`, at host address `address`."""
    size = size_of(kind)
    data = (int(value) & ((1 << (size * 8)) - 1)).to_bytes(size, "little")
    ctypes.memmove(address, data, size)


class ArrayView:
    """An array field of a Struct that lies in native memory."""

    __slots__ = ("_address", "_count", "_element", "_stride")

    def __init__(self, address: int, element: Any, count: int) -> None:
        self._address = address
        self._element = element
        self._count = count
        self._stride = size_of(element)

    def _locate(self, index: int) -> int:
        if not 0 <= index < self._count:
            raise IndexError(f"index {int(index)} of an array of {self._count}")
        return self._address + int(index) * self._stride

    def __getitem__(self, index: int) -> Any:
        where = self._locate(index)
        if self._element is not bool and issubclass(self._element, Struct):
            return self._element(where)
        return read_scalar(self._element, where)

    def __setitem__(self, index: int, value: int) -> None:
        write_scalar(self._element, self._locate(index), value)

    def __len__(self) -> int:
        return self._count


def _accessor(offset: int, element: Any, count: int) -> property:
    if count:

        def get_array(self: Struct) -> ArrayView:
            return ArrayView(self.address + offset, element, count)

        return property(get_array)
    if element is not bool and issubclass(element, Struct):

        def get_struct(self: Struct) -> Struct:
            return element(self.address + offset)

        return property(get_struct)

    def get(self: Struct) -> Int:
        return read_scalar(element, self.address + offset)

    def put(self: Struct, value: int) -> None:
        write_scalar(element, self.address + offset, value)

    return property(get, put)
