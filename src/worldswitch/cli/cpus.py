"""`worldswitch cpus`: the CPU models as a table."""

from rich import box
from rich.console import Console
from rich.table import Table

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.models import MODELS
from worldswitch.machine.s390x.modelled import MODELLED_FACILITIES, modelled_cpu

WIDTH = 110
"""Columns of a table that goes to a file."""


def facility_name(number: int) -> str:
    """A facility's name in words, or its number if it has none."""
    try:
        return Facility(number).name.lower().replace("_", " ")
    except ValueError:
        return f"facility {number}"


def ranges(numbers: frozenset[int]) -> str:
    """Numbers in order, three and more that follow each other as a range: `0-3 7 8`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    texts = [
        f"{part[0]}-{part[-1]}" if len(part) > 2 else " ".join(map(str, part)) for part in parts
    ]
    return " ".join(texts)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def print_models() -> None:
    """Models, their machines, and the facility bits that are modelled and that are not."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("Model", "Machine", "Type"):
        table.add_column(heading, no_wrap=True)
    table.add_column("Facilities modelled")
    table.add_column("Not modelled")
    for name, model in MODELS.items():
        have = modelled_cpu(name).facilities
        kind = f"{model.machine_type:04X}"
        table.add_row(name, model.description, kind, ranges(have), ranges(model.facilities - have))
    console = _console()
    console.print(table)
    console.print("Facilities by the bit numbers of STORE FACILITY LIST EXTENDED; --facilities")
    console.print("names them. A guest is told of the modelled ones only.")


def print_facilities() -> None:
    """Each facility that any model has, and whether it is modelled."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Bit", justify="right")
    for heading in ("Facility", "State", "Models from"):
        table.add_column(heading, no_wrap=True)
    first: dict[int, str] = {}
    for name, model in MODELS.items():
        for number in model.facilities:
            first.setdefault(number, name)
    for number in sorted(first):
        state = "modelled" if number in MODELLED_FACILITIES else "absent"
        table.add_row(str(number), facility_name(number), state, first[number])
    _console().print(table)
