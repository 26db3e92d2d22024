"""Control-block declarations: places, byte order, bit numbering, printing, comparing, checking."""

from enum import IntEnum, IntFlag
from typing import Any

import pytest

from worldswitch.arch.control_block import (
    Blocks,
    ControlBlock,
    DeclarationError,
    at,
    bits,
    control_block,
    diff,
    ibm_bit,
    inside,
    u8,
    u16,
    u16s,
    u32,
    u64,
)


class Mode(IntEnum):
    OFF = 0
    ON = 1


class Flags(IntFlag):
    LOW = 0x01
    HIGH = 0x80


@control_block(size=4, byteorder="big", ref="PoP test")
class Inner(ControlBlock):
    count: u16 = at(0)


@control_block(size=64, byteorder="big", ref="PoP test")
class Big(ControlBlock):
    flags: u8 = at(0x00, names=Flags, ref="PoP flags")
    mode: u8 = at(0x01, names=Mode)
    word: u32 = at(0x04, doc="a word")
    wide: u64 = at(0x08, variant="first")
    halves: u16s = at(0x08, count=4, variant="second")
    name: str = at(0x10, size=8)
    raw: bytes = at(0x18, size=4)
    inner: Inner = at(0x20)
    table: Blocks[Inner] = at(0x24, count=3)
    inner_count: u16 = inside("inner", "count")
    third: u16 = inside("halves", 2)
    top: u32 = bits("word", 0)
    middle: u32 = bits("word", 1, 19, doc="nineteen bits")


@control_block(size=8, byteorder="little", ref="PoP test")
class Little(ControlBlock):
    word: u32 = at(0x00)
    low: u32 = bits("word", 0, 3)
    sign: u32 = bits("word", 31)


def test_integer_in_a_big_endian_block_is_big_endian() -> None:
    block = Big.new(word=0x11223344)
    assert bytes(block)[4:8] == bytes.fromhex("11223344")


def test_integer_in_a_little_endian_block_is_little_endian() -> None:
    assert bytes(Little.new(word=0x11223344))[:4] == bytes.fromhex("44332211")


def test_bit_zero_of_a_big_endian_field_is_the_most_significant() -> None:
    block = Big.new(top=1)
    assert block.word == 0x8000_0000
    block.middle = 0x7FFFF
    assert block.word == 0xFFFF_F000
    block.top = 0
    assert (block.word, block.middle) == (0x7FFF_F000, 0x7FFFF)


def test_bit_zero_of_a_little_endian_field_is_the_least_significant() -> None:
    block = Little.new(low=0xF, sign=1)
    assert block.word == 0x8000_000F


def test_view_at_an_offset_reads_and_writes_the_buffer_itself() -> None:
    memory = bytearray(256)
    Big(memory, 128).word = 0xDEADBEEF
    assert memory[132:136] == bytes.fromhex("deadbeef")
    assert Big(memoryview(memory)[128:]).word == 0xDEADBEEF


def test_view_of_a_buffer_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="needs 64 bytes at offset 0x40; the buffer has 64"):
        Big(bytearray(64), 64)
    with pytest.raises(ValueError, match="needs 64 bytes"):
        Big(bytearray(64), -1)


def test_value_wider_than_its_field_is_refused_and_nothing_changes() -> None:
    block = Big.new(flags=1)
    with pytest.raises(ValueError, match=r"Big\.flags: 256 does not fit in 8 bits"):
        block.flags = 256
    with pytest.raises(ValueError, match=r"Big\.top: 2 does not fit in 1 bits"):
        block.top = 2
    with pytest.raises(ValueError, match="does not fit"):
        block.flags = -1
    assert block.flags == 1


def test_variants_share_their_bytes() -> None:
    block = Big.new(wide=0x0001_0002_0003_0004)
    assert block.halves == [1, 2, 3, 4]
    block.halves[-1] = 0xFFFF
    assert block.wide == 0x0001_0002_0003_FFFF
    block.halves = [4, 3, 2, 1]
    assert block.halves[1:3] == [3, 2]


def test_array_index_outside_is_refused() -> None:
    block = Big.new()
    with pytest.raises(IndexError):
        block.halves[4] = 1
    with pytest.raises(ValueError, match="does not fit in 2 bytes"):
        block.halves[0] = 0x10000
    with pytest.raises(IndexError):
        block.table[3]


def test_text_is_kept_in_ebcdic_padded_with_blanks() -> None:
    block = Big.new(name="IBM")
    assert bytes(block)[0x10:0x18] == bytes.fromhex("c9c2d44040404040")
    assert block.name == "IBM"
    with pytest.raises(ValueError, match="longer than 8 bytes"):
        block.name = "TOO LONG A NAME"


