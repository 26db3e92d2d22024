"""Every manual reference in the code resolves to a manual in docs/manuals.toml."""

import importlib
import pkgutil
import tomllib
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path

from check_tree import unresolved_refs

import worldswitch
import worldswitch.arch
from worldswitch.arch.control_block import ControlBlock, manual_of

ROOT = Path(worldswitch.__file__).parents[2]
MANUALS = tomllib.loads((ROOT / "docs" / "manuals.toml").read_text(encoding="utf-8"))


def arch_objects() -> Iterator[tuple[str, type]]:
    """Every class that a module under arch/ defines."""
    for module in pkgutil.walk_packages(worldswitch.arch.__path__, "worldswitch.arch."):
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            if isinstance(value, type) and value.__module__ == module.name:
                yield f"{module.name}.{name}", value


def unresolved(ref: str) -> list[str]:
    """The parts of a ref that name no known manual or no place in it; parts end at ``;``."""
    bad: list[str] = []
    for part in ref.split(";"):
        prefix, _, place = part.strip().partition(" ")
        if prefix not in MANUALS or not place:
            bad.append(part.strip())
    return bad


def test_refs_in_source_resolve() -> None:
    found = [
        str(finding)
        for path in sorted(Path(worldswitch.__file__).parent.rglob("*.py"))
        for finding in unresolved_refs(path, path.read_text(encoding="utf-8"), set(MANUALS))
    ]
    assert found == []


def test_refs_of_control_blocks_are_present_and_resolve() -> None:
    wrong: list[str] = []
    for name, cls in arch_objects():
        if not issubclass(cls, ControlBlock) or cls is ControlBlock:
            continue
        refs = {"block": cls.manual_ref}
        refs |= {field.name: field.ref for field in cls.fields.values()}
        refs |= {part.name: part.ref for part in cls.bit_fields.values()}
        refs |= {rule.name: rule.ref for rule in cls.rules}
        wrong += [f"{name}.{key}: {ref!r}" for key, ref in refs.items() if unresolved(ref)]
    assert wrong == []


def test_refs_of_enumerations_are_present_and_resolve() -> None:
    wrong = [
        name
        for name, cls in arch_objects()
        if issubclass(cls, IntEnum | IntFlag) and unresolved(manual_of(cls))
    ]
    assert wrong == []


def test_manuals_name_title_document_and_revision() -> None:
    for name, entry in MANUALS.items():
        assert entry.keys() == {"title", "document", "revision"}, name


def test_unknown_manual_is_found() -> None:
    assert unresolved("PoP 4 Resets") == []
    assert unresolved("PoP 4 Resets; Nothing 1") == ["Nothing 1"]
    assert unresolved("PoP") == ["PoP"]
