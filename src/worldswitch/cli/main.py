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
    FULL,
    STATUS_INTERNAL,
    STATUS_INTERRUPTED,
    STATUSES,
    Group,
    cannot_write,
    interruptible,
    usage_error,
)

if TYPE_CHECKING:
    from worldswitch.machine.board import Board
    from worldswitch.machine.result import Result

app = typer.Typer(
    cls=Group,
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
    from worldswitch.arch.x86.models import MODELS as X86_MODELS

    return [*MODELS, *X86_MODELS]


def _check_model(architecture: str, name: str) -> None:
    """Raise ValueError, with the fix in it, for a CPU model that the architecture has not."""
    if architecture == "s390x":
        from worldswitch.arch.s390x.models import cpu_model
    else:
        from worldswitch.arch.x86.models import cpu_model
    try:
        cpu_model(name)
    except ValueError as error:
        why = str(error) if architecture == "x86" else "no such model"
        raise ValueError(f"--cpu {name}: {why}; `worldswitch cpus` lists them") from None
    if architecture == "x86":
        _check_added(name)


def _check_added(name: str) -> None:
    """Raise ValueError for a feature that is asked for by name and that no processor here has."""
    from worldswitch.arch.x86.cpuid import feature
    from worldswitch.metal.x86.features import MODELLED

    added = (part.strip()[1:] for part in name.split(",")[1:] if part.strip()[0] == "+")
    for wanted in added:
        if feature(wanted).name not in MODELLED:
            raise ValueError(
                f"--cpu {name}: {wanted} is not modelled. Leave it out; "
                "`worldswitch cpus --facilities` lists what is"
            )


@app.command(epilog=STATUSES)
@interruptible
def run(
    kernel: Annotated[
        Path, typer.Argument(help="Linux kernel, ELF program or boot sector, for s390x or x86.")
    ],
    initrd: Annotated[Path | None, typer.Option(help="Initial RAM disk.")] = None,
    append: Annotated[str, typer.Option(help="Kernel command line.")] = "",
    module: Annotated[
        list[str] | None,
        typer.Option(
            help="File that a multiboot or PVH kernel gets behind the initial RAM disk, and its "
            "arguments in the same word; may be given several times.",
            metavar="FILE",
        ),
    ] = None,
    memory: Annotated[str, typer.Option("-m", help="Memory, such as 512M or 2G.")] = "512M",
    smp: Annotated[int, typer.Option(help="Number of processors.", min=1, max=64)] = 1,
    cpu: Annotated[
        str | None,
        typer.Option(
            help="CPU model, for x86 with changes such as MODEL,+svm,-x2apic; "
            "`worldswitch cpus` lists them. Default: z14, epyc-milan.",
            autocompletion=_models,
        ),
    ] = None,
    hypervisor: Annotated[
        Literal["auto", "sie", "svm", "none"],
        typer.Option(
            help="sie, svm: a guest of the s390x or x86 facility; none: straight on the metal; "
            "auto: a guest of the architecture's facility."
        ),
    ] = "auto",
    disk: Annotated[
        list[Path] | None,
        typer.Option(help="Raw image of a virtio disk (x86); may be given several times."),
    ] = None,
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
    from worldswitch.cli.observers import observers
    from worldswitch.cli.progress import build_progress
    from worldswitch.cli.terminal import Terminal
    from worldswitch.machine.architecture import architecture_of
    from worldswitch.machine.build import Configuration, build
    from worldswitch.machine.image import ImageError, Module

    size = parse_size(memory)
    terminal = Terminal()
    try:
        wanted = Configuration(
            architecture_of(kernel), hypervisor, size, smp, cpu, engine, clock == "real", disk or ()
        )
        facility = wanted.facility
        _check_model(wanted.architecture, wanted.model_name)
        with build_progress() as progress:
            machine = build(wanted, terminal.write, progress)
        machine.load(kernel, initrd, append, [Module.parse(text) for text in module or ()])
    except (ImageError, ValueError) as error:
        raise usage_error(str(error)) from None
    machine.input = terminal.read if terminal.interactive else None
    with contextlib.ExitStack() as stack:
        machine.observer = stack.enter_context(observers(stat, trace, facility))
        with terminal:
            result = machine.run(timeout, lambda: terminal.ended)
    _report(machine, result)
    raise typer.Exit(result.status)


def _report(machine: "Board", result: "Result") -> None:
    """Say on standard error what was wrong with how the guest ended, if anything."""
    from worldswitch.machine.result import STATUS_CRASHED

    if result.status == STATUS_CRASHED:
        from worldswitch.lab.diagnosis import diagnose

        typer.echo(diagnose(machine, result.reason), err=True)
    elif result.status:
        typer.echo(f"worldswitch: {result.reason}", err=True)


@app.command()
@interruptible
def cpus(
    facilities: Annotated[
        bool,
        typer.Option("--facilities", help="Name each facility and CPU feature, modelled or not."),
    ] = False,
) -> None:
    """List the CPU models of both architectures, and what is modelled of them."""
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
        if isinstance(error, OSError) and error.errno in FULL:
            sys.exit(cannot_write(error))
        typer.echo(
            f"worldswitch: internal error: {type(error).__name__}: {error}\n"
            "This is a fault of Worldswitch. Please report it with the command line.",
            err=True,
        )
        sys.exit(STATUS_INTERNAL)
