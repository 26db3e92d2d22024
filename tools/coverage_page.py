#!/usr/bin/env python3
"""The coverage page: what of the architecture is modelled, partial or absent, out of the code.

`mkdocs build` puts it into the documentation (the hook `on_files`); run as a program it is printed.
An instruction is partial if its own text, or its module's, says UNMODELLED; it is absent if it is
in the list of the manual's (arch/s390x/opcodes.py) and not in the table that the processor is made
of.
"""

import importlib
import inspect
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import IntFlag
from pathlib import Path
from typing import Any

import coverage_x86

import worldswitch.arch.s390x
import worldswitch.arch.x86
import worldswitch.metal.s390x.insns as insns
from worldswitch.arch.control_block import ControlBlock
from worldswitch.arch.s390x.facilities import Facility
from worldswitch.arch.s390x.models import MODELS
from worldswitch.arch.s390x.opcodes import CHAPTERS, OPCODES
from worldswitch.arch.s390x.sie_controls import CpuStat, Eca, Ecb, Ecb2, Ecb3, Icpt, Ictl, Lctl
from worldswitch.arch.s390x.state_description import StateDescription
from worldswitch.arch.x86.vmcb import Vmcb
from worldswitch.hypervisor.sie.interception import INTERCEPTIONS
from worldswitch.lab.demo.s390x.fields import FIELDS
from worldswitch.machine.s390x.modelled import MODELLED_FACILITIES
from worldswitch.metal.s390x.insn import TABLE, Insn, Intercept
from worldswitch.metal.s390x.leave import Exit

PAGE = "reference/coverage.md"
TITLE = "Coverage"
MODELLED, PARTIAL, ABSENT = "modelled", "partial", "absent"
UNMODELLED = "UNMODELLED"
BEYOND = 0
"""The chapter of instructions that the list does not have: newer ones, and those of firmware."""
FLAGS: dict[str, type[IntFlag]] = {
    "ictl": Ictl, "eca": Eca, "ecb": Ecb, "ecb2": Ecb2, "ecb3": Ecb3, "lctl": Lctl,
    "cpuflags": CpuStat,
}  # fmt: skip
SOURCES = Path(worldswitch.arch.__file__).parents[1]
ARCHITECTURES: dict[str, tuple[Any, type[ControlBlock], tuple[str, ...], tuple[str, ...]]] = {
    "s390x": (
        worldswitch.arch.s390x,
        StateDescription,
        ("metal/s390x",),
        ("hypervisor/sie", "machine/s390x"),
    ),
    "x86-64": (
        worldswitch.arch.x86,
        Vmcb,
        ("metal/x86",),
        ("hypervisor/svm", "machine/x86"),
    ),
}
"""Definitions, the block to begin with, and the code of the metal and of the hypervisor."""


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table and the empty line behind it."""
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return [*lines, ""]


def _cell(value: object) -> str:
    return re.sub(r"\s+", " ", str(value)).replace("|", r"\|").strip()


# Instructions.


def state_of(item: Insn) -> str:
    """Modelled, or partial if the function or its module says so."""
    function = item.function.fn
    module = inspect.getdoc(inspect.getmodule(function)) or ""
    try:
        own = inspect.getsource(function)
    except OSError:
        own = function.__doc__ or ""
    return PARTIAL if UNMODELLED in own or UNMODELLED in module else MODELLED


def interception(intercept: Intercept | None) -> str:
    """When a guest of SIE leaves at an instruction, in the manual's words."""
    if intercept is None:
        return ""
    if intercept.field is None:
        return "always"
    flags = FLAGS.get(intercept.field)
    names = [m.name or "" for m in flags or () if m.value and m.value & intercept.mask == m.value]
    control = ".".join(word for word in (intercept.field, "/".join(names)) if word)
    return f"if {control}" if intercept.when else f"unless {control}"


def facility_name(number: int | None) -> str:
    """A facility by its bit number and in words."""
    if number is None:
        return ""
    try:
        return f"{number} {Facility(number).name.lower().replace('_', ' ')}"
    except ValueError:
        return str(number)


def opcodes_by_chapter() -> dict[int, list[str]]:
    """The opcodes of the manual's list and of the table, by chapter; BEYOND last."""
    chapters: dict[int, list[str]] = {number: [] for number in [*CHAPTERS, BEYOND]}
    for opcode, item in OPCODES.items():
        chapters[item.chapter].append(opcode)
    chapters[BEYOND] = [opcode for opcode in TABLE if opcode not in OPCODES]
    return chapters


