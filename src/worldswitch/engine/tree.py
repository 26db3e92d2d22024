"""The typed tree between checking and lowering. `kind` is an expression's type.

A kind is an Int class, bool, f32, f64, a Struct class (a reference), a tuple of scalar kinds
(only as a call's result), or None (no value).
"""

from dataclasses import dataclass
from typing import Any

from worldswitch.engine.function import Typed


@dataclass(frozen=True)
class Const:
    """A literal. `kind` is None until its context gives it one."""

    kind: Any
    value: Any


@dataclass(frozen=True)
class Local:
    kind: Any
    name: str


@dataclass(frozen=True)
class Unary:
    kind: Any
    op: str
    a: Any


@dataclass(frozen=True)
class Binary:
    kind: Any
    op: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Compare:
    kind: Any
    op: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Logic:
    kind: Any
    op: str
    parts: list[Any]


@dataclass(frozen=True)
class Select:
    kind: Any
    condition: Any
    a: Any
    b: Any


@dataclass(frozen=True)
class Cast:
    kind: Any
    a: Any


@dataclass(frozen=True)
class Place:
    """A member of a Struct, or an element of its array member: `kind` is the element's.

    member: the name of a member that nothing else lies over, for LLVM to know; or empty.
    """

    kind: Any
    base: Any
    offset: int
    index: Any = None
    member: str = ""


@dataclass(frozen=True)
class At:
    """A reference to a Struct at a host address."""

    kind: Any
    address: Any


@dataclass(frozen=True)
class Call:
    kind: Any
    function: Typed[Any, Any]
    args: list[Any]


@dataclass(frozen=True)
class Intrinsic:
    kind: Any
    name: str
    args: list[Any]


@dataclass(frozen=True)
class Assign:
    name: str
    value: Any


@dataclass(frozen=True)
class Store:
    place: Place
    value: Any


@dataclass(frozen=True)
class Unpack:
    targets: list[Any]
    """Names of locals, or Places."""
    call: Call


@dataclass(frozen=True)
class Effect:
    value: Any


@dataclass(frozen=True)
class If:
    condition: Any
    then: list[Any]
    orelse: list[Any]


@dataclass(frozen=True)
class While:
    condition: Any
    """None for `while True`."""
    body: list[Any]


@dataclass(frozen=True)
class Unrolled:
    bodies: list[list[Any]]


@dataclass(frozen=True)
class Try:
    body: list[Any]
    handler: list[Any]


@dataclass(frozen=True)
class Return:
    values: list[Any]


@dataclass(frozen=True)
class Raise:
    """`raise Leave`."""


@dataclass(frozen=True)
class Break:
    pass


@dataclass(frozen=True)
class Continue:
    pass


@dataclass(frozen=True)
class Checked:
    """A checked function: what lowering needs."""

    function: Typed[Any, Any]
    params: list[tuple[str, Any]]
    returns: list[Any]
    locals: dict[str, Any]
    body: list[Any]
