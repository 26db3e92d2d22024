"""`worldswitch demo`: every way out of a guest, on the spot."""

import sys
from typing import Annotated, Literal

import typer

from worldswitch.cli.statuses import interruptible, usage_error

INTRODUCTION = """\
A guest of the s390x processor's interpretive execution (SIE) leaves for its hypervisor in the ways
below. The guest's program is assembled now; --source prints it, --show N the whole state
description after switch N.
"""
PROGRAMS = ("demo", "demo_protected")


@interruptible
def demo(
    source: Annotated[bool, typer.Option("--source", help="Print the guests' programs.")] = False,
    show: Annotated[
        int | None,
        typer.Option(help="Print the state description after this switch.", metavar="N", min=1),
    ] = None,
    engine: Annotated[
        Literal["native", "python"], typer.Option(help="python: slow, for a debugger.")
    ] = "native",
) -> None:
    """Let small guests leave in every way there is, and say what each world switch means.

    Needs no guest image.
    """
    from worldswitch.arch.s390x.state_description import StateDescription
    from worldswitch.cli.progress import build_progress
    from worldswitch.lab.demo.play import play_all, print_switches
    from worldswitch.lab.programs import source as text_of

    if source:
        for name in PROGRAMS:
            typer.echo(text_of(name))
        return
    with build_progress() as progress:
        switches = play_all(engine, progress)
    if show is None:
        typer.echo(INTRODUCTION)
        print_switches(switches, sys.stdout)
        return
    if show > len(switches):
        raise usage_error(f"demo: --show {show}: there are {len(switches)} world switches")
    print_switches(switches[show - 1 : show], sys.stdout)
    for row in StateDescription.describe(bytearray(switches[show - 1].block)):
        if row.value.strip("0x"):
            typer.echo(f"{row.offset:03X} {row.name:24} {row.value:20} {row.meaning}".rstrip())
