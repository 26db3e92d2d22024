"""The tutorial's code blocks run, one after the other, and print what the page says."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import worldswitch

PAGES = sorted((Path(worldswitch.__file__).parents[2] / "docs" / "tutorial").glob("*.md"))
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def outputs(page: Path) -> list[tuple[str, str, str]]:
    """For each python block: where it starts, what it prints, and what the page says."""
    text = page.read_text(encoding="utf-8")
    blocks = [(m.group(1), m.group(2), text.count("\n", 0, m.start()) + 2)
              for m in BLOCK.finditer(text)]  # fmt: skip
    namespace: dict[str, Any] = {"__name__": page.stem}
    found: list[tuple[str, str, str]] = []
    for n, (kind, source, line) in enumerate(blocks):
        if kind != "python":
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * (line - 1) + source, str(page), "exec"), namespace)
        following = blocks[n + 1] if n + 1 < len(blocks) else ("", "", 0)
        expected = following[1] if following[0] == "text" else ""
        found.append((f"line {line}", printed.getvalue(), expected))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial_blocks_run_print_what_the_page_says(page: Path) -> None:
    results = outputs(page)
    assert results
    for where, printed, expected in results:
        assert printed == expected, where
