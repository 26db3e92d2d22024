"""A progress bar for the build of native code; nothing is shown when all of it is cached."""

from collections.abc import Generator
from contextlib import contextmanager

from worldswitch.engine.build import Progress


@contextmanager
def build_progress() -> Generator[Progress]:
    """Gives a callback for `build`; the bar appears with its first call, on standard error."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    bar = Bar(console=Console(stderr=True), transient=True)
    task: list[int] = []

    def report(name: str, done: int, total: int) -> None:
        if not task:
            bar.start()
            task.append(bar.add_task("compiling the processor", total=total))
        bar.update(task[0], completed=done)  # type: ignore[arg-type]

    try:
        yield report
    finally:
        if task:
            bar.stop()
