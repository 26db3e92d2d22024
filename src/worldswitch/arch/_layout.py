"""From a control block's class body to checked fields: types, places, overlaps, reserved areas."""

import inspect
from collections.abc import Iterable
from dataclasses import replace
from struct import Struct
from typing import Annotated, Any, get_args, get_origin

from worldswitch.arch.fields import (
    ArrayView,
    At,
    BitField,
    Bits,
    ByteOrder,
    DeclarationError,
    Field,
    Inside,
    Reserved,
    Width,
)


def build_fields(cls: type, size: int, byteorder: ByteOrder) -> dict[str, Field]:
    """The class's fields in order of offset, with their bit fields.

    Raises `DeclarationError`, naming the class and the field, for an annotation that is no field
    type, a field outside ``size`` bytes, two fields that share bytes, or bits outside their field.
    """
    owner = cls.__name__
    annotations: dict[str, Any] = inspect.get_annotations(cls)
    declared: list[Field] = []
    parts: list[tuple[str, Bits]] = []
    for name, value in list(cls.__dict__.items()):
        if isinstance(value, At):
            if name not in annotations:
                raise DeclarationError(f"{owner}.{name} has no annotation")
            declared.append(_field(owner, name, value, annotations[name], byteorder))
        elif isinstance(value, Bits):
            parts.append((name, value))
    for name in annotations:
        if not isinstance(cls.__dict__.get(name), At | Bits | Inside):
            raise DeclarationError(
                f"{owner}.{name} is annotated but has no at(), bits() or inside()"
            )
    declared.sort(key=lambda item: (item.offset, item.end))
    _check_places(owner, declared, size)
    fields = {item.name: item for item in declared}
    for name, part in parts:
        _add_bits(owner, fields, name, part, byteorder)
    return fields


def inner_fields(cls: type, fields: dict[str, Field]) -> dict[str, Field]:
    """The integers that the class names with `inside`, as fields with the block's own offsets."""
    found: dict[str, Field] = {}
    for name, value in list(cls.__dict__.items()):
        if isinstance(value, Inside):
            found[name] = _inner(f"{cls.__name__}.{name}", name, value, fields)
    return found


def _inner(where: str, name: str, value: Inside, fields: dict[str, Field]) -> Field:
    parent, key = fields.get(value.parent), value.key
    if parent is not None and parent.kind == "array" and isinstance(key, int):
        _need(where, 0 <= key < parent.count, f"{value.parent} has {parent.count} elements")
        size = parent.size // parent.count
        offset = parent.offset + key * size
        return replace(parent, name=name, kind="integer", offset=offset, size=size, count=0)
    inner: Field | None = None
    if parent is not None and parent.kind == "block":
        inner = parent.block.fields.get(key)
    if parent is None or inner is None or inner.kind != "integer":
        raise DeclarationError(f"{where}: {value.parent!r}, {key!r} is not an integer in a field")
    return replace(inner, name=name, offset=parent.offset + inner.offset, bits={})


def reserved_areas(fields: Iterable[Field], size: int, ref: str) -> tuple[Reserved, ...]:
    """The bytes from 0 to ``size`` that no field claims, as maximal areas."""
    areas: list[Reserved] = []
    done = 0
    for item in sorted(fields, key=lambda item: item.offset):
        if item.offset > done:
            areas.append(Reserved(done, item.offset, ref))
        done = max(done, item.end)
    if done < size:
        areas.append(Reserved(done, size, ref))
    return tuple(areas)


def _field(owner: str, name: str, place: At, annotation: Any, byteorder: ByteOrder) -> Field:
    where = f"{owner}.{name}"
    if isinstance(annotation, str):
        raise DeclarationError(f"{where}: the annotation is a string; do not postpone annotations")
    base = Field(
        name,
        place.offset,
        place.size,
        "bytes",
        place.ref,
        place.doc,
        place.names,
        place.count,
        place.variant,
        place.encoding,
    )
    prefix = ">" if byteorder == "big" else "<"
    if get_origin(annotation) is Annotated:
        kind, width = get_args(annotation)[0], get_args(annotation)[1]
        if not isinstance(width, Width):
            raise DeclarationError(f"{where}: {annotation!r} is not a field type")
        code = Struct(prefix + width.code)
        if kind is ArrayView:
            _need(where, place.count > 0, "an array needs count=")
            return replace(base, kind="array", code=code, size=width.size * place.count)
        _need(where, not place.count and not place.size, "an integer has no count= or size=")
        return replace(base, kind="integer", code=code, size=width.size)
    if annotation is bytes or annotation is str:
        _need(where, place.size > 0, f"{annotation.__name__} needs size=")
        return replace(base, kind="text" if annotation is str else "bytes")
    element = get_args(annotation)[0] if get_args(annotation) else annotation
    length = getattr(element, "block_size", 0)
    _need(where, bool(length), f"{annotation!r} is not a field type")
    if element is annotation:
        _need(where, not place.count, "one block has no count=; annotate Blocks[...]")
        return replace(base, kind="block", block=element, size=length)
    _need(where, place.count > 0, "an array of blocks needs count=")
    return replace(base, kind="blocks", block=element, size=length * place.count)


def _need(where: str, condition: bool, message: str) -> None:
    if not condition:
        raise DeclarationError(f"{where}: {message}")


def _check_places(owner: str, fields: list[Field], size: int) -> None:
    for item in fields:
        if item.offset < 0 or item.end > size:
            raise DeclarationError(
                f"{owner}.{item.name} takes bytes {item.offset:#x} to {item.end - 1:#x}; "
                f"the block has {size:#x}"
            )
    for index, first in enumerate(fields):
        for second in fields[index + 1 :]:
            if second.offset >= first.end:
                break
            if first.variant != second.variant and first.variant and second.variant:
                continue
            raise DeclarationError(
                f"{owner}.{first.name} (bytes {first.offset:#x} to {first.end - 1:#x}) and "
                f"{owner}.{second.name} (bytes {second.offset:#x} to {second.end - 1:#x}) overlap"
            )


def _add_bits(
    owner: str, fields: dict[str, Field], name: str, part: Bits, byteorder: ByteOrder
) -> None:
    where = f"{owner}.{name}"
    parent = fields.get(part.parent)
    if parent is None or parent.kind != "integer":
        raise DeclarationError(f"{where}: {part.parent!r} is not an integer field of {owner}")
    width = parent.size * 8
    if not 0 <= part.first <= part.last < width:
        raise DeclarationError(
            f"{where}: bits {part.first} to {part.last} are not bits of {part.parent}, "
            f"which has {width}"
        )
    for other in parent.bits.values():
        if part.first <= other.last and other.first <= part.last:
            raise DeclarationError(
                f"{where} (bits {part.first} to {part.last}) and {owner}.{other.name} "
                f"(bits {other.first} to {other.last}) overlap"
            )
    shift = width - 1 - part.last if byteorder == "big" else part.first
    mask = (1 << (part.last - part.first + 1)) - 1
    parent.bits[name] = BitField(
        name, part.parent, part.first, part.last, shift, mask, part.ref, part.doc, part.names
    )
