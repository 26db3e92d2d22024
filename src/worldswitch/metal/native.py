"""What the builds of all processors need."""

import sys
from collections.abc import Iterable
from typing import Any

from worldswitch.engine import Typed

EVERYONES = ("worldswitch.engine.", "worldswitch.metal.softfloat")


def shared_functions(package: str, roots: Iterable[Typed[Any, Any]]) -> list[Typed[Any, Any]]:
    """Never-inlined functions of a processor: each is compiled once.

    Those in the modules of `package`, of the engine, and of what processors share, and those that
    `roots` hold in closures.
    """
    found: dict[int, Typed[Any, Any]] = {}
    for name in sorted(sys.modules):
        if name.startswith((package, *EVERYONES)):
            for value in vars(sys.modules[name]).values():
                _collect(value, found, set())
    for function in roots:
        _collect(function, found, set())
    return list(found.values())


def _collect(value: Any, found: dict[int, Typed[Any, Any]], seen: set[int]) -> None:
    """Add `value` if it is such a function, and those that its closure holds."""
    if not isinstance(value, Typed) or id(value) in seen:
        return
    seen.add(id(value))
    if value.inline is False:
        found[id(value)] = value
    for cell in value.fn.__closure__ or ():
        _collect(cell.cell_contents, found, seen)