def test_bytes_field_takes_exactly_its_size() -> None:
    block = Big.new(raw=b"abcd")
    assert block.raw == b"abcd"
    with pytest.raises(ValueError, match=r"Big\.raw has 4 bytes, not 3"):
        block.raw = b"abc"


def test_nested_blocks_are_views() -> None:
    block = Big.new()
    block.inner.count = 7
    block.table[-1].count = 9
    assert bytes(block)[0x20:0x22] == b"\0\7"
    assert bytes(block)[0x2C:0x2E] == b"\0\x09"
    block.inner = Inner.new(count=3)
    assert (block.inner.count, len(block.table)) == (3, 3)


def test_inside_names_the_same_bytes() -> None:
    block = Big.new(inner_count=7, third=0xABCD)
    assert (block.inner.count, block.halves[2]) == (7, 0xABCD)
    assert (Big.offset_of("inner_count"), Big.offset_of("third")) == (0x20, 0x0C)
    assert "inner_count" not in {row.name for row in Big.describe(block)}
    with pytest.raises(ValueError, match=r"Big\.third: 65536 does not fit in 16 bits"):
        block.third = 0x10000


def test_misspelt_field_is_an_error() -> None:
    block = Big.new()
    with pytest.raises(AttributeError, match="wrod"):
        block.wrod = 1  # type: ignore[attr-defined]


def test_offsets_and_masks_are_known_by_name() -> None:
    assert Big.offset_of("word") == Big.offset_of("middle") == 4
    assert Big.mask_of("middle") == 0x7FFF_F000
    assert next(iter(Big.fields)) == "flags"
    with pytest.raises(AttributeError, match="Big has no field 'nothing'"):
        Big.offset_of("nothing")
    with pytest.raises(AttributeError, match="Big has no field 'nothing'"):
        Big.new(nothing=1)


def test_bytes_that_no_field_claims_are_reserved_and_named_by_offset() -> None:
    areas = [(area.name, area.offset, area.end) for area in Big.reserved]
    assert areas == [
        ("reserved_2", 2, 4),
        ("reserved_1c", 0x1C, 0x20),
        ("reserved_30", 0x30, 0x40),
    ]


def test_describe_names_values_bits_and_used_reserved_bytes() -> None:
    block = Big.new(flags=0x83, mode=1, middle=5, name="VM1")
    block.table[1].count = 2
    data = bytearray(bytes(block))
    data[0x1C] = 0xFF
    rows = {row.name: row for row in Big.describe(data)}
    assert rows["flags"].value == "0x83"
    assert rows["flags"].meaning == "LOW|HIGH|0x02?"
    assert rows["flags"].ref == "PoP flags"
    assert rows["mode"].meaning == "ON"
    assert (rows["word.middle"].value, rows["word.middle"].meaning) == ("0x00005", "nineteen bits")
    assert rows["name"].value == "'VM1'"
    assert rows["table[1].count"].value == "0x0002"
    assert "table[0].count" not in rows
    assert rows["wide (first)"].offset == rows["halves[0]"].offset == 8
    assert rows["reserved_1c"].meaning == "reserved, not zero"
    assert "reserved_30" not in rows
    offsets = [row.offset for row in Big.describe(data)]
    assert offsets == sorted(offsets)


def test_describe_of_an_unassigned_value_says_so() -> None:
    rows = {row.name: row for row in Big.describe(Big.new(mode=9))}
    assert rows["mode"].meaning == "not assigned"


def test_diff_names_the_fields_that_differ() -> None:
    a, b = Big.new(flags=1, word=2), Big.new(flags=1, word=3)
    changes = [(c.name, c.before, c.after) for c in diff(a, b)]
    assert changes == [("word", "0x00000002", "0x00000003")]
    b.write(bytes(b)[:-1] + b"\1")
    assert [c.name for c in diff(a, b)] == ["word", "reserved_30"]
    assert diff(a, a) == []
    with pytest.raises(TypeError, match="cannot compare Big with Little"):
        diff(a, Little.new())  # type: ignore[misc]


def test_rules_are_checked_in_order_with_the_host() -> None:
    @control_block(size=8, byteorder="big", ref="PoP test")
    class Checked(ControlBlock):
        value: u32 = at(0)

    @Checked.rule("even", ref="PoP even", code=2)
    def _even(block: Any, _host: Any) -> str | None:
        return f"value is {block.value}; it must be even" if block.value & 1 else None

    @Checked.rule("limit", ref="PoP limit")
    def _limit(block: Any, host: Any) -> str | None:
        return "over the limit" if block.value > host else None

    assert Checked.check(Checked.new(value=4), 10) == []
    found = Checked.check(Checked.new(value=11), 10)
    assert [(v.rule, v.code) for v in found] == [("even", 2), ("limit", 0)]
    assert found[0].message == "value is 11; it must be even"
    with pytest.raises(DeclarationError, match="two rules named 'even'"):
        Checked.rule("even", ref="PoP even")


