"""`@typed` functions: one source, run by Python as it stands or compiled to native code."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

from worldswitch.engine.types import Int

_created: dict[str, int] = {}
"""How many functions of each module and name exist: symbols have to differ, and be the same in
every process that imports the same sources."""

P = ParamSpec("P")
R = TypeVar("R")


class Leave(Exception):  # noqa: N818 - it is control flow, not an error
    """Raised by `raise Leave` in a typed function: abandon the current instruction.

    State written before stays written. A function that may raise it, itself or through a callee,
    is declared `@typed(leaves=True)`; the compiler passes the exit on through every caller.
    """


def freeze(fn: Callable[P, R]) -> Callable[P, R]:
    """A copy of `fn` whose closure holds the values of now.

    Templates are written as loops; each function made in one keeps that round's values.
    """
    cells = fn.__closure__  # type: ignore[attr-defined]
    if not cells:
        return fn
    fixed = tuple(_copy_cell(cell) for cell in cells)
    copy = types.FunctionType(
        fn.__code__,  # type: ignore[attr-defined]
        fn.__globals__,  # type: ignore[attr-defined]
        fn.__name__,
        fn.__defaults__,  # type: ignore[attr-defined]
        fixed,
    )
    return functools.update_wrapper(copy, fn, updated=())  # type: ignore[return-value]


def _copy_cell(cell: types.CellType) -> types.CellType:
    try:
        return types.CellType(cell.cell_contents)
    except ValueError:  # not assigned yet: a name that is defined later
        return cell


class Typed(Generic[P, R]):
    """A typed function. Calling it runs the Python; the compiler reads its source.

    leaves: it may `raise Leave`. inline: True inlines it always, False never, None lets the
    optimiser choose. name: the symbol stem, made unique by the compiler. pure: no side effects.
    """

    def __init__(
        self, fn: Callable[P, R], leaves: bool, inline: bool | None, name: str | None
    ) -> None:
        fn = freeze(fn)
        self.fn = fn
        self.leaves = leaves
        self.inline = inline
        self.name = name or fn.__name__
        self.__doc__ = fn.__doc__
        self.__name__ = self.name
        self.__wrapped__ = fn
        self._kinds: tuple[Any, ...] | None = None
        self._parameters: dict[str, Any] | None = None
        place = f"{fn.__module__}:{self.name}"
        _created[place] = serial = _created.get(place, -1) + 1
        self.symbol = f"{place}#{serial}" if serial else place

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameter names and their types, in order."""
        if self._parameters is None:
            notes = inspect.get_annotations(self.fn)
            code = self.fn.__code__  # type: ignore[attr-defined]
            names = code.co_varnames[: code.co_argcount]
            self._parameters = {name: notes.get(name) for name in names}
        return self._parameters

    @property
    def returns(self) -> Any:
        """The return type: a scalar type, None, or `tuple[...]` of scalar types."""
        return inspect.get_annotations(self.fn).get("return")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self._kinds is None:
            self._kinds = tuple(self.parameters.values())
        given: Any = [
            kind(value) if type(value) is int and issubclass(kind, Int) else value
            for kind, value in zip(self._kinds, args, strict=True)
        ]
        return self.fn(*given, **kwargs)

    def __repr__(self) -> str:
        return f"<typed {self.name}>"


def typed(
    fn: Callable[..., Any] | None = None,
    *,
    leaves: bool = False,
    inline: bool | None = None,
    name: str | None = None,
) -> Any:
    """Declare a function of the typed subset; see `Typed` for the options."""
    if fn is not None:
        return Typed(fn, leaves, inline, name)

    return lambda f: Typed(f, leaves, inline, name)
