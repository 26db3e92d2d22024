"""Operand and result kinds of the intrinsics, for the checker."""

from typing import Any

from worldswitch.engine.layout import Struct
from worldswitch.engine.types import SIGNED, UNSIGNED, Int, f32, f64, u8, u16, u32, u64, u128

FIXED: dict[str, tuple[list[Any], Any]] = {
    "copy_bytes": ([u64, u64, u64], None),
    "fill_bytes": ([u64, u8, u64], None),
    "compare_bytes": ([u64, u64, u64], bool),
    "likely": ([bool], bool),
    "call_native": ([u64, u64], u64),
    "f64_of_bits": ([u64], f64),
    "bits_of_f64": ([f64], u64),
    "f32_of_bits": ([u32], f32),
    "bits_of_f32": ([f32], u32),
    **dict.fromkeys(("sqrt", "round_even", "truncate", "floor", "ceiling"), ([f64], f64)),
    "fused": ([f64, f64, f64], f64),
    **{f"peek_u{t.bits}": ([u64], t) for t in (u8, u16, u32, u64, u128)},
    **{f"poke_u{t.bits}": ([u64, t], None) for t in (u8, u16, u32, u64, u128)},
}
SAME = {"bswap", "clz", "ctz", "popcount"}
PAIR = {"sdiv", "srem"}
OVERFLOW = {"add_overflows", "sub_overflows", "mul_overflows"}


def _is_int(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Int)


def result_kind(name: str, kinds: list[Any]) -> tuple[list[Any], Any] | None:
    """(operand kinds, result kind) of an intrinsic for given operand kinds, None if none fit.

    A kind of None stands for a literal, which takes the kind of its place.
    """
    if name in FIXED:
        wanted, result = FIXED[name]
        if len(wanted) != len(kinds):
            return None
        return wanted, result
    if name == "address_of":
        is_struct = len(kinds) == 1 and isinstance(kinds[0], type) and issubclass(kinds[0], Struct)
        return (kinds, u64) if is_struct else None
    if not kinds or not _is_int(kinds[0]):
        return None
    first = kinds[0]
    if name in SAME and len(kinds) == 1:
        return [first], first
    if name in ("signed", "unsigned") and len(kinds) == 1:
        return [first], (SIGNED if name == "signed" else UNSIGNED)[first.bits]
    if len(kinds) != 2:
        return None
    if name == "rotl":
        return [first, first if kinds[1] is None else kinds[1]], first
    if name in PAIR and first.signed:
        return [first, first], first
    if name in OVERFLOW:
        return [first, first], bool
    return None
