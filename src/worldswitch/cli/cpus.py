"""`worldswitch cpus`: the CPU models of both architectures as tables."""

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.models import MODELS
from worldswitch.arch.x86.cpuid import FEATURES
from worldswitch.arch.x86.models import MODELS as X86_MODELS
from worldswitch.machine.build import DEFAULT_MODELS
from worldswitch.machine.s390x.modelled import MODELLED_FACILITIES, modelled_cpu
from worldswitch.metal.x86.features import MODELLED as MODELLED_FEATURES

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


def feature_names(names: Iterable[str]) -> str:
    """Features in CPUID's order."""
    wanted = frozenset(names)
    return " ".join(name for name in FEATURES if name in wanted)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def print_models() -> None:
    """Models, their machines, and what of them is modelled and what is not."""
    table = _table("s390x", "Machine", "Type")
    table.add_column("Facilities modelled")
    table.add_column("Not modelled")
    for name, model in MODELS.items():
        have = modelled_cpu(name).facilities
        kind = f"{model.machine_type:04X}"
        table.add_row(name, model.description, kind, ranges(have), ranges(model.facilities - have))
    console = _console()
    console.print(table)
    console.print("Facilities by the bit numbers of STORE FACILITY LIST EXTENDED; --facilities")
    console.print("names them.\n")
    table = _table("x86-64", "Machine")
    table.add_column("Features", justify="right")
    table.add_column("Not modelled")
    for name, x86_model in X86_MODELS.items():
        have = x86_model.features & MODELLED_FEATURES
        without = feature_names(x86_model.features - have) or "-"
        table.add_row(name, x86_model.description, str(len(have)), without)
    console.print(table)
    console.print(
        "Features by their names in /proc/cpuinfo; --facilities lists them all. A guest is"
    )
    console.print("told of the modelled facilities and features only. The models taken if --cpu is")
    console.print(f"not given are {DEFAULT_MODELS['s390x']} and {DEFAULT_MODELS['x86']}.")


def print_facilities() -> None:
    """Each facility and feature that any model has, and whether it is modelled."""
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
    console = _console()
    console.print(table)
    table = _table("Feature", "CPUID", "State")
    table.add_column("Models")
    for name, item in FEATURES.items():
        models = [model.name for model in X86_MODELS.values() if name in model.features]
        if models:
            state = "modelled" if name in MODELLED_FEATURES else "absent"
            where = f"{item.leaf:X}.{item.subleaf} {item.register.upper()} bit {item.bit}"
            table.add_row(name, where, state, " ".join(models))
    console.print(table)
