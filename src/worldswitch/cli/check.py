"""`worldswitch check`: control blocks from real hypervisors against the architecture's rules."""

from pathlib import Path
from typing import Annotated

import typer

from worldswitch.cli.statuses import interruptible, usage_error

check_app = typer.Typer(
    help="Check control blocks against the architecture's rules.", no_args_is_help=True
)
STATUS_BROKEN_RULES = 1


def read_block(file: Path, size: int, what: str) -> bytearray:
    """The bytes of a control block; raises typer.Exit unless there are exactly `size`."""
    try:
        with file.open("rb") as stream:
            data = stream.read(size + 1)
    except OSError as error:
        raise usage_error(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise usage_error(f"{str(file)!r}: {error}") from None
    if len(data) != size:
        count = f"{len(data)} bytes" if len(data) < size else f"more than {size} bytes"
        raise usage_error(f"{file} has {count}; {what} has {size}")
    return bytearray(data)


@check_app.command("sie-block", epilog="Exit statuses: 0 no rule is broken, 1 some are, 2 usage.")
@interruptible
def check_sie_block(
    file: Annotated[Path, typer.Argument(help="512 bytes of a state description.")],
) -> None:
    """Decode a SIE state description and name each validity rule that it breaks."""
    from worldswitch.arch.s390x.sie_host import EVERYTHING
    from worldswitch.arch.s390x.state_description import SIZE, StateDescription
    from worldswitch.arch.s390x.validity import all_violations

    data = read_block(file, SIZE, "a state description")
    for row in StateDescription.describe(data):
        typer.echo(f"{row.offset:03X} {row.name:24} {row.value:20} {row.meaning}".rstrip())
    violations = all_violations(data, EVERYTHING)
    for violation in violations:
        typer.echo(f"{violation.rule}: {violation.message} ({violation.ref})", err=True)
    raise typer.Exit(STATUS_BROKEN_RULES if violations else 0)


@check_app.callback()
def check() -> None:
    """Keeps the kind of block a word of its own while there is only one."""
