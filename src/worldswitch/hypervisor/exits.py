"""Exit tables: one small function per exit reason, complete when their module is imported."""

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any, Generic, TypeVar

from worldswitch.hypervisor.outcome import Outcome

V = TypeVar("V")
Handler = Callable[[Any], Outcome]


class IncompleteTableError(TypeError):
    """An exit reason has no handler, or two; raised when the table's module is imported."""


class ExitTable(Generic[V]):
    """A handler for every member of an enumeration of exit reasons.

    `seal` is called at the end of the module that registers the last handler. After it, a reason
    that the enumeration does not have goes to the handler given to it.
    """

    def __init__(self, name: str, reasons: type[IntEnum]) -> None:
        self.name = name
        self.reasons = reasons
        self._handlers: dict[int, Callable[[V], Outcome]] = {}
        self._unknown: Callable[[V], Outcome] | None = None

    def on(self, *reasons: IntEnum) -> Callable[[Callable[[V], Outcome]], Callable[[V], Outcome]]:
        """Decorator: the handler of these reasons."""

        def add(handler: Callable[[V], Outcome]) -> Callable[[V], Outcome]:
            for reason in reasons:
                if reason in self._handlers:
                    raise IncompleteTableError(f"{self.name}: {reason.name} has two handlers")
                self._handlers[int(reason)] = handler
            return handler

        return add

    def seal(self, unknown: Callable[[V], Outcome]) -> None:
        """Check that every reason has a handler; `unknown` takes codes outside the enumeration."""
        missing = [reason.name for reason in self.reasons if reason not in self._handlers]
        if missing:
            raise IncompleteTableError(f"{self.name} has no handler for {', '.join(missing)}")
        self._unknown = unknown

    def __getitem__(self, reason: int) -> Callable[[V], Outcome]:
        handler = self._handlers.get(reason, self._unknown)
        if handler is None:
            raise IncompleteTableError(f"{self.name} is used before it is sealed")
        return handler

    def __len__(self) -> int:
        return len(self._handlers)


class OpcodeTable(Generic[V]):
    """Handlers of intercepted instructions by opcode; most opcodes have none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handlers: dict[int, Callable[[V], Outcome]] = {}

    def add(self, code: int, handler: Callable[[V], Outcome]) -> None:
        """Register the handler of one opcode."""
        if code in self._handlers:
            raise IncompleteTableError(f"{self.name}: {code:#x} has two handlers")
        self._handlers[code] = handler

    def get(self, code: int) -> Callable[[V], Outcome] | None:
        """The handler of an opcode, or None."""
        return self._handlers.get(code)

    def codes(self) -> Iterable[int]:
        """The opcodes that have handlers."""
        return sorted(self._handlers)
