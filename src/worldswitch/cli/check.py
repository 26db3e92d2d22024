"""`worldswitch check`: control blocks from real hypervisors against the architecture's rules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worldswitch.cli.statuses import interruptible, usage_error

if TYPE_CHECKING:
    from worldswitch.arch.control_block import Row, Violation

check_app = typer.Typer(
    help="Check control blocks against the architecture's rules.", no_args_is_help=True
)
STATUS_BROKEN_RULES = 1
LONGEST_VALUE = 64
"""Characters of a value that are printed; reserved areas can be long."""


def read_block(file: Path, size: int, what: str) -> bytearray:
    """The bytes of a control block; raises typer.Exit unless there are exactly `size`."""
    try:
        with file.open("rb") as stream:
            data = stream.read(size + 1)
    except OSError as error:
        raise usage_error(f"{file}: {error.strerror}. Give the path of a dump of {what}.") from None
    except ValueError as error:
        raise usage_error(f"{str(file)!r}: {error}") from None
    if len(data) != size:
        count = f"{len(data)} bytes" if len(data) < size else f"more than {size} bytes"
        raise usage_error(f"{file} has {count}; {what} has {size}. Give a dump of all of it.")
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
    _report(StateDescription.describe(data), all_violations(data, EVERYTHING))


@check_app.command("vmcb", epilog="Exit statuses: 0 no rule is broken, 1 some are, 2 usage.")
@interruptible
def check_vmcb(
    file: Annotated[Path, typer.Argument(help="4096 bytes of a VMCB.")],
    cpu: Annotated[
        str,
        typer.Option(help="x86 CPU model that VMRUN would run on, such as epyc-milan,-vnmi."),
    ] = "max",
) -> None:
    """Decode an SVM control block and name each consistency rule of VMRUN that it breaks."""
    from worldswitch.arch.x86.consistency import SvmHost, all_violations
    from worldswitch.arch.x86.models import cpu_model
    from worldswitch.arch.x86.vmcb import SIZE, Vmcb

    try:
        model = cpu_model(cpu)
    except ValueError as error:
        raise usage_error(f"--cpu {cpu}: {error}") from None
    if not model.has("svm"):
        raise usage_error(f"--cpu {cpu}: this model has no SVM")
    data = read_block(file, SIZE, "a VMCB")
    _report(Vmcb.describe(data), all_violations(data, SvmHost.of(model)))


def print_rows(rows: "list[Row]") -> None:
    """Print fields of a control block: offset, name, value, meaning."""
    width = max(len(row.name) for row in rows)
    for row in rows:
        value = row.value if len(row.value) <= LONGEST_VALUE else f"{row.value[:LONGEST_VALUE]}..."
        typer.echo(f"{row.offset:03X} {row.name:{width}} {value:20} {row.meaning}".rstrip())


def _report(rows: "list[Row]", violations: "list[Violation]") -> None:
    """Print a block and the rules that it breaks; raises typer.Exit with the status."""
    print_rows(rows)
    for violation in violations:
        typer.echo(f"{violation.rule}: {violation.message} ({violation.ref})", err=True)
    raise typer.Exit(STATUS_BROKEN_RULES if violations else 0)
