"""Exit statuses of the commands, and the ways to end with one. docs/reference/commands.md."""

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

STATUS_USAGE = 2
STATUS_INTERNAL = 70
STATUS_OUTPUT = 74
STATUS_INTERRUPTED = 130
STATUS_PIPE = 141

STATUSES = """Exit statuses:

* 0: the guest powered off cleanly

* the guest's own, where it ends with one

* 2: usage error, or a file that cannot be used

* 3: the guest crashed (a disabled wait, a triple fault, a wait or a loop that nothing can end)

* 4: the guest asked for a restart (DIAGNOSE 308, a reset of the PC)

* 70: a fault of Worldswitch itself

* 74: what is to be printed cannot be written, as on a full disk

* 124: --timeout was over

* 130: Ctrl-C

* 141: the reader of standard output is gone
"""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of writing that are nobody's fault here."""
P = ParamSpec("P")
R = TypeVar("R")


def usage_error(message: str) -> typer.Exit:
    """Print a message and give the exit that ends the command with the status for misuse."""
    typer.echo(f"worldswitch: {message}", err=True)
    return typer.Exit(STATUS_USAGE)


@contextlib.contextmanager
def ended_by_reader() -> Generator[None, None, None]:
    """Help texts come from rich, which ends the process (SystemExit) when nobody reads them."""
    try:
        yield
    except (BrokenPipeError, SystemExit):
        raise typer.Exit(STATUS_PIPE) from None


class Group(TyperGroup):
    """Commands whose help texts, too, end with 141 if their reader is gone."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with ended_by_reader():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with ended_by_reader():
            return super().invoke(ctx)


def cannot_write(error: OSError) -> int:
    """Say that standard output is full; the status to end with."""
    # What is still in its buffer is to go nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    why = f"output cannot be written: {error.strerror}. Make room for it, or send it elsewhere."
    typer.echo(f"worldswitch: {why}", err=True)
    return STATUS_OUTPUT


def interruptible(command: Callable[P, R]) -> Callable[P, R]:
    """A command that Ctrl-C ends with status 130, and a closed pipe with 141, at any moment."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            raise typer.Exit(STATUS_INTERRUPTED) from None
        except BrokenPipeError:
            raise typer.Exit(STATUS_PIPE) from None

    return guarded
