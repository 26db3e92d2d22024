"""`worldswitch demo`: every way out of a guest, on the spot."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worldswitch.cli.check import print_rows
from worldswitch.cli.statuses import interruptible, usage_error

if TYPE_CHECKING:
    from worldswitch.arch.control_block import ControlBlock
    from worldswitch.lab.demo.switch import Switch
    from worldswitch.machine.architecture import Architecture

INTRODUCTIONS: "dict[Architecture, str]" = {
    "s390x": """\
A guest of the s390x processor's interpretive execution (SIE) leaves for its hypervisor in the ways
below. The guest's program is assembled now; --source prints it, --show N the whole state
description after switch N.
""",
    "x86": """\
A guest of the x86 processor's SVM leaves for its hypervisor (#VMEXIT) in the ways below. The
guest's program is assembled now; --source prints it, --show N the whole VMCB after switch N.
""",
}


@interruptible
def demo(
    architecture: Annotated[
        Literal["s390x", "x86", "all"],
        typer.Option(help="Whose guests: of SIE on s390x, of SVM on x86, or of both."),
    ] = "all",
    source: Annotated[bool, typer.Option("--source", help="Print the guests' programs.")] = False,
    show: Annotated[
        int | None,
        typer.Option(
            help="Print the control block after this switch of the table.", metavar="N", min=1
        ),
    ] = None,
    engine: Annotated[
        Literal["native", "python"], typer.Option(help="python: slow, for a debugger.")
    ] = "native",
) -> None:
    """Let small guests leave in every way there is, and say what each world switch means.

    Needs no guest image.
    """
    from worldswitch.lab.demo.play import PROGRAMS, print_switches
    from worldswitch.lab.programs import source as text_of

    chosen: list[Architecture] = ["s390x", "x86"] if architecture == "all" else [architecture]
    if source:
        for name in (name for one in chosen for name in PROGRAMS[one]):
            typer.echo(text_of(name))
        return
    count = 0
    for one in chosen:
        switches = _play(one, engine, alone=len(chosen) == 1)
        if show is None:
            typer.echo(INTRODUCTIONS[one])
            print_switches(one, switches, sys.stdout, count + 1)
        elif count < show <= count + len(switches):
            switch = switches[show - count - 1]
            print_switches(one, [switch], sys.stdout, show)
            _print_block(one, switch)
            return
        count += len(switches)
    if show is not None:
        raise usage_error(f"demo: --show {show}: there are {count} world switches")


def _play(architecture: "Architecture", engine: str, alone: bool) -> "list[Switch]":
    """The switches of one architecture; none, with the reason, if it is one of several."""
    from worldswitch.cli.progress import build_progress
    from worldswitch.lab.demo.play import play_all
    from worldswitch.lab.x86_assembler import UnavailableError

    try:
        with build_progress() as progress:
            return play_all(architecture, engine, progress)
    except UnavailableError as error:
        if alone:
            raise usage_error(f"demo: {error}") from None
        typer.echo(f"worldswitch: demo: {error}", err=True)
        return []


def _print_block(architecture: "Architecture", switch: "Switch") -> None:
    """All fields of the control block that are not zero."""
    from worldswitch.arch.s390x.state_description import StateDescription
    from worldswitch.arch.x86.vmcb import Vmcb

    kind: type[ControlBlock] = StateDescription if architecture == "s390x" else Vmcb
    print_rows([row for row in kind.describe(bytearray(switch.block)) if row.value.strip("0x")])
