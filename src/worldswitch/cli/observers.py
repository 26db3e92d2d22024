"""What `--stat` and `--trace` attach to a machine."""

import contextlib
import sys
from collections.abc import Generator
from pathlib import Path

from worldswitch.cli.statuses import usage_error
from worldswitch.lab.exits import ExitTally, ExitTrace, Observers
from worldswitch.lab.statistics import print_statistics
from worldswitch.lab.trace import TraceWriter
from worldswitch.machine.observer import Observer

TITLES = {
    "none": ("processors", "Exits from native code, all processors"),
    "sie": ("guest", "Exits from SIE, all virtual CPUs"),
    "svm": ("guest", "#VMEXIT by reason, all virtual CPUs"),
}


@contextlib.contextmanager
def observers(stat: bool, trace: Path | None, hypervisor: str) -> Generator[Observer | None]:
    """The observer to attach, or None; prints the table and closes the trace at the end.

    They come out however the run ends, Ctrl-C included. Raises typer.Exit for a trace that cannot
    be written.
    """
    wanted: list[Observer] = []
    with contextlib.ExitStack() as stack:
        if trace is not None:
            wanted.append(ExitTrace(stack.enter_context(_trace(trace))))
        if stat:
            group, title = TITLES[hypervisor]
            tally = ExitTally(group)
            stack.callback(_print, tally, title)
            wanted.append(tally)
        if len(wanted) == 2:
            yield Observers(*wanted)
        else:
            yield wanted[0] if wanted else None


def _print(tally: ExitTally, title: str) -> None:
    tally.close()
    print_statistics(tally.tally.lines(), title, sys.stderr)


@contextlib.contextmanager
def _trace(path: Path) -> Generator[TraceWriter]:
    try:
        file = path.open("w", encoding="ascii", newline="\n")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise usage_error(f"--trace {path}: {reason}") from None
    try:
        with file, TraceWriter(file) as writer:
            yield writer
    except BrokenPipeError:
        raise
    except OSError as error:
        raise usage_error(f"--trace {path}: {error.strerror}") from None