def declare(size: int = 16, base: type = ControlBlock, **body: Any) -> type:
    kinds = body.pop("kinds")
    cls: Any = type(base)("Bad", (base,), {**body, "__annotations__": kinds})
    return control_block(size=size, byteorder="big", ref="PoP test")(cls)


@pytest.mark.parametrize(
    ("kinds", "body", "message"),
    [
        (
            {"a": u32, "b": u32},
            {"a": at(0), "b": at(3)},
            r"Bad\.a \(bytes 0x0 to 0x3\) and Bad\.b \(bytes 0x3 to 0x6\) overlap",
        ),
        (
            {"a": u64, "b": u8},
            {"a": at(0), "b": at(2, variant="x")},
            r"Bad\.a .* and Bad\.b .* overlap",
        ),
        (
            {"a": u64, "b": u8, "c": u8},
            {"a": at(0, variant="x"), "b": at(2, variant="y"), "c": at(5, variant="x")},
            r"Bad\.a .* and Bad\.c .* overlap",
        ),
        ({"a": u32}, {"a": at(13)}, r"Bad\.a takes bytes 0xd to 0x10; the block has 0x10"),
        ({"a": u32}, {"a": at(-1)}, r"Bad\.a takes bytes"),
        ({"a": u32}, {}, r"Bad\.a is annotated but has no at\(\), bits\(\) or inside\(\)"),
        ({}, {"a": at(0)}, r"Bad\.a has no annotation"),
        ({"a": float}, {"a": at(0)}, r"Bad\.a: .*float.* is not a field type"),
        ({"a": "u32"}, {"a": at(0)}, r"Bad\.a: the annotation is a string"),
        ({"a": bytes}, {"a": at(0)}, r"Bad\.a: bytes needs size="),
        ({"a": u16s}, {"a": at(0)}, r"Bad\.a: an array needs count="),
        ({"a": u16}, {"a": at(0, count=2)}, r"Bad\.a: an integer has no count= or size="),
        ({"a": Inner}, {"a": at(0, count=2)}, r"Bad\.a: one block has no count="),
        ({"a": Blocks[Inner]}, {"a": at(0)}, r"Bad\.a: an array of blocks needs count="),
        ({"fields": u32}, {"fields": at(0)}, r"Bad\.fields hides an attribute of ControlBlock"),
        (
            {"a": u8, "b": u8},
            {"a": at(0), "b": bits("a", 7, 8)},
            r"Bad\.b: bits 7 to 8 are not bits of a, which has 8",
        ),
        (
            {"a": u8, "b": u8, "c": u8},
            {"a": at(0), "b": bits("a", 0, 3), "c": bits("a", 3)},
            r"Bad\.c \(bits 3 to 3\) and Bad\.b \(bits 0 to 3\) overlap",
        ),
        (
            {"a": u16s, "b": u16},
            {"a": at(0, count=2), "b": inside("a", 2)},
            r"Bad\.b: a has 2 elements",
        ),
        (
            {"a": Inner, "b": u16},
            {"a": at(0), "b": inside("a", "size")},
            r"Bad\.b: 'a', 'size' is not an integer in a field",
        ),
        ({"b": u8}, {"b": inside("a", 0)}, r"Bad\.b: 'a', 0 is not an integer in a field"),
        ({"b": u8}, {"b": bits("a", 0)}, r"Bad\.b: 'a' is not an integer field of Bad"),
    ],
)
def test_declaration_that_contradicts_itself_is_refused(
    kinds: dict[str, Any], body: dict[str, Any], message: str
) -> None:
    with pytest.raises(DeclarationError, match=message):
        declare(kinds=kinds, **body)


def test_declaration_without_the_base_is_refused() -> None:
    with pytest.raises(DeclarationError, match="Bad must derive from ControlBlock"):
        declare(base=object, kinds={"a": u8}, a=at(0))


def test_ibm_bit_numbers_from_the_most_significant() -> None:
    assert ibm_bit(0) == 1 << 63
    assert ibm_bit(31, 32) == 1
    with pytest.raises(ValueError, match="bit 32 is outside a field of 32 bits"):
        ibm_bit(32, 32)