def instruction_row(opcode: str) -> tuple[str, ...]:
    """Mnemonic, opcode, format, reference, facility, privilege, interception, state."""
    item = TABLE.get(opcode)
    if item is None:
        return (OPCODES[opcode].mnemonic, opcode, "", "", "", "", "", ABSENT)
    return (
        item.mnemonic,
        opcode,
        item.format,
        item.ref,
        facility_name(item.facility),
        "privileged" if item.privileged else "",
        interception(item.intercept),
        state_of(item),
    )


def instructions() -> Iterator[str]:
    """The sections of the instructions, after a table of their numbers."""
    chapters = {
        number: sorted((instruction_row(code) for code in codes), key=lambda row: row[0])
        for number, codes in opcodes_by_chapter().items()
    }
    yield "## Instructions\n"
    yield "Chapters are those of the Principles of Operation; the list is that of the z13.\n"
    rows: list[tuple[object, ...]] = []
    for number, found in chapters.items():
        counts = Counter(row[-1] for row in found)
        rows.append((chapter_title(number), *(counts[s] for s in (MODELLED, PARTIAL, ABSENT))))
    totals = [sum(int(str(row[n])) for row in rows) for n in (1, 2, 3)]
    yield from table(("Chapter", MODELLED, PARTIAL, ABSENT), [*rows, ("All", *totals)])
    heads = (
        "Instruction",
        "Opcode",
        "Format",
        "Reference",
        "Facility",
        "",
        "SIE intercepts",
        "State",
    )
    for number, found in chapters.items():
        yield f"### {chapter_title(number)}\n"
        yield from table(heads, found)


def chapter_title(number: int) -> str:
    """A heading for a chapter."""
    if number == BEYOND:
        return "Newer than the z13, or of firmware"
    return f"{number} {CHAPTERS[number]}"


# Everything else.


def facilities() -> Iterator[str]:
    """Each facility that a CPU model has."""
    first: dict[int, str] = {}
    for name, model in MODELS.items():
        for number in sorted(model.facilities):
            first.setdefault(number, name)
    yield "## Facilities\n"
    yield "A guest is told of the modelled ones alone: STORE FACILITY LIST EXTENDED does not lie.\n"
    yield from table(
        ("Facility", "Models from", "State"),
        (
            (facility_name(number), first[number],
             MODELLED if number in MODELLED_FACILITIES else ABSENT)
            for number in sorted(first)
        ),
    )  # fmt: skip


def interceptions() -> Iterator[str]:
    """Interception codes: whether the metal leaves a guest so, and who handles it."""
    yield "## Interception codes of SIE\n"
    yield "`worldswitch demo --architecture s390x` shows each modelled one.\n"
    rows: list[tuple[object, ...]] = []
    for code in Icpt:
        handler: Any = INTERCEPTIONS[code]
        says = (inspect.getdoc(handler) or "").splitlines()[0]
        state = MODELLED if code in FIELDS or code is Icpt.NONE else ABSENT
        rows.append((f"{code.name} {code:02X}", state, f"`{handler.__name__}`", says))
    yield from table(("Code", "Metal", "Hypervisor", "What the handler is for"), rows)


def exits() -> Iterator[str]:
    """Reasons for which native code returns to Python."""
    source = inspect.getsource(Exit)
    yield "## Exits from native code\n"
    rows: list[tuple[object, ...]] = []
    for member in Exit:
        found = re.search(rf'^    {member.name} = \d+\n    """(.*?)"""', source, re.M | re.S)
        rows.append((member.name, int(member), found.group(1) if found else ""))
    yield from table(("Exit", "Number", "Meaning"), rows)


def control_blocks(package: Any, first: type[ControlBlock]) -> list[type[ControlBlock]]:
    """All control blocks that a package under arch/ defines, one of them first."""
    found: list[type[ControlBlock]] = []
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for value in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(value, type)
                and issubclass(value, ControlBlock)
                and value.__module__ == module.name
                and value not in found
            ):
                found.append(value)
    return sorted(found, key=lambda block: (block is not first, block.__name__))


