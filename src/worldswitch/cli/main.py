"""The `worldswitch` command."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from worldswitch.cli.bench import bench
from worldswitch.cli.check import check_app
from worldswitch.cli.demo import demo
from worldswitch.cli.diff import diff_app
from worldswitch.cli.statuses import (
    STATUS_INTERNAL,
    STATUS_INTERRUPTED,
    STATUSES,
    interruptible,
    usage_error,
)

if TYPE_CHECKING:
    from worldswitch.machine.result import Result
    from worldswitch.machine.s390x.board import S390Board

app = typer.Typer(
    help="A hypervisor laboratory: guests on modelled processors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(check_app, name="check")
app.add_typer(diff_app, name="diff")
app.command()(demo)
app.command()(bench)

SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text: str) -> int:
    """Bytes of a size such as 512M; raises typer.Exit for anything else."""
    digits, suffix = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "M")
    if not digits.isdecimal() or suffix not in SUFFIXES:
        raise usage_error(f"-m {text}: say a number and K, M or G, such as -m 512M")
    size = int(digits) * SUFFIXES[suffix]
    if not 2 << 20 <= size <= 64 << 30:
        raise usage_error(f"-m {text}: memory has to be between 2M and 64G")
    return size


def _models() -> list[str]:
    from worldswitch.arch.s390x.models import MODELS

    return list(MODELS)


@app.command(epilog=STATUSES)
@interruptible
def run(
    kernel: Annotated[Path, typer.Argument(help="Linux kernel or ELF program for s390x.")],
    initrd: Annotated[Path | None, typer.Option(help="Initial RAM disk.")] = None,
    append: Annotated[str, typer.Option(help="Kernel command line.")] = "",
    memory: Annotated[str, typer.Option("-m", help="Memory, such as 512M or 2G.")] = "512M",
    smp: Annotated[int, typer.Option(help="Number of processors.", min=1, max=64)] = 1,
    cpu: Annotated[
        str,
        typer.Option(help="CPU model; `worldswitch cpus` lists them.", autocompletion=_models),
    ] = "z14",
    hypervisor: Annotated[
        Literal["auto", "sie", "none"],
        typer.Option(help="sie: a guest of SIE; none: straight on the metal; auto: sie."),
    ] = "auto",
    timeout: Annotated[float | None, typer.Option(help="Seconds of real time.", min=0)] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Print a table of the exits.")] = False,
    trace: Annotated[
        Path | None, typer.Option(help="Write a trace for ui.perfetto.dev or Chrome.")
    ] = None,
    clock: Annotated[
        Literal["virtual", "real"],
        typer.Option(help="virtual: time advances with instructions; real: with the host's."),
    ] = "virtual",
    engine: Annotated[
        Literal["native", "python"], typer.Option(help="python: slow, for a debugger.")
    ] = "native",
) -> None:
    """Run a guest until it ends.

    On a terminal the console is interactive: Ctrl-C ends the run, so does Ctrl-] (with status 0),
    and Ctrl-\\ sends the guest a Ctrl-C.
    """
    from worldswitch.arch.s390x.models import cpu_model
    from worldswitch.cli.observers import observers
    from worldswitch.cli.progress import build_progress
    from worldswitch.cli.terminal import Terminal
    from worldswitch.machine.s390x.build import build
    from worldswitch.machine.s390x.loader import ImageError

    try:
        cpu_model(cpu)
    except ValueError:
        raise usage_error(f"--cpu {cpu}: no such model; `worldswitch cpus` lists them") from None
    terminal = Terminal()
    with build_progress() as progress:
        machine = build(
            hypervisor=hypervisor,
            memory=parse_size(memory),
            cpus=smp,
            model=cpu,
            engine=engine,
            output=terminal.write,
            progress=progress,
            real_time=clock == "real",
        )
    try:
        machine.load(kernel, initrd, append)
    except ImageError as error:
        raise usage_error(str(error)) from None
    machine.input = terminal.read if terminal.interactive else None
    with contextlib.ExitStack() as stack:
        machine.observer = stack.enter_context(observers(stat, trace, hypervisor))
        with terminal:
            result = machine.run(timeout, lambda: terminal.ended)
    _report(machine, result)
    raise typer.Exit(result.status)


def _report(machine: "S390Board", result: "Result") -> None:
    """Say on standard error what was wrong with how the guest ended, if anything."""
    from worldswitch.machine.s390x.board import STATUS_CRASHED

    if result.status == STATUS_CRASHED:
        from worldswitch.lab.diagnosis import diagnose

        typer.echo(diagnose(machine, result.reason), err=True)
    elif result.status:
        typer.echo(f"worldswitch: {result.reason}", err=True)


@app.command()
@interruptible
def cpus(
    facilities: Annotated[
        bool, typer.Option("--facilities", help="Name each facility, modelled or not.")
    ] = False,
) -> None:
    """List the CPU models and what this version models of their facilities."""
    from worldswitch.cli.cpus import print_facilities, print_models

    print_models()
    if facilities:
        print_facilities()


def main() -> None:
    """Entry point: an internal error is reported as such, with what to do about it."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(STATUS_INTERRUPTED)
    except Exception as error:
        typer.echo(
            f"worldswitch: internal error: {type(error).__name__}: {error}\n"
            "This is a fault of Worldswitch. Please report it with the command line.",
            err=True,
        )
        sys.exit(STATUS_INTERNAL)
