"""The `worldswitch` command."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(
    help="A hypervisor laboratory: guests on modelled processors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
check_app = typer.Typer(help="Check control blocks against the architecture's rules.")
app.add_typer(check_app, name="check")

STATUS_USAGE = 2
STATUS_INTERNAL = 70
STATUS_INTERRUPTED = 130
SUFFIXES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def usage_error(message: str) -> typer.Exit:
    """Print a message and give the exit that ends the command with the status for misuse."""
    typer.echo(f"worldswitch: {message}", err=True)
    return typer.Exit(STATUS_USAGE)


def parse_size(text: str) -> int:
    """Bytes of a size such as 512M; raises typer.Exit for anything else."""
    digits, suffix = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "M")
    if not digits.isdecimal() or suffix not in SUFFIXES:
        raise usage_error(f"-m {text}: say a number and K, M or G, such as -m 512M")
    size = int(digits) * SUFFIXES[suffix]
    if not 2 << 20 <= size <= 64 << 30:
        raise usage_error(f"-m {text}: memory has to be between 2M and 64G")
    return size


@app.command()
def run(
    kernel: Annotated[Path, typer.Argument(help="Linux kernel or ELF program for s390x.")],
    initrd: Annotated[Path | None, typer.Option(help="Initial RAM disk.")] = None,
    append: Annotated[str, typer.Option(help="Kernel command line.")] = "",
    memory: Annotated[str, typer.Option("-m", help="Memory, such as 512M or 2G.")] = "512M",
    smp: Annotated[int, typer.Option(help="Number of processors.", min=1, max=64)] = 1,
    cpu: Annotated[str, typer.Option(help="CPU model; `worldswitch cpus` lists them.")] = "z14",
    hypervisor: Annotated[
        Literal["auto", "sie", "none"],
        typer.Option(help="sie: a guest of SIE; none: straight on the metal; auto: sie."),
    ] = "auto",
    timeout: Annotated[float | None, typer.Option(help="Seconds of real time.")] = None,
    stat: Annotated[bool, typer.Option(help="Print why the processor left native code.")] = False,
    engine: Annotated[str, typer.Option(help="native, or python (slow, debuggable).")] = "native",
) -> None:
    """Run a guest until it ends. On a terminal the console is interactive; Ctrl-] ends it."""
    from worldswitch.arch.s390x.models import MODELS
    from worldswitch.cli.progress import build_progress
    from worldswitch.cli.terminal import Terminal
    from worldswitch.lab.diagnosis import diagnose
    from worldswitch.machine.s390x.board import STATUS_CRASHED, S390Machine
    from worldswitch.machine.s390x.guest import GuestMachine
    from worldswitch.machine.s390x.loader import ImageError

    if engine not in ("native", "python"):
        raise usage_error(f"--engine {engine}: say native or python")
    if cpu not in MODELS:
        raise usage_error(f"--cpu {cpu}: no such model; `worldswitch cpus` lists them")
    terminal = Terminal()
    size = parse_size(memory)
    with build_progress() as progress:
        kind = S390Machine if hypervisor == "none" else GuestMachine
        machine = kind(size, smp, cpu, engine, terminal.write, progress)
    try:
        machine.load(kernel, initrd, append)
    except ImageError as error:
        raise usage_error(str(error)) from None
    machine.input = terminal.read if terminal.interactive else None
    try:
        with terminal:
            result = machine.run(timeout, lambda: terminal.ended)
    except KeyboardInterrupt:
        raise typer.Exit(STATUS_INTERRUPTED) from None
    if stat:
        for line in machine.statistics():
            typer.echo(line, err=True)
    if result.status == STATUS_CRASHED:
        typer.echo(diagnose(machine, result.reason), err=True)
    elif result.status:
        typer.echo(f"worldswitch: {result.reason}", err=True)
    raise typer.Exit(result.status)


@app.command()
def cpus() -> None:
    """List the CPU models and what this version models of their facilities."""
    from worldswitch.arch.s390x.models import MODELS
    from worldswitch.machine.s390x.modelled import modelled_cpu

    for name, model in MODELS.items():
        have = sorted(modelled_cpu(name).facilities)
        typer.echo(f"{name:8} {model.description}")
        typer.echo(f"         facilities modelled: {' '.join(map(str, have))}")


@check_app.command("sie-block")
def check_sie_block(
    file: Annotated[Path, typer.Argument(help="512 bytes of a state description.")],
) -> None:
    """Decode a SIE state description and name each validity rule that it breaks."""
    from worldswitch.arch.s390x.sie_host import EVERYTHING
    from worldswitch.arch.s390x.state_description import StateDescription
    from worldswitch.arch.s390x.validity import all_violations

    try:
        data = bytearray(file.read_bytes())
    except OSError as error:
        raise usage_error(f"{file}: {error.strerror}") from None
    if len(data) != 512:
        raise usage_error(f"{file} has {len(data)} bytes; a state description has 512")
    for row in StateDescription.describe(data):
        typer.echo(f"{row.offset:03X} {row.name:24} {row.value}")
    violations = all_violations(data, EVERYTHING)
    for violation in violations:
        typer.echo(f"{violation.rule}: {violation.message} ({violation.ref})", err=True)
    raise typer.Exit(1 if violations else 0)


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