def source_words(*folders: str) -> set[str]:
    """The identifiers that the code below some folders of the package has."""
    words: set[str] = set()
    for folder in folders:
        for path in sorted((SOURCES / folder).rglob("*.py")):
            words.update(re.findall(r"[A-Za-z_]\w*", path.read_text(encoding="utf-8")))
    return words


def blocks() -> Iterator[str]:
    """Every field of every control block, and which side of the seam names it."""
    yield "## Control blocks\n"
    yield (
        "A field is modelled if the code of the metal or of the hypervisor names it, checked if "
        "only the rules for the block do, and declared if it has a place and a name alone.\n"
    )
    for name, (package, first, metal, hypervisor) in ARCHITECTURES.items():
        found = control_blocks(package, first)
        yield from blocks_of(name, found, source_words(*metal), source_words(*hypervisor))


def blocks_of(
    architecture: str, found: list[type[ControlBlock]], metal: set[str], hypervisor: set[str]
) -> Iterator[str]:
    """The control blocks of one architecture. A rule may read fields of blocks inside its own."""
    rules = [rule for block in found for rule in block.rules]
    ruled_names = {name for rule in rules for name in rule.test.__code__.co_names}
    for block in found:
        checks = f", {len(block.rules)} rules" if block.rules else ""
        yield f"### {block.__name__}\n"
        yield f"{architecture}, {block.block_size} bytes{checks}; {block.manual_ref}.\n"
        rows: list[tuple[object, ...]] = []
        for field in block.fields.values():
            end = field.offset + field.size
            names = {field.name, *field.bits}
            names.update(n for n, f in block.inner_fields.items() if field.offset <= f.offset < end)
            sides = [name for name, words in (("metal", metal), ("hypervisor", hypervisor))
                     if names & words]  # fmt: skip
            state = MODELLED if sides else "checked" if ruled_names & names else "declared"
            title = f"{field.name} ({field.variant})" if field.variant else field.name
            where = f"{field.offset:03X}"
            rows.append((where, title, field.size, field.ref, ", ".join(sides), state))
        heads = ("Offset", "Field", "Bytes", "Reference", "Named by", "State")
        yield from table(heads, rows)


def x86() -> Iterator[str]:
    """Instructions and features of the x86 processor, and what its code says is not modelled."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for group, row in coverage_x86.rows():
        groups.setdefault(group, []).append(row)
    yield "## Instructions of x86-64\n"
    yield "A row is an encoding; what is in no row and not below as absent is an invalid opcode.\n"
    counts = [(group, Counter(row[-1] for row in found)) for group, found in groups.items()]
    totals = [(group, n[MODELLED], n[PARTIAL]) for group, n in counts]
    yield from table(("Encodings", MODELLED, PARTIAL), totals)
    heads = ("Instruction", "Encoding", "Reference", "Feature", "", "State")
    for group, found in groups.items():
        yield f"### {group}\n"
        yield from table(heads, found)
    yield "### Absent instructions\n"
    absent = ((text, name, ABSENT) for text, name in coverage_x86.absent_instructions())
    yield from table(("Instructions", "Feature", "State"), absent)
    yield "## CPU features of x86-64\n"
    yield "A guest is told of the modelled ones alone, by CPUID.\n"
    yield from table(("Feature", "CPUID", "Models", "State"), coverage_x86.features())
    yield "## What the code for x86-64 says is not modelled\n"
    places = [SOURCES / "metal/x86", SOURCES / "hypervisor/x86", SOURCES / "hypervisor/svm",
              SOURCES / "machine/x86"]  # fmt: skip
    yield from table(("Where", "What"), coverage_x86.unmodelled(SOURCES, places))


def page() -> str:
    """The whole page."""
    assert insns.__name__
    parts = [
        f"# {TITLE}\n",
        "This page is made from the code when the documentation is built.\n",
        "**Modelled**: behaves as the manual says. **Partial**: with a part that is marked "
        f"`{UNMODELLED}` where the code is. **Absent**: gives the architecture's own answer to "
        "what is not installed, an operation exception for an instruction.\n",
        *instructions(),
        *facilities(),
        *interceptions(),
        *exits(),
        *x86(),
        *blocks(),
    ]
    return "\n".join(parts)


def on_files(files: Any, config: Any) -> Any:
    """mkdocs: add the page, which is in no directory."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page()))
    return files


if __name__ == "__main__":
    sys.stdout.write(page())
