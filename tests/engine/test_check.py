"""Every rejection of the typed subset names its line and column."""

import inspect
from typing import Any

import pytest

from worldswitch.engine import Array, Leave, Struct, typed, u8, u32, u64
from worldswitch.engine.check import check
from worldswitch.engine.errors import SubsetError


class State(Struct):
    """A little state to work on."""

    a: u64
    b: u32
    slots: Array[u64, 4]


@typed(leaves=True)
def leaving(s: State) -> None:
    """May leave."""
    raise Leave


def mixed_widths(s: State) -> u64:
    return s.a + s.b  # 1:11


def untyped_literal(s: State) -> u64:
    n = 5  # 1:4
    return n


def literal_too_large(s: State) -> u8:
    return 256  # 1:11


def missing_return(s: State) -> u64:  # 0:0
    s.a = 1


def used_before_assigned(s: State) -> u64:
    if s.a == 0:
        x = s.a
    return x  # 3:11


def unknown_name(s: State) -> u64:
    return nowhere  # 1:11


def unknown_member(s: State) -> u64:
    return s.zzz  # 1:11


def index_too_large(s: State) -> u64:
    return s.slots[4]  # 1:19


def truthiness(s: State) -> u64:
    if s.a:  # 1:7
        return 1
    return 0


def undeclared_leave(s: State) -> None:
    leaving(s)  # 1:4


def wrong_argument_count(s: State) -> None:
    leaving(s, s)  # 1:4


def other_exception(s: State) -> None:
    raise ValueError  # 1:4


def changed_type(s: State) -> None:
    x = s.a
    x = s.b  # 2:8
    s.a = x


def list_display(s: State) -> u64:
    return s.a - [1]  # 1:17


def for_over_variable(s: State) -> None:
    for _ in range(s.a):  # 1:19
        s.a += 1


REJECTED = [
    mixed_widths, untyped_literal, literal_too_large, missing_return, used_before_assigned,
    unknown_name, unknown_member, index_too_large, truthiness, undeclared_leave,
    wrong_argument_count, other_exception, changed_type, list_display, for_over_variable,
]  # fmt: skip


@pytest.mark.parametrize("function", REJECTED, ids=lambda f: f.__name__)
def test_subset_violation_names_line_and_column(function: Any) -> None:
    lines, first = inspect.getsourcelines(function)
    (offset, mark) = next((n, line) for n, line in enumerate(lines) if ":" in line.split("#")[-1]
                          and line.rstrip()[-1].isdigit())  # fmt: skip
    column = int(mark.rsplit(":", 1)[1])
    with pytest.raises(SubsetError) as caught:
        check(typed(function))
    assert caught.value.filename == __file__
    assert caught.value.line == first + offset
    assert caught.value.column == column + 1
