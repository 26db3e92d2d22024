"""The page about the commands has all of them, with their options and exit statuses."""

from pathlib import Path

import pytest
import typer

import worldswitch
from worldswitch.cli import statuses
from worldswitch.cli.main import app
from worldswitch.machine.result import STATUS_CRASHED, STATUS_RESTART, STATUS_TIMEOUT

DOCS = Path(worldswitch.__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app)


@pytest.mark.parametrize("name", ["bench", "check", "cpus", "demo", "diff", "run"])
def test_page_names_each_command_and_its_options(name: str) -> None:
    commands = COMMANDS.commands  # type: ignore[attr-defined]
    assert set(commands) == {"bench", "check", "cpus", "demo", "diff", "run"}
    assert f"`worldswitch {name}" in PAGE
    for parameter in commands[name].params:
        for option in parameter.opts:
            if option.startswith("-"):
                assert f"`{option}" in PAGE or f" {option}`" in PAGE, option


@pytest.mark.parametrize("group", ["check", "diff"])
def test_page_names_each_kind_of_block_and_its_options(group: str) -> None:
    kinds = COMMANDS.commands[group].commands  # type: ignore[attr-defined]
    for kind, command in kinds.items():
        assert f"`worldswitch {group} {kind} " in PAGE
        for parameter in command.params:
            for option in parameter.opts:
                assert not option.startswith("-") or f"`{option}" in PAGE


def test_page_names_each_exit_status() -> None:
    known = {value for name, value in vars(statuses).items() if name.startswith("STATUS_")}
    for status in known | {0, STATUS_CRASHED, STATUS_RESTART, STATUS_TIMEOUT}:
        assert f"\n| {status} |" in PAGE
