"""Compiled functions agree with the same functions run by Python."""

import ctypes
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldswitch.engine import (
    Array,
    Leave,
    Struct,
    add_overflows,
    bswap,
    clz,
    ctz,
    i32,
    i64,
    popcount,
    rotl,
    signed,
    typed,
    u8,
    u32,
    u64,
)
from worldswitch.engine import build as building


class State(Struct):
    """Results of the functions under test."""

    out: Array[u64, 24]


@typed(inline=False)
def arithmetic(s: State, a: u64, b: u64) -> None:
    """Every integer operator."""
    s.out[0] = a + b
    s.out[1] = a - b
    s.out[2] = a * b
    s.out[3] = a & ~b
    s.out[4] = a | b
    s.out[5] = a ^ b
    s.out[6] = a << b
    s.out[7] = a >> b
    s.out[8] = u64(i64(a) >> b)
    s.out[9] = a // (b | 1)
    s.out[10] = a % (b | 1)
    s.out[11] = u64(a < b) + (u64(i64(a) < i64(b)) << 1) + (u64(i32(a) >= i32(b)) << 2)
    s.out[12] = bswap(a)
    s.out[13] = clz(a) + (ctz(a) << 8) + (popcount(a) << 16)
    s.out[14] = rotl(a, b)
    s.out[15] = u64(add_overflows(i64(a), i64(b)))
    s.out[16] = u64(i32(u8(a)))
    s.out[17] = u64(u32(a) * u32(b))
    s.out[18] = u64(signed(u8(a)))
    s.out[19] = 7 if a == b else (8 if a > b and b != 0 else 9)


@typed(leaves=True)
def leave_if_odd(a: u64) -> u64:
    """Leaves for odd numbers."""
    if a & 1 != 0:
        raise Leave
    return a >> 1


@typed(inline=False)
def control_flow(s: State, a: u64, b: u64) -> None:
    """Loops, early ends, a caught leave, an unrolled loop."""
    total: u64 = 0
    n: u64 = 0
    while n < (b & 31):
        n += 1
        if n == 7:
            continue
        if total > 1 << 60:
            break
        total = total * 3 + n
    try:
        total += leave_if_odd(a)
    except Leave:
        total ^= a
    for k in range(4):
        s.out[k] = total + k
    s.out[4] = n


ROOTS = (arithmetic, control_flow)


@pytest.fixture(scope="module")
def native() -> Callable[[Any, int, int], None]:
    image = building.build("test-build", [], list(ROOTS), [Path(__file__)])
    functions = {
        f: image.callable(f.symbol, None, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_uint64)
        for f in ROOTS
    }

    def call(function: Any, address: int, a: int, b: int) -> None:
        functions[function](address, a, b)

    return call  # type: ignore[return-value]


WORD = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**31, 2**32, 2**63, 2**64 - 1]))


@pytest.mark.parametrize("function", ROOTS, ids=operator.attrgetter("name"))
@settings(max_examples=300, deadline=None)
@given(a=WORD, b=WORD)
def test_compiled_function_agrees_with_python(native: Any, function: Any, a: int, b: int) -> None:
    compiled = ctypes.create_string_buffer(State.size)
    plain = ctypes.create_string_buffer(State.size)
    native(function, ctypes.addressof(compiled), a, b)
    function(State.at(ctypes.addressof(plain)), u64(a), u64(b))
    assert compiled.raw == plain.raw


def test_cache_damaged_object_is_built_anew(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    building.build("damage", [], [control_flow], [Path(__file__)])
    (damaged,) = tmp_path.rglob("shared.o")
    good = damaged.read_bytes()
    damaged.write_bytes(good[:100])
    building.build("damage", [], [control_flow], [Path(__file__)])
    (again,) = tmp_path.rglob("shared.o")
    assert again.read_bytes() == good
