"""Compile a field's declaration into the property that reads and writes its bytes."""

import struct
from typing import Any, Generic, TypeVar, cast

from worldswitch.arch.fields import ArrayView, BitField, Field, int_range

B = TypeVar("B")


class Blocks(Generic[B]):
    """An array of control blocks inside a block; each element is a view."""

    __slots__ = ("_block", "_buf", "_count", "_offset")

    def __init__(self, block: type[B], buf: Any, offset: int, count: int) -> None:
        self._block: Any = block
        self._buf = buf
        self._offset = offset
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> B:
        if not -self._count <= index < self._count:
            raise IndexError(f"index {index} is outside an array of {self._count}")
        index %= self._count
        return self._block(self._buf, self._offset + index * self._block.block_size)


def _integer(field: Field, owner: str) -> property:
    code = cast(struct.Struct, field.code)
    unpack, pack, offset = code.unpack_from, code.pack_into, field.offset
    label, width = f"{owner}.{field.name}", field.size * 8
    low, high = int_range(code)

    def get(self: Any) -> int:
        return unpack(self._buf, self._base + offset)[0]

    def put(self: Any, value: int) -> None:
        # Checked here because a pack_into that fails has already cleared the bytes.
        if not low <= value <= high:
            raise ValueError(f"{label}: {value!r} does not fit in {width} bits")
        pack(self._buf, self._base + offset, value)

    return property(get, put, doc=field.doc or None)


def bit_accessor(part: BitField, field: Field, owner: str) -> property:
    code = cast(struct.Struct, field.code)
    unpack, pack, offset = code.unpack_from, code.pack_into, field.offset
    shift, mask = part.shift, part.mask
    clear = ~(mask << shift)
    label, width = f"{owner}.{part.name}", part.last - part.first + 1

    def get(self: Any) -> int:
        return (unpack(self._buf, self._base + offset)[0] >> shift) & mask

    def put(self: Any, value: int) -> None:
        if not 0 <= value <= mask:
            raise ValueError(f"{label}: {value!r} does not fit in {width} bits")
        where = self._base + offset
        whole = unpack(self._buf, where)[0] & clear
        pack(self._buf, where, whole | (value << shift))

    return property(get, put, doc=part.doc or None)


def _bytes(field: Field, owner: str) -> property:
    offset, size = field.offset, field.size
    label = f"{owner}.{field.name}"

    def get(self: Any) -> bytes:
        start = self._base + offset
        return bytes(self._buf[start : start + size])

    def put(self: Any, value: bytes) -> None:
        if len(value) != size:
            raise ValueError(f"{label} has {size} bytes, not {len(value)}")
        start = self._base + offset
        self._buf[start : start + size] = bytes(value)

    return property(get, put, doc=field.doc or None)


def _string(field: Field, owner: str) -> property:
    raw = _bytes(field, owner)
    get_raw, put_raw = cast(Any, raw.fget), cast(Any, raw.fset)
    size, encoding, label = field.size, field.encoding, f"{owner}.{field.name}"

    def get(self: Any) -> str:
        data = cast(bytes, get_raw(self))
        return data.decode(encoding, "replace").rstrip(" \0")

    def put(self: Any, value: str) -> None:
        data = value.encode(encoding)
        if len(data) > size:
            raise ValueError(f"{label}: {value!r} is longer than {size} bytes")
        put_raw(self, data + " ".encode(encoding) * (size - len(data)))

    return property(get, put, doc=field.doc or None)


def _view(field: Field) -> property:
    offset, count, code, block = field.offset, field.count, field.code, field.block
    new = object.__new__

    def get_array(self: Any) -> Any:
        return ArrayView(self._buf, self._base + offset, cast(struct.Struct, code), count)

    def put_array(self: Any, values: Any) -> None:
        if len(values) != count:
            raise ValueError(f"{field.name} has {count} elements, not {len(values)}")
        view = get_array(self)
        for index, value in enumerate(values):
            view[index] = value

    def get_block(self: Any) -> Any:
        # The outer block's constructor has checked that these bytes exist.
        view = new(block)
        view._buf = self._buf
        view._base = self._base + offset
        return view

    def put_block(self: Any, value: Any) -> None:
        get_block(self).write(bytes(value))

    def get_blocks(self: Any) -> Any:
        return Blocks(block, self._buf, self._base + offset, count)

    if field.kind == "array":
        return property(get_array, put_array, doc=field.doc or None)
    if field.kind == "block":
        return property(get_block, put_block, doc=field.doc or None)
    return property(get_blocks, doc=field.doc or None)


def accessor(field: Field, owner: str) -> property:
    if field.kind == "integer":
        return _integer(field, owner)
    if field.kind == "bytes":
        return _bytes(field, owner)
    if field.kind == "text":
        return _string(field, owner)
    return _view(field)
