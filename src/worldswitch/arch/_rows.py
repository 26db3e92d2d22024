"""The printed form of a control block: one row for each field, part of a field, or element."""

from dataclasses import dataclass
from typing import Any

from worldswitch.arch.fields import BitField, Field, meaning


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a printed block: a field, a part of a field, or a reserved area that is not 0."""

    offset: int
    name: str
    value: str
    meaning: str
    ref: str


def field_rows(block: Any, field: Field) -> list[Row]:
    """The rows of one field of ``block``: itself, then its bit fields or its elements."""
    value = getattr(block, field.name)
    if field.kind == "block":
        return _inner_rows(value, field.name, field.offset)
    if field.kind == "blocks":
        return _element_rows(value, field)
    if field.kind == "array":
        return _array_rows(value, field)
    name = f"{field.name} ({field.variant})" if field.variant else field.name
    if field.kind == "bytes":
        return [Row(field.offset, name, value.hex(), field.doc, field.ref)]
    if field.kind == "text":
        return [Row(field.offset, name, repr(value), field.doc, field.ref)]
    text = meaning(field.names, value, field.size * 8) or field.doc
    rows = [Row(field.offset, name, _hex(value, field.size * 8), text, field.ref)]
    rows.extend(_bit_row(value, field, part) for part in field.bits.values())
    return rows


def _bit_row(value: int, field: Field, part: BitField) -> Row:
    inner = (value >> part.shift) & part.mask
    width = part.last - part.first + 1
    text = meaning(part.names, inner, width) or part.doc
    return Row(field.offset, f"{field.name}.{part.name}", _hex(inner, width), text, part.ref)


def _inner_rows(inner: Any, name: str, offset: int) -> list[Row]:
    rows: list[Row] = inner.describe(inner)
    return [Row(offset + r.offset, f"{name}.{r.name}", r.value, r.meaning, r.ref) for r in rows]


def _element_rows(elements: Any, field: Field) -> list[Row]:
    """The rows of the elements that are not all zeros; tables are mostly empty."""
    rows: list[Row] = []
    for index in range(field.count):
        element = elements[index]
        if any(bytes(element)):
            offset = field.offset + index * field.block.block_size
            rows.extend(_inner_rows(element, f"{field.name}[{index}]", offset))
    return rows


def _array_rows(values: Any, field: Field) -> list[Row]:
    size = field.size // field.count
    rows: list[Row] = []
    for index, value in enumerate(values):
        text = meaning(field.names, value, size * 8) or field.doc
        offset, name = field.offset + index * size, f"{field.name}[{index}]"
        rows.append(Row(offset, name, _hex(value, size * 8), text, field.ref))
    return rows


def _hex(value: int, width: int) -> str:
    return f"{value:#0{(width + 3) // 4 + 2}x}" if value >= 0 else str(value)
