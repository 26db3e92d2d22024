"""A progress bar for the build of native code; nothing is shown when all of it is cached."""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worldswitch.engine.build import Progress


@contextmanager
def build_progress() -> Generator["Progress"]:
    """Gives a callback for `build`; the bar appears with its first call, on standard error."""
    shown: list[tuple[Any, Any]] = []

    def report(name: str, done: int, total: int) -> None:
        if not shown:
            from rich.console import Console
            from rich.progress import Progress as Bar

            bar = stack.enter_context(Bar(console=Console(stderr=True), transient=True))
            shown.append((bar, bar.add_task("compiling the processor", total=total)))
        bar, task = shown[0]
        bar.update(task, completed=done)

    with ExitStack() as stack:
        yield report
