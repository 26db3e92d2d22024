"""How handlers of threaded code go on, and what stands between them. threaded.py emits them.

Apart from it, because a start with cached native code needs no compiler.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from worldswitch.engine.function import Typed


class Flow(Enum):
    """How a handler goes on after its semantics."""

    NEXT = "next"
    """The following record."""
    BRANCH = "branch"
    """Semantics say whether a relative branch is taken."""
    JUMP = "jump"
    """Semantics give (taken, target address)."""
    CONTROL = "control"
    """Semantics have set the state that says where to resume."""
    RECORD = "record"
    """Semantics give the address of the record to continue at, or 0."""


@dataclass(frozen=True)
class Hooks:
    """What an architecture does between instructions; each returns a record's address or 0.

    begin(cpu) -> bool: native code has been called; False for back again at once.
    leave(cpu, rec): semantics left. taken(cpu, rec): a relative branch is taken.
    jump(cpu, rec, target). before_control(cpu, rec) -> None. resume(cpu): after CONTROL, and to
    enter native code.
    """

    begin: Typed[Any, Any]
    leave: Typed[Any, Any]
    taken: Typed[Any, Any]
    jump: Typed[Any, Any]
    before_control: Typed[Any, Any]
    resume: Typed[Any, Any]
