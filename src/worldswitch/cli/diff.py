"""`worldswitch diff`: two control blocks, field by field."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worldswitch.cli.check import LONGEST_VALUE, read_block
from worldswitch.cli.statuses import interruptible

if TYPE_CHECKING:
    from worldswitch.arch.control_block import Change

diff_app = typer.Typer(help="Compare control blocks field by field.", no_args_is_help=True)
STATUS_DIFFERENT = 1


@diff_app.command("vmcb", epilog="Exit statuses: 0 they agree, 1 they differ, 2 usage.")
@interruptible
def diff_vmcb(
    a: Annotated[Path, typer.Argument(help="4096 bytes of a VMCB.")],
    b: Annotated[Path, typer.Argument(help="4096 bytes of another.")],
) -> None:
    """Name each field that differs between two SVM control blocks, with both values."""
    from worldswitch.arch.x86.vmcb import SIZE, Vmcb

    changes = Vmcb.diff(read_block(a, SIZE, "a VMCB"), read_block(b, SIZE, "a VMCB"))
    for change in changes:
        offset, before, after = _values(change)
        typer.echo(f"{offset:03X} {change.name:24} {before} -> {after} ({change.ref})")
    raise typer.Exit(STATUS_DIFFERENT if changes else 0)


def _values(change: "Change") -> tuple[int, str, str]:
    """Offset and both values of a change; of long bytes, from the first that differs on."""
    length = max(len(change.before), len(change.after))
    if length <= LONGEST_VALUE:
        return change.offset, change.before, change.after
    # A reserved area of zeros is not printed in full: its value is "0".
    before, after = (
        bytes.fromhex(text.ljust(length, "0")) for text in (change.before, change.after)
    )
    places = [place for place, (x, y) in enumerate(zip(before, after, strict=True)) if x != y]
    first, end = places[0], places[-1] + 1
    more = "..." if end - first > LONGEST_VALUE // 2 else ""
    end = min(end, first + LONGEST_VALUE // 2)
    return change.offset + first, before[first:end].hex() + more, after[first:end].hex() + more


@diff_app.callback()
def diff() -> None:
    """Keeps the kind of block a word of its own while there is only one."""
